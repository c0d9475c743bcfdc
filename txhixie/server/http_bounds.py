"""Bounds of the ``HTTPChannel`` of ``twisted.web``, which has none for two things.

A body may have any length: it is spooled to disk, and a form is read into memory and parsed, before
any resource is asked. And what comes behind a request is kept without bound while the client does
not read the answer: the channel stops reading only while its transport is not full (Twisted 16.7
to 26.10).

These are names of Twisted's own, replaced on one channel: ``twisted.web.server.Site`` has no
place where a channel of ours would be asked for, and whoever has a Site has it already.
"""

# ruff: noqa: SLF001

from __future__ import annotations

from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from ..connection.log import ConnectionLog, installedReactor
from ..connection.protocol import ignore
from ..sansio.handshake.offer import Refusal
from ..sansio.http.head import NOTHING_ASKED, Asked, text
from ..sansio.limits import MOST_SEGMENTS, Limits

MOST_KEPT: Final = 64 * 1024
"""Bytes that are kept behind a request that was not answered yet: one read of Twisted's."""

_MARK: Final = len(b"Connection: close\r\n")
"""Bytes by which a head grows when it is marked as its connection's last request."""

_log = ConnectionLog(Logger(), everything=False, clock=installedReactor)


def channelOf(protocol: Any) -> HTTPChannel | None:
    """The channel that the protocol of a Site begins with; ``None`` for other protocols."""
    channel = getattr(protocol, "_channel", protocol)
    return channel if isinstance(channel, HTTPChannel) else None


def askedBy(request: Any, target: bytes | None) -> Asked:
    """What a request of ``twisted.web`` asks for, before it is whole, for the log."""
    given = request.requestHeaders
    if target is None or not any(given.getAllRawHeaders()):
        return NOTHING_ASKED  # before the first field, the target may be that of another request
    found = (given.getRawHeaders(name) for name in (b"host", b"origin"))
    host, origin = (text(b", ".join(values)) if values else None for values in found)
    return Asked(host, text(target), origin)


def boundBacklog(channel: Any) -> None:
    """Bound what one channel keeps, from now on; see :class:`Backlog`."""
    if not isinstance(getattr(channel.requestDone, "__self__", None), Backlog):
        Backlog(channel)


def boundChannel(channel: Any, limits: Limits) -> None:
    """
    Bound a channel in all: what it keeps, its requests' size and their time.

    :param channel: one that has not begun; a channel that was bounded before stays as it is.
    """
    if not isinstance(getattr(channel.allHeadersReceived, "__self__", None), RequestBounds):
        boundBacklog(channel)
        RequestBounds(channel, limits)


