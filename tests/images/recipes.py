#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Recipes of the damaged images: at least one for each finding code of wc-check.

recipes.py NAME CACHE ORIGIN   makes both files (4096-byte blocks, 300 of them; an origin of 8192 sectors)
recipes.py --list              names them all
recipes.py --merged CACHE ORIGIN OUT [--uncommitted]   what the driver would show
"""
import sys

import cacheimage
from cacheimage import FREE, Image

ORIGIN_SECTORS = 8192


def populated(**arguments):
    """Live blocks everywhere in the table, behind the first 4 KiB too; some neighbours, some alone."""
    image = Image(**arguments)
    step = image.block_size // 512
    for index in list(range(0, 40)) + list(range(260, image.n_blocks)):
        image.entry(index, (index * 7 % 400) * step, 3 + index % 5)
    return image


def clean():
    return populated()


def empty():
    return Image()


def uncommitted():
    return populated().entry(50, 3200, 10).entry(51, 0, 10)


def stale():
    return populated().entry(50, 0, 1).entry(51, 7 * 8, 2)


def spare_room():
    image = populated()
    image.spare_bytes = 100 * 4096
    return image


def pad_not_zero():
    image = populated()
    image.superblock["pad"] = 7
    image.superblock["padding"] = bytes(31) + b"\x01"
    return image


def blank():
    image = Image()
    image.patches.append((0, bytes(4096 * 3)))
    return image


def zeroed_superblock():
    image = populated()
    image.patches.append((0, bytes(4096)))
    return image


def zeroed_sector():
    image = populated()
    image.patches.append((0, bytes(512)))
    return image


def interrupted_format():
    image = Image(seq_count=0)
    image.superblock["magic"] = 0
    return image


def interrupted_format_with_data():
    image = populated()
    image.superblock["magic"] = 0
    image.superblock["seq_count"] = 0
    return image


def bad_magic():
    image = populated()
    image.superblock["magic"] = 0x12345678
    return image


def bad_version():
    image = populated()
    image.superblock["version"] = 2
    return image


def bad_block_size():
    image = populated()
    image.superblock["block_size"] = 4095
    return image


def block_size_mismatch():
    return populated()


def bad_n_blocks():
    image = populated()
    image.superblock["n_blocks"] = 0
    return image


def area_too_small():
    image = populated()
    image.superblock["n_blocks"] = 1 << 20
    return image


def area_cut():
    image = populated()
    image.size = cacheimage.data_offset(4096, 300) + 299 * 4096
    return image


def future():
    return populated().entry(50, 3200, 11).entry(51, 3208, 1000)


def identical_data_equal():
    block = cacheimage.pattern("twin", 4096)
    return populated().entry(50, 3200, 5, block).entry(60, 3200, 5, block)


def identical_data_different():
    return populated().entry(50, 3200, 5).entry(60, 3200, 5)


def misaligned():
    return populated().entry(50, 3201, 5)


def out_of_range():
    return populated().entry(50, 1 << 54, 5).entry(51, FREE - 7, 5)


def beyond_origin():
    return populated().entry(50, ORIGIN_SECTORS, 5).entry(51, ORIGIN_SECTORS + 8, 5)


def sequence_exhausted():
    image = populated()
    image.superblock["seq_count"] = FREE - 2
    return image.entry(50, 3200, FREE - 3).entry(51, 3208, FREE - 2)


RECIPES = {function.__name__.replace("_", "-"): function for function in (
    clean, empty, uncommitted, stale, spare_room, pad_not_zero, blank, zeroed_superblock, zeroed_sector,
    interrupted_format, interrupted_format_with_data, bad_magic, bad_version, bad_block_size, block_size_mismatch,
    bad_n_blocks, area_too_small, area_cut, future, identical_data_equal, identical_data_different, misaligned,
    out_of_range, beyond_origin, sequence_exhausted)}


def main(words):
    if words == ["--list"]:
        print("\n".join(RECIPES))
    elif words and words[0] == "--merged":
        with open(words[3], "wb") as out:
            out.write(cacheimage.merged(words[1], words[2], "--uncommitted" in words))
    else:
        name, cache, origin = words
        RECIPES[name]().write(cache)
        cacheimage.make_origin(origin, ORIGIN_SECTORS)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
