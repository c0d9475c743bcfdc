"""A resource of ``twisted.web`` that accepts WebSocket, in every dialect, in any Site.

The head of a WebSocket request is rebuilt from the ``IRequest``. The head and all bytes after it
are passed to the same protocol that serves a port of its own, so that both have the same rules. Any
other request is a request for a page.
"""

from __future__ import annotations

from typing import Any, Final, Unpack, cast

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, combinedLogFormatter
from twisted.web.iweb import IAccessLogFormatter
from twisted.web.resource import IResource, Resource, getChildForRequest
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import provider

from .connection.counters import Counters
from .connection.log import ConnectionLog, Logged
from .display import sent
from .interfaces import WebSocketServerFactory
from .sansio.arguments import instance
from .sansio.closing import Ended
from .sansio.dialects import fault_of, is_handshake
from .sansio.handshake.offer import Offer
from .sansio.http.head import Fields, Head
from .sansio.http.redaction import masked_text, masked_url
from .sansio.limits import Limits
from .sansio.types import Headers
from .server.admission import Admission
from .server.counted_socket import countSocket
from .server.factory import HixieServerFactory, ServerOptions
from .server.http2_bounds import boundStreams
from .server.http_bounds import (
    askedBy,
    boundBacklog,
    boundChannel,
    channelOf,
    holderOf,
    keptNumber,
    numberOf,
)
from .server.page_connections import Channels
from .server.protocol import HixieServerProtocol
from .server.refused_connections import RefusedConnections

__all__ = ["ByRequest", "HixieResource", "HixieSite", "maskedLogFormatter"]

_log = Logger()

_KEY3: Final = 8
"""Bytes of a body that are read: the eight bytes of hixie-76, which some clients announce by a
``Content-Length``."""

_LEFT_OUT: Final = frozenset(
    (
        *(b"connection", b"transfer-encoding", b"upgrade"),  # set by the handshake itself
        *(b"content-encoding", b"content-length", b"content-type", b"etag", b"last-modified"),
        *(b"date", b"server"),  # set by a Site on every response; hixie-75 does not allow them
    )
)


