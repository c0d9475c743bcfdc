"""One request for a page: the connection to the backend, and the client that gets the response."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.http import Request
from zope.interface import implementer

from ..sansio.errors import MalformedHead
from ..sansio.http.page_exchange import PageExchange, PageHead
from .headers import end_to_end
from .page_errors import ResponseFailed


@implementer(IPushProducer)
class PageTransfer(Protocol):
    """
    Connection to the backend for one request.

    The body is passed on as it is received. When the client's transport is full, the transfer
    stops reading from the backend: it holds one read of the socket, at most 64 KiB.

    :ivar transport: transport of the connection; ``None`` before and after the connection.
    :ivar whenOver: fires with ``None`` when the response is complete. Fails with
        :class:`ResponseFailed`. Cancelling it aborts the connection.
    """

    transport: Any = None

    def __init__(
        self,
        exchange: PageExchange,
        request: Request,
        clock: IReactorTime,
        timeout: float,
        closeTimeout: float,
    ) -> None:
        """
        :param exchange: writes the request and reads the response.
        :param request: the client's request.
        :param clock: measures the timeouts.
        :param timeout: seconds for the head of the response, and then between two reads of its
            body.
        :param closeTimeout: seconds for the end of the connection after a complete response: TLS
            waits for the backend.
        """
        self._exchange = exchange
        self._request = request
        self._clock = clock
        self._seconds = timeout
        self._closeTimeout = closeTimeout
        self._timer: IDelayedCall | None = None
        self._isOver = False
        self.whenOver: Deferred[None] = Deferred(lambda _: self._abort())

    @property
    def hasBegun(self) -> bool:
        """Whether the client has received the head of the response."""
        return bool(self._request.startedWriting)

    def abandon(self) -> None:
        """End the connection, if there is one; ``whenOver`` never fails then."""
        self.whenOver.addErrback(lambda _: None)
        self._abort()

    # The connection to the backend.

    def connectionMade(self) -> None:
        """Send the request."""
        self._setTimer()
        self.transport.write(self._exchange.request)

    def dataReceived(self, data: bytes) -> None:
        """Pass a part of the response on to the client."""
        if self._isOver:
            return
        try:
            self._pass(self._exchange.receive(data))
        except MalformedHead as error:
            self._fail(ResponseFailed(f"invalid response of the backend: {error}"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Complete a response that ends with the connection; fail any other one."""
        self.transport = None
        self._clearTimer()
        if self._isOver:
            return
        try:
            if reason.check(ConnectionDone) is None:
                raise MalformedHead("the connection was lost")  # a reset, or TLS without its end
            self._exchange.end()
            self._pass(b"")
        except MalformedHead as error:
            self._fail(ResponseFailed(f"incomplete response of the backend: {error}"))

    def _pass(self, body: bytes) -> None:
        head = self._exchange.head
        if head is None:
            return
        if not self.hasBegun:
            self._begin(head)
        if body:
            self._request.write(body)
        if self._exchange.over:
            self._close()
            self._request.unregisterProducer()
            self._request.finish()
            self.whenOver.callback(None)
        elif self._timer is not None:  # not paused
            self._setTimer()

    def _begin(self, head: PageHead) -> None:
        """Send the head at once: the first byte of an event stream may be minutes later."""
        request = self._request
        request.setResponseCode(head.status)
        request.defaultContentType = None  # type: ignore[attr-defined]  # Twisted's is text/html
        fields = end_to_end(head.headers)
        for name, _ in fields:
            request.responseHeaders.removeHeader(name)  # Twisted's own Server and Date
        for name, value in fields:
            request.responseHeaders.addRawHeader(name, value)
        if head.length is not None:
            request.setHeader(b"Content-Length", head.length)
        request.write(b"")
        request.registerProducer(self, True)

    def _fail(self, error: ResponseFailed) -> None:
        self._abort()
        self.whenOver.errback(error)

    def _abort(self) -> None:
        """Abort the connection, and ignore its further bytes."""
        self._isOver = True
        self._clearTimer()
        if self.transport is not None:
            self.transport.abortConnection()

    def _close(self) -> None:
        """Close the connection after a complete response; further bytes are ignored."""
        self._isOver = True
        self._clearTimer()
        if self.transport is not None:
            self._timer = self._clock.callLater(self._closeTimeout, self._closeLate)
            self.transport.loseConnection()

    def _closeLate(self) -> None:
        self._timer = None
        self.transport.abortConnection()

    # The timeout.

    def _setTimer(self) -> None:
        self._clearTimer()
        self._timer = self._clock.callLater(self._seconds, self._late)

    def _clearTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _late(self) -> None:
        self._timer = None
        what = "no further data of the response" if self.hasBegun else "no response"
        late = f"{what} of the backend within {self._seconds:g} seconds (response-timeout)"
        self._fail(ResponseFailed(late, 504))

    # Back-pressure of the client.

    def pauseProducing(self) -> None:
        """Stop reading from the backend: the client's transport is full. Its timeout stops."""
        if not self._isOver:
            self._clearTimer()
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read from the backend again: the client's transport has room."""
        if not self._isOver:
            self._setTimer()
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Do nothing: the request tells that the client has disconnected."""


class TransferFactory(Factory):
    """Factory that returns one transfer, without log lines of its own."""

    noisy = False

    def __init__(self, transfer: PageTransfer) -> None:
        """:param transfer: the transfer of the only connection."""
        self._transfer = transfer

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Return the transfer."""
        return self._transfer
