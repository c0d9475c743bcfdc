"""What an application meets: structural types, as in ``twisted.web.websocket``.

An application written for Twisted's own module runs here unchanged. What that module lacks is in
interfaces of its own, which an object satisfies or not.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.python.failure import Failure

from .sansio.arguments import whole_text
from .sansio.closing import Ended
from .sansio.errors import reduced
from .sansio.handshake.offer import Agreement, Offer, Refusal
from .sansio.http.head import header_pairs
from .sansio.limits import Limits
from .sansio.types import Headers, HeadersLike
from .sansio.wire.frame import CloseCode

_OF_THE_HANDSHAKE: Final = re.compile(
    rb"upgrade|connection|content-length|transfer-encoding|(?:sec-)?websocket-.*", re.IGNORECASE
)
"""Fields of an agreement that a handshake writes itself, and those of a body, which it has not."""

_ORDERLY = (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD)


class WebSocketTransport(Protocol):
    """What an application sends with, and may look at."""

    @property
    def offer(self) -> Offer:
        """What the client asked for, with its dialect and headers."""
        ...

    @property
    def agreement(self) -> Agreement | None:
        """What was granted; ``None`` before the handshake is through."""
        ...

    @property
    def latency(self) -> float | None:
        """Seconds from the last automatic ping to its answer; ``None`` before there was one."""
        ...

    @property
    def transport(self) -> Any:
        """
        What carries it, for what only that knows (a certificate, say). Whoever writes to it, or
        ends it, breaks the conversation.
        """

    @property
    def limits(self) -> Limits:
        """What the connection may cost."""
        ...

    @property
    def peerCertificate(self) -> Any:
        """
        The certificate that the peer has shown, an ``OpenSSL.crypto.X509``, as ``ISSLTransport``
        has it (``.to_cryptography()`` is that of ``cryptography``); ``None`` where it has shown
        none, and without TLS. A server is shown one only if it asks for it.
        """

    @property
    def isOpen(self) -> bool:
        """Whether messages can be sent: from ``negotiationFinished`` until the end has begun,
        whoever began it."""
        ...

    @property
    def full(self) -> bool:
        """Whether more is waiting to be sent than the transport likes to hold."""
        ...

    @property
    def unsent(self) -> int:
        """
        Bytes that wait for the peer to read, frames and all: over Twisted's TCP as they are (with
        TLS between, as encrypted); elsewhere as many as there could be while it is ``full``, and
        else 0.
        """
        ...

    def sendTextMessage(self, text: str, compress: bool | None = None) -> None:
        """
        Send a text message. Once the end has begun, nothing is sent, as by Twisted's transports:
        the peer may have closed before its application is told; see :attr:`isOpen`.

        :param compress: whether to, where compression was agreed; ``None``: if it is worth it.
        :raises txhixie.errors.NotOpen: before ``negotiationFinished``.
        :raises UnicodeEncodeError: for a lone surrogate.
        """

    def sendBytesMessage(self, data: bytes, compress: bool | None = None) -> None:
        """
        Send a binary message; nothing once the end has begun.

        :param compress: as for text.
        :raises txhixie.errors.NotOpen: as for text.
        :raises txhixie.errors.UnsupportedByDialect: in a dialect whose peers lose it: hixie-75 and
            76, unless this peer has sent binary itself.
        """

    def ping(self, payload: bytes = b"") -> None:
        """
        Ask for a sign of life, answered through ``pongReceived``; nothing once the end has begun.

        :raises txhixie.errors.NotOpen: as for text.
        :raises txhixie.errors.UnsupportedByDialect: in the Hixie dialects, which have none.
        """

    def pong(self, payload: bytes) -> None:
        """
        Answer a ping, if the application is a :class:`PingListener`: otherwise that has been done.

        :raises txhixie.errors.NotOpen: as for text.
        :raises txhixie.errors.UnsupportedByDialect: as for pings.
        """
        ...

    def loseConnection(self, code: int = 1000, reason: str = "") -> None:
        """
        Close the dialect's way, after what was sent. Nothing is delivered any more.

        :param code: told to the peer where the dialect has codes.
        :param reason: at most 123 bytes of UTF-8 of it are sent.
        :raises txhixie.errors.UsageError: for a code that is never sent, where there are any.
        """

    def failConnection(self, code: int = 1011, reason: str = "") -> None:
        """
        End because something went wrong: the peer is told where the dialect has codes, and in the
        others sees no orderly close. For the application's own end it is an
        :class:`AbruptClose`.

        :raises txhixie.errors.UsageError: as for :meth:`loseConnection`.
        """

    def abortConnection(self, reason: str = "aborted") -> None:
        """
        End at once; what was not sent yet is lost.

        :param reason: for ``connectionLost`` and the log; the peer is told nothing.
        """

    def attachProducer(self, producer: IPushProducer) -> None:
        """Have ``producer`` paused while more is waiting to be sent than the transport likes."""

    def detachProducer(self) -> None:
        """Forget the producer."""

    def pauseProducing(self) -> None:
        """Deliver nothing after the message in hand, and read no more from the peer."""

    def resumeProducing(self) -> None:
        """Deliver again, first what was held back."""

    def stopProducing(self) -> None:
        """
        Close. So that a transport can be given to ``attachProducer`` itself: then nothing more is
        read from a peer that does not read.
        """

    def getPeer(self) -> IAddress:
        """Where the other end is."""
        ...

    def getHost(self) -> IAddress:
        """Where this end is."""
        ...


class WebSocketProtocol(Protocol):
    """An application: what happens on one connection."""

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """
        The application has been chosen (server) or the connection below stands (client). Nothing
        can be sent yet.
        """

    def negotiationFinished(self) -> None:
        """The conversation is open."""

    def textMessageReceived(self, message: str) -> None:
        """A text message has come, whole."""

    def bytesMessageReceived(self, data: bytes) -> None:
        """A binary message has come, whole."""

    def pongReceived(self, payload: bytes) -> None:
        """A ping was answered, or the peer says that it lives."""

    def connectionLost(self, reason: Failure) -> None:
        """
        It is over. Called once, last, if ``negotiationStarted`` was.

        After a loss it waits for an application that has paused the delivery, and has not been
        given all that came, for at most :attr:`txhixie.Limits.drain_timeout`.

        :param reason: a :class:`CleanClose` or an :class:`AbruptClose`.
        """


class PingListener(Protocol):
    """
    What an application may be besides: one that is told of pings, and has to answer them with
    ``transport.pong``. For whoever passes them on; all others are better served without it.
    """

    def pingReceived(self, payload: bytes) -> None:
        """The peer asks for a sign of life, and waits for the same payload."""
        ...


class CloseListener(Protocol):
    """
    What an application may be besides: one that is told when an end begins, of which
    ``connectionLost`` tells when it is over.
    """

    def closeStarted(self, ended: Ended) -> None:
        """
        Nothing can be sent any more. Called once, whoever has begun it, if ``negotiationFinished``
        was; messages follow only where the connection was lost with some that were not delivered.

        :param ended: what is known of the end.
        """


@dataclass(slots=True)
class Accepted:
    """
    An application, and what else the answer to an offer says.

    :ivar subprotocol: one of the offer's, or ``None``.
    :ivar headers: further fields of the answer, as name and value.
    """

    application: WebSocketProtocol
    subprotocol: str | None = None
    headers: Headers = ()

    def __init__(
        self,
        application: WebSocketProtocol,
        subprotocol: str | None = None,
        headers: HeadersLike = (),
    ) -> None:
        """
        :param headers: pairs of a name and a value, or a mapping; ``str`` has to be ASCII.
        :raises TypeError: for a subprotocol that is not ``str``, and for fields of another type.
        :raises ValueError: for a field that no answer can have, and for one that the handshake
            writes itself, such as ``Upgrade`` or ``Sec-WebSocket-Protocol``.
        """
        self.application = application
        self.subprotocol = None if subprotocol is None else whole_text("subprotocol", subprotocol)
        self.headers = header_pairs(headers)
        for name, _ in self.headers:
            if _OF_THE_HANDSHAKE.fullmatch(name):
                hint = "; write subprotocol=" if name.lower().endswith(b"-protocol") else ""
                field = name.decode("ascii")
                raise ValueError(f"headers: {field}: a field that the handshake has itself{hint}")


Decision: TypeAlias = "WebSocketProtocol | Accepted | Refusal | None"
"""An application's answer to an offer; ``None`` is a 404."""


