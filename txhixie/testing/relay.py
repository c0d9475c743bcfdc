"""A relay to put between a client and a server, which shows what passes::

    python -m txhixie.testing.relay tcp:8081 tcp:127.0.0.1:8080

Connect to 8081 instead of 8080; each connection's lines begin with its number. Through TLS it sees
nothing.
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
    """One end of the relay: what comes here leaves at the other."""

    transport: Any
    other: _End | None = None

    def __init__(self, side: str, shows: Callable[[str, bytes], None]) -> None:
        """:param side: who is at this end."""
        self._side = side
        self._shows = shows

    def joins(self, other: _End) -> None:
        """Both stand: from now on each is read from as fast as the other can be written to."""
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
    """Connects each client on to one server."""

    noisy = False

    def __init__(self, server: IStreamClientEndpoint, write: Callable[[str], object]) -> None:
        """
        :param server: where to.
        :param write: gets the lines.
        """
        self._server = server
        self._write = write
        self._numbers = itertools.count(1)

    def acceptableProtocols(self) -> list[bytes]:
        """Name HTTP/1.1 to clients that offer ALPN to a TLS port (RFC 7301)."""
        return [b"http/1.1"]

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """One client's end; the server's is connected before a byte is read."""
        number, trace = next(self._numbers), Trace()

        def shows(side: str, data: bytes) -> None:
            for line in trace.passed(side, data) if data else [f"{side}  has left"]:
                self._write(f"{number} {line}".rstrip())

        client = _Client(Side.CLIENT, shows)
        client.reach = lambda: self._server.connect(
            Factory.forProtocol(lambda: _End(Side.SERVER, shows))
        )
        return client


class _Client(_End):
    """The client's end, which waits for the server's."""

    reach: Callable[[], Deferred[Any]]

    def connectionMade(self) -> None:
        self.transport.pauseProducing()
        self.reach().addCallbacks(lambda server: server.joins(self), self._failed)

    def _failed(self, failure: Failure) -> None:
        self.transport.abortConnection()


def main(reactor: Any, *words: str) -> Deferred[Any]:
    """Listen at the first description, connect to the second."""
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
