# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same request sequences for the driver and for our engine: after each step the same 14 numbers and as many commits,
at the end the same content and the same live entries."""

import random
import re
import shutil
import subprocess

import suite
from machine import Machine
from media import Image
from sequences import Sequence, configurations

RESULT_BYTES = 1 << 18
REPLAY = """
open_devices
dmsetup create slow --table "0 $((ORIGIN_LEN / 512)) linear /dev/mapper/origin 0"
ORIGIN_DEVICE=/dev/mapper/slow
activate replay $OPTIONS
replay_driver wc slow /dev/mapper/cache /files/$NAME.script /files/$NAME.expected /tmp/result $BS
dd if=/tmp/result of=$pool bs=4096 seek=$((RESULT_AT / 4096)) conv=notrunc,sync,fsync 2>/dev/null
merged last
close_cache
dmsetup remove slow
save_after
save_origin
"""


class Twin:
    """One sequence and both its runs."""

    def __init__(self, configuration, seed, tools, replay_engine, folder):
        self.configuration, self.name = configuration, configuration.name
        self.sequence = Sequence(configuration, seed)
        self.lines = self.sequence.make()
        self.folder = folder
        folder.mkdir(parents=True)
        self.script, self.result = folder / "script", folder / "engine.result"
        self.script.write_text("".join(line + "\n" for line in self.lines))
        self.cache, self.origin = folder / "cache.img", folder / "origin.img"
        size = configuration.block_size
        self.cache.write_bytes(bytes((configuration.cache_blocks + 16) * (size + 16) // 4096 * 4096 + 4096))
        tools.run("wc-format", "--block-size", size, "--blocks", configuration.cache_blocks, self.cache)
        self.origin.write_bytes(random.Random(self.name).randbytes(configuration.origin_blocks * size))
        self.before = self.cache.read_bytes(), self.origin.read_bytes()
        self.replay_engine = replay_engine

    def run_engine(self):
        words = self.configuration.options.split()
        table = (f"0 {self.origin.stat().st_size // 512} writecache {self.configuration.kind} {self.origin} {self.cache} "
                 f"{self.configuration.block_size} {len(words)} {self.configuration.options}")
        done = subprocess.run([str(self.replay_engine), table, str(self.script), str(self.result)], capture_output=True, text=True,
                              timeout=120)
        self.trouble = f"our engine: exit {done.returncode}: {done.stderr.strip()}" if done.returncode else ""
        self.ours = self.result.read_text().splitlines()

    def prepare_driver(self, vm):
        vm.file(f"{self.name}.script", self.script.read_text())
        vm.file(f"{self.name}.expected", "".join(line + "\n" for line in self.expected()))
        self.bed = suite.Bed(vm, self.name, self.configuration.kind, self.configuration.block_size, *self.before)
        self.theirs = vm.area(RESULT_BYTES)
        self.bed.script(f"NAME={self.name} RESULT_AT={self.theirs.offset} OPTIONS='{self.configuration.options}'\n" + REPLAY)

    def check(self, problems):
        if self.trouble:
            problems.add(self.trouble)
        if not suite.finished(problems, self.bed.outcome()):
            return
        driver = self.theirs.read().rstrip(b"\0").decode().splitlines()
        (self.folder / "driver.result").write_text("".join(line + "\n" for line in driver))
        for number, (step, ours, theirs) in enumerate(zip(self.lines, self.expected(), driver), 1):
            if difference(ours, theirs):
                problems.add(f"step {number} ({step}): {difference(ours, theirs)}")
                return  # what follows would only repeat it
        problems.equal("steps", len(driver), len(self.lines))
        self.check_end(problems)
        problems.note = f"{len(driver)} steps"

    def expected(self):
        """Our lines, as the driver's should be; `*` where that cannot be said.

        The driver passes every FLUSH of type s to the origin and waits for one that is held back; ours does so only where
        something is to be made durable there. So from such a request on until the release the unfinished ones differ."""
        is_held = is_unsure = False
        for step, line in zip(self.lines, self.ours):
            verb = step.split()[0]
            is_held = (is_held or verb == "hold") and verb != "release"
            is_unsure = is_held and (is_unsure or (self.configuration.kind == "s" and verb in ("flush", "fua")))
            values = line.split()
            if is_unsure:
                values[UNFINISHED] = "*"
            if not self.configuration.commits_are_determined:
                values[COMMITS] = "*"
            yield " ".join(values)

    def check_end(self, problems):
        ours, theirs = Image(self.cache.read_bytes()), Image(self.bed.read("after"))
        content = self.determined(ours.merged(self.origin.read_bytes()))
        problems.equal("the driver's reads at the end", self.bed.outcome().get("last.merged"), "0")
        problems.same_bytes("what the driver showed at the end", self.determined(self.bed.read("merged")), content)
        problems.same_bytes("what the driver left", self.determined(theirs.merged(self.bed.read("snap_origin"))), content)
        if not self.configuration.commits_are_determined:
            problems.equal("superblock", {**ours.superblock(), "seq_count": 0}, {**theirs.superblock(), "seq_count": 0})
            problems.equal("live blocks", sorted(ours.live()), sorted(theirs.live()))
        else:
            problems.equal("superblock", ours.superblock(), theirs.superblock())
            problems.equal("live entries", numbered(ours), numbered(theirs))

    def determined(self, content):
        """Without the blocks that are open."""
        content, size = bytearray(content), self.configuration.block_size
        for block in self.sequence.undetermined:
            content[block * size:(block + 1) * size] = bytes(size)
        return bytes(content)


def numbered(image):
    """{block: number} of the live entries."""
    return {sector: image.entry(index).sequence for sector, index in sorted(image.live().items())}


FIELDS = (*suite.STATUS_FIELDS, "commits", "unfinished", "read_content")
COMMITS = FIELDS.index("commits")
UNFINISHED = FIELDS.index("unfinished")


def difference(ours, theirs):
    return ", ".join(f"{field} {ours_value} but the driver says {theirs_value}" for field, ours_value, theirs_value in
                     zip(FIELDS, ours.split(), theirs.split()) if ours_value not in (theirs_value, "*"))


def main(arguments, report):
    tools = suite.Tools(arguments.tools)
    work = arguments.work / "differential"
    shutil.rmtree(work, ignore_errors=True)
    programs = arguments.vmio.parent
    vm = Machine(work / "boot", arguments.kernel, arguments.vmio, [programs / "replay_driver"])
    print(f"# seed {arguments.seed}: --seed {arguments.seed} sends the same requests again, --only NAME those of one case")
    twins = [Twin(configuration, arguments.seed, tools, programs / "replay_engine", work / configuration.name)
             for configuration in configurations() if re.search(arguments.only, configuration.name)]
    for twin in twins:
        twin.run_engine()
        twin.prepare_driver(vm)
    vm.boot()
    print(f"# boot {vm.seconds:.0f} s")
    for twin in twins:
        with report.case(twin.name) as problems:
            twin.check(problems)


if __name__ == "__main__":
    suite.run(main, __doc__, lambda parser: parser.add_argument("--seed", type=int, default=1))
