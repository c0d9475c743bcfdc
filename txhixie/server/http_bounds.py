"""Bounds of requests to the ``HTTPChannel`` of ``twisted.web``, which leaves two things unbounded.

A body may have any length: Twisted writes a body to disk, and reads a form into memory and parses
it, before any resource is called. And bytes that follow a request are kept without bound while the
client does not read the response: the channel stops reading only while its transport is not full
(Twisted 16.7 to 26.10).

Methods of Twisted's are replaced on each channel, since ``twisted.web.server.Site`` has no setting
for a channel class, and a program brings its own Site.
"""

# ruff: noqa: SLF001 (the private names are pinned by tests/test_private_names.py)

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from twisted.internet.interfaces import IDelayedCall, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from ..connection.log import ConnectionLog, Logged
from ..connection.protocol import ignore
from ..sansio.handshake.offer import Refusal
from ..sansio.http.head import NOTHING_ASKED, Asked, text
from ..sansio.limits import MOST_SEGMENTS, Limits

MOST_KEPT: Final = 64 * 1024
"""Most bytes that are kept after a request that was not answered yet: one read of Twisted's."""

_HEAD_END: Final = b"\r\n\r\n"
"""The end of the head of a response."""

_MARK: Final = len(b"Connection: close\r\n")
"""Bytes that are added to the head of the last request of a connection."""


def channelOf(protocol: Any) -> HTTPChannel | None:
    """Return the HTTP/1.1 channel of a Site's protocol; ``None`` for other protocols."""
    channel = getattr(protocol, "_channel", protocol)
    return channel if isinstance(channel, HTTPChannel) else None


def holderOf(transport: Any) -> Any:
    """
    Return the protocol to which a transport delivers.

    This is a :class:`txhixie.HixieServerProtocol` where a server factory has passed the connection
    on to a Site.
    """
    return getattr(transport, "wrappedProtocol", None) or getattr(transport, "protocol", None)


def numberOf(channel: Any, log: ConnectionLog) -> int:
    """
    Return the number of a channel's connection, for the log.

    :param channel: an ``HTTPChannel``, or a stream of HTTP/2.
    :param log: gives a number to a connection of a Site, which has none until its first line.
    """
    connection = getattr(channel, "_conn", channel)
    number = getattr(holderOf(connection.transport), "number", None) or keptNumber(connection)
    if number is None:
        number = log.number()
        connection.txhixieNumber = number
    return int(number)


def keptNumber(channel: Any) -> int | None:
    """Return the number that a Site's channel has in log lines; ``None`` without such lines."""
    number: int | None = getattr(channel, "txhixieNumber", None)
    return number


def askedBy(request: Any, target: bytes | None) -> Asked:
    """Return host, target and origin of an incomplete request of ``twisted.web``, for the log."""
    given = request.requestHeaders
    if target is None or not any(given.getAllRawHeaders()):
        return (
            NOTHING_ASKED  # before the first field, the target may be that of the previous request
        )
    found = (given.getRawHeaders(name) for name in (b"host", b"origin"))
    host, origin = (text(b", ".join(values)) if values else None for values in found)
    return Asked(host, text(target), origin)


def mostOf(site: Any, request: Any, method: bytes, target: bytes, limits: Limits) -> int | Refusal:
    """
    Return the most bytes of the body of a request, once its head has been read.

    :param site: the Site of the request. One with a method ``bodySizeOf(request, method, target)``
        has a limit for each request, such as 0 for one that its page does not read.
    :param request: the request, with its header fields.
    :param method: method of the request.
    :param target: path and query of the request.
    :return: bytes; or the refusal of the request.
    """
    sizeOf = getattr(site, "bodySizeOf", None)
    return (
        limits.body_size
        if sizeOf is None
        else cast("int | Refusal", sizeOf(request, method, target))
    )


def whyTooLarge(most: int) -> str:
    """Return the reason for the refusal of a body with more than the most bytes."""
    return f"request body exceeds the limit of {most} bytes\n" if most else NO_HEAD_END


NO_HEAD_END: Final = "unexpected request body\n"
"""Reason for the refusal of a body that nothing reads."""


def boundBacklog(channel: Any) -> None:
    """Bound the buffers of one channel, in both directions; see :class:`Backlog`."""
    if not isinstance(getattr(channel.requestDone, "__self__", None), Backlog):
        Backlog(channel)


