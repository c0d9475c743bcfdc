"""WebSocket as an endpoint: from a URL to an open conversation, or to the reason why there is none.

It composes and does little itself: the way is endpoints around endpoints (``dialing/dialer.py``),
the handshake is the client protocol's (``client/protocol.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, Unpack, cast

from twisted.internet.address import HostnameAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.ssl import PrivateCertificate
from twisted.python.failure import Failure

from ..connection.applications import checkArgument
from ..connection.awaiting import Awaited
from ..dialing.dialer import Dialer
from ..dialing.errors import LookupFailed, PeerLeft
from ..dialing.proxy import Proxy
from ..dialing.stage import abandonable, notConnected
from ..dialing.tls import checkContext, checkWho, tlsError
from ..display import nearest
from ..interfaces import WebSocketClientFactory, WebSocketProtocol
from ..sansio.arguments import instance, scalars, strings, without_iterators
from ..sansio.errors import HixieError
from ..sansio.http.url import BAD_PORTS, parse_url
from ..sansio.limits import Limits
from .protocol import ClientOptions, HixieClientFactory, HixieClientProtocol

A = TypeVar("A", bound=WebSocketProtocol)


class EndpointOptions(ClientOptions, total=False):
    """What may be asked of :meth:`WebSocketClientEndpoint.new` by keyword."""

    proxy: Proxy | str | None
    trustRoot: Any
    certificate: PrivateCertificate | None
    contextFactory: Any
    bindAddress: str | tuple[str, int] | None
    verify: bool
    serverName: str | None
    alpn: Sequence[str]
    proxyBasic: bool
    anyPort: bool
    timeout: float | None


def checkedNames(options: Mapping[str, Any], known: type) -> Any:
    """
    Options as :func:`txhixie.sansio.arguments.without_iterators` makes them.

    :param known: the ``TypedDict`` whose names there are.
    :raises TypeError: for an option with another name, with what was probably meant.
    """
    names = known.__annotations__
    for option in options:
        if option not in names:
            raise TypeError(f"{option}: no such option{_meant(option, names)}")
    return without_iterators(options)


def _meant(option: str, names: Iterable[str]) -> str:
    """What was probably meant by the name of an option, as the end of a sentence."""
    if option in Limits.__annotations__:
        return f"; write limits=Limits({option}=...)"
    if "timeout" in option.lower():
        return "; write timeout=seconds for each stage, or limits=Limits(...) with one of its times"
    return nearest(option.replace("_", ""), names)


class WebSocketClientEndpoint:
    """
    A URL, and a way to connect to it.

    :ivar url: where to, without credentials.
    """

    def __init__(
        self, endpoint: IStreamClientEndpoint, url: str, **options: Unpack[ClientOptions]
    ) -> None:
        """
        :param endpoint: reaches the URL's server: with TLS over it if the URL says ``wss:``.
        :param url: ``ws:`` or ``wss:``.
        :param options: those of :class:`txhixie.HixieClientFactory`.
        :raises ValueError: for what no request can say, as the factory does.
        :raises TypeError: for a value of another type, as the factory does.
        :raises txhixie.errors.UnsupportedByDialect: for more subprotocols than the dialect has room
            for.
        """
        self._endpoint = endpoint
        self._options = options = checkedNames(options, ClientOptions)
        self._url = url  # with its credentials
        self.url = HixieClientFactory(url, _Nobody(), **options).url
        parsed = parse_url(url)
        self._address = HostnameAddress(parsed.name.encode("ascii"), parsed.port)

    @classmethod
    def new(
        cls,
        reactor: Any,
        url: str,
        *,
        proxy: Proxy | str | None = None,
        trustRoot: Any = None,
        certificate: PrivateCertificate | None = None,
        contextFactory: Any = None,
        bindAddress: str | tuple[str, int] | None = None,
        verify: bool = True,
        serverName: str | None = None,
        alpn: Sequence[str] = (),
        proxyBasic: bool = True,
        anyPort: bool = False,
        timeout: float | None = None,
        **options: Unpack[ClientOptions],
    ) -> WebSocketClientEndpoint:
        """
        The usual stack: Happy Eyeballs (RFC 8305) to the host's addresses or to a proxy, TLS for
        ``wss:`` with the server's name checked, and the handshake. Each stage has its time in
        ``limits``.

        :param reactor: whose resolver, sockets and clock are used.
        :param url: ``ws:`` or ``wss:``; a user and a password in it are sent as Basic
            authorization and shown nowhere.
        :param proxy: through which an HTTP tunnel is asked for, also for ``ws:``: its URL,
            ``[http[s]://][name[:password]@]host[:port]``; a :class:`txhixie.Proxy`;
            ``"environment"`` for what ``https_proxy``, ``http_proxy``, ``all_proxy`` and
            ``no_proxy`` say now, as curl reads them; or ``None``.
        :param trustRoot: whose word is taken for who a server, or a proxy that is reached by TLS,
            is: a certificate, or what
            ``twisted.internet.ssl.trustRootFromCertificates`` answers; by default the platform's
            authorities.
        :param certificate: the client certificate with its private key.
        :param contextFactory: instead of these two, something ready: a provider of
            ``IOpenSSLClientConnectionCreator``. After its handshake we check that the certificate
            is for the host, and that somebody has verified it.
        :param bindAddress: our own end's address, or address and port.
        :param verify: ``False`` to check nothing of the server's certificate: anybody can then be
            the server. A proxy that is reached by TLS is still checked.
        :param serverName: the name or address that the server's certificate has to be for, and
            that the server is told (Server Name Indication); by default the URL's host.
        :param alpn: protocols to offer by ALPN (RFC 7301), such as ``["http/1.1"]``, the better
            first; by default none.
        :param proxyBasic: ``False`` to send a password to a proxy by Basic (RFC 7617) only where
            the proxy is reached by TLS: without it anybody on the way can read the password.
        :param anyPort: connect also to ports where other protocols listen, which are refused
            otherwise (the Fetch standard's list; 80 and 443 are not on it).
        :param timeout: seconds for each stage: lookup, TCP, proxy, TLS, handshake; by default each
            stage has its own in ``limits``.
        :param options: those of :class:`txhixie.HixieClientFactory`: ``dialect``, ``origin``,
            ``subprotocols``, ``headers``, ``limits`` and so on.
        :raises ValueError: for a bad URL, port or proxy, for what no request can say, or for
            options that contradict each other.
        :raises TypeError: for a value of another type, such as one string where a list belongs, or
            a ``contextFactory`` that is no ``IOpenSSLClientConnectionCreator``.
        """
        options = checkedNames(options, EndpointOptions)
        scalars(bool, verify=verify, proxyBasic=proxyBasic)
        if contextFactory is not None and (trustRoot or certificate or alpn):
            raise ValueError("contextFactory: it is instead of trustRoot, certificate and alpn")
        if contextFactory is not None:
            checkContext(contextFactory)
        checkWho(trustRoot, certificate, serverName)
        limits = instance("limits", options.get("limits", Limits()), Limits)
        if timeout is not None:
            scalars(float, timeout=timeout)
            options["limits"] = limits = limits.with_stage_timeout(timeout)
        way = Dialer(
            reactor,
            limits,
            proxy,
            trustRoot,
            certificate,
            contextFactory,
            bindAddress,
            verify,
            serverName,
            strings("alpn", alpn, '["http/1.1"]'),
            proxyBasic,
        )
        return cls.by(way, url, anyPort=anyPort, **options)

    @classmethod
    def by(
        cls, way: Dialer, url: str, *, anyPort: bool = False, **options: Unpack[ClientOptions]
    ) -> WebSocketClientEndpoint:
        """
        :param way: how to reach the URL's server; its reactor is the clock too.
        :param anyPort: as for :meth:`new`, and so are the errors.
        :param options: those of :class:`txhixie.HixieClientFactory`.
        """
        scalars(bool, anyPort=anyPort)
        parsed = parse_url(url)
        if parsed.port in BAD_PORTS and not anyPort:
            raise ValueError(f"port: {parsed.port} is another protocol's")
        if options.get("clock") is None:
            options["clock"] = way.reactor
        return cls(way.to(parsed), url, **options)

    async def connect(self, factory: WebSocketClientFactory[A]) -> A:
        """
        Connect, and open a conversation.

        :param factory: its ``buildProtocol(url)`` makes the application, once the connection below
            stands.
        :return: the application. Before that, it was told ``negotiationFinished``.
        :raises txhixie.errors.ConnectionFailed: with the stage where the way ended: a branch of it
            says whether the name was not found, TCP not connected, TLS failed and why, or the peer
            left.
        :raises txhixie.errors.ConnectTimeout: with the stage whose time was up.
        :raises txhixie.errors.ProxyRefused: by a proxy.
        :raises txhixie.errors.HandshakeRefused: by the server, with status, headers and body.
        :raises txhixie.errors.InvalidHandshake: for an answer that fails one of the dialect's
            checks.
        :raises txhixie.errors.NotOpen: if the application itself ended the connection first.
        :raises twisted.internet.error.ConnectingCancelledError: if the Deferred around this was
            cancelled, as with Twisted's endpoints; its ``address`` is the URL's host and port.
            Whatever had been begun is cancelled with it.
        """
        return cast(A, await self._attempt(factory))

    def connectApplication(self, application: A) -> Deferred[A]:
        """
        Connect one application.

        :return: fires with it once the conversation is open; fails as :meth:`connect` does.
        :raises TypeError: for what is no application, such as a class that was not called.
        """
        checkArgument("application", application)
        return cast("Deferred[A]", self._attempt(_Only(application)))

    def _attempt(self, factory: WebSocketClientFactory[Any]) -> Deferred[WebSocketProtocol]:
        wires = HixieClientFactory(self._url, factory, **self._options)
        opened = _Attempt(self._endpoint, wires).opened
        return abandonable(opened, self._address, "handshake")


class _Attempt:
    """
    One attempt to open a conversation.

    It is no coroutine, since one that runs cannot be cancelled, and an application may want to when
    it hears that its negotiation has begun. For the same reason it hears of that after the endpoint
    has done its part: within, there would be something to cancel that is not over yet.

    :ivar opened: fires with the application.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, wires: HixieClientFactory) -> None:
        wires.begins = False
        self.opened: Deferred[WebSocketProtocol] = Awaited(self._cancel)
        self._awaited: Deferred[Any] = endpoint.connect(cast(IProtocolFactory, wires))
        self._awaited.addCallbacks(self._connected, self._failed)

    def _connected(self, wire: HixieClientProtocol) -> None:
        self._awaited = wire.whenOpen()
        self._awaited.addCallbacks(self.opened.callback, self._failed)
        wire.begin()

    def _failed(self, failure: Failure) -> None:
        self.opened.errback(_typed(failure))

    def _cancel(self, opened: Deferred[WebSocketProtocol]) -> None:
        self._awaited.cancel()


class _Only:
    """Makes one application, once."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def buildProtocol(self, url: str) -> Any:
        return self._application


class _Nobody:
    """Makes none: what is checked is what would be asked for."""

    def buildProtocol(self, url: str) -> Any:
        raise NotImplementedError


def _typed(failure: Failure) -> Failure:
    """Whatever endpoint was given to us, its errors are ours."""
    error: BaseException | None = failure.value
    ours: HixieError | None = None
    if isinstance(error, PeerLeft):
        # TLS 1.3 servers judge a client's certificate after the client's handshake is through.
        error = error.__cause__
        ours = tlsError(error, None)
    elif isinstance(error, HixieError):
        return failure  # ours are Twisted's too
    elif isinstance(error, DNSLookupError):
        ours = LookupFailed(str(error))
    elif isinstance(error, ConnectError):
        ours = notConnected("the server", error)
    if ours is None:
        return failure
    ours.__cause__ = error
    return Failure(ours)
