"""WebSocket as a resource of ``twisted.web``, under any Site, in every dialect.

A request that asks for WebSocket is written out again as the head it was and given, with whatever
came after it, to the same protocol that listens on a port of its own: what holds there holds here.
Any other request is a page, and not ours.
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

from .connection.log import ConnectionLog, Logged
from .interfaces import WebSocketServerFactory
from .sansio.arguments import instance
from .sansio.closing import Ended
from .sansio.dialects import OLD_VERSION, asks_in_old_version, is_handshake
from .sansio.handshake.offer import Offer
from .sansio.http.head import Fields, Head
from .sansio.http.redaction import masked_text, masked_url
from .sansio.limits import Limits
from .sansio.types import Headers
from .server.http2_bounds import boundStreams
from .server.http_bounds import boundBacklog, boundChannel, channelOf
from .server.page_connections import Channels, holderOf
from .server.protocol import HixieServerFactory, HixieServerProtocol, ServerOptions

__all__ = ["ByRequest", "HixieResource", "HixieSite"]

_log = Logger()

_KEY3: Final = 8
"""Bytes of a body that are looked at: hixie-76's, of clients that announce them as one."""

_LEFT_OUT: Final = frozenset(
    (
        *(b"connection", b"transfer-encoding", b"upgrade"),  # said by the handshake itself
        *(b"content-encoding", b"content-length", b"content-type", b"etag", b"last-modified"),
        *(b"date", b"server"),  # on every answer of a Site, and hixie-75 has no place for them
    )
)


class HixieResource(Resource):
    """
    Serves applications wherever it stands in a tree of resources, with all that is below it; the
    offer's ``path`` is the whole path, and its ``request`` the ``IRequest``.

    :ivar factory: the connections' own, which ends them all (``factory.closeAll()``).
    :ivar elsewhere: renders what is not WebSocket.
    """

    isLeaf = True

    upgrades = True
    """At the root of a Site, WebSocket requests find us on a connection that has served pages."""

    def __init__(
        self,
        applications: WebSocketServerFactory,
        *,
        elsewhere: IResource | None = None,
        **options: Unpack[ServerOptions],
    ) -> None:
        """
        :param applications: has ``buildProtocol(offer)``; for one that has
            ``buildProtocol(request)`` see :class:`ByRequest`.
        :param elsewhere: a resource for requests that are not WebSocket, with its children; without
            it: 404.
        :param options: those of :class:`txhixie.HixieServerFactory`. Where ``secure`` is
            not among them, it is as ``request.isSecure()`` says.
        :raises ValueError: for a dialect there is not.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.factory = HixieServerFactory(applications, **options)
        self.elsewhere = elsewhere
        self._channels = _channelsOf(self.factory)

    @classmethod
    def sharing(
        cls, factory: HixieServerFactory, elsewhere: IResource | None = None
    ) -> HixieResource:
        """
        A resource whose connections are a factory's that may listen by itself as well: the same
        applications, limits and log, and one way to end them all.
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
            return NOT_DONE_YET  # the client has left while a guard asked for its credentials
        isOurs = isinstance(request.channel, HTTPChannel)
        if isOurs and _isHandshake(request):
            self._channelsOf(request).forget(request.channel)
            upgrade(request, self.factory)
            return NOT_DONE_YET
        if isOurs:
            boundBacklog(request.channel)
        if asks_in_old_version(request.method, _minor(request), _fieldsOf(request)):
            client = Logged(None, request.transport.getPeer())
            self.factory.log.noticed(client, f"sent an {OLD_VERSION}")
        if self.elsewhere is not None and request.method != b"CONNECT":
            self._channelsOf(request).watch(request.channel)
            request.render(getChildForRequest(self.elsewhere, request))
        else:
            return _refuse(request)
        return NOT_DONE_YET

    def _channelsOf(self, request: Any) -> Channels:
        """The connections watched with a request's: those of its ``HixieSite``, or ours."""
        site = getattr(request, "site", None)
        return site.channels if isinstance(site, HixieSite) else self._channels


