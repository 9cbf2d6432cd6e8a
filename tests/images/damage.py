#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Damages a cache image that the real driver made: one recipe for each finding code and each extreme, with its story.

damage.py --list                                    the names, their finding codes and their stories
damage.py NAME IN OUT ORIGIN_SECTORS [START_SECTOR]  writes the damaged copy
"""

import sys

import media
from media import FREE, Image

RECIPES = {}


class Recipe:
    """One way to damage an image: `apply(image, origin_sectors)` edits it, codes are findings it gives."""

    def __init__(self, name, codes, apply, story, table_block_size=None):
        self.name, self.codes, self.apply, self.story = name, codes, apply, story
        self.table_block_size = table_block_size  # what the table line says, where it is not what the image says


def recipe(name, *codes, **more):
    def register(function):
        RECIPES[name] = Recipe(name, codes, function, function.__doc__, **more)
        return function
    return register


def committed(image):
    """Indexes of the live entries of an image that is still whole, ascending."""
    return sorted(image.live().values())


def free(image):
    return [index for index, entry in enumerate(image.entries()) if entry.sequence == FREE]


def place(image, index, sector, sequence):
    """An entry with a data block that no other entry has."""
    image.set_entry(index, sector, sequence)
    image.set_block(index, (b"block %8d seq %20d " % (index, sequence) * 200)[:image.superblock()["block_size"]])


@recipe("whole")
def whole(image, origin_sectors):
    """Nothing happened to it."""


@recipe("uncommitted", "uncommitted")
def uncommitted(image, origin_sectors):
    """Power failed after three blocks were written and before their commit; one of them replaces a committed block."""
    sequence = image.superblock()["seq_count"]
    step = image.superblock()["block_size"] // 512
    spare = free(image)[:3]
    place(image, spare[0], image.entry(committed(image)[5]).sector, sequence)
    place(image, spare[1], origin_sectors - step, sequence)
    place(image, spare[2], origin_sectors - 2 * step, sequence)


@recipe("stale", "stale")
def stale(image, origin_sectors):
    """Power failed after a commit and before the entries it superseded were freed (type p)."""
    image.set(seq_count=image.superblock()["seq_count"] + 5)
    newest = image.superblock()["seq_count"] - 1
    for index, old in zip(free(image), committed(image)[:4]):
        place(image, index, image.entry(old).sector, newest)


@recipe("spare-room", "spare-room")
def spare_room(image, origin_sectors):
    """The logical volume was extended by 1 MiB after the cache had been made."""
    image.data += bytes(1 << 20)


@recipe("pad-not-zero", "pad-not-zero")
def pad_not_zero(image, origin_sectors):
    """A bit of the superblock's pad flipped."""
    image.set(pad=0x00010000)


@recipe("blank", "blank")
def blank(image, origin_sectors):
    """The whole metadata was zeroed on purpose."""
    image.data[image.start:image.start + media.metadata_bytes(image.superblock()["n_blocks"], 4096)] = bytes(
        media.metadata_bytes(image.superblock()["n_blocks"], 4096))


@recipe("zeroed-sector", "zeroed-superblock")
def zeroed_sector(image, origin_sectors):
    """A stray dd zeroed the first sector: the driver would format over every dirty block."""
    image.data[image.start:image.start + 512] = bytes(512)


@recipe("zeroed-page", "zeroed-superblock")
def zeroed_page(image, origin_sectors):
    """LVM zeroed the first 4 KiB of a volume that still held a cache: entries from index 252 on survive."""
    image.data[image.start:image.start + 4096] = bytes(4096)


@recipe("interrupted-format", "interrupted-format")
def interrupted_format(image, origin_sectors):
    """Formatting stopped before the magic was written."""
    for index in range(image.superblock()["n_blocks"]):
        image.set_entry(index, FREE, FREE)
    image.set(magic=0, seq_count=0)


@recipe("magic-zero", "bad-magic")
def magic_zero(image, origin_sectors):
    """The magic is gone, but the entries are not those of an interrupted format."""
    image.set(magic=0)


@recipe("magic-bit", "bad-magic")
def magic_bit(image, origin_sectors):
    """One bit of the magic flipped."""
    image.set(magic=media.MAGIC ^ 1)


@recipe("magic-version", "bad-magic", "bad-version")
def magic_version(image, origin_sectors):
    """Magic and version are both wrong: which one does the driver name?"""
    image.set(magic=media.MAGIC ^ 1, version=2)


@recipe("future", "future")
def future(image, origin_sectors):
    """The superblock write of the last commit was lost by a disk that lied about its flush."""
    for index in committed(image)[:3]:
        image.set_entry(index, sequence=image.superblock()["seq_count"] + 1)


@recipe("future-largest", "future")
def future_largest(image, origin_sectors):
    """An entry with the largest number that is not FREE."""
    image.set_entry(committed(image)[0], sequence=FREE - 1)


def identical(order):
    def apply(image, origin_sectors):
        image.set(seq_count=9)
        step = image.superblock()["block_size"] // 512
        taken = {entry.sector for entry in image.entries()}
        sector = next(at for at in range(0, origin_sectors, step) if at not in taken)
        for index, sequence in zip(free(image), order):
            place(image, index, sector, sequence)
    return apply