class Backlog:
    """
    What one channel keeps behind a request that is being answered, in both directions.

    Of what comes in, the rest of one read is kept, then the transport is not read until the answer
    has been written. Of what goes out, the next answer is not begun while the transport is full:
    otherwise 64 KiB of small requests would be answered with 2000 pages at once.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._receive = channel.rawDataReceived
        self._finish = channel.requestDone
        self._resume = channel.resumeProducing
        self._answered: Any = None  # a request whose answer fills the transport
        channel.rawDataReceived = self.rawDataReceived
        channel.requestDone = self.requestDone
        channel.resumeProducing = self.resumeProducing

    def rawDataReceived(self, data: bytes) -> None:
        """Bytes of a body, or such as come behind a request."""
        channel = self._channel
        if not channel._handlingRequest:
            self._receive(data)
            return
        kept = channel._dataBuffer
        room = MOST_KEPT - sum(map(len, kept))
        if channel.persistent:
            # All of it: it came in the read that has been made, and there is no other.
            kept.append(data)
            channel._networkProducer.pauseProducing()
        elif room > 0:
            # The connection ends with this answer. Who leaves is noticed as long as we read on.
            kept.append(data[:room])

    def requestDone(self, request: Any) -> None:
        """A request has been answered; the next one is begun when the transport has room."""
        channel = self._channel
        if channel._waitingForTransport and channel.persistent:
            self._answered = request
            channel.setTimeout(channel._savedTimeOut)  # as while it waits for a request
        else:
            self._finish(request)

    def resumeProducing(self) -> None:
        """The transport has room."""
        self._resume()
        request, self._answered = self._answered, None
        if request is not None:
            self._finish(request)


class RequestBounds:
    """The size of one channel's requests, and the time for each to come."""

    def __init__(self, channel: Any, limits: Limits) -> None:
        self._channel = channel
        self._limits = limits
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
        """Bytes of any kind. The time of a request that is not whole begins."""
        self._original["dataReceived"](data)
        channel = self._channel
        if self._timer is not None or self._refused or channel._handlingRequest:
            return
        if channel.requests or channel._buffer:  # a part of a request
            self._timer = channel.callLater(self._limits.request_timeout, self._late)

    def headerReceived(self, line: bytes) -> bool:
        """A field. Twisted raises for a Content-Length of more than 4300 digits."""
        try:
            return bool(self._original["headerReceived"](line))
        except ValueError:
            self.badRequest()
            return False

    def allHeadersReceived(self) -> None:
        """The head is whole; nothing has been kept of the body."""
        channel, most = self._channel, self._limits.body_size
        length = channel.length
        if length is None:
            self._left = most
            channel._transferDecoder.dataCallback = self._count(channel._transferDecoder)
        elif channel.requests[-1].requestHeaders.hasHeader(b"transfer-encoding"):
            self.refuse(501, "the only transfer coding spoken here is chunked\n")
            return
        if channel._path.partition(b"?")[0].count(b"/") > MOST_SEGMENTS:
            self.refuse(414, f"the path has more than {MOST_SEGMENTS} segments\n")
            return
        if (most == 0) if length is None else (length > most):
            self._refuseBody()
        else:
            self._original["allHeadersReceived"]()

    def _count(self, decoder: Any) -> Any:
        """Have the decoder of a chunked body stop as soon as there is more than the limit."""
        take = decoder.dataCallback

        def counted(data: bytes) -> None:
            self._left -= len(data)
            if self._left < 0:
                raise _TooMuch
            take(data)

        return counted

    def rawDataReceived(self, data: bytes) -> None:
        """Bytes of a body, or such as come behind a request."""
        try:
            self._original["rawDataReceived"](data)
        except _TooMuch:
            self._refuseBody()

    def allContentReceived(self) -> None:
        """The request is whole, unless it was refused."""
        self._stop()
        if not self._refused:
            self._original["allContentReceived"]()

    def lineLengthExceeded(self, line: bytes) -> None:
        """One line of a head is longer than all of it may be."""
        self.refuse(431, f"the head is longer than {self._limits.head_size} bytes\n")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """No request is waited for."""
        self._stop()
        self._original["connectionLost"](reason)

    def badRequest(self) -> None:
        """What Twisted refuses with 400; it would go on reading then."""
        self.refuse(400, "bad request\n")

    def _refuseBody(self) -> None:
        self.refuse(413, f"the request body is longer than {self._limits.body_size} bytes\n")

    def _late(self) -> None:
        self._timer = None
        self.refuse(408, "the request did not come in time\n")

    def refuse(self, status: int, why: str) -> None:
        """
        Answer, and read no further request. The client has time to read the answer: a socket that
        is closed with bytes unread is reset, and the answer is lost (RFC 9112 section 9.6).
        """
        if self._refused:
            return
        self._refused = True
        channel = self._channel
        transport, stream = channel.transport, channel._networkProducer
        refusal = Refusal(status, why)
        asked = NOTHING_ASKED
        if channel.requests:
            asked = askedBy(channel.requests[-1], getattr(channel, "_path", None))
        _log.turnedAway(transport.getPeer(), status, why.strip(), asked)
        transport.write(refusal.write())
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
        if timer is not None:
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
"""The channel's methods that :class:`RequestBounds` replaces by its own of the same name."""


class _TooMuch(Exception):
    """A chunked body is longer than the limit."""
