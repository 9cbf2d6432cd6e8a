# SPDX-License-Identifier: LGPL-2.1-or-later
"""The driver's caches in the hands of the commands: wc-check foretells the activation, wc-dump counts and reads what the
driver shows, wc-flush makes the origin equal to it byte for byte, and the driver then takes the cache back, empty."""

import re
import shutil

import suite
from machine import Machine
from made_images import load_all
from media import Image


def check_agrees(problems, tools, made, folder):
    """wc-check -n: exit 0, its prediction against what the driver did, its counts against our own reading."""
    status, found = tools.json("wc-check", *made.words, "--block-size", made.block_size, "--origin", folder / "origin.img", folder / "cache.img")
    problems.equal("wc-check exit status", status, 0)
    problems.equal("wc-check verdict", found.get("verdict"), "clean")
    if "activation" not in found:
        problems.add(f"wc-check gave no activation: {found.get('stderr')}")
        return
    before, after = made.cache_image(), Image(made.read("after"), made.start)
    driver = suite.driver_activation(made.outcome, "again", was_blank=False)
    suite.compare_prediction(problems, found["activation"], driver, before, after)
    counts = before.counts()
    for key in ("free", "live", "stale", "uncommitted", "future"):
        problems.equal(f"wc-check counts.{key}", found["counts"][key], counts[key])
    superblock = before.superblock()
    for key in ("magic", "version", "block_size", "n_blocks", "seq_count"):
        problems.equal(f"wc-check superblock.{key}", found["superblock"][key], superblock[key])


def dump_agrees(problems, tools, made, folder):
    """wc-dump: n_blocks and the number of live entries as in the driver's status line, and the merged content."""
    status, dump = tools.json("wc-dump", *made.words, "--entries=all", folder / "cache.img")
    problems.equal("wc-dump exit status", status, 0)
    if "counts" not in dump:
        problems.add(f"wc-dump gave no counts: {dump.get('stderr')}")
        return
    fields = suite.status_fields(made.outcome.get("again.status"))
    image = made.cache_image()
    problems.equal("wc-dump n_blocks", dump["superblock"]["n_blocks"], fields["n_blocks"])
    written_back = 1 if made.is_full and fields["free"] == 1 else 0
    problems.equal("wc-dump live", dump["counts"]["live"] - written_back, fields["n_blocks"] - fields["free"])
    problems.equal("wc-dump dirty_bytes", dump["dirty_bytes"], dump["counts"]["live"] * made.block_size)
    live = {item["sector"]: item["index"] for item in dump["entries"] if item["state"] == "live"}
    problems.equal("wc-dump live entries", live, image.live())
    sectors = len(made.read("origin")) // 512
    done = tools.run("wc-dump", *made.words, "--read", f"0+{sectors}", "--origin", folder / "origin.img", folder / "cache.img")
    problems.equal("wc-dump --read exit status", done.returncode, 0)
    problems.same_bytes("wc-dump --read", done.stdout, made.read("merged"))


def flush_agrees(problems, tools, made, folder, work):
    """wc-flush on copies: the origin becomes the merged content; returns the flushed cache."""
    cache, origin = work / f"{made.name}.cache.img", work / f"{made.name}.origin.img"
    shutil.copyfile(folder / "cache.img", cache)
    shutil.copyfile(folder / "origin.img", origin)
    status, report = tools.json("wc-flush", *made.words, "--origin", origin, cache)
    problems.equal("wc-flush exit status", status, 0)
    live = made.cache_image().counts()["live"]
    problems.equal("wc-flush blocks_written", report.get("blocks_written", report.get("stderr")), live)
    problems.equal("wc-flush blocks_failed", report.get("blocks_failed"), 0)
    problems.same_bytes("origin after wc-flush", origin.read_bytes(), made.read("merged"))
    return cache.read_bytes(), origin.read_bytes()


def main(arguments, report):
    tools = suite.Tools(arguments.tools)
    work = arguments.work / "driver-to-us"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    vm = Machine(work / "boot", arguments.kernel, arguments.vmio)
    flushed = []
    for made in load_all(arguments.work / "images"):
        if not re.search(arguments.only, made.name):
            continue
        with report.case(made.name) as problems:
            problems.note = made.describe()
            check_agrees(problems, tools, made, made.folder)
            dump_agrees(problems, tools, made, made.folder)
            cache, origin = flush_agrees(problems, tools, made, made.folder, work)
            bed = suite.Bed(vm, made.name, made.kind, made.block_size, cache, origin, made.start)
            flushed.append((made, bed.script("open_devices\nactivate flushed $quiet_options\nclose_cache\n")))
    vm.boot()
    for made, bed in flushed:
        with report.case(f"{made.name}-flushed") as problems:
            if suite.finished(problems, bed.outcome()):
                accepted_empty(problems, bed.outcome())


def accepted_empty(problems, outcome):
    """The driver takes the cache without a word and finds nothing dirty in it."""
    kind, message, fields = suite.driver_activation(outcome, "flushed", was_blank=False)
    problems.equal("activation after wc-flush", (kind, message), ("loads", ""))
    if fields:
        problems.equal("free after wc-flush", fields["free"], fields["n_blocks"])


if __name__ == "__main__":
    suite.run(main, __doc__)