for numbers in ((5, 5), (5, 5, 7), (7, 5, 5), (5, 7, 5), (5, 5, 5), (7, 7, 5), (4, 5, 5, 4), (9, 9), (12, 12), (5, 5, 9)):
    # With a newer entry between or before them the twins are never compared with each other: they are stale, and no loss.
    silent = {(9, 9): "uncommitted", (12, 12): "future", (7, 5, 5): "stale", (5, 7, 5): "stale"}
    seen = silent.get(numbers, "identical")
    text = "-".join(map(str, numbers))
    RECIPES[f"identical-{text}"] = Recipe(
        f"identical-{text}", (seen,), identical(numbers), f"Entries of one sector with the sequences {text} in order of index, S = 9.")


@recipe("identical-equal-data", "identical")
def identical_equal_data(image, origin_sectors):
    """An entry and its block were copied whole to another index."""
    old, new = committed(image)[7], free(image)[0]
    image.set_entry(new, *image.entry(old))
    image.set_block(new, image.block(old))


@recipe("misaligned", "misaligned")
def misaligned(image, origin_sectors):
    """A bit of an entry's sector flipped: it no longer begins a block."""
    index = committed(image)[3]
    image.set_entry(index, image.entry(index).sector ^ 1)


@recipe("beyond-origin", "beyond-origin")
def beyond_origin(image, origin_sectors):
    """The origin was shrunk: blocks begin exactly at its end and further on."""
    step = image.superblock()["block_size"] // 512
    for far, index in enumerate(committed(image)[:3]):
        image.set_entry(index, origin_sectors + far * far * step)


@recipe("out-of-range", "out-of-range")
def out_of_range(image, origin_sectors):
    """A high bit of an entry's sector flipped: it lies beyond 2^63 bytes."""
    image.set_entry(committed(image)[2], 1 << 60)


@recipe("sequence-exhausted", "sequence-exhausted")
def sequence_exhausted(image, origin_sectors):
    """Someone made the superblock anew with a number near the end."""
    image.set(seq_count=FREE - 4)


@recipe("sequence-largest", "sequence-exhausted")
def sequence_largest(image, origin_sectors):
    """S is itself the mark of a free entry."""
    image.set(seq_count=FREE)


@recipe("sequence-zero", "uncommitted", "future")
def sequence_zero(image, origin_sectors):
    """The number was zeroed: every entry counts as not committed."""
    image.set(seq_count=0)


def with_fields(**fields):
    return lambda image, origin_sectors: image.set(**fields)


for number in (0, 2):
    RECIPES[f"version-{number}"] = Recipe(f"version-{number}", ("bad-version",), with_fields(version=number), f"The version is {number}.")
for number in (0, 1, 256, 512, 513, 65536, 1 << 31):
    RECIPES[f"block-size-{number}"] = Recipe(
        f"block-size-{number}", ("block-size-mismatch" if number in (512, 65536) else "bad-block-size",), with_fields(block_size=number),
        f"The superblock says {number}, the table line the right size.")
for number in (0, 1 << 31, 1 << 47, (1 << 64) // 4112 - 1, (1 << 64) // 4112, 1 << 58, 1 << 59, 1 << 60, 1 << 63, (1 << 64) - 1):
    RECIPES[f"n-blocks-{number}"] = Recipe(
        f"n-blocks-{number}", ("area-too-small" if number == 1 << 31 else "bad-n-blocks",), with_fields(n_blocks=number),
        f"n_blocks is {number}.")
RECIPES["n-blocks-1"] = Recipe("n-blocks-1", ("spare-room",), with_fields(n_blocks=1), "n_blocks is 1: only that entry counts.")
RECIPES["version-block-size"] = Recipe(
    "version-block-size", ("bad-version",), with_fields(version=2, block_size=512), "Version and block size are both wrong.")
RECIPES["block-size-n-blocks"] = Recipe(
    "block-size-n-blocks", ("bad-block-size", "bad-n-blocks"), with_fields(block_size=513, n_blocks=1 << 60),
    "Block size and n_blocks are both wrong.")


@recipe("n-blocks-one-more", "area-too-small")
def n_blocks_one_more(image, origin_sectors):
    """One block more than there is room for."""
    superblock = image.superblock()
    image.set(n_blocks=media.blocks_that_fit(len(image.data) - image.start, superblock["block_size"]) + 1)


@recipe("table-block-size", "block-size-mismatch", table_block_size=2048)
def table_block_size(image, origin_sectors):
    """The administrator types the wrong block size into the table line."""


@recipe("truncated", "area-too-small")
def truncated(image, origin_sectors):
    """The volume was shrunk: the last blocks are cut off."""
    del image.data[len(image.data) // 2:]


@recipe("one-block", "area-too-small")
def one_block(image, origin_sectors):
    """Only 4096 bytes are left of the device: too small for one block."""
    del image.data[4096:]


@recipe("one-sector", "area-too-small")
def one_sector(image, origin_sectors):
    """Only the first sector is left of the device."""
    del image.data[512:]


@recipe("one-sector-zero", "area-too-small")
def one_sector_zero(image, origin_sectors):
    """An empty device of one sector."""
    image.data[:] = bytes(512)


def damaged(name, data, origin_sectors, start_sector=0):
    """The image after the recipe, as bytes."""
    image = Image(data, start_sector)
    RECIPES[name].apply(image, origin_sectors)
    return bytes(image.data)


def main(words):
    if words == ["--list"]:
        for item in RECIPES.values():
            print(f"{item.name}\t{','.join(item.codes)}\t{item.story}")
        return 0
    if len(words) not in (4, 5) or words[0] not in RECIPES:
        print(__doc__, file=sys.stderr)
        return 16
    with open(words[1], "rb") as source:
        data = source.read()
    with open(words[2], "wb") as target:
        target.write(damaged(words[0], data, int(words[3]), int(words[4]) if len(words) == 5 else 0))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
