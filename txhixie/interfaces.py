"""Interfaces between an application and its connection, as in ``twisted.web.websocket``.

The interfaces are structural types. An application that was written for ``twisted.web.websocket``
runs unchanged. Features that module lacks have optional interfaces: ``PingListener`` and
``CloseListener``.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.python.failure import Failure

from .sansio.arguments import scalars, whole_text
from .sansio.closing import Ended
from .sansio.errors import reduced
from .sansio.handshake.offer import Agreement, Offer, Refusal
from .sansio.http.head import header_pairs
from .sansio.limits import Limits
from .sansio.types import Headers, HeadersLike
from .sansio.wire.fragmented import LEAST_FRAGMENT
from .sansio.wire.frame import CloseCode

_OF_THE_HANDSHAKE: Final = re.compile(
    rb"upgrade|connection|content-length|transfer-encoding|(?:sec-)?websocket-.*", re.IGNORECASE
)
"""Fields that an application may not set: those of the handshake, and those of a body."""

_ORDERLY = (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD)


class WebSocketTransport(Protocol):
    """Transport of an application: sends messages, closes the connection, and describes it."""

    @property
    def offer(self) -> Offer:
        """The offer of the client, with its dialect and header fields."""
        ...

    @property
    def agreement(self) -> Agreement | None:
        """The agreement of the server; ``None`` before the handshake has completed."""
        ...

    @property
    def latency(self) -> float | None:
        """Seconds from the last automatic ping to its pong; ``None`` before the first pong."""
        ...

    @property
    def transport(self) -> Any:
        """
        The Twisted transport of the connection, for what only that transport provides.

        Writing to this transport, or ending it, breaks the conversation.
        """

    @property
    def limits(self) -> Limits:
        """The limits of the connection."""
        ...

    @property
    def peerCertificate(self) -> Any:
        """
        The peer's certificate, an ``OpenSSL.crypto.X509`` as in ``ISSLTransport``.

        ``.to_cryptography()`` converts it to a certificate of ``cryptography``. ``None`` without
        TLS, and where the peer has sent no certificate. A client sends a certificate only if the
        server requests one.
        """

    @property
    def isOpen(self) -> bool:
        """
        Whether messages can be sent.

        ``True`` from ``negotiationFinished`` until either side begins to close the connection.
        """
        ...

    @property
    def full(self) -> bool:
        """Whether the write buffer is full: over the high-water mark of the transport."""
        ...

    @property
    def unsent(self) -> int:
        """
        The number of bytes in the write buffer, including frame headers.

        Exact over TCP and UNIX sockets of Twisted; over TLS the number of encrypted bytes. Over
        other transports: the largest possible number while ``full`` is true, otherwise 0.
        """
        ...

    def sendTextMessage(self, text: str, compress: bool | None = None) -> None:
        """
        Send a text message.

        Once the connection is closing, nothing is sent and nothing is raised, as with Twisted's
        transports: the peer may close before the application can know. See :attr:`isOpen`.

        :param text: the message.
        :param compress: whether to compress the message, if compression was agreed; ``None``: if it
            is long enough.
        :raises txhixie.errors.NotOpen: before ``negotiationFinished``.
        :raises UnicodeEncodeError: for a lone surrogate.
        """

    def sendBytesMessage(self, data: bytes, compress: bool | None = None) -> None:
        """
        Send a binary message; once the connection is closing, nothing is sent.

        :param data: the message, a bytes-like object.
        :param compress: as for :meth:`sendTextMessage`.
        :raises txhixie.errors.NotOpen: before ``negotiationFinished``.
        :raises txhixie.errors.UnsupportedByDialect: in hixie-75 and hixie-76, since their peers
            drop binary messages, unless this peer has sent a binary message itself.
        """

    def ping(self, payload: bytes = b"") -> None:
        """
        Send a ping frame; nothing once the connection is closing. ``pongReceived`` gets the pong.

        :param payload: at most 125 bytes.
        :raises txhixie.errors.NotOpen: before ``negotiationFinished``.
        :raises txhixie.errors.UnsupportedByDialect: in the Hixie dialects, which have no ping
            frames.
        """

    def pong(self, payload: bytes) -> None:
        """
        Send a pong frame: the answer of a :class:`PingListener` to a ping.

        For all other applications, pings are answered automatically.

        :param payload: the payload of the ping.
        :raises txhixie.errors.NotOpen: before ``negotiationFinished``.
        :raises txhixie.errors.UnsupportedByDialect: as for :meth:`ping`.
        """
        ...

    def loseConnection(self, code: int = 1000, reason: str = "") -> None:
        """
        Close the connection with the closing handshake of its dialect, after all sent messages.

        No more messages are delivered.

        :param code: the close code, which is sent where the dialect has close codes.
        :param reason: the close reason, of which at most 123 bytes of UTF-8 are sent.
        :raises txhixie.errors.UsageError: in a dialect with close codes, for a code that may not be
            sent.
        """

    def failConnection(self, code: int = 1011, reason: str = "") -> None:
        """
        End the connection after an error.

        The peer gets the close code where the dialect has close codes; in other dialects the
        connection ends without a close frame. The application's ``connectionLost`` gets an
        :class:`AbruptClose`.

        :param code: the close code.
        :param reason: the close reason.
        :raises txhixie.errors.UsageError: as for :meth:`loseConnection`.
        """

    def abortConnection(self, reason: str = "aborted") -> None:
        """
        Abort the connection; unsent data is lost.

        :param reason: text for ``connectionLost`` and the log, which is not sent to the peer.
        """

    def attachProducer(self, producer: IPushProducer) -> None:
        """Register a producer, which is paused while the write buffer is full."""

    def detachProducer(self) -> None:
        """Unregister the producer."""

    def pauseProducing(self) -> None:
        """Pause delivery after the current message, and stop reading from the peer."""

    def resumeProducing(self) -> None:
        """Resume delivery, first of the messages that were held back."""

    def stopProducing(self) -> None:
        """
        Close the connection, as :meth:`loseConnection`.

        With this method a transport is a producer, which can be passed to ``attachProducer``:
        nothing is then read from a peer that does not read.
        """

    def getPeer(self) -> IAddress:
        """Return the address of the peer."""
        ...

    def getHost(self) -> IAddress:
        """Return the local address."""
        ...


class WebSocketProtocol(Protocol):
    """Application of one connection: receives its messages and events."""

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """
        The handshake begins: messages cannot be sent yet.

        On a server, this is called when the application has been chosen; on a client, when the
        transport is connected.
        """

    def negotiationFinished(self) -> None:
        """The handshake has completed: messages can be sent."""

    def textMessageReceived(self, message: str) -> None:
        """A complete text message was received."""

    def bytesMessageReceived(self, data: bytes) -> None:
        """A complete binary message was received."""

    def pongReceived(self, payload: bytes) -> None:
        """A pong was received, the answer to a ping or an unsolicited one."""

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection has ended. This is the last call, made once if ``negotiationStarted`` was.

        If the application has paused delivery and not all received messages were delivered, this
        call is delayed by at most :attr:`txhixie.Limits.drain_timeout`.

        :param reason: a :class:`CleanClose` or an :class:`AbruptClose`.
        """


