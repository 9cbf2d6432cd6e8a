# SPDX-License-Identifier: LGPL-2.1-or-later
"""wc-run --ublk in the real kernel: fio with verification, file systems, discard, FLUSH, FUA and META as they arrive,
several queues, and a server that is killed under load and taken over."""

import pathlib
import re
import shutil

import suite
import tools_disk
from machine import Machine

MIB = 1 << 20
PROGRAMS = ("fio", "mkfs.ext4", "mkfs.xfs", "e2fsck", "xfs_repair")

# Content and order of writes are decided by fio; afterwards the cache must be clean and drained it must give the same.
FIO = """
serve --format
verify --rw=randwrite --bs=4k,8k,64k --size=12m --iodepth=16 --fsync=64 --do_verify=1
verify --rw=randrw --bsrange=$BS-64k --bs_unaligned=0 --blockalign=$BS --size=8m --offset=2m --iodepth=16 --do_verify=1
stop
is_clean
serve --read-only
verify --rw=randrw --bsrange=$BS-64k --bs_unaligned=0 --blockalign=$BS --size=8m --offset=2m --iodepth=16 --verify_only=1
is_equal 'writable' "$(cat /sys/block/ublkb0/ro)" 1
stop
wc-flush --quiet --origin /dev/mapper/origin $CACHE
disk=/dev/mapper/origin
verify --rw=randrw --bsrange=$BS-64k --bs_unaligned=0 --blockalign=$BS --size=8m --offset=2m --iodepth=16 --verify_only=1
"""

# The machine's own page cache writes back through the device while the server dies; processes only wait.
RECOVERY = """
serve --format --ublk-queues 2
verify --rw=randwrite --bs=4k --size=8m --iodepth=16 --io_size=24m --do_verify=1 &
load=$!
for round in 1 2 3; do
  sleep 1.5
  crash
  is_clean
  serve --ublk-queues 2
done
wait "$load"
stop
is_clean
"""

FILE_SYSTEM = """
serve --format
FORMAT $disk
mount -t KIND $disk /mnt/fs
mkdir /mnt/fs/first
for i in 1 2 3 4 5 6 7 8; do head -c $((i * 100000)) /dev/urandom >/mnt/fs/first/$i; done
sync
before=$(content /mnt/fs/first)
(while head -c 300000 /dev/urandom >/mnt/fs/load 2>/dev/null; do sync; done) &
load=$!
sleep 1
crash
serve
sleep 1
kill $load
wait $load 2>/dev/null || true
is_equal 'files after the crash' "$(content /mnt/fs/first)" "$before"
umount /mnt/fs
CHECK $disk
stop
is_clean
wc-flush --quiet --origin /dev/mapper/origin $CACHE
CHECK /dev/mapper/origin
mount -t KIND -o ro /dev/mapper/origin /mnt/fs
is_equal 'files on the origin' "$(content /mnt/fs/first)" "$before"
umount /mnt/fs
"""

ADVERTISED = """
serve --format
queue=/sys/block/ublkb0/queue
is_equal 'logical block' "$(cat $queue/logical_block_size)" "$BS"
is_equal 'write cache' "$(cat $queue/write_cache)" 'write back'
is_equal 'fua' "$(cat $queue/fua)" 1
is_equal 'discard granularity' "$(cat $queue/discard_granularity)" "$BS"
is_equal 'zeroes' "$(cat $queue/write_zeroes_max_bytes)" 0
is_equal 'size' "$(cat /sys/block/ublkb0/size)" $((ORIGIN_LEN / 512))
vmio write $disk $BS 0 16 1 1
vmio fsync $disk
[ "$(value 13)" -ge 1 ]
is_equal 'used' $(($(value 2) - $(value 3))) 16
vmio discard $disk 0 $((16 * BS))
is_equal 'discarded' "$(value 14)" 16
is_equal 'used after the discard' "$(value 3)" "$(value 2)"
wc-run --origin /dev/mapper/origin --name other --ublk=0 $CACHE 2>/tmp/error && exit 1
grep -q 'held by\\|in use\\|busy\\|locked' /tmp/error || { cat /tmp/error; exit 1; }
stop
"""

