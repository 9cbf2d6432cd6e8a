# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine with the real driver: cases are shell snippets, run in order in one boot, on images in one pool disk."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
MIB = 1 << 20
MEMORY_MIB = 512
PMEM_MIB = 64
TOP_MIB = 16            # ordinary memory left above the persistent region, which is cut otherwise
PMEM_START_MIB = MEMORY_MIB - TOP_MIB - PMEM_MIB
AREA_ALIGNMENT = MIB    # every image begins at a multiple of this in the pool
INITRAMFS_BYTES_MAX = (TOP_MIB - 2) * MIB  # it is put there
BOOT_SECONDS_MAX = 540


class Skip(Exception):
    """The suite cannot run here; the text says why."""


class Area:
    """A byte range of the pool disk that holds one image."""

    def __init__(self, pool, offset, length):
        self.pool, self.offset, self.length = pool, offset, length

    def write(self, data, at=0):
        if at + len(data) > self.length:
            raise ValueError("image does not fit its area")
        with open(self.pool, "r+b") as file:
            file.seek(self.offset + at)
            file.write(data)

    def read(self):
        with open(self.pool, "rb") as file:
            file.seek(self.offset)
            return file.read(self.length)


class Outcome:
    """What a case said: its exit status and its KEY=VALUE lines."""

    def __init__(self, name):
        self.name, self.status, self.lines, self.values = name, None, [], {}

    def add(self, line):
        self.lines.append(line)
        key, equals, value = line.partition("=")
        if equals and re.fullmatch(r"[a-z_.0-9]+", key):
            self.values.setdefault(key, []).append(value)

    def get(self, key):
        return self.values.get(key, [None])[0]

    def all(self, key):
        return self.values.get(key, [])


