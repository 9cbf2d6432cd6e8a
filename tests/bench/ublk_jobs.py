#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures wc-run --ublk against dm-writecache itself in the test machine, on the same ramdisks with the same fio jobs, and
against a ublk device that does nothing. Prints rows of markdown. The machine is emulated: only the ratios mean anything."""

import argparse
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "vm"))
import machine  # noqa: E402  found only now
import tools_disk  # noqa: E402

JOBS = (("4 KiB random writes, QD 32", "--rw=randwrite --bs=4k --iodepth=32"),
        ("4 KiB random reads, QD 32", "--rw=randread --bs=4k --iodepth=32"),
        ("70/30 mix, QD 32", "--rw=randrw --rwmixread=70 --bs=4k --iodepth=32"),
        ("4 KiB random writes, QD 1", "--rw=randwrite --bs=4k --iodepth=1"),
        ("4 KiB random reads, QD 1", "--rw=randread --bs=4k --iodepth=1"))

SCRIPT = """
open_tools ublk_drv
MIB=%(mib)d
[ -b /dev/ram1 ] || insmod /tools/modules/brd.ko rd_nr=2 rd_size=$((MIB * 1024))
size=$((MIB * 1024 * 2 * 2 / 5 / 8 * 8))
vmio zero /dev/ram0 0 $((MIB << 20))
vmio zero /dev/ram1 0 $((MIB << 20))
slice origin /dev/ram1 0 $((size * 512))
case %(server)s in
  driver)
    dmsetup create wc --table "0 $size writecache s /dev/mapper/origin /dev/ram0 4096 0"
    disk=/dev/mapper/wc ;;
  ublk)
    wc-run --origin /dev/mapper/origin --type s --format --name b --ublk /dev/ram0 >/tmp/ready &
    until grep -q ready /tmp/ready; do sleep 0.05; done
    disk=$(sed -n 's/^ready //p' /tmp/ready) ;;
  null)
    ublk_null $size >/tmp/ready &
    until grep -q ready /tmp/ready; do sleep 0.05; done
    disk=$(sed -n 's/^ready //p' /tmp/ready) ;;
esac
fio --name=fill --filename=$disk --direct=1 --ioengine=libaio --rw=write --bs=64k --size=$((size * 512)) --output=/dev/null
%(jobs)s
case %(server)s in
  driver) dmsetup remove wc ;;
  ublk) wc-run ctl b stop; wait ;;
  null) kill -KILL $!; wait 2>/dev/null || true ;;
esac
"""


def script(jobs, server, seconds, mib):
    lines = "\n".join(
        f"say job{number} $(fio --name=job --filename=$disk --direct=1 --ioengine=libaio --size=$((size * 512)) {words} "
        f"--time_based --runtime={seconds} --output-format=terse | awk -F';' '{{ print $8 + $49 }}')"
        for number, (_, words) in enumerate(jobs))
    return SCRIPT % {"server": server, "jobs": lines, "mib": mib}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, type=pathlib.Path, help="folder of the built commands")
    parser.add_argument("--bench", required=True, type=pathlib.Path, help="folder of the built tests/bench")
    parser.add_argument("--vmio", required=True, type=pathlib.Path, help="the built helper of the test machine")
    parser.add_argument("--work", required=True, type=pathlib.Path, help="folder for the kernel and images")
    parser.add_argument("--processors", type=int, default=2, help="of the test machine (default: %(default)s)")
    parser.add_argument("--only", default="", help="jobs whose name contains this")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    arguments = parser.parse_args()
    jobs = [job for job in JOBS if arguments.only in job[0]]
    kernel = arguments.work / "kernel"
    machine.fetch_kernel(kernel)
    vm = machine.Machine(arguments.work / "ublk-bench", kernel, arguments.vmio)
    vm.processors = arguments.processors
    vm.more_disks.append(tools_disk.make(arguments.work / "bench-tools.img", arguments.work / "bench-tools",
                                         ["fio", str(arguments.bin / "wc-run"), str(arguments.bench / "ublk_null")],
                                         sorted((kernel / "more").iterdir())))
    vm.area(machine.MIB)  # the pool must not be empty
    for turn in range(arguments.rounds):
        for server in ("driver", "ublk", "null"):
            vm.case(f"{server}-{turn}", script(jobs, server, arguments.seconds, 96))
    outcomes = vm.boot()
    for name, outcome in outcomes.items():
        if outcome.status != 0:
            sys.exit(f"{name} failed: {' / '.join(outcome.lines[-5:])}")
    print("| requests/s in the test machine | dm-writecache | wc-run --ublk | an empty ublk device | goal |")
    print("|---|---|---|---|---|")
    for number, (title, _) in enumerate(jobs):
        rates = {server: [float(outcomes[f"{server}-{turn}"].get(f"job{number}")) for turn in range(arguments.rounds)]
                 for server in ("driver", "ublk", "null")}
        ours = statistics.median(rates["ublk"])
        to_driver = statistics.median(a / b for a, b in zip(rates["ublk"], rates["driver"]))
        to_null = statistics.median(a / b for a, b in zip(rates["ublk"], rates["null"]))
        goal = "≥ 1.0 × the driver" if "QD 32" in title else "≥ 0.8 × the empty one"
        print(f"| {title} | {statistics.median(rates['driver']):.0f} | {ours:.0f} ({to_driver:.2f} × the driver, "
              f"{to_null:.2f} × the empty one) | {statistics.median(rates['null']):.0f} | {goal} |")


if __name__ == "__main__":
    main()
