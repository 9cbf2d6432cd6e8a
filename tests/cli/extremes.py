#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""extremes.py TOOL: metadata that may hold anything never make a command crash, hang or write.

Every superblock field at 0, 1, max, max-1 and random numbers, images cut at many lengths, entries of random bytes. Each
run must end in time with a status of the contract, without a sanitizer's report and with every byte as it was; what
wc-check calls repaired must then pass. The seed is printed and can be given in WC_SEED.
"""
import hashlib
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "images"))
import cacheimage
import recipes

TIMEOUT_SECONDS = 60
FIELDS = {"magic": 32, "version": 32, "block_size": 32, "pad": 32, "n_blocks": 64, "seq_count": 64}
LOOKING = {"wc-check": [[], ["--json", "--memory", "8M"], ["--rebuild-superblock"]],
           "wc-format": [["--dry-run"], ["--dry-run", "--force", "--json"]],
           "wc-dump": [["--entries=all"], ["--json", "--entries=all", "--sort=sector"], ["--map"]],
           "wc-flush": [["--dry-run"], ["--dry-run", "--skip-check", "--json"]]}


def digest(*paths):
    total = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            total.update(file.read())
    return total.hexdigest()


class Runner:
    def __init__(self, tool, folder):
        self.tool = tool
        self.cache = os.path.join(folder, "cache.img")
        self.origin = os.path.join(folder, "origin.img")
        self.kept = os.path.join(folder, "kept.img")
        self.limits_memory = "asan" not in subprocess.run(["ldd", shutil.which(tool)], capture_output=True, text=True).stdout
        cacheimage.make_origin(self.origin, 2048)
        self.runs = 0
        self.failures = 0

    def limit(self):
        if self.limits_memory:
            resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

    def fail(self, what, words, detail=""):
        print(f"FAILED {what}: {' '.join(words)}: {detail}")
        shutil.copy(self.cache, f"{self.tool}.failed.img")
        self.failures += 1

    def run(self, what, words):
        words = [self.tool] + words
        if self.tool in ("wc-flush", "wc-check", "wc-dump"):
            words += ["--origin", self.origin]
        words.append(self.cache)
        self.runs += 1
        try:
            done = subprocess.run(words, capture_output=True, timeout=TIMEOUT_SECONDS, preexec_fn=self.limit)
        except subprocess.TimeoutExpired:
            self.fail(what, words, "did not end")
            return None
        text = done.stderr.decode(errors="replace")
        if done.returncode not in (0, 1, 4, 5, 8, 12):
            self.fail(what, words, f"status {done.returncode} {text[-1500:]}")
        for mark in ("Sanitizer", "runtime error:", "internal error", "out of memory"):
            if mark in text:
                self.fail(what, words, text[-1500:])
                break
        return done.returncode

    def looks(self, what):
        """All forms that must not write."""
        before = digest(self.cache, self.origin)
        for words in LOOKING[self.tool]:
            self.run(what, list(words))
            if digest(self.cache, self.origin) != before:
                self.fail(what, words, "bytes changed")
        if self.tool == "wc-check":
            self.repairs(what)

    def repairs(self, what):
        """-y either repairs, and the next check is fine, or says so; the undo file gives every byte back."""
        before = digest(self.cache)
        undo = self.cache + ".undo"
        if os.path.exists(undo):
            os.unlink(undo)
        status = self.run(what, ["-y", "--undo", undo])
        if status == 1 and self.run(what, []) != 0:
            self.fail(what, ["-y"], "repaired, but the next check complains")
        if status is not None and status & 1 == 0 and digest(self.cache) != before:
            self.fail(what, ["-y"], f"status {status}, but bytes changed")
        if os.path.exists(undo):
            restored = self.run(what, ["--apply-undo", undo])
            if restored not in (0, 1) or digest(self.cache) != before:
                self.fail(what, ["--apply-undo"], f"status {restored}: not the bytes of before")


def main():
    tool = sys.argv[1]
    os.environ["PATH"] = os.path.join(os.environ["WC_BUILD_DIR"], "bin") + ":" + os.environ["PATH"]
    seed = int(os.environ.get("WC_SEED", "1"))
    print(f"seed {seed}")
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(tool, folder)
        for field, bits in FIELDS.items():
            top = (1 << bits) - 1
            for value in (0, 1, 2, 511, 512, 65536, top // 2, top - 1, top, chance.getrandbits(bits)):
                image = recipes.populated(block_size=512, n_blocks=300)
                image.superblock[field] = value
                image.write(runner.cache)
                runner.looks(f"{field}={value}")
        whole = recipes.uncommitted()
        whole.write(runner.kept)
        size = os.path.getsize(runner.kept)
        lengths = [0, 1, 3, 4, 15, 16, 31, 32, 63, 64, 65, 79, 80, 511, 512, 513, 4095, 4096, 4097, 4863, 4864, 4865, 8191, 8192,
                   8193, size // 2, size - 4096, size - 512, size - 1] + [chance.randrange(size) for _ in range(6)]
        for length in lengths:
            shutil.copy(runner.kept, runner.cache)
            os.truncate(runner.cache, length)
            runner.looks(f"cut at {length}")
        for number in range(12):
            image = cacheimage.Image(block_size=512, n_blocks=200, seq_count=chance.choice((0, 1, 10, 1 << 40, (1 << 64) - 2)))
            if number % 3 == 0:  # random bytes
                table = chance.randbytes(16 * 200)
            elif number % 3 == 1:  # few sectors and sequences: everything collides
                table = b"".join(cacheimage.ENTRY.pack(chance.randrange(6), chance.randrange(12)) for _ in range(200))
            else:  # numbers at the edges
                edges = (0, 1, 7, 8, 2047, 2048, (1 << 54) - 1, 1 << 54, 1 << 55, (1 << 63) - 1, (1 << 64) - 2, (1 << 64) - 1)
                table = b"".join(cacheimage.ENTRY.pack(chance.choice(edges), chance.choice(edges)) for _ in range(200))
            image.patches.append((64, table))
            image.write(runner.cache)
            runner.looks(f"entries {number} of seed {seed}")
        print(f"{runner.runs} runs, {runner.failures} failures")
        return 1 if runner.failures else 0


if __name__ == "__main__":
    sys.exit(main())
