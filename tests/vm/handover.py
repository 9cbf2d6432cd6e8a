# SPDX-License-Identifier: LGPL-2.1-or-later
"""One cache of each type goes from our engine to the driver and back, ten rounds; every owner is cut off under load.

Odd rounds are ours: wc-check, wc-run over NBD, a client that writes and flushes, SIGKILL. Even rounds are the driver's, in a machine
that is killed while it writes; its persistent memory is a file that outlives it. Whoever takes over must show every flushed block;
of what was written later, each sector is old or new. At the end wc-flush drains the cache, and the origin alone must be right.

A round takes about ten seconds. --seed makes another run; it is printed."""

import os
import random
import re
import shutil
import signal
import subprocess
import time

import nbd

import suite
from handover_oracle import HandoverOracle, block_content
from machine import MIB, Machine

ROUNDS = 10
BLOCK = 4096
ORIGIN_BLOCKS = 1024
CACHE_BYTES = MIB + 65536  # about a quarter of the origin: watermarks and writes around the cache come in
BATCHES = 300              # of writes, each with a flush behind it: more than the driver comes to
DEPTH = 8                  # requests of the client in flight
# The driver's own defaults, but for commits that come often.
WAIT_MS = {"s": 0, "p": 100}  # behind each batch: type p is much the faster one
OPTIONS = {"s": "autocommit_time 50 pause_writeback 20", "p": "autocommit_time 50"}
MACHINE = """
for kind in s p; do
  case $kind in
    s) device=$pool; at=$CACHE_S_AT; origin_at=$ORIGIN_S_AT; merged_at=$MERGED_S_AT; options=$OPTIONS_S ;;
    p) device=/dev/pmem0; at=0; origin_at=$ORIGIN_P_AT; merged_at=$MERGED_P_AT; options=$OPTIONS_P ;;
  esac
  slice "cache_$kind" "$device" "$at" "$CACHE_LEN"
  slice "origin_$kind" "$pool" "$origin_at" "$ORIGIN_LEN"
  # shellcheck disable=SC2086
  dmsetup create "wc_$kind" --table "0 $((ORIGIN_LEN / 512)) writecache $kind /dev/mapper/origin_$kind /dev/mapper/cache_$kind 4096 \
$(count_words $options) $options"
  vmio copy "/dev/mapper/wc_$kind" 0 "$pool" "$merged_at" "$ORIGIN_LEN" 4096
  echo "@@STATUS $kind $(dmsetup status "wc_$kind")" >/dev/ttyS0
done
dmesg | sed -n 's/^.*device-mapper: writecache/@@DRIVER/p' >/dev/ttyS0
echo '@@READ' >/dev/ttyS0
for kind in s p; do vmio load "/dev/mapper/wc_$kind" 4096 "/files/load_$kind" "$kind" >/dev/ttyS0 2>&1 & done
wait
echo '@@LOADED' >/dev/ttyS0
sleep 600
"""


