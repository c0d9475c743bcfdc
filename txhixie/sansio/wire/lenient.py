"""Framing of a client whose frames deviate in a known way: the quirks of frames.

A connection without such a quirk has the framing of ``hybi.py``, which knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ..errors import FrameError
from .frame import CLOSE, Close, CloseCode, Frame
from .hybi import ServerFraming

_GOODBYE: Final = 0x87
"""First byte of a frame with opcode 7, by which three libraries for Arduino say goodbye."""

_CLOSE: Final = 0x88

_LINE_END: Final = b"\r\n"


class LenientFraming(ServerFraming):
    """Codec of a server's connection on a route with quirks of frames."""

    __slots__ = ("_awaits_first", "_goodbyes")

    _awaits_first: bool
    _goodbyes: bool

    def accept(self, quirks: Collection[str]) -> None:
        """
        Say which deviations are accepted, before the first byte.

        :param quirks: words of the table of quirks: ``stray``, ``masks`` and ``goodbyes`` are used.
        """
        self._strict_masks = self._strict_masks and "masks" not in quirks
        self._awaits_first = "stray" in quirks
        self._goodbyes = "goodbyes" in quirks

    def feed(self, data: bytes) -> None:
        """Buffer received bytes, without the stray bytes directly behind the request."""
        super().feed(data)
        if self._awaits_first and self._data and self._data != _LINE_END[:1]:
            self._awaits_first = False
            # No frame of a conversation begins so: 00 is a continuation of no message, and 0D has
            # an unknown opcode.
            for stray in (b"\0", _LINE_END):
                if self._data.startswith(stray):
                    self._position = len(stray)
                    return

    def begin(self, data: bytes, position: int, have: int) -> Frame | None:
        """Read the frame header at ``position``; a frame with opcode 7 is a close frame."""
        if self._goodbyes and data[position] in (_GOODBYE, _CLOSE) and position + 2 <= have:
            if data[position] == _GOODBYE:
                self._position = have
                return CLOSE, b"", True, 0, True
            strict, self._strict_masks = self._strict_masks, False
            try:
                return super().begin(data, position, have)
            finally:
                self._strict_masks = strict
        return super().begin(data, position, have)

    def read_close(self, payload: bytes) -> Close:
        """Read the payload of a close frame; an invalid one counts as none."""
        try:
            return super().read_close(payload)
        except FrameError:
            if not self._goodbyes:
                raise
            return Close(CloseCode.NO_STATUS_RCVD)
