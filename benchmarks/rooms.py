#!/usr/bin/env python3
"""
Measure one call of broadcast(), and one message of the hub, to many listeners, in turns with a bare
loop of socket.send on the same connections, over loopback. The listeners are in a second process.
A tenth of them may read nothing.

  ./rooms.py                       500 listeners
  ./rooms.py --listeners 5000 --rounds 20

Printed are microseconds of CPU time for each listener that reads, the lowest and the median, and
the ratio of the medians to the bare loop and to broadcast().
"""

from __future__ import annotations

import argparse
import mmap
import os
import resource
import select
import signal
import socket
import time
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from twisted.application.reactors import installReactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from txhixie import Accepted, HixieServerFactory, Limits, broadcast
from txhixie.bus.local import LocalBus
from txhixie.extensions import PermessageDeflate
from txhixie.hub.hub import Hub
from txhixie.hub.member import Member
from txhixie.hub.objects import SUBPROTOCOL
from txhixie.hub.service import REQUEST_PATH, TOPIC_AGE, HubService

if TYPE_CHECKING:
    from collections.abc import Callable

    from txhixie import Offer, Refusal, WebSocketTransport
    from txhixie.hub.topic import Topic

reactor: Any = installReactor("epoll")

TEXT: Final = "the price of a pint " * 6 + "12345678"
FRAME: Final = b"\x81\x7e\x00\x80" + TEXT.encode()
LARGE: Final = "x" * 30_000
WAIT_SECONDS: Final = 20.0
"""Most seconds until all listeners have read one message."""

REQUEST: Final = (
    b"GET /%b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n"
)
DEFLATE: Final = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
OBJECTS: Final = b"Sec-WebSocket-Protocol: %b\r\n" % SUBPROTOCOL.encode()
PLAIN, COMPRESSED, OBJECT, STUCK = "plain", "compressed", "object", "stuck"
FIELDS: Final = {PLAIN: b"", COMPRESSED: DEFLATE, OBJECT: OBJECTS, STUCK: b""}
"""Header fields of the requests, by the name of the topic."""


