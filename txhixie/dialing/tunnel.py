"""An endpoint that connects through an HTTP proxy with ``CONNECT``, for any protocol.

This module does not know WebSocket, and knows the proxy as an endpoint: TLS to the proxy is a
``wrapClientTLS`` inside this endpoint, TLS to the host a ``wrapClientTLS`` around it, and a chain
of proxies one tunnel inside another. The connected protocol gets the proxy's transport; the
tunnel's own protocol passes the received bytes on.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Any, Final, cast

from twisted.internet.address import HostnameAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, NoProtocol
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from ..sansio.arguments import instance, scalars, strings, whole_text
from ..sansio.errors import MalformedHead, ProxyRefused
from ..sansio.http.authentication import Authentication
from ..sansio.http.head import header_pairs
from ..sansio.http.tunnel_answer import (
    AnswerReader,
    TunnelAnswer,
    authority,
    bare_host,
    write_connect,
)
from ..sansio.http.url import Credentials
from ..sansio.limits import Limits
from ..sansio.types import HeadersLike, RandomBytes
from .errors import ConnectionFailed, ConnectTimeout, PeerLeft
from .stage import abandonable

_MOST_ANSWERS: Final = 4
"""Answers to challenges on one connection. A nonce may be stale, and on a busy proxy the next nonce
too; a proxy that challenges more often is broken or hostile."""


def _nameAndPassword(credentials: tuple[str, str]) -> tuple[str, str]:
    """
    Check the type of credentials.

    :raises TypeError: for anything but a pair of strings, one string of two characters included.
    """
    found = strings("credentials", credentials, '("name", "password")')
    if len(found) != 2:
        raise TypeError('credentials: expected a name and a password; write ("name", "password")')
    return found[0], found[1]


@implementer(IStreamClientEndpoint)
class HTTPConnectEndpoint:
    """
    An endpoint for a host and port behind an HTTP proxy (RFC 9110 section 9.3.6).

    The first request has no credentials, since the proxy's answer names its authentication scheme.
    Later requests answer the last challenge at once. A redirect is a refusal: it comes from the
    proxy, not from the host.
    """

    def __init__(
        self,
        proxy: IStreamClientEndpoint,
        host: str,
        port: int,
        credentials: Credentials | tuple[str, str] | None = None,
        *,
        proxyBasic: bool = True,
        headers: HeadersLike = (),
        limits: Limits = Limits(),
        clock: IReactorTime | None = None,
        entropy: RandomBytes = secrets.token_bytes,
    ) -> None:
        """
        :param proxy: the endpoint of the proxy.
        :param host: a name, which the proxy looks up, or an address.
        :param port: the port of the host.
        :param credentials: a user name and a password, for a proxy that requires them. They answer
            the strongest scheme of a challenge: Digest with SHA-256 or MD5 (RFC 7616), or Basic
            (RFC 7617), which can be read on the network between the client and a proxy without
            TLS.
        :param proxyBasic: ``False`` to answer no Basic challenge: for a proxy without TLS.
        :param headers: further header fields for the proxy, names and values.
        :param limits: of each answer: the sizes of its head and body, and ``proxy_timeout``, in
            which the proxy has to look up the host and connect to it.
        :param clock: the clock of ``proxy_timeout``; the reactor by default.
        :param entropy: a function that takes a number and returns that many random bytes.
        :raises ValueError: for a host, a port, credentials or header fields that cannot be written
            into a request.
        """
        scalars(int, port=port)
        scalars(bool, proxyBasic=proxyBasic)
        if credentials is not None:
            credentials = Credentials(*_nameAndPassword(credentials))
        headers = header_pairs(headers)
        write_connect(
            whole_text("host", host),
            port,
            None if credentials is None else b"",
            headers,
        )
        self._proxy = proxy
        self._host = bare_host(host)
        self._port = port
        self._address = HostnameAddress(self._host.encode("ascii"), port)
        self._headers = headers
        self._limits = instance("limits", limits, Limits)
        self._clock = clock
        self._authentication = Authentication(credentials, entropy, proxyBasic)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect to the proxy, and open the tunnel.

        :param protocolFactory: builds its protocol after the proxy has opened the tunnel, for the
            address of the host. The protocol gets the transport to the proxy. Bytes that the host
            sent together with the proxy's answer reach the protocol after this Deferred has fired.
        :return: fires with the connected protocol. Fails as ``proxy`` does, or with

            - :class:`txhixie.errors.ProxyRefused` for a status other than 2xx. With a 407, the
              proxy wants an authentication scheme or credentials that this endpoint does not have,
              or has rejected the credentials;
            - :class:`txhixie.errors.PeerLeft` when the proxy closes the connection without an
              answer, :class:`txhixie.errors.ConnectionFailed` for an answer that is not HTTP or has
              too large a head, and :class:`txhixie.errors.ConnectTimeout`, all three with the stage
              ``proxy``;
            - ``twisted.internet.error.NoProtocol`` if the factory builds no protocol.

            Cancelling the Deferred aborts the connection to the proxy, and the Deferred fails with
            ``twisted.internet.error.ConnectingCancelledError``, with the address of the host.
        """
        return abandonable(Deferred.fromCoroutine(self._connect(protocolFactory)), self._address)

    async def _connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        tunnel, answer = await self._ask(_Tunnels(protocolFactory, self._limits))
        try:
            if not answer.open:
                why = (
                    self._authentication.why_unanswered(answer.challenges)
                    if answer.status == 407
                    else ""
                )
                raise ProxyRefused(answer.status, answer.headers, answer.body, why)
            protocol = protocolFactory.buildProtocol(self._address)
            if protocol is None:
                raise NoProtocol
        except BaseException:
            tunnel.abort()
            raise
        tunnel.handOver(protocol)
        return protocol

    async def _ask(self, tunnels: _Tunnels) -> tuple[_Tunnel, TunnelAnswer]:
        """Send requests until an answer is not a challenge that can be answered."""
        tunnel, answer = await self._askAnew(tunnels)
        for attempt in range(_MOST_ANSWERS):
            if answer.status != 407 or not self._authentication.accept(
                answer.challenges, answered=attempt > 0
            ):
                break
            tunnel, answer = await self._askAgain(tunnel, answer, tunnels)
        return tunnel, answer

    async def _askAgain(
        self, tunnel: _Tunnel, answer: TunnelAnswer, tunnels: _Tunnels
    ) -> tuple[_Tunnel, TunnelAnswer]:
        """Send another request: on the same connection if it stays open, otherwise on a new one."""
        if answer.reusable:
            with suppress(PeerLeft):
                return tunnel, await self._askOn(tunnel)
        tunnel.abort()
        return await self._askAnew(tunnels)

    async def _askAnew(self, tunnels: _Tunnels) -> tuple[_Tunnel, TunnelAnswer]:
        connecting = self._proxy.connect(cast(IProtocolFactory, tunnels))
        tunnel = cast(_Tunnel, await connecting)
        return tunnel, await self._askOn(tunnel)

    async def _askOn(self, tunnel: _Tunnel) -> TunnelAnswer:
        where = authority(self._host, self._port)
        authorization = self._authentication.authorization("CONNECT", where)
        request = write_connect(self._host, self._port, authorization, self._headers)
        clock = self._clock
        if clock is None:
            from twisted.internet import reactor

            clock = cast(IReactorTime, reactor)
        asking = abandonable(tunnel.ask(request), self._address, "proxy")
        return await asking.addTimeout(self._limits.proxy_timeout, clock, tunnel.late)


