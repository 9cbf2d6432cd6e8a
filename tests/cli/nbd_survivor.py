#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nbd_survivor.py URI STATE before|provoke|after [may-not-read]: what a client may believe when a device fails.

STATE is a file that remembers, for every block, the contents it may have: the last one that was acknowledged and
flushed, and all that came later. `before` writes and flushes; `provoke` writes until something fails, and then
nothing but reads may succeed; `after` looks at every block once the devices are well and the server has started again."""
import json
import random
import sys

import nbd

BLOCK = 4096
SPAN_BLOCKS = 2048  # 8 MiB, twice the cache
BEFORE_BLOCKS = 300
PROVOKED_WRITES_MAX = 6000
UNTOUCHED = 0


def connect(uri):
    handle = nbd.NBD()
    handle.connect_uri(uri)
    return handle


def content(tag):
    return tag.to_bytes(8, "little") * (BLOCK // 8)


def tag_of(data):
    """The tag, or UNTOUCHED for what this client has not written: noise or zeros."""
    tag = int.from_bytes(data[:8], "little")
    return tag if content(tag) == data else UNTOUCHED


def error_of(action):
    try:
        action()
    except nbd.Error as problem:
        return problem.errno
    return None


class State:
    """For each block the tags it may hold; the first one was flushed."""

    def __init__(self, path):
        self.path = path
        self.blocks = {}
        self.next_tag = 1

    def load(self):
        with open(self.path, encoding="ascii") as file:
            stored = json.load(file)
        self.blocks = {int(block): tags for block, tags in stored["blocks"].items()}
        self.next_tag = stored["next_tag"]

    def save(self):
        with open(self.path, "w", encoding="ascii") as file:
            json.dump({"blocks": self.blocks, "next_tag": self.next_tag}, file)

    def write(self, handle, block):
        tag = self.next_tag
        self.next_tag += 1
        self.blocks.setdefault(block, [UNTOUCHED]).append(tag)
        handle.pwrite(content(tag), block * BLOCK)

    def flush(self, handle):
        handle.flush()
        for block, tags in self.blocks.items():
            self.blocks[block] = tags[-1:]


def before(handle, state):
    chance = random.Random(1)
    for _ in range(BEFORE_BLOCKS):
        state.write(handle, chance.randrange(SPAN_BLOCKS))
    state.flush(handle)


def look_at(handle, state, may_not_read=False, settles=False):
    unread = 0
    for block, tags in state.blocks.items():
        try:
            tag = tag_of(handle.pread(BLOCK, block * BLOCK))
        except nbd.Error as problem:
            assert may_not_read and problem.errno == "EIO", f"block {block}: {problem}"
            unread += 1
            continue
        assert tag in tags, f"block {block} holds {tag} of {tags}"
        if settles:
            state.blocks[block] = [tag]
    print(f"{len(state.blocks)} blocks, {unread} of them not to be read")


def provoke(handle, state, may_not_read):
    chance = random.Random(2)
    first = None
    for turn in range(PROVOKED_WRITES_MAX):
        try:
            state.write(handle, chance.randrange(SPAN_BLOCKS))
            if turn % 50 == 49:
                state.flush(handle)
        except nbd.Error as problem:
            first = problem.errno
            break
    assert first in ("EIO", "ENOSPC"), f"after {turn + 1} writes: {first}"
    for turn in range(20):
        offset = chance.randrange(SPAN_BLOCKS) * BLOCK
        # What was refused may still have reached the medium when the first error came; what comes now must not.
        assert error_of(lambda at=offset: handle.pwrite(content(1 << 60), at)) == "EIO"
        assert error_of(lambda at=offset: handle.pwrite(content(1 << 60), at, nbd.CMD_FLAG_FUA)) == "EIO"
        assert error_of(lambda at=offset: handle.trim(BLOCK, at)) == "EIO"
        assert error_of(handle.flush) == "EIO"
    look_at(handle, state, may_not_read)


def after(handle, state):
    look_at(handle, state, settles=True)
    chance = random.Random(3)
    for _ in range(50):
        state.write(handle, chance.randrange(SPAN_BLOCKS))
    state.flush(handle)
    look_at(handle, state)


def main():
    uri, path, task = sys.argv[1:4]
    state = State(path)
    handle = connect(uri)
    if task == "before":
        before(handle, state)
    else:
        state.load()
    if task == "provoke":
        provoke(handle, state, "may-not-read" in sys.argv)
    if task == "after":
        after(handle, state)
    state.save()


if __name__ == "__main__":
    main()
