# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the scripts of this folder share: their arguments, the report of cases, the areas of a case, the tools."""

import argparse
import contextlib
import json
import pathlib
import subprocess
import sys
import traceback

import machine

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "images"))
from media import FREE  # noqa: E402  found only now

STATUS_FIELDS = ("error", "n_blocks", "free", "writeback", "read", "read_hit", "write", "write_hit_uncommitted",
                 "write_hit_committed", "write_around", "write_allocate", "write_blocked", "flush", "discard")


def run(main, description, add_arguments=lambda parser: None):
    """Calls main(arguments, report), prints the cases, and ends with 0, 1, or 77 when the suite cannot run here."""
    sys.stdout.reconfigure(line_buffering=True)
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--work", required=True, type=pathlib.Path, help="folder for images, made anew where needed")
    parser.add_argument("--vmio", required=True, type=pathlib.Path, help="the built helper of the test machine")
    parser.add_argument("--tools", type=pathlib.Path, help="folder of the built commands")
    parser.add_argument("--only", default="", help="run the cases whose name matches this expression")
    add_arguments(parser)
    arguments = parser.parse_args()
    report = Report()
    try:
        arguments.kernel = arguments.work / "kernel"
        machine.fetch_kernel(arguments.kernel)
        main(arguments, report)
    except machine.Skip as skip:
        print(skip)
        sys.exit(77)
    sys.exit(report.finish())


class CannotRun(Exception):
    """This machine lacks what a case needs; the text says what."""


class Report:
    """The cases as TAP: one without complaints is ok, one that cannot run is skipped with its reason."""

    def __init__(self):
        self.names, self.failed, self.skipped = [], [], []

    @contextlib.contextmanager
    def case(self, name):
        problems = Problems()
        try:
            yield problems
        except CannotRun as reason:
            self.skipped.append(name)
            self.line("ok", name, f" # skip {reason}")
            return
        except Exception as error:  # a broken case must not hide the others
            traceback.print_exc()
            problems.add(f"{type(error).__name__}: {error}")
        if problems.list:
            self.failed.append(name)
            self.line("not ok", name, ": " + "; ".join(problems.list))
        else:
            self.line("ok", name, f": {problems.note}" if problems.note else "")

    def line(self, verdict, name, more):
        self.names.append(name)
        print(f"{verdict} {len(self.names)} {name}{more}")

    def covers(self, what, cases, wanted):
        """A case of its own: each of `wanted` is proven by one case at least. `cases` is {proven: [names]}."""
        for key in wanted:
            print(f"# {what} {key}: {' '.join(cases.get(key, ['-']))}")
        with self.case(f"every-{what}") as problems:
            if missing := [key for key in wanted if not cases.get(key)]:
                problems.add(f"not proven by any case: {', '.join(missing)}")

    def finish(self):
        print(f"1..{len(self.names)}")
        print(f"# {len(self.names)} cases, {len(self.failed)} failed, {len(self.skipped)} skipped")
        return 1 if self.failed or not self.names else 0


