"""HTTP and SOCKS proxies in memory: the test reads what a tunnel sends, and answers."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.address import HostnameAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from txhixie.sansio.http.head import HeadReader, Request, read_request
from txhixie.testing import Wire


class Connection:
    """One connection to the proxy: the protocol of the client, and its transport."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.wire = Wire()
        protocol.makeConnection(self.wire)

    def asked(self) -> Request:
        """The last request, which is one write."""
        found = HeadReader(16384).read(self.wire.writes[-1])
        assert found is not None
        head, rest = found
        assert rest == b""
        return read_request(head)

    def authorization(self) -> bytes | None:
        """The value of Proxy-Authorization in the last request."""
        return self.asked().fields.only(b"proxy-authorization")

    def says(self, data: bytes, size: int | None = None) -> None:
        """Deliver an answer of the proxy, in reads of this size."""
        size = size or len(data) or 1
        for start in range(0, len(data), size):
            if not self.wire.dead:
                self.protocol.dataReceived(data[start : start + size])

    def ends(self, reason: Exception | None = None) -> None:
        """End the connection."""
        self.wire.dead = True
        self.protocol.connectionLost(Failure(reason or ConnectionDone()))

    @property
    def aborted(self) -> bool:
        return "abort" in self.wire.endings


@implementer(IStreamClientEndpoint)
class ProxyEndpoint:
    """
    The endpoint of a proxy in memory.

    :ivar connections: the connections to the proxy, in order.
    :ivar pending: while this is set, no connection is made.
    """

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.pending: Deferred[Any] | None = None

    address = HostnameAddress(b"proxy.example", 3128)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        if self.pending is not None:
            return self.pending
        protocolFactory.doStart()
        self.connections.append(Connection(protocolFactory.buildProtocol(self.address)))
        return succeed(self.connections[-1].protocol)

    @property
    def last(self) -> Connection:
        return self.connections[-1]


class Inside(Protocol):
    """
    A protocol that is connected through a tunnel: records its calls, and closes when a test asks.

    :ivar events: the calls of its methods, in order.
    """

    def __init__(self) -> None:
        self.events: list[Any] = []

    def connectionMade(self) -> None:
        self.events.append("made")

    def dataReceived(self, data: bytes) -> None:
        self.events.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.events.append(reason.type)

    @property
    def data(self) -> bytes:
        """All received data."""
        return b"".join(event for event in self.events if isinstance(event, bytes))


class Factory:
    """A factory of these protocols, which records its calls."""

    def __init__(self, make: Any = Inside) -> None:
        self.make = make
        self.events: list[Any] = []

    def doStart(self) -> None:
        self.events.append("start")

    def doStop(self) -> None:
        self.events.append("stop")

    def buildProtocol(self, addr: Any) -> Any:
        self.events.append(addr)
        return self.make()


def factory(make: Any = Inside) -> IProtocolFactory:
    """A factory, with the type that endpoints expect."""
    return cast("IProtocolFactory", Factory(make))
