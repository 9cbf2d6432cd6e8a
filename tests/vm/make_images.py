# SPDX-License-Identifier: LGPL-2.1-or-later
"""Caches made by the real driver, what it said of them, and what it then did with a crash image of each.

Leaves a folder for every case: cache.img and origin.img as a power cut would leave them, merged.img as read through the
driver after it activated them again, after.img (the cache after that), and case.json. Each case checks here that it
holds what its name says; the other scripts of this folder compare the project's commands with it.
"""

import json
import random
import re
import shutil

import suite
from machine import MIB, Machine
from media import Image

KIB = 1024
CACHE_BYTES = 2 * MIB
ORIGIN_BYTES = 2 * MIB

ACTIVATE = """
open_devices
activate first $quiet_options
"""

# Ends every case: the crash image, and what the driver makes of it.
CRASH = """
report_status before
snapshot
close_cache
rewind
"""
AGAIN = """
activate again $quiet_options
merged again
close_cache
save_after
"""

# Two generations, blocks overwritten after their commit, a discard, and a third generation that nobody flushed.
MIXED = """
vmio scatter /dev/mapper/wc $BS 150 11
vmio fsync /dev/mapper/wc
vmio scatter /dev/mapper/wc $BS 80 12
vmio write /dev/mapper/wc $BS 200 30 1 13
vmio fsync /dev/mapper/wc
vmio write /dev/mapper/wc $BS 205 10 2 14
vmio scatter /dev/mapper/wc $BS 40 15
vmio discard /dev/mapper/wc $((BS * 220)) $((BS * 4))
"""

# Entries far behind the first 4 KiB of the metadata, in two generations.
DENSE = """
vmio write /dev/mapper/wc $BS 16 260 3 17
vmio fsync /dev/mapper/wc
vmio write /dev/mapper/wc $BS 17 120 3 18
vmio fsync /dev/mapper/wc
"""

RESIDUE = """
vmio write /dev/mapper/wc $BS 8 24 1 21
vmio fsync /dev/mapper/wc
vmio write /dev/mapper/wc $BS 40 24 1 22
vmio write /dev/mapper/wc $BS 10 4 1 23
vmio discard /dev/mapper/wc $((BS * 30)) $BS
"""

# A full cache starts to write back at once; an origin that holds its requests back keeps it full.
FULL = """
dmsetup create slow --table "0 $((ORIGIN_LEN / 512)) linear /dev/mapper/origin 0"
ORIGIN_DEVICE=/dev/mapper/slow
activate first $quiet_options
blocks=$(field 2)
vmio write /dev/mapper/wc $BS 0 $((blocks - 1)) 2 31
vmio fsync /dev/mapper/wc
dmsetup suspend --noflush --nolockfs slow
vmio write /dev/mapper/wc $BS $((2 * blocks - 2)) 1 1 31
vmio fsync /dev/mapper/wc &
until_field 3 = 0
sleep 0.5
"""

# In type s a write that finds the cache full goes around it; the origin answers only after it is resumed.
AROUND_FULL = """
vmio write /dev/mapper/wc $BS 201 1 1 32 &
vmio write /dev/mapper/wc $BS 203 1 1 32 &
vmio write /dev/mapper/wc $BS 0 3 2 33
until_field 10 = 2
dmsetup resume slow
wait
vmio fsync /dev/mapper/wc
"""

# A cleaner takes no new block in, in either type; what is in the cache is gone once it has cleaned.
AROUND_CLEANER = """
dmsetup message wc 0 cleaner
dmsetup message wc 0 flush
vmio write /dev/mapper/wc $BS 30 12 3 34
vmio fsync /dev/mapper/wc
"""

# The blocks of the origin's second half never arrive, so the writeback of a `flush` stands still between the two.
MIDWAY = """
dmsetup targets | grep -q '^delay' || skip 'the kernel has no delay target'
half=$((ORIGIN_LEN / 1024))
printf '%s\\n' "0 $half linear /dev/mapper/origin 0" \\
  "$half $half delay /dev/mapper/origin $half 0 /dev/mapper/origin $half 3600000 /dev/mapper/origin $half 0" |
  dmsetup create slow
ORIGIN_DEVICE=/dev/mapper/slow
activate first $quiet_options writeback_jobs 8
vmio write /dev/mapper/wc $BS 3 170 3 41
vmio fsync /dev/mapper/wc
vmio write /dev/mapper/wc $BS 400 10 1 42
dmsetup message wc 0 flush &
until_field 4 -gt 0
until_field 3 -gt $(($(field 2) - 100))
sleep 0.5
"""

SLOW_CRASH = """
report_status before
snapshot
dmsetup load slow --table "0 $((ORIGIN_LEN / 512)) linear /dev/mapper/origin 0"
dmsetup resume slow
close_cache
dmsetup remove slow
unset ORIGIN_DEVICE
rewind
"""


def mixed(before, after, image):
    counts = image.counts()
    return counts["live"] > 80 and before["write_hit_committed"] > 0 and before["discard"] > 0 and counts["uncommitted"] > 0


def dense(before, after, image):
    return image.counts()["live"] == 380


def has_residue(before, after, image):
    return image.counts()["uncommitted"] >= 20 and after["free"] > image.counts()["free"]


