# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine with any initramfs and any disks: boots it, hands back what the console said. And the small Debian it is fed from."""

import os
import pathlib
import re
import subprocess
import time

from machine import HERE, Skip, copy, escape

BOOT_SECONDS_MAX = 1200  # a quiet machine needs a minute
MEMORY_MIB = 768


def fetch_debian(folder):
    """Fills `folder` with debian_root.sh and returns the root of that system, or raises Skip."""
    run = subprocess.run([str(HERE / "debian_root.sh"), str(folder)], capture_output=True, text=True)
    if run.returncode == 77:
        raise Skip(run.stdout.strip())
    if run.returncode != 0:
        raise RuntimeError(f"debian_root.sh: {run.stdout}{run.stderr}")
    return pathlib.Path(folder) / "root"


def boot(kernel, initramfs, disks, console, append="", memory_mib=MEMORY_MIB, seconds=BOOT_SECONDS_MAX):
    """One boot until the machine powers off or resets. `disks` become /dev/vda and so on. Returns (console text, seconds)."""
    console = pathlib.Path(console)
    console.unlink(missing_ok=True)
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", str(memory_mib), "-smp", "1", "-nodefaults",
               "-display", "none", "-no-reboot", "-serial", f"file:{escape(console)}", "-kernel", str(kernel / "vmlinuz"),
               "-initrd", str(initramfs), "-append", f"console=ttyS0 panic=-1 nowatchdog mitigations=off {append}"]
    for number, disk in enumerate(disks):
        command += ["-drive", f"if=none,id=disk{number},format=raw,cache=unsafe,discard=unmap,file={escape(disk)}",
                    "-device", f"virtio-blk-pci,drive=disk{number},serial=disk{number}"]
    began = time.monotonic()
    try:
        run = subprocess.run(command, timeout=seconds, capture_output=True, text=True)
        trouble = f"qemu exit {run.returncode}: {run.stderr.strip()}" if run.returncode else ""
    except subprocess.TimeoutExpired:
        trouble = f"the machine did not end within {seconds} s"
    text = console.read_text(errors="replace").replace("\r", "") if console.exists() else ""
    if trouble:
        text += f"\n@@TROUBLE {trouble}; see {console}\n"
    return text, time.monotonic() - began


def pack(root, initramfs):
    """A folder as an initramfs."""
    names = "\n".join(sorted(str(path.relative_to(root)) for path in root.rglob("*")))
    with open(initramfs, "wb") as out:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], input=names.encode(), stdout=out, cwd=root, check=True)


def add_debian_program(root, debian, program):
    """A program of the small Debian with its libraries, which that system's own loader finds."""
    copy(debian / program.lstrip("/"), root / program.lstrip("/"), 0o755)
    add_libraries(root, debian, debian / program.lstrip("/"))


def add_libraries(root, debian, program):
    """The libraries of `program` out of the small Debian, by name: they all lie in one folder there."""
    folder = debian / "usr/lib/x86_64-linux-gnu"
    todo, seen = [program], set()
    while todo:
        listing = subprocess.run(["readelf", "-d", str(todo.pop())], capture_output=True, text=True, check=True).stdout
        for name in re.findall(r"\(NEEDED\).*\[(.+)\]", listing):
            if name in seen or not (folder / name).exists():
                continue
            seen.add(name)
            copy(os.path.realpath(folder / name), root / "usr/lib/x86_64-linux-gnu" / name, 0o755)
            todo.append(folder / name)
    loader = root / "lib64/ld-linux-x86-64.so.2"
    if not loader.exists():
        copy(os.path.realpath(folder / "ld-linux-x86-64.so.2"), loader, 0o755)


def add_our_program(root, debian, program):
    """A built command without its debugging information, with its libraries: ours from the build, others from that system."""
    target = root / "usr/sbin" / program.name
    library = program.parent.parent / "lib/libwritecache.so.0"
    for source, to in ((program, target), (library, root / "usr/lib/x86_64-linux-gnu" / library.name)):
        to.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["strip", "-o", str(to), os.path.realpath(source)], check=True)
        add_libraries(root, debian, source)