def _channelsOf(factory: HixieServerFactory) -> Channels:
    return Channels(factory.limits.stall_timeout, lambda: factory.clock, factory.log)


_LOG_FORMATTER: Final = 4
"""How many arguments a ``Site`` has behind its resource, up to ``logFormatter``."""


@provider(IAccessLogFormatter)
def maskedLogFormatter(timestamp: str, request: Any) -> str:
    """
    Write a line of a ``Site``'s access log as ``twisted.web`` does, with the values of a query and
    the passwords of a URL hidden: for the ``logFormatter`` of a ``Site``.

    :param timestamp: when the request was answered, in the format of that log.
    :param request: an ``IRequest``.
    """
    return cast(str, combinedLogFormatter(timestamp, _MaskedRequest(request)))


class _MaskedRequest:
    """A request as its line in a log may show it."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self.uri = masked_url(request.uri.decode("latin-1")).encode("latin-1")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)

    def getHeader(self, name: bytes) -> bytes | None:
        """A field of the request."""
        value: bytes | None = self._request.getHeader(name)
        return value and masked_text(value.decode("latin-1")).encode("latin-1")


class HixieSite(Site):
    """
    A ``Site`` that bounds what a request may cost, whichever of its resources it is for: the size
    of a body, before any of it is kept or parsed, the time for a request to come, and that for a
    client that does not read the answer. It takes the place of ``twisted.web.server.Site``, which
    has no such bounds.

    :ivar limits: of them ``body_size``, ``request_timeout``, ``head_size``, ``close_timeout`` and
        ``stall_timeout``.
    :ivar channels: the connections that are watched for progress.
    """

    def __init__(
        self, resource: IResource, *args: Any, limits: Limits = Limits(), **kw: Any
    ) -> None:
        """
        :param resource: the root.
        :param limits: sizes in bytes, times in seconds.
        :param args: those of ``Site``, like ``kw``. Without a ``logFormatter`` among them the
            access log has no values of a query: a page's token for its WebSocket is there.
        """
        if len(args) < _LOG_FORMATTER:
            kw.setdefault("logFormatter", maskedLogFormatter)
        super().__init__(resource, *args, **kw)  # type: ignore[no-untyped-call]
        self.limits = instance("limits", limits, Limits)
        log = ConnectionLog(_log, False, lambda: self.reactor)
        self.channels = Channels(limits.stall_timeout, lambda: self.reactor, log)

    def getResourceFor(self, request: Any) -> Any:
        """Find a request's resource. From its first request on, a connection is watched."""
        self.channels.watch(request.channel)
        return super().getResourceFor(request)  # type: ignore[no-untyped-call]

    def buildProtocol(self, addr: Any) -> Any:
        """A connection's protocol."""
        protocol = super().buildProtocol(addr)  # type: ignore[no-untyped-call]
        channel = channelOf(protocol)
        if channel is not None:
            boundChannel(channel, self.limits)
            protocol.requestFactory = boundStreams(protocol.requestFactory, self.limits)
        return protocol


class ByRequest:
    """An applications object out of one that wants the request: ``buildProtocol(request)``."""

    def __init__(self, applications: Any) -> None:
        """:param applications: its ``buildProtocol`` may answer whatever one with an offer may."""
        self._applications = applications

    def buildProtocol(self, offer: Offer) -> Any:
        """Pass the request on."""
        return self._applications.buildProtocol(offer.request)


