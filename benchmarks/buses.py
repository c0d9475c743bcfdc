#!/usr/bin/env python3
"""
Measure how a message of Redis comes to the hub, in turns with hiredis alone, which parses the same
bytes: without a server, so that the load of the machine counts little.

  ./buses.py                  20 rounds of 20,000 messages of 128 bytes
  ./buses.py --rounds 50
  ./buses.py --server         the CPU time of a redis-server, which is started, instead

The messages are read by the reactor from a socket, one with each read, as at a moderate rate, or
given in pieces of 64 KiB, as in a flood. Printed are microseconds of CPU time for a message, the
lowest and the median, and the ratio of hiredis' time to the other one.

With --server, one client publishes 160 bytes again and again, each time when the server has
answered, to a channel with some subscribers, which read. Printed are microseconds of the server's
CPU time for a message.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import hiredis
from twisted.internet import reactor as installed
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from txhixie.bus.bus import BusMessage
from txhixie.bus.envelope import enclosed
from txhixie.bus.redis import RedisBus
from txhixie.bus.redis_address import RedisAddress
from txhixie.bus.redis_connection import RedisConnection, RedisSubscriber
from txhixie.hub.hub import Hub

if TYPE_CHECKING:
    from collections.abc import Callable

reactor: Any = installed

TOPIC: Final = "room"
TEXT: Final = b"the price of a pint " * 6 + b"12345678"
READ: Final = 64 * 1024
"""Bytes of a read of the reactor."""

SUBSCRIBERS: Final = (0, 1, 2, 10, 100)
"""Numbers of subscribers of Redis that are measured."""

START_SECONDS: Final = 10.0
"""Most seconds until Redis listens."""


def replies(count: int, *, outside: bool) -> list[bytes]:
    """What Redis sends to a subscriber for so many messages."""
    made = []
    for number in range(count):
        message = BusMessage(f"{'0' * 12}-{number}", True, TEXT)
        words = b"message", TOPIC.encode(), TEXT if outside else enclosed(b"0" * 12, message)
        made.append(b"*3\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(each), each) for each in words))
    return made


class Alone:
    """hiredis alone."""

    def __init__(self) -> None:
        self.heard = 0
        self._reader = hiredis.Reader()

    def feed(self, data: bytes) -> None:
        """Parse, and count the messages."""
        reader = self._reader
        reader.feed(data)
        while reader.gets() is not False:
            self.heard += 1


def ignore(*_: object) -> None:
    """Do nothing: the connection is up, or lost."""


class ToHub:
    """A bus on Redis with a hub, and a member that counts the messages of its topic."""

    wantsPresence = False
    backlog, skipped = (), 0  # the topic calls "hear" of a member with a backlog

    def __init__(self) -> None:
        address = RedisAddress.of("redis://localhost")
        bus = RedisBus(reactor, address)
        topic = Hub(bus, reactor).topic(TOPIC, 600.0, False)
        self.heard = 0
        topic.join(self)
        # With a clock that stands still no turn takes too long: all of a read is handled at once.
        connection = RedisConnection(Clock(), address, RedisSubscriber, ignore, ignore)
        protocol: Any = connection.buildProtocol(None)
        protocol.heard = bus.heard
        protocol.makeConnection(StringTransport())
        self.feed: Callable[[bytes], object] = protocol.dataReceived

    def hear(self, _: object) -> None:
        """Count a message."""
        self.heard += 1

    def tellMembers(self) -> None:
        """Do nothing."""


def in_pieces(data: list[bytes], feed: Callable[[bytes], object]) -> float:
    """Return the CPU time for the bytes in pieces of 64 KiB."""
    whole = b"".join(data)
    parts = [whole[start : start + READ] for start in range(0, len(whole), READ)]
    before = time.process_time()
    for each in parts:
        feed(each)
    return time.process_time() - before


class Reads(Protocol):
    """A connection whose bytes go to a way."""

    def __init__(self, feed: Callable[[bytes], object]) -> None:
        self.transport: Any
        self.dataReceived = feed  # type: ignore[assignment,method-assign]  # an attribute: a method would add a call to each read


def one_by_one(data: list[bytes], feed: Callable[[bytes], object]) -> float:
    """Return the CPU time of the reactor for reads that have one message each."""
    spent = 0.0
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        reads = Reads(feed)
        factory = Factory.forProtocol(lambda: reads)
        reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)
        reactor.iterate(0)
        for each in data:
            theirs.send(each)
            before = time.process_time()
            reactor.iterate(0)
            spent += time.process_time() - before
        reads.transport.abortConnection()
        reactor.iterate(0)
    return spent


class Redis:
    """A redis-server of its own, with a client that publishes and some subscribers."""

    def __init__(self, stack: ExitStack, subscribers: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        words = ("redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "")
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        stack.callback(self._process.wait)
        stack.callback(self._process.kill)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._publisher = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self._answer = b":%d\r\n" % subscribers
        self._poll = select.epoll()
        stack.callback(self._poll.close)
        self._subscribers = {}
        for _ in range(subscribers):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            one.sendall(b"SUBSCRIBE room\r\n")
            one.recv(READ)
            self._poll.register(one, select.EPOLLIN)
            self._subscribers[one.fileno()] = one

    def spent(self) -> float:
        """Microseconds of CPU time that the process has used."""
        return int(Path(f"/proc/{self._process.pid}/schedstat").read_text().split()[0]) / 1000

    def publish(self, command: bytes) -> None:
        """Publish a message, and wait until all subscribers have it."""
        self._publisher.sendall(command)
        assert self._publisher.recv(READ) == self._answer
        waiting = len(self._subscribers)
        while waiting:
            for number, _ in self._poll.poll():
                self._subscribers[number].recv(READ)
                waiting -= 1


def measure_server(rounds: int, count: int) -> None:
    """Measure the CPU time of Redis for a message, with and without subscribers."""
    payload = enclosed(b"0" * 12, BusMessage(f"{'0' * 12}-1", True, TEXT))
    command = b"*3\r\n$7\r\nPUBLISH\r\n$4\r\nroom\r\n$%d\r\n%b\r\n" % (len(payload), payload)
    times: dict[int, list[float]] = {}
    for number in range(rounds):
        for subscribers in SUBSCRIBERS if number % 2 else SUBSCRIBERS[::-1]:
            with ExitStack() as stack:
                redis = Redis(stack, subscribers)
                messages = max(200, count // (1 + subscribers))
                redis.publish(command)
                before = redis.spent()
                for _ in range(messages):
                    redis.publish(command)
                spent = (redis.spent() - before) / messages
            times.setdefault(subscribers, []).append(spent)
    print(f"{len(payload)} bytes published to")
    base = median(times[0])
    for subscribers, found in sorted(times.items()):
        each = f", {(median(found) - base) / subscribers:.2f} for each" if subscribers else ""
        print(f"{subscribers:4} subscribers {min(found):8.1f} {median(found):8.1f} us{each}")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--server", action="store_true")
    said = parser.parse_args()
    if said.server:
        measure_server(said.rounds, said.messages)
        print(f"load average {os.getloadavg()[0]:.1f}")
        return
    own, outside = (replies(said.messages, outside=each) for each in (False, True))
    ways: dict[str, tuple[Callable[[], Alone | ToHub], list[bytes]]] = {
        "hiredis alone": (Alone, own),
        "bus to hub": (ToHub, own),
        "bus to hub, of another program": (ToHub, outside),
    }
    for title, run in ("one message a read", one_by_one), ("64 KiB a read", in_pieces):
        times: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(said.rounds + 1):
            for name, (make, data) in ways.items():
                target = make()
                spent = run(data, target.feed)
                assert target.heard == said.messages, (name, target.heard)
                if number:  # the first round warms up
                    times[name].append(spent / said.messages * 1e6)
        show(title, times)
    print(f"load average {os.getloadavg()[0]:.1f}")


def show(title: str, times: dict[str, list[float]]) -> None:
    """Print the figures."""
    print(f"{title:<32} {'lowest':>7} {'median':>7} {'ratio':>7}")
    first = times["hiredis alone"]
    for name, found in times.items():
        ratio = median(one / other for one, other in zip(first, found, strict=True))
        print(f"{name:<32} {min(found):7.2f} {median(found):7.2f} {ratio:7.2f}")


main()
