"""Reading of PROXY protocol headers (v1 and v2), which contain the address of the client.

The header is read only from trusted reverse proxies, and required from them. If a reverse proxy
could omit the header, a client behind the proxy could send a header of its own.
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
from ..sansio.handshake.offer import Refusal
from ..sansio.http.proxy_header import ProxyHeader, ProxyHeaderReader
from ..sansio.http.trusted import TrustedNetworks
from .admission import Admission
from .counted_socket import leaveWithSocket


class ProxyHeaderProtocol(Protocol):
    """
    Protocol that reads the PROXY protocol header of one connection.

    After the header, the transport gets the protocol of the wrapped factory instead of this one,
    and its ``getPeer()`` and ``getHost()`` return the addresses in the header.
    """

    transport: Any
    factory: ProxyProtocolFactory

    def connectionMade(self) -> None:
        """Start the timeout of the header; refuse the connection if there are too many."""
        admission = self.factory.admission
        if (refusal := admission.is_full()) is not None:
            self._continueWith(self.factory.refusing(refusal))
            return
        if admission.is_limited:
            admission.enter(self.transport, None)
            leaveWithSocket(admission, self.transport)
            admission.take(self.transport)
        self._reader = ProxyHeaderReader()
        self._timeoutCall = self.factory.clock.callLater(self.factory.timeout, self._late)

    def dataReceived(self, data: bytes) -> None:
        """Read a piece of the header, of any size; pass further bytes to the wrapped protocol."""
        try:
            found = self._reader.read(data)
        except MalformedHead as error:
            self._giveUp(str(error))
            return
        if found is not None:
            self._timeoutCall.cancel()
            self._handOver(*found)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Cancel the timeout of a connection that ended without a header, as in health checks."""
        if self._timeoutCall.active():
            self._timeoutCall.cancel()

    def _handOver(self, header: ProxyHeader, rest: bytes) -> None:
        transport = self.transport
        standFor(transport, header.source, header.destination)
        # The client's address is known now, and the wrapped protocol counts by this address.
        self.factory.admission.leave(transport)
        protocol = self.factory.wrapped.buildProtocol(transport.getPeer())
        if protocol is None:
            transport.abortConnection()
            return
        self._continueWith(protocol)
        if rest:
            protocol.dataReceived(rest)

    def _continueWith(self, protocol: Any) -> None:
        """Have another protocol get the data of the transport."""
        self.transport.protocol = protocol
        protocol.makeConnection(self.transport)

    def _late(self) -> None:
        self._giveUp("no PROXY protocol header received in time")

    def _giveUp(self, why: str) -> None:
        if self._timeoutCall.active():
            self._timeoutCall.cancel()
        factory, peer = self.factory, self.transport.getPeer()
        factory.log.turnedAway(peer, None, why, number=factory.number(), cause="proxy-header")
        self.transport.abortConnection()


@implementer(IProtocolNegotiationFactory)
class ProxyProtocolFactory(Factory):
    """
    A factory around another one, for connections with and without a PROXY protocol header.

    :ivar wrapped: the other factory.
    :ivar senders: addresses of the reverse proxies that send a header; other peers must not send
        one.
    :ivar timeout: seconds within which the header must be received.
    :ivar log: writes log lines about refused connections.
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
        :param wrapped: the other factory, which is started and stopped with this one. For TLS, the
            wrapped factory is the TLS factory, since the header is sent before TLS begins.
        :param senders: addresses of the reverse proxies that send a header.
        :param timeout: seconds within which the header must be received.
        :param clock: measures the timeout; the reactor by default.
        """
        self.wrapped = wrapped
        self.senders = senders
        self.timeout = timeout
        self._server = serverOf(wrapped)
        counters = getattr(self._server, "counters", None)
        self.log = ConnectionLog(self._logger, True, lambda: self.clock, counters)
        self._unlimited = Admission()
        self._clock = clock

    @property
    def clock(self) -> IReactorTime:
        """The clock that was passed to the factory, or else the reactor."""
        if self._clock is None:
            from twisted.internet import reactor

            self._clock = cast(IReactorTime, reactor)
        return self._clock

    @property
    def admission(self) -> Admission:
        """Limits of all connections of the wrapped server."""
        admission: Admission = getattr(self._server, "admission", self._unlimited)
        return admission

    def number(self) -> int:
        """Return the number of a connection that is refused, after those of the wrapped server."""
        log: ConnectionLog = getattr(self._server, "log", self.log)
        return log.number()

    def refusing(self, refusal: Refusal) -> Protocol:
        """Return the protocol of a connection that is refused before its header was read."""
        protocol: Protocol = self._server.refusing(
            refusal, isinstance(self.wrapped, TLSMemoryBIOFactory)
        )
        return protocol

    def acceptableProtocols(self) -> list[bytes]:
        """Return the ALPN protocols (RFC 7301) of the wrapped factory, if there are any."""
        negotiates = IProtocolNegotiationFactory(self.wrapped, None)
        return [] if negotiates is None else list(negotiates.acceptableProtocols())

    def logPrefix(self) -> str:
        """Return the class name of the wrapped factory, for Twisted's log lines."""
        return type(self.wrapped).__name__

    def startFactory(self) -> None:
        """Start the wrapped factory: a port is listening."""
        self.wrapped.doStart()

    def stopFactory(self) -> None:
        """Stop the wrapped factory: the last port has stopped listening."""
        self.wrapped.doStop()
        self.log.close()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Return a protocol that reads a header, or a protocol of the wrapped factory."""
        if not self.senders.has(getattr(addr, "host", None)):
            return self.wrapped.buildProtocol(cast(IAddress, addr))
        protocol = ProxyHeaderProtocol()
        protocol.factory = self
        return protocol


def serverOf(factory: Any) -> Any:
    """Return the innermost factory, without TLS and other wrappers around it."""
    while (inner := getattr(factory, "wrappedFactory", None)) is not None:
        factory = inner
    return factory


class ProxyProtocolReactor:
    """
    A reactor with ports that read the PROXY protocol header below TLS.

    A wrapper around an endpoint could not do this for ``ssl:``, since it would wait for the header
    inside TLS.
    """

    def __init__(self, reactor: Any, senders: TrustedNetworks, timeout: float = 10.0) -> None:
        """
        :param reactor: the reactor that listens.
        :param senders: see :class:`ProxyProtocolFactory`.
        :param timeout: see :class:`ProxyProtocolFactory`.
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
