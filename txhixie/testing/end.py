"""One end of a connection in memory: a protocol, and what a network does to it."""

from __future__ import annotations

from typing import Generic, TypeVar

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from ..connection.protocol import HixieProtocol
from ..sansio.arguments import whole_bytes
from .wire import Wire

P = TypeVar("P", bound=HixieProtocol)


class End(Generic[P]):
    """
    A connection of ours whose peer is the test, or the other end of a :class:`Pair`.

    :ivar protocol: the connection.
    :ivar wire: its transport.
    :ivar clock: its factory's.
    """

    def __init__(self, protocol: P, clock: Clock, limit: int | None = None) -> None:
        """:param limit: of its :class:`txhixie.testing.Wire`."""
        self.protocol = protocol
        self.clock = clock
        self.wire = Wire(limit)
        protocol.makeConnection(self.wire)  # type: ignore[no-untyped-call]  # theirs

    def receive(self, data: bytes, size: int | None = None) -> None:
        """
        The peer sends this.

        :param size: bytes of each read; ``None``: all in one, and 1 is byte by byte.
        """
        data = whole_bytes("receive", data)
        size = size or len(data) or 1
        for start in range(0, len(data), size):
            self.protocol.dataReceived(data[start : start + size])

    def lose(self, reason: Exception | None = None) -> None:
        """
        The connection ends, in good order unless there is a reason. Its producer is stopped first,
        as by TCP's transport.
        """
        assert not self.wire.dead
        self.wire.dead = True
        producer, self.wire.producer = self.wire.producer, None
        if producer is not None:
            producer.stopProducing()
        self.protocol.connectionLost(Failure(reason or ConnectionDone()))

    def reset(self) -> None:
        """The peer resets it."""
        self.lose(ConnectionLost())

    def done(self) -> None:
        """
        The connection is over, now if it was not, and nothing of it remains.

        :raises AssertionError: for a timer of it, or of its factory, that does.
        """
        if not self.wire.dead:
            self.lose()
        assert not self.clock.getDelayedCalls(), "a timer outlives its connection"
        assert self.protocol not in self.protocol.factory.connections