class Problems:
    """The complaints of one case, and what to say of it where there are none."""

    def __init__(self):
        self.list, self.note = [], ""

    def add(self, text):
        self.list.append(text)

    def equal(self, what, seen, expected):
        if seen != expected:
            self.add(f"{what}: {shorten(seen)} instead of {shorten(expected)}")

    def same_bytes(self, what, seen, expected):
        if seen == expected:
            return
        if len(seen) != len(expected):
            self.add(f"{what}: {len(seen)} bytes instead of {len(expected)}")
            return
        sectors = [at // 512 for at in range(0, len(seen), 512) if seen[at:at + 512] != expected[at:at + 512]]
        self.add(f"{what}: {len(sectors)} sectors differ, first {sectors[:8]}")


def shorten(value):
    text = repr(value)
    return text if len(text) <= 300 else text[:300] + "..."


class Bed:
    """The areas of one case in the pool disk of a machine, and the case itself."""

    def __init__(self, vm, name, kind, block_size, cache, origin, start=0):
        """`cache` and `origin` are bytes, a length for zeros, or an area that several cases share."""
        self.name, self.kind, self.block_size, self.start, self.vm = name, kind, block_size, start, vm
        self.areas = {"cache": vm.area_of(cache), "origin": vm.area_of(origin)}
        for key, like in (("snap", "cache"), ("snap_origin", "origin"), ("merged", "origin"), ("after", "cache")):
            self.areas[key] = vm.area(self.areas[like].length)

    def script(self, text):
        areas = self.areas
        self.vm.case(self.name, text, TYPE=self.kind, BS=self.block_size, START=self.start,
                     CACHE_LEN=areas["cache"].length, ORIGIN_LEN=areas["origin"].length,
                     **{f"{key.upper()}_AT": area.offset for key, area in areas.items()})
        return self

    def outcome(self):
        return self.vm.outcomes[self.name]

    def read(self, key):
        return self.areas[key].read()


def finished(problems, outcome, may_warn=False):
    """The case ran to its end and the kernel was not in trouble; a warning of its own may be known and allowed.

    Raises CannotRun where the case itself found that it lacks something."""
    if outcome.status == 0 and outcome.get("skip"):
        raise CannotRun(outcome.get("skip"))
    if outcome.status is None:
        problems.add("the machine never finished this case")
    elif outcome.status != 0:
        problems.add(f"the case failed in the machine ({outcome.status}): {' / '.join(outcome.lines[-3:])}")
    for trouble in outcome.all("kernel_trouble"):
        if not (may_warn and trouble.startswith("WARNING:")):
            problems.add(f"kernel log: {trouble}")
    return outcome.status == 0


def status_fields(line):
    """`0 LEN writecache` and 14 numbers, as a dictionary."""
    return dict(zip(STATUS_FIELDS, map(int, line.split()[3:])))


def driver_activation(outcome, label, was_blank):
    """What the driver did: outcome and driver_message in the words of wc-check --json, status fields or None."""
    messages = [text for line in outcome.all(f"{label}.dmesg")
                for text in [line.rpartition("writecache: ")[2]] if "writecache: " in line]
    if outcome.get(f"{label}.load") != "0":
        return "refuses", (messages[0].rpartition(" (-")[0] if messages else ""), None
    fields = status_fields(outcome.get(f"{label}.status"))
    if fields["error"]:
        return "loads-with-error", (messages[0] if messages else ""), fields
    return ("formats" if was_blank else "loads"), (messages[0] if messages else ""), fields


class Tools:
    """The built commands, run on image files."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, name, *words, timeout=120):
        command = [str(self.folder / name), *map(str, words)]
        return subprocess.run(command, capture_output=True, timeout=timeout, check=False)

    def json(self, name, *words):
        """(exit status, JSON object); the object is {} when there was none, with stderr under "stderr"."""
        done = self.run(name, "--json", *words)
        try:
            return done.returncode, json.loads(done.stdout)
        except json.JSONDecodeError:
            return done.returncode, {"stderr": done.stderr.decode(errors="replace").strip()}


def compare_prediction(problems, predicted, driver, before, after):
    """`predicted` is wc-check's activation member, `driver` from driver_activation; images before and after it."""
    kind, message, fields = driver
    problems.equal("predicted outcome", predicted.get("outcome"), kind)
    problems.equal("predicted driver_message", predicted.get("driver_message") or "", message)
    if kind not in ("loads", "loads-with-error"):
        problems.equal("predicted frees_entries", predicted.get("frees_entries"), 0)
        return
    had_free = before.counts()["free"]
    freed = fields["free"] - had_free
    # A cache without a free entry starts to write back, block by block, before it can be asked.
    writes_back = had_free == 0 and freed == 1 and predicted.get("frees_entries") == 0
    problems.equal("predicted frees_entries", predicted.get("frees_entries"), 0 if writes_back else freed)
    compare_medium(problems, before.activated(), after, may_write_back=had_free == 0)


def compare_medium(problems, expected, after, may_write_back=False):
    """The whole cache as it is after an activation and its end, byte for byte but for blocks that were written back."""
    if may_write_back:
        for index, entry in enumerate(after.entries()):
            if entry.sequence == FREE:
                expected.set_entry(index, sequence=FREE)
    problems.equal("superblock after the activation", after.superblock(), expected.superblock())
    wrong = [(index, *pair) for index, pair in enumerate(zip(after.entries(), expected.entries())) if pair[0] != pair[1]]
    if wrong:
        problems.add(f"{len(wrong)} entries after the activation are not as expected, first {wrong[:2]}")
    else:
        problems.same_bytes("the cache after the activation", bytes(after.data), bytes(expected.data))
