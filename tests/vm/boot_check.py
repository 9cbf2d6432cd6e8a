# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots a real initramfs of Debian's initramfs-tools and one of dracut, with caches that are clean, crashed and damaged.

Each is booted twice: with a table that has something of everything and lets the boot go on, and with one that stops it. The
caches are compared byte for byte afterwards, and the physical volumes of lvm.py with what LVM may have done to them.
"""

import hashlib
import shutil
import subprocess
import sys

import initramfs
import plain_machine
import suite
from lvm import PV_START, Answers
from machine import HERE, copy

sys.path.insert(0, str(HERE.parent / "images"))
import cacheimage  # noqa: E402  found only now
import recipes  # noqa: E402
from media import Image  # noqa: E402

ADDED_BYTES_MAX = 6 << 20  # what wc-check may add to an initramfs


def foreign():
    """A cache of a machine with pages of 64 KiB."""
    image = cacheimage.Image(65536, 20)
    for index in range(8):
        image.entry(index, index * 128, 3)
    return image


def shifted():
    """A cache that begins at sector 16."""
    image = recipes.clean()
    image.spare_bytes = 16 * 512
    return image


CACHES = {"clean": recipes.clean, "crashed": recipes.uncommitted, "damaged": recipes.identical_data_different,
          "foreign": foreign, "shifted": shifted}
DISKS = ["root", *CACHES, "slow", "fast"]


def device(name):
    """By the serial number that plain_machine gives a disk, as udev of the initramfs names it."""
    return f"/dev/disk/by-id/virtio-disk{DISKS.index(name)}"


# A busy host makes devices appear late, hence wait=300.
GO_ON = f"""# a comment
clean    {device("clean")}  {device("root")}  stop,wait=300
crashed  {device("crashed")}  -  stop,block-size=4096,wait=300
damaged  {device("damaged")}  -  warn,wait=300
silent   {device("damaged")}  -  ignore,wait=300
foreign  {device("foreign")}  -  wait=300
shifted  {device("shifted")}  -  stop,start-sector=16,wait=300
missing  /dev/disk/by-id/virtio-nowhere  -  stop,wait=2
broken   {device("clean")}
worse    {device("clean")}  -  start-sector=many
lvm      LVM=vg/data  -  stop,wait=300
"""
STOP = f"""clean    {device("clean")}  -  stop,wait=300
damaged  {device("damaged")}  -  stop,wait=300
lvm      LVM=vg/data  -  stop,wait=300
"""


def make_disks(work, lvm_work):
    """Fresh disks in DISKS' order."""
    disks = [work / f"{name}.img" for name in DISKS]
    for name, recipe in CACHES.items():
        image = work / f"{name}.img"
        recipe().write(image)
        if name == "shifted":
            data = image.read_bytes()
            image.write_bytes(bytes(16 * 512) + data[:-16 * 512])
    for name in ("slow", "fast"):
        crashed = lvm_work / f"{name}.crashed"
        if not crashed.exists():
            raise RuntimeError(f"no {crashed}: lvm.py comes first")
        subprocess.run(["cp", "--sparse=always", str(crashed), str(work / f"{name}.img")], check=True)
    root = work / "root"
    shutil.rmtree(root, ignore_errors=True)
    for part in ("bin", "sbin", "dev", "proc", "sys", "run", "etc", "tmp"):
        (root / part).mkdir(parents=True)
    copy("/bin/busybox", root / "bin/busybox", 0o755)
    copy(HERE / "guest/root_init", root / "sbin/init", 0o755)
    (root / "etc/os-release").write_text("ID=test\n")  # systemd switches to nothing else
    (root / "etc/fstab").write_text("")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-F", "-d", str(root), str(disks[0]), "8M"], check=True)
    shutil.rmtree(root)
    return disks


def digests(disks):
    return {name: hashlib.sha256(disk.read_bytes()).hexdigest() for name, disk in zip(DISKS, disks)}


def expect_lines(problems, text, *lines):
    for line in lines:
        if line not in text:
            problems.add(f"the console does not say {line!r}")


def compare_unchanged(problems, before, after, names):
    for name in names:
        if before[name] != after[name]:
            problems.add(f"the disk {name} was written to")


