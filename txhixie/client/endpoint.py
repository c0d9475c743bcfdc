"""The client endpoint: connects to a URL and opens a conversation, or fails with a typed error.

The endpoint composes two parts: the dialer, which makes the TCP, proxy and TLS endpoints
(``dialing/dialer.py``), and the client protocol, which does the handshake (``client/protocol.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast

from twisted.internet.address import HostnameAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure

from ..connection.applications import checkArgument
from ..connection.awaiting import Awaited
from ..connection.option_names import check_names
from ..dialing.dialer import Dialer
from ..dialing.errors import LookupFailed, PeerLeft
from ..dialing.proxy import Proxy
from ..dialing.stage import abandonable, notConnected
from ..dialing.tls_arguments import checkContext, checkWho
from ..interfaces import WebSocketClientFactory, WebSocketProtocol
from ..sansio.arguments import instance, scalars, strings, without_iterators
from ..sansio.errors import HixieError
from ..sansio.http.url import BAD_PORTS, parse_url
from ..sansio.limits import Limits
from .factory import ClientOptions, HixieClientFactory
from .protocol import HixieClientProtocol

if TYPE_CHECKING:
    from twisted.internet.ssl import PrivateCertificate

A = TypeVar("A", bound=WebSocketProtocol)


class EndpointOptions(ClientOptions, total=False):
    """Keyword arguments of :meth:`WebSocketClientEndpoint.new`."""

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
    Check the names of options, and return the options with each iterator as a tuple.

    The values are those of :func:`txhixie.sansio.arguments.without_iterators`.

    :param known: the ``TypedDict`` that has the names of all options.
    :raises TypeError: for an option with another name; the error suggests the nearest name.
    """
    check_names(options, known.__annotations__)
    return without_iterators(options)


