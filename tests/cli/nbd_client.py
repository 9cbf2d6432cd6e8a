#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nbd_client.py URI TASK: what a client does to wc-run; each task ends with an assertion of its own."""
import os
import random
import sys
import threading
import time

import nbd

SPAN = 1 << 20


def connect(uri):
    handle = nbd.NBD()
    handle.set_strict_mode(0)
    handle.connect_uri(uri)
    return handle


def unaligned(uri):
    """Requests that keep to no block size, some with FUA, read back as a plain array would."""
    handle = connect(uri)
    expected = bytearray(handle.pread(SPAN, 0))
    chance = random.Random(1)
    for turn in range(200):
        offset = chance.randrange(SPAN)
        data = chance.randbytes(chance.randrange(1, min(9000, SPAN - offset) + 1))
        expected[offset:offset + len(data)] = data
        handle.pwrite(data, offset, nbd.CMD_FLAG_FUA if turn % 7 == 0 else 0)
    assert handle.pread(SPAN, 0) == bytes(expected)


def neighbours(uri):
    """Four clients write the four quarters of the same sectors at the same time; no write undoes another."""
    def write(quarter):
        handle = connect(uri)
        for sector in range(50):
            handle.pwrite(bytes([quarter + 1]) * 128, sector * 512 + quarter * 128)
    threads = [threading.Thread(target=write, args=(quarter,)) for quarter in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data = connect(uri).pread(50 * 512, 0)
    assert data == (b"\1" * 128 + b"\2" * 128 + b"\3" * 128 + b"\4" * 128) * 50


def error_of(action):
    try:
        action()
    except nbd.Error as problem:
        return problem.errno
    return "none"


def out_of_range(uri):
    handle = connect(uri)
    size = handle.get_size()
    assert error_of(lambda: handle.pread(512, size)) == "EINVAL"
    assert error_of(lambda: handle.pwrite(b"x" * 512, size)) == "ENOSPC"
    assert error_of(lambda: handle.trim(512, size)) == "EINVAL"
    assert handle.pread(512, size - 512) is not None


def flushed(uri):
    """Writes on one connection, flushed by another, then a write that nobody flushed."""
    writer, other = connect(uri), connect(uri)
    writer.pwrite(b"F" * 65536, 8192)
    other.flush()
    writer.pwrite(b"U" * 4096, 0)


def written(uri):
    connect(uri).pwrite(b"W" * 65536, 8192)


def unflushed(uri):
    """Acknowledged and no more than that; the first of it was committed, and is overwritten."""
    handle = connect(uri)
    handle.pwrite(b"f" * 65536, 8192)
    handle.flush()
    handle.pwrite(b"F" * 65536, 8192)
    handle.pwrite(b"U" * 4096, 0)


def taken_over(uri):
    """All of that, from the server that replaced the one which died; it may take a moment to be there."""
    for turn in range(200):
        try:
            handle = connect(uri)
            break
        except nbd.Error:
            time.sleep(0.1)
    assert handle.pread(65536, 8192) == b"F" * 65536
    assert handle.pread(4096, 0) == b"U" * 4096


def is_flushed(uri):
    assert connect(uri).pread(65536, 8192) == b"F" * 65536


def suspended(uri):
    """A write to a suspended cache waits until somebody resumes it: WC_RESUME is the command for that."""
    handle = connect(uri)
    done = threading.Event()
    thread = threading.Thread(target=lambda: (handle.pwrite(b"S" * 512, 0), done.set()))
    thread.start()
    assert not done.wait(0.5)
    assert os.system(os.environ["WC_RESUME"]) == 0
    assert done.wait(10)
    thread.join()


def read_only(uri):
    handle = connect(uri)
    assert handle.is_read_only()
    assert error_of(lambda: handle.pwrite(b"x" * 512, 0)) in ("EPERM", "EROFS")


def advertised(uri):
    handle = connect(uri)
    assert handle.can_fua() and handle.can_flush() and handle.can_trim() and handle.can_multi_conn()
    assert handle.get_block_size(nbd.SIZE_MINIMUM) == 512


TASKS = {task.__name__: task for task in
         (unaligned, neighbours, out_of_range, flushed, written, unflushed, taken_over, is_flushed, suspended, read_only,
          advertised)}

if __name__ == "__main__":
    TASKS[sys.argv[2]](sys.argv[1])
