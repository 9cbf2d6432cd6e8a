#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks that includes in lib/ point downwards only and that the library takes time, threads and chance from its ports only."""
import os
import re
import sys

import tree

# Which folders of lib/ a folder may include, besides itself and the public headers. The architecture is this table.
MAY_INCLUDE = {
    "media": set(),
    "index": {"media"},
    "store": {"media", "index"},
    "ops": {"media", "index", "store"},
    "engine": {"media", "index", "store"},
    "io": set(),
    "device": {"media", "io"},
    "": set(),  # files directly in lib/: what every folder may use
}
# These folders are the doors to the outside: only they may use clocks and threads.
DOORS = {"io", "device"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
IMPURE = re.compile(r"std::j?thread\b|\brand\s*\(|\bsrand\s*\(|\brandom_device\b|\btime\s*\(|_clock::now\b")
FOREIGN = re.compile(r"^(boost/|CLI/|CLI11|liburing|libpmem2|fmt/|nlohmann/|blkid/)")
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)


def without_comments_and_strings(text):
    """Blanks what is not code, keeping line numbers."""
    return NOT_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def layer_of(path):
    """Returns the folder of lib/ that a path relative to lib/ belongs to; None for public headers."""
    if path.startswith("include/"):
        return None
    return path.split("/")[0] if "/" in path else ""


def target(root, folder, included):
    """Returns the path relative to lib/ that an include means, or None when it is not a file of lib/."""
    for candidate in (os.path.normpath(os.path.join(folder, included)), included, os.path.join("include", included)):
        if os.path.isfile(os.path.join(root, "lib", candidate)):
            return candidate
    return None


def complaints_about(root, path, text):
    """Yields (line, complaint) for one file, its path relative to lib/."""
    own = layer_of(path)
    if own is not None and own not in MAY_INCLUDE:
        yield 1, f"lib/{own}/ has no place in the table of {os.path.basename(__file__)}"
        return
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if own is None and FOREIGN.match(match[2]):
            yield line, f"a public header includes <{match[2]}>, a type of another library"
        found = target(root, os.path.dirname(path), match[2])
        if found is None:
            continue
        other = layer_of(found)
        if other is None or other == own:
            continue
        if own is None:
            yield line, f"a public header includes the private lib/{found}"
        elif other and other not in MAY_INCLUDE[own]:
            yield line, f"lib/{own}/ must not include lib/{other}/ ({match[2]})"
    if own not in DOORS:
        for match in IMPURE.finditer(without_comments_and_strings(text)):
            line = text.count("\n", 0, match.start()) + 1
            yield line, f"{match.group().strip()} outside lib/io and lib/device (take it from a port)"


def main():
    root = sys.argv[1]
    count = bad = 0
    for name in tree.files(root):
        if not name.startswith("lib/") or not name.endswith((".cpp", ".hpp", ".h")):
            continue
        count += 1
        for line, complaint in complaints_about(root, name[len("lib/"):], tree.text(root, name) or ""):
            print(f"{name}:{line}: {complaint}")
            bad += 1
    print(f"layering: {count} files, {bad} complaints")
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main())
