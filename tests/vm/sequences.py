# SPDX-License-Identifier: LGPL-2.1-or-later
"""Generated request sequences for the driver and our engine: the configurations, and the steps of each from a seed.

One request is under way at a time, but for the phases in which the origin is held back. What the driver does behind a request
runs beside the request that set it off; where the order of the two would decide a number, no such request is made:
- With watermarks, requests are of one block: the driver may begin to write back in the middle of a longer one.
- With watermarks, type p discards a block before it writes it again: when writeback begins, the driver may or may not have freed
  an older version that waits for a commit, and so stops a block earlier or later.
- With watermarks, nothing is in the cache when it is resumed: the driver forgets then how old its blocks are, ours does not.
- A cache of type s that is full is kept full by pause_writeback, as free blocks would appear in the middle of a request.
- While the origin is held back, blocks of a request that may be unfinished are left alone, and there is one discard at most:
  the block layer lets discards of a device wait for each other.
- When blocks were waited for, everything is written back next: those who waited are served in any order, and so the blocks
  would be of different age from then on.
"""

import random

NO_TIMER = "autocommit_time 3600000"
# Nothing happens but what a step asks for.
QUIET = f"high_watermark 100 low_watermark 100 {NO_TIMER} autocommit_blocks 1000000"
WATERMARKS = f"high_watermark 60 low_watermark 40 {NO_TIMER}"
READ_BLOCKS_MAX_TYPE_P = 2  # the driver of kernel 6.12 answers larger ones with wrong data
REQUEST_BYTES_MAX = 65536   # the block layer does not split these
SCATTER_BLOCKS = 128        # requests without order go to the first ones of the origin


