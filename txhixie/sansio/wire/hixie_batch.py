"""The texts of the Hixie drafts: 0x00, UTF-8, 0xFF. Nearly every frame is one, so they are taken by
the dozen. Whatever is otherwise is left to ``hixie.py``.
"""

from __future__ import annotations

from typing import Final

from .compiled import COMPILED
from .frame import TEXT, Frame

_TYPE: Final = 0x00
_END: Final = b"\xff"

_MOST_FRAMES: Final = 64
"""Frames taken at once; ``hybi_batch.py`` says why."""


def read_texts_in_python(data: bytes, position: int, limit: int) -> tuple[list[Frame], int]:
    """
    The texts that stand in ``data`` from ``position`` on, up to whatever is none, has more than
    ``limit`` bytes or is not here whole; or the first dozens of them.

    :return: the frames, and the position behind them.
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
