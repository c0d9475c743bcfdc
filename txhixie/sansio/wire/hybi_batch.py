"""Plain frames: data, whole, without reserved bits, masked as they must be, their length in as few
bytes as it needs. Nearly every frame is one, so they are taken by the dozen.

What is otherwise, be it a rule broken, is not looked at here: ``hybi.py`` begins where this ends.
"""

from __future__ import annotations

import struct
from typing import Final

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
    frames: list[Frame] = []
    while position + header <= have and len(frames) < _MOST_FRAMES:
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
        opcode, final = kind
        if not masked:
            frames.append((opcode, data[start:end], final, 0, True))
        elif size < LONG and end < have and (count := _alike(data, position, start, end)) > 1:
            payloads = _unmask_run(data, start, end, end - position, count)
            frames += [(opcode, payload, final, 0, True) for payload in payloads]
            end = position + (end - position) * count
        else:
            frames.append((opcode, unmask_in_python(data, start, end), final, 0, True))
        position = end
    return frames, position


def _alike(data: bytes, position: int, start: int, end: int) -> int:
    """
    How many frames begin, at the distance of this one's end, with the same header.

    :return: 1, or as many as there are whole, up to the most.
    """
    header = data[position : start - 4]
    if data[end : end + len(header)] != header:
        return 1
    span = end - position
    count = min((len(data) - position) // span, _MOST_FRAMES)
    last = position + count * span
    for offset, byte in enumerate(header, position):
        if data[offset:last:span] != _SHORT[byte] * count:
            return 1
    return count


def _unmask_run(data: bytes, start: int, end: int, span: int, count: int) -> list[bytes]:
    """
    The payloads of ``count`` masked frames of one size, as they come in bursts: one XOR with all
    that lies between the first and the end of the last. That is three conversions for all of them
    instead of each, half of what unmasking 128 bytes takes.
    """
    size, words, last = end - start, span + 3 >> 2, start + span * count
    keys = b"".join([(data[at - 4 : at] * words)[:span] for at in range(start, last, span)])
    number = int.from_bytes(data[start:last], "little") ^ int.from_bytes(keys, "little")
    plain = number.to_bytes(last - start, "little")
    return [plain[at : at + size] for at in range(0, last - start, span)]


def write_plain_in_python(
    opcode: int, payload: bytes, final: bool = True, reserved: int = 0
) -> bytes:
    """A frame without a mask, of any kind: see :meth:`txhixie.sansio.wire.frame.Framing.encode`."""
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
