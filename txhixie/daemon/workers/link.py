"""The link: a socket pair over which the parent process and one worker process talk.

Each packet is the length of the rest in 4 bytes (big endian), one byte for its kind, and a payload.
Both ends are the same program, so that the packets need no version.
"""

from __future__ import annotations

import os
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterable
from enum import IntEnum, unique
from struct import Struct
from typing import Any, Final, TypeAlias

from twisted.internet.interfaces import IFileDescriptorReceiver, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ...bus.paced_work import PacedWork

MOST_LINK_BYTES: Final = 4 * 1024 * 1024
"""Most bytes that wait in one direction until the other process reads."""

_RESERVE: Final = 1024 * 1024
"""Bytes beyond :data:`MOST_LINK_BYTES` for packets that are not messages of the bus: a worker that
gets more messages than it reads still gets the answers of the ledger."""

LINK: Final = 3
"""File descriptor of the link in a worker process."""

_LENGTH: Final = Struct("!I")


@unique
class Kind(IntEnum):
    """Kinds of packets, one for each part of the daemon that uses the link."""

    BUS = 1
    """Messages of the hub's topics: ``bus_link.py``."""
    LEDGER = 2
    """Counts of connections: ``ledger.py``."""
    SURVEY = 3
    """Counters for the status, the metrics and the health."""
    STATE = 4
    """Start and stop of a worker."""
    SUBSCRIPTION = 5
    """Subscriptions to the hub's topics, questions about their history, and positions."""
    HEARTBEAT = 6
    """Heartbeats of a worker: ``heartbeats.py``."""
    TOPICS = 7
    """Numbers of topics: ``ledger.py``."""
    FAILURES = 8
    """Addresses of clients with wrong passwords: ``shared_failures.py``."""


TakePacket: TypeAlias = Callable[[bytes], object]
"""Function that gets the payload of each packet of one kind."""


