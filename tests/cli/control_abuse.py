#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""control_abuse.py SOCKET: garbage, half lines and a thousand connections; afterwards the socket still answers."""
import os
import socket
import sys


def connect(path):
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)  # waits while the queue of the socket is full; with a timeout it would fail instead
    client.settimeout(20)
    return client


def ask(path, line):
    with connect(path) as client:
        client.sendall(line)
        reply = b""
        while chunk := client.recv(65536):
            reply += chunk
        return reply


def main():
    path = sys.argv[1]
    assert os.stat(path).st_mode & 0o777 == 0o600
    for line in (b"\n", b"\0\xff\n", b"status --xml\n", b"STATUS\n", b"status \n", b"nonsense\nstatus\n"):
        assert ask(path, line).startswith(b"error "), line
    silent = []
    for number in range(1000):
        client = connect(path)
        if number % 3 == 0:
            client.sendall(b"sta")
        if number % 5 == 0:
            client.close()
        else:
            silent.append(client)
    assert ask(path, b"status\n").startswith(b"ok\n0 ")
    with connect(path) as client:
        try:
            client.sendall(b"x" * 100000)  # no line ever
            assert client.recv(1) == b""
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert ask(path, b"status --json\n").startswith(b"ok\n{")


if __name__ == "__main__":
    main()
