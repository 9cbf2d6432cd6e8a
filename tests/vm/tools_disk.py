# SPDX-License-Identifier: LGPL-2.1-or-later
"""A second disk for the test machine: programs of the host with their libraries, and kernel modules that few cases need.

A case calls `open_tools` (lib.sh) and then finds the programs in its PATH."""

import os
import pathlib
import shutil
import subprocess

from machine import MIB, add_program, copy

SPARE_BYTES = 24 * MIB


def make(image, folder, programs, modules, files=()):
    """`programs` are names for PATH or paths; `modules` and `files` (for /tools) are paths.
    `folder` is scratch. Returns `image`."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bin").mkdir(parents=True)
    for program in programs:
        found = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        if found is None:
            raise RuntimeError(f"{program} is not installed (run scripts/setup)")
        add_program(folder, found)
    for module in modules:
        copy(module, folder / "modules" / pathlib.Path(module).name, 0o644)
    for file in files:
        copy(file, folder / pathlib.Path(file).name, 0o644)
    # One folder for all libraries, wherever the host has them.
    libraries = folder / "lib.all"
    libraries.mkdir()
    for path in [path for path in folder.rglob("*.so*") if path.parent != libraries]:
        path.rename(libraries / path.name)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    image.unlink(missing_ok=True)
    blocks = (size + size // 8 + SPARE_BYTES) // 4096
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-b", "4096", "-d", str(folder), str(image), str(blocks)],
                   check=True, env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
    shutil.rmtree(folder)
    return image