class PingListener(Protocol):
    """
    Optional interface of an application that receives pings and answers them.

    The application has to answer each ping with ``transport.pong``. This is for gateways, which
    forward pings; other applications should not implement it.
    """

    def pingReceived(self, payload: bytes) -> None:
        """A ping was received, which has to be answered by a pong with the same payload."""
        ...


class CloseListener(Protocol):
    """
    Optional interface of an application that handles the beginning of a close.

    ``connectionLost`` follows when the connection has ended.
    """

    def closeStarted(self, ended: Ended) -> None:
        """
        The connection begins to close: messages can no longer be sent.

        Called once if ``negotiationFinished`` was, for a close by either side. Messages follow only
        if the connection was lost before all received messages were delivered.

        :param ended: how the conversation ends, as far as this is known.
        """


_NO_HEADERS: Final[Headers] = ()
_NO_DELAY: Final = 0.0
"""Default arguments of :class:`Accepted`, which are recognised by identity."""


@dataclass(slots=True)
class Accepted:
    """
    Decision of a server to accept an offer: the application, a subprotocol and header fields.

    :ivar application: the application of the connection.
    :ivar subprotocol: the chosen subprotocol, one of the offer's, or ``None``.
    :ivar headers: further fields of the response, name and value.
    :ivar expiresIn: seconds from now after which the connection is closed with 1008 (RFC 6455
        section 7.4.1), in the Hixie dialects with their close; ``None`` for a connection that does
        not expire.
    :ivar pings: whether automatic pings are sent. ``False`` for a client that does not answer them:
        TCP keep-alive finds out whether the client has vanished.
    :ivar compression: whether an extension may be agreed. ``False`` for a client that offers
        compression and cannot read compressed messages.
    :ivar firstFrameDelay: seconds from the response to the begin of the conversation, for a client
        that loses a frame which it receives together with the response.
    :ivar maxSentFrame: most bytes of the payload of a sent frame: a longer message is sent in
        fragments (RFC 6455 section 5.4), and in the Hixie dialects, which have no fragments, whole;
        ``None`` for any number.
    :ivar plainAnswer: whether the response has the fields of the handshake only: none of
        ``headers``, and none that other resources of a ``Site`` have set.
    """

    application: WebSocketProtocol
    subprotocol: str | None = None
    headers: Headers = ()
    expiresIn: float | None = None
    pings: bool = True
    compression: bool = True
    firstFrameDelay: float = 0.0
    maxSentFrame: int | None = None
    plainAnswer: bool = False

    def __init__(
        self,
        application: WebSocketProtocol,
        subprotocol: str | None = None,
        headers: HeadersLike = _NO_HEADERS,
        expiresIn: float | None = None,
        *,
        pings: bool = True,
        compression: bool = True,
        firstFrameDelay: float = _NO_DELAY,
        maxSentFrame: int | None = None,
        plainAnswer: bool = False,
    ) -> None:
        """
        Create a decision. The parameters after ``expiresIn`` are for devices that cannot receive
        everything: see the page "Devices that speak WebSocket wrongly" of the guide.

        :param headers: pairs of a name and a value, or a mapping; ``str`` has to be ASCII.
        :param expiresIn: seconds, such as the rest of the life of the request's token.
        :param firstFrameDelay: seconds, 0 to 10.
        :param maxSentFrame: bytes, at least 125.
        :raises TypeError: for a subprotocol that is not ``str``, and for fields, seconds, bytes or
            choices of another type.
        :raises ValueError: for an invalid field, and for a field that the handshake sets itself,
            such as ``Upgrade`` or ``Sec-WebSocket-Protocol``; for negative seconds, and for more
            than ten years, which may be a date; for a delay or a number of bytes out of range.
        """
        self.application = application
        self.subprotocol = None if subprotocol is None else whole_text("subprotocol", subprotocol)
        # Defaults are not checked: these checks took 0.8 us of each handshake.
        self.headers = _NO_HEADERS if headers is _NO_HEADERS else _checkHeaders(headers)
        self.expiresIn = None if expiresIn is None else checkExpiry(expiresIn)
        if not (pings is compression is True and plainAnswer is False):
            scalars(bool, pings=pings, compression=compression, plainAnswer=plainAnswer)
        self.pings = pings
        self.compression = compression
        self.firstFrameDelay = firstFrameDelay
        if firstFrameDelay is not _NO_DELAY:
            _checkDelay(firstFrameDelay)
        self.maxSentFrame = None if maxSentFrame is None else _checkFrame(maxSentFrame)
        self.plainAnswer = plainAnswer


