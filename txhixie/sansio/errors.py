"""Errors of the pure half: a peer's protocol errors, refused handshakes, and wrong use.

Errors of connecting are in ``dialing/errors.py``, since they are also errors of Twisted. A program
imports every error from :mod:`txhixie.errors`, which shows the whole tree.
"""

from __future__ import annotations

from typing import Final


def reduced(error: BaseException) -> tuple[object, ...]:
    """
    Return the value of ``__reduce__`` for an error, so that it can be pickled and copied.

    The copy is made from the ``args`` and the attributes of the error. Python's default calls
    ``__init__`` with ``args``, which hold the text of the error, and not the arguments that the
    ``__init__`` methods of these errors take. The ``__cause__`` is lost, as in every pickled error.
    """
    return _again, (type(error), error.args), error.__dict__


def _again(kind: type[BaseException], args: tuple[object, ...]) -> BaseException:
    error = kind.__new__(kind, *args)
    error.args = args  # OSError.__new__ leaves args empty where a subclass has an own __init__
    return error


class HixieError(Exception):
    """Base class of all errors of txhixie."""

    def __reduce__(self) -> tuple[object, ...]:
        return reduced(self)


class PeerError(HixieError):
    """The peer broke a rule of its dialect, or exceeded one of our limits."""

    _reply: str | None = None

    @property
    def reply(self) -> str:
        """
        Text that is sent to the peer, in a close frame or an HTTP response.

        This is the text of the error. Where one of our limits was exceeded, it is a short text
        without the name of the limit.
        """
        return self._reply or str(self)


class HandshakeError(PeerError):
    """
    The request or the response of the peer is not a valid handshake.

    :cvar status: the HTTP status of a server's response to such a request.
    """

    status = 400


class MalformedHead(HandshakeError):
    """A head that is not valid HTTP/1.1, or that is ambiguous."""


class HeadTooLarge(MalformedHead):
    """A head with more bytes or fields than the limits allow (RFC 6585 section 5)."""

    status = 431
    _reply = "request header fields too large"


class BodyTooLarge(HandshakeError):
    """The body of a page request that exceeds the limit (RFC 9110 section 15.5.14)."""

    status = 413


class LengthRequired(HandshakeError):
    """A chunked request body for a protocol without a bound for it (RFC 9110 section 15.5.12)."""

    status = 411


class UnknownTransferCoding(HandshakeError):
    """A transfer coding other than ``chunked`` (RFC 9112 section 6.1)."""

    status = 501


class UnsupportedVersion(HandshakeError):
    """A request with another major version of HTTP (RFC 9110 section 15.6.6)."""

    status = 505


class EarlyBytes(HandshakeError):
    """
    Data after the head of a request, before the server's response.

    Raised in a dialect that allows no such data, or where there is more than
    ``Limits.early_size``.
    """

    _reply = "data received before the handshake completed"


class UnknownDialect(HandshakeError):
    """A WebSocket request in a dialect that this server does not support (RFC 6455 section 4.4)."""

    status = 426


class InvalidHandshake(HandshakeError):
    """
    The server's handshake response fails one of the client's checks.

    :ivar check: name of the check that failed (``"origin-mismatch"``, ``"count:upgrade"``).
    """

    def __init__(self, check: str, detail: str) -> None:
        super().__init__(f"{check}: {detail}")
        self.check = check


class FrameError(PeerError):
    """
    The peer sent a frame or a message that its dialect does not allow.

    :cvar code: the close code that is sent to the peer, where the dialect has close codes
        (RFC 6455 section 7.4.1).
    :cvar ours: ``True`` where one of our limits was exceeded, ``False`` where the peer broke a rule
        of the protocol.
    """

    code = 1002
    ours = False


class UnsupportedData(FrameError):
    """A text message where only binary messages are accepted, or the reverse."""

    code = 1003


class InvalidUTF8(FrameError):
    """A text message that is not UTF-8, or not in the coding that both sides agreed on."""

    code = 1007


class BadCompression(FrameError):
    """Compressed data that cannot be inflated."""

    code = 1007


class MessageTooBig(FrameError):
    """
    A frame, a message or its number of fragments exceeds one of our limits.

    :ivar named: whether the text includes the name of the limit. A framing knows only the number;
        the conversation, which knows the limits, adds the name.
    """

    code = 1009
    ours = True
    _reply = "message too big"

    def __init__(self, text: str, *, named: bool = True) -> None:
        super().__init__(text)
        self.named = named


_CREDENTIALS: Final = (
    'pass credentials: NAME:PASSWORD@ in the URL, or headers={"Authorization": ...}'
)


class HandshakeRefused(HixieError):
    """
    The server refused the handshake with a well-formed HTTP response.

    :ivar status: the HTTP status.
    :ivar headers: name and value pairs, as received.
    :ivar body: the body of the response, at most ``Limits.refusal_size`` bytes of it.
    :ivar whole: whether ``body`` is the complete body, as far as this can be known.
    """

    def __init__(
        self,
        status: int,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        body: bytes = b"",
        *,
        whole: bool = True,
    ) -> None:
        advice = f"; {_CREDENTIALS}" if status == 401 else ""
        super().__init__(f"the server refused with status {status}{advice}")
        self.status = status
        self.headers = headers
        self.body = body
        self.whole = whole


class ProxyRefused(HandshakeRefused):
    """
    The proxy refused the CONNECT request.

    :ivar why: text that says what the proxy requires; empty where its response does not say it.
    """

    def __init__(
        self,
        status: int,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        body: bytes = b"",
        why: str = "",
    ) -> None:
        super().__init__(status, headers, body)
        self.why = why
        self.args = (f"the proxy refused with status {status}{why and f': {why}'}",)


class UsageError(HixieError):
    """A call that is not possible; nothing was sent, and no state has changed."""


class NotOpen(UsageError):
    """A message was sent before the conversation is open, or after it began to close."""


class ConversationEnded(NotOpen):
    """
    A message or a ping was sent through a channel that is closing or closed.

    :ivar code: the close code, the same as in ``Channel.ended``.
    :ivar reason: the close reason; empty without a reason.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        why = f": {reason}" if reason else ""
        super().__init__(f"the conversation has ended with {code}{why}")
        self.code = code
        self.reason = reason


class UnsupportedByDialect(UsageError):
    """The dialect of this connection cannot carry this message: the peer would drop it."""
