# SPDX-License-Identifier: LGPL-2.1-or-later
"""Damaged caches: what wc-check says the driver would do, against what the driver then really does."""

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
# Type p differs in how it reaches the medium, not in how it reads an image: a choice is enough. Nothing for areas too small
# for one block, where the driver words its refusal differently and wc-check cannot know the type.
TYPE_P = re.compile(r"whole|uncommitted|stale|future|identical-(5-5|5-5-7|7-5-5|5-7-5)|beyond-origin|sequence-largest|zeroed-sector"
                    r"|n-blocks-0|version-2|magic-bit|pad-not-zero|table-block-size")
UNREADABLE = {"misaligned"}  # the driver answers reads around such an entry with EIO

SCRIPT = """
open_devices
activate damaged $quiet_options
if is_active; then
  merged damaged
  close_cache
  save_after
fi
"""


def prepare(arguments, vm):
    """[(case name, recipe, base, damaged bytes, bed)]"""
    cases = []
    for kind in "sp":
        base = load(arguments.work / "images", f"dense-{kind}-4096")
        origin_bytes = base.read("origin")
        origin = vm.area_of(origin_bytes)
        for recipe in damage.RECIPES.values():
            name = f"{recipe.name}-{kind}"
            if (kind == "p" and not TYPE_P.fullmatch(recipe.name)) or not re.search(arguments.only, name):
                continue
            data = damage.damaged(recipe.name, base.read("cache"), len(origin_bytes) // 512)
            bed = suite.Bed(vm, name, kind, recipe.table_block_size or base.block_size, data, origin)
            cases.append((name, recipe, base, data, bed.script(SCRIPT)))
    return cases


def compare(problems, tools, recipe, base, data, bed, cache):
    outcome = bed.outcome()
    if not suite.finished(problems, outcome, may_warn=recipe.name == "n-blocks-0"):  # vmalloc warns about a size of zero
        return
    cache.write_bytes(data)
    origin = base.folder / "origin.img"
    status, found = tools.json("wc-check", "--block-size", bed.block_size, "--origin", origin, cache)
    if "activation" not in found:
        problems.add(f"wc-check exit {status} without activation: {found.get('stderr')}")
        return
    before, after = Image(data), Image(bed.read("after"))
    was_blank = len(data) >= 64 and before.superblock()["magic"] == 0 and before.superblock()["version"] == 0
    driver = suite.driver_activation(outcome, "damaged", was_blank)
    suite.compare_prediction(problems, found["activation"], driver, before, after)
    codes = {finding["code"] for finding in found["findings"]}
    if recipe.codes and not codes & set(recipe.codes):
        problems.add(f"findings {sorted(codes)} have none of {sorted(recipe.codes)}")
    problems.equal("wc-check exit status", status, 4 if codes & ERRORS else 0)
    if data != cache.read_bytes():
        problems.add("wc-check without a repair changed the image")
    if driver[0] in ("loads", "loads-with-error") and recipe.name not in UNREADABLE:
        problems.equal("merged content could be read", outcome.get("damaged.merged"), "0")
        merged = bed.read("merged")
        problems.same_bytes("our reading of the driver's merged content", before.merged(base.read("origin")), merged)
        done = tools.run("wc-dump", "--read", f"0+{len(merged) // 512}", "--origin", origin, cache)
        problems.same_bytes("wc-dump --read", done.stdout, merged)


def main(arguments, report):
    tools = suite.Tools(arguments.tools)
    work = arguments.work / "damaged"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    vm = Machine(work / "boot", arguments.kernel, arguments.vmio)
    cases = prepare(arguments, vm)
    vm.boot()
    print(f"# boot {vm.seconds:.0f} s")
    for name, recipe, base, data, bed in cases:
        with report.case(name) as problems:
            compare(problems, tools, recipe, base, data, bed, work / "cache.img")


if __name__ == "__main__":
    suite.run(main, __doc__)