class UpgradedProtocol(HixieServerProtocol):
    """
    A connection that was HTTP up to this request. When it ends, the request has its line in the
    Site's access log, and ``notifyFinish`` fires: with ``None`` after a clean close or a refusal,
    and otherwise with the reason why the connection was lost.
    """

    _status: int | None = None
    _clean = True

    def __init__(self, factory: HixieServerFactory, request: Any) -> None:
        super().__init__(factory)
        self.request = request

    def isSecure(self) -> bool:
        """Ask the request, which knows of a ``vhost.VHostMonsterResource`` too."""
        return bool(self.request.isSecure())

    def answerHeaders(self) -> Headers:
        """The fields that others have put into the answer, such as a session's cookie."""
        return _answerFields(self.request)

    def answered(self, status: int) -> None:
        """The request has this status, in the access log too."""
        self._status = status
        self.request.setResponseCode(status)
        self.request.startedWriting = 1

    def ended(self, ended: Ended) -> None:
        """Whether the request has ended well is whether the conversation was closed cleanly."""
        self._clean = ended.clean

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Keep the reason, for ``notifyFinish``."""
        self._reason = reason
        super().connectionLost(reason)

    def finished(self) -> None:
        """End the request."""
        request = self.request
        if self._status is not None and self._clean:
            request.finish()
            return
        if self._status is not None:
            request.channel.factory.log(request)
        request.connectionLost(self._reason)


def upgrade(request: Any, factory: HixieServerFactory) -> None:
    """Go on with a request's connection as one of the factory's."""
    body = request.content.read(_KEY3)
    protocol = UpgradedProtocol(factory, request)
    rest = takeOver(request.channel, protocol)
    holder = holderOf(request.channel.transport)
    if isinstance(holder, HixieServerProtocol):
        holder.yielded()
        protocol.number = holder.number
    protocol.dataReceived(_head(request).raw + body + rest)


def takeOver(channel: Any, protocol: IProtocol) -> bytes:
    """
    Have a protocol told what the transport tells a channel, from now on.

    Twisted knows of no such thing: these are names of its own. The next bytes may have come with
    the request or while somebody was deciding about it, and lie in either of two places; the
    channel is the transport's producer, and has stopped it where these were many.

    :param channel: an ``HTTPChannel``, in the middle of its one request.
    :return: the bytes after that request.
    """
    rest: bytes = b"".join(channel._dataBuffer) + channel.clearLineBuffer()  # noqa: SLF001
    channel._dataBuffer = []  # noqa: SLF001
    channel.setTimeout(None)
    stream = channel._networkProducer  # noqa: SLF001
    stream.unregisterProducer()
    stream.resumeProducing()
    channel.dataReceived = channel.rawDataReceived = protocol.dataReceived
    channel.connectionLost = protocol.connectionLost
    channel.requestDone = _nothingMore
    protocol.makeConnection(channel.transport)
    return rest


def _nothingMore(request: object) -> None:
    """After this request no other comes."""


def _fields(request: Any) -> Headers:
    return tuple(
        (name, value)
        for name, values in request.requestHeaders.getAllRawHeaders()
        for value in values
    )


def _isHandshake(request: Any) -> bool:
    """Whether a request wants WebSocket, however badly it asks."""
    return is_handshake(request.method, _minor(request), _fieldsOf(request))


def _minor(request: Any) -> int:
    """Of the version of HTTP/1; others than 0 and 1 are none of ours."""
    return {b"HTTP/1.1": 1, b"HTTP/1.0": 0}.get(request.clientproto, -1)


def _fieldsOf(request: Any) -> Fields:
    return Fields([(name.lower(), value) for name, value in _fields(request)])


def _head(request: Any) -> Head:
    """
    A request's head, as far as Twisted has kept it: the case of names is lost, and the order of
    fields that came more than once.
    """
    return Head.of(b"%b %b HTTP/1.1" % (request.method, request.uri), _fields(request))


def _answerFields(request: Any) -> Headers:
    """
    What others have put into the answer on the way here, such as a session's cookie.
    """
    fields = [
        (name, value)
        for name, values in request.responseHeaders.getAllRawHeaders()
        for value in values
        if name.lower() not in _LEFT_OUT
    ]
    return (*fields, *((b"Set-Cookie", cookie) for cookie in request.cookies))


def _refuse(request: Any) -> bytes:
    """Answer what no WebSocket can come of, and be ready for the next request."""
    if asks_in_old_version(request.method, _minor(request), _fieldsOf(request)):
        status, why = 400, f"{OLD_VERSION}\n".encode("ascii")
    elif request.clientproto.startswith(b"HTTP/1"):
        status, why = 404, b"only WebSocket is spoken here\n"
    else:
        status, why = 505, b"only WebSocket is spoken here, and only over HTTP/1.1\n"
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    return b"" if request.method == b"HEAD" else why