class HixieResource(Resource):
    """
    A resource that accepts WebSocket requests, for its own path and all paths below it.

    The offer's ``path`` is the whole path, and its ``request`` is the ``IRequest``.

    :ivar factory: the factory of the connections; ``factory.closeAll()`` closes all of them.
    :ivar elsewhere: the resource for requests that are not WebSocket, if there is one.
    """

    isLeaf = True

    upgrades = True
    """Marks a root resource that accepts WebSocket requests on a connection that served pages."""

    def __init__(
        self,
        applications: WebSocketServerFactory,
        *,
        elsewhere: IResource | None = None,
        **options: Unpack[ServerOptions],
    ) -> None:
        """
        :param applications: an object with ``buildProtocol(offer)``; see :class:`ByRequest` for an
            object with ``buildProtocol(request)``.
        :param elsewhere: a resource for requests that are not WebSocket, with its children. Without
            this resource such requests get 404.
        :param options: options of :class:`txhixie.HixieServerFactory`. Without ``secure``,
            ``request.isSecure()`` is used.
        :raises ValueError: as :class:`txhixie.HixieServerFactory` does, such as for an unknown
            dialect.
        :raises TypeError: as :class:`txhixie.HixieServerFactory` does.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self.factory = HixieServerFactory(applications, **options)
        self.elsewhere = elsewhere
        self._channels = _channelsOf(self.factory)

    @classmethod
    def sharing(
        cls, factory: HixieServerFactory, elsewhere: IResource | None = None
    ) -> HixieResource:
        """
        Return a resource that uses an existing factory, which may also listen on a port itself.

        The connections of the port and of the resource have the same applications, limits and log,
        and ``factory.closeAll()`` closes all of them.

        :param factory: the factory.
        :param elsewhere: a resource for requests that are not WebSocket.
        """
        resource = cls(factory.applications, elsewhere=elsewhere)
        resource.factory = factory
        resource._channels = _channelsOf(factory)
        return resource

    def render(self, request: Any) -> Any:
        """
        Take over the connection of a WebSocket request; refuse any other, or render it elsewhere.

        :return: the body of a refusal, or ``NOT_DONE_YET``.
        """
        if request.channel is None:
            return NOT_DONE_YET  # the client disconnected while its credentials were checked
        isOurs = isinstance(request.channel, HTTPChannel)
        if isOurs and _isHandshake(request):
            self._channelsOf(request).forget(request.channel)
            upgrade(request, self.factory)
            return NOT_DONE_YET
        if isOurs:
            boundBacklog(request.channel)
        if fault := _faultOf(request):
            log, channel = self.factory.log, request.channel
            peer, asked = request.transport.getPeer(), askedBy(request, request.uri)
            log.noticed(Logged(numberOf(channel, log), peer, asked), sent(fault))
        if self.elsewhere is not None and request.method != b"CONNECT":
            self._channelsOf(request).watch(request.channel)
            request.render(getChildForRequest(self.elsewhere, request))
        else:
            return self._refuse(request)
        return NOT_DONE_YET

    def _refuse(self, request: Any) -> bytes:
        """Set status and body of a refused request, and count it; the connection stays open."""
        if fault := _faultOf(request):
            status, why = 400, f"{fault}\n".encode("ascii")
        elif request.clientproto.startswith(b"HTTP/1"):
            status, why = 404, b"only WebSocket is served here\n"
        else:
            status, why = 505, b"only WebSocket is served here, and only over HTTP/1.1\n"
        self.factory.counters.refuse(status)
        request.setResponseCode(status)
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        return b"" if request.method == b"HEAD" else why

    def _channelsOf(self, request: Any) -> Channels:
        """Return the watched connections of a request's ``HixieSite``, or of this resource."""
        site = getattr(request, "site", None)
        return site.channels if isinstance(site, HixieSite) else self._channels


def _channelsOf(factory: HixieServerFactory) -> Channels:
    return Channels(factory.limits.stall_timeout, lambda: factory.clock, factory.log)


_LOG_FORMATTER: Final = 4
"""Number of positional arguments of ``Site`` after its resource, up to ``logFormatter``."""


@provider(IAccessLogFormatter)
def maskedLogFormatter(timestamp: str, request: Any) -> str:
    """
    Return a line of an access log with masked URLs, for the ``logFormatter`` of a ``Site``.

    The line has the format of ``twisted.web``. The values of queries and the passwords of URLs are
    masked.

    :param timestamp: the time of the request, in the format of the access log.
    :param request: an ``IRequest``.
    """
    return cast(str, combinedLogFormatter(timestamp, _MaskedRequest(request)))


