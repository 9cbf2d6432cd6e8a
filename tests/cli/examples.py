#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""examples.py PAGE: runs every example of a manual page, in the order of the page, on images made for it. Prints TAP.

An example is a line `.Dl # COMMAND` or `.Dl $ COMMAND`, or a literal display that begins so, wherever it stands. Devices and directories are those of the page
(/dev, /etc, /root, /run, /srv), laid into a scratch directory: /dev/nvme0n1p3 is the cache and /dev/vg/origin the origin, and
in a page whose examples are images in the current directory cache.img and disk.img are the same two files. Comments of the
page, which no reader sees, say what the test has to know:
  .\\" test: images RECIPE    new images from tests/images from here on (`filesystem`: an ext4 whose newest file is in the cache)
  .\\" test: inside DEVICE SECTOR IMAGE   from here on DEVICE holds the image from this sector on
  .\\" test: file PATH        the next literal display is the content of this file
  .\\" test: status N         the next example ends with this status (else 0)
  .\\" test: prints REGEX     the next example prints this
  .\\" test: until COMMAND    the next example, which ends with `&`, is ready once this command succeeds
  .\\" test: skip REASON      the next example is not run, for this reason
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE_S = 120
PREFIXES = re.compile(r"(?<![\w./])/(dev|etc|root|run|srv)/(?!(?:null|zero|urandom|stdout|stderr)\b)")
MARKER = re.compile(r'\.\\" test: (\w+) ?(.*)$')
ROFF = {r"\(dq": '"', r"\e": "\\", r"\-": "-", r"\&": "", r"\(aq": "'"}


class Failure(Exception):
    """The example did not do what the page says."""


def plain(text):
    """What a reader sees of a line of mdoc without macros."""
    return re.sub(r"\\\(dq|\\\(aq|\\e|\\-|\\&", lambda match: ROFF[match[0]], text)


def steps_of(path):
    """Yields (kind, text): the markers, ("example", command), and ("display", text)."""
    display = marker = None
    with open(path, encoding="utf-8") as page:
        for line in page.read().splitlines():
            if match := MARKER.match(line):
                marker = match[1]
                yield match[1], plain(match[2])
            elif line.startswith(".Bd "):
                display = []
            elif line == ".Ed":
                text = "\n".join(display)
                is_file = marker == "file"
                yield ("example", text[2:]) if not is_file and text.startswith(("# ", "$ ")) else ("display", text)
                display = None
            elif display is not None:
                display.append(plain(line))
            elif line.startswith((".Dl #", ".Dl $")):
                yield "example", plain(line[6:])


