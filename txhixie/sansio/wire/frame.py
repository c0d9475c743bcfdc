"""Types that all framings share: side, opcode, close code, frame. Nothing here knows messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol, TypeAlias


class Side:
    """
    The side of a connection: client or server.

    The values are plain strings, since a connection compares its side only once.
    """

    CLIENT: Final = "client"
    SERVER: Final = "server"


class Opcode:
    """
    Frame opcodes, with the numbers of RFC 6455 section 11.8.

    Plain integers: the constructor of an enum costs 0.4 us, a fifth of receiving a message. Code
    that runs for each message uses the names of this module: a lookup in a class costs 0.04 us, and
    six lookups are a fifth of the rest.
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

OPCODE_NAMES: Final = {
    CONTINUATION: "continuation",
    TEXT: "text",
    BINARY: "binary",
    CLOSE: "close",
    PING: "ping",
    PONG: "pong",
}
"""Names of the opcodes in texts for people (RFC 6455 section 11.8)."""

SKIPPED: Final = -1
"""Pseudo-opcode of a frame that is discarded; the conversation counts such frames."""

MOST_CONTROL: Final = 125
"""Most bytes of a control frame's payload (RFC 6455 section 5.5)."""


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
    SERVICE_RESTART: Final = 1012
    TRY_AGAIN_LATER: Final = 1013
    BAD_GATEWAY: Final = 1014


class Close(NamedTuple):
    """
    Content of a close frame.

    :ivar code: the close code: a :class:`CloseCode` or an application's own number.
    :ivar reason: the close reason, up to 123 bytes of UTF-8.
    """

    code: int
    reason: str = ""


Frame: TypeAlias = tuple[int, bytes, bool, int, bool]
"""
A frame, or a piece of an incomplete frame: ``(opcode, payload, final, reserved, whole)``.

``final``: whether the message ends with this frame. ``reserved``: the reserved bits, which
extensions use. ``whole``: whether the frame ends with this payload; a long frame is delivered in
pieces, and only the last piece is ``whole``. Pieces after the first have the opcode
``CONTINUATION``. Creating a named tuple would cost three times as much as a tuple.
"""


Messages: TypeAlias = tuple[list[str | bytes], int, int]
"""Whole messages, the position after them, and the number of bytes of their payloads."""

MessageReader: TypeAlias = Callable[[bytes, int, int], Messages]
"""Reads whole messages: takes bytes, the position of the first message, and most messages."""


class Framing(Protocol):
    """Codec of one connection: bytes to frames and back."""

    @property
    def has_binary(self) -> bool:
        """Whether the peer receives binary messages on this connection."""
        ...

    def encoding(self, opcode: int) -> str:
        """
        Return a name that is equal for all codecs with equal frames of this opcode.

        The name is empty for the codec of a client, which masks each frame differently.
        """
        ...

    def feed(self, data: bytes) -> None:
        """Buffer received bytes, without reading them."""

    def frames(self) -> Iterator[Frame]:
        """
        Yield the frames of the buffered bytes.

        A caller may stop at any frame and call again later: frames that were not yielded stay in
        the buffer. A frame that is discarded is yielded as :data:`SKIPPED`, in one or more pieces.

        :raises FrameError: at a frame header that breaks a rule or a limit, before the payload is
            buffered.
        """
        ...

    @property
    def messages(self) -> MessageReader:
        """
        The function that reads whole messages from ``data``, which is not buffered.

        It takes ``data``, the position of the first message, and most messages, at most 64. A frame
        must begin at the position, and no message may be incomplete. Reading stops before all that
        :meth:`frames` has to judge. It is not a method, since a call more in Python would take
        0.1 us of a message.
        """
        ...

    def restore(self, data: bytes, position: int) -> None:
        """
        Buffer ``data`` from ``position`` on before the buffered bytes, which were received later.

        A frame begins at ``position``, and the buffered bytes were not read.
        """

    def ahead(self) -> Iterator[Frame]:
        """
        Yield the same frames as :meth:`frames`, without removing them from the buffer.

        :raises FrameError: as :meth:`frames`.
        """
        ...

    def release(self) -> None:
        """Discard the buffered bytes: no frame is read any more."""

    @property
    def waiting(self) -> int:
        """The number of buffered bytes, which were not yielded yet."""
        ...

    @property
    def is_between_frames(self) -> bool:
        """Whether the next received byte is the first one of a frame."""
        ...

    @property
    def missing(self) -> tuple[int, bytes]:
        """
        Number of missing bytes of the payload of an incomplete frame, and their masking key.

        The key is empty for an unmasked frame. The number is 0 where a frame begins, where bytes
        are buffered, and in a framing without :meth:`advance`.
        """
        ...

    def advance(self, count: int) -> tuple[bool, bool]:
        """
        Skip bytes of :attr:`missing`, which were received elsewhere.

        :return: whether the frame is the last one of a message, and whether it is complete.
        """
        ...

    def encode(self, opcode: int, payload: bytes, final: bool = True, reserved: int = 0) -> bytes:
        """
        Return the bytes of one frame.

        :raises UnsupportedByDialect: for an opcode that the dialect does not have.
        """
        ...

    def encode_text(self, text: str) -> bytes:
        """
        Return the bytes of the frame of a text message.

        :raises TypeError: for another type than ``str``.
        :raises UnicodeEncodeError: for a lone surrogate, which UTF-8 cannot encode.
        """
        ...

    def encode_parts(
        self, opcode: int, payload: bytes, final: bool = True, reserved: int = 0
    ) -> tuple[bytes, ...]:
        """Return the bytes of one frame in parts, so that a long payload is not copied."""
        ...

    def encode_close(self, close: Close) -> bytes:
        """Return the bytes of a close frame; no bytes in a dialect without close frames."""
        ...

    def read_close(self, payload: bytes) -> Close:
        """
        Read the payload of a close frame.

        :raises FrameError: for an invalid payload.
        """
        ...
