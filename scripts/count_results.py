#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sums up ctest's JUnit files for scripts/test: names failures and skipped parts, ends with `N passed, N failed, N skipped`.

A test that prints TAP (bats, the virtual machine suite) or is a whole GoogleTest program counts with its cases.
"""
import argparse
import os
import re
import sys
import xml.etree.ElementTree

TAP_PLAN = re.compile(r"^1\.\.\d+$", re.M)
TAP_CASE = re.compile(r"^(ok|not ok) \d+ ?(.*)$", re.M)
GTEST_CASE = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] (\S+\.\S+?)(?:, where .*)? \(\d+ ms\)$", re.M)
GTEST_REASON = re.compile(r": Skipped\n(.*)$", re.M)
TAP_SKIP = re.compile(r"\s*# skip\s*(.*)$", re.I)


class Sum:
    """Counters, and the lines to print for what did not pass."""

    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = []

    def add_tap(self, name, output):
        """Counts the cases of a TAP stream; returns whether one of them failed."""
        failed = False
        for verdict, title in TAP_CASE.findall(output):
            skip = TAP_SKIP.search(title)
            if verdict == "not ok":
                self.failures.append(f"{name}: {title}")
                failed = True
            elif skip:
                self.skips.append(f"{name}: {title[:skip.start()]}: {skip[1] or 'no reason given'}")
            else:
                self.passed += 1
        return failed

    def add_gtest(self, name, output):
        """Counts the cases of a GoogleTest program; returns whether one of them failed."""
        failed = False
        start = 0
        for match in GTEST_CASE.finditer(output):
            verdict, title = match.groups()
            if verdict == "FAILED":
                self.failures.append(f"{name}: {title}")
                failed = True
            elif verdict == "SKIPPED":
                reason = GTEST_REASON.search(output, start, match.start())
                self.skips.append(f"{name}: {title}: {reason[1] if reason else 'no reason given'}")
            else:
                self.passed += 1
            start = match.end()
        return failed

    def add(self, run, case):
        """Counts one ctest."""
        name = f"{case.get('name')} ({run})"
        output = case.findtext("system-out") or ""
        failed = case.find("failure") is not None or case.get("status") == "fail"
        if TAP_PLAN.search(output) and TAP_CASE.search(output):
            if not self.add_tap(name, output) and failed:
                self.failures.append(f"{name}: the command itself failed")
        elif GTEST_CASE.search(output):
            if not self.add_gtest(name, output) and failed:
                self.failures.append(f"{name}: the program itself failed")
        elif failed:
            self.failures.append(name)
        elif case.get("status") == "run":
            self.passed += 1
        elif case.find("skipped") is not None and "SKIP" in case.find("skipped").get("message", ""):
            self.skips.append(f"{name}: {reason_of(output)}")
        else:  # not built, not found, disabled: nobody asked for that
            self.failures.append(f"{name}: did not run ({case.get('status')})")


def reason_of(output):
    """Returns the reason a skipped test printed: GoogleTest's message, else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for index, line in enumerate(lines):
        if line.endswith(": Skipped") and index + 1 < len(lines):
            return lines[index + 1]
    return lines[-1] if lines else "no reason given"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--failed", action="append", default=[], help="a step that failed outside of ctest")
    parser.add_argument("--left-out", action="append", default=[], help="a part that was not run, with the reason")
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()

    total = Sum()
    total.failures += arguments.failed
    for path in arguments.files:
        run = os.path.basename(path).removesuffix(".xml").split(".")[0]
        cases = xml.etree.ElementTree.parse(path).getroot().findall("testcase")
        if not cases:
            total.failures.append(f"{os.path.basename(path)}: no tests")
        for case in cases:
            total.add(run, case)

    for line in arguments.left_out:
        print(f"not run: {line}")
    for line in total.skips:
        print(f"skipped: {line}")
    for line in total.failures:
        print(f"FAILED: {line}")
    if total.passed == 0 and not total.failures:
        total.failures.append("nothing ran")
        print("FAILED: nothing ran")
    print(f"{total.passed} passed, {len(total.failures)} failed, {len(total.skips)} skipped")
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
