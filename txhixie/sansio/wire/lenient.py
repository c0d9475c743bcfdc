"""Framing of a client that deviates in a known way: the quirks of frames.

A connection without such a quirk has the framing of ``hybi.py``, which knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ..errors import FrameError
from ..quirks import Fault, Tell, tell_nobody
from .frame import (
    CLOSE,
    MOST_CONTROL,
    OPCODE_NAMES,
    Close,
    CloseCode,
    Frame,
    MessageReader,
    Messages,
)
from .hybi import ServerFraming

_GOODBYE: Final = 0x87
"""First byte of a frame with opcode 7, by which three libraries for Arduino say goodbye."""

_CLOSE: Final = 0x88
_MASKED: Final = 0x80
_OPCODE: Final = 0x0F

_LINE_END: Final = b"\r\n"

_STRAY: Final = {b"\0": "a zero byte", _LINE_END: "an empty line"}
"""Stray bytes, and their names. No frame of a conversation begins so: 00 is a continuation of no
message, and 0D has an unknown opcode."""


class LenientFraming(ServerFraming):
    """Codec of a server's connection on a route with quirks of frames."""

    __slots__ = ("_awaits_first", "_goodbyes", "_tell", "_untold")

    _awaits_first: bool
    _goodbyes: bool
    _tell: Tell
    _untold: set[str]

    def accept(self, quirks: Collection[str], tell: Tell = tell_nobody) -> None:
        """
        Say which deviations are accepted, before the first byte.

        :param quirks: words of the table of quirks: ``stray``, ``masks`` and ``goodbyes`` are used.
        :param tell: told of the first deviation that is let in by each of these words.
        """
        self._untold = {*quirks}
        if not self._strict_masks:
            self._untold.discard("masks")  # the dialect does not require masks
        self._tell = tell
        self._strict_masks = self._strict_masks and "masks" not in quirks
        self._awaits_first = "stray" in quirks
        self._goodbyes = "goodbyes" in quirks

    def _deviates(self, word: str, text: str) -> None:
        if word in self._untold:
            self._untold.discard(word)
            self._tell(Fault(word, text))

    def feed(self, data: bytes) -> None:
        """Buffer received bytes, without the stray bytes directly behind the request."""
        super().feed(data)
        if self._awaits_first and self._data and self._data != _LINE_END[:1]:
            self._awaits_first = False
            for stray, name in _STRAY.items():
                if self._data.startswith(stray):
                    self._position = len(stray)
                    self._deviates("stray", f"{name} directly behind the head of the request")
                    return

    @property
    def messages(self) -> MessageReader:
        """See :attr:`txhixie.sansio.wire.frame.Framing.messages`; none before the first frame."""
        return self._messages if self._awaits_first else super().messages

    def _messages(self, data: bytes, position: int, most: int) -> Messages:
        if self._awaits_first:
            return [], position, 0
        return super().messages(data, position, most)

    def begin(self, data: bytes, position: int, have: int) -> Frame | None:
        """Read the frame header at ``position``; a frame with opcode 7 is a close frame."""
        if self._goodbyes and data[position] in (_GOODBYE, _CLOSE) and position + 2 <= have:
            if data[position] == _GOODBYE:
                self._position = have
                self._deviates("goodbyes", "frame with opcode 7 (RFC 6455 section 5.2)")
                return CLOSE, b"", True, 0, True
            strict, self._strict_masks = self._strict_masks, False
            try:
                frame = super().begin(data, position, have)
            finally:
                self._strict_masks = strict
        else:
            frame = super().begin(data, position, have)
        if self._untold and (frame is not None or self._left):
            self._tell_unmasked(data, position)
        return frame

    def _tell_unmasked(self, data: bytes, position: int) -> None:
        """Tell of a frame without a mask that was let in, if it is the first one."""
        second = data[position + 1]
        if second >= _MASKED:
            return
        if data[position] == _CLOSE and ("masks" in self._untold or self._strict_masks):
            # The only frame without a mask so far: the less dangerous word is enough.
            self._deviates("goodbyes", "close frame without a mask (RFC 6455 section 5.1)")
        else:
            self._deviates("masks", _unmasked(data, position))

    def read_close(self, payload: bytes) -> Close:
        """Read the payload of a close frame; an invalid one counts as none."""
        try:
            return super().read_close(payload)
        except FrameError as error:
            if not self._goodbyes:
                raise
            self._deviates("goodbyes", f"{error} (RFC 6455 section 7.4)")
            return Close(CloseCode.NO_STATUS_RCVD)


def _unmasked(data: bytes, position: int) -> str:
    """Describe a frame without a mask, with the bytes of its header."""
    size = data[position + 1]
    end = position + 2
    if size > MOST_CONTROL:
        end += 2 if size == 126 else 8
        size = int.from_bytes(data[position + 2 : end], "big")
    name = OPCODE_NAMES[data[position] & _OPCODE]
    header = data[position:end].hex(" ").upper()
    return f"{name} frame of {size:,} bytes without a mask ({header}) (RFC 6455 section 5.1)"
