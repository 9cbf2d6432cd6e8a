#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the seeds of the fuzz targets: tests/fuzz/make_seeds.py. Their layouts are described in fuzz_image.hpp and the targets.

Only files named seed-* are written; every other file of the corpus is an input that once failed.
"""
import os
import struct
import zlib

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
MAGIC = 0x23489321
FREE = 2**64 - 1


def put(target, name, data):
    folder = os.path.join(CORPUS, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "seed-" + name), "wb") as file:
        file.write(data)


def superblock(magic=MAGIC, version=1, block_size=512, n_blocks=32, seq_count=7):
    return struct.pack("<IIIIQQ32x", magic, version, block_size, 0, n_blocks, seq_count)


def raw(front, size_code=0, filling=0):
    """An image whose front is given; size_code 0 is 64 KiB."""
    return bytes((0, size_code, filling)) + front


def entries(*pairs):
    return b"".join(struct.pack("<QQ", sector, seq) for sector, seq in pairs)


def built(items, block_code=0, blocks=16, spare=0, seq_count=9, patches=b"", logical=0):
    """An image of entries: (operation, sector byte, sequence byte)."""
    out = bytes((1 | logical, block_code, blocks - 1, spare, seq_count))
    for item in items:
        out += bytes(item)
    out += bytes((0x80,)) * (blocks - len(items)) + patches
    return out


# An operation byte is followed by the numbers that it announces.
MIXED = [(0, 1, 3), (0, 1, 5), (0, 2, 8), (0, 3, 9), (0x80,), (0, 4, 1), (0x0C, 5), (0, 2, 2)]
IMAGES = {
    "mixed": built(MIXED),
    "mixed-4096-blocks": built(MIXED, block_code=3, blocks=8),
    "mixed-64k-blocks": built(MIXED[:1], block_code=7, blocks=1),
    "logical-4096": built(MIXED, block_code=3, blocks=8, logical=2),
    "identical": built([(0, 1, 5), (0, 1, 5), (0x10, 2, 5), (0x10, 2, 5), (0, 2, 7)]),
    "three-identical": built([(0, 1, 5)] * 3),
    "future": built([(0, 1, 5), (0, 1, 12), (0, 2, 200)]),
    "misaligned": built([(1, 3, 5), (1, 8, 5), (0, 1, 4)], block_code=3, blocks=8),
    "beyond": built([(0, 200, 5), (2, *struct.pack("<Q", 2**60), 5), (2, *struct.pack("<Q", FREE - 7), 5)]),
    "exhausted": bytes((1, 0, 7, 0, 0xFF)) + struct.pack("<Q", FREE - 1) + bytes((0, 1, 5, 0, 2, 6)),
    "padding": built(MIXED, patches=struct.pack("<HB", 40, 1) + struct.pack("<HB", 12, 9)),
    "bad-magic": built(MIXED, patches=struct.pack("<HB", 0, 1)),
    "bad-count": built(MIXED, patches=struct.pack("<HB", 17, 1)),
    "spare-room": built(MIXED, spare=31),
    "zeroed": built(MIXED, patches=b"".join(struct.pack("<HB", at, 0) for at in range(32))),
    "blank": raw(b""),
    "all-ones": raw(b"\xff" * 64, filling=1),
    "raw": raw(superblock() + entries((8, 3), (8, 5), (16, 7), (24, FREE))),
    "raw-free": raw(superblock(n_blocks=64), filling=1),
    "raw-interrupted": raw(superblock(magic=0, seq_count=0, n_blocks=121), filling=1),
    "raw-tiny": raw(superblock(), size_code=2),
    "raw-no-superblock": raw(b"\0" * 64 + entries(*((8 * i, 1 + i % 4) for i in range(121))), filling=0),
    "raw-overflow": raw(superblock(n_blocks=2**60)),
}


def seal(fixed):
    return fixed[:60] + struct.pack("<I", zlib.crc32(fixed[:60]))


def undo_record(kind, offset, payload, previous):
    fixed = struct.pack("<4sIQQQQ16xI", b"WUDR", kind, offset, len(payload), 0, previous, zlib.crc32(payload))
    return seal(fixed) + payload


def undo_log():
    log = seal(struct.pack("<8sQQ36x", b"WWCUNDO1", 16384, 0))
    previous = 0
    for kind, offset, payload in ((3, 0, b""), (1, 0, b"a" * 512), (2, 4096, b"b" * 512), (3, 0, b""), (1, 256, b"c" * 512)):
        here = len(log)
        log += undo_record(kind, offset, payload, previous)
        previous = here
    return log


def undo_numbers(*records):
    return b"\0" + b"".join(records)


DUMP = b"""{"schema": "writecache.dump/1",
 "superblock": {"magic": 591958817, "version": 1, "block_size": 512, "n_blocks": 32, "seq_count": 7,
 "data_offset": 1024, "metadata_bytes": 576},
 "counts": {"free": 30, "live": 1, "stale": 1}, "dirty_bytes": 512,
 "entries": [{"index": 0, "sector": 8, "seq": 3, "state": "stale"}, {"index": 1, "sector": 8, "seq": 5, "state": "live"}]}
