"""A message for many connections: encoded once for all connections that encode it alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .arguments import whole_bytes
from .wire.frame import BINARY, TEXT

SENT, ABSENT, UNSUPPORTED, TOO_LARGE, OMITTED, WAITING, SLOW = range(7)
"""Outcomes of a broadcast message at one connection. Plain integers, since each connection has one.
Only ``SENT`` is false.

``ABSENT``: the connection is not open. ``UNSUPPORTED``: peers of the dialect lose binary messages.
``TOO_LARGE``: the message has more bytes than ``Limits.unsent_size``. The last three are for a
connection with a full write buffer: the message was skipped, or waits, or the connection has to
be closed."""

_NAMES: Final = "str or bytes"


class PreparedMessage:
    """
    A message that is encoded once for many connections, and can be sent more than once.

    All connections of a server in hybi-07, hybi-08 and RFC 6455 send the same frame, and so do all
    connections in the Hixie dialects, which have equal text frames. Connections with compression
    send the same frame where the same window and the same level of zlib were agreed. A client masks
    each frame with a key of its own (RFC 6455 section 5.3), and shares only the compressed payload.

    :ivar opcode: the opcode of the message: text or binary.
    :ivar payload: the payload, in UTF-8 for text.
    :ivar compress: whether to compress the message; ``None``: as each connection decides.
    :ivar frames: the frames, by the encoding of a connection.
    :ivar payloads: the payloads that an extension has encoded, with their reserved bits, by the
        encoding of a transform.
    """

    __slots__ = ("compress", "frames", "opcode", "payload", "payloads")

    def __init__(
        self, message: str | bytes | bytearray | memoryview, compress: bool | None = None
    ) -> None:
        """
        :param message: ``str`` for a text message, bytes-like for a binary message.
        :param compress: whether to compress the message where compression was agreed; ``None``: if
            the message is long enough.
        :raises TypeError: for a message of another type.
        :raises UnicodeEncodeError: for a lone surrogate, which UTF-8 cannot encode.
        """
        if isinstance(message, str):
            self.opcode, self.payload = TEXT, message.encode()
        else:
            self.opcode = BINARY
            self.payload = (
                message if type(message) is bytes else whole_bytes("a message", message, _NAMES)
            )
        self.compress = compress
        self.frames: dict[str, bytes] = {}
        self.payloads: dict[str, tuple[bytes, int]] = {}

    def encoded(
        self, encoding: str, encode: Callable[[bytes, bool | None], tuple[bytes, int]]
    ) -> tuple[bytes, int]:
        """
        Return the payload as an extension encodes it, and its reserved bits.

        :param encoding: a text that is equal for all functions with equal results.
        :param encode: encodes a payload; called for the first connection of each encoding.
        """
        if (found := self.payloads.get(encoding)) is None:
            found = self.payloads[encoding] = encode(self.payload, self.compress)
        return found

    @property
    def size(self) -> int:
        """The number of bytes of the payload."""
        return len(self.payload)
