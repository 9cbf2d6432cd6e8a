# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's lvm2 makes cached logical volumes, dirties them and loses power; then our commands work on their parts.

Two boots. The first makes vg/data, whose parts lie in one piece each, and vg/more, whose origin lies in two, and ends in the
middle of things. The second finds them through the parts that LVM lets one activate and through --lvm, and drains both, one
after its superblock was damaged, so that `lvconvert --splitcache` then gives what the driver would have shown.
"""

import re
import shutil
import subprocess

import plain_machine
import suite
from machine import HERE, copy
from media import Image

MIB = 1 << 20
BLOCK = 4096
ORIGIN_MIB, CACHE_MIB, PV_MIB = 12, 8, 32
PV_START = 2048  # sectors: where LVM puts the first extent
BLOCKS = ORIGIN_MIB * MIB // BLOCK
# The exchange disk, in blocks: the content before the cache, that of the dirty blocks, then what the machine hands back.
BASE, DIRTY, RESULTS = 0, BLOCKS, 2 * BLOCKS
RESULT_NAMES = ("parts", "option", "data_after", "more_after")

MAKE = """
vgcreate -qq -s 1m vg /dev/vda /dev/vdb
make() { lvcreate -qq -an -Zn -Wn "$@" 2>/dev/null; }
make -l 12 -n data vg /dev/vda
make -l 8 -n fast vg /dev/vdb
make -l 6 -n more vg /dev/vda
make -l 1 -n other vg /dev/vda
lvextend -qq -l +6 vg/more /dev/vda
make -l 8 -n hot vg /dev/vdb
lvextend -qq -l +1 vg/other /dev/vdb
lvchange -ay vg/data vg/more
put $BASE /dev/vg/data 0 $BLOCKS
put $BASE /dev/vg/more 0 $BLOCKS
lvchange -an vg/data vg/more
settings='high_watermark=100 low_watermark=99 autocommit_time=3600000 autocommit_blocks=1000000'
run convert lvconvert -y --type writecache --cachevol fast --cachesettings "$settings" vg/data
run convert_more lvconvert -y --type writecache --cachevol hot --cachesettings "$settings" vg/more
lvchange -ay vg/data vg/more
for device in /dev/vg/data /dev/vg/more; do
  for range in '0 64' '100 1' '1000 200' '3071 1'; do put $((DIRTY + ${range% *})) $device $range; done
  vmio fsync $device
  put $((DIRTY + 2000)) $device 100 1
  put $((DIRTY + 2001)) $device 2000 10
  vmio fsync $device
  # Not committed; a discard makes the driver write the table in which these blocks are.
  put $((DIRTY + 500)) $device 500 5
  run discard vmio discard $device $((1100 * 4096)) $((10 * 4096))
done
run status dmsetup status
say finished 0
vmio drain
echo b >/proc/sysrq-trigger
sleep 60
"""

RESCUE = """
run report lvs -a -o lv_name,lv_active,segtype,devices vg
# The parts, as LVM lets one activate them: for reading only.
run activate_parts lvchange -y -ay vg/fast_cvol vg/data_wcorig
run parts_check wc-check --origin /dev/vg/data_wcorig /dev/vg/fast_cvol
run parts_dump wc-dump --json --origin /dev/vg/data_wcorig /dev/vg/fast_cvol
wc-dump --read 0+$((BLOCKS * 8)) --origin /dev/vg/data_wcorig -o /tmp/merged /dev/vg/fast_cvol; say parts_read.status $?
save /tmp/merged $PARTS $BLOCKS
run part_is_active wc-flush --lvm vg/data
lvchange -an vg/fast_cvol vg/data_wcorig

# --lvm, while nothing is active.
run check wc-check --lvm vg/data
run dump wc-dump --json --lvm vg/data
wc-dump --read 0+$((BLOCKS * 8)) -o /tmp/merged --lvm vg/data; say option_read.status $?
save /tmp/merged $OPTION $BLOCKS
run dry wc-flush --dry-run --lvm vg/data
run not_cached wc-check --lvm vg/other
run unknown wc-check --lvm vg/nothing
run no_group wc-check --lvm nothing/nothing

# Another volume of the group is in use, so its physical volumes are.
lvchange -ay vg/other
run busy wc-flush --lvm vg/data

# A damaged superblock: LVM can do nothing any more.
printf '\\002' | dd of=/dev/vdb bs=1 seek=$((PV_START * 512 + 4)) conv=notrunc 2>/dev/null
vmio fsync /dev/vdb
run damaged_check wc-check --lvm vg/data
run damaged_activate lvchange -ay vg/data
run damaged_split lvconvert -y --splitcache vg/data
lvchange -an vg/other
run damaged_flush wc-flush --lvm vg/data
run repair wc-check -y --undo /tmp/undo --rebuild-superblock --blocks $N_BLOCKS --seq-count $SEQ --lvm vg/data
run flush wc-flush --lvm vg/data
run flushed_check wc-check --lvm vg/data
run split lvconvert -y --splitcache vg/data
run split_report lvs -a -o lv_name,segtype vg
lvchange -ay vg/data
save /dev/vg/data $DATA_AFTER $BLOCKS