"""

MOUNTINFO = b"""25 30 0:23 / /sys rw,nosuid - sysfs sysfs rw
30 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
99 30 8:17 /sub /mnt/a\\040b rw,relatime shared:3 master:4 - xfs /dev/sdb1 rw
"""
SWAPS = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/sda2 partition\t1\t0\t-2\n/swap\\040file file 1 0 -3\n"
LOCKS = b"1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF\n1: -> POSIX  ADVISORY  READ  -1 00:2b:9 0 128\n"


def main():
    for name, image in IMAGES.items():
        for mode, flags in (("none", 0), ("origin", 1)) if name in ("mixed", "beyond") else (("origin", 1),):
            put("check", f"{name}-{mode}", bytes((flags,)) + image)
        put("drain", name, bytes((8 if name in ("identical", "misaligned") else 0, 3)) + image)
        put("dump", name, bytes((0, 31, 0, 128, 15, 2)) + image)
    put("check", "preen", bytes((2,)) + IMAGES["mixed"])
    put("check", "rebuild", bytes((5,)) + IMAGES["zeroed"])
    put("check", "rebuild-raw", bytes((5,)) + IMAGES["raw-no-superblock"])
    put("check", "future-commit", bytes((9,)) + IMAGES["future"])
    put("check", "mismatch", bytes((0x15, 3)) + IMAGES["mixed"])
    put("drain", "keep-verify", bytes((6, 9)) + IMAGES["mixed"])
    put("drain", "uncommitted", bytes((16, 0)) + IMAGES["mixed"])
    put("drain", "uncommitted-range", bytes((80, 0, 1, 2)) + IMAGES["mixed"])
    put("drain", "skip-beyond", bytes((40, 0)) + IMAGES["beyond"])
    put("drain", "odd-origin", bytes((0x88, 8, 100)) + IMAGES["mixed-4096-blocks"])
    put("dump", "wild", bytes((2, 3)) + struct.pack("<QQ", 2**54 - 1, FREE) + bytes((9, 1)) + IMAGES["mixed"])

    put("undo", "whole", b"\1" + undo_log())
    put("undo", "torn", b"\1" + undo_log()[:-100])
    put("undo", "header", b"\1" + undo_log()[:64])
    put("undo", "short", b"\1" + undo_log()[:20])
    put("undo", "empty", b"\1")
    put("undo", "other-device", b"\1" + seal(struct.pack("<8sQQ36x", b"WWCUNDO1", 32768, 0)))
    put("undo", "built", undo_numbers(bytes((0, 0, 2, 4)) + b"abcd", bytes((2, 0, 0, 0)), bytes((0, 0, 2, 4)) + b"efgh"))
    put("undo", "built-beyond", undo_numbers(bytes((16,)) + struct.pack("<QB", FREE, 4) + b"abcd"))
    put("undo", "built-length", undo_numbers(bytes((32, 0, 0, 4)) + b"abcd" + struct.pack("<Q", FREE)))

    put("from_dump", "whole", DUMP)
    put("from_dump", "torn", DUMP[:-40])
    put("from_dump", "descending", DUMP.replace(b'"index": 1', b'"index": 0'))
    put("from_dump", "negative", DUMP.replace(b'"seq": 3', b'"seq": -3'))
    put("from_dump", "float", DUMP.replace(b'"seq": 3', b'"seq": 3e400'))
    put("from_dump", "deep", DUMP.replace(b'"dirty_bytes": 512', b'"x": ' + b"[" * 40 + b"]" * 40))

    put("holders", "mountinfo", MOUNTINFO)
    put("holders", "swaps", SWAPS)
    put("holders", "locks", LOCKS)

    for text in ("64M", "8s", "18446744073709551615", "18446744073709551616", "100+8", "1K+2", "0x10", "-1"):
        put("words", text.replace("+", "-plus-"), text.encode())
    put("words", "line", b"--origin\n/dev/sdb\n--memory=64M\n--block-size\n4096\n-qv\n--progress=json\n/dev/sda")
    put("words", "alone", b"--entries\ncache\n--start-sector=8s\n--")
    put("explain", "identical", b"[ 1.5] device-mapper: writecache: two identical entries, position 60, sector 3200, sequence 5\n")
    put("explain", "load", b"device-mapper: table: 253:3: writecache: Invalid magic in the superblock (-EINVAL)\n")
    put("explain", "lvm", b"  Detach writecache vg/c from vg/main without flushing data? [y/n]: \n  Detaching writecache cleaning 12 blocks\n")
    put("explain", "status", b"wc: 0 131072 writecache 0 254 192 3 100 90 500 10 20 30 440 0 7 2\n0 8 writecache 0 254 254 0\n")
    put("explain", "table", b"0 131072 writecache s 253:1 8:16 4096 5 start_sector 8 max_age 90000 cleaner\n0 8 writecache p o c 512 1 nofua\n")


if __name__ == "__main__":
    main()
