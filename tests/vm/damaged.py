# SPDX-License-Identifier: LGPL-2.1-or-later
"""Damaged caches: what wc-check says the driver would do, against what the driver then really does."""

import collections
import re
import shutil

import suite
from machine import Machine
from made_images import load
import damage
from media import Image

# Severity error in the command's contract: wc-check -n ends with 4.
ERRORS = {"zeroed-superblock", "interrupted-format", "bad-magic", "bad-version", "bad-block-size", "block-size-mismatch", "bad-n-blocks",
          "area-too-small", "future", "identical", "misaligned", "out-of-range", "beyond-origin", "sequence-exhausted"}
# area-too-small means two things, for which the driver has two messages: a case of each has to be there.
TOO_SMALL = {"Memory area is too small": "area-too-small (for its blocks)", "Invalid device size": "area-too-small (for one block)"}
CODES = sorted((ERRORS - {"area-too-small"}) | {"uncommitted", "stale", "spare-room", "pad-not-zero", "blank", *TOO_SMALL.values()})
# Type p differs in how it reaches the medium, not in how it reads an image: one case of each finding is enough.
TYPE_P = re.compile(r"whole|uncommitted|stale|future|identical-(5-5|5-5-7|7-5-5|5-7-5|equal-data)|beyond-origin|sequence-(largest|exhausted)"
                    r"|zeroed-sector|n-blocks-(0|one-more)|version-2|magic-bit|pad-not-zero|table-block-size|spare-room|blank|interrupted-format"
                    r"|misaligned|out-of-range|block-size-0|truncated|one-block")
# Likewise for the smallest blocks.
SMALL_BLOCKS = re.compile(r"whole|uncommitted|stale|future|identical-5-5|beyond-origin|n-blocks-one-more|zeroed-sector|truncated")
# Type p asks for room only when it formats; wc-check speaks of type s (doc/format.md, loading a table).
TYPE_P_MESSAGES = {"one-block": "Memory area is too small"}
UNREADABLE = {"misaligned"}  # the driver answers reads around such an entry with EIO

SCRIPT = """
open_devices
activate damaged $quiet_options
if is_active; then
  merged damaged
  close_cache
fi
save_after
"""


def choices():
    """(base image, damage recipe) of every case."""
    for base, chosen in (("dense-s-4096", None), ("dense-p-4096", TYPE_P), ("mixed-s-512", SMALL_BLOCKS)):
        for recipe in damage.RECIPES.values():
            if chosen is None or chosen.fullmatch(recipe.name):
                yield base, recipe


def prepare(arguments, vm):
    """[(case name, recipe, base, damaged bytes, bed)]"""
    cases, bases = [], {}
    for base_name, recipe in choices():
        name = f"{recipe.name}-{base_name.partition('-')[2]}"
        if not re.search(arguments.only, name):
            continue
        if base_name not in bases:
            base = load(arguments.work / "images", base_name)
            bases[base_name] = base, vm.area_of(base.read("origin"))
        base, origin = bases[base_name]
        data = damage.damaged(recipe.name, base.read("cache"), origin.length // 512)
        bed = suite.Bed(vm, name, base.kind, recipe.table_block_size or base.block_size, data, origin)
        cases.append((name, recipe, base, data, bed.script(SCRIPT)))
    return cases


def compare(problems, tools, recipe, base, data, bed, cache):
    """Returns the findings of the recipe that were there, as far as this case can prove them."""
    outcome = bed.outcome()
    if not suite.finished(problems, outcome, may_warn=recipe.name == "n-blocks-0"):  # vmalloc warns about a size of zero
        return set()
    cache.write_bytes(data)
    origin = base.folder / "origin.img"
    status, found = tools.json("wc-check", "--block-size", bed.block_size, "--origin", origin, cache)
    if "activation" not in found:
        problems.add(f"wc-check exit {status} without activation: {found.get('stderr')}")
        return set()
    before, after = Image(data), Image(bed.read("after"))
    superblock = before.superblock()
    driver = suite.driver_activation(outcome, "damaged", was_blank=superblock["magic"] == 0 and superblock["version"] == 0)
    if base.kind == "p" and recipe.name in TYPE_P_MESSAGES:
        problems.equal("message of type p", driver[1], TYPE_P_MESSAGES[recipe.name])
        driver = (driver[0], found["activation"]["driver_message"], None)
    suite.compare_prediction(problems, found["activation"], driver, before, after)
    codes = {finding["code"] for finding in found["findings"]}
    if missing := set(recipe.codes) - codes:
        problems.add(f"findings {sorted(codes)} lack {sorted(missing)}")
    problems.equal("wc-check exit status", status, 4 if codes & ERRORS else 0)
    if data != cache.read_bytes():
        problems.add("wc-check without a repair changed the image")
    if driver[0] == "formats":
        suite.compare_medium(problems, before.formatted(bed.block_size), after)
        problems.equal("free blocks after the driver formatted it", driver[2]["free"], after.superblock()["n_blocks"])
    elif driver[0] == "refuses":
        problems.same_bytes("a cache that the driver refused", bytes(after.data), data)
        messages = {finding["driver_message"] for finding in found["findings"]}
        if driver[1] not in messages:
            problems.add(f"no finding has the driver's message, {driver[1]!r}, but {sorted(messages)}")
    elif recipe.name not in UNREADABLE:
        compare_content(problems, tools, base, before, bed, cache)
    problems.note = describe(driver, found, codes, recipe)
    return {TOO_SMALL.get(driver[1], code) if code == "area-too-small" else code for code in codes & set(recipe.codes)}


def compare_content(problems, tools, base, before, bed, cache):
    """What a reader of the active device saw, against our own reading and wc-dump's."""
    origin = base.folder / "origin.img"
    problems.equal("merged content could be read", bed.outcome().get("damaged.merged"), "0")
    merged = bed.read("merged")
    problems.same_bytes("our reading of the driver's merged content", before.merged(base.read("origin")), merged)
    done = tools.run("wc-dump", "--read", f"0+{len(merged) // 512}", "--origin", origin, cache)
    problems.same_bytes("wc-dump --read", done.stdout, merged)


def describe(driver, found, codes, recipe):
    """A case in a line: findings, what the driver did, the story."""
    kind, message, _ = driver
    freed = found["activation"]["frees_entries"]
    return (f"{', '.join(sorted(codes)) or 'nothing found'}; the driver {kind}{f' ({message})' if message else ''}"
            f"{f', frees {freed}' if freed else ''}; {recipe.story}")


def main(arguments, report):
    tools = suite.Tools(arguments.tools)
    work = arguments.work / "damaged"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    vm = Machine(work / "boot", arguments.kernel, arguments.vmio)
    cases = prepare(arguments, vm)
    vm.boot()
    print(f"# boot {vm.seconds:.0f} s")
    proven = collections.defaultdict(list)
    for name, recipe, base, data, bed in cases:
        with report.case(name) as problems:
            codes = compare(problems, tools, recipe, base, data, bed, work / "cache.img")
            for code in codes if not problems.list else ():
                proven[code].append(name)
    if not arguments.only:
        report.covers("finding", proven, CODES)


if __name__ == "__main__":
    suite.run(main, __doc__)