MOST_EXPIRY: Final = 10.0 * 366 * 86400
"""Most seconds of ``Accepted.expiresIn``: ten years. A greater number may be a date."""


MOST_DELAY: Final = 10.0
"""Most seconds of ``Accepted.firstFrameDelay``. Devices need 0.02 to 0.2 seconds; meanwhile the
connection waits without the timeout of the handshake."""


def _checkHeaders(headers: HeadersLike) -> Headers:
    pairs = header_pairs(headers)
    for name, _ in pairs:
        if _OF_THE_HANDSHAKE.fullmatch(name):
            hint = "; write subprotocol=" if name.lower().endswith(b"-protocol") else ""
            field = name.decode("ascii")
            raise ValueError(f"headers: {field} is set by the handshake; leave it out{hint}")
    return pairs


def _checkDelay(seconds: float) -> None:
    scalars(float, firstFrameDelay=seconds)
    if not 0 <= seconds <= MOST_DELAY:
        raise ValueError(f"firstFrameDelay: expected 0 to {MOST_DELAY:g} seconds, not {seconds}")


def _checkFrame(size: int) -> int:
    scalars(int, maxSentFrame=size)
    if size < LEAST_FRAGMENT:
        raise ValueError(f"maxSentFrame: expected at least {LEAST_FRAGMENT} bytes, not {size}")
    return size