# The origin lies in two pieces: devices of the extents, made as the refusal says.
lvchange -ay vg/other
run more_check wc-check --lvm vg/more
run pieces wc-flush --lvm vg/more
sed -n "s/.*\\(dmsetup create --concise '[^']*'\\).*/\\1/p" /tmp/output >/tmp/make
run advised sh /tmp/make
run pieces_check wc-check --origin /dev/mapper/wc-origin /dev/mapper/wc-cache
run pieces_flush wc-flush --origin /dev/mapper/wc-origin /dev/mapper/wc-cache
dmsetup remove wc-cache wc-origin
run more_split lvconvert -y --splitcache vg/more
lvchange -ay vg/more
save /dev/vg/more $MORE_AFTER $BLOCKS

# An active volume is the kernel's.
run reuse lvconvert -y --type writecache --cachevol fast vg/data
run active_check wc-check --lvm vg/data
run active_flush wc-flush --lvm vg/data
vgchange -qq -an vg
"""


class Answers:
    """What a script said: exit statuses and output by label."""

    def __init__(self, text):
        self.text = text
        self.values = {}
        for line in text.splitlines():
            # A message of the kernel may stand before ours on the console.
            match = re.search(r"@@([a-z_]+(?:\.[a-z]+)?)=(.*)", line)
            if match:
                self.values.setdefault(match[1], []).append(match[2])

    def status(self, label):
        return self.values.get(label + ".status", [None])[0]

    def output(self, label):
        return "\n".join(self.values.get(label + ".out", []))

    @property
    def is_finished(self):
        return "finished" in self.values


def make_initramfs(arguments, debian, path, script, **variables):
    root = path.parent / (path.name + ".root")
    shutil.rmtree(root, ignore_errors=True)
    for part in ("bin", "modules", "etc/lvm"):
        (root / part).mkdir(parents=True)
    copy(HERE / "guest/lvm_init", root / "init", 0o755)
    copy("/bin/busybox", root / "bin/busybox", 0o755)
    copy(arguments.vmio, root / "bin/vmio", 0o755)
    for module in (arguments.kernel / "modules").iterdir():
        copy(module, root / "modules" / module.name, 0o644)
    for program in ("/usr/sbin/lvm", "/usr/sbin/dmsetup"):
        plain_machine.add_debian_program(root, debian, program)
    for name in ("lvs", "pvs", "lvchange", "lvcreate", "lvextend", "lvconvert", "vgcreate", "vgchange"):
        (root / "usr/sbin" / name).symlink_to("lvm")
    for tool in ("wc-check", "wc-dump", "wc-flush"):
        plain_machine.add_our_program(root, debian, arguments.tools / tool)
    # There is no udev here, which LVM would otherwise ask and wait for.
    (root / "etc/lvm/lvm.conf").write_text(
        "devices { use_devicesfile=0 obtain_device_list_from_udev=0 }\nactivation { udev_sync=0 udev_rules=0 monitoring=0 }\n")
    (root / "script").write_text("".join(f"{key}={value}\n" for key, value in variables.items()) + script)
    plain_machine.pack(root, path)
    shutil.rmtree(root)


def make(arguments, report, work, debian, disks):
    """The first boot. Returns the images of both physical volumes as the power cut left them."""
    base = b"".join((b"base %8d " % number * 400)[:BLOCK] for number in range(BLOCKS))
    dirty = b"".join((b"dirty %8d " % number * 400)[:BLOCK] for number in range(BLOCKS))
    for disk, mib in zip(disks, (PV_MIB, PV_MIB, (2 + len(RESULT_NAMES)) * ORIGIN_MIB)):
        disk.unlink(missing_ok=True)
        with open(disk, "wb") as file:
            file.truncate(mib * MIB)
            if disk == disks[2]:
                file.write(base + dirty)
    make_initramfs(arguments, debian, work / "make.cpio", MAKE, BASE=BASE, DIRTY=DIRTY, BLOCKS=BLOCKS)
    text, seconds = plain_machine.boot(arguments.kernel, work / "make.cpio", disks, work / "make.log", "quiet loglevel=1")
    answers = Answers(text)
    print(f"# boot {seconds:.0f} s")
    with report.case("make") as problems:
        if not answers.is_finished:
            problems.add("the machine did not get to the power cut; see make.log")
        for label in ("convert", "convert_more", "discard"):
            problems.equal(f"{label}: {answers.output(label)}", answers.status(label), "0")
        problems.note = answers.output("status").replace("\n", "; ")
    return [disk.read_bytes() for disk in disks[:2]]


def content_of(slow, pieces):
    """The bytes of a volume from (first extent, extents) on a physical volume."""
    start = PV_START * 512
    return b"".join(slow[start + first * MIB:start + (first + count) * MIB] for first, count in pieces)


def main(arguments, report):
    work = arguments.work / "lvm"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    debian = plain_machine.fetch_debian(arguments.work / "debian")
    disks = [work / name for name in ("slow.img", "fast.img", "exchange.img")]
    slow, fast = make(arguments, report, work, debian, disks)
    for disk in disks[:2]:  # boot_check.py boots with these
        subprocess.run(["cp", "--sparse=always", str(disk), str(disk.with_suffix(".crashed"))], check=True)

    data = Image(fast[:PV_START * 512 + CACHE_MIB * MIB], PV_START)
    more = Image(fast[:PV_START * 512 + 2 * CACHE_MIB * MIB], PV_START + CACHE_MIB * MIB // 512)
    expected = data.merged(content_of(slow, [(0, 12)]))
    expected_more = more.merged(content_of(slow, [(12, 6), (19, 6)]))
    places = {name.upper(): RESULTS + number * BLOCKS for number, name in enumerate(RESULT_NAMES)}
    make_initramfs(arguments, debian, work / "rescue.cpio", RESCUE, BLOCKS=BLOCKS, PV_START=PV_START,
                   N_BLOCKS=data.superblock()["n_blocks"], SEQ=data.superblock()["seq_count"], **places)
    text, seconds = plain_machine.boot(arguments.kernel, work / "rescue.cpio", disks, work / "rescue.log", "quiet loglevel=1")
    answers = Answers(text)
    print(f"# boot {seconds:.0f} s")
    exchange = disks[2].read_bytes()
    results = {name: exchange[places[name.upper()] * BLOCK:(places[name.upper()] + BLOCKS) * BLOCK] for name in RESULT_NAMES}
    compare(report, answers, data, expected, expected_more, results)


def compare(report, answers, data, expected, expected_more, results):
    def says(problems, label, status, *words):
        output = answers.output(label)
        problems.equal(f"{label}: {output}", answers.status(label), str(status))
        for word in words:
            if word not in output:
                problems.add(f"{label} does not say {word!r}: {output}")

    with report.case("crashed") as problems:
        if not answers.is_finished:
            problems.add("the machine did not finish; see rescue.log")
        counts = data.counts()
        if not counts["uncommitted"] or not counts["live"]:
            problems.add(f"the crash left nothing to look at: {dict(counts)}")
        for block, source in ((0, 0), (63, 63), (100, 2000), (1000, 1000), (3071, 3071), (2000, 2001)):
            if not expected[block * BLOCK:].startswith(b"dirty %8d " % source):
                problems.add(f"block {block} of the merged content is not dirty block {source}")
        if not expected[500 * BLOCK:].startswith(b"base %8d " % 500):
            problems.add("an uncommitted block is in the merged content")
        problems.note = str(dict(counts))
    with report.case("parts") as problems:
        says(problems, "activate_parts", 0)
        says(problems, "parts_check", 0, "safe to activate", "5 uncommitted")
        says(problems, "parts_dump", 0, f'"uncommitted": {data.counts()["uncommitted"]}')
        problems.equal("wc-dump --read", answers.status("parts_read"), "0")
        problems.same_bytes("merged content through the parts", results["parts"], expected)
        says(problems, "part_is_active", 8, "lvchange -an vg/fast_cvol")
    with report.case("lvm-option") as problems:
        says(problems, "check", 0, "safe to activate", "5 uncommitted", "/dev/vdb")
        says(problems, "dump", 0, f'"live": {data.counts()["live"]}')
        problems.equal("wc-dump --read", answers.status("option_read"), "0")
        problems.same_bytes("merged content through --lvm", results["option"], expected)
        says(problems, "dry", 0, f"{data.counts()['live']} blocks would be written")
    with report.case("refusals") as problems:
        says(problems, "not_cached", 8, "has no writecache")
        says(problems, "unknown", 8, "no such logical volume")
        says(problems, "no_group", 8, "lvs", "nothing")
        says(problems, "busy", 8, "/dev/vd", "dmsetup create --concise 'wc-cache,,,rw,0 16384 linear /dev/vdb 2048;wc-origin,,,rw,")
        says(problems, "reuse", 0)
        says(problems, "active_check", 8, "is active", "lvchange -an vg/data")
        says(problems, "active_flush", 8, "is active", "lvchange -an vg/data")
    with report.case("damaged-then-drained") as problems:
        says(problems, "damaged_check", 4, "bad-version", "wc-check -y --undo FILE --lvm vg/data")
        for label in ("damaged_activate", "damaged_split"):
            if answers.status(label) == "0":
                problems.add(f"{label}: LVM can use the damaged cache: {answers.output(label)}")
        says(problems, "damaged_flush", 4, "bad-version")
        says(problems, "repair", 1)
        says(problems, "flush", 0)
        says(problems, "flushed_check", 0)
        says(problems, "split", 0)
        problems.same_bytes("vg/data after --splitcache", results["data_after"], expected)
    with report.case("two-pieces") as problems:
        says(problems, "more_check", 0, "its origin more_wcorig lies in 2 pieces", "safe to activate")
        says(problems, "pieces", 8, "its origin more_wcorig lies in 2 pieces", "dmsetup create --concise")
        says(problems, "advised", 0)
        says(problems, "pieces_check", 0)
        says(problems, "pieces_flush", 0)
        says(problems, "more_split", 0)
        problems.same_bytes("vg/more after --splitcache", results["more_after"], expected_more)


if __name__ == "__main__":
    suite.run(main, __doc__)
