"""Bounds of requests over HTTP/2 under a ``Site`` of ``twisted.web``, which has none.

A body may have any length, and a stream whose client never ends it is never answered. Such a stream
is that of a WebSocket client which takes RFC 8441 for granted: an extended CONNECT stays open.
"""

# ruff: noqa: SLF001

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.iweb import INonQueuedRequestFactory
from zope.interface import alsoProvides

from ..connection.log import ConnectionLog, installedReactor
from ..sansio.handshake.offer import Refusal
from ..sansio.limits import MOST_SEGMENTS, Limits
from .http_bounds import askedBy

_NO_ERROR: Final = 0
"""The code that ends a stream whose answer was whole before its request (RFC 9113 section 8.1)."""

_log = ConnectionLog(Logger(), everything=False, clock=installedReactor)


def boundStreams(makeRequest: Callable[..., Any], limits: Limits) -> Callable[..., Any]:
    """A Site's ``requestFactory``, of which requests over HTTP/2 are bounded."""

    def make(channel: Any, *rest: Any, **named: Any) -> Any:
        request = makeRequest(channel, *rest, **named)
        if not isinstance(channel, HTTPChannel):
            StreamBounds(channel, request, limits)
        return request

    if INonQueuedRequestFactory.providedBy(makeRequest):
        alsoProvides(make, INonQueuedRequestFactory)
    return make


class StreamBounds:
    """The size of one stream's request, and the time for it to come."""

    def __init__(self, stream: Any, request: Any, limits: Limits) -> None:
        self._stream = stream
        self._request = request
        self._left = limits.body_size
        self._seconds = limits.close_timeout  # for the client to end a stream that was refused
        self._refusal: Refusal | None = None
        self._answered = False
        self._isWhole = False
        self._original = {name: getattr(request, name) for name in _REPLACED}
        for name in _REPLACED:
            setattr(request, name, getattr(self, name))
        late = Refusal(408, "the request did not come in time\n")
        later = stream._conn.callLater
        self._timer: IDelayedCall | None = later(limits.request_timeout, self.refuse, late)

    def gotLength(self, length: int | None) -> None:
        """The head has come, and a length has been announced or not."""
        if self._stream.command == b"CONNECT":
            self.refuse(Refusal(505, "WebSocket is spoken over HTTP/1.1 only\n"))
        elif length is not None and length > self._left:
            self.refuse(Refusal(413, f"the request body is longer than {self._left} bytes\n"))
        self._original["gotLength"](0 if self._refusal else length)

    def handleContentChunk(self, data: bytes) -> None:
        """Bytes of the body."""
        self._left -= len(data)
        if self._refusal is None and self._left >= 0:
            self._original["handleContentChunk"](data)
        else:
            self.refuse(Refusal(413, "the request body is too long\n"))

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The request is whole."""
        if path.partition(b"?")[0].count(b"/") > MOST_SEGMENTS:
            self.refuse(Refusal(414, f"the path has more than {MOST_SEGMENTS} segments\n"))
        self._isWhole = True
        if self._refusal is None:
            self._stop()
            self._original["requestReceived"](command, path, version)
        elif self._answered:
            self._stop()
            self._timer = self._stream._conn.callLater(0, self._end)

    def connectionLost(self, reason: Failure) -> None:
        """The stream has ended."""
        self._stop()
        self._original["connectionLost"](reason)

    def refuse(self, refusal: Refusal) -> None:
        """
        Answer in the next turn: the connection does not know the stream before its head was worked
        off, and works off what has come for it in this turn.
        """
        if self._refusal is None:
            self._stop()
            self._refusal = refusal
            self._timer = self._stream._conn.callLater(0, self._answer, refusal)

    def _answer(self, refusal: Refusal) -> None:
        self._timer = None
        stream, connection = self._stream, self._stream._conn
        if stream.streamID not in connection.streams:
            return
        from h2.exceptions import H2Error  # who has such a stream has this

        asked, why = askedBy(self._request, stream.path), str(refusal.body).strip()
        _log.turnedAway(connection.getPeer(), refusal.status, why, asked)
        with suppress(H2Error):  # the client has reset the stream meanwhile
            status = b"%d" % refusal.status
            connection.conn.send_headers(stream.streamID, [(b":status", status)], end_stream=True)
        self._answered = True
        if not connection._tryToWriteControlData():
            return
        if self._isWhole:
            self._end()
        else:
            self._timer = connection.callLater(self._seconds, self._reset)

    def _reset(self) -> None:
        """
        Have the client send no more of a body that has been refused. Not together with the answer:
        curl 7.88 forgets the status of a stream that is reset in the same read.
        """
        from h2.exceptions import H2Error

        connection = self._stream._conn
        with suppress(H2Error):
            connection.conn.reset_stream(self._stream.streamID, error_code=_NO_ERROR)
        if connection._tryToWriteControlData():
            self._end()

    def _end(self) -> None:
        """The stream is over."""
        self._timer = None
        stream, connection = self._stream, self._stream._conn
        if stream.streamID in connection.streams:
            stream.connectionLost(Failure(ConnectionLost("refused")))
            connection._requestDone(stream.streamID)

    def _stop(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


_REPLACED: Final = ("gotLength", "handleContentChunk", "requestReceived", "connectionLost")
"""The request's methods that :class:`StreamBounds` replaces by its own of the same name."""