# What is due by time comes while no request does: the commit, then the writeback of what is old. Only the medium is asked,
# as every question to the server would drive its engine.
IDLE = """
serve --format --autocommit-time 1000 --max-age 8000 --ublk-queues 2
vmio write $disk $BS 0 16 1 1
sleep 3
is_equal 'committed blocks' "$(live_blocks)" 16
for turn in 1 2 3 4 5 6 7 8 9 10; do
  sleep 3
  [ "$(live_blocks)" != 0 ] || break
done
is_equal 'blocks left' "$(live_blocks)" 0
stop
"""

# ext4's journal and inodes carry META, file contents do not.
METADATA_ONLY = """
serve --format --metadata-only
mkfs.ext4 -q -b 4096 $disk
mount -t ext4 $disk /mnt/fs
wc-run ctl c clear_stats >/dev/null
head -c 2000000 /dev/urandom >/mnt/fs/data
sync
around=$(value 10)
[ "$around" -ge 400 ] || { echo "only $around blocks went around"; exit 1; }
[ "$(value 11)" -ge 1 ] || { echo 'no metadata was cached'; exit 1; }
before=$(md5sum </mnt/fs/data)
umount /mnt/fs
stop
is_clean
wc-flush --quiet --origin /dev/mapper/origin $CACHE
mount -t ext4 -o ro /dev/mapper/origin /mnt/fs
is_equal 'content' "$(md5sum </mnt/fs/data)" "$before"
umount /mnt/fs
"""


def file_system(kind, make, check):
    return FILE_SYSTEM.replace("KIND", kind).replace("FORMAT", make).replace("CHECK", check)


def cases():
    """(name, type, block size, origin MiB, script)"""
    for kind in "sp":
        for block_size in (512, 4096):
            yield f"fio-{kind}-{block_size}", kind, block_size, 32, FIO
        yield f"recovery-{kind}", kind, 4096, 32, RECOVERY
        yield f"advertised-{kind}", kind, 4096, 32, ADVERTISED
        yield f"idle-{kind}", kind, 4096, 32, IDLE
    yield "ext4-s", "s", 4096, 64, file_system("ext4", "mkfs.ext4 -q", "e2fsck -fn")
    yield "xfs-p", "p", 4096, 320, file_system("xfs", "mkfs.xfs -q", "xfs_repair -n")
    yield "metadata-only", "s", 4096, 64, METADATA_ONLY


def main(arguments, report):
    work = arguments.work / "ublk"
    vm = Machine(work / "boot", arguments.kernel, arguments.vmio)
    built = [arguments.tools / name for name in ("wc-run", "wc-check", "wc-dump", "wc-flush")]
    vm.more_disks.append(tools_disk.make(work / "tools.img", work / "tools", [*PROGRAMS, *map(str, built)],
                                         sorted((arguments.kernel / "more").iterdir()),
                                         [pathlib.Path(__file__).parent / "guest/ublk.sh"]))
    beds = []
    for name, kind, block_size, origin_mib, script in cases():
        if re.search(arguments.only, name):
            bed = suite.Bed(vm, name, kind, block_size, 16 * MIB, origin_mib * MIB)
            beds.append(bed.script("open_tools libcrc32c xfs ublk_drv\n. /tools/ublk.sh\nopen_case\n" + script + "close_case\n"))
    vm.boot()
    for bed in beds:
        with report.case(bed.name) as problems:
            suite.finished(problems, bed.outcome())
    shutil.rmtree(work / "boot/root", ignore_errors=True)
    (work / "tools.img").unlink(missing_ok=True)


if __name__ == "__main__":
    suite.run(main, __doc__)
