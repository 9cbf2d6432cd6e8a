# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a device may hold after whoever served it was cut off: settled bytes, and pending writes that may have arrived or not."""

import functools
import struct

MASK = 2**64 - 1
SECTOR = 512


@functools.lru_cache(maxsize=65536)
def block_content(tag, block, block_size):
    """The content of one block of a write with this tag, as fill_block() of script.cpp makes it."""
    state = (tag * 0x100000001b3 + block) & MASK
    words = []
    for _ in range(block_size // 8):
        state = (state + 0x9e3779b97f4a7c15) & MASK
        mixed = ((state ^ state >> 30) * 0xbf58476d1ce4e5b9) & MASK
        mixed = ((mixed ^ mixed >> 27) * 0x94d049bb133111eb) & MASK
        words.append(mixed ^ mixed >> 31)
    return struct.pack(f"<{len(words)}Q", *words)


class HandoverOracle:
    """Writes are of whole blocks, and no block is written twice between two flushes."""

    def __init__(self, origin, block_size):
        self.settled, self.block_size = bytearray(origin), block_size
        self.pending = {}  # block: tags, the oldest first
        self.flushed_blocks = 0

    def write(self, block, count, tag):
        for each in range(block, block + count):
            self.pending.setdefault(each, []).append(tag)

    def flush(self):
        """Everything that was written is durable."""
        for block, tags in self.pending.items():
            at = block * self.block_size
            self.settled[at:at + self.block_size] = block_content(tags[-1], block, self.block_size)
        self.flushed_blocks += len(self.pending)
        self.pending = {}

    def wrong_sectors(self, content):
        """Sectors that hold neither what is settled nor anything pending."""
        if len(content) != len(self.settled):
            return [f"{len(content)} bytes instead of {len(self.settled)}"]
        wrong = []
        for at in range(0, len(content), self.block_size):
            if content[at:at + self.block_size] == self.settled[at:at + self.block_size]:
                continue
            block = at // self.block_size
            versions = [block_content(tag, block, self.block_size) for tag in self.pending.get(block, [])]
            versions.append(bytes(self.settled[at:at + self.block_size]))
            for sector in range(0, self.block_size, SECTOR):
                seen = content[at + sector:at + sector + SECTOR]
                if all(seen != version[sector:sector + SECTOR] for version in versions):
                    wrong.append((at + sector) // SECTOR)
        return wrong

    def survivors(self, content):
        """How many blocks hold a pending write, whole or in part."""
        size = self.block_size
        return sum(content[block * size:(block + 1) * size] != self.settled[block * size:(block + 1) * size] for block in self.pending)

    def adopt(self, content):
        """What was seen is what is there from now on."""
        self.settled, self.pending = bytearray(content), {}