class _MaskedRequest:
    """A request with masked URLs, for a log line."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self.uri = masked_url(request.uri.decode("latin-1")).encode("latin-1")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)

    def getHeader(self, name: bytes) -> bytes | None:
        """Return a field of the request, with URLs masked."""
        value: bytes | None = self._request.getHeader(name)
        return value and masked_text(value.decode("latin-1")).encode("latin-1")


class HixieSite(Site):
    """
    A ``Site`` with limits for every request, which ``twisted.web.server.Site`` does not have.

    There are limits for the size of a body, which is checked before any of the body is kept or
    parsed; for the time in which a request must be received; and for a client that does not read
    the response.

    :ivar limits: the limits, of which ``body_size``, ``request_timeout``, ``head_size``,
        ``close_timeout`` and ``stall_timeout`` are used.
    :ivar channels: the connections that are watched for stalled clients.
    :ivar admission: limits of all connections.
    :ivar counters: accepted connections, and refused requests for pages. A WebSocket request is
        counted by the factory of its :class:`HixieResource`.
    """

    def __init__(
        self,
        resource: IResource,
        *args: Any,
        limits: Limits = Limits(),
        admission: Admission | None = None,
        **kw: Any,
    ) -> None:
        """
        :param resource: the root resource.
        :param limits: the limits: sizes in bytes, times in seconds.
        :param admission: limits of all connections of the Site. A :class:`HixieResource` below the
            Site may share the object: a connection of the Site that becomes a WebSocket connection
            is one connection.
        :param args: positional arguments of ``Site``.
        :param kw: keyword arguments of ``Site``. Unless a ``logFormatter`` is passed, the access
            log masks the values of queries, such as the token with which a page opens its
            WebSocket.
        :raises TypeError: for limits or an admission of another type.
        """
        if len(args) < _LOG_FORMATTER:
            kw.setdefault("logFormatter", maskedLogFormatter)
        super().__init__(resource, *args, **kw)  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self.limits = instance("limits", limits, Limits)
        self.admission = (
            Admission() if admission is None else instance("admission", admission, Admission)
        )
        self.counters = Counters()
        self._lines = ConnectionLog(_log, False, lambda: self.reactor, self.counters)
        self.channels = Channels(limits.stall_timeout, lambda: self.reactor, self._lines)
        self._refused = RefusedConnections(lambda: self._lines, lambda: self.reactor)

    def getResourceFor(self, request: Any) -> Any:
        """Return the resource of a request, and watch its connection for a stalled client."""
        self.channels.watch(request.channel)
        return super().getResourceFor(request)  # type: ignore[no-untyped-call]  # Twisted has no annotations here

    def buildProtocol(self, addr: Any) -> Any:
        """Return the protocol of a new connection, with the limits, or one that refuses it."""
        self.counters.accepted += 1
        client = getattr(addr, "host", None)
        if self.admission.is_limited:
            refusal = self.admission.arrives(client, self.reactor.seconds())
            if refusal is not None:
                return self._refused.refuse(refusal)
        protocol = super().buildProtocol(addr)  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        if self.admission.is_limited:
            countSocket(protocol, self.admission, client)
        channel = channelOf(protocol)
        if channel is not None:
            boundChannel(channel, self.limits, self._lines)
            protocol.requestFactory = boundStreams(
                protocol.requestFactory, self.limits, self._lines
            )
        return protocol


class ByRequest:
    """Adapter for an object with ``buildProtocol(request)`` instead of ``buildProtocol(offer)``."""

    def __init__(self, applications: Any) -> None:
        """
        :param applications: an object with ``buildProtocol(request)``, which may return the same as
            ``buildProtocol(offer)`` of :class:`txhixie.WebSocketServerFactory`.
        """
        self._applications = applications

    def buildProtocol(self, offer: Offer) -> Any:
        """Return the decision for the request of an offer."""
        return self._applications.buildProtocol(offer.request)


class UpgradedProtocol(HixieServerProtocol):
    """
    A WebSocket connection that a ``Site`` has accepted, with the request that asked for it.

    When the connection ends, the request gets its line in the Site's access log, and its
    ``notifyFinish`` fires: with ``None`` after a clean close or a refusal, and otherwise with the
    reason why the connection was lost.
    """

    _status: int | None = None
    _clean = True

    def __init__(self, factory: HixieServerFactory, request: Any) -> None:
        super().__init__(factory)
        self.request = request

    def isSecure(self) -> bool:
        """Whether the request used TLS, also according to a ``vhost.VHostMonsterResource``."""
        return bool(self.request.isSecure())

    def answerHeaders(self) -> Headers:
        """Return fields that other resources have set on the response, such as a session cookie."""
        return _answerFields(self.request)

    def answered(self, status: int) -> None:
        """Set the status of the request, which the access log shows."""
        self._status = status
        self.request.setResponseCode(status)
        self.request.startedWriting = 1

    def ended(self, ended: Ended) -> None:
        """Keep whether the conversation was closed cleanly, for ``notifyFinish``."""
        super().ended(ended)
        self._clean = ended.clean

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Keep the reason of a lost connection, for ``notifyFinish``."""
        self._reason = reason
        super().connectionLost(reason)

    def finished(self) -> None:
        """Finish the request, which fires its ``notifyFinish``."""
        request = self.request
        if self._status is not None and self._clean:
            request.finish()
            return
        if self._status is not None:
            request.channel.factory.log(request)
        request.connectionLost(self._reason)