class Configuration:
    """A cache and what is done to it. `weights`: how often each verb comes, relative to the others."""

    WEIGHTS = {"write": 50, "fua": 4, "read": 20, "flush": 8, "discard": 4, "message flush": 1, "message clear_stats": 1,
               "suspend": 1, "flush_on_suspend": 1, "fresh_run": 0, "hold": 0, "fill": 0}

    def __init__(self, name, kind, block_size, options, cache_blocks=400, origin_blocks=256, steps=250, run_max=12, first=(), last=(),
                 wait_ms=0, **weights):
        self.name, self.kind, self.block_size, self.steps, self.wait_ms = f"{name}-{kind}-{block_size}", kind, block_size, steps, wait_ms
        self.options = options + (" pause_writeback 0" if kind == "s" and "pause_writeback" not in options else "")
        self.cache_blocks, self.origin_blocks = cache_blocks, origin_blocks
        self.run_max = min(run_max, REQUEST_BYTES_MAX // block_size)
        self.first, self.last = first, last
        self.weights = {**self.WEIGHTS, **weights}

        if self.may_fill:
            self.weights["suspend"] = 0

    @property
    def commits_are_determined(self):
        """How many it takes is a matter of time where requests wait: those who wait for a block are served with what one has freed,
        and the driver's flushes that wait for the origin commit together or one by one when it is released."""
        waits_for_origin = self.kind == "s" and self.weights["hold"]
        return not self.may_fill and not waits_for_origin

    @property
    def may_fill(self):
        return self.cache_blocks < self.origin_blocks


def configurations():
    for kind in "sp":
        for size in (512, 4096):
            yield Configuration("quiet", kind, size, QUIET)
            yield Configuration("held", kind, size, QUIET, steps=200, hold=4)
            yield Configuration("watermarks", kind, size, WATERMARKS, cache_blocks=64, origin_blocks=1024, run_max=1)
        yield Configuration("autocommit", kind, 4096, f"high_watermark 100 low_watermark 100 {NO_TIMER} autocommit_blocks 7", steps=150)
        yield Configuration("cleaner", kind, 4096, QUIET, steps=100, last=["message cleaner"])
        yield Configuration("metadata-only", kind, 4096, f"{QUIET} metadata_only", steps=50)
        yield Configuration("timers", kind, 4096, "high_watermark 100 low_watermark 100 autocommit_time 50 max_age 200", steps=12, wait_ms=600)
    yield Configuration("nofua", "p", 4096, WATERMARKS + " nofua", cache_blocks=64, origin_blocks=1024, steps=100, run_max=1)
    for size in (512, 4096):
        yield Configuration("full", "s", size, f"{QUIET} pause_writeback 60000", cache_blocks=64, origin_blocks=1024, first=["fill"], fill=4)
        yield Configuration("full", "p", size, QUIET, cache_blocks=64, origin_blocks=1024, steps=150, run_max=1, hold=6)


class Sequence:
    """The steps of a configuration. `undetermined`: blocks whose content the driver's own order decides, for good."""

    def __init__(self, configuration, seed):
        self.configuration = configuration
        self.random = random.Random(f"{seed} {configuration.name}")
        self.tag = 0
        self.fresh = SCATTER_BLOCKS
        self.busy = None  # blocks of requests that may be unfinished, while the origin is held back
        self.written = set()
        self.written_in_hold = set()
        self.undetermined = set()
        self.lines = []

    def make(self):
        configuration = self.configuration
        for verb in configuration.first:
            self.do(verb)
        self.run(configuration.steps)
        if configuration.last:
            for verb in configuration.last:
                self.do(verb)
            self.run(len(self.lines) + configuration.steps // 2)
        self.add("flush")
        return self.lines

    def run(self, steps):
        verbs, weights = zip(*self.configuration.weights.items())
        while len(self.lines) < steps:
            self.do(self.random.choices(verbs, weights)[0])

    def do(self, verb):
        getattr(self, verb.replace(" ", "_"), lambda: self.add(verb))()
        if self.configuration.wait_ms:
            self.add(f"wait {self.configuration.wait_ms}")

    def add(self, line):
        self.lines.append(line)

    def place(self, run_max):
        """A range of blocks that may be used: often one, often where others have been."""
        while True:
            count = self.random.choice((1, 1, 1, self.random.randint(1, run_max)))
            span = SCATTER_BLOCKS if self.random.random() < 0.5 else SCATTER_BLOCKS // 4
            block = self.random.randrange(span - count + 1)
            if not self.busy or self.busy.isdisjoint(range(block, block + count)):
                return block, count

    def send_write(self, block, count, verb="write"):
        if self.configuration.kind == "p" and self.configuration.may_fill and self.busy is None:
            if not self.written.isdisjoint(range(block, block + count)):
                self.add(f"discard {block} {count}")
            self.written.update(range(block, block + count))
        self.tag += 1
        self.add(f"{verb} {block} {count} {self.tag}")
        self.undetermined.difference_update(range(block, block + count))
        self.written_in_hold.update(range(block, block + count))
        if self.busy is not None and self.configuration.may_fill:
            self.busy.update(range(block, block + count))

    def write(self):
        self.send_write(*self.place(self.configuration.run_max))

    def fua(self):
        self.send_write(*self.place(self.configuration.run_max), "fua")

    def fresh_run(self, count=1):
        """Blocks that have not been written for so long that they have left the cache."""
        if self.fresh + count > self.configuration.origin_blocks:
            self.fresh = SCATTER_BLOCKS
        self.send_write(self.fresh, count)
        self.fresh += count

    def fill(self):
        """More than is free: the last one goes around in part."""
        for _ in range(self.configuration.cache_blocks // 16 + 1):
            self.fresh_run(16)

    def read(self):
        while True:
            block, count = self.place(READ_BLOCKS_MAX_TYPE_P if self.configuration.kind == "p" else max(8, self.configuration.run_max))
            blocks = range(block, block + count)
            if self.undetermined.isdisjoint(blocks):
                break
        self.add(f"read {block} {count}")
        if self.busy is not None:
            self.busy.update(blocks)

    def discard(self):
        block, count = self.place(2 * self.configuration.run_max)
        self.add(f"discard {block} {count}")
        if self.busy is not None:
            self.busy.update(range(block, block + count))

    def suspend(self):
        self.add("suspend")
        self.add("resume")

    def flush_on_suspend(self):
        self.add("message flush_on_suspend")
        self.suspend()

    def hold(self):
        """A phase in which the origin holds back what reaches it."""
        self.busy = set()
        self.written_in_hold = set()
        self.add("hold")
        # Blocks are under writeback from here on, or soon.
        if self.random.random() < 0.7:
            self.add("message flush")
        once = ["discard", "message clear_stats"] if not self.configuration.may_fill else []
        for _ in range(self.random.randint(3, 14)):
            verb = self.random.choice(["write"] * 8 + ["read"] * 3 + ["fua", "flush"] + (["fresh_run"] * 4 if self.configuration.may_fill else once))
            if verb in once:
                once = []
            if verb == "discard":
                self.held_discard()
            else:
                self.do(verb)
        self.add("release")
        self.busy = None
        if self.configuration.may_fill:
            self.add("message flush")

    def held_discard(self):
        """Blocks under writeback are left to it by the driver, and then discarded on the origin: in any order. Newer ones
        beside them it frees at once, which our engine does later: a crash could bring the older one back."""
        before = len(self.lines)
        self.busy |= self.written_in_hold
        self.discard()
        _, block, count = self.lines[before].split()
        self.undetermined.update(range(int(block), int(block) + int(count)))
