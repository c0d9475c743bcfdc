"""Any endpoint through an HTTP proxy: ``CONNECT``, and whatever protocol one likes inside.

It knows nothing of WebSocket, and of the proxy only an endpoint: TLS to the proxy is
``wrapClientTLS`` within it, TLS to the host ``wrapClientTLS`` around it, a chain of proxies one
tunnel within another. Who is connected gets the transport itself; what remains of the tunnel hands
on what comes.
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
"""To challenges, for one connection: a nonce may be stale, and the next one too if the proxy is
busy; then somebody is playing with us."""


def _nameAndPassword(credentials: tuple[str, str]) -> tuple[str, str]:
    """:raises TypeError: for what is no pair of strings; two characters are none."""
    found = strings("credentials", credentials, '("name", "password")')
    if len(found) != 2:
        raise TypeError('credentials: expected a name and a password; write ("name", "password")')
    return found[0], found[1]


@implementer(IStreamClientEndpoint)
class HTTPConnectEndpoint:
    """
    A host and a port as a proxy reaches them (RFC 9110 section 9.3.6).

    The first connection asks without credentials, since only the answer says which scheme is
    spoken; later ones answer the last challenge at once. A redirect is a refusal: it is the proxy's
    word, not the host's.
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
        :param proxy: connects to the proxy.
        :param host: a name, which the proxy looks up, or an address.
        :param port: of the host.
        :param credentials: a name and a password, for a proxy that asks. They answer the strongest
            scheme of a challenge: Digest with SHA-256 or MD5 (RFC 7616), or Basic (RFC 7617), which
            anyone between us and a proxy without TLS can read.
        :param proxyBasic: ``False`` to answer no challenge of Basic: for a proxy without TLS.
        :param headers: further fields for the proxy, name and value.
        :param limits: of each answer: the sizes of its head and its body, and
            ``proxy_timeout``, within which the proxy has to look up and connect itself.
        :param clock: measures that; the reactor by default.
        :param entropy: takes a number, answers that many random bytes.
        :raises ValueError: for a host, a port, credentials or fields that no request can say.
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
        :param protocolFactory: its protocol is built when the proxy has agreed, for the address of
            the host, and gets the transport to the proxy. What the host sent together with the
            proxy's answer comes to it as soon as this Deferred has fired.
        :return: fires with the connected protocol. Fails as ``proxy`` does, or with

            - :class:`txhixie.errors.ProxyRefused` for a status that is no 2xx: with a 407 nothing
              was asked for that we have and speak, or what we said was wrong;
            - :class:`txhixie.errors.PeerLeft` when the proxy ends the connection unasked,
            - :class:`txhixie.errors.ConnectionFailed` for what is no HTTP or has too large a head,
              and
            - :class:`txhixie.errors.ConnectTimeout`, all three with the stage ``proxy``;
            - ``twisted.internet.error.NoProtocol`` if the factory builds none.

            Cancelling it aborts what was begun, and it fails with
            ``twisted.internet.error.ConnectingCancelledError``, whose address is the host's.
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
        tunnel.giveWay(protocol)
        return protocol

    async def _ask(self, tunnels: _Tunnels) -> tuple[_Tunnel, TunnelAnswer]:
        """Until the answer is none that another request could change."""
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
        """On the same connection if it is to stay; if not, or if it closes, on another."""
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
    """Makes the connections to a proxy; starts and stops with the factory they are for."""

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
    One connection to a proxy: asked, perhaps asked again, and then somebody else's.

    Three things are true one after another: ``_asked`` waits for an answer; nobody waits, and what
    comes is of no use; ``_protocol`` gets what comes.
    """

    transport: Any

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._reader = AnswerReader(limits)
        self._asked: Deferred[TunnelAnswer] | None = None
        self._protocol: IProtocol | None = None
        self._lost = False

    def ask(self, request: bytes) -> Deferred[TunnelAnswer]:
        """Cancelling what this answers ends the connection."""
        self._reader = AnswerReader(self._limits)
        asked: Deferred[TunnelAnswer] = Deferred(lambda _: self.abort())
        self._asked = asked
        self.transport.write(request)
        return asked

    def late(self, result: object, seconds: float) -> TunnelAnswer | Failure:
        """A no is a no, also if the end of its body does not come."""
        return self._reader.end() or Failure(ConnectTimeout("proxy", seconds))

    def abort(self) -> None:
        """There will be no tunnel."""
        self._asked = None
        if not self._lost:
            # A process on pipes, say, has no such method.
            getattr(self.transport, "abortConnection", self.transport.loseConnection)()

    def giveWay(self, protocol: IProtocol) -> None:
        """To the protocol all this was for."""
        self._protocol = protocol
        del self._reader  # 3 kB, for as long as the tunnel stays
        protocol.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """To whom it concerns."""
        if self._protocol is not None:
            self._protocol.dataReceived(data)
        elif self._asked is not None:
            self._read(data)

    def _read(self, data: bytes) -> None:
        try:
            answer = self._reader.receive(data)
        except MalformedHead as error:
            self._fail(
                ConnectionFailed(f"what the proxy answers is no answer: {error}", "proxy"), error
            )
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
        """As a transport does it by itself to a protocol that cannot be half closed, except that
        what was written still goes out."""
        if IHalfCloseableProtocol.providedBy(self._protocol):
            cast(IHalfCloseableProtocol, self._protocol).readConnectionLost()
        else:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Only some want to know."""
        if IHalfCloseableProtocol.providedBy(self._protocol):
            cast(IHalfCloseableProtocol, self._protocol).writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Where a body has no other end, it ends the answer."""
        self._lost = True
        if self._protocol is not None:
            self._protocol.connectionLost(reason)
        elif (answer := self._reader.end()) is not None:
            self._answered(answer)
        else:
            # The cause may be a certificate we do not trust, where the proxy is reached by TLS.
            cause = None if reason.check(ConnectionDone) else reason.value
            self._fail(PeerLeft("proxy"), cause)
