"""Assembly of a message from its fragments, or from the pieces of an incomplete frame."""

from __future__ import annotations

import codecs
from io import BytesIO

from .errors import InvalidUTF8, MessageTooBig
from .limits import Limits, exceeds
from .wire.frame import TEXT

_decoder = codecs.getincrementaldecoder("utf-8")

_SURROGATE = b"\xed\xa0"
"""First two bytes of the lowest surrogate. A sequence of 0xED and a byte from 0xA0 on is a
surrogate, which the incremental decoder reports only at its third byte."""


class Assembly:
    """
    One message that is received in parts.

    Each part of a text message is decoded at once, so that invalid UTF-8 is reported at its first
    wrong byte. The parts are kept as bytes in one buffer. Keeping a string for each part, in a list
    or a StringIO, would allow a peer that sends two bytes a packet to fill thirty times the size of
    its message.

    :ivar opcode: the opcode of the message, text or binary.
    :ivar room: number of bytes that the message may still receive.
    :ivar transformed: whether a frame of the message had a reserved bit, set by an extension.
    :ivar replaced: whether :meth:`message` has replaced invalid UTF-8 by U+FFFD.
    """

    __slots__ = (
        "_decoder",
        "_fragments",
        "_limits",
        "_parts",
        "_replaces",
        "opcode",
        "replaced",
        "room",
        "transformed",
    )

    def __init__(self, opcode: int, limits: Limits, replaces: bool) -> None:
        """
        Begin a message.

        :param replaces: whether invalid UTF-8 becomes U+FFFD; otherwise it is an error.
        """
        self.opcode = opcode
        self.room = limits.message_size
        self.transformed = False
        self.replaced = False
        self._limits = limits
        self._fragments = 0
        self._parts = BytesIO()
        self._replaces = replaces
        self._decoder = _decoder() if opcode == TEXT and not replaces else None

    def add(self, part: bytes, whole: bool) -> None:
        """
        Add a part to the message.

        :param whole: whether the part ends a frame.
        :raises MessageTooBig: when the message exceeds ``Limits.message_size`` or
            ``Limits.fragments``.
        :raises InvalidUTF8: at the first byte that is not UTF-8.
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
                raise InvalidUTF8("invalid UTF-8 in a text message") from None
            if _SURROGATE <= self._decoder.getstate()[0] < b"\xee":
                raise InvalidUTF8("invalid UTF-8 in a text message")
        self._parts.write(part)

    def too_big(self) -> MessageTooBig:
        """
        Return the error for a message that exceeds ``Limits.message_size``.

        The text does not have the number of bytes that were received, so that the error for a
        message does not depend on the sizes of its parts.
        """
        most = self._limits.message_size
        what = f"message of {most + 1:,} bytes or more"
        return MessageTooBig(exceeds(what, most, "message_size"))

    @property
    def size(self) -> int:
        """The number of bytes received so far."""
        return self._limits.message_size - self.room

    def data(self) -> bytes:
        """Return the bytes received so far."""
        return self._parts.getvalue()

    def message(self) -> str | bytes:
        """
        Return the complete message.

        :raises InvalidUTF8: when the text ends inside a character.
        """
        data = self.data()
        if self.opcode != TEXT:
            return data
        try:
            return data.decode()
        except UnicodeDecodeError:
            if not self._replaces:
                raise InvalidUTF8("invalid UTF-8 in a text message") from None
        self.replaced = True
        return data.decode("utf-8", "replace")
