"""Batches of complete text frames of the Hixie drafts: 0x00, UTF-8, 0xFF.

Nearly every frame is a complete text frame. ``hixie.py`` reads all other frames.
"""

from __future__ import annotations

from typing import Final

from .compiled import COMPILED
from .frame import TEXT, Frame

_TYPE: Final = 0x00
_END: Final = b"\xff"

_MOST_FRAMES: Final = 64
"""Most frames of one batch; ``hybi_batch.py`` has the reason."""


def read_texts_in_python(data: bytes, position: int, limit: int) -> tuple[list[Frame], int]:
    """
    Read complete text frames from ``data``, starting at ``position``.

    Reading stops at another frame, at a frame of more than ``limit`` bytes, at an incomplete frame,
    and after 64 frames.

    :return: the frames, and the position after them.
    """
    frames: list[Frame] = []
    have = len(data)
    while position < have and data[position] == _TYPE and len(frames) < _MOST_FRAMES:
        start = position + 1
        end = data.find(_END, start)
        if end < 0 or end - start > limit:
            break
        frames.append((TEXT, data[start:end], True, 0, True))
        position = end + 1
    return frames, position


read_texts = read_texts_in_python if COMPILED is None else COMPILED.read_texts
