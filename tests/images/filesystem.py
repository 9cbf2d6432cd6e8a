#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""filesystem.py CACHE ORIGIN: an ext4 file system whose newest file is only in the cache, as after a crash.

Without the cache the file system on the origin is sound, but old.
"""
import os
import shutil
import subprocess
import sys
import tempfile

from cacheimage import Image

BLOCK = 4096
SIZE = 8 << 20


def debugfs(image, request):
    subprocess.run(["/sbin/debugfs", "-w", "-R", request, image], check=True, capture_output=True)


def main(cache, origin):
    with open(origin, "wb") as out:
        out.truncate(SIZE)
    subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-b", str(BLOCK), origin], check=True)
    with tempfile.TemporaryDirectory() as folder:
        text, newer = os.path.join(folder, "text"), os.path.join(folder, "newer")
        with open(text, "w", encoding="ascii") as out:
            out.write("written in the last minute\n" * 2000)
        shutil.copyfile(origin, newer)
        debugfs(newer, f"write {text} report.txt")
        image = Image()
        with open(origin, "rb") as old, open(newer, "rb") as new:
            index = 0
            for number in range(SIZE // BLOCK):
                before, after = old.read(BLOCK), new.read(BLOCK)
                if before != after:
                    image.entry(index, number * BLOCK // 512, 3 + index % 5, after)
                    index += 1
        image.write(cache)


if __name__ == "__main__":
    main(*sys.argv[1:])
