"""What can go wrong, as one tree: each error of a peer knows its answer.

::

    HixieError
      PeerError                    they broke a rule
        HandshakeError   .status   MalformedHead 400 · UnsupportedVersion 505
                                   EarlyBytes 400 · UnknownDialect 426 · BadAnswer
        FrameError       .code     1002 · BadText 1007 · BadCompression 1007
                                   TooBig 1009
      Refused                      a well-formed no, from the server
        TunnelRefused              from the proxy
      LateAnswer                   nobody answered in time
      UsageError                   we asked wrongly: NotOpen · CannotCarry

No error's text repeats a peer's bytes unescaped, and none carries a credential.
"""

from __future__ import annotations


class HixieError(Exception):
    """The root: whatever txhixie raises of its own."""


class PeerError(HixieError):
    """The peer broke a rule of its dialect."""


class HandshakeError(PeerError):
    """
    The peer's half of a handshake cannot stand.

    :cvar status: the HTTP status a server answers with.
    """

    status = 400


class MalformedHead(HandshakeError):
    """A head that is no HTTP/1.1 head, or that says two things at once."""


class UnsupportedVersion(HandshakeError):
    """A request line of another major version of HTTP (RFC 9110 section 15.6.6)."""

    status = 505


class EarlyBytes(HandshakeError):
    """Bytes after a head whose dialect lets none come before the answer."""


class UnknownDialect(HandshakeError):
    """A WebSocket request in a dialect this server does not speak (RFC 6455 section 4.4)."""

    status = 426


class BadAnswer(HandshakeError):
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

    :ivar code: the closing code that answers it, where the dialect has codes
        (RFC 6455 section 7.4.1).
    """

    code = 1002


class BadText(FrameError):
    """Text that is not UTF-8."""

    code = 1007


class BadCompression(FrameError):
    """Compressed data that cannot be inflated."""

    code = 1007


class TooBig(FrameError):
    """A frame, a message or a number of fragments beyond the limit."""

    code = 1009


class Refused(HixieError):
    """
    The server said no, in well-formed HTTP.

    :ivar status: the HTTP status.
    :ivar headers: name and value pairs, as received.
    :ivar body: as much of the body as came within the limit, in bytes.
    """

    def __init__(
        self, status: int, headers: tuple[tuple[bytes, bytes], ...] = (), body: bytes = b""
    ) -> None:
        super().__init__(f"the server refused with status {status}")
        self.status = status
        self.headers = headers
        self.body = body


class TunnelRefused(Refused):
    """The proxy said no: ``Refused`` by whoever stands between us and the server."""

    def __init__(
        self, status: int, headers: tuple[tuple[bytes, bytes], ...] = (), body: bytes = b""
    ) -> None:
        super().__init__(status, headers, body)
        self.args = (f"the proxy refused with status {status}",)


class LateAnswer(HixieError):
    """
    The other side let a deadline pass.

    :ivar stage: what was being waited for.
    """

    def __init__(self, stage: str, seconds: float) -> None:
        super().__init__(f"no {stage} within {seconds:g} seconds")
        self.stage = stage


class UsageError(HixieError):
    """We were asked for something that cannot be; nothing was sent, no state changed."""


class NotOpen(UsageError):
    """A send before the conversation is open or after it has begun to close."""


class CannotCarry(UsageError):
    """The dialect of this connection has no such message, and the peer would lose it."""
