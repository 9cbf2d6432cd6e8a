#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""changelog.py CHANGELOG.md SOURCE VERSION MAINTAINER OUT.gz: the project's history in Debian's form.

A release is a line `## VERSION (YYYY-MM-DD)`, a change a line `- text` with indented lines that go on.
"""
import datetime
import gzip
import os
import re
import sys
import textwrap

RELEASE = re.compile(r"## (\S+) \((\d{4}-\d{2}-\d{2})\)$")
CHANGE = re.compile(r"- (.*)$")
MORE = re.compile(r"  (\S.*)$")


def releases(lines):
    """Returns [(version, date, [changes, each a list of lines])]."""
    found = []
    for number, line in enumerate(lines, 1):
        if match := RELEASE.match(line):
            found.append((match[1], datetime.date.fromisoformat(match[2]), []))
        elif line.startswith("## "):
            sys.exit(f"CHANGELOG.md:{number}: is not `## VERSION (YYYY-MM-DD)`")
        elif found and (match := CHANGE.match(line)):
            found[-1][2].append([match[1]])
        elif found and found[-1][2] and (match := MORE.match(line)):
            found[-1][2][-1].append(match[1])
    return found


def entry(source, version, date, changes, maintainer):
    text = f"{source} ({version}) unstable; urgency=medium\n\n"
    for change in changes:
        text += textwrap.fill(" ".join(change), 78, initial_indent="  * ", subsequent_indent="    ") + "\n"
    return text + f"\n -- {maintainer}  {date.strftime('%a, %d %b %Y')} 00:00:00 +0000\n"


def main():
    path, source, package_version, maintainer, out = sys.argv[1:]
    with open(path, encoding="utf-8") as stream:
        found = releases(stream.read().splitlines())
    version, _, revision = package_version.rpartition("-")
    if not found or found[0][0] != version:
        sys.exit(f"CHANGELOG.md: the newest release is not {version}, the version of the project")
    text = "\n".join(entry(source, f"{name}-{revision}", date, changes, maintainer) for name, date, changes in found)
    os.makedirs(os.path.dirname(out), exist_ok=True)
    # No name and no time in the header: the same history gives the same file.
    with open(out, "wb") as raw, gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=raw, mtime=0) as stream:
        stream.write(text.encode())


if __name__ == "__main__":
    main()