class Scratch:
    """The directory that stands for the machine of the page."""

    def __init__(self, source, build):
        self.source = source
        self.path = tempfile.mkdtemp(prefix="wc-ex.", dir="/tmp")  # short: unix sockets live in it
        self.background = []
        for folder in ("dev/vg", "etc/writecache", "root", "run", "srv", "bin"):
            os.makedirs(os.path.join(self.path, folder))
        self.environment = dict(os.environ, LC_ALL="C.UTF-8", XDG_RUNTIME_DIR=os.path.join(self.path, "run"),
                                PATH=":".join((os.path.join(self.path, "bin"), os.path.join(build, "bin"),
                                               "/usr/sbin:/usr/bin:/sbin:/bin")))
        self._lay_nbdkit(build)

    def _lay_nbdkit(self, build):
        """`nbdkit writecache` finds the plugin of the build, as it would find an installed one."""
        wrapped = os.path.join(build, "bin", "nbdkit")
        real = wrapped if os.path.exists(wrapped) else shutil.which("nbdkit", path="/usr/sbin:/usr/bin")
        plugins = [os.path.join(folder, "nbdkit-writecache-plugin.so") for folder, _, names in os.walk(os.path.join(build, "lib"))
                   if "nbdkit-writecache-plugin.so" in names]
        path = os.path.join(self.path, "bin", "nbdkit")
        with open(path, "w", encoding="ascii") as out:
            out.write("#!/bin/bash\n"
                      f"for word; do [ \"$word\" != writecache ] || word='{plugins[0] if plugins else ''}'; words+=(\"$word\"); done\n"
                      f"exec '{real}' \"${{words[@]}}\"\n")
        os.chmod(path, 0o755)

    def inside(self, text):
        return PREFIXES.sub(lambda match: f"{self.path}/{match[1]}/", text)

    def make_images(self, recipe):
        self.stop_background()
        cache, origin = (os.path.join(self.path, "dev", name) for name in ("nvme0n1p3", "vg/origin"))
        folder = os.path.join(self.source, "tests", "images")
        words = ["filesystem.py"] if recipe == "filesystem" else ["recipes.py", recipe]
        subprocess.run([sys.executable, "-B", os.path.join(folder, words[0]), *words[1:], cache, origin], check=True)
        for name, target in (("cache.img", cache), ("disk.img", origin)):
            link = os.path.join(self.path, name)
            if not os.path.lexists(link):
                os.link(target, link)

    def lay_inside(self, device, sector, image):
        with open(self.inside(image), "rb") as data, open(self.inside(device), "wb") as out:
            out.seek(int(sector) * 512)
            shutil.copyfileobj(data, out)

    def run(self, command):
        """Returns (status, output)."""
        done = subprocess.run(["/bin/bash", "-c", self.inside(command)], cwd=self.path, env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=PATIENCE_S, check=False)
        return done.returncode, done.stdout.decode(errors="replace")

    def start(self, command, until):
        log = tempfile.TemporaryFile()
        # exec, so that a signal reaches the command itself.
        child = subprocess.Popen(["/bin/bash", "-c", "exec " + self.inside(command)], cwd=self.path, env=self.environment,
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.background.append((child, log))
        deadline = time.monotonic() + PATIENCE_S
        while self.run(until)[0] != 0:
            if child.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                raise Failure(f"`{until}` never succeeded; {log.read().decode(errors='replace')}")
            time.sleep(0.1)

    def stop_background(self):
        for child, log in self.background:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
            child.wait(PATIENCE_S)
            log.close()
        self.background = []

    def remove(self):
        try:
            self.stop_background()
        finally:
            for child, _ in self.background:
                child.kill()
            shutil.rmtree(self.path)


def run_example(scratch, command, wanted):
    background = command.endswith("&")
    if background != ("until" in wanted):
        raise Failure("an example that ends with & needs `test: until`, others must not have it")
    if background:
        scratch.start(command[:-1], wanted["until"])
        return
    status, output = scratch.run(command)
    expected = int(wanted.get("status", 0))
    if status != expected:
        raise Failure(f"status {status}, not {expected}: {output}")
    if "prints" in wanted and not re.search(wanted["prints"], output, re.M):
        raise Failure(f"does not print `{wanted['prints']}`: {output}")


def main():
    page = sys.argv[1]
    steps = list(steps_of(page))
    count = sum(kind == "example" for kind, _ in steps)
    print(f"1..{count}")
    scratch = Scratch(os.environ["WC_SOURCE_DIR"], os.environ["WC_BUILD_DIR"])
    failed = number = ran = 0
    wanted = {}
    try:
        scratch.make_images("clean")
        for kind, text in steps:
            if kind == "images":
                scratch.make_images(text)
            elif kind == "inside":
                scratch.lay_inside(*text.split())
            elif kind == "display":
                if "file" in wanted:
                    with open(scratch.inside(wanted.pop("file")), "w", encoding="utf-8") as out:
                        out.write(scratch.inside(text + "\n"))
            elif kind in ("file", "status", "prints", "until", "skip"):
                wanted[kind] = text
            elif kind == "example":
                number += 1
                one_line = re.sub(r"\\\n *", "", text).replace("#", "")
                title = f"{number} {os.path.basename(page)}: {one_line}"
                if "skip" in wanted:
                    print(f"ok {title} # skip {wanted['skip']}")
                else:
                    ran += 1
                    try:
                        run_example(scratch, text, wanted)
                        print(f"ok {title}")
                    except (Failure, subprocess.TimeoutExpired) as problem:
                        failed += 1
                        print(f"not ok {title}\n# " + str(problem).replace("\n", "\n# "))
                wanted = {}
            else:
                raise SystemExit(f"{page}: unknown marker `{kind}`")
    finally:
        scratch.remove()
    if ran == 0 and number != 0:
        print("skipped: every example of the page needs what this machine lacks")
        return 77
    return 1 if failed or ran == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
