"""The names of ``twisted.web.websocket``: a program changes one import to use txhixie.

Further options are keyword arguments after those of Twisted. For other features a program uses
:class:`txhixie.web.HixieResource` and :class:`txhixie.WebSocketClientEndpoint` directly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import replace as changed
from typing import Any, Protocol, TypeVar, Unpack, cast

from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IPushProducer, IStreamClientEndpoint, ITransport
from twisted.python.failure import Failure
from twisted.web.client import URI, BrowserLikePolicyForHTTPS, ResponseDone
from twisted.web.error import UnsupportedMethod
from twisted.web.http import BAD_REQUEST
from twisted.web.http_headers import Headers
from twisted.web.iweb import (
    IAgentEndpointFactory,
    IClientRequest,
    IPolicyForHTTPS,
    IRequest,
    IResponse,
)
from twisted.web.resource import Resource
from zope.interface import implementer

from .client import endpoint as endpoints
from .client.factory import ClientOptions
from .dialing.dialer import Dialer
from .dialing.proxy import Proxy
from .interfaces import Application_co  # the next three names are exported from here too
from .interfaces import WebSocketClientFactory as WebSocketClientFactory  # noqa: PLC0414 (a public name)
from .interfaces import WebSocketProtocol as WebSocketProtocol  # noqa: PLC0414 (a public name)
from .interfaces import WebSocketTransport as WebSocketTransport  # noqa: PLC0414 (a public name)
from .sansio.arguments import instance, scalars, whole_text, without_iterators
from .sansio.errors import HandshakeRefused, HixieError, ProxyRefused, reduced
from .sansio.http.head import reason_phrase
from .sansio.http.url import parse_url, without_credentials
from .sansio.limits import Limits
from .server.factory import ServerOptions
from .web import ByRequest, HixieResource

_A = TypeVar("_A", bound=WebSocketProtocol)


@dataclass
class ConnectionRejected(Exception):
    """
    The server refused the handshake, with an HTTP response.

    The ``__cause__`` of this error is a :class:`txhixie.errors.HandshakeRefused`.

    :ivar response: the response. Its body is complete, or truncated to the limits.
    """

    response: IResponse

    def __reduce__(self) -> tuple[object, ...]:
        return reduced(self)


class WebSocketServerFactory(Protocol[Application_co]):
    """Factory of applications, called for each WebSocket request of a Site."""

    def buildProtocol(self, request: IRequest, /) -> Application_co:
        """
        Return the application of a request.

        Other results are allowed too, as for :class:`txhixie.WebSocketServerFactory`: a refusal,
        ``None``, a Deferred or a coroutine.

        :param request: the request.
        """
        ...


class WebSocketResource(Resource):
    """
    A resource that accepts WebSocket requests.

    :ivar factory: the factory of the applications.
    """

    def __init__(
        self, factory: WebSocketServerFactory[WebSocketProtocol], **options: Unpack[ServerOptions]
    ) -> None:
        """
        :param factory: an object with ``buildProtocol(request)``.
        :param options: options of :class:`txhixie.HixieServerFactory`. Unlike Twisted's resource,
            this one refuses pages of other hosts unless ``origins`` allows their origins.
        :raises ValueError: as :class:`txhixie.HixieServerFactory` does.
        :raises TypeError: as :class:`txhixie.HixieServerFactory` does.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self.factory = factory
        self._options: ServerOptions = without_iterators(options)
        self._resource = self._made()

    def _made(self) -> HixieResource:
        elsewhere = _BadRequest()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        return HixieResource(ByRequest(self.factory), elsewhere=elsewhere, **self._options)

    def render(self, request: Any) -> Any:
        """
        Take over the connection of a WebSocket request; refuse any other request with 400.

        :raises twisted.web.error.UnsupportedMethod: for any method but GET and HEAD.
        """
        if request.method not in (b"GET", b"HEAD"):
            raise UnsupportedMethod((b"GET", b"HEAD"))
        if "clock" not in self._options:
            # The Site's clock, so that a Site with a test's clock makes no real timer here.
            self._options["clock"] = request.channel.factory.reactor
            self._resource = self._made()
        return self._resource.render(request)


class _BadRequest(Resource):
    """Resource for requests that are not WebSocket: 400."""

    isLeaf = True

    def render(self, request: Any) -> bytes:
        request.setResponseCode(BAD_REQUEST)
        request.setHeader(b"content-type", b"text/plain")
        return b"websocket protocol negotiation error"