def upgrade(request: Any, factory: HixieServerFactory) -> None:
    """Turn the connection of a request into a WebSocket connection of a factory."""
    body = request.content.read(_KEY3)
    protocol = UpgradedProtocol(factory, request)
    rest = takeOver(request.channel, protocol)
    holder = holderOf(request.channel.transport)
    if isinstance(holder, HixieServerProtocol):
        holder.yielded()
        protocol.number = holder.number
    else:
        factory.counters.accepted += 1
        protocol.number = keptNumber(request.channel) or protocol.number
    protocol.dataReceived(_head(request).raw + body + rest)


def takeOver(channel: Any, protocol: IProtocol) -> bytes:
    """
    Pass a channel's connection on to a protocol, which gets all further calls of the transport.

    Twisted has no public interface for this, so private names of Twisted's are used. Bytes after
    the request may have been received with it, or while a guard or an application was deciding;
    they are in one of two buffers. The channel is registered as the producer of the transport, and
    has paused the transport if there were many such bytes.

    :param channel: an ``HTTPChannel`` that has received one request and not answered it.
    :param protocol: the protocol.
    :return: the bytes after the request.
    """
    rest: bytes = b"".join(channel._dataBuffer) + channel.clearLineBuffer()  # noqa: SLF001 (pinned by tests/test_private_names.py)
    channel._dataBuffer = []  # noqa: SLF001 (pinned by tests/test_private_names.py)
    channel.setTimeout(None)
    stream = channel._networkProducer  # noqa: SLF001 (pinned by tests/test_private_names.py)
    stream.unregisterProducer()
    stream.resumeProducing()
    channel.dataReceived = channel.rawDataReceived = protocol.dataReceived
    channel.connectionLost = protocol.connectionLost
    channel.requestDone = _nothingMore
    protocol.makeConnection(channel.transport)
    return rest


def _nothingMore(request: object) -> None:
    """Replacement of the channel's ``requestDone``: the channel gets no further request."""


def _fields(request: Any) -> Headers:
    return tuple(
        (name, value)
        for name, values in request.requestHeaders.getAllRawHeaders()
        for value in values
    )


def _isHandshake(request: Any) -> bool:
    """Whether a request asks for WebSocket, even if the request is malformed."""
    return is_handshake(request.method, _minor(request), _fieldsOf(request))


def _minor(request: Any) -> int:
    """Return the minor version of HTTP/1 of a request, 0 or 1; -1 for any other version."""
    return {b"HTTP/1.1": 1, b"HTTP/1.0": 0}.get(request.clientproto, -1)


def _fieldsOf(request: Any) -> Fields:
    return Fields([(name.lower(), value) for name, value in _fields(request)])


def _head(request: Any) -> Head:
    """
    Return the head of a request, rebuilt from the parts that Twisted keeps.

    Twisted does not keep the case of field names, nor the order of fields with several values.
    """
    return Head.of(b"%b %b HTTP/1.1" % (request.method, request.uri), _fields(request))


def _answerFields(request: Any) -> Headers:
    """Return the fields that other resources have set on the response of a handshake."""
    fields = [
        (name, value)
        for name, values in request.responseHeaders.getAllRawHeaders()
        for value in values
        if name.lower() not in _LEFT_OUT
    ]
    return (*fields, *((b"Set-Cookie", cookie) for cookie in request.cookies))


def _faultOf(request: Any) -> str:
    """Return why a request is not a handshake although its client wants WebSocket."""
    if not request.clientproto.startswith(b"HTTP/1"):
        return ""
    target = request.uri.decode("latin-1")
    return fault_of(request.method, target, _minor(request), _fieldsOf(request))