class Machine:
    """One boot. Allocate areas, add cases, boot(), then read the outcomes and the areas."""

    def __init__(self, folder, kernel, vmio, programs=()):
        """`programs`: more static ones besides vmio, for /bin."""
        self.folder = pathlib.Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.kernel, self.programs = pathlib.Path(kernel), [pathlib.Path(path) for path in (vmio, *programs)]
        self.files = {}
        self.memory = None  # see keep_memory
        self.processors = 1
        self.pool = self.folder / "pool.img"
        self.pool.touch()
        self.more_disks = []  # images that appear as /dev/vdb and on
        self.used = 0
        self.cases = []
        self.outcomes = {}
        self.seconds = 0.0
        self.kernel_release = "unknown: it did not boot"

    def area(self, length):
        area = Area(self.pool, self.used, length)
        self.used += -(-length // AREA_ALIGNMENT) * AREA_ALIGNMENT
        os.truncate(self.pool, self.used)
        return area

    def area_of(self, content):
        """An area that holds these bytes; of this length and zero; or the area itself."""
        if isinstance(content, Area):
            return content
        if isinstance(content, int):
            return self.area(content)
        area = self.area(len(content))
        area.write(content)
        return area

    def case(self, name, script, **variables):
        """Adds a case: `variables` become shell variables, then lib.sh is read, then `script` runs under -e."""
        if any(name == other for other, _ in self.cases):
            raise ValueError(f"two cases named {name}")
        head = "".join(f"{key}='{value}'\n" for key, value in variables.items())
        self.cases.append((name, head + ". /lib.sh\n" + script + "\n"))

    def keep_memory(self, path):
        """The guest's memory is this file, so that /dev/pmem0 outlives the machine; returns /dev/pmem0's area in it."""
        self.memory = pathlib.Path(path)
        if not self.memory.exists():
            self.memory.touch()
            os.truncate(self.memory, MEMORY_MIB * MIB)
        return Area(self.memory, PMEM_START_MIB * MIB, PMEM_MIB * MIB)

    def file(self, name, text):
        """A text that cases find in /files."""
        self.files[name] = text

    def prepare(self):
        """Packs everything; returns the command that boots it and the path of the console's text."""
        root = self.folder / "root"
        for part in ("bin", "cases", "files", "modules"):
            (root / part).mkdir(parents=True)
        copy(HERE / "guest/init", root / "init", 0o755)
        copy(HERE / "guest/lib.sh", root / "lib.sh", 0o644)
        for program in self.programs:
            copy(program, root / "bin" / program.name, 0o755)
        copy("/bin/busybox", root / "bin/busybox", 0o755)
        for file in (self.kernel / "modules").iterdir():
            copy(file, root / "modules" / file.name, 0o644)
        add_program(root, shutil.which("dmsetup", path=os.environ["PATH"] + ":/usr/sbin:/sbin"))
        for name, script in self.cases:
            (root / "cases" / name).write_text(script)
        for name, text in self.files.items():
            (root / "files" / name).write_text(text)
        (root / "cases/order").write_text("".join(name + "\n" for name, _ in self.cases))
        initramfs = self.folder / "initramfs.cpio"
        with open(initramfs, "wb") as out:
            names = "\n".join(sorted(str(path.relative_to(root)) for path in root.rglob("*")))
            subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], input=names.encode(), stdout=out, cwd=root, check=True)
        if initramfs.stat().st_size > INITRAMFS_BYTES_MAX:
            raise RuntimeError(f"{initramfs} is larger than {INITRAMFS_BYTES_MAX} bytes and would lie in persistent memory")
        console = self.folder / "console.log"
        command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", str(MEMORY_MIB),
                   "-smp", str(self.processors), "-nodefaults", "-display", "none", "-no-reboot",
                   "-serial", f"file:{escape(console)}", "-kernel", str(self.kernel / "vmlinuz"), "-initrd", str(initramfs), "-append",
                   # A busy host stops the guest for many seconds: no fault of the driver, so no watchdog and no check of the timer.
                   f"console=ttyS0 quiet loglevel=1 panic=-1 oops=panic nowatchdog no_timer_check mitigations=off "
                   f"memmap={PMEM_MIB}M!{PMEM_START_MIB}M",
                   "-drive", f"if=none,id=pool,format=raw,cache=unsafe,discard=unmap,file={escape(self.pool)}",
                   "-device", "virtio-blk-pci,drive=pool"]
        for number, image in enumerate(self.more_disks):
            command += ["-drive", f"if=none,id=more{number},format=raw,readonly=on,file={escape(image)}",
                        "-device", f"virtio-blk-pci,drive=more{number}"]
        if self.memory:
            # What the guest stored there is in the file, whatever becomes of the machine.
            command += ["-object", f"memory-backend-file,id=ram,size={MEMORY_MIB}M,mem-path={escape(self.memory)},share=on",
                        "-machine", "memory-backend=ram"]
        return command, console

    def boot(self):
        command, console = self.prepare()
        began = time.monotonic()
        try:
            run = subprocess.run(command, timeout=BOOT_SECONDS_MAX, capture_output=True, text=True)
            trouble = f"qemu exit {run.returncode}: {run.stderr.strip()}" if run.returncode else ""
        except subprocess.TimeoutExpired:
            trouble = f"the machine did not power off within {BOOT_SECONDS_MAX} s"
        self.seconds = time.monotonic() - began
        text = console.read_text(errors="replace").replace("\r", "") if console.exists() else ""
        self.read_console(text)
        if trouble or "@@FINISHED" not in text:
            print(f"# machine: {trouble or 'it stopped before the end'}; see {console}", file=sys.stderr)
        return self.outcomes

    def boot_and_cut(self, is_time):
        """Boots and kills the machine as soon as `is_time(console text)`. Returns the text; None if it ended by itself."""
        command, console = self.prepare()
        began = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            text = ""
            while run.poll() is None and time.monotonic() - began < BOOT_SECONDS_MAX:
                text = console.read_text(errors="replace").replace("\r", "") if console.exists() else ""
                if is_time(text):
                    break
                time.sleep(0.02)
            has_ended = run.poll() is not None
            run.kill()
        self.seconds = time.monotonic() - began
        self.read_console(text)
        return None if has_ended else console.read_text(errors="replace").replace("\r", "")

    def read_console(self, text):
        current = None
        for line in text.splitlines():
            words = line.split()
            if line.startswith("@@BROKEN"):
                raise RuntimeError(f"the machine is not usable: {line[9:]}")
            if line.startswith("@@KERNEL"):
                self.kernel_release = line[9:]
            elif line.startswith("@@BEGIN"):
                current = self.outcomes.setdefault(words[1], Outcome(words[1]))
            elif line.startswith("@@END"):
                self.outcomes[words[1]].status = int(words[2])
                current = None
            elif current is not None:
                current.add(line)
        for name, _ in self.cases:
            self.outcomes.setdefault(name, Outcome(name))


def escape(path):
    """A path inside an option of qemu."""
    return str(path).replace(",", ",,")


def copy(source, target, mode):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def add_program(root, program):
    """A program of the host with the libraries that ldd names."""
    copy(program, root / "bin" / pathlib.Path(program).name, 0o755)
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"(/\S+) \(0x", listing):
        copy(library, root / library.lstrip("/"), 0o755)


def fetch_kernel(folder):
    """Fills `folder` with kernel.sh, or raises Skip."""
    run = subprocess.run([str(HERE / "kernel.sh"), str(folder)], capture_output=True, text=True)
    if run.returncode == 77:
        raise Skip(run.stdout.strip())
    if run.returncode != 0:
        raise RuntimeError(f"kernel.sh: {run.stdout}{run.stderr}")