@dataclass(frozen=True)
class WebSocketClientEndpoint:
    """
    A client endpoint for a URL.

    :ivar endpointFactory: returns the TCP or TLS endpoint of a URL.
    :ivar url: a URL with ``ws:`` or ``wss:``; ``http:`` and ``https:`` mean the same.
    :ivar options: options of :class:`txhixie.HixieClientFactory`.
    """

    endpointFactory: IAgentEndpointFactory
    url: str = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def new(
        cls,
        reactor: Any,
        url: str,
        tlsPolicy: IPolicyForHTTPS = BrowserLikePolicyForHTTPS(),
        connectTimeout: float | None = None,
        bindAddress: Any = None,
        proxy: Proxy | str | None = None,
        verify: bool = True,
        **options: Unpack[ClientOptions],
    ) -> WebSocketClientEndpoint:
        """
        Create an endpoint for a URL.

        :param reactor: the reactor, which connects and measures the timeouts.
        :param url: the URL.
        :param tlsPolicy: returns the TLS options for a host and a port. Unlike Twisted's module,
            this one also checks that the certificate is for the host of the URL.
        :param connectTimeout: timeout of the TCP connection, in seconds.
        :param bindAddress: the local address, or a pair of address and port.
        :param proxy: see :meth:`txhixie.WebSocketClientEndpoint.new`.
        :param verify: see :meth:`txhixie.WebSocketClientEndpoint.new`; with ``False`` only the
            ``tlsPolicy`` checks the certificate.
        :param options: options of :class:`txhixie.HixieClientFactory`.
        :raises ValueError: for an invalid URL, such as one with a fragment, and for options that a
            request cannot contain.
        :raises TypeError: for a value of another type.
        """
        options = endpoints.checkedNames(options, ClientOptions)
        scalars(bool, verify=verify)
        limits = instance("limits", options.get("limits", Limits()), Limits)
        if connectTimeout is not None:
            scalars(float, connectTimeout=connectTimeout)
            limits = changed(limits, tcp_timeout=float(connectTimeout))
        if isinstance(bindAddress, bytes):
            bindAddress = bindAddress.decode("ascii")
        options["limits"] = limits
        options.setdefault("clock", reactor)
        dialer = Dialer(reactor, limits, proxy, bindAddress=bindAddress, verify=verify)
        # This endpoint is not used: creating it raises the errors of wrong options here.
        below = cast(IStreamClientEndpoint, None)
        endpoints.WebSocketClientEndpoint(below, _websocket(whole_text("url", url)), **options)
        return cls(_Usual(dialer, tlsPolicy), url, options)

    async def connect(self, protocolFactory: WebSocketClientFactory[_A]) -> _A:
        """
        Connect to the server and complete the handshake.

        :param protocolFactory: an object with ``buildProtocol(url)``, which returns the
            application.
        :return: the application.
        :raises ConnectionRejected: if the server refuses the handshake.
        :raises twisted.internet.error.DNSLookupError: if the lookup of the host fails.
        :raises twisted.internet.error.ConnectError: if the TCP connection fails.
        :raises txhixie.errors.HixieError: for any other error, as
            :meth:`txhixie.WebSocketClientEndpoint.connect`.
        """
        uri = URI.fromBytes(_websocket(self.url).encode("utf-8"))
        below = self.endpointFactory.endpointForURI(uri)
        endpoint = endpoints.WebSocketClientEndpoint(below, _websocket(self.url), **self.options)
        applications = _Told(protocolFactory, without_credentials(self.url))
        try:
            return await endpoint.connect(applications)
        except ProxyRefused:
            raise
        except HandshakeRefused as refused:
            raise ConnectionRejected(cast(IResponse, RefusedResponse(refused))) from refused
        except HixieError as error:
            raise _twisteds(error) from error


class _Told(WebSocketClientFactory[_A]):
    """Adapter that calls a factory with the URL as the program has written it."""

    def __init__(self, factory: WebSocketClientFactory[_A], url: str) -> None:
        self._factory = factory
        self._url = url

    def buildProtocol(self, url: str) -> _A:
        return self._factory.buildProtocol(self._url)


@implementer(IAgentEndpointFactory)
class _Usual:
    """Factory of endpoints that uses a :class:`Dialer` with the TLS options of a policy."""

    def __init__(self, dialer: Dialer, tlsPolicy: IPolicyForHTTPS) -> None:
        self._dialer = dialer
        self._tlsPolicy = tlsPolicy

    def endpointForURI(self, uri: Any) -> IStreamClientEndpoint:
        url = parse_url(uri.toBytes().decode("utf-8"))
        dialer = self._dialer
        if url.secure:
            ready = self._tlsPolicy.creatorForNetloc(url.name.encode("ascii"), url.port)
            dialer = changed(dialer, contextFactory=ready)
        return dialer.to(url)


def _websocket(url: str) -> str:
    return re.sub(r"^\s*http(?=s?:)", "ws", url, flags=re.IGNORECASE)


def _twisteds(error: HixieError) -> Exception:
    """Return the error that Twisted's module would raise, if there is one; else the same error."""
    cause = error.__cause__
    return cause if isinstance(cause, ConnectError) else error


@implementer(IResponse)
class RefusedResponse:
    """
    The response of a :class:`txhixie.errors.HandshakeRefused` as an ``IResponse``.

    The body was already received.

    :ivar version: the version of HTTP.
    :ivar code: the status.
    :ivar phrase: the usual reason phrase of the status (RFC 9110 section 15).
    :ivar headers: the fields, as received.
    :ivar length: number of bytes of the body that were kept.
    :ivar request: always ``None``.
    :ivar previousResponse: ``None``, since no redirect is followed.
    """

    version = (b"HTTP", 1, 1)
    request: IClientRequest | None = None
    previousResponse: IResponse | None = None

    def __init__(self, refused: HandshakeRefused) -> None:
        self._body = refused.body
        self.code = refused.status
        self.phrase = reason_phrase(refused.status).encode("ascii")
        self.headers = Headers()
        for name, value in refused.headers:
            self.headers.addRawHeader(name, value)
        self.length = len(refused.body)

    def deliverBody(self, protocol: IProtocol) -> None:
        """Deliver the whole body to a protocol, and then its end, a ``ResponseDone``."""
        protocol.makeConnection(cast(ITransport, _Delivered()))
        if self._body:
            protocol.dataReceived(self._body)
        protocol.connectionLost(Failure(ResponseDone()))

    def setPreviousResponse(self, response: Any) -> None:
        """Set the response of a redirect; not called here, since no redirect is followed."""
        self.previousResponse = response


@implementer(IPushProducer)
class _Delivered:
    """Transport of a body that was completely received: its methods do nothing."""

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass

    def loseConnection(self) -> None:
        pass

    abortConnection = loseConnection
