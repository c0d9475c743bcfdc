"""The ``WebSocket`` class of the WHATWG standard (https://websockets.spec.whatwg.org/).

``postMessage`` is the name of ``send`` from 2009. Arguments that the standard does not have are by
keyword only. As in a browser, the events do not say why a connection failed; the program finds the
reason in :attr:`WebSocket.failure` and in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Unpack, cast

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..client.endpoint import EndpointOptions, WebSocketClientEndpoint
from ..connection.log import writeLine
from ..connection.protocol import HixieProtocol
from ..dialing.errors import ConnectFailed
from ..dialing.stage import cancelled
from ..interfaces import WebSocketTransport
from ..sansio.arguments import strings, whole_bytes
from ..sansio.errors import InvalidHandshake, NotOpen, UnsupportedByDialect
from ..sansio.http.parameters import write_list
from ..sansio.http.redaction import masked_url
from ..sansio.http.url import BAD_PORTS
from ..sansio.prepared_message import ABSENT, SENT, PreparedMessage
from ..sansio.wire.frame import CloseCode
from .events import CloseEvent, Event, EventTarget, MessageEvent, eventAttribute
from .url import MOST_REASON, InvalidAccess, InvalidState, InvalidSyntax, resolved, scalar_values

_log = Logger()


class WebSocket(EventTarget):
    """
    Connection to a server with the interface of a browser's ``WebSocket``.

    The ``WebSocket`` begins to connect in the next reactor turn, so that listeners assigned after
    the constructor (``onopen``, ``onmessage``, ``onerror``, ``onclose``) miss no event.

    :ivar url: the parsed URL, without its user name and password.
    :ivar protocol: the agreed subprotocol; empty before the connection is open, and without a
        subprotocol.
    :ivar extensions: the agreed extensions, as in the header field of the response.
    :ivar failure: the error of a failed connection, which the standard hides from a page; ``None``
        while the connection has not failed.
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
        :param url: ``ws:`` or ``wss:`` URL; ``http:`` and ``https:`` are changed to these.
        :param protocols: one or several subprotocols to offer, preferred ones first; the connection
            fails if the server selects none of them.
        :param reactor: the reactor to use; by default the installed one.
        :param options: the options of :meth:`txhixie.WebSocketClientEndpoint.new` without
            ``subprotocols``: ``dialect``, ``origin``, ``headers``, ``trustRoot`` and so on.
        :raises InvalidSyntax: for a value that cannot be written in a request.
        :raises TypeError: for a value of another type, as the endpoint does.
        """
        super().__init__()
        if reactor is None:
            from twisted.internet import reactor
        self._reactor = reactor
        url, parsed = resolved(url)
        named = (protocols,) if isinstance(protocols, str) else protocols
        offered = strings("protocols", named, '["chat"]')
        if "" in offered or len(set(offered)) != len(offered):
            raise InvalidSyntax(
                "protocols: a subprotocol is empty or repeated; write each one once"
            )
        self._blockedPort = (
            parsed.port if parsed.port in BAD_PORTS and not options.get("anyPort") else None
        )
        # In the standard, a blocked port is a connection that fails later, and no exception here.
        options["anyPort"] = True
        options["subprotocols"] = offered
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
        self._offered = offered
        self._binaryType = "blob"
        self._queued = 0  # bytes that the transport may still hold
        self._unsendable = 0  # bytes given to send() after the close had begun
        self._isTurning = False
        self._transport: WebSocketTransport | None = None
        self._connecting: Deferred[Any] | None = None
        reactor.callLater(0, self._begin)

    # Methods and properties of the standard.

    def send(self, data: str | bytes | bytearray | memoryview) -> None:
        """
        Send a text or binary message.

        After the close has begun, the message is not sent and only counted in
        :attr:`bufferedAmount`. Data that the peer does not read is buffered up to
        :attr:`txhixie.Limits.unsent_size` bytes; above, the connection is aborted.

        :param data: ``str`` for text, bytes-like for binary; lone surrogates in text are replaced
            with U+FFFD.
        :raises InvalidState: while the ``WebSocket`` connects.
        :raises TypeError: for data that is neither ``str`` nor bytes-like.
        :raises txhixie.errors.UnsupportedByDialect: for a binary message in a dialect with
            peers that lose binary messages.
        """
        if self.readyState == self.CONNECTING:
            raise InvalidState("the WebSocket is still connecting; wait for the open event")
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
        self._queue(size)

    postMessage = send

    # A broadcast: see HixieProtocol.

    def sendPrepared(self, message: PreparedMessage, slow: str) -> int:
        """Send a message of :func:`txhixie.broadcast`, which calls this method."""
        if self._transport is None:
            return ABSENT
        outcome = cast(HixieProtocol, self._transport).sendPrepared(message, slow)
        if outcome == SENT:
            self._queue(message.size)
        return outcome

    def closeSlow(self) -> None:
        """Close the connection at a broadcast, since its write buffer is full."""
        if self._transport is not None:
            cast(HixieProtocol, self._transport).closeSlow()

    def close(self, code: int | None = None, reason: str = "") -> None:
        """
        Close the connection, unless the close has begun already; a ``close`` event follows.

        :param code: close code: 1000, or 3000 to 4999 for an application's own codes; by default
            the close frame has no code.
        :param reason: close reason, at most 123 bytes of UTF-8.
        :raises InvalidAccess: for another code.
        :raises InvalidSyntax: for a longer reason.
        """
        if code is not None and code != CloseCode.NORMAL_CLOSURE and not 3000 <= code <= 4999:
            raise InvalidAccess(f"invalid close code {code}; use 1000, or 3000 to 4999")
        reason = scalar_values(reason)
        if (size := len(reason.encode())) > MOST_REASON:
            raise InvalidSyntax(
                f"close reason of {size} bytes is too long; use at most {MOST_REASON}"
            )
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
        State of the connection: ``CONNECTING``, ``OPEN``, ``CLOSING`` or ``CLOSED``.

        The state is :attr:`CLOSING` as soon as either side has begun to close.
        """
        if self._state == self.OPEN and self._transport is not None and not self._transport.isOpen:
            return self.CLOSING
        return self._state

    @property
    def bufferedAmount(self) -> int:
        """
        Bytes of messages that were given to :meth:`send` and are not written to the network yet.

        Those of :func:`txhixie.broadcast` are counted too. The number is that of the last reactor
        turn, and exact over Twisted's TCP transport. Bytes given to :meth:`send` after the close
        had begun stay in the number for ever.
        """
        if not self._isTurning:
            self._settle()
        return self._queued + self._unsendable

    def _queue(self, size: int) -> None:
        """Add a message to :attr:`bufferedAmount`, at least until the end of this turn."""
        self._queued += size
        if not self._isTurning:
            self._isTurning = True
            self._reactor.callLater(0, self._turned)

    def _turned(self) -> None:
        self._isTurning = False
        self._settle()

    def _settle(self) -> None:
        if self._transport is not None:
            self._queued = min(self._queued, self._transport.unsent)

    @property
    def binaryType(self) -> str:
        """
        Type of the data of binary messages: ``"blob"`` or ``"arraybuffer"``.

        A blob is immutable, ``bytes``; an array buffer is mutable, a ``bytearray``.
        """
        return self._binaryType

    @binaryType.setter
    def binaryType(self, value: str) -> None:
        """Set the type; another value is ignored, as the standard does with its enumerations."""
        if value in ("blob", "arraybuffer"):
            self._binaryType = value

    # Events of the connection.

    def _begin(self) -> None:
        if self.readyState != self.CONNECTING:
            self._fail(NotOpen("close() was called before the connection was open"))
        elif self._blockedPort is not None:
            self._fail(
                ConnectFailed(
                    f"port {self._blockedPort} is blocked by the Fetch standard; "
                    "write anyPort=True to connect anyway"
                )
            )
        else:
            application = _Application(self._opened, self._received, self._ended)
            self._connecting = self._endpoint.connectApplication(application).addErrback(cancelled)
            # Fail in the next reactor turn: close() cancels the Deferred, and must not dispatch
            # events before it returns.
            self._connecting.addErrback(
                lambda failure: self._reactor.callLater(0, self._fail, failure.value)
            )

    def _opened(self, transport: WebSocketTransport) -> None:
        agreement = transport.agreement
        assert agreement is not None
        if self._offered and agreement.subprotocol is None:
            self.failure = InvalidHandshake(
                "subprotocol", "the server selected none of the offered subprotocols"
            )
            self._state = self.CLOSING
            transport.abortConnection()
            return
        self._transport = transport
        self.protocol = agreement.subprotocol or ""
        self.extensions = write_list(agreement.extensions)
        self._state = self.OPEN
        self._fire(Event(type="open"))

    def _received(self, data: str | bytes) -> None:
        if self._state == self.OPEN:  # also for messages received just before the connection ended
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
        """
        Dispatch the events ``error`` and ``close`` of a failed connection, and log the reason.

        The events have no reason, as in the standard: a script could use the reason to scan for
        open ports.
        """
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
    """Application of the conversation, which calls the ``WebSocket``."""

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
        """Ignore a pong: the standard has no event for pongs."""

    def connectionLost(self, reason: Failure) -> None:
        if self._isOpen:  # otherwise the Deferred of connectApplication fails
            self._ended(reason)
