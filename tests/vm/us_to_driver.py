# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the commands write, in the hands of the driver: formatted caches it takes as its own, repaired caches it activates
without a word and with the content that wc-check promised."""

import collections
import random
import re
import shutil

import suite
from machine import MIB, Machine
from made_images import load
import damage
from media import FREE, Image

# Ours first; then the driver makes its own on the same device, to compare the two.
FORMATTED = """
open_devices
activate ours $quiet_options
vmio write /dev/mapper/wc $BS 3 5 1 51
vmio fsync /dev/mapper/wc
report_status used
close_cache
vmio zero /dev/mapper/cache $((START * 512 / 4096 * 4096)) 8192
activate theirs $quiet_options
close_cache
save_after
"""
# A cache of one block has no room for the writes of the others.
FORMATTED_TINY = FORMATTED.replace("$BS 3 5 1 51", "$BS 3 1 1 51")
WIPED = """
open_devices
activate theirs $quiet_options
close_cache
"""
REPAIRED = """
open_devices
activate repaired $quiet_options
if is_active; then
  merged repaired
  close_cache
fi
save_after
"""
ORIGIN_BYTES = MIB

# What -y can bring back; the second member tells whether the superblock has to be made anew.
REPAIRS = {
    "whole": False, "uncommitted": False, "stale": False, "pad-not-zero": False, "future": False, "future-largest": False,
    "identical-5-5": False, "identical-5-5-7": False, "identical-7-5-5": False, "identical-5-7-5": False, "identical-equal-data": False,
    "misaligned": False, "beyond-origin": False, "out-of-range": False, "sequence-exhausted": False, "sequence-largest": False,
    "interrupted-format": False, "zeroed-sector": True, "zeroed-page": True, "magic-bit": True, "magic-zero": True, "version-2": True,
    "block-size-512": True, "block-size-0": True, "n-blocks-0": True, "n-blocks-one-more": True, f"n-blocks-{1 << 60}": True,
}
REPAIRS_TYPE_P = ("uncommitted", "stale", "future", "identical-5-5", "misaligned", "beyond-origin", "out-of-range", "interrupted-format",
                  "zeroed-sector", "zeroed-page", "n-blocks-0", "sequence-largest")
# On caches whose metadata begins elsewhere or holds more entries, and has residue; a rebuild could not tell that from data.
REPAIRS_ELSEWHERE = ("uncommitted", "stale", "pad-not-zero", "future", "identical-5-5", "beyond-origin", "out-of-range", "sequence-exhausted")
PREENS = ("whole", "uncommitted", "stale")
# What wc-check has to find and then correct in one case at least: all but what needs no repair.
REPAIRABLE = ("uncommitted", "stale", "pad-not-zero", "zeroed-superblock", "interrupted-format", "bad-magic", "bad-version", "bad-block-size",
              "block-size-mismatch", "bad-n-blocks", "area-too-small", "future", "identical", "misaligned", "out-of-range", "beyond-origin",
              "sequence-exhausted")
NOTHING_TO_DO = ("whole",)


class Format:
    """One formatting: the table line's words and wc-format's."""

    def __init__(self, name, kind, block_size, start=0, cache_bytes=MIB, words=()):
        self.name, self.kind, self.block_size, self.start = name, kind, block_size, start
        self.cache_bytes, self.words = cache_bytes, [*words]


def formats():
    for kind in "sp":
        for size in (512, 1024, 2048, 4096):
            yield Format(f"format-{kind}-{size}", kind, size)
        yield Format(f"format-start-sector-{kind}-4096", kind, 4096, start=1000)
        yield Format(f"format-blocks-{kind}-4096", kind, 4096, words=["--blocks", 100])
    yield Format("format-start-sector-s-512", "s", 512, start=3)
    yield Format("format-odd-size-s-4096", "s", 4096, cache_bytes=MIB - 1536)
    yield Format("format-odd-size-s-512", "s", 512, cache_bytes=MIB - 512)
    yield Format("format-one-block-s-4096", "s", 4096, cache_bytes=8192)


def options(start, block_size):
    return [*(["--start-sector", start] if start else []), "--block-size", block_size]


def prepare_formats(arguments, tools, vm, work):
    beds = []
    origin = vm.area_of(random.Random("formats").randbytes(ORIGIN_BYTES))
    for item in formats():
        if not re.search(arguments.only, item.name):
            continue
        cache = work / f"{item.name}.img"
        cache.write_bytes(bytes(item.cache_bytes))
        status, said = tools.json("wc-format", *options(item.start, item.block_size), *item.words, cache)
        bed = suite.Bed(vm, item.name, item.kind, item.block_size, cache.read_bytes(), origin, item.start)
        beds.append((item, status, said, cache.read_bytes(), bed.script(FORMATTED if item.cache_bytes > MIB // 2 else FORMATTED_TINY)))
    return beds


def check_format(problems, item, status, said, image, bed):
    problems.equal("wc-format exit status", status, 0)
    if not suite.finished(problems, bed.outcome()):
        return
    kind, message, fields = suite.driver_activation(bed.outcome(), "ours", was_blank=False)
    problems.equal("activation of our format", (kind, message), ("loads", ""))
    their_kind, _, theirs = suite.driver_activation(bed.outcome(), "theirs", was_blank=True)
    problems.equal("activation of the zeroed device", their_kind, "formats")
    if not fields or not theirs:
        return
    problems.equal("wc-format n_blocks", said.get("n_blocks", said.get("stderr")), fields["n_blocks"])
    problems.equal("free blocks", fields["free"], fields["n_blocks"])
    if item.words:
        problems.equal("--blocks", fields["n_blocks"], item.words[1])
        return
    problems.equal("n_blocks of the driver's own format", fields["n_blocks"], theirs["n_blocks"])
    length = 64 + 16 * fields["n_blocks"]
    at = item.start * 512
    if image[at:at + length] != bed.read("after")[at:at + length]:
        problems.add("superblock and entries differ from the driver's own format")


def prepare_wipes(arguments, tools, vm, work):
    beds = []
    for kind in "sp":
        base = load(arguments.work / "images", f"dense-{kind}-4096")
        name = f"wipe-{kind}-4096"
        if re.search(arguments.only, name):
            cache = work / f"{name}.img"
            shutil.copyfile(base.folder / "cache.img", cache)
            refused = tools.run("wc-format", "--wipe", cache).returncode
            status = tools.run("wc-format", "--wipe", "--force", "--discard-dirty", cache).returncode
            bed = suite.Bed(vm, name, kind, 4096, cache.read_bytes(), base.read("origin"))
            beds.append((name, refused, status, bed.script(WIPED)))
    return beds


def check_wipe(problems, refused, status, bed):
    problems.equal("wc-format --wipe of a dirty cache", refused, 8)
    problems.equal("wc-format --wipe --force --discard-dirty", status, 0)
    if suite.finished(problems, bed.outcome()):
        kind, message, fields = suite.driver_activation(bed.outcome(), "theirs", was_blank=True)
        problems.equal("activation of a wiped device", (kind, message), ("formats", ""))
        if fields:
            problems.equal("free blocks", fields["free"], fields["n_blocks"])


class Repair:
    """One repair on the host: what is wrong before the driver sees it goes into `complaints`."""

    def __init__(self, name, words, recipe, base):
        self.name, self.words, self.recipe, self.base = name, words, recipe, base
        self.complaints, self.codes, self.repaired = suite.Problems(), set(), b""

    def damaged(self):
        return damage.damaged(self.recipe, self.base.read("cache"), len(self.base.read("origin")) // 512, self.base.start)

    def run(self, tools, work):
        cache, undo, origin = work / f"{self.name}.img", work / f"{self.name}.undo", self.base.folder / "origin.img"
        data = self.damaged()
        cache.write_bytes(data)
        table = [*options(self.base.start, self.base.block_size), "--origin", origin]
        words = [*self.words, "--undo", undo, *(["--rebuild-superblock"] if REPAIRS[self.recipe] else []), *table, cache]
        self.codes = {item["code"] for item in tools.json("wc-check", *table, cache)[1].get("findings", [])}
        status, found = tools.json("wc-check", *words)
        wanted = 0 if self.recipe in NOTHING_TO_DO else 1
        if status != wanted:
            self.complaints.add(f"wc-check {' '.join(self.words)}: exit {status} instead of {wanted}, verdict {found.get('verdict')},"
                                f" {found.get('stderr') or [item['message'] for item in found.get('findings', [])]}")
        status, found = tools.json("wc-check", *table, cache)
        self.complaints.equal("exit status of a second wc-check", status, 0)
        self.repaired = cache.read_bytes()
        if wanted:
            done = tools.run("wc-check", *table[:2 if self.base.start else 0], "--apply-undo", undo, cache)
            self.complaints.equal("wc-check --apply-undo exit status", done.returncode, 1)
            self.complaints.same_bytes("the image after --apply-undo", cache.read_bytes(), data)
        return self.repaired

    def expected(self):
        """The merged content the contract promises."""
        image = Image(self.damaged(), self.base.start)
        if "--future=commit" in self.words:
            image.set(seq_count=1 + max(entry.sequence for entry in image.entries() if entry.sequence != FREE))
        if REPAIRS[self.recipe]:
            whole = self.base.cache_image()
            image.set(**whole.superblock())
            for index, entry in enumerate(image.entries()):
                if entry == (0, 0) and entry != whole.entry(index):
                    image.set_entry(index, FREE, FREE)  # zeroed with the superblock: its block cannot be named any more
        return image.merged(self.base.read("origin"))


def repairs(arguments):
    for base_name, chosen in (("dense-s-4096", REPAIRS), ("dense-p-4096", REPAIRS_TYPE_P), ("start-sector-s-4096", REPAIRS_ELSEWHERE),
                              ("start-sector-p-512", REPAIRS_ELSEWHERE)):
        base, label = load(arguments.work / "images", base_name), base_name.removeprefix("dense-")
        for recipe in chosen:
            yield Repair(f"repair-{recipe}-{label}", ["-y"], recipe, base)
        if base_name.startswith("dense"):
            yield Repair(f"repair-future-commit-{label}", ["-y", "--future=commit"], "future", base)
            for recipe in PREENS:
                yield Repair(f"preen-{recipe}-{label}", ["-p"], recipe, base)


def prepare_repairs(arguments, tools, vm, work):
    beds, origins = [], {}
    for repair in repairs(arguments):
        if re.search(arguments.only, repair.name):
            base = repair.base
            if base.name not in origins:
                origins[base.name] = vm.area_of(base.read("origin"))
            bed = suite.Bed(vm, repair.name, base.kind, base.block_size, repair.run(tools, work), origins[base.name], base.start)
            beds.append((repair, bed.script(REPAIRED)))
    return beds


def check_repair(problems, repair, bed):
    problems.list += repair.complaints.list
    if not suite.finished(problems, bed.outcome()):
        return
    kind, message, _ = suite.driver_activation(bed.outcome(), "repaired", was_blank=False)
    problems.equal("activation after the repair", (kind, message), ("loads", ""))
    problems.equal("other kernel messages", bed.outcome().all("repaired.dmesg"), [])
    problems.same_bytes("the cache after the activation", bed.read("after"), repair.repaired)
    problems.note = f"{', '.join(sorted(repair.codes)) or 'nothing found'}; wc-check {' '.join(repair.words)}; the driver loads it"
    if kind == "loads":
        problems.equal("merged content could be read", bed.outcome().get("repaired.merged"), "0")
        problems.same_bytes("merged content after the repair", bed.read("merged"), repair.expected())


def main(arguments, report):
    tools = suite.Tools(arguments.tools)
    work = arguments.work / "us-to-driver"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    vm = Machine(work / "boot", arguments.kernel, arguments.vmio)
    formatted = prepare_formats(arguments, tools, vm, work)
    wiped = prepare_wipes(arguments, tools, vm, work)
    repaired = prepare_repairs(arguments, tools, vm, work)
    vm.boot()
    print(f"# boot {vm.seconds:.0f} s")
    for item, status, said, image, bed in formatted:
        with report.case(item.name) as problems:
            check_format(problems, item, status, said, image, bed)
    for name, refused, status, bed in wiped:
        with report.case(name) as problems:
            check_wipe(problems, refused, status, bed)
    proven = collections.defaultdict(list)
    for repair, bed in repaired:
        with report.case(repair.name) as problems:
            check_repair(problems, repair, bed)
            for code in repair.codes if not problems.list and "-y" in repair.words else ():
                proven[code].append(repair.name)
    if not arguments.only:
        report.covers("repair", proven, REPAIRABLE)


if __name__ == "__main__":
    suite.run(main, __doc__)
