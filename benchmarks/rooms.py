#!/usr/bin/env python3
"""
Measure one call of broadcast() to many listeners, in turns with a bare loop of socket.send, over
loopback. The listeners are in a second process. A tenth of them may read nothing.

  ./rooms.py                       500 listeners
  ./rooms.py --listeners 5000 --rounds 20

Printed are microseconds of CPU time for each listener that reads, and the ratio to the bare loop.
"""

from __future__ import annotations

import argparse
import os
import resource
import select
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twisted.application.reactors import installReactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from txhixie import Delivery, HixieServerFactory, broadcast
from txhixie.extensions import PermessageDeflate

if TYPE_CHECKING:
    from collections.abc import Callable

    from txhixie import Offer, WebSocketTransport

reactor: Any = installReactor("epoll")

TEXT: Final = "the price of a pint " * 6 + "12345678"
FRAME: Final = b"\x81\x7e\x00\x80" + TEXT.encode()
LARGE: Final = "x" * 30_000
PAUSE: Final = 8e-6
"""Seconds for each listener between two calls, so that the listeners have read everything."""

REQUEST: Final = (
    b"GET /%b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n"
)
DEFLATE: Final = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
PLAIN, COMPRESSED, STUCK = b"plain", b"compressed", b"stuck"


def listen(port: int, bare: int, count: int) -> None:
    """Be the listeners: connect, shake hands, and read everything but what the stuck ones get."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    poll, kept = select.epoll(), {}
    for kind, number in ((PLAIN, count), (COMPRESSED, count), (STUCK, count // 10), (b"", count)):
        for _ in range(number):
            peer = socket.create_connection(("127.0.0.1", port if kind else bare))
            if kind:
                peer.sendall(REQUEST % (kind, DEFLATE if kind == COMPRESSED else b""))
                answer = b""
                while b"\r\n\r\n" not in answer:
                    answer += peer.recv(4096)
            kept[peer.fileno()] = peer
            if kind != STUCK:
                poll.register(peer, select.EPOLLIN)
    while True:
        for number, _ in poll.poll():
            if not kept[number].recv(1 << 18):
                return


class Member:
    """An application that joins the room of its path."""

    def __init__(self, room: list[WebSocketTransport]) -> None:
        self.room = room

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """Join the room."""
        self.room.append(transport)

    def negotiationFinished(self) -> None:
        """Do nothing."""

    def textMessageReceived(self, message: str) -> None:
        """Do nothing: a listener sends no messages."""

    bytesMessageReceived = pongReceived = connectionLost = textMessageReceived


class Rooms:
    """The rooms of the server, by path."""

    def __init__(self) -> None:
        self.rooms: dict[str, list[WebSocketTransport]] = {}

    def buildProtocol(self, offer: Offer) -> Any:
        """Return a member of the room of the path."""
        return Member(self.rooms.setdefault(offer.path, []))

    def of(self, kind: bytes) -> list[WebSocketTransport]:
        """The members of one kind."""
        return self.rooms.setdefault(f"/{kind.decode()}", [])


def memory() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def turn(seconds: float = 0.0) -> None:
    """Wait for a turn of the reactor."""
    await deferLater(reactor, seconds, lambda: None)


async def fill(stuck: list[WebSocketTransport]) -> None:
    """Send to the listeners that do not read, until the kernel takes no more."""
    while not all(each.full for each in stuck):
        broadcast(stuck, LARGE, compress=False)
        await turn()


async def measure(options: argparse.Namespace) -> None:
    """Connect the listeners, and print the figures."""
    count = options.listeners
    rooms, bare = Rooms(), socket.create_server(("127.0.0.1", 0), backlog=4096)
    bare.setblocking(False)
    factory = HixieServerFactory(
        rooms, logConnections=False, extensions=[PermessageDeflate(threshold=0)]
    )
    port = reactor.listenTCP(0, factory, interface="127.0.0.1", backlog=4096)
    child = os.fork()
    if not child:
        try:
            listen(port.getHost().port, bare.getsockname()[1], count)
        finally:
            os._exit(0)
    try:
        sockets: list[socket.socket] = []
        while len(sockets) < count:
            try:
                peer, _ = bare.accept()
            except BlockingIOError:
                await turn(0.01)
                continue
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.setblocking(False)
            sockets.append(peer)
        await compare(options, rooms, sockets)
    finally:
        os.kill(child, signal.SIGKILL)


async def compare(options: argparse.Namespace, rooms: Rooms, sockets: list[socket.socket]) -> None:
    """Measure every way in turns, first without and then with listeners that do not read."""
    plain, compressed, stuck = rooms.of(PLAIN), rooms.of(COMPRESSED), rooms.of(STUCK)

    def send_bare() -> None:
        for each in sockets:
            each.send(FRAME)

    def all_of(members: list[WebSocketTransport], sent: int) -> Callable[[], None]:
        def call() -> None:
            delivery: Delivery = broadcast(members, TEXT)
            assert delivery.sent == sent, delivery

        return call

    before = memory()
    await fill(stuck)
    held = sum(each.unsent for each in stuck)
    ways: dict[str, Callable[[], None]] = {
        "socket.send": send_bare,
        "broadcast": all_of(plain, len(plain)),
        "compressed": all_of(compressed, len(compressed)),
        "one in ten stuck": all_of([*plain, *stuck], len(plain)),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            start = time.process_time()
            way()
            times[name].append((time.process_time() - start) / len(plain) * 1e6)
            await turn(PAUSE * len(plain))
    floor = sorted(times["socket.send"])
    for name, spent in times.items():
        spent.sort()
        middle = len(spent) // 2
        print(f"{name:<18} {spent[middle]:6.2f} us  {spent[middle] / floor[middle]:5.2f}")
    print(
        f"{len(stuck)} listeners do not read; for each of them {held / len(stuck):,.0f} bytes are"
    )
    print(f"unsent, and the process has grown by {(memory() - before) / len(stuck):,.0f} bytes")
    assert held == sum(each.unsent for each in stuck)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--listeners", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    reactor.callWhenRunning(run, options)
    reactor.run()


def run(options: argparse.Namespace) -> None:
    """Measure, and stop the reactor."""
    Deferred.fromCoroutine(measure(options)).addErrback(
        lambda failure: failure.printTraceback()
    ).addCallback(lambda _: reactor.stop())


if __name__ == "__main__":
    main()
