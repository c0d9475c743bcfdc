"""One side of a connection in memory: its protocol, with a test in the place of the network."""

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
    One side of a connection; its peer is the test, or the other side of a :class:`Pair`.

    :ivar protocol: the protocol of the connection.
    :ivar wire: the transport of the protocol.
    :ivar clock: the clock of the protocol's factory.
    """

    def __init__(self, protocol: P, clock: Clock, limit: int | None = None) -> None:
        """
        Connect a protocol to a :class:`txhixie.testing.Wire`.

        :param limit: the ``limit`` of the wire.
        """
        self.protocol = protocol
        self.clock = clock
        self.wire = Wire(limit)
        protocol.makeConnection(self.wire)  # type: ignore[no-untyped-call]  # Twisted has no annotations here

    def receive(self, data: bytes, size: int | None = None) -> None:
        """
        Deliver data of the peer to the protocol.

        :param data: the data.
        :param size: bytes of each read; ``None``: all data in one read.
        """
        data = whole_bytes("receive", data)
        size = size or len(data) or 1
        for start in range(0, len(data), size):
            self.protocol.dataReceived(data[start : start + size])

    def lose(self, reason: Exception | None = None) -> None:
        """
        End the connection; its producer is stopped first, as by Twisted's TCP transport.

        :param reason: the reason for ``connectionLost``; by default ``ConnectionDone``.
        """
        assert not self.wire.dead
        self.wire.dead = True
        producer, self.wire.producer = self.wire.producer, None
        if producer is not None:
            producer.stopProducing()
        self.protocol.connectionLost(Failure(reason or ConnectionDone()))

    def reset(self) -> None:
        """End the connection by a reset of the peer."""
        self.lose(ConnectionLost())

    def done(self) -> None:
        """
        End the connection, if it has not ended, and check that nothing of it remains.

        :raises AssertionError: for a remaining timer of the connection or of its factory.
        """
        if not self.wire.dead:
            self.lose()
        assert not self.clock.getDelayedCalls(), "a timer outlives its connection"
        assert self.protocol not in self.protocol.factory.connections