def checkExpiry(seconds: float) -> float:
    """
    Return a number of seconds after which a connection may expire.

    :raises TypeError: for a value that is no number.
    :raises ValueError: for a number below 0 or above ten years, such as the ``exp`` of a JSON Web
        Token, which is a date.
    """
    scalars(float, expiresIn=seconds)
    if not 0 <= seconds <= MOST_EXPIRY:
        raise ValueError(f"expiresIn: expected seconds from now, not {seconds}; not a date")
    return seconds


Decision: TypeAlias = "WebSocketProtocol | Accepted | Refusal | None"
"""Decision about an offer: an application to accept it, or a refusal; ``None`` is a 404."""


class WebSocketServerFactory(Protocol):
    """Factory of a server's applications, called for each offer."""

    def buildProtocol(
        self, offer: Offer, /
    ) -> Decision | Deferred[Any] | Coroutine[Any, Any, Decision]:  # Deferred is an invariant type
        """
        Decide about an offer, with a decision or a Deferred or coroutine of one.

        While the server waits for a Deferred, data that the client may send before the response is
        buffered; a client that sends more is refused. The Deferred is cancelled when the client
        closes the connection or :attr:`txhixie.Limits.decide_timeout` passes. An exception becomes
        a 500 response and one traceback in the log.
        """
        ...


Application_co = TypeVar("Application_co", bound=WebSocketProtocol, covariant=True)


class WebSocketClientFactory(Protocol[Application_co]):
    """Factory of a client's applications, called for each connection to a URL."""

    def buildProtocol(self, url: str, /) -> Application_co:
        """
        Return the application of a new connection.

        :param url: the URL of the server, without credentials.
        """
        ...


@lru_cache(maxsize=64)
def _closedWith(code: int) -> str:
    """Return the text of a close without a reason, which nearly all handshakes end with."""
    return f"closed with {code}"


class _Close(Exception):
    """
    Base class of the reasons that ``connectionLost`` gets.

    :ivar ended: how the conversation ended, an :class:`txhixie.Ended`.
    """

    def __init__(self, ended: Ended) -> None:
        self.args = (ended.reason or _closedWith(ended.code),)
        self.ended = ended

    def __reduce__(self) -> tuple[object, ...]:
        return reduced(self)

    @property
    def code(self) -> int:
        """The close code; 1005 where the dialect has none, 1006 where none was received."""
        return self.ended.code

    @property
    def reason(self) -> str:
        """The close reason or the text of an error; empty without a reason."""
        return self.ended.reason

    @property
    def orderly(self) -> bool:
        """
        Whether both sides closed without reporting an error.

        The close code is then 1000, 1001, none, or an application's own code from 3000 on.
        """
        return self.ended.clean and (self.code in _ORDERLY or self.code >= 3000)


class CleanClose(_Close, ConnectionDone):
    """
    Reason of a connection that ended with the closing handshake of its dialect.

    :ivar ended: how the conversation ended, an :class:`txhixie.Ended`.
    :ivar code: the close code; 1005 where the dialect has none.
    :ivar reason: the close reason; empty without a reason.
    :ivar orderly: whether the close code reports no error.
    """


class AbruptClose(_Close, ConnectionLost):
    """
    Reason of a connection that ended without a closing handshake: protocol error, loss or abort.

    :ivar ended: how the conversation ended, an :class:`txhixie.Ended`.
    :ivar code: the close code; 1006 where none was received.
    :ivar reason: the close reason or the text of an error; empty without a reason.
    :ivar orderly: always ``False``.
    """


def judged(close: CleanClose | AbruptClose) -> CleanClose | AbruptClose:
    """
    Return the reason for a consumer that only distinguishes complete from incomplete data.

    A clean close with an error code also becomes an :class:`AbruptClose`.
    """
    return close if close.orderly else AbruptClose(close.ended)


class Connector(Protocol):
    """An object that connects an application, such as a ``WebSocketClientEndpoint``."""

    def connectApplication(self, application: WebSocketProtocol, /) -> Deferred[Any]:
        """
        Open a connection for an application.

        :return: fires once the handshake has completed; cancelling it ends the attempt.
        """
        ...
