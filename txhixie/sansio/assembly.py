"""Assembly of a message from its fragments, or from the pieces of an incomplete frame."""

from __future__ import annotations

import codecs
from io import BytesIO
from typing import Final, TypeAlias

from .errors import InvalidUTF8, MessageTooBig
from .limits import Limits, exceeds
from .wire.frame import TEXT

_decoder = codecs.getincrementaldecoder("utf-8")

_SURROGATE = b"\xed\xa0"
"""First two bytes of the lowest surrogate. A sequence of 0xED and a byte from 0xA0 on is a
surrogate, which the incremental decoder reports only at its third byte."""

_LEAST_SIZE: Final = 16 * 1024
_LEAST_MISSING: Final = 64 * 1024
_AHEAD: Final = 5
"""A long payload is received into one object of its final size. It is allocated once 16 KiB were
received and while 64 KiB are missing, and has at most five times the bytes that were received: a
peer cannot make us hold 16 MiB by a header that announces them. Four times would be enough for
1 MiB after a whole read of 257 KiB. But one read in 25 was a little shorter over loopback: after
261,932 bytes four times are 904 bytes too few, and the message is copied once more."""

PayloadTarget: TypeAlias = tuple[bytes, int, int, bytes]
"""Where the next bytes of a long payload belong: ``(payload, start, size, key)``.

``start`` bytes of ``payload`` were received. It has no other owner and may have room behind them;
otherwise they are to be copied into an object of ``size`` bytes. ``key``: the masking key, from the
next byte on, empty for an unmasked frame."""


class Assembly:
    """
    One message that is received in parts.

    Each part of a text message is decoded at once, so that invalid UTF-8 is reported at its first
    wrong byte. The first part is kept as it is, or as the payload into which a long message is
    received (:meth:`target`). Further parts are joined in one buffer. Keeping a string for each
    part, in a list or a StringIO, would allow a peer that sends two bytes a packet to fill thirty
    times the size of its message.

    :ivar opcode: the opcode of the message, text or binary.
    :ivar room: number of bytes that the message may still receive.
    :ivar transformed: whether a frame of the message had a reserved bit, set by an extension.
    :ivar replaced: whether :meth:`message` has replaced invalid UTF-8 by U+FFFD.
    """

    __slots__ = (
        "_decoder",
        "_fragments",
        "_kept",
        "_limits",
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
        self._kept: bytes | BytesIO = b""  # one part, perhaps with room behind it; or several
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
        before = self.size
        self.room -= len(part)
        if self.room < 0:
            raise self.too_big()
        self._fragments += whole
        if self._fragments > self._limits.fragments:
            what = f"message of {self._fragments:,} fragments"
            raise MessageTooBig(exceeds(what, self._limits.fragments, "fragments"))
        if self._decoder is not None:
            self._check(self._decoder, part)
        if not before:
            self._kept = part
            return
        if isinstance(self._kept, bytes):
            first, self._kept = self._kept[:before], BytesIO()
            self._kept.write(first)
        self._kept.write(part)

    @staticmethod
    def _check(decoder: codecs.IncrementalDecoder, part: bytes | memoryview) -> None:
        try:
            decoder.decode(part)
        except UnicodeDecodeError:
            raise InvalidUTF8("invalid UTF-8 in a text message") from None
        if _SURROGATE <= decoder.getstate()[0] < b"\xee":
            raise InvalidUTF8("invalid UTF-8 in a text message")

    def target(self, missing: int, key: bytes) -> PayloadTarget | None:
        """
        Return where the next bytes of a frame belong; ``None`` if they are to be added.

        :param missing: the number of bytes that the payload of the frame lacks, above 0.
        :param key: the rest of the target.
        """
        kept, size = self._kept, self._limits.message_size - self.room
        if missing > self.room or self._fragments:
            return None  # an error, or a message of several frames
        if not isinstance(kept, bytes) or len(kept) == size:
            if size < _LEAST_SIZE or missing < _LEAST_MISSING:
                return None
            kept = self.data()
        return kept, size, min(size + missing, size * _AHEAD), key

    def received(self, payload: bytes, count: int, whole: bool) -> None:
        """
        Keep a payload into which bytes were received.

        :param payload: that of :meth:`target`, or a larger one with the same bytes.
        :param count: how many bytes were received.
        :param whole: whether they end the frame.
        :raises InvalidUTF8: at the first byte that is not UTF-8.
        """
        self._kept = payload
        self.room -= count
        self._fragments += whole
        if self._decoder is not None:
            end = self.size
            self._check(self._decoder, memoryview(payload)[end - count : end])

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

    @property
    def held(self) -> int:
        """The number of bytes received so far, with the room that was allocated for more."""
        return len(self._kept) if isinstance(self._kept, bytes) else self.size

    def data(self) -> bytes:
        """Return the bytes received so far."""
        if isinstance(self._kept, bytes):
            return self._kept[
                : self.size
            ]  # the object itself, if there is no room behind the bytes
        return self._kept.getvalue()

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