def goes_on(problems, text, before, after, disks):
    answers = Answers(text)
    if not answers.is_finished:
        problems.add("the boot did not get to the root file system")
    expect_lines(
        problems, text, "writecache: clean: This cache is safe to activate.",
        "writecache: crashed: This cache is safe to activate; what the driver frees then is normal residue of a crash",
        f"writecache: damaged: the cache {device('damaged')} is DAMAGED:", "identical",
        f"writecache: foreign: the cache {device('foreign')} cannot be activated on this machine:",
        "the driver refuses this cache",
        "writecache: shifted: This cache is safe to activate",
        "writecache: missing: /dev/disk/by-id/virtio-nowhere did not appear within 2 s (it is not checked)",
        "writecache: /etc/writecachetab:9: a line has three or four fields",
        "writecache: /etc/writecachetab:10: `start-sector=many` has no number",
        "writecache: lvm: This cache is safe to activate; what the driver frees then is normal residue of a crash")
    if "writecache: silent" in text:
        problems.add("the console tells what is to be ignored")
    if "/run/writecache/silent.log" not in "".join(answers.values.get("log", [])):
        problems.add("there is no log of what was ignored")
    compare_unchanged(problems, before, after, CACHES)
    # The residue was there when it was checked and is gone now: LVM came after the check.
    if "vg-data" not in answers.values.get("active", []):
        problems.add(f"LVM has not activated vg/data afterwards, only {answers.values.get('active')}")
    cache = Image(disks[DISKS.index("fast")].read_bytes()[:PV_START * 512 + (8 << 20)], PV_START)
    problems.equal("uncommitted entries once LVM has activated the cache", cache.counts()["uncommitted"], 0)


def stops(problems, text, before, after, disks):
    answers = Answers(text)
    if "root" in answers.values:
        problems.add("the boot went on")
    expect_lines(problems, text,
                 "writecache: clean: This cache is safe to activate; whether its blocks lie within the origin was not checked",
                 f"writecache: damaged: the cache {device('damaged')} is DAMAGED:",
                 "writecache: boot stopped as /etc/writecachetab asks")
    # LVM's volumes too: it was held back.
    compare_unchanged(problems, before, after, [name for name in DISKS if name != "root"])


def boot_both(arguments, report, work, image, name, append):
    for kind, table, judge in (("goes-on", GO_ON, goes_on), ("stops", STOP, stops)):
        disks = make_disks(work, arguments.work / "lvm")
        booted = work / f"{name}-{kind}.img"
        initramfs.append_file(image, "etc/writecachetab", table, booted)
        before = digests(disks)
        text, seconds = plain_machine.boot(arguments.kernel, booted, disks, work / f"{name}-{kind}.log",
                                           f"root=/dev/disk/by-id/virtio-disk0 ro quiet loglevel=1 {append}")
        print(f"# boot {name} {kind} {seconds:.0f} s")
        with report.case(f"{name}-{kind}") as problems:
            judge(problems, text, before, digests(disks), disks)
            if "@@TROUBLE" in text:
                problems.add(text[text.index("@@TROUBLE"):].strip())
        booted.unlink()


def compare_size(report, root, release, work):
    """What the table, and with it wc-check, adds to an initramfs; the module alone is there without it."""
    sizes = {}
    for kind, table in (("without", None), ("with", GO_ON)):
        initramfs.with_table(root, table)
        sizes[kind] = initramfs.by_initramfs_tools(root, release, work / "size.img", modules="list")
    with report.case("size") as problems:
        for kind in sizes:
            if not any("dm-writecache.ko" in name for name in sizes[kind]):
                problems.add(f"no module dm-writecache {kind} a table")
        if any("wc-check" in name for name in sizes["without"]) or not any("wc-check" in name for name in sizes["with"]):
            problems.add("wc-check is not there exactly where a table is")
        added = {name: size for name, size in sizes["with"].items() if name not in sizes["without"]}
        total = sum(sizes["with"].values()) - sum(sizes["without"].values())
        if total > ADDED_BYTES_MAX:
            problems.add(f"wc-check adds {total} bytes, more than {ADDED_BYTES_MAX}")
        largest = sorted(added.items(), key=lambda item: -item[1])[:6]
        problems.note = f"{total / (1 << 20):.2f} MiB: " + ", ".join(f"{name.rsplit('/', 1)[-1]} {size >> 10} KiB" for name, size in largest)


def main(arguments, report):
    work = arguments.work / "boot_check"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    root, release = initramfs.prepare_root(arguments)
    compare_size(report, root, release, work)
    initramfs.with_table(root, GO_ON)
    initramfs.by_initramfs_tools(root, release, work / "initramfs-tools.img")
    boot_both(arguments, report, work, work / "initramfs-tools.img", "initramfs-tools", "")
    initramfs.by_dracut(root, release, work / "dracut.img")
    boot_both(arguments, report, work, work / "dracut.img", "dracut", "rd.lvm.vg=vg rd.shell=0 rd.emergency=reboot")


if __name__ == "__main__":
    suite.run(main, __doc__)
