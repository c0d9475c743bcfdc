"""Plain frames: data, whole, without reserved bits, masked as they must be, their length in as few
bytes as it needs. Nearly every frame is one, so they are taken by the dozen.

What is otherwise, be it a rule broken, is not looked at here: ``modern.py`` begins where this ends.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Final, TypeAlias

from .compiled import COMPILED
from .frame import BINARY, MOST_CONTROL, Frame
from .mask import LONG, unmask_in_python

_PLAIN: Final = tuple(
    (byte & 0x0F, byte >= 0x80) if byte & 0x0F <= BINARY and not byte & 0x70 else None
    for byte in range(256)
)
"""What a first byte says, if a plain frame begins with it: opcode, and whether it is the last."""

_MOST_FRAMES: Final = 64
"""Frames taken at once. Whoever pauses after the first holds all the others, and of the smallest
there are 40,000 in a read; from a dozen on, more at once gain nothing."""

_SHORT: Final = tuple(bytes((byte,)) for byte in range(256))
_pack_16: Final = struct.Struct(">BBH").pack
_pack_64: Final = struct.Struct(">BBQ").pack

_Found: TypeAlias = tuple[tuple[int, bool], int, int]
"""What a frame's first byte says, and where its payload begins and ends."""


def read_plain_in_python(
    data: bytes, position: int, limit: int, masked: bool
) -> tuple[list[Frame], int]:
    """
    The plain frames that stand in ``data`` from ``position`` on, up to the first that is none, has
    more than ``limit`` bytes of payload or is not here whole; or the first dozens of them.

    :param masked: whether they must have a mask or must have none.
    :return: the frames, and the position behind them.
    """
    have = len(data)
    bit, header = (0x80, 6) if masked else (0, 2)
    found: list[_Found] = []
    while position + header <= have:
        kind = _PLAIN[data[position]]
        size = data[position + 1] - bit  # below 0 or above 127 where the mask is not as it must be
        start = position + header
        if size == 126 and start + 2 <= have:
            start += 2
            size = data[position + 2] << 8 | data[position + 3]
            if size <= MOST_CONTROL:
                break
        elif not 0 <= size < 126:
            break
        end = start + size
        if kind is None or end > have or size > limit:
            break
        if not found and (end == have or size >= LONG):
            # Alone, as it came or since what is long is unmasked in another way.
            payload = unmask_in_python(data, start, end) if masked else data[start:end]
            return [(kind[0], payload, kind[1], 0, True)], end
        if size >= LONG or len(found) == _MOST_FRAMES:
            break
        found.append((kind, start, end))
        position = end
    if masked and found:
        return _unmasked(data, found), position
    return [(opcode, data[a:b], final, 0, True) for (opcode, final), a, b in found], position


def _unmasked(data: bytes, found: list[_Found]) -> list[Frame]:
    """
    All payloads in one XOR, and the headers between them with them: three conversions for all and
    not for each, which is half of what unmasking 128 bytes takes.
    """
    first, last = found[0][1], found[-1][2]
    keys: list[bytes] = []
    for (_, start, _), (_, following, _) in pairwise((*found, (None, last, last))):
        span = following - start
        keys.append((data[start - 4 : start] * (span + 3 >> 2))[:span])
    mixed = int.from_bytes(data[first:last], "little") ^ int.from_bytes(b"".join(keys), "little")
    plain = mixed.to_bytes(last - first, "little")
    return [
        (opcode, plain[a - first : b - first], final, 0, True) for (opcode, final), a, b in found
    ]


def write_plain_in_python(
    opcode: int, payload: bytes, final: bool = True, reserved: int = 0
) -> bytes:
    """A frame without a mask, of any kind: see :meth:`txhixie.wire.frame.Framing.encode`."""
    first = opcode | reserved | 0x80 if final else opcode | reserved
    size = len(payload)
    if size <= MOST_CONTROL:
        return _SHORT[first] + _SHORT[size] + payload
    if size < 65536:
        return _pack_16(first, 126, size) + payload
    return _pack_64(first, 127, size) + payload


if COMPILED is None:
    read_plain, write_plain = read_plain_in_python, write_plain_in_python
else:
    read_plain, write_plain = COMPILED.read_plain, COMPILED.write_plain
