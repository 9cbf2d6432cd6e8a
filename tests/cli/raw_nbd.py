#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""raw_nbd.py SOCKET [greedy SECONDS]: what no decent client sends; each request gets its error or the end of its
connection, nothing changes, and another client on another connection notices nothing.
greedy: asks for more than fits into the socket, and takes none of it until the time is over."""
import hashlib
import os
import socket
import struct
import sys
import time

import nbd

READ, WRITE, DISCONNECT, FLUSH, TRIM, CACHE, ZEROES, BLOCK_STATUS = range(8)
EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ENOMEM = 22, 28, 75, 95, 12
MAXIMUM = (1 << 64) - 1
CLOSED = "closed"


class Raw:
    """A connection in transmission mode, without structured replies."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        assert self.take(16) == b"NBDMAGICIHAVEOPT"
        self.take(2)
        self.socket.sendall(struct.pack(">I", 3))  # fixed newstyle, no zeroes
        self.socket.sendall(b"IHAVEOPT" + struct.pack(">II", 1, 0))  # NBD_OPT_EXPORT_NAME
        self.size, self.flags = struct.unpack(">QH", self.take(10))
        self.cookie = 0

    def take(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise ConnectionResetError
            data += part
        return data

    def ask(self, kind, offset, length, payload=b"", flags=0):
        """The errno of the reply, or CLOSED."""
        self.cookie += 1
        try:
            self.socket.sendall(struct.pack(">IHHQQI", 0x25609513, flags, kind, self.cookie, offset, length) + payload)
            magic, error, cookie = struct.unpack(">IIQ", self.take(16))
            assert magic == 0x67446698 and cookie == self.cookie
            if kind == READ and error == 0:
                self.take(length)
            return error
        except (ConnectionResetError, BrokenPipeError):
            return CLOSED


def digest(handle):
    size = handle.get_size()
    return hashlib.sha256(b"".join(handle.pread(1 << 20, at) for at in range(0, size, 1 << 20))).hexdigest()


def refused(path):
    """Each with a connection of its own: (request, what may come back)."""
    size = Raw(path).size
    no_reply = (CLOSED,)
    invalid = (EINVAL,)
    for request, expected in (
            ((READ, size, 512), invalid),
            ((READ, size - 512, 1024), invalid),
            ((READ, MAXIMUM, 512), invalid),
            ((READ, MAXIMUM - 511, 1024), invalid),
            ((READ, 0, 0xffffffff), (EINVAL, ENOMEM, EOVERFLOW)),
            ((READ, 0, 65 << 20), (EINVAL, ENOMEM, EOVERFLOW)),
            ((WRITE, size, 512, b"x" * 512), (EINVAL, ENOSPC)),
            ((WRITE, size - 512, 1024, b"x" * 1024), (EINVAL, ENOSPC)),
            ((WRITE, MAXIMUM, 512, b"x" * 512), (EINVAL, ENOSPC)),
            ((WRITE, 0, 0xffffffff), (EINVAL, ENOMEM, EOVERFLOW) + no_reply),
            ((TRIM, size, 512), (EINVAL, ENOSPC)),
            ((TRIM, 0, 0xffffffff), (EINVAL, ENOSPC)),
            ((TRIM, MAXIMUM - 100, 4096), (EINVAL, ENOSPC)),
            ((ZEROES, size - 512, 1024), (EINVAL, ENOSPC)),
            ((ZEROES, 0, 0xfffffe00), (EINVAL, ENOSPC)),
            ((CACHE, size, 512), invalid),
            ((BLOCK_STATUS, 0, 512), invalid),
            ((FLUSH, 512, 512), invalid),
            ((200, 0, 512), invalid),
            ((READ, 0, 512, b"", 0x8000), invalid),
            ((WRITE, 0, 512, b"x" * 512, 0x4000), invalid + no_reply),
            ((READ, 0, 0), (0, EINVAL)),
            ((WRITE, 0, 0), (0, EINVAL, ENOSPC)),
            ((TRIM, 0, 0), (0, EINVAL)),
    ):
        answer = Raw(path).ask(*request)
        assert answer in expected, f"{request[:3]}: {answer}, not {expected}"


def broken(path):
    """Connections that end in the middle of something."""
    for start in (b"", b"\0", b"GET / HTTP/1.0\r\n\r\n", os.urandom(3000)):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.settimeout(1)
            try:
                client.sendall(start)
                client.recv(100)
            except (TimeoutError, ConnectionError):
                pass
    for payload in (b"\xff" * 28, struct.pack(">IHHQQI", 0x25609513, 0, WRITE, 1, 0, 65536) + b"x" * 1000,
                    struct.pack(">IHH", 0x25609513, 0, READ)):
        raw = Raw(path)
        raw.socket.sendall(payload)
        raw.socket.close()


def greedy(path, seconds):
    raw = Raw(path)
    raw.socket.settimeout(2)
    try:
        for number in range(64):
            raw.socket.sendall(struct.pack(">IHHQQI", 0x25609513, 0, READ, number, 0, 1 << 20))
    except TimeoutError:
        pass
    print("asked", flush=True)
    time.sleep(seconds)


def main():
    path = sys.argv[1]
    if "greedy" in sys.argv:
        greedy(path, float(sys.argv[3]))
        return
    handle = nbd.NBD()
    handle.connect_unix(path)
    before = digest(handle)
    refused(path)
    broken(path)
    assert digest(handle) == before
    handle.pwrite(b"y" * 4096, 8192)
    handle.flush()
    assert handle.pread(4096, 8192) == b"y" * 4096


if __name__ == "__main__":
    main()
