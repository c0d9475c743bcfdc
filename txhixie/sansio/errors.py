"""What can go wrong in the pure half: rules that a peer broke, a server's refusal, wrong use.

The errors of connecting are in ``dialing/errors.py``, since they are Twisted's too. A program
imports all of them from :mod:`txhixie.errors`, where the whole tree is shown.
"""

from __future__ import annotations


def reduced(error: BaseException) -> tuple[object, ...]:
    """
    What ``__reduce__`` answers for an error that ``pickle`` and ``copy`` make again from its
    ``args`` and its attributes. Python's own way calls ``__init__`` with ``args``, which are the
    text, and not what our ``__init__`` methods take. The ``__cause__`` is lost, as everywhere.
    """
    return _again, (type(error), error.args), error.__dict__


def _again(kind: type[BaseException], args: tuple[object, ...]) -> BaseException:
    error = kind.__new__(kind, *args)
    error.args = args  # a branch of OSError with an __init__ of its own comes without them
    return error


class HixieError(Exception):
    """The root: whatever txhixie raises of its own."""

    def __reduce__(self) -> tuple[object, ...]:
        return reduced(self)


class PeerError(HixieError):
    """The peer broke a rule of its dialect, or reached a limit of ours."""

    _reply: str | None = None

    @property
    def reply(self) -> str:
        """
        What the peer is told: the text of the error, or, where a limit of ours was reached, short
        words without the limit's name.
        """
        return self._reply or str(self)


class HandshakeError(PeerError):
    """
    The peer's half of a handshake cannot stand.

    :cvar status: the HTTP status a server answers with.
    """

    status = 400


class MalformedHead(HandshakeError):
    """A head that is no HTTP/1.1 head, or that says two things at once."""


class HeadTooLarge(MalformedHead):
    """A head of more bytes or fields than the limits allow (RFC 6585 section 5)."""

    status = 431
    _reply = "the head is too large"


class BodyTooLarge(HandshakeError):
    """The body of a page request exceeds the limit (RFC 9110 section 15.5.14)."""

    status = 413


class LengthRequired(HandshakeError):
    """A chunked body for a protocol of which we cannot bound it (RFC 9110 section 15.5.12)."""

    status = 411


class UnknownTransferCoding(HandshakeError):
    """A transfer coding other than ``chunked`` (RFC 9112 section 6.1)."""

    status = 501


class UnsupportedVersion(HandshakeError):
    """A request line of another major version of HTTP (RFC 9110 section 15.6.6)."""

    status = 505


class EarlyBytes(HandshakeError):
    """Bytes after a head whose dialect lets none, or not so many, come before the answer."""

    _reply = "bytes came that have to wait for the answer"


class UnknownDialect(HandshakeError):
    """A WebSocket request in a dialect this server does not speak (RFC 6455 section 4.4)."""

    status = 426


class InvalidHandshake(HandshakeError):
    """
    The server's answer fails one of the client's checks.

    :ivar check: which one, in a word (``"origin-mismatch"``, ``"count:upgrade"``).
    """

    def __init__(self, check: str, detail: str) -> None:
        super().__init__(f"{check}: {detail}")
        self.check = check


class FrameError(PeerError):
    """
    The peer sent what its framing does not allow.

    :cvar code: the close code that answers it, where the dialect has codes
        (RFC 6455 section 7.4.1).
    :cvar ours: whether a limit of ours was reached; otherwise a rule was broken.
    """

    code = 1002
    ours = False


class UnsupportedData(FrameError):
    """Text where binary was agreed, or the reverse."""

    code = 1003


class InvalidUTF8(FrameError):
    """Text that is not UTF-8, or not what else it was agreed to be."""

    code = 1007


class BadCompression(FrameError):
    """Compressed data that cannot be inflated."""

    code = 1007


class MessageTooBig(FrameError):
    """
    A frame, a message or a number of fragments exceeds a limit of ours.

    :ivar named: whether the text has the name of the limit. A framing knows only a number; the
        conversation, which knows the limits, adds the name.
    """

    code = 1009
    ours = True
    _reply = "message too big"

    def __init__(self, text: str, *, named: bool = True) -> None:
        super().__init__(text)
        self.named = named


class HandshakeRefused(HixieError):
    """
    The server said no, in well-formed HTTP.

    :ivar status: the HTTP status.
    :ivar headers: name and value pairs, as received.
    :ivar body: as much of the body as came within the limit, in bytes.
    :ivar whole: whether that is all of it, as far as can be known.
    """

    def __init__(
        self,
        status: int,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        body: bytes = b"",
        *,
        whole: bool = True,
    ) -> None:
        super().__init__(f"the server refused with status {status}")
        self.status = status
        self.headers = headers
        self.body = body
        self.whole = whole


class ProxyRefused(HandshakeRefused):
    """
    The proxy said no.

    :ivar why: what it wants and did not get, in words; empty where its answer does not say.
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
    """We were asked for something that cannot be; nothing was sent, no state changed."""


class NotOpen(UsageError):
    """A send before the conversation is open or after it has begun to close."""


class ConversationEnded(NotOpen):
    """
    A send or a ping through a channel whose end has begun.

    :ivar code: the close code, as of the channel's ``ended``.
    :ivar reason: in words; empty where none were given.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        why = f": {reason}" if reason else ""
        super().__init__(f"the conversation has ended with {code}{why}")
        self.code = code
        self.reason = reason


class UnsupportedByDialect(UsageError):
    """The dialect of this connection has no such message, and the peer would lose it."""
