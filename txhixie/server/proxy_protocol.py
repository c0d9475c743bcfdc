"""The PROXY protocol below any protocol: whose connection this is, before its first byte.

Only peers that are named are believed, and from them the header is required: one that could leave
it out could let a client write it.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.interfaces import (
    IAddress,
    IProtocolFactory,
    IProtocolNegotiationFactory,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from ..connection.addresses import standFor
from ..connection.log import ConnectionLog
from ..sansio.errors import MalformedHead
from ..sansio.http.proxy_header import ProxyHeader, ProxyHeaderReader
from ..sansio.http.trusted import TrustedNetworks


class ProxyHeaderProtocol(Protocol):
    """
    Reads the header of one connection, and gives the connection to whoever it is for: the transport
    then has that protocol in the place of this one, and answers with the real addresses.
    """

    transport: Any
    factory: ProxyProtocolFactory

    def connectionMade(self) -> None:
        """Wait for the header, not for ever."""
        self._reader = ProxyHeaderReader()
        self._timeoutCall = self.factory.clock.callLater(self.factory.timeout, self._late)

    def dataReceived(self, data: bytes) -> None:
        """A piece of it, of any size; what follows it is the real protocol's."""
        try:
            found = self._reader.read(data)
        except MalformedHead as error:
            self._giveUp(str(error))
            return
        if found is not None:
            self._timeoutCall.cancel()
            self._handOver(*found)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It ended before the header did: a health check, perhaps."""
        if self._timeoutCall.active():
            self._timeoutCall.cancel()

    def _handOver(self, header: ProxyHeader, rest: bytes) -> None:
        transport = self.transport
        standFor(transport, header.source, header.destination)
        protocol = self.factory.wrapped.buildProtocol(transport.getPeer())
        if protocol is None:
            transport.abortConnection()
            return
        transport.protocol = protocol
        protocol.makeConnection(transport)
        if rest:
            protocol.dataReceived(rest)

    def _late(self) -> None:
        self._giveUp("the header did not come in time")

    def _giveUp(self, why: str) -> None:
        if self._timeoutCall.active():
            self._timeoutCall.cancel()
        self.factory.log.turnedAway(self.transport.getPeer(), None, why)
        self.transport.abortConnection()


@implementer(IProtocolNegotiationFactory)
class ProxyProtocolFactory(Factory):
    """
    Serves what a factory serves, to peers that begin with a header of the PROXY protocol and to
    peers that do not.

    :ivar wrapped: the factory.
    :ivar senders: who begins with a header; everybody else must not.
    :ivar timeout: seconds for a header to come.
    :ivar log: writes the log's lines.
    """

    noisy = False
    _logger = Logger()

    def __init__(
        self,
        wrapped: IProtocolFactory,
        senders: TrustedNetworks,
        timeout: float = 10.0,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        :param wrapped: is started and stopped with this one. It must not be one around TLS whose
            own transport this gets: the header comes before TLS.
        :param clock: measures the time; the reactor by default.
        """
        self.wrapped = wrapped
        self.senders = senders
        self.timeout = timeout
        self.log = ConnectionLog(self._logger, True, lambda: self.clock)
        self._clock = clock

    @property
    def clock(self) -> IReactorTime:
        """The clock it was given, or else the reactor that runs."""
        if self._clock is None:
            from twisted.internet import reactor

            self._clock = cast(IReactorTime, reactor)
        return self._clock

    def acceptableProtocols(self) -> list[bytes]:
        """Name what the wrapped factory agrees on by ALPN (RFC 7301), if it says so."""
        negotiates = IProtocolNegotiationFactory(self.wrapped, None)
        return [] if negotiates is None else list(negotiates.acceptableProtocols())

    def logPrefix(self) -> str:
        """In the log it is the factory it serves for."""
        return type(self.wrapped).__name__

    def startFactory(self) -> None:
        """A port listens."""
        self.wrapped.doStart()

    def stopFactory(self) -> None:
        """The last port has stopped listening."""
        self.wrapped.doStop()
        self.log.close()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A protocol that reads a header, or the wrapped factory's own."""
        if not self.senders.has(getattr(addr, "host", None)):
            return self.wrapped.buildProtocol(cast(IAddress, addr))
        protocol = ProxyHeaderProtocol()
        protocol.factory = self
        return protocol


class ProxyProtocolReactor:
    """
    A reactor on whose ports the header is read below all else. A wrapper around an endpoint could
    not do that for ``ssl:``, where it would wait for the header within TLS.
    """

    def __init__(self, reactor: Any, senders: TrustedNetworks, timeout: float = 10.0) -> None:
        """
        :param reactor: does everything.
        :param senders: as for :class:`ProxyProtocolFactory`, like ``timeout``.
        """
        self._reactor = reactor
        self._senders = senders
        self._timeout = timeout

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def _wrap(self, factory: IProtocolFactory) -> ProxyProtocolFactory:
        return ProxyProtocolFactory(factory, self._senders, self._timeout, self._reactor)

    def listenTCP(self, port: int, factory: IProtocolFactory, *rest: Any, **named: Any) -> Any:
        """See ``IReactorTCP``."""
        return self._reactor.listenTCP(port, self._wrap(factory), *rest, **named)

    def listenSSL(
        self, port: int, factory: IProtocolFactory, contextFactory: Any, *rest: Any, **named: Any
    ) -> Any:
        """See ``IReactorSSL``."""
        tls = TLSMemoryBIOFactory(contextFactory, isClient=False, wrappedFactory=factory)
        return self.listenTCP(port, tls, *rest, **named)

    def listenUNIX(self, address: str, factory: IProtocolFactory, *rest: Any, **named: Any) -> Any:
        """See ``IReactorUNIX``."""
        return self._reactor.listenUNIX(address, self._wrap(factory), *rest, **named)

    def adoptStreamPort(self, fileno: int, family: int, factory: IProtocolFactory) -> Any:
        """See ``IReactorSocket``."""
        return self._reactor.adoptStreamPort(fileno, family, self._wrap(factory))
