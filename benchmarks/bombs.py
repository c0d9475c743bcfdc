#!/usr/bin/env python3
"""
Measure how long clients wait while another client sends compressed bombs. Standard library only.

  ./bombs.py                                     txhixie beside websockets
  ./bombs.py --only txhixie,txhixie-pure,websockets,aiohttp --rounds 5

One connection sends 250 messages of 1 MiB, which permessage-deflate compresses to 256 KiB in all: a
server reads as much at once. It also reads the echoes. Meanwhile eight other connections send one
message after the other. The figure is the longest time in which any of them waited for an echo, in
milliseconds. The last column is the median over the rounds of that time divided by the reference's.
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import statistics
import sys
import time
import zlib
from typing import Final

from peers import PEERS
from server import NotStarted, Place, Server

MANY: Final = 250
SIZE: Final = 1 << 20
OTHERS: Final = 8
PATIENCE: Final = 60.0
"""Seconds until a server is given up that has not echoed all bombs."""

REFERENCE: Final = "websockets"
REQUEST: Final = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
OFFER: Final = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
QUESTION: Final = b"\x81\xa0" + bytes(4) + b"?" * 32
ANSWER: Final = b"\x81\x20" + b"?" * 32


def main() -> int:
    """Run the command. Return the exit status: 1 if a server did not start or answer, else 0."""
    options = command_line().parse_args()
    names = options.only.split(",")
    if unknown := {*names, options.reference} - set(PEERS):
        print(f"unknown servers: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 1
    names = [options.reference, *(name for name in names if name != options.reference)]
    place = Place(options.server_core, options.client_core)
    worst: dict[str, list[float]] = {name: [] for name in names}
    faults = 0
    for number in range(options.rounds):
        for name in names if number % 2 == 0 else reversed(names):
            try:
                with Server(name, PEERS[name], place) as server:
                    worst[name].append(longest_wait(server.port))
            except (NotStarted, OSError) as error:
                print(f"{name}: {error}", file=sys.stderr)
                faults += 1
    show(worst, options.reference)
    return int(faults > 0)


def command_line() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cores = sorted(os.sched_getaffinity(0))
    parser.add_argument("--only", default="txhixie,websockets", metavar="NAMES", help="with commas")
    parser.add_argument("--reference", default=REFERENCE, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server-core", type=int, default=cores[0])
    parser.add_argument("--client-core", type=int, default=cores[-1])
    return parser


def show(worst: dict[str, list[float]], reference: str) -> None:
    """Print the table."""
    print(f"{'server':<20}  worst wait in each round, ms{'':<12}  / {reference}")
    for name, waits in worst.items():
        ratios = [mine / its for mine, its in zip(waits, worst[reference], strict=False)]
        listed = " ".join(f"{1000 * wait:8.1f}" for wait in waits)
        share = f"{statistics.median(ratios):.3f}" if ratios else "-"
        print(f"{name:<20}  {listed:<40}  {share}")


def longest_wait(port: int) -> float:
    """
    Measure one server.

    :return: seconds of the slowest echo to one of the other connections.
    :raises OSError: when the server closes a connection, or does not answer in time.
    """
    bomber = Bomber(port)
    others = [Other(port) for _ in range(OTHERS)]
    everybody: list[Bomber | Other] = [bomber, *others]
    with selectors.DefaultSelector() as selector:
        for each in everybody:
            selector.register(each.socket, selectors.EVENT_READ, each)
        for other in others:
            other.ask()
        run(selector, others, 0.5)  # before the bombs: the first messages are slower
        for other in others:
            other.longest = 0.0
        selector.modify(bomber.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, bomber)
        run(selector, others, PATIENCE, bomber)
    for each in everybody:
        each.socket.close()
    if bomber.answered < MANY:
        raise TimeoutError(f"{bomber.answered} of {MANY} bombs were answered")
    return max(other.longest for other in others)


def run(
    selector: selectors.BaseSelector,
    others: list[Other],
    seconds: float,
    bomber: Bomber | None = None,
) -> None:
    """Send and receive for some seconds, or until all bombs are answered."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end and (bomber is None or bomber.answered < MANY):
        for key, events in selector.select(0.1):
            if events & selectors.EVENT_WRITE and not key.data.write():
                selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
            if events & selectors.EVENT_READ:
                key.data.read()
    for other in others:
        other.waits()


def opened(port: int, offer: bytes = b"") -> socket.socket:
    """Connect, and make the handshake."""
    connection = socket.create_connection(("127.0.0.1", port), 10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(REQUEST + offer + b"\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += taken(connection, 1)
    if offer and b"permessage-deflate" not in head:
        raise ConnectionError("the server does not compress")
    connection.setblocking(False)
    return connection


def taken(connection: socket.socket, size: int) -> bytes:
    """Receive at least one byte."""
    data = connection.recv(size)
    if not data:
        raise ConnectionError("the server has closed")
    return data


class Other:
    """
    A connection that sends a message as soon as it has received the echo of the last one.

    :ivar longest: seconds of its slowest echo.
    """

    def __init__(self, port: int) -> None:
        self.socket = opened(port)
        self.longest = 0.0
        self._asked = 0.0
        self._heard = b""

    def ask(self) -> None:
        """Send a message."""
        self._asked = time.perf_counter()
        self.socket.send(QUESTION)

    def read(self) -> None:
        """Receive echoes, and send a message after each."""
        self._heard += taken(self.socket, 4096)
        while self._heard.startswith(ANSWER):
            self._heard = self._heard[len(ANSWER) :]
            self.waits()
            self.ask()

    def waits(self) -> None:
        """Note how long the connection has waited for the echo."""
        self.longest = max(self.longest, time.perf_counter() - self._asked)


class Bomber:
    """
    The connection that sends bombs.

    :ivar answered: number of bombs with a complete echo.
    """

    def __init__(self, port: int) -> None:
        self.socket = opened(port, OFFER)
        compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
        payload = compressor.compress(bytes(SIZE)) + compressor.flush(zlib.Z_SYNC_FLUSH)
        payload = payload[:-4]
        bomb = b"\xc2\xfe" + len(payload).to_bytes(2, "big") + bytes(4) + payload
        self.answered = 0
        self._unsent = bomb * MANY
        self._heard = bytearray()
        self._skip = 0  # bytes of an answer's payload that are still to come

    def write(self) -> bool:
        """
        Send as many bytes as the socket takes.

        :return: whether there is more.
        """
        self._unsent = self._unsent[self.socket.send(self._unsent) :]
        return bool(self._unsent)

    def read(self) -> None:
        """Receive echoes, and count them by the headers of their frames."""
        self._heard += taken(self.socket, 1 << 20)
        while True:
            jumped = min(self._skip, len(self._heard))
            del self._heard[:jumped]
            self._skip -= jumped
            if self._skip or len(self._heard) < 2:
                return
            size, start = self._heard[1] & 0x7F, 2
            if size > 125:
                start = 4 if size == 126 else 10
                if len(self._heard) < start:
                    return
                size = int.from_bytes(self._heard[2:start], "big")
            self.answered += self._heard[0] >= 0x80  # the last frame of a message
            del self._heard[:start]
            self._skip = size


if __name__ == "__main__":
    sys.exit(main())
