"""Bounds of HTTP/2 requests to a ``Site`` of ``twisted.web``, which has no bounds itself.

``twisted.web`` accepts a request body of any length, and never answers a stream that the client
does not end. A WebSocket client that expects RFC 8441 has such a stream: its extended CONNECT stays
open.
"""

# ruff: noqa: SLF001 (the private names are pinned by tests/test_private_names.py)

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.iweb import INonQueuedRequestFactory
from zope.interface import alsoProvides

from ..connection.log import ConnectionLog
from ..sansio.handshake.offer import Refusal
from ..sansio.limits import MOST_SEGMENTS, Limits
from .http_bounds import askedBy, mostOf, numberOf

_NO_ERROR: Final = 0
"""Error code of a reset after a response that was complete before its request (RFC 9113 section
8.1)."""


def boundStreams(
    makeRequest: Callable[..., Any], limits: Limits, log: ConnectionLog
) -> Callable[..., Any]:
    """
    Return a Site's ``requestFactory`` that bounds HTTP/2 requests.

    :param makeRequest: the Site's own ``requestFactory``.
    :param limits: the limits of a request.
    :param log: gets a line for each refused request, and counts it.
    """

    def make(channel: Any, *rest: Any, **named: Any) -> Any:
        request = makeRequest(channel, *rest, **named)
        if not isinstance(channel, HTTPChannel):
            StreamBounds(channel, request, limits, log)
        return request

    if INonQueuedRequestFactory.providedBy(makeRequest):
        alsoProvides(make, INonQueuedRequestFactory)
    return make


class StreamBounds:
    """Bounds of the request of one stream: the size of its body, and its timeout."""

    def __init__(self, stream: Any, request: Any, limits: Limits, log: ConnectionLog) -> None:
        self._log = log
        self._stream = stream
        self._request = request
        self._limits = limits
        self._left: int | None = None  # bytes that the body may still have; None before its first
        self._seconds = limits.close_timeout  # time for the client to end a refused stream
        self._refusal: Refusal | None = None
        self._answered = False
        self._isWhole = False
        self._original = {name: getattr(request, name) for name in _REPLACED}
        for name in _REPLACED:
            setattr(request, name, getattr(self, name))
        late = Refusal(408, "request timeout\n")
        later = stream._conn.callLater
        self._timer: IDelayedCall | None = later(limits.request_timeout, self.refuse, late)

    def gotLength(self, length: int | None) -> None:
        """
        Check the announced length of the body, before the fields of the head are known.

        A Site with a limit for each request needs these fields, and is asked at the first bytes.
        """
        most = self._limits.body_size
        isPlain = not hasattr(self._stream.site, "bodySizeOf")
        if self._stream.command == b"CONNECT":
            self.refuse(Refusal(505, "WebSocket needs HTTP/1.1 here\n"))
        elif isPlain and length is not None and length > most:
            self.refuse(Refusal(413, f"request body exceeds the limit of {most} bytes\n"))
        self._original["gotLength"](0 if self._refusal else length)

    def handleContentChunk(self, data: bytes) -> None:
        """Count received bytes of the body."""
        if self._left is None:
            stream = self._stream
            most = mostOf(stream.site, self._request, stream.command, stream.path, self._limits)
            if isinstance(most, Refusal):
                self.refuse(most)
                return
            self._left = most
        self._left -= len(data)
        if self._refusal is None and self._left >= 0:
            self._original["handleContentChunk"](data)
        else:
            self.refuse(Refusal(413, "request body exceeds the limit\n"))

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Pass a complete request on to its resource, unless it was refused."""
        if path.partition(b"?")[0].count(b"/") > MOST_SEGMENTS:
            self.refuse(Refusal(414, f"path has more than {MOST_SEGMENTS} segments\n"))
        self._isWhole = True
        if self._refusal is None:
            self._stop()
            self._original["requestReceived"](command, path, version)
        elif self._answered:
            self._stop()
            self._timer = self._stream._conn.callLater(0, self._end)

    def connectionLost(self, reason: Failure) -> None:
        """Cancel the timeout: the stream has ended."""
        self._stop()
        self._original["connectionLost"](reason)

    def refuse(self, refusal: Refusal) -> None:
        """
        Refuse the request, with a response in the next turn of the reactor.

        Twisted's connection registers the stream only after its head was processed, and processes
        the other received frames of the stream in this turn.
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
        from h2.exceptions import H2Error  # installed, since there is a stream of HTTP/2

        asked, why = askedBy(self._request, stream.path), str(refusal.body).strip()
        number = numberOf(stream, self._log)
        self._log.turnedAway(connection.getPeer(), refusal.status, why, asked, number)
        with suppress(H2Error):  # raised if the client has reset the stream meanwhile
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
        Reset a refused stream, so that the client sends no more of the body.

        The reset is sent after the response and not together with it: curl 7.88 loses the status of
        a stream that is reset in the same read.
        """
        from h2.exceptions import H2Error

        connection = self._stream._conn
        with suppress(H2Error):
            connection.conn.reset_stream(self._stream.streamID, error_code=_NO_ERROR)
        if connection._tryToWriteControlData():
            self._end()

    def _end(self) -> None:
        """End the stream in Twisted's connection."""
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
"""Methods of the request that :class:`StreamBounds` replaces by its own of the same name."""
