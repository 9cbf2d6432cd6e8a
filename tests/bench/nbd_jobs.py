#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures wc-run over NBD against other servers, side by side in one run, and prints rows of markdown."""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20


class Server:
    """One server with images of its own. `folder` holds the origin, `cache_folder` what stands before it."""

    def __init__(self, folder, cache_folder, arguments):
        self.socket = arguments.fast / f"{self.name}-{folder.name}.sock"
        self.origin = folder / f"{self.name}.origin"
        self.cache = cache_folder / f"{self.name}.cache"
        self.arguments = arguments
        fill(self.origin, arguments.size)
        command = self.command()
        self.log = open(arguments.fast / f"{self.name}.log", "w+b")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env={
            **os.environ, "TMPDIR": str(cache_folder), "XDG_RUNTIME_DIR": str(arguments.fast)})
        deadline = time.monotonic() + 30
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                sys.exit(f"{self.title} does not start: {self.log.read().decode()}")
            time.sleep(0.05)

    def is_ready(self):
        """A client can connect; this also serves as its first touch."""
        return self.socket.exists() and subprocess.run(
            [self.arguments.bench / "nbd_load", self.socket, "--job=read", "--seconds=0"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        for image in (self.origin, self.cache):
            image.unlink(missing_ok=True)


class File(Server):
    name, title = "file", "file plugin"

    def command(self):
        return ["nbdkit", "--foreground", "--unix", self.socket, "file", self.origin]


class Cached(Server):
    name, title = "filter", "cache filter"

    def command(self):
        return ["nbdkit", "--foreground", "--unix", self.socket, "--filter=cache", "file", self.origin, "cache=writeback"]


class Qemu(Server):
    name, title = "qemu", "qemu-nbd"

    def command(self):
        return ["qemu-nbd", "--persistent", "--format=raw", "--shared=8", "--socket", self.socket, self.origin]


class Ssd(Server):
    name, title, type = "s", "wc-run, type s", "s"

    def command(self):
        # Room for everything at half full, where writeback begins.
        fill(self.cache, self.arguments.size * 5 // 2)
        subprocess.run([self.arguments.bin / "wc-format", self.cache], stdout=subprocess.DEVNULL, check=True)
        return [self.arguments.bin / "wc-run", "--origin", self.origin, "--nbd", f"unix:{self.socket}", "--type", self.type,
                self.cache]


class Pmem(Ssd):
    name, title, type = "p", "wc-run, type p", "p"


SERVERS = {kind.name: kind for kind in (File, Cached, Qemu, Ssd, Pmem)}


def fill(image, size):
    """Written, not sparse: else the first touch of every page would be measured."""
    with open(image, "wb") as out:
        for _ in range(0, size, MIB):
            out.write(bytes(MIB))
        os.fsync(out.fileno())


def fio(server, seconds, *words):
    """Requests a second of one job of fio's nbd engine."""
    done = subprocess.run(
        ["fio", "--name=job", "--ioengine=nbd", f"--uri=nbd+unix:///?socket={server.socket}", "--time_based",
         f"--runtime={seconds}", f"--size={server.arguments.size}", "--output-format=json", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    text = done.stdout.decode()
    job = json.loads(text[text.index("{"):])["jobs"][0]
    return job["read"]["iops"] + job["write"]["iops"]


def lean(server, seconds, *words):
    """Requests a second of the project's own client."""
    done = subprocess.run([server.arguments.bench / "nbd_load", server.socket, f"--seconds={seconds}", *words],
                          stdout=subprocess.PIPE, check=True)
    return float(done.stdout)


# Name, what measures it, its words.
JOBS = (
    ("4 KiB random writes, QD 1 (fio)", fio, ("--rw=randwrite", "--bs=4k", "--iodepth=1")),
    ("4 KiB random writes, QD 32 (fio)", fio, ("--rw=randwrite", "--bs=4k", "--iodepth=32")),
    ("the same, fsync every 32 (fio)", fio, ("--rw=randwrite", "--bs=4k", "--iodepth=32", "--fsync=32")),
    ("4 KiB random reads, QD 32 (fio)", fio, ("--rw=randread", "--bs=4k", "--iodepth=32")),
    ("1 MiB sequential writes, QD 4 (fio)", fio, ("--rw=write", "--bs=1m", "--iodepth=4")),
    ("70/30 reads and writes, QD 32 (fio)", fio, ("--rw=randrw", "--rwmixread=70", "--bs=4k", "--iodepth=32")),
    ("4 KiB random writes, QD 32 (lean client)", lean, ("--job=write", "--depth=32")),
    ("4 KiB random reads, QD 32 (lean client)", lean, ("--job=read", "--depth=32")),
)
BARRIER = ("barrier: 32 writes of 4 KiB, wait, FLUSH, wait (lean client)", lean, ("--job=barrier", "--depth=32"))


def measure(job, servers, arguments):
    """Requests a second: {server name: [one a round]}. The servers take turns, so that all meet the same machine."""
    _, client, words = job
    rates = {server.name: [] for server in servers}
    for _ in range(arguments.rounds):
        for server in servers:
            rates[server.name].append(client(server, arguments.seconds, *words))
    return rates


def ratio(rates, name, other):
    """Median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(rates[name], rates[other]))


def print_table(jobs, servers, arguments, goals):
    others = [server for server in servers if server.name != "file"]
    print("| requests/s | " + " | ".join(["file plugin"] + [server.title for server in others]) + " | goal |")
    print("|---|" + "---|" * (len(others) + 2))
    for job in jobs:
        rates = measure(job, servers, arguments)
        cells = [f"{statistics.median(rates['file']):.0f}"]
        for server in others:
            cells.append(f"{statistics.median(rates[server.name]):.0f} ({ratio(rates, server.name, 'file'):.2f} ×)")
        print(f"| {job[0]} | " + " | ".join(cells) + f" | {goals(rates)} |", flush=True)


@contextlib.contextmanager
def running(makers):
    """Starts all, stops all."""
    with contextlib.ExitStack() as stack:
        servers = []
        for make in makers:
            servers.append(make())
            stack.callback(servers[-1].stop)
        yield servers


def memory_jobs(arguments, kinds):
    """Everything on tmpfs: what the transport and the engine cost."""
    jobs = [job for job in JOBS if arguments.only in job[0]]
    if not jobs:
        return
    makers = [lambda kind=kind: kind(arguments.fast, arguments.fast, arguments) for kind in kinds]
    with running(makers) as servers:
        print_table(jobs, servers, arguments, lambda rates: "wc-run ≥ 0.9 ×")


def barrier_job(arguments, kinds):
    """Origin and cache on the disk, the cache of type p on tmpfs: what a flush costs."""
    if arguments.only not in BARRIER[0]:
        return

    def goals(rates):
        found = ["p ≥ 3 ×, s ≥ 2 ×"]
        if "s" in rates and "filter" in rates:
            found.append(f"s ≥ 3 × the filter: {ratio(rates, 's', 'filter'):.2f} ×")
        return "; ".join(found)

    def make(kind):
        return kind(arguments.disk, arguments.fast if kind is Pmem else arguments.disk, arguments)
    with running([lambda kind=kind: make(kind) for kind in kinds]) as servers:
        print_table([BARRIER], servers, arguments, goals)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, type=pathlib.Path, help="folder of the built commands")
    parser.add_argument("--bench", required=True, type=pathlib.Path, help="folder of the built tests/bench")
    parser.add_argument("--disk", type=pathlib.Path, help="a folder on a real disk (default: that of temporary files)")
    parser.add_argument("--fast", default="/dev/shm", help="a folder on tmpfs (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="of one measurement (default: %(default)s)")
    parser.add_argument("--size", type=int, default=512, help="of the origin, in MiB (default: %(default)s)")
    parser.add_argument("--servers", default=",".join(SERVERS), help="some of %(default)s; file is always one")
    parser.add_argument("--only", default="", help="jobs whose name contains this")
    arguments = parser.parse_args()
    arguments.size *= MIB
    wanted = {"file", *arguments.servers.split(",")}
    if not wanted <= SERVERS.keys():
        parser.error(f"--servers: some of {','.join(SERVERS)}")
    kinds = [kind for kind in SERVERS.values() if kind.name in wanted]
    with contextlib.ExitStack() as stack:
        for attribute, parent in (("fast", arguments.fast), ("disk", arguments.disk)):
            folder = tempfile.mkdtemp(prefix="bench-", dir=parent)
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            setattr(arguments, attribute, pathlib.Path(folder))
        memory_jobs(arguments, kinds)
        barrier_job(arguments, kinds)


if __name__ == "__main__":
    main()
