#!/usr/bin/env python3
"""
Measure how a message of Redis comes to the hub, in turns with hiredis alone, which parses the same
bytes: without a server, so that the load of the machine counts little.

  ./buses.py                  20 rounds of 20,000 messages of 128 bytes
  ./buses.py --rounds 50

The messages are read by the reactor from a socket, one with each read, as at a moderate rate, or
given in pieces of 64 KiB, as in a flood. Printed are microseconds of CPU time for a message, the
lowest and the median, and the ratio of hiredis' time to the other one.
"""

from __future__ import annotations

import argparse
import os
import socket
import time
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import hiredis
from twisted.internet import reactor as installed
from twisted.internet.protocol import Factory, Protocol

from txhixie.bus.bus import BusMessage
from txhixie.bus.envelope import enclosed
from txhixie.bus.redis import RedisBus
from txhixie.bus.redis_address import RedisAddress
from txhixie.bus.redis_connection import RedisSubscriber
from txhixie.hub.hub import Hub

if TYPE_CHECKING:
    from collections.abc import Callable

reactor: Any = installed

TOPIC: Final = "room"
TEXT: Final = b"the price of a pint " * 6 + b"12345678"
READ: Final = 64 * 1024
"""Bytes of a read of the reactor."""


def replies(count: int, *, outside: bool) -> list[bytes]:
    """What Redis sends to a subscriber for so many messages."""
    made = []
    for number in range(count):
        message = BusMessage(f"{'0' * 12}-{number}", True, TEXT)
        words = b"message", TOPIC.encode(), TEXT if outside else enclosed("0" * 12, message)
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


class ToHub:
    """A bus on Redis with a hub, and a member that counts the messages of its topic."""

    wantsPresence = False

    def __init__(self) -> None:
        bus = RedisBus(reactor, RedisAddress.of("redis://localhost"))
        topic = Hub(bus, reactor).topic(TOPIC, 600.0, False)
        self.heard = 0
        topic.join(self)
        protocol = RedisSubscriber()
        protocol.heard = bus.heard
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
        self.dataReceived = feed  # type: ignore[assignment,method-assign]  # saves a call


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


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--messages", type=int, default=20_000)
    said = parser.parse_args()
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
