"""Relay between a client and a server that prints a trace of each connection::

    python -m txhixie.testing.relay tcp:8081 tcp:127.0.0.1:8080

Connect the client to port 8081 instead of 8080. Each line begins with the number of its connection.
A relay cannot trace connections with TLS.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import (
    IAddress,
    IProtocolNegotiationFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import react
from twisted.python.failure import Failure
from zope.interface import implementer

from ..sansio.wire.frame import Side
from ..server.listen_queue import serverEndpoint
from .trace import Trace


class _End(Protocol):
    """One of the two connections of a relay; its data is written to the other one."""

    transport: Any
    other: _End | None = None

    def __init__(self, side: str, shows: Callable[[str, bytes], None]) -> None:
        """
        Create a protocol.

        :param side: the peer of this connection, ``"client"`` or ``"server"``.
        :param shows: called with the side and each read of this connection.
        """
        self._side = side
        self._shows = shows

    def joins(self, other: _End) -> None:
        """Join two open connections: each is read only as fast as the other can be written to."""
        self.other, other.other = other, self
        self.transport.registerProducer(other.transport, True)
        other.transport.registerProducer(self.transport, True)
        other.transport.resumeProducing()

    def dataReceived(self, data: bytes) -> None:
        assert self.other is not None
        self._shows(self._side, data)
        self.other.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._shows(self._side, b"")
        if self.other is not None:
            self.other.transport.unregisterProducer()
            self.other.transport.loseConnection()


@implementer(IProtocolNegotiationFactory)
class Relay(Factory):
    """Factory that connects each client to one server."""

    noisy = False

    def __init__(self, server: IStreamClientEndpoint, write: Callable[[str], object]) -> None:
        """
        Create a relay.

        :param server: endpoint of the server.
        :param write: called with each line.
        """
        self._server = server
        self._write = write
        self._numbers = itertools.count(1)

    def acceptableProtocols(self) -> list[bytes]:
        """Name HTTP/1.1 to clients that offer ALPN to a TLS port (RFC 7301)."""
        return [b"http/1.1"]

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """Return the protocol of a client, which connects to the server before reading."""
        number, trace = next(self._numbers), Trace()

        def shows(side: str, data: bytes) -> None:
            for line in trace.passed(side, data) if data else [f"{side}  closed"]:
                self._write(f"{number} {line}".rstrip())

        client = _Client(Side.CLIENT, shows)
        client.reach = lambda: self._server.connect(
            Factory.forProtocol(lambda: _End(Side.SERVER, shows))
        )
        return client


class _Client(_End):
    """Connection of the client, which is paused until the server is connected."""

    reach: Callable[[], Deferred[Any]]

    def connectionMade(self) -> None:
        self.transport.pauseProducing()
        self.reach().addCallbacks(lambda server: server.joins(self), self._failed)

    def _failed(self, failure: Failure) -> None:
        self.transport.abortConnection()


def main(reactor: Any, *words: str) -> Deferred[Any]:
    """Run a relay: listen on the first endpoint description, connect to the second."""
    if len(words) != 2:
        raise SystemExit("usage: python -m txhixie.testing.relay LISTEN CONNECT")
    here, there = words
    relay = Relay(clientFromString(reactor, there), _say)
    listening: Deferred[Any] = serverEndpoint(reactor, here).listen(relay)
    return listening.addCallback(lambda _: Deferred())


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    react(main, sys.argv[1:])
