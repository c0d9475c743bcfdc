"""Twisted's ``twisted.web.websocket``, ours behind its names: change one import, and nothing else.

What is new comes in keywords after theirs. Whoever wants more than these names takes
:class:`txhixie.web.HixieResource` and :class:`txhixie.WebSocketClientEndpoint` themselves.
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
from .client.protocol import ClientOptions
from .dialing.dialer import Dialer
from .dialing.proxy import Proxy
from .interfaces import Application_co  # the next three are to be had here too
from .interfaces import WebSocketClientFactory as WebSocketClientFactory  # noqa: PLC0414
from .interfaces import WebSocketProtocol as WebSocketProtocol  # noqa: PLC0414
from .interfaces import WebSocketTransport as WebSocketTransport  # noqa: PLC0414
from .sansio.arguments import instance, scalars, whole_text, without_iterators
from .sansio.errors import HandshakeRefused, HixieError, ProxyRefused, reduced
from .sansio.http.head import reason_phrase
from .sansio.http.url import parse_url, without_credentials
from .sansio.limits import Limits
from .server.protocol import ServerOptions
from .web import ByRequest, HixieResource

_A = TypeVar("_A", bound=WebSocketProtocol)


@dataclass
class ConnectionRejected(Exception):
    """
    The server answered with something else than WebSocket. Its ``__cause__`` is our own
    :class:`txhixie.errors.HandshakeRefused`.

    :ivar response: what it answered, its body whole or as far as the limits let it be kept.
    """

    response: IResponse

    def __reduce__(self) -> tuple[object, ...]:
        return reduced(self)


class WebSocketServerFactory(Protocol[Application_co]):
    """Makes applications for the requests of a Site."""

    def buildProtocol(self, request: IRequest, /) -> Application_co:
        """Make one. What it may answer besides: see :class:`txhixie.WebSocketServerFactory`."""
        ...


class WebSocketResource(Resource):
    """
    Serves WebSocket at its place in a tree of resources.

    :ivar factory: makes the applications.
    """

    def __init__(
        self, factory: WebSocketServerFactory[WebSocketProtocol], **options: Unpack[ServerOptions]
    ) -> None:
        """
        :param factory: has ``buildProtocol(request)``.
        :param options: those of :class:`txhixie.HixieServerFactory`: unlike Twisted, pages of other
            hosts are refused unless ``origins`` names them.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.factory = factory
        self._options: ServerOptions = without_iterators(options)
        self._resource = self._made()

    def _made(self) -> HixieResource:
        elsewhere = _BadRequest()  # type: ignore[no-untyped-call]
        return HixieResource(ByRequest(self.factory), elsewhere=elsewhere, **self._options)

    def render(self, request: Any) -> Any:
        """
        Take over the connection of a WebSocket request; anything else is a bad one.

        :raises twisted.web.error.UnsupportedMethod: for any method but GET and HEAD.
        """
        if request.method not in (b"GET", b"HEAD"):
            raise UnsupportedMethod((b"GET", b"HEAD"))
        if "clock" not in self._options:
            # The Site's, so that one that is made up in a test makes no real timer here.
            self._options["clock"] = request.channel.factory.reactor
            self._resource = self._made()
        return self._resource.render(request)


class _BadRequest(Resource):
    """What is not WebSocket."""

    isLeaf = True

    def render(self, request: Any) -> bytes:
        request.setResponseCode(BAD_REQUEST)
        request.setHeader(b"content-type", b"text/plain")
        return b"websocket protocol negotiation error"


@dataclass(frozen=True)
class WebSocketClientEndpoint:
    """
    A URL, and a way to connect to it.

    :ivar endpointFactory: makes the endpoint, given the URL.
    :ivar url: ``ws:`` or ``wss:``; ``http:`` and ``https:`` mean the same.
    :ivar options: those of :class:`txhixie.HixieClientFactory`.
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
        :param reactor: connects, and measures the times.
        :param tlsPolicy: makes the options of TLS for a host and a port. Unlike Twisted, we check
            besides that the certificate is for the URL's host.
        :param connectTimeout: seconds for TCP.
        :param bindAddress: our own end's address, or address and port.
        :param proxy: as for :meth:`txhixie.WebSocketClientEndpoint.new`, like ``verify``, with
            which the check is left to the policy.
        :param options: those of :class:`txhixie.HixieClientFactory`.
        :raises ValueError: for a bad URL, one with a fragment say, and for what no request can say.
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
        # Made now, too, so that mistakes are found where they are passed.
        below = cast(IStreamClientEndpoint, None)
        endpoints.WebSocketClientEndpoint(below, _websocket(whole_text("url", url)), **options)
        return cls(_Usual(dialer, tlsPolicy), url, options)

    async def connect(self, protocolFactory: WebSocketClientFactory[_A]) -> _A:
        """
        Connect, and open a conversation.

        :param protocolFactory: its ``buildProtocol(url)`` makes the application.
        :return: the application.
        :raises ConnectionRejected: when the server answers with something else.
        :raises twisted.internet.error.DNSLookupError: for a name nobody knows.
        :raises twisted.internet.error.ConnectError: when there is no connection by TCP.
        :raises txhixie.errors.HixieError: for whatever else went wrong, as
            :meth:`txhixie.WebSocketClientEndpoint.connect` says.
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
    """Tells a factory the URL as its program gave it."""

    def __init__(self, factory: WebSocketClientFactory[_A], url: str) -> None:
        self._factory = factory
        self._url = url

    def buildProtocol(self, url: str) -> _A:
        return self._factory.buildProtocol(self._url)


@implementer(IAgentEndpointFactory)
class _Usual:
    """The usual way, with a policy's options for TLS."""

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
    """What Twisted's module would have raised, where it would have."""
    cause = error.__cause__
    return cause if isinstance(cause, ConnectError) else error


@implementer(IResponse)
class RefusedResponse:
    """
    What :class:`txhixie.errors.HandshakeRefused` holds, as an ``IResponse``: its body is here
    already.

    :ivar version: of HTTP.
    :ivar code: the status.
    :ivar phrase: its usual words.
    :ivar headers: as received.
    :ivar length: bytes of the body, as far as it was kept.
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
        """Give a protocol all of it, and the end: a ``ResponseDone``."""
        protocol.makeConnection(cast(ITransport, _Delivered()))
        if self._body:
            protocol.dataReceived(self._body)
        protocol.connectionLost(Failure(ResponseDone()))

    def setPreviousResponse(self, response: Any) -> None:
        """There is none: no redirect was followed."""
        self.previousResponse = response


@implementer(IPushProducer)
class _Delivered:
    """The transport of a body that has come: nothing is left to be paused."""

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass

    def loseConnection(self) -> None:
        pass

    abortConnection = loseConnection