def boundChannel(channel: Any, limits: Limits, log: ConnectionLog) -> None:
    """
    Bound the buffers of one channel, and the size and the time of its requests.

    :param channel: a channel that has received nothing; a bounded channel is left unchanged.
    :param limits: the limits of a request.
    :param log: gets a line for each refused request, and counts it.
    """
    if not isinstance(getattr(channel.allHeadersReceived, "__self__", None), RequestBounds):
        boundBacklog(channel)
        RequestBounds(channel, limits, log)


def closeLater(channel: Any, closes: Callable[[], bool]) -> None:
    """
    Have the connection of a channel end with the first response once the server closes connections.

    :param channel: a channel that keeps its connection for further requests.
    :param closes: whether the server closes its connections now.
    """
    persists = channel.checkPersistence

    def checkPersistence(request: Any, version: bytes) -> bool:
        if not closes():
            return bool(persists(request, version))
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return False

    channel.checkPersistence = checkPersistence


class Backlog:
    """
    Bounds of the buffers of one channel while a request is being answered.

    Received bytes: the rest of one read is kept, and the transport is then not read until the
    response was written. Sent bytes: the next response is not begun while the transport is full.
    Otherwise 64 KiB of small requests would be answered with 2000 pages at once.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._receive = channel.rawDataReceived
        self._finish = channel.requestDone
        self._resume = channel.resumeProducing
        self._answered: Any = None  # the request, if its response has filled the transport
        channel.rawDataReceived = self.rawDataReceived
        channel.requestDone = self.requestDone
        channel.resumeProducing = self.resumeProducing

    def rawDataReceived(self, data: bytes) -> None:
        """Process bytes of a body, or keep bytes that follow a request."""
        channel = self._channel
        if not channel._handlingRequest:
            self._receive(data)
            return
        kept = channel._dataBuffer
        room = MOST_KEPT - sum(map(len, kept))
        if channel.persistent:
            # All these bytes are of the current read, and the transport is not read again.
            kept.append(data)
            channel._networkProducer.pauseProducing()
        elif room > 0:
            # The connection ends with this response. The transport is still read, so that the end
            # of the connection is noticed if the client leaves.
            kept.append(data[:room])

    def requestDone(self, request: Any) -> None:
        """Begin the next request, as soon as the transport is not full."""
        channel = self._channel
        if channel._waitingForTransport and channel.persistent:
            self._answered = request
            channel.setTimeout(channel._savedTimeOut)  # the timeout between two requests
        else:
            self._finish(request)

    def resumeProducing(self) -> None:
        """Begin the next request, if one waited: the transport is not full any more."""
        self._resume()
        request, self._answered = self._answered, None
        if request is not None:
            self._finish(request)


class RequestBounds:
    """Bounds of the requests of one channel: their sizes, and a timeout for each request."""

    def __init__(self, channel: Any, limits: Limits, log: ConnectionLog) -> None:
        self._channel = channel
        self._log = log
        self._limits = limits
        self._most = limits.body_size  # bytes that the body of the current request may have
        self._left = 0  # bytes that a chunked body may still have
        self._timer: IDelayedCall | None = None
        self._refused = False
        self._original = {name: getattr(channel, name) for name in _REPLACED}
        for name in _REPLACED:
            setattr(channel, name, getattr(self, name))
        channel._respondToBadRequestAndDisconnect = self.badRequest
        most = limits.head_size + _MARK
        channel.totalHeadersSize = max(channel.totalHeadersSize, most)
        channel.MAX_LENGTH = max(channel.MAX_LENGTH, most)

    def dataReceived(self, data: bytes) -> None:
        """Process received bytes, and start the timeout of an incomplete request."""
        self._original["dataReceived"](data)
        channel = self._channel
        if self._timer is not None or self._refused or channel._handlingRequest:
            return
        if channel.requests or channel._buffer:  # a part of a request
            self._timer = channel.callLater(self._limits.request_timeout, self._late)

    def headerReceived(self, line: bytes) -> bool:
        """Process a field; Twisted raises for a Content-Length of more than 4300 digits."""
        try:
            return bool(self._original["headerReceived"](line))
        except ValueError:
            self.badRequest()
            return False

    def allHeadersReceived(self) -> None:
        """Check the announced length of a body, before any of it is kept."""
        channel = self._channel
        most = mostOf(
            channel.site, channel.requests[-1], channel._command, channel._path, self._limits
        )
        if isinstance(most, Refusal):
            self._refuseWith(most)
            return
        self._most, length = most, channel.length
        if length is None:
            self._left = most
            channel._transferDecoder.dataCallback = self._count(channel._transferDecoder)
        elif channel.requests[-1].requestHeaders.hasHeader(b"transfer-encoding"):
            self.refuse(501, "unsupported transfer coding; only chunked is supported\n")
            return
        if channel._path.partition(b"?")[0].count(b"/") > MOST_SEGMENTS:
            self.refuse(414, f"path has more than {MOST_SEGMENTS} segments\n")
            return
        if (most == 0) if length is None else (length > most):
            self._refuseBody()
        else:
            self._original["allHeadersReceived"]()

    def _count(self, decoder: Any) -> Any:
        """Return the callback of a chunked body's decoder, which stops beyond the limit."""
        take = decoder.dataCallback

        def counted(data: bytes) -> None:
            self._left -= len(data)
            if self._left < 0:
                raise _TooMuch
            take(data)

        return counted

    def rawDataReceived(self, data: bytes) -> None:
        """Process bytes of a body; refuse a chunked body that exceeds the limit."""
        try:
            self._original["rawDataReceived"](data)
        except _TooMuch:
            self._refuseBody()

    def allContentReceived(self) -> None:
        """Pass a complete request on to its resource, unless it was refused."""
        self._stop()
        if not self._refused:
            self._original["allContentReceived"]()

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a head with one line that is longer than the limit of the whole head."""
        self.refuse(431, f"request head exceeds the limit of {self._limits.head_size} bytes\n")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Cancel the timeout: the connection has ended."""
        self._stop()
        self._original["connectionLost"](reason)

    def badRequest(self) -> None:
        """Refuse a request with 400 and stop reading; Twisted itself would continue to read."""
        self.refuse(400, "bad request\n")

    def _refuseBody(self) -> None:
        self.refuse(413, whyTooLarge(self._most))

    def _late(self) -> None:
        self._timer = None
        self.refuse(408, "request timeout\n")

    def refuse(self, status: int, why: str) -> None:
        """
        Refuse a request, and read no further request on this connection.

        :param status: the HTTP status.
        :param why: the reason: the body of the response.
        """
        self._refuseWith(Refusal(status, why))

    def _refuseWith(self, refusal: Refusal) -> None:
        """
        Write a refusal, and let the client read it.

        The kernel resets a socket that is closed while received bytes are unread, and the response
        is lost with it (RFC 9112 section 9.6).
        """
        if self._refused:
            return
        self._refused = True
        channel = self._channel
        transport, stream = channel.transport, channel._networkProducer
        asked, response = NOTHING_ASKED, refusal.write()
        if channel.requests:
            if getattr(channel, "_command", b"") == b"HEAD":  # no body (RFC 9110 section 9.3.2)
                response = response.partition(_HEAD_END)[0] + _HEAD_END
            asked = askedBy(channel.requests[-1], getattr(channel, "_path", None))
        number = numberOf(channel, self._log)
        self._log.refused(Logged(number, transport.getPeer(), asked), refusal)
        transport.write(response)
        channel.dataReceived = channel.rawDataReceived = channel.lineReceived = ignore
        channel.setTimeout(None)
        self._stop()
        self._timer = channel.callLater(self._limits.close_timeout, self._abort)
        stream.unregisterProducer()
        stream.resumeProducing()
        closeHalf = getattr(transport, "loseWriteConnection", None)
        if closeHalf is None or ISSLTransport.providedBy(transport):
            transport.loseConnection()
        else:
            closeHalf()

    def _abort(self) -> None:
        self._timer = None
        self._channel.transport.abortConnection()

    def _stop(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


_REPLACED: Final = (
    "dataReceived",
    "headerReceived",
    "allHeadersReceived",
    "rawDataReceived",
    "allContentReceived",
    "lineLengthExceeded",
    "connectionLost",
)
"""Methods of the channel that :class:`RequestBounds` replaces by its own of the same name."""


class _TooMuch(Exception):
    """A chunked body exceeds the limit."""
