"""A message that comes in parts: fragments of it, or pieces of a frame that is still arriving."""

from __future__ import annotations

import codecs
from io import BytesIO, StringIO

from .errors import BadText, TooBig
from .limits import Limits
from .wire.frame import TEXT

_decoder = codecs.getincrementaldecoder("utf-8")


class Assembly:
    """
    One message, from its first part to its last.

    Text is decoded as it comes, so that what cannot be UTF-8 is known at its first wrong byte.
    Parts are written into one buffer: an object of its own for each would let a peer that sends two
    bytes a packet fill thirty times what its message weighs.

    :ivar opcode: text or binary.
    :ivar room: bytes that may still come.
    """

    __slots__ = ("_bytes", "_decode", "_fragments", "_limits", "_text", "opcode", "room")

    def __init__(self, opcode: int, limits: Limits, replaces: bool) -> None:
        """:param replaces: bad UTF-8 becomes U+FFFD; otherwise it is an error."""
        self.opcode = opcode
        self.room = limits.message_size
        self._limits = limits
        self._fragments = 0
        self._bytes = BytesIO()
        self._text = StringIO(newline="")
        self._decode = _decoder("replace" if replaces else "strict").decode

    def add(self, part: bytes, whole: bool) -> None:
        """
        Keep a part.

        :param whole: it ends a frame.
        :raises TooBig: when the message is more than one may be, or in too many fragments.
        :raises BadText: at the first byte that cannot be.
        """
        self.room -= len(part)
        if self.room < 0:
            raise TooBig(f"a message of more than {self._limits.message_size} bytes")
        self._fragments += whole
        if self._fragments > self._limits.fragments:
            raise TooBig(f"a message in more than {self._limits.fragments} fragments")
        if self.opcode == TEXT:
            self._write_text(part, last=False)
        else:
            self._bytes.write(part)

    def message(self) -> str | bytes:
        """
        The whole of it.

        :raises BadText: when it ends inside a character.
        """
        if self.opcode != TEXT:
            return self._bytes.getvalue()
        self._write_text(b"", last=True)
        return self._text.getvalue()

    def _write_text(self, part: bytes, last: bool) -> None:
        try:
            self._text.write(self._decode(part, last))
        except UnicodeDecodeError:
            raise BadText("text that is not UTF-8") from None