class Cache:
    """One cache and its origin on the host, and what they may hold."""

    def __init__(self, kind, folder, tools, seed):
        self.kind, self.tools, self.tag = kind, tools, 0
        self.random = random.Random(f"{seed} {kind}")
        self.cache, self.origin = folder / f"cache-{kind}.img", folder / f"origin-{kind}.img"
        content = self.random.randbytes(ORIGIN_BLOCKS * BLOCK)
        self.origin.write_bytes(content)
        self.cache.write_bytes(bytes(CACHE_BYTES))
        if tools.run("wc-format", "--block-size", BLOCK, self.cache).returncode:
            raise RuntimeError("wc-format fails")
        self.oracle = HandoverOracle(content, BLOCK)

    def batch(self):
        """Writes (block, count, tag) that do not overlap."""
        writes, used = [], set()
        for _ in range(self.random.randint(1, 12)):
            count = self.random.choice((1, 1, 1, 2, self.random.randint(1, 12)))
            block = self.random.randrange((ORIGIN_BLOCKS if self.random.random() < 0.4 else ORIGIN_BLOCKS // 8) - count)
            if used.isdisjoint(range(block, block + count)):
                used.update(range(block, block + count))
                self.tag += 1
                writes.append((block, count, self.tag))
        return writes

    def check_content(self, problems, who, content):
        wrong = self.oracle.wrong_sectors(content)
        if wrong:
            problems.add(f"type {self.kind}: {who} shows {len(wrong)} sectors that nobody wrote or that are older than a flush, first {wrong[:8]}")
        note = f"type {self.kind}: {len(self.oracle.pending)} unflushed blocks, {self.oracle.survivors(content)} of them changed"
        problems.note += ("; " if problems.note else "") + note
        self.oracle.adopt(content)

    def check_media(self, problems):
        done = self.tools.run("wc-check", "--origin", self.origin, self.cache)
        if done.returncode:
            problems.add(f"type {self.kind}: wc-check exits {done.returncode}: {done.stdout.decode().strip()}")


class Server:
    """wc-run on a cache, as a process group that can be killed."""

    def __init__(self, cache, folder):
        self.socket = folder / "nbd"
        options = [word if word[0].isdigit() else "--" + word.replace("_", "-") for word in OPTIONS[cache.kind].split()]
        command = [str(cache.tools.folder / "wc-run"), "--type", cache.kind, "--origin", str(cache.origin), "--nbd", f"unix:{self.socket}",
                   *options, str(cache.cache)]
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
        self.run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                                    env=environment)
        line = self.run.stdout.readline()
        if not line.startswith("ready "):
            self.kill()
            raise RuntimeError(f"wc-run is not ready: {line}{self.run.stdout.read()}")
        self.handle = nbd.NBD()
        self.handle.connect_uri(line.split()[1])

    def kill(self):
        os.killpg(self.run.pid, signal.SIGKILL)
        self.run.wait()

    def read_all(self):
        return b"".join(bytes(self.handle.pread(16 * BLOCK, at)) for at in range(0, self.handle.get_size(), 16 * BLOCK))

    def load(self, cache):
        """Batches of writes and flushes, until it is killed in the middle of a batch."""
        for _ in range(cache.random.randint(20, 60)):
            self.send(cache, cache.batch())
            self.handle.flush()
            cache.oracle.flush()
        last = cache.batch()
        self.send(cache, last, wait=False)
        time.sleep(cache.random.random() * 0.005)
        self.kill()

    def send(self, cache, writes, wait=True):
        buffers, cookies = [], []
        for block, count, tag in writes:
            cache.oracle.write(block, count, tag)
            data = b"".join(block_content(tag, each, BLOCK) for each in range(block, block + count))
            buffers.append(nbd.Buffer.from_bytearray(bytearray(data)))
            cookies.append(self.handle.aio_pwrite(buffers[-1], block * BLOCK))
            while wait and len(cookies) >= DEPTH:
                self.finish(cookies)
        while wait and cookies:
            self.finish(cookies)

    def finish(self, cookies):
        cookies[:] = [cookie for cookie in cookies if not self.handle.aio_command_completed(cookie)]
        if cookies:
            self.handle.poll(-1)


def our_round(problems, caches, folder):
    for cache in caches:
        cache.check_media(problems)
        server = Server(cache, folder)
        try:
            cache.check_content(problems, "wc-run", server.read_all())
            server.load(cache)
        finally:
            if server.run.poll() is None:
                server.kill()


def driver_round(problems, caches, arguments, folder, memory, chance):
    vm = Machine(folder, arguments.kernel, arguments.vmio)
    pmem = vm.keep_memory(memory)
    areas, scripts = {}, {}
    for cache in caches:
        origin = vm.area_of(cache.origin.read_bytes())
        image = cache.cache.read_bytes()
        if cache.kind == "s":
            store = vm.area_of(image)
        else:
            store = pmem
            store.write(image)
        areas[cache.kind] = (store, origin, vm.area(origin.length))
        scripts[cache.kind] = [cache.batch() for _ in range(BATCHES)]
        vm.file(f"load_{cache.kind}", "".join("".join(f"write {block} {count} {tag}\n" for block, count, tag in batch) +
                                              f"flush\nwait {WAIT_MS[cache.kind]}\n" for batch in scripts[cache.kind]))
    offsets = {f"{name}_{kind.upper()}_AT": area.offset for kind, three in areas.items()
               for name, area in zip(("CACHE", "ORIGIN", "MERGED"), three)}
    vm.case("handover", MACHINE, CACHE_LEN=CACHE_BYTES, ORIGIN_LEN=ORIGIN_BLOCKS * BLOCK, OPTIONS_S=OPTIONS["s"], OPTIONS_P=OPTIONS["p"],
            **offsets)
    wanted = {cache.kind: chance.randint(5, 20) for cache in caches}
    text = vm.boot_and_cut(lambda said: all(flushes(said, kind) >= count for kind, count in wanted.items()) or "@@END" in said)
    if text is None or "@@READ" not in text or "@@END" in text:
        problems.add(f"the machine did not come to its load: {(text or '').splitlines()[-5:]}")
        return
    for line in re.findall(r"@@DRIVER.*", text):
        problems.add(f"the driver complains: {line}")
    for cache in caches:
        store, origin, merged = areas[cache.kind]
        cache.check_content(problems, "the driver", merged.read())
        done = flushes(text, cache.kind)
        for number, batch in enumerate(scripts[cache.kind]):
            for write in batch:
                cache.oracle.write(*write)
            if number < done:
                cache.oracle.flush()
        status = re.search(rf"@@STATUS {cache.kind} (.*)", text)
        problems.equal(f"type {cache.kind}: the driver's error field", suite.status_fields(status.group(1))["error"], 0)
        cache.cache.write_bytes(store.read()[:CACHE_BYTES])
        cache.origin.write_bytes(origin.read())
    problems.note += f"; cut off after {', '.join(f'{flushes(text, kind)} flushes of {kind}' for kind in wanted)} in {vm.seconds:.0f} s"


def flushes(text, kind):
    return max(map(int, re.findall(rf"@@FLUSHED {kind} (\d+)\n", text)), default=0)


def drain(problems, caches):
    for cache in caches:
        cache.check_media(problems)
        done = cache.tools.run("wc-flush", "--origin", cache.origin, cache.cache)
        problems.equal(f"type {cache.kind}: wc-flush exit status", done.returncode, 0)
        cache.check_content(problems, "the drained origin", cache.origin.read_bytes())


def main(arguments, report):
    folder = arguments.work / "handover"
    print(f"# seed {arguments.seed}: --seed {arguments.seed} sends the same requests again; the last images stay in {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tools = suite.Tools(arguments.tools)
    caches = [Cache(kind, folder, tools, arguments.seed) for kind in "sp"]
    chance = random.Random(arguments.seed)
    for number in range(1, ROUNDS + 1):
        with report.case(f"round-{number}-{'ours' if number % 2 else 'driver'}") as problems:
            if number % 2:
                our_round(problems, caches, folder)
            else:
                driver_round(problems, caches, arguments, folder / f"boot-{number}", folder / "memory.img", chance)
    with report.case("drain") as problems:
        drain(problems, caches)
    print(f"# {', '.join(f'{cache.oracle.flushed_blocks} flushed blocks of type {cache.kind}' for cache in caches)}")


if __name__ == "__main__":
    suite.run(main, __doc__.splitlines()[0], lambda parser: parser.add_argument("--seed", type=int, default=1))
