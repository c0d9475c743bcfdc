"""A message that comes in parts: fragments of it, or pieces of a frame that is still arriving."""

from __future__ import annotations

import codecs
from io import BytesIO

from .errors import InvalidUTF8, MessageTooBig
from .limits import Limits, exceeds
from .wire.frame import TEXT

_decoder = codecs.getincrementaldecoder("utf-8")

_SURROGATE = b"\xed\xa0"
"""From here on what begins with 0xED is a surrogate. The decoder waits for its third byte, since
there are error handlers that would let it pass."""


class Assembly:
    """
    One message, from its first part to its last.

    Text is decoded as it comes, so that what cannot be UTF-8 is known at its first wrong byte, and
    kept as the bytes it came in, in one buffer: a string for each part, in a list or a StringIO,
    would let a peer that sends two bytes a packet fill thirty times what its message weighs.

    :ivar opcode: text or binary.
    :ivar room: bytes that may still come.
    :ivar transformed: whether a frame of it came with a reserved bit, as an extension sends it.
    """

    __slots__ = (
        "_decoder",
        "_fragments",
        "_limits",
        "_parts",
        "_replaces",
        "opcode",
        "room",
        "transformed",
    )

    def __init__(self, opcode: int, limits: Limits, replaces: bool) -> None:
        """:param replaces: bad UTF-8 becomes U+FFFD; otherwise it is an error."""
        self.opcode = opcode
        self.room = limits.message_size
        self.transformed = False
        self._limits = limits
        self._fragments = 0
        self._parts = BytesIO()
        self._replaces = replaces
        self._decoder = _decoder() if opcode == TEXT and not replaces else None

    def add(self, part: bytes, whole: bool) -> None:
        """
        Keep a part.

        :param whole: it ends a frame.
        :raises MessageTooBig: when the message is more than one may be, or in too many fragments.
        :raises InvalidUTF8: at the first byte that cannot be.
        """
        self.room -= len(part)
        if self.room < 0:
            raise self.too_big()
        self._fragments += whole
        if self._fragments > self._limits.fragments:
            what = f"message of {self._fragments:,} fragments"
            raise MessageTooBig(exceeds(what, self._limits.fragments, "fragments"))
        if self._decoder is not None:
            try:
                self._decoder.decode(part)
            except UnicodeDecodeError:
                raise InvalidUTF8("text that is not UTF-8") from None
            if _SURROGATE <= self._decoder.getstate()[0] < b"\xee":
                raise InvalidUTF8("text that is not UTF-8")
        self._parts.write(part)

    def too_big(self) -> MessageTooBig:
        """
        The error for a message of which more has come than one may have. How much more is chance:
        the same bytes have the same error, in whatever pieces they come.
        """
        most = self._limits.message_size
        what = f"message of {most + 1:,} bytes or more"
        return MessageTooBig(exceeds(what, most, "message_size"))

    @property
    def size(self) -> int:
        """Bytes that have come."""
        return self._limits.message_size - self.room

    def data(self) -> bytes:
        """The bytes that have come."""
        return self._parts.getvalue()

    def message(self) -> str | bytes:
        """
        The whole of it.

        :raises InvalidUTF8: when it ends inside a character.
        """
        data = self.data()
        if self.opcode != TEXT:
            return data
        try:
            return data.decode("utf-8", "replace" if self._replaces else "strict")
        except UnicodeDecodeError:
            raise InvalidUTF8("text that is not UTF-8") from None
