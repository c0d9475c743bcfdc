"""Ceiling for the bytes that all connections of a server hold together.

The limits of one connection allow 1 MiB for an unfinished message: a thousand connections that each
send all but the last byte of a message hold 1 GiB.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NamedTuple, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from ..sansio.arguments import scalars
from .log import writeFailure

_log = Logger()

_PART: Final = 8
"""New connections are refused while more than all but an eighth of the ceiling is held."""

_TICK: Final = 1.0
"""Seconds between two checks of the connections that hold bytes."""

_SWEEP: Final = 5
"""Ticks between two checks of all connections: what the backend of a gateway has sent in part is
counted only then. A check takes 4 us for each connection."""

_SMALL: Final = 16 * 1024
"""Bytes of an unfinished message below which other connections end first: their end makes more
room, and a well-behaved client may have sent a part of a message in one read."""

RETRY_SOON: Final = (("Retry-After", "1"),)
"""Header fields of a refusal: within a second, connections that hold many bytes are ended."""


class Holding(NamedTuple):
    """
    Bytes that one connection holds.

    :ivar received: bytes of an incomplete head, of messages that are not complete, and of messages
        that are not delivered.
    :ivar waiting: bytes that wait to be sent, to the peer or to the backend of a gateway.
    """

    received: int
    waiting: int

    @property
    def size(self) -> int:
        """All bytes."""
        return self.received + self.waiting


NO_BYTES: Final = Holding(0, 0)


class Holder(Protocol):
    """A connection, as the ceiling sees it."""

    @property
    def holding(self) -> Holding:
        """The bytes that the connection holds."""
        ...

    def relinquish(self, holding: Holding, why: str) -> None:
        """End the connection, and discard the bytes that it holds."""


class Factory(Protocol):
    """A factory of connections, as the ceiling sees it."""

    @property
    def clock(self) -> IReactorTime:
        """The clock of the factory."""
        ...

    @property
    def connections(self) -> Collection[Any]:
        """The connections that have not ended."""
        ...


class HeldBytes:
    """
    Ceiling for the bytes that all connections of one server hold, or of several servers that share
    this object.

    Counted are bytes of incomplete heads and of unfinished messages, also decompressed ones, of
    messages that the application has not taken, and of messages that wait to be sent, to the peer
    or to the backend of a gateway. Memory for the objects of a connection, buffers of the kernel
    and of TLS, and pages are not counted.

    New connections are refused with 503 while more than seven eighths of the ceiling are held. When
    the ceiling is reached, and each second while more than seven eighths are held, the connections
    with the largest unfinished messages end with 1013 (try again later), in the Hixie dialects with
    their close, until there is room. Where no message of 16 KiB or more is unfinished, the
    connections that hold the most bytes end, and those with unsent bytes are aborted.

    :ivar most: the ceiling, in bytes.
    :ivar total: bytes that are held. One read, or the messages of one turn of the reactor, are
        counted a moment later.
    """

    def __init__(self, most: int) -> None:
        """
        :param most: the ceiling, in bytes. The process needs up to half as much again, since
            buffers grow in steps and freed memory stays in pieces, and 4 KiB for each connection.
        :raises ValueError: for a ceiling below 1.
        :raises TypeError: for a ceiling that is not an ``int``.
        """
        self.change(most)
        self.total = 0
        self._held: dict[Holder, Holding] = {}
        self._factories: dict[Factory, None] = {}
        self._timer: IDelayedCall | None = None
        self._soon: IDelayedCall | None = None
        self._ticks = 0
        self._isRelieving = False

    def change(self, most: int) -> None:
        """
        Set another ceiling.

        :raises ValueError: for a ceiling below 1.
        :raises TypeError: for a ceiling that is not an ``int``.
        """
        scalars(int, most=most)
        if most < 1:
            raise ValueError(f"most: expected 1 or more, not {most}")
        self.most = most

    @property
    def _room(self) -> int:
        return self.most - self.most // _PART

    @property
    def isFull(self) -> bool:
        """Whether new connections are refused."""
        return self.total > self._room

    @property
    def excess(self) -> str:
        """The reason for the log, which is the same each time: the log counts repeated lines."""
        what = f"bytes held by all connections reach our limit of {self.most:,}"
        return f"{what} (HeldBytes.most, --max-held-bytes)"

    # Counting.

    def watch(self, factory: Factory) -> None:
        """Check the connections of a factory each second, until it has none."""
        if factory not in self._factories:
            self._factories[factory] = None
            if self._timer is None:
                self._timer = factory.clock.callLater(_TICK, self._look)

    def forget(self, factory: Factory) -> None:
        """Check the connections of a factory no more: it has none."""
        self._factories.pop(factory, None)
        if not self._factories:
            self._held.clear()
            self.total = 0
            for timer in (self._timer, self._soon):
                if timer is not None and timer.active():
                    timer.cancel()
            self._timer = self._soon = None

    def count(self, connection: Holder) -> None:
        """Count the bytes of a connection anew; end connections if the ceiling is reached."""
        self._count(connection)
        if self.total > self.most:
            self._relieve()

    def grew(self, factory: Factory, connection: Holder) -> None:
        """
        Count the bytes of a connection after its write buffer has grown.

        Connections are ended in the next turn of the reactor: the application is sending.
        """
        self._count(connection)
        if self.total > self.most and self._soon is None:
            self._soon = factory.clock.callLater(0, self._relieveSoon)

    def _count(self, connection: Holder) -> None:
        holding = connection.holding
        before = self._held.pop(connection, NO_BYTES)
        if holding.size:
            self._held[connection] = holding
        self.total += holding.size - before.size

    # Making room.

    def _look(self) -> None:
        self._timer = None
        self._ticks += 1
        for factory in tuple(self._factories):
            if self._timer is None:
                self._timer = factory.clock.callLater(_TICK, self._look)
            if self._ticks % _SWEEP == 0:
                for connection in tuple(factory.connections):
                    self._count(connection)
        if self.total:
            self._relieve()

    def _relieveSoon(self) -> None:
        self._soon = None
        self._relieve()

    def _relieve(self) -> None:
        """End connections until there is room; the bytes that each holds are counted anew."""
        if self._isRelieving:
            return
        self._isRelieving = True
        try:
            for connection in tuple(self._held):
                self._count(connection)
            for connection, holding in sorted(self._held.items(), key=_order, reverse=True):
                if self.total <= self._room:
                    return
                try:
                    connection.relinquish(holding, self.excess)
                except Exception:
                    what = "unhandled error while ending a connection that holds many bytes"
                    writeFailure(_log, what, connection)
                self._count(connection)
        finally:
            self._isRelieving = False


def _order(held: tuple[Holder, Holding]) -> tuple[int, int]:
    """The connections with the largest unfinished messages; then those with unsent bytes."""
    _, holding = held
    return (holding.received if holding.received >= _SMALL else 0), holding.size
