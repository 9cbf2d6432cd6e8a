#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A cache of 1 TiB with 268 million entries in a sparse file: wc-check ends in bounded time within --memory 64M.

With S = 0 every entry of the hole, {0, 0}, is uncommitted; with S = 1 all of them claim sector 0 identically. The third
image names 4096-byte blocks all over an origin of 64 TiB, so that several passes are needed.
"""
import json
import os
import random
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "images"))
import cacheimage

CACHE_BYTES = 1 << 40
MEMORY_BYTES = 64 << 20
LIMIT_SECONDS = 240


def make(path, seq_count):
    blocks = cacheimage.capacity(CACHE_BYTES, 4096)
    image = cacheimage.Image(n_blocks=blocks, seq_count=seq_count)
    with open(path, "wb") as out:
        out.write(image.encoded_superblock())
        out.truncate(CACHE_BYTES)
    return blocks


def scatter(path, count):
    """Live entries at random sectors in the first part of the table. Written one by one: a child's peak memory, as the
    kernel counts it, includes what this process held when it made the child."""
    chance = random.Random(1)
    with open(path, "r+b") as out:
        out.seek(cacheimage.SUPERBLOCK.size)
        for _ in range(count):
            out.write(cacheimage.ENTRY.pack(chance.randrange(1 << 34) * 8, 1 + chance.randrange(50)))


def check(path, *words):
    """(status, report, seconds, peak bytes)"""
    begin = time.monotonic()
    command = ["wc-check", "--json", "--memory", "64M", *words, path]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    return os.waitstatus_to_exitcode(status), json.loads(output), time.monotonic() - begin, usage.ru_maxrss * 1024


def main():
    os.environ["PATH"] = os.path.join(os.environ["WC_BUILD_DIR"], "bin") + ":" + os.environ["PATH"]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "big.img")
        try:
            blocks = make(path, 0)
        except OSError as problem:
            print(f"skipped: no sparse file of 1 TiB here: {problem}")
            return 77
        for name, seq_count, expected, code in (("uncommitted", 0, 0, "uncommitted"), ("identical", 1, 4, "identical"),
                                                ("scattered", 100, 4, "identical")):
            make(path, seq_count)
            if name == "scattered":
                scatter(path, 4_000_000)
            status, report, seconds, peak = check(path)
            print(f"{name}: {blocks} entries, status {status}, {seconds:.1f} s, peak {peak / (1 << 20):.1f} MiB, {report['counts']}")
            codes = {finding["code"] for finding in report["findings"]}
            if status != expected or code not in codes:
                print(f"FAILED {name}: expected status {expected} and {code}")
                failed = 1
            if peak > MEMORY_BYTES:
                print(f"FAILED {name}: more than 64 MiB")
                failed = 1
            if seconds > LIMIT_SECONDS:
                print(f"FAILED {name}: more than {LIMIT_SECONDS} s")
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
