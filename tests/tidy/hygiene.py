#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks every file of the project: licence line, line length, blanks at line ends, unfinished work, foreign paths, size."""
import os
import re
import sys

import tree

MAX_LINE = 160
MAX_BYTES = 1 << 20
SOURCE = re.compile(r"\.(cpp|hpp|c|h|cmake|py|sh|bash|bats|map)$|(^|/)CMakeLists\.txt$")
# The forbidden words are put together here, so that this file does not contain them.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" "DO", "FIX" "ME", "XX" "X", "HA" "CK")) + r")\b")
FOREIGN_PATH = re.compile("|".join((r"(?<![\w.}])/wo" r"rk/", r"(?<!\w)\.lib" r"rary\b", r"\.\./sha" r"red\b", r"(?<![\w.}])/ho" r"me/\w")))
# Text that is not ours to format: the licence, and inputs that once broke a parser.
VERBATIM = re.compile(r"^LICENSE$|^tests/fuzz/corpus/")


def complaints_about(root, name):
    """Yields (line, complaint) for one file."""
    size = os.path.getsize(os.path.join(root, name))
    if size > MAX_BYTES:
        yield 1, f"{size} bytes are too many for a file in git (commit the recipe instead)"
        return
    if VERBATIM.search(name):
        return
    text = tree.text(root, name)
    if text is None:
        yield 1, "is binary (commit the recipe that makes it instead)"
        return
    lines = text.split("\n")
    is_source = SOURCE.search(name) or text.startswith("#!")
    if is_source:
        if not any("SPDX-License-Identifier: LGPL-2.1-or-later" in line for line in lines[:3]):
            yield 1, "has no SPDX line among its first three"
    for number, line in enumerate(lines, 1):
        if is_source and len(line) > MAX_LINE:
            yield number, f"is {len(line)} characters long, more than {MAX_LINE}"
        if line != line.rstrip():
            yield number, "ends with blanks"
        if UNFINISHED.search(line):
            yield number, f"says {UNFINISHED.search(line).group()} (finish it, or file an issue)"
        if FOREIGN_PATH.search(line):
            yield number, "names a path outside the project"
    if text and not text.endswith("\n"):
        yield len(lines), "does not end with a newline"


def main():
    root = sys.argv[1]
    count = bad = 0
    for name in tree.files(root):
        count += 1
        for line, complaint in complaints_about(root, name):
            print(f"{name}:{line}: {complaint}")
            bad += 1
    print(f"hygiene: {count} files, {bad} complaints")
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main())
