"""The words every framing shares. What a message is, none of them knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol, TypeAlias


class Side:
    """Which end of a connection we are. Plain strings: compared once a connection."""

    CLIENT: Final = "client"
    SERVER: Final = "server"


class Opcode:
    """
    Kinds of frame, by the numbers of RFC 6455 section 11.8.

    Plain integers: an enum's constructor costs 0.4 us, a fifth of a whole message's way in. Where
    each message passes, the same numbers are used by their names in this module: looking one
    up in a class costs 0.04 us, and six of them are a fifth of the rest.
    """

    CONTINUATION: Final = 0x0
    TEXT: Final = 0x1
    BINARY: Final = 0x2
    CLOSE: Final = 0x8
    PING: Final = 0x9
    PONG: Final = 0xA


CONTINUATION: Final = Opcode.CONTINUATION
TEXT: Final = Opcode.TEXT
BINARY: Final = Opcode.BINARY
CLOSE: Final = Opcode.CLOSE
PING: Final = Opcode.PING
PONG: Final = Opcode.PONG

SKIPPED: Final = -1
"""Stands for the opcode of a frame that means nothing and is read over, so that it is counted."""

MOST_CONTROL: Final = 125
"""Bytes of a control frame's payload (RFC 6455 section 5.5)."""


class CloseCode:
    """
    Close codes, by the names of their registry at IANA (RFC 6455 section 11.7).
    """

    NORMAL_CLOSURE: Final = 1000
    GOING_AWAY: Final = 1001
    PROTOCOL_ERROR: Final = 1002
    UNSUPPORTED_DATA: Final = 1003
    NO_STATUS_RCVD: Final = 1005
    ABNORMAL_CLOSURE: Final = 1006
    INVALID_FRAME_PAYLOAD_DATA: Final = 1007
    POLICY_VIOLATION: Final = 1008
    MESSAGE_TOO_BIG: Final = 1009
    MANDATORY_EXT: Final = 1010
    INTERNAL_ERROR: Final = 1011
    BAD_GATEWAY: Final = 1014


class Close(NamedTuple):
    """
    What a close says.

    :ivar code: a :class:`CloseCode` or a number of the application's.
    :ivar reason: up to 123 bytes of UTF-8.
    """

    code: int
    reason: str = ""


Frame: TypeAlias = tuple[int, bytes, bool, int, bool]
"""
A frame, or a piece of one still arriving: ``(opcode, payload, final, reserved, whole)``.

``final``: the message ends with this payload. ``reserved``: the bits for extensions. ``whole``: the
frame ends with this payload; a long frame comes as pieces, of which only the last has it. Pieces
after the first carry ``CONTINUATION``. A tuple: a named one costs three times as much to make.
"""


class Framing(Protocol):
    """
    One connection's codec. It is told its side and limits when it is made.

    :ivar has_binary: whether binary may be sent on this connection without being lost.
    """

    has_binary: bool

    def feed(self, data: bytes) -> None:
        """Take what was received; nothing is looked at yet."""

    def frames(self) -> Iterator[Frame]:
        """
        What the bytes fed so far hold. Stop at any frame and call again later: what was not
        yielded is not lost. What is read over is :data:`SKIPPED`, in as many pieces as it comes.

        :raises FrameError: at a header that breaks a rule or a limit, before its payload is kept.
        """
        ...

    def ahead(self) -> Iterator[Frame]:
        """
        The same frames, to look ahead: whoever calls :meth:`frames` gets them all the same.

        :raises FrameError: as :meth:`frames`.
        """
        ...

    @property
    def waiting(self) -> int:
        """Bytes that were fed and not yielded."""
        ...

    def encode(self, opcode: int, payload: bytes, final: bool = True, reserved: int = 0) -> bytes:
        """
        One frame, ready to be written.

        :raises UnsupportedByDialect: for an opcode the dialect does not have.
        """
        ...

    def encode_parts(
        self, opcode: int, payload: bytes, final: bool = True, reserved: int = 0
    ) -> tuple[bytes, ...]:
        """The same in parts, so that a long payload is not copied to stand behind its header."""
        ...

    def encode_close(self, close: Close) -> bytes:
        """The frame that closes, or nothing where the dialect closes by ending the connection."""
        ...

    def read_close(self, payload: bytes) -> Close:
        """
        What a close frame's payload says.

        :raises FrameError: for a payload no close may have.
        """
        ...