class WebSocketServerFactory(Protocol):
    """Chooses an application for each offer."""

    def buildProtocol(
        self, offer: Offer, /
    ) -> Decision | Deferred[Any] | Coroutine[Any, Any, Decision]:  # a Deferred is invariant
        """
        Answer an offer, now or later. While it waits, what the client may send before its answer
        is kept, and one that sends more is refused; when the client leaves or
        :attr:`txhixie.Limits.decide_timeout` passes, what is waited for is cancelled.
        What it raises becomes a 500 and one traceback in the log.
        """
        ...


Application_co = TypeVar("Application_co", bound=WebSocketProtocol, covariant=True)


class WebSocketClientFactory(Protocol[Application_co]):
    """Makes an application for each connection to a URL."""

    def buildProtocol(self, url: str, /) -> Application_co:
        """
        Make one.

        :param url: where to, without credentials.
        """
        ...


class _Close(Exception):
    """
    A connection's end, with its story.

    :ivar ended: the facts, an :class:`txhixie.Ended`.
    """

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.reason or f"closed with {ended.code}")
        self.ended = ended

    def __reduce__(self) -> tuple[object, ...]:
        return reduced(self)

    @property
    def code(self) -> int:
        """The closing code; 1005 where the dialect has none, 1006 where nothing was said."""
        return self.ended.code

    @property
    def reason(self) -> str:
        """In words; empty where none were given."""
        return self.ended.reason

    @property
    def orderly(self) -> bool:
        """
        Whether both sides have said that it is over, and neither that something went wrong: 1000,
        1001, none, or a code of the application's own.
        """
        return self.ended.clean and (self.code in _ORDERLY or self.code >= 3000)


class CleanClose(_Close, ConnectionDone):
    """
    The conversation ended by the close handshake of its dialect.

    :ivar ended: the facts, an :class:`txhixie.Ended`.
    :ivar code: the close code; 1005 where the dialect has none.
    :ivar reason: the close reason; empty where none was given.
    :ivar orderly: whether neither side's code says that something went wrong.
    """


class AbruptClose(_Close, ConnectionLost):
    """
    The conversation ended otherwise: a broken rule, a lost connection, an abort.

    :ivar ended: the facts, an :class:`txhixie.Ended`.
    :ivar code: the close code; 1006 where none was received.
    :ivar reason: the close reason; empty where none was given.
    :ivar orderly: ``False``.
    """


def judged(close: CleanClose | AbruptClose) -> CleanClose | AbruptClose:
    """
    The same end for whoever only asks whether all has come: an :class:`AbruptClose` as well where
    the close was clean and its code says what went wrong.
    """
    return close if close.orderly else AbruptClose(close.ended)


class Connector(Protocol):
    """Whatever opens a conversation for an application, such as a ``WebSocketClientEndpoint``."""

    def connectApplication(self, application: WebSocketProtocol, /) -> Deferred[Any]:
        """
        :return: fires once the conversation is open; cancelling it gives up.
        """
        ...