@implementer(IPushProducer, IFileDescriptorReceiver)
class WorkerLink(Protocol):
    """
    One end of a link.

    :ivar dropped: packets that were not sent, by their kind: the other process did not read, or the
        link was lost.
    :ivar waiting: number of bytes that wait here until the other process reads. The transport has
        at most 64 KiB and one packet besides.
    """

    _log = Logger()

    def __init__(self, clock: Any) -> None:
        """:param clock: the reactor."""
        self._clock = clock
        self.dropped: Counter[Kind] = Counter()
        self.waiting = 0
        self._takers: dict[int, TakePacket] = {}
        self._losers: list[Callable[[], object]] = []
        self._queue: deque[bytes] = deque()
        self._received = bytearray()
        self._isFull = False
        self._descriptors: deque[int] = deque()

    def handle(self, kind: Kind, take: TakePacket) -> None:
        """
        Set the function that gets the packets of a kind.

        An exception that the function raises has its traceback in the log, and the link goes on.
        A packet of a kind without a function is ignored.
        """
        self._takers[kind] = take

    def whenLost(self, call: Callable[[], object]) -> None:
        """Call a function when the other process has ended, or closed the link."""
        self._losers.append(call)

    # Sending.

    def send(self, kind: Kind, payload: bytes, descriptors: Iterable[int] = ()) -> bool:
        """
        Send a packet, if there is room for it.

        A packet of any size has room where no other one waits.

        :param kind: the part of the daemon that gets the packet.
        :param payload: the content of the packet.
        :param descriptors: file descriptors, copies of which the other process takes by
            :meth:`takeDescriptors` when it handles the packet.
        :return: whether the packet was sent or waits; otherwise it was dropped and counted.
        """
        size = _LENGTH.size + 1 + len(payload)
        most = MOST_LINK_BYTES if kind is Kind.BUS else MOST_LINK_BYTES + _RESERVE
        if not self.connected or (self.waiting and self.waiting + size > most):
            self.dropped[kind] += 1
            return False
        packet = b"%b%c%b" % (_LENGTH.pack(1 + len(payload)), kind, payload)
        for descriptor in descriptors:
            self._transport.sendFileDescriptor(descriptor)
        if self._isFull:
            self._queue.append(packet)
            self.waiting += size
        else:
            self._transport.write(packet)
        return True

    @property
    def _transport(self) -> Any:
        return self.transport

    def close(self) -> None:
        """End the link, after the packets that wait were sent."""
        if self.connected:
            self._transport.unregisterProducer()
            self._isFull = False
            self.resumeProducing()
            self._transport.loseConnection()

    def takeDescriptors(self, count: int) -> list[int]:
        """
        Return the file descriptors that came with a packet, in their order.

        :param count: their number, which the payload has to say.
        """
        return [self._descriptors.popleft() for _ in range(count)]

    # Called by Twisted.

    def fileDescriptorReceived(self, descriptor: int) -> None:
        """Keep a file descriptor for the packet that follows."""
        os.set_inheritable(descriptor, False)
        self._descriptors.append(descriptor)

    def connectionMade(self) -> None:
        """Have the transport tell when it is full: more than 64 KiB are not sent yet."""
        self._paced = PacedWork(self._clock, self._takePackets, self._transport)
        self._transport.registerProducer(self, True)

    def pauseProducing(self) -> None:
        """Have packets wait: the transport is full."""
        self._isFull = True

    def resumeProducing(self) -> None:
        """Send the packets that wait, until the transport is full again."""
        self._isFull = False
        while self._queue and not self._isFull:
            packet = self._queue.popleft()
            self.waiting -= len(packet)
            self._transport.write(packet)

    def stopProducing(self) -> None:
        """Do nothing: :meth:`connectionLost` follows."""

    def dataReceived(self, data: bytes) -> None:
        """Pass each complete packet to the function of its kind."""
        # A bytearray: a message of several MiB comes in pieces of 64 KiB, and bytes would be copied
        # whole for each of them.
        self._received += data
        self._paced.go()

    def _takePackets(self, until: float) -> bool:
        """Pass on packets until a time; return whether some may be left."""
        received, start, isLeft = self._received, 0, False
        while len(received) - start >= _LENGTH.size and not isLeft:
            (length,) = _LENGTH.unpack_from(received, start)
            end = start + _LENGTH.size + length
            if len(received) < end:
                break
            kind, payload = received[start + 4], bytes(received[start + 5 : end])
            start = end
            if (take := self._takers.get(kind)) is not None:
                self._call(take, payload)
                isLeft = self._clock.seconds() >= until
        if start:
            del received[:start]
        return isLeft

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Forget the packets that wait, and tell each part of the daemon that uses the link."""
        self.connected = 0
        self._paced.finish()
        self._queue.clear()
        self._received.clear()
        self.waiting = 0
        while self._descriptors:
            os.close(self._descriptors.popleft())
        losers, self._losers = self._losers, []
        for each in losers:
            self._call(each)

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            function(*arguments)
        except Exception:
            self._log.failure("internal error, please report it: the link of a worker failed")


def adoptLink(reactor: Any, descriptor: int) -> WorkerLink:
    """
    Return the end of a link with a file descriptor that this process has inherited.

    :param reactor: the reactor.
    :param descriptor: number of the file descriptor, which is closed: the link uses a copy that
        programs started by this process do not inherit.
    :raises OSError: for a number that is no socket.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=descriptor) as end:
        return _linkOf(reactor, end)


def linkPair(reactor: Any) -> tuple[WorkerLink, socket.socket]:
    """
    Make a link.

    :param reactor: the reactor.
    :return: the end of this process, and the socket of the other end. Its file descriptor is for
        the child process; the socket has to be closed here after the start of the child process.
    :raises OSError: when the process has no file descriptors left (EMFILE).
    """
    own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with own:
        return _linkOf(reactor, own), other


def _linkOf(reactor: Any, end: socket.socket) -> WorkerLink:
    end.setblocking(False)
    link = WorkerLink(reactor)
    factory = Factory.forProtocol(lambda: link)
    factory.noisy = False
    # The reactor copies the file descriptor by socket.fromfd, which sets FD_CLOEXEC.
    reactor.adoptStreamConnection(end.fileno(), socket.AF_UNIX, factory)
    return link
