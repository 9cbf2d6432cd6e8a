# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes a real initramfs in the small Debian, with its own initramfs-tools or dracut and what `cmake --install` gives."""

import os
import pathlib
import re
import shutil
import subprocess

import plain_machine
from machine import Skip

IN_ROOT = """
root=$1
shift
mount --rbind /dev "$root/dev" && mount -t proc proc "$root/proc" || exit 97
exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C TMPDIR=/var/tmp "$@"
"""


def in_root(root, *words):
    """Runs a program inside the root, with its own /proc and our /dev. Raises Skip where this machine forbids that."""
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    run = subprocess.run([*unshare, "sh", "-c", IN_ROOT, "sh", str(root), *map(str, words)], capture_output=True, text=True)
    said = run.stdout + run.stderr
    if run.returncode == 97 or said.startswith("unshare:"):
        raise Skip(f"skipped: no mount namespace, which making an initramfs needs: {said.strip()}")
    if run.returncode != 0:
        raise RuntimeError(f"{words[0]} ended with {run.returncode}: {said}")
    return said


def prepare_root(arguments):
    """The small Debian with the kernel's modules and our installation in it. Returns (root, kernel release)."""
    root = plain_machine.fetch_debian(arguments.work / "debian")
    if not list(root.glob("boot/config-*")):
        unpack = f"dpkg-deb --fsys-tarfile '{arguments.kernel}/linux-image.deb' | tar -x -C '{root}' --no-same-owner --keep-directory-symlink"
        subprocess.run(["bash", "-o", "pipefail", "-c", unpack], check=True)
    release = next(root.glob("boot/config-*")).name.removeprefix("config-")
    if not (root / "lib/modules" / release / "modules.dep").exists():
        in_root(root, "depmod", release)
    install(arguments.tools.parent, root)
    return root, release


def install(build, root):
    """What `cmake --install` puts below /usr, as a package would hold it, as far as an initramfs can want it."""
    scratch = root.parent / "installed"
    shutil.rmtree(scratch, ignore_errors=True)
    subprocess.run(["cmake", "--install", str(build), "--strip", "--prefix", str(scratch)], check=True, capture_output=True)
    names = ["sbin/wc-check", "lib/writecache", "share/initramfs-tools", "lib/dracut"]
    names += [str(path.relative_to(scratch)) for path in scratch.glob("lib/**/libwritecache.so.*")]
    for name in names:
        target = root / "usr" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "--no-target-directory", str(scratch / name), str(target)], check=True)
    shutil.rmtree(scratch)


def with_table(root, text):
    """Puts /etc/writecachetab into the root; None for none."""
    table = root / "etc/writecachetab"
    table.unlink(missing_ok=True)
    if text is not None:
        table.write_text(text)


def by_initramfs_tools(root, release, image, modules="most"):
    """mkinitramfs; returns the bytes of all files in the image, by name."""
    conf = root / "etc/initramfs-tools/conf.d/test"
    # Quickly packed, and unpacked by a slow machine.
    conf.write_text(f"COMPRESS=zstd\nCOMPRESSLEVEL=1\nMODULES={modules}\nRESUME=none\n")
    said = in_root(root, "mkinitramfs", "-k", "-o", "/var/tmp/test.img", release)
    shutil.move(root / "var/tmp/test.img", image)
    kept = pathlib.Path(re.search(r"Working files in (\S+),", said)[1])
    folder = root / kept.relative_to("/")
    sizes = {}
    for path, _, names in os.walk(folder):
        for name in names:
            file = pathlib.Path(path) / name
            if not file.is_symlink():
                sizes[str(file.relative_to(folder))] = file.stat().st_size
    for left in root.glob("var/tmp/mkinitramfs*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    return sizes


def by_dracut(root, release, image):
    in_root(root, "dracut", "--force", "--no-hostonly", "--no-early-microcode", "--zstd", "--kver", release, "/var/tmp/test.img")
    shutil.move(root / "var/tmp/test.img", image)


def append_file(image, name, content, out):
    """The image with one file replaced: a second archive behind the first wins."""
    folder = out.parent / (out.name + ".more")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text(content)
    plain_machine.pack(folder, out.parent / "more.cpio")
    data = image.read_bytes()
    out.write_bytes(data + bytes(-len(data) % 4) + (out.parent / "more.cpio").read_bytes())
    shutil.rmtree(folder)
