"""Connections that are refused when they are accepted, before any data of the client was read.

The response is written at once, and the client has a moment to read it: the kernel resets a socket
that is closed while received bytes are unread, and the response may be lost with it (RFC 9112
section 9.6). Such a refusal takes 260 us of CPU time, a handshake that is accepted 820 us. At a TLS
port the connection is closed without a response, so that no refusal costs a TLS handshake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from ..connection.log import ConnectionLog
from ..connection.shutdown import Shutdown
from ..connection.timeouts import TimeoutQueue
from ..sansio.handshake.offer import Refusal

_SECONDS: Final = 1.0
"""Seconds for a client to read its refusal; a client that sends its request is closed then."""

_MOST: Final = 64
"""Most refused connections that may still read their refusal. Beyond that the oldest is closed, so
that a flood does not use up the file descriptors by being refused."""


class RefusedConnection(Protocol):
    """A connection that gets a refusal and is closed."""

    transport: Any

    def __init__(self, refused: RefusedConnections, refusal: Refusal, belowTLS: bool) -> None:
        """
        :param refused: the refused connections of the server.
        :param refusal: the refusal.
        :param belowTLS: whether TLS would follow, of which the transport knows nothing.
        """
        self._refused = refused
        self._refusal = refusal
        self._belowTLS = belowTLS

    def connectionMade(self) -> None:
        """Write the response and close the sending half, or close the connection before TLS."""
        transport, refusal = self.transport, self._refusal
        isTLS = self._belowTLS or ISSLTransport.providedBy(transport)
        self._refused.tell(transport.getPeer(), refusal, isTLS)
        if isTLS:
            transport.abortConnection()
            return
        transport.write(refusal.write())
        Shutdown(transport).close(linger=True)
        self._refused.linger(self)

    def dataReceived(self, data: bytes) -> None:
        """Close the connection: the request of the client was received."""
        self.expired()

    def expired(self) -> None:
        """Close the connection."""
        self._refused.forget(self)
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the connection: the client has closed it."""
        self._refused.forget(self)


class RefusedConnections:
    """The refused connections of one server that may still read their refusal."""

    def __init__(self, log: Callable[[], ConnectionLog], clock: Callable[[], IReactorTime]) -> None:
        """
        :param log: returns the log, which gets a line for each refusal and counts it.
        :param clock: returns the clock.
        """
        self._log = log
        self._clock = clock
        self._queue: TimeoutQueue | None = None
        self._lingering: dict[RefusedConnection, None] = {}  # the oldest first

    def refuse(self, refusal: Refusal, belowTLS: bool = False) -> Protocol:
        """
        Return the protocol of a new connection, which refuses it.

        :param refusal: the refusal.
        :param belowTLS: whether TLS would follow, of which the transport of the protocol knows
            nothing.
        """
        return RefusedConnection(self, refusal, belowTLS)

    def tell(self, peer: object, refusal: Refusal, isTLS: bool) -> None:
        """Log and count a refusal."""
        status = None if isTLS else refusal.status
        log = self._log()
        why, number = refusal.why or "", log.number()
        log.turnedAway(peer, status, why, number=number, cause=refusal.cause)

    def linger(self, connection: RefusedConnection) -> None:
        """Let a client read its refusal for a moment."""
        if self._queue is None:
            self._queue = TimeoutQueue(self._clock(), _SECONDS)
        self._lingering[connection] = None
        self._queue.join(connection)
        if len(self._lingering) > _MOST:
            next(iter(self._lingering)).expired()

    def forget(self, connection: RefusedConnection) -> None:
        """Forget a connection that is being closed."""
        if self._queue is not None and connection in self._lingering:
            del self._lingering[connection]
            self._queue.leave(connection)
