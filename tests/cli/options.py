#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""options.py TOOL: the options in --help, in the manual page and in the contract are the same, in every direction."""
import os
import re
import subprocess
import sys

COMMON = "--help --version --quiet -q --verbose -v --json --start-sector -h"
ORIGIN = "--origin --origin-start-sector --progress"
# What scripts may rely on: a new option is added here, in the page and in the program together.
CONTRACT = {
    "wc-check": "-n --no-modify -p --preen -y --repair --block-size --superblock-only --undo --no-undo --apply-undo --memory "
                "--rebuild-superblock --blocks --seq-count --future --explain --lvm",
    "wc-format": "--block-size --blocks --force --discard-dirty --wipe --dry-run --from-dump",
    "wc-dump": "--entries --sort --csv --block --read --map --image -o --output --memory --lvm",
    "wc-flush": "--dry-run --keep --verify --uncommitted --beyond-end --rate --queue-depth --range --skip-check "
                "--ddrescue-map --lvm --config",
    "wc-run": "--cache --nbd --nbdkit-option --ublk --ublk-queues --ublk-depth --name --type --block-size "
              "--high-watermark --low-watermark --writeback-jobs "
              "--autocommit-blocks --autocommit-time --max-age --cleaner --metadata-only --fua --no-fua --pause-writeback "
              "--no-overwrite --read-only --format --length --table --config",
}
# A command that serves until it is stopped shows no progress.
NOT_OFFERED = {"wc-run": "--progress"}
OPTION = re.compile(r"(?<![\w-])(--?[a-z][a-z0-9-]*)")


def help_options(tool):
    """(options, the whole text): an option stands at the beginning of a line."""
    text = subprocess.run([tool, "--help"], check=True, capture_output=True, text=True).stdout
    found = set()
    for line in text.splitlines():
        match = re.match(r"\s{2,4}(-[-a-z0-9,]+)", line)
        if match:
            found.update(OPTION.findall(match[1].replace(",", " ")))
    return found


def page_options(path):
    """Options of a list's items; in mdoc `Fl \\-json` is --json and `Fl q` is -q."""
    found = set()
    with open(path, encoding="utf-8") as page:
        for line in page:
            if line.startswith(".It Fl"):
                line = line.replace("\\-", "-")
                found.update("-" + word for word in re.findall(r"Fl (-?[a-z][a-z0-9-]*)", line))
    return found


def ctl_complaints(tool, page):
    """wc-run ctl: its verbs are items of their section, and each of its options is somewhere in it."""
    text = subprocess.run([tool, "ctl", "--help"], check=True, capture_output=True, text=True).stdout
    told = {verb for line in text.split("Options:")[1].splitlines()
            if (match := re.match(r"((?:[a-z_]+, )*[a-z_]+)  +\S", line)) for verb in match[1].split(", ")}
    with open(page, encoding="utf-8") as stream:
        section = re.split(r"\n\.S[sh] ", stream.read().split(".Ss Talking to one that runs\n")[1])[0]
    items = set(re.findall(r"^\.It Cm (\S+)", section, re.M))
    for verb in sorted(told ^ items):
        yield f"the verb {verb} is only in {'--help' if verb in told else 'the manual page'}"
    options = set(re.findall(r"^  (?:-h,)?(--[a-z-]+)", text, re.M)) - {"--help"}
    if not options or not told:
        yield "ctl --help could not be read"
    for option in sorted(options):
        if option not in section.replace("\\-", "-"):
            yield f"{option} of ctl is missing in the manual page"


def main():
    tool = sys.argv[1]
    source = os.environ["WC_SOURCE_DIR"]
    os.environ["PATH"] = os.path.join(os.environ["WC_BUILD_DIR"], "bin") + ":" + os.environ["PATH"]
    page = os.path.join(source, "man", tool + ".8")
    expected = set((COMMON + " " + ORIGIN + " " + CONTRACT[tool]).split()) - set(NOT_OFFERED.get(tool, "").split())
    failed = 0
    for name, found in (("--help", help_options(tool)), ("the manual page", page_options(page))):
        for option in sorted(expected - found):
            print(f"{tool}: {option} is missing in {name}")
            failed = 1
        for option in sorted(found - expected):
            print(f"{tool}: {option} of {name} is not in the contract")
            failed = 1
    for complaint in ctl_complaints(tool, page) if tool == "wc-run" else ():
        print(f"{tool}: {complaint}")
        failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
