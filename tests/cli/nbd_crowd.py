#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nbd_crowd.py URI STATE load|check: clients that write, each its own blocks, and one that flushes for all of them.

`load` works until the server goes away. STATE then says what each block must hold at least: what had been acknowledged
when a flush began that later succeeded. `check` looks for that."""
import json
import random
import sys
import threading

import nbd

BLOCK = 4096
WRITERS = 4
BLOCKS_EACH = 150
READS_IN = 4


def connect(uri):
    handle = nbd.NBD()
    handle.connect_uri(uri)
    return handle


def content(version, block):
    return (version.to_bytes(8, "little") + block.to_bytes(8, "little")) * (BLOCK // 16)


def version_of(data, block):
    version = int.from_bytes(data[:8], "little")
    return version if content(version, block) == data else 0


class Crowd:
    def __init__(self, uri):
        self.uri = uri
        self.lock = threading.Lock()
        self.acknowledged = {}  # by block: the newest version that was acknowledged
        self.submitted = {}
        self.durable = {}
        self.flushes = 0
        self.problems = []

    def write(self, number):
        handle = connect(self.uri)
        chance = random.Random(number)
        version = 0
        while True:
            block = number * BLOCKS_EACH + chance.randrange(BLOCKS_EACH)
            if chance.randrange(READS_IN) == 0:
                seen = version_of(handle.pread(BLOCK, block * BLOCK), block)
                if seen != self.acknowledged.get(block, seen):
                    self.problems.append(f"read of block {block}: {seen}, not {self.acknowledged[block]}")
                continue
            version += 1
            with self.lock:
                self.submitted[block] = version
            handle.pwrite(content(version, block), block * BLOCK)
            with self.lock:
                self.acknowledged[block] = version

    def flush(self):
        handle = connect(self.uri)
        while True:
            with self.lock:
                before = dict(self.acknowledged)
            handle.flush()
            self.durable = before
            if self.flushes == 0 and before:
                print("flushed", flush=True)
            self.flushes += 1 if before else 0

    def until_the_end(self, work, *arguments):
        try:
            work(*arguments)
        except nbd.Error:
            pass  # the server is gone

    def load(self):
        threads = [threading.Thread(target=self.until_the_end, args=(self.write, number)) for number in range(WRITERS)]
        threads.append(threading.Thread(target=self.until_the_end, args=(self.flush,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def check(uri, durable, submitted):
    handle = connect(uri)
    for block, newest in submitted.items():
        least = durable.get(block, 0)
        seen = version_of(handle.pread(BLOCK, int(block) * BLOCK), int(block))
        assert least <= seen <= newest, f"block {block} holds version {seen}, not {least} to {newest}"


def main():
    uri, path, task = sys.argv[1:]
    if task == "load":
        crowd = Crowd(uri)
        crowd.load()
        assert not crowd.problems, crowd.problems[:5]
        assert crowd.flushes > 0 and crowd.durable, "nothing was flushed"
        print(f"{len(crowd.submitted)} blocks, {crowd.flushes} flushes")
        with open(path, "w", encoding="ascii") as file:
            json.dump({"durable": crowd.durable, "submitted": crowd.submitted}, file)
        return
    with open(path, encoding="ascii") as file:
        stored = json.load(file)
    check(uri, stored["durable"], stored["submitted"])


if __name__ == "__main__":
    main()