def is_full(before, after, image):
    return before["free"] == 0 and image.counts()["free"] == 0


def went_around(before, after, image):
    return before["write_around"] > 0


def is_midway(before, after, image):
    return before["writeback"] > 0 and 0 < image.counts()["live"] < 180


def is_empty(before, after, image):
    return after["free"] == after["n_blocks"]


class Recipe:
    """One case: the table line, the sizes, the work, and the check that the image holds what the case is about."""

    def __init__(self, name, kind, block_size, work, check, start=0, cache=CACHE_BYTES, origin=ORIGIN_BYTES):
        self.name, self.kind, self.block_size, self.work, self.check = name, kind, block_size, work, check
        self.start, self.cache, self.origin = start, cache, origin


def recipes():
    for kind in "sp":
        for size in (512, 1024, 2048, 4096):
            yield Recipe(f"mixed-{kind}-{size}", kind, size, ACTIVATE + MIXED + CRASH + AGAIN, mixed)
        yield Recipe(f"dense-{kind}-4096", kind, 4096, ACTIVATE + DENSE + CRASH + AGAIN, dense, origin=4 * MIB)
        yield Recipe(f"start-sector-{kind}-4096", kind, 4096, ACTIVATE + MIXED + CRASH + AGAIN, mixed, start=1000)
        yield Recipe(f"start-sector-{kind}-512", kind, 512, ACTIVATE + MIXED + CRASH + AGAIN, mixed, start=3 if kind == "s" else 8)
        yield Recipe(f"residue-{kind}-4096", kind, 4096, ACTIVATE + RESIDUE + CRASH + AGAIN, has_residue)
        yield Recipe(f"midway-{kind}-4096", kind, 4096,
                     "open_devices" + MIDWAY + SLOW_CRASH + AGAIN, is_midway)
        yield Recipe(f"full-{kind}-4096", kind, 4096, "open_devices" + FULL + SLOW_CRASH + AGAIN, is_full, cache=256 * KIB)
        yield Recipe(f"cleaned-{kind}-4096", kind, 4096,
                     ACTIVATE + MIXED + "dmsetup message wc 0 cleaner\ndmsetup message wc 0 flush\n" + CRASH + AGAIN, is_empty)
        yield Recipe(f"around-cleaner-{kind}-4096", kind, 4096, ACTIVATE + MIXED + AROUND_CLEANER + CRASH + AGAIN, went_around)
        yield Recipe(f"fresh-{kind}-4096", kind, 4096, ACTIVATE + CRASH + AGAIN, is_empty)
    yield Recipe("odd-origin-s-4096", "s", 4096, ACTIVATE + MIXED + CRASH + AGAIN, mixed, origin=ORIGIN_BYTES + 2560)
    yield Recipe("residue-s-512", "s", 512, ACTIVATE + RESIDUE + CRASH + AGAIN, has_residue)
    yield Recipe("residue-p-512", "p", 512, ACTIVATE + RESIDUE + CRASH + AGAIN, has_residue)
    yield Recipe("around-full-s-4096", "s", 4096,
                 "open_devices" + FULL + AROUND_FULL + SLOW_CRASH + AGAIN, went_around, cache=256 * KIB)


def origin_content(name, length):
    return random.Random(name).randbytes(length)


def main(arguments, report):
    images = arguments.work / "images"
    shutil.rmtree(images, ignore_errors=True)
    vm = Machine(arguments.work / "boot-images", arguments.kernel, arguments.vmio)
    beds = []
    for recipe in recipes():
        if re.search(arguments.only, recipe.name):
            bed = suite.Bed(vm, recipe.name, recipe.kind, recipe.block_size, recipe.cache,
                            origin_content(recipe.name, recipe.origin), recipe.start)
            beds.append((recipe, bed.script(recipe.work)))
    vm.boot()
    print(f"# kernel and driver: {vm.kernel_release}; boot {vm.seconds:.0f} s")
    for recipe, bed in beds:
        with report.case(recipe.name) as problems:
            save(images / recipe.name, recipe, bed, problems)


def save(folder, recipe, bed, problems):
    outcome = bed.outcome()
    if not suite.finished(problems, outcome):
        return
    folder.mkdir(parents=True)
    for key, file in (("snap", "cache"), ("snap_origin", "origin"), ("merged", "merged"), ("after", "after")):
        (folder / f"{file}.img").write_bytes(bed.read(key))
    if tail := recipe.origin % recipe.block_size:  # beyond the table, so never cached
        merged = bed.read("merged")[:-tail] + bed.read("origin")[-tail:]
        (folder / "merged.img").write_bytes(merged)
    (folder / "case.json").write_text(json.dumps({
        "name": recipe.name, "kind": recipe.kind, "block_size": recipe.block_size, "start": recipe.start,
        "values": outcome.values}, indent=1))
    before = suite.status_fields(outcome.get("before.status"))
    after = suite.status_fields(outcome.get("again.status"))
    problems.equal("merged content could be read", outcome.get("again.merged"), "0")
    problems.equal("messages of the driver", outcome.all("again.dmesg"), [])
    image = Image(bed.read("snap"), recipe.start)
    if not recipe.check(before, after, image):
        problems.add(f"the image is not what the case is about: {dict(image.counts())}, status {before}")


if __name__ == "__main__":
    suite.run(main, __doc__)