class WebSocketClientEndpoint:
    """
    Endpoint that opens WebSocket conversations with the server of one URL.

    :ivar url: the URL, without its user name and password.
    """

    def __init__(
        self, endpoint: IStreamClientEndpoint, url: str, **options: Unpack[ClientOptions]
    ) -> None:
        """
        :param endpoint: connects to the server of the URL; for a ``wss:`` URL, with TLS.
        :param url: ``ws:`` or ``wss:`` URL.
        :param options: the options of :class:`txhixie.HixieClientFactory`.
        :raises ValueError: for a value that cannot be written in a request, as the factory does.
        :raises TypeError: for a value of another type, as the factory does.
        :raises txhixie.errors.UnsupportedByDialect: for more subprotocols than the dialect has room
            for.
        """
        self._endpoint = endpoint
        self._options = options = checkedNames(options, ClientOptions)
        self._url = url  # with its user name and password
        self.url = HixieClientFactory(url, _NoApplications(), **options).url
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
        Make an endpoint with the usual stages: lookup, TCP, proxy, TLS and handshake.

        TCP connects to the addresses of the host, or of the proxy, by Happy Eyeballs (RFC 8305).
        For a ``wss:`` URL, TLS checks the server's certificate and its name. Each stage has a
        timeout in ``limits``.

        :param reactor: its resolver, sockets and clock are used.
        :param url: ``ws:`` or ``wss:`` URL. A user name and a password in the URL are sent as Basic
            authorization (RFC 7617); they are never logged or shown.
        :param proxy: HTTP proxy, which is asked for a tunnel (``CONNECT``), also for a ``ws:`` URL:
            the proxy's URL, ``[http[s]://][name[:password]@]host[:port]``; a
            :class:`txhixie.Proxy`; ``"environment"`` for the current values of ``https_proxy``,
            ``http_proxy``, ``all_proxy`` and ``no_proxy``, as curl reads them; or ``None``.
        :param trustRoot: trusted certificate authorities for the server, and for a proxy with TLS:
            a certificate, or a result of ``twisted.internet.ssl.trustRootFromCertificates``. By
            default the platform's authorities.
        :param certificate: client certificate with its private key.
        :param contextFactory: a provider of ``IOpenSSLClientConnectionCreator``, in place of
            ``trustRoot`` and ``certificate``. After the TLS handshake txhixie checks that the
            certificate is for the host, and that OpenSSL has verified the certificate.
        :param bindAddress: local address to connect from, or local address and port.
        :param verify: ``False`` to accept any certificate of the server: an attacker on the network
            can then impersonate the server. The certificate of a proxy is still verified.
        :param serverName: name or address that the server's certificate has to be for, and that is
            sent to the server (Server Name Indication); by default the URL's host.
        :param alpn: protocols to offer by ALPN (RFC 7301), such as ``["http/1.1"]``, preferred ones
            first; by default none.
        :param proxyBasic: ``False`` to send a password by Basic (RFC 7617) only to a proxy with
            TLS: without TLS, anybody between the client and the proxy can read the password.
        :param anyPort: connect also to ports of other protocols, which the Fetch standard blocks
            (80 and 443 are not in the standard's list).
        :param timeout: timeout of each stage in seconds: lookup, TCP, proxy, TLS, handshake; by
            default each stage has its own timeout in ``limits``.
        :param options: the options of :class:`txhixie.HixieClientFactory`: ``dialect``, ``origin``,
            ``subprotocols``, ``headers``, ``limits`` and so on.
        :raises ValueError: for a bad URL, port or proxy, for a value that cannot be written in a
            request, or for options that contradict each other.
        :raises TypeError: for a value of another type, such as one string where a list belongs, or
            a ``contextFactory`` that does not provide ``IOpenSSLClientConnectionCreator``.
        """
        options = checkedNames(options, EndpointOptions)
        scalars(bool, verify=verify, proxyBasic=proxyBasic)
        if contextFactory is not None and (trustRoot or certificate or alpn):
            raise ValueError(
                "contextFactory cannot be combined with trustRoot, certificate or alpn; "
                "configure them in the contextFactory"
            )
        if contextFactory is not None:
            checkContext(contextFactory)
        checkWho(trustRoot, certificate, serverName)
        limits = instance("limits", options.get("limits", Limits()), Limits)
        if timeout is not None:
            scalars(float, timeout=timeout)
            options["limits"] = limits = limits.with_stage_timeout(timeout)
        dialer = Dialer(
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
        return cls.by(dialer, url, anyPort=anyPort, **options)

    @classmethod
    def by(
        cls, dialer: Dialer, url: str, *, anyPort: bool = False, **options: Unpack[ClientOptions]
    ) -> WebSocketClientEndpoint:
        """
        Make an endpoint with a given dialer.

        :param dialer: connects to the server of the URL; its reactor is also the clock.
        :param url: ``ws:`` or ``wss:`` URL.
        :param anyPort: as for :meth:`new`.
        :param options: the options of :class:`txhixie.HixieClientFactory`.
        :raises ValueError: as :meth:`new` does.
        :raises TypeError: as :meth:`new` does.
        """
        scalars(bool, anyPort=anyPort)
        parsed = parse_url(url)
        if parsed.port in BAD_PORTS and not anyPort:
            raise ValueError(
                f"port {parsed.port} is blocked by the Fetch standard; "
                "write anyPort=True to connect anyway"
            )
        if options.get("clock") is None:
            options["clock"] = dialer.reactor
        return cls(dialer.to(parsed), url, **options)

    async def connect(self, factory: WebSocketClientFactory[A]) -> A:
        """
        Connect, and open a conversation.

        :param factory: its ``buildProtocol(url)`` makes the application, once the transport (TCP,
            proxy, TLS) is connected.
        :return: the application, after its ``negotiationFinished`` was called.
        :raises txhixie.errors.ConnectionFailed: if the connection failed before the handshake
            ended, with the stage that failed. Its subclasses are: name not found, TCP not
            connected, TLS failed (with the reason), and connection closed by the peer.
        :raises txhixie.errors.ConnectTimeout: if a stage timed out, with that stage.
        :raises txhixie.errors.ProxyRefused: if a proxy refused the tunnel.
        :raises txhixie.errors.HandshakeRefused: if the server refused the handshake, with the
            status, the headers and the body of the response.
        :raises txhixie.errors.InvalidHandshake: if the response fails one of the dialect's checks.
        :raises txhixie.errors.NotOpen: if the application itself ended the connection first.
        :raises twisted.internet.error.ConnectingCancelledError: if the Deferred around this
            coroutine was cancelled, as with Twisted's endpoints; its ``address`` is the URL's host
            and port. All stages that have begun are cancelled too.
        """
        return cast(A, await self._attempt(factory))

    def connectApplication(self, application: A) -> Deferred[A]:
        """
        Connect one application.

        :return: fires with the application once the conversation is open; fails with the errors of
            :meth:`connect`.
        :raises TypeError: for a value that is not an application, such as a class that was not
            called.
        """
        checkArgument("application", application)
        return cast("Deferred[A]", self._attempt(_OneApplication(application)))

    def _attempt(self, factory: WebSocketClientFactory[Any]) -> Deferred[WebSocketProtocol]:
        protocols = HixieClientFactory(self._url, factory, **self._options)
        opened = _Attempt(self._endpoint, protocols).opened
        return abandonable(opened, self._address, "handshake")


class _Attempt:
    """
    One attempt to open a conversation.

    An attempt is not a coroutine: a coroutine cannot be cancelled while its code runs, and an
    application may cancel the attempt in its ``negotiationStarted``. For the same reason
    ``negotiationStarted`` is called after the Deferred of the endpoint has fired: before, the
    cancellation would meet a connect of the endpoint that is not over yet.

    :ivar opened: fires with the application.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, protocols: HixieClientFactory) -> None:
        protocols.begins = False
        self.opened: Deferred[WebSocketProtocol] = Awaited(self._cancel)
        self._awaited: Deferred[Any] = endpoint.connect(cast(IProtocolFactory, protocols))
        self._awaited.addCallbacks(self._connected, self._failed)

    def _connected(self, protocol: HixieClientProtocol) -> None:
        self._awaited = protocol.whenOpen()
        self._awaited.addCallbacks(self.opened.callback, self._failed)
        protocol.begin()

    def _failed(self, failure: Failure) -> None:
        self.opened.errback(_typed(failure))

    def _cancel(self, opened: Deferred[WebSocketProtocol]) -> None:
        self._awaited.cancel()


class _OneApplication:
    """Factory that returns one given application."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def buildProtocol(self, url: str) -> Any:
        return self._application


class _NoApplications:
    """Factory without applications, to check the options of a client before it connects."""

    def buildProtocol(self, url: str) -> Any:
        raise NotImplementedError


def _typed(failure: Failure) -> Failure:
    """Return the failure of any endpoint with an error of :mod:`txhixie.errors` where possible."""
    error: BaseException | None = failure.value
    ours: HixieError | None = None
    if isinstance(error, PeerLeft):
        from ..dialing.tls import tlsError  # imports OpenSSL, which plain TCP does not need

        # A TLS 1.3 server verifies the client's certificate after the client has completed its TLS
        # handshake: a refused certificate is a lost connection here.
        error = error.__cause__
        ours = tlsError(error, None)
    elif isinstance(error, HixieError):
        return failure  # errors of txhixie are subclasses of Twisted's errors
    elif isinstance(error, DNSLookupError):
        ours = LookupFailed(str(error))
    elif isinstance(error, ConnectError):
        ours = notConnected("the server", error)
    if ours is None:
        return failure
    ours.__cause__ = error
    return Failure(ours)
