# SPDX-License-Identifier: LGPL-2.1-or-later
"""The writecache format as Python values: written apart from the library, so that tests do not check it with itself."""

import collections
import struct

MAGIC = 0x23489321
FREE = 2**64 - 1
Entry = collections.namedtuple("Entry", "sector sequence")
SUPERBLOCK = struct.Struct("<IIIIQQ")


def metadata_bytes(blocks, block_size):
    return -(-(64 + 16 * blocks) // block_size) * block_size


def blocks_that_fit(area_bytes, block_size):
    blocks = area_bytes // (block_size + 16)
    while blocks and metadata_bytes(blocks, block_size) + blocks * block_size > area_bytes:
        blocks -= 1
    return blocks


class Image:
    """A cache image that can be read and damaged; `data` is the whole device."""

    def __init__(self, data, start_sector=0):
        self.data = bytearray(data)
        self.start = start_sector * 512

    def superblock(self):
        names = ("magic", "version", "block_size", "pad", "n_blocks", "seq_count")
        return dict(zip(names, SUPERBLOCK.unpack_from(self.data, self.start)))

    def set(self, **fields):
        values = self.superblock()
        values.update(fields)
        SUPERBLOCK.pack_into(self.data, self.start, *values.values())

    def entry(self, index):
        return Entry(*struct.unpack_from("<QQ", self.data, self.start + 64 + 16 * index))

    def set_entry(self, index, sector=None, sequence=None):
        old = self.entry(index)
        struct.pack_into("<QQ", self.data, self.start + 64 + 16 * index, old.sector if sector is None else sector,
                         old.sequence if sequence is None else sequence)

    def entries(self):
        count = self.superblock()["n_blocks"]
        raw = memoryview(self.data)[self.start + 64:self.start + 64 + 16 * count]
        return [Entry(*pair) for pair in struct.iter_unpack("<QQ", raw)]

    def block(self, index):
        superblock = self.superblock()
        size = superblock["block_size"]
        offset = self.start + metadata_bytes(superblock["n_blocks"], size) + index * size
        return bytes(self.data[offset:offset + size])

    def set_block(self, index, content):
        superblock = self.superblock()
        size = superblock["block_size"]
        offset = self.start + metadata_bytes(superblock["n_blocks"], size) + index * size
        self.data[offset:offset + size] = content

    def counts(self):
        """States of the entries, after section 2 of the format facts."""
        sequence = self.superblock()["seq_count"]
        newest = {}
        result = collections.Counter()
        for index, entry in enumerate(self.entries()):
            if entry.sequence == FREE:
                result["free"] += 1
            elif entry.sequence == sequence:
                result["uncommitted"] += 1
            elif entry.sequence > sequence:
                result["future"] += 1
            else:
                result["committed"] += 1
                newest[entry.sector] = max(newest.get(entry.sector, (-1, -1)), (entry.sequence, index))
        result["live"] = len(newest)
        result["stale"] = result["committed"] - len(newest)
        return result

    def live(self):
        """{sector: index} of the newest committed entry of each sector; of equals the highest index."""
        sequence = self.superblock()["seq_count"]
        newest = {}
        for index, entry in enumerate(self.entries()):
            if entry.sequence < sequence:
                newest[entry.sector] = max(newest.get(entry.sector, (-1, -1)), (entry.sequence, index))
        return {sector: index for sector, (_, index) in newest.items()}

    def activated(self):
        """The image as the driver leaves it on the medium: everything but the live entries is free, S stays."""
        result = Image(self.data, self.start // 512)
        live = set(self.live().values())
        for index in range(self.superblock()["n_blocks"]):
            if index not in live:
                result.set_entry(index, sequence=FREE)
        return result

    def formatted(self, block_size):
        """The image after the driver has formatted it."""
        result = Image(self.data, self.start // 512)
        blocks = blocks_that_fit(len(self.data) - self.start, block_size)
        result.set(magic=MAGIC, version=1, block_size=block_size, pad=0, n_blocks=blocks, seq_count=0)
        for index in range(blocks):
            result.set_entry(index, FREE, FREE)
        return result

    def merged(self, origin):
        """The origin overlaid with every live block that lies on it, as a reader of the active device sees it."""
        content = bytearray(origin)
        size = self.superblock()["block_size"]
        for sector, index in self.live().items():
            if sector % (size // 512) == 0 and (sector * 512 + size) <= len(origin):
                content[sector * 512:sector * 512 + size] = self.block(index)
        return bytes(content)
