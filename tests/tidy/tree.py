# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lists the files of the project for the checks in this folder."""
import os
import subprocess


def files(root):
    """Yields the paths, relative to root, that belong to the project: what git knows or would add; without git, all but builds."""
    git = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, check=False)
    if git.returncode == 0:
        names = [os.fsdecode(name) for name in git.stdout.split(b"\0") if name]
    else:
        names = []
        for folder, folders, found in os.walk(root):
            folders[:] = [f for f in folders if f != ".git" and f != "build" and not f.startswith("build-")]
            names += [os.path.relpath(os.path.join(folder, name), root) for name in found]
    for name in sorted(set(names)):
        path = os.path.join(root, name)
        if os.path.isfile(path) and not os.path.islink(path):
            yield name


def text(root, name):
    """Returns the file's text, or None when it is binary."""
    with open(os.path.join(root, name), "rb") as stream:
        raw = stream.read()
    if b"\0" in raw:
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
