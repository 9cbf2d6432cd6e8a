# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes and reads cache images without the project's library: the tests' own idea of the format (doc/format.md)."""
import hashlib
import struct

MAGIC = 0x23489321
FREE = (1 << 64) - 1
SUPERBLOCK = struct.Struct("<IIIIQQ32s")
ENTRY = struct.Struct("<QQ")


def round_up(value, step):
    return (value + step - 1) // step * step


def data_offset(block_size, n_blocks):
    return round_up(SUPERBLOCK.size + ENTRY.size * n_blocks, block_size)


def capacity(size, block_size):
    """How many blocks the driver makes of an area."""
    count = size // (block_size + ENTRY.size)
    while count and data_offset(block_size, count) + count * block_size > size:
        count -= 1
    return count


def pattern(text, size):
    """Bytes that no other text gives."""
    digest = hashlib.sha256(text.encode()).digest()
    return (digest * (size // len(digest) + 1))[:size]


class Image:
    """A cache to be written: entries by index, and a superblock whose every field may lie."""

    def __init__(self, block_size=4096, n_blocks=300, seq_count=10):
        self.block_size = block_size
        self.n_blocks = n_blocks
        self.entries = {}
        self.blocks = {}
        self.superblock = {"magic": MAGIC, "version": 1, "block_size": block_size, "pad": 0, "n_blocks": n_blocks,
                           "seq_count": seq_count, "padding": bytes(32)}
        self.patches = []  # (offset, bytes), applied last
        self.spare_bytes = 0
        self.size = None  # cut or grow the finished image to this size

    def entry(self, index, sector, seq, block=None):
        self.entries[index] = (sector, seq)
        self.blocks[index] = block or pattern(f"block {index} sector {sector} seq {seq}", self.block_size)
        return self

    def encoded_superblock(self):
        s = self.superblock
        return SUPERBLOCK.pack(s["magic"], s["version"], s["block_size"], s["pad"], s["n_blocks"], s["seq_count"],
                               s["padding"])

    def write(self, path):
        begin = data_offset(self.block_size, self.n_blocks)
        with open(path, "wb") as out:
            out.write(self.encoded_superblock())
            for index in range(self.n_blocks):
                out.write(ENTRY.pack(*self.entries.get(index, (FREE, FREE))))
            for index, block in self.blocks.items():
                out.seek(begin + index * self.block_size)
                out.write(block)
            out.truncate(begin + self.n_blocks * self.block_size + self.spare_bytes)
            for offset, data in self.patches:
                out.seek(offset)
                out.write(data)
            if self.size is not None:
                out.truncate(self.size)


def make_origin(path, sectors):
    with open(path, "wb") as out:
        for sector in range(sectors):
            out.write(pattern(f"origin {sector}", 512))


def load(path):
    """(superblock fields, entries) of a sound image."""
    with open(path, "rb") as image:
        magic, version, block_size, pad, n_blocks, seq_count, padding = SUPERBLOCK.unpack(image.read(SUPERBLOCK.size))
        raw = image.read(ENTRY.size * n_blocks)
    fields = {"magic": magic, "version": version, "block_size": block_size, "pad": pad, "n_blocks": n_blocks,
              "seq_count": seq_count, "padding": padding}
    return fields, list(ENTRY.iter_unpack(raw))


def merged(cache, origin, uncommitted=False):
    """What a reader of the activated device sees; with `uncommitted` the last commit counts as done."""
    fields, entries = load(cache)
    newest = {}
    for index, (sector, seq) in enumerate(entries):
        if seq == FREE or seq > fields["seq_count"] or (seq == fields["seq_count"] and not uncommitted):
            continue
        # Equal sequences are damage; the driver then keeps the higher index.
        if sector not in newest or seq >= newest[sector][0]:
            newest[sector] = (seq, index)
    with open(origin, "rb") as device:
        content = bytearray(device.read())
    begin = data_offset(fields["block_size"], fields["n_blocks"])
    with open(cache, "rb") as image:
        for sector, (_, index) in newest.items():
            image.seek(begin + index * fields["block_size"])
            block = image.read(fields["block_size"])
            if sector * 512 + len(block) <= len(content):
                content[sector * 512:sector * 512 + len(block)] = block
    return bytes(content)