def listen(port: int, count: int, reads: mmap.mmap) -> None:
    """
    Be the listeners: connect, shake hands, and read everything but what the stuck ones get.

    :param reads: the number of reads, 8 bytes.
    """
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    poll, kept, read = select.epoll(), {}, 0
    for kind, fields in FIELDS.items():
        for _ in range(count // 10 if kind == STUCK else count):
            peer = socket.create_connection(("127.0.0.1", port))
            peer.sendall(REQUEST % (kind.encode(), fields))
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
            read += 1
        reads[:] = read.to_bytes(8)


class Members:
    """Makes each client a member of the topic of its path, and keeps the members."""

    def __init__(self, service: HubService) -> None:
        self.service = service
        self.members: dict[str, list[Member]] = {kind: [] for kind in FIELDS}

    def buildProtocol(self, offer: Offer) -> Accepted | Refusal:
        """Return a member of the topic."""
        accepted = self.service.buildProtocol(offer)
        assert isinstance(accepted, Accepted)
        member = accepted.application
        assert isinstance(member, Member)
        self.members[offer.path.strip("/")].append(member)
        return accepted


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
    hub = Hub(LocalBus(time.time), reactor)
    members = Members(HubService(hub, REQUEST_PATH))
    factory = HixieServerFactory(
        members,
        logConnections=False,
        extensions=[PermessageDeflate(threshold=0)],
        limits=Limits(ping_interval=None),  # the listeners answer no pings
    )
    port = reactor.listenTCP(0, factory, interface="127.0.0.1", backlog=4096)
    reads = mmap.mmap(-1, 8)
    child = os.fork()
    if not child:
        try:
            listen(port.getHost().port, options.listeners, reads)
        finally:
            os._exit(0)
    try:
        wanted = 3 * options.listeners + options.listeners // 10
        while sum(map(len, members.members.values())) < wanted:
            await turn(0.05)
        await compare(options, Rooms(hub, members, factory), reads)
    finally:
        os.kill(child, signal.SIGKILL)


class Rooms:
    """
    The listeners, by the name of their topic, and the ways to send all of them one text.

    :ivar transports: the connections.
    """

    def __init__(self, hub: Hub, members: Members, factory: HixieServerFactory) -> None:
        self._hub = hub
        self._service = members.service
        self._members = members.members
        self.transports: dict[str, list[Any]] = {kind: [] for kind in FIELDS}
        for each in sorted(factory.connections, key=lambda one: one.number):
            self.transports[each.offer.path.strip("/")].append(each)

    def ways(self) -> dict[str, Callable[[], None]]:
        """Each way, by the name in the table."""
        plain, stuck = self.transports[PLAIN], self.transports[STUCK]
        return {
            "socket.send": self._bare(plain),
            "broadcast": self._broadcast(plain),
            "broadcast, compressed": self._broadcast(self.transports[COMPRESSED]),
            "broadcast, one in ten stuck": self._broadcast([*plain, *stuck], len(plain)),
            "hub": self._published(PLAIN),
            "hub, compressed": self._published(COMPRESSED),
            "hub, one in ten stuck": self._published(PLAIN),
            "hub, JSON objects": self._published(OBJECT),
        }

    def join(self) -> None:
        """Let the stuck listeners join the topic of those that read."""
        for member in self._members[STUCK]:
            self._plain.join(member)

    def leave(self) -> None:
        """Let the stuck listeners leave the topic of those that read."""
        for member in self._members[STUCK]:
            self._plain.leave(member)

    @property
    def _plain(self) -> Topic:
        return self._hub.topic(PLAIN, TOPIC_AGE, history=False)

    def _bare(self, transports: list[Any]) -> Callable[[], None]:
        sockets = [each.transport.getHandle() for each in transports]

        def call() -> None:
            for each in sockets:
                each.send(FRAME)

        return call

    def _broadcast(self, transports: list[Any], sent: int = 0) -> Callable[[], None]:
        wanted = sent or len(transports)

        def call() -> None:
            delivery = broadcast(transports, TEXT)
            assert delivery.sent == wanted, delivery

        return call

    def _published(self, topic: str) -> Callable[[], None]:
        publish, path, payload = self._service.publish, f"/{topic}", TEXT.encode()

        def call() -> None:
            published = publish(path, payload, True)
            assert isinstance(published, Deferred), published

        return call


async def compare(options: argparse.Namespace, rooms: Rooms, reads: mmap.mmap) -> None:
    """Measure every way in turns, while a tenth of the listeners does not read."""
    stuck, count = rooms.transports[STUCK], options.listeners
    before = memory()
    await fill(stuck)
    held = sum(each.unsent for each in stuck)
    ways = rooms.ways()
    times: dict[str, list[float]] = {name: [] for name in ways}
    read, shuffle = int.from_bytes(reads[:]), Random(1)  # noqa: S311 (an order)
    for number in range(-1, options.rounds):
        # In another order in each round: a way that follows one to the same connections finds
        # these in the processor's caches, which saves up to 0.5 us for each.
        for name, way in shuffle.sample([*ways.items()], len(ways)):
            mixed = name == "hub, one in ten stuck"
            if mixed:
                rooms.join()
            start = time.process_time()
            way()
            spent = (time.process_time() - start) / count * 1e6
            if mixed:
                rooms.leave()
            read += count
            await until_read(reads, read)
            if number >= 0:  # the first messages of the connections are not counted
                times[name].append(spent)
    show(times)
    print(
        f"{len(stuck)} listeners do not read; for each of them {held / len(stuck):,.0f} bytes are"
    )
    print(f"unsent, and the process has grown by {(memory() - before) / len(stuck):,.0f} bytes")
    assert held == sum(each.unsent for each in stuck)


async def until_read(reads: mmap.mmap, wanted: int) -> None:
    """
    Wait until the listeners have read a message: one read for each listener, since a message is
    sent only when the one before was read.

    :raises TimeoutError: if a listener has not read.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while (read := int.from_bytes(reads[:])) != wanted:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the listeners made {read} reads, and {wanted} were expected")
        await turn(0.001)


def show(times: dict[str, list[float]]) -> None:
    """Print the figures."""
    floor, call = median(times["socket.send"]), median(times["broadcast"])
    print(f"{'way':<28} {'lowest':>6} {'median':>6} {'/ send':>7} {'/ broadcast':>12}")
    for name, spent in times.items():
        low, middle = min(spent), median(spent)
        print(f"{name:<28} {low:6.2f} {middle:6.2f} {middle / floor:7.2f} {middle / call:12.2f}")


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
