"""``WebSocket`` as pages have it: its names and its rules are those of the WHATWG's standard
(https://websockets.spec.whatwg.org/), and its oldest name for ``send`` is that of 2009.

What is ours besides is by keyword only, or says so. A script learns nothing of why a connection
failed that a page would not be told; the program that runs it does, from :attr:`WebSocket.failure`
and the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Unpack

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..client.endpoint import EndpointOptions, WebSocketClientEndpoint
from ..connection.log import writeLine
from ..dialing.errors import ConnectFailed
from ..dialing.stage import cancelled
from ..interfaces import WebSocketTransport
from ..sansio.arguments import strings, whole_bytes
from ..sansio.errors import InvalidHandshake, NotOpen, UnsupportedByDialect
from ..sansio.http.parameters import write_list
from ..sansio.http.redaction import masked_url
from ..sansio.http.url import BAD_PORTS
from ..sansio.wire.frame import CloseCode
from .events import CloseEvent, Event, EventTarget, MessageEvent, eventAttribute
from .url import MOST_REASON, InvalidAccess, InvalidState, InvalidSyntax, resolved, scalar_values

_log = Logger()


class WebSocket(EventTarget):
    """
    A socket to a server. It begins to connect on the reactor's next turn, so that no event is
    missed by whoever assigns ``onopen``, ``onmessage``, ``onerror`` and ``onclose`` after making
    it.

    :ivar url: where to, resolved; without credentials.
    :ivar protocol: the subprotocol that was agreed on; empty before, and if there is none.
    :ivar extensions: those that were agreed on, as written in the answer's field.
    :ivar failure: why it failed, for the program and not for the page; ``None`` while it has not.
    """

    CONNECTING: Final = 0
    OPEN: Final = 1
    CLOSING: Final = 2
    CLOSED: Final = 3

    onopen = eventAttribute("open")
    onmessage = eventAttribute("message")
    onerror = eventAttribute("error")
    onclose = eventAttribute("close")

    def __init__(
        self,
        url: str,
        protocols: str | Iterable[str] = (),
        *,
        reactor: Any = None,
        **options: Unpack[EndpointOptions],
    ) -> None:
        """
        :param url: ``ws:`` or ``wss:``; ``http:`` and ``https:`` are taken for these.
        :param protocols: subprotocols to ask for, one or several, best first; a server that grants
            none of them is not talked to.
        :param reactor: the one that runs by default.
        :param options: those of :meth:`txhixie.WebSocketClientEndpoint.new`: ``dialect``,
            ``origin``, ``headers``, ``trustRoot`` and so on, without ``subprotocols``.
        :raises InvalidSyntax: for what no request could ask.
        """
        super().__init__()
        if reactor is None:
            from twisted.internet import reactor
        self._reactor = reactor
        url, parsed = resolved(url)
        named = (protocols,) if isinstance(protocols, str) else protocols
        asked = strings("protocols", named, '["chat"]')
        if "" in asked or len(set(asked)) != len(asked):
            raise InvalidSyntax("protocols: each once, and none empty")
        self._isBlocked = parsed.port in BAD_PORTS and not options.get("anyPort")
        options["anyPort"] = True  # for a page, a bad port is a failure and no error of its own
        options["subprotocols"] = asked
        try:
            self._endpoint = WebSocketClientEndpoint.new(reactor, url, **options)
        except (ValueError, UnsupportedByDialect) as error:
            raise InvalidSyntax(str(error)) from error
        self.url: str = parsed.location
        self._state: int = self.CONNECTING
        self.protocol = ""
        self.extensions = ""
        self.failure: BaseException | None = None
        self._origin = parsed.location.removesuffix(parsed.resource)
        self._asked = asked
        self._binaryType = "blob"
        self._queued = 0  # bytes that the transport may still hold
        self._unsendable = 0  # bytes given to us after the end had begun
        self._isTurning = False
        self._transport: WebSocketTransport | None = None
        self._connecting: Deferred[Any] | None = None
        reactor.callLater(0, self._begin)

    # What a script does.

    def send(self, data: str | bytes | bytearray | memoryview) -> None:
        """
        Send text or binary; after the end has begun it is only counted. What a peer does not read
        is kept up to the limits' ``unsent_size``, and beyond it the socket closes.

        :param data: lone surrogates in text become U+FFFD.
        :raises InvalidState: while it connects.
        :raises txhixie.errors.UnsupportedByDialect: for binary in a dialect whose peers lose it.
        """
        if self.readyState == self.CONNECTING:
            raise InvalidState("it is not open yet")
        message: str | bytes
        if isinstance(data, str):
            message = scalar_values(data)
            size = len(message.encode())
        else:
            message = whole_bytes("a message", data, "str or bytes")
            size = len(message)
        if self._transport is None or self.readyState != self.OPEN:
            self._unsendable += size
            return
        if isinstance(message, str):
            self._transport.sendTextMessage(message)
        else:
            self._transport.sendBytesMessage(message)
        self._queued += size
        if not self._isTurning:
            self._isTurning = True
            self._reactor.callLater(0, self._turned)

    postMessage = send

    def close(self, code: int | None = None, reason: str = "") -> None:
        """
        Close, if nobody has; ``onclose`` follows.

        :param code: 1000, or 3000 to 4999 for meanings of your own; by default none is sent.
        :param reason: at most 123 bytes of UTF-8.
        :raises InvalidAccess: for another code.
        :raises InvalidSyntax: for a longer reason.
        """
        if code is not None and code != CloseCode.NORMAL_CLOSURE and not 3000 <= code <= 4999:
            raise InvalidAccess(f"{code} is not 1000, and not from 3000 to 4999")
        reason = scalar_values(reason)
        if len(reason.encode()) > MOST_REASON:
            raise InvalidSyntax(f"a reason has at most {MOST_REASON} bytes")
        if self.readyState == self.CONNECTING:
            self._state = self.CLOSING
            if self._connecting is not None:
                self._connecting.cancel()
        elif self.readyState == self.OPEN and self._transport is not None:
            self._state = self.CLOSING
            if code is None:
                code = CloseCode.NORMAL_CLOSURE if reason else CloseCode.NO_STATUS_RCVD
            self._transport.loseConnection(code, reason)

    @property
    def readyState(self) -> int:
        """
        :attr:`CONNECTING`, :attr:`OPEN`, :attr:`CLOSING` from the moment when either side has begun
        to close, or :attr:`CLOSED`.
        """
        if self._state == self.OPEN and self._transport is not None and not self._transport.isOpen:
            return self.CLOSING
        return self._state

    @property
    def bufferedAmount(self) -> int:
        """
        Bytes of messages that were given to :meth:`send` and have not left: as of the reactor's
        last turn, and exact where the transport is Twisted's TCP. What was sent after the end had
        begun is never taken off.
        """
        if not self._isTurning:
            self._settle()
        return self._queued + self._unsendable

    def _turned(self) -> None:
        self._isTurning = False
        self._settle()

    def _settle(self) -> None:
        if self._transport is not None:
            self._queued = min(self._queued, self._transport.unsent)

    @property
    def binaryType(self) -> str:
        """
        What binary messages are given as: ``"blob"``, which is not to be changed, as ``bytes``, and
        ``"arraybuffer"``, which is, as ``bytearray``.
        """
        return self._binaryType

    @binaryType.setter
    def binaryType(self, value: str) -> None:
        """Others are ignored, as with every enumeration there."""
        if value in ("blob", "arraybuffer"):
            self._binaryType = value

    # What happens to it.

    def _begin(self) -> None:
        if self.readyState != self.CONNECTING:
            self._fail(NotOpen("it was closed before it was open"))
        elif self._isBlocked:
            self._fail(ConnectFailed("the port is another protocol's"))
        else:
            application = _Application(self._opened, self._received, self._ended)
            self._connecting = self._endpoint.connectApplication(application).addErrback(cancelled)
            # On a turn of its own: cancelling it must not fire events inside close().
            self._connecting.addErrback(
                lambda failure: self._reactor.callLater(0, self._fail, failure.value)
            )

    def _opened(self, transport: WebSocketTransport) -> None:
        agreement = transport.agreement
        assert agreement is not None
        if self._asked and agreement.subprotocol is None:
            self.failure = InvalidHandshake("subprotocol", "none of those asked for was granted")
            self._state = self.CLOSING
            transport.abortConnection()
            return
        self._transport = transport
        self.protocol = agreement.subprotocol or ""
        self.extensions = write_list(agreement.extensions)
        self._state = self.OPEN
        self._fire(Event(type="open"))

    def _received(self, data: str | bytes) -> None:
        if self._state == self.OPEN:  # also what came before the connection was lost
            shape = bytearray if self._binaryType == "arraybuffer" else bytes
            given = data if isinstance(data, str) else shape(data)
            self._fire(MessageEvent(type="message", data=given, origin=self._origin))

    def _ended(self, reason: Failure) -> None:
        self._settle()
        self._transport = None
        close: Any = reason.value
        if close.ended.clean:
            self._close(True, close.code, close.reason)
        else:
            self._fail(self.failure or close)

    def _fail(self, error: BaseException) -> None:
        """Whatever it was, a script is told the same: it must not find out what listens where."""
        self.failure = error
        writeLine(_log, "failed", url=masked_url(self.url), reason=str(error))
        self._state = self.CLOSED
        self._fire(Event(type="error"))
        self._close(False, CloseCode.ABNORMAL_CLOSURE, "")

    def _close(self, clean: bool, code: int, reason: str) -> None:
        self._state = self.CLOSED
        self._fire(CloseEvent(type="close", wasClean=clean, code=code, reason=reason))

    def _fire(self, event: Event) -> None:
        event.timeStamp = self._reactor.seconds() * 1000
        self.dispatch(event)


class _Application:
    """What the conversation tells, for the socket."""

    def __init__(
        self,
        opened: Callable[[WebSocketTransport], None],
        received: Callable[[str | bytes], None],
        ended: Callable[[Failure], None],
    ) -> None:
        self._opened = opened
        self._ended = ended
        self._isOpen = False
        self.textMessageReceived: Callable[[str], None] = received
        self.bytesMessageReceived: Callable[[bytes], None] = received

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self._transport = transport

    def negotiationFinished(self) -> None:
        self._isOpen = True
        self._opened(self._transport)

    def pongReceived(self, payload: bytes) -> None:
        """No page is told."""

    def connectionLost(self, reason: Failure) -> None:
        if self._isOpen:  # else whoever connects hears of it
            self._ended(reason)