class _Tunnels(Factory):
    """Builds the connections to a proxy; starts and stops together with the caller's factory."""

    noisy = False

    def __init__(self, wrapped: IProtocolFactory, limits: Limits) -> None:
        self._wrapped = wrapped
        self._limits = limits

    def doStart(self) -> None:
        self._wrapped.doStart()

    def doStop(self) -> None:
        self._wrapped.doStop()

    def buildProtocol(self, addr: IAddress | None) -> _Tunnel:
        return _Tunnel(self._limits)


@implementer(IHalfCloseableProtocol)
class _Tunnel(Protocol):
    """
    One connection to a proxy: it sends one or more requests, and then belongs to the caller's
    protocol.

    It has three states, one after another: ``_asked`` waits for an answer; no Deferred waits, and
    received bytes are dropped; ``_protocol`` gets the received bytes.
    """

    transport: Any

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._reader = AnswerReader(limits)
        self._asked: Deferred[TunnelAnswer] | None = None
        self._protocol: IProtocol | None = None
        self._lost = False

    def ask(self, request: bytes) -> Deferred[TunnelAnswer]:
        """Send a request; cancelling the returned Deferred aborts the connection."""
        self._reader = AnswerReader(self._limits)
        asked: Deferred[TunnelAnswer] = Deferred(lambda _: self.abort())
        self._asked = asked
        self.transport.write(request)
        return asked

    def late(self, result: object, seconds: float) -> TunnelAnswer | Failure:
        """Return a refusal with an incomplete body, or the error of the timeout."""
        return self._reader.end() or Failure(ConnectTimeout("proxy", seconds))

    def abort(self) -> None:
        """Abort the connection: there will be no tunnel."""
        self._asked = None
        if not self._lost:
            # The transport of a process has no abortConnection.
            getattr(self.transport, "abortConnection", self.transport.loseConnection)()

    def handOver(self, protocol: IProtocol) -> None:
        """Connect the protocol of the tunnel to the transport."""
        self._protocol = protocol
        del self._reader  # 3 kB, for as long as the tunnel stays
        protocol.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """Pass bytes to the protocol, or to the reader of the proxy's answer."""
        if self._protocol is not None:
            self._protocol.dataReceived(data)
        elif self._asked is not None:
            self._read(data)

    def _read(self, data: bytes) -> None:
        try:
            answer = self._reader.receive(data)
        except MalformedHead as error:
            self._fail(ConnectionFailed(f"invalid response of the proxy: {error}", "proxy"), error)
            self.abort()
            return
        if answer is None:
            return
        self._answered(answer)
        if self._protocol is not None and answer.rest and not self._lost:
            self._protocol.dataReceived(answer.rest)

    def _answered(self, answer: TunnelAnswer) -> None:
        if (asked := self._asked) is not None:
            self._asked = None
            asked.callback(answer)

    def _fail(self, error: ConnectionFailed, cause: BaseException | None) -> None:
        if (asked := self._asked) is not None:
            self._asked = None
            error.__cause__ = cause
            asked.errback(error)

    def readConnectionLost(self) -> None:
        """
        Close the connection, as a transport does for a protocol that does not provide
        ``IHalfCloseableProtocol``, except that written bytes are still sent.
        """
        if IHalfCloseableProtocol.providedBy(self._protocol):
            cast(IHalfCloseableProtocol, self._protocol).readConnectionLost()
        else:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Pass the event on to a protocol that provides ``IHalfCloseableProtocol``."""
        if IHalfCloseableProtocol.providedBy(self._protocol):
            cast(IHalfCloseableProtocol, self._protocol).writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Complete a response if its body ends with the connection; otherwise fail."""
        self._lost = True
        if self._protocol is not None:
            self._protocol.connectionLost(reason)
        elif (answer := self._reader.end()) is not None:
            self._answered(answer)
        else:
            # With TLS to the proxy, the cause may be a certificate that is not trusted.
            cause = None if reason.check(ConnectionDone) else reason.value
            self._fail(PeerLeft("proxy"), cause)
