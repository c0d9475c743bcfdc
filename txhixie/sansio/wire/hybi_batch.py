"""Batches of plain frames of hybi-07 to RFC 6455.

A plain frame is a complete data frame without reserved bits, masked if and only if the sender has
to mask, and with a length in as few bytes as possible. Nearly every frame is plain. ``hybi.py``
reads all other frames, including those that break a rule.
"""

from __future__ import annotations

import struct
from typing import Final

from .compiled import COMPILED
from .frame import BINARY, MOST_CONTROL, Frame
from .mask import LONG, mask_in_python, unmask_in_python

_PLAIN: Final = tuple(
    (byte & 0x0F, byte >= 0x80) if byte & 0x0F <= BINARY and not byte & 0x70 else None
    for byte in range(256)
)
"""Opcode and FIN bit of each first byte with which a plain frame can begin; otherwise ``None``."""

MOST_FRAMES: Final = 64
"""Most frames of one batch. An application that pauses after the first frame keeps all others in
memory, and one read can have 40,000 of the smallest frames. More than a dozen gain nothing."""

_MASKED: Final = 0x80

_SHORT: Final = tuple(bytes((byte,)) for byte in range(256))
_pack_16: Final = struct.Struct(">BBH").pack
_pack_64: Final = struct.Struct(">BBQ").pack


def read_plain_in_python(
    data: bytes, position: int, limit: int, masked: bool, most: int = MOST_FRAMES
) -> tuple[list[Frame], int]:
    """
    Read plain frames from ``data``, starting at ``position``.

    Reading stops at another frame, at a frame with a payload of more than ``limit`` bytes, at an
    incomplete frame, and after 64 frames.

    :param masked: whether a plain frame must be masked; otherwise it must not be.
    :param most: most frames, at most 64; only the Python function has this parameter.
    :return: the frames, and the position after them.
    """
    have = len(data)
    bit, header = (0x80, 6) if masked else (0, 2)
    frames: list[Frame] = []
    while position + header <= have and len(frames) < most:
        kind = _PLAIN[data[position]]
        size = data[position + 1] - bit  # below 0 or above 127 where the mask bit is wrong
        start = position + header
        if size == 126 and start + 2 <= have:
            start += 2
            size = data[position + 2] << 8 | data[position + 3]
            if size <= MOST_CONTROL:
                break
        elif size == 127 and start + 8 <= have:
            start += 8
            size = int.from_bytes(data[position + 2 : position + 10], "big")
            if size < 65536:
                break
        elif not 0 <= size < 126:
            break
        end = start + size
        if kind is None or end > have or size > limit:
            break
        opcode, final = kind
        if not masked:
            frames.append((opcode, data[start:end], final, 0, True))
        elif (
            size < LONG
            and end < have
            and (count := _alike(data, position, start, end, most - len(frames))) > 1
        ):
            payloads = _unmask_run(data, start, end, end - position, count)
            frames += [(opcode, payload, final, 0, True) for payload in payloads]
            end = position + (end - position) * count
        else:
            frames.append((opcode, unmask_in_python(data, start, end), final, 0, True))
        position = end
    return frames, position


def _alike(data: bytes, position: int, start: int, end: int, most: int) -> int:
    """
    Count the complete frames that follow each other with the same header, from ``position`` on.

    :return: the number of such frames, at most ``most``; 1 if not all of them have the same header.
    """
    header = data[position : start - 4]
    if data[end : end + len(header)] != header:
        return 1
    span = end - position
    count = min((len(data) - position) // span, most)
    last = position + count * span
    for offset, byte in enumerate(header, position):
        if data[offset:last:span] != _SHORT[byte] * count:
            return 1
    return count


def _unmask_run(data: bytes, start: int, end: int, span: int, count: int) -> list[bytes]:
    """
    Unmask the payloads of ``count`` frames of one size, which follow each other in a burst.

    One XOR covers all bytes from the first payload to the end of the last. That is three
    conversions for all frames instead of three for each, which are half of the time for unmasking
    128 bytes.
    """
    size, words, last = end - start, span + 3 >> 2, start + span * count
    keys = b"".join([(data[at - 4 : at] * words)[:span] for at in range(start, last, span)])
    number = int.from_bytes(data[start:last], "little") ^ int.from_bytes(keys, "little")
    plain = number.to_bytes(last - start, "little")
    return [plain[at : at + size] for at in range(0, last - start, span)]


def write_plain_in_python(
    opcode: int, payload: bytes, final: bool = True, reserved: int = 0, key: bytes = b""
) -> bytes:
    """
    Return the bytes of a frame (:meth:`txhixie.sansio.wire.frame.Framing.encode`).

    :param key: the masking key; without one, the frame is not masked.
    """
    first = opcode | reserved | 0x80 if final else opcode | reserved
    size = len(payload)
    if key:
        return frame_header(first, size, _MASKED) + key + mask_in_python(payload, key)
    if size <= MOST_CONTROL:
        return _SHORT[first] + _SHORT[size] + payload
    if size < 65536:
        return _pack_16(first, 126, size) + payload
    return _pack_64(first, 127, size) + payload


def frame_header(first: int, size: int, masked: int) -> bytes:
    """
    Return a frame header without the masking key: the first byte, and the length.

    :param masked: 0x80 for a frame with a mask, otherwise 0.
    """
    if size <= MOST_CONTROL:
        return bytes((first, size | masked))
    if size < 65536:
        return _pack_16(first, 126 | masked, size)
    return _pack_64(first, 127 | masked, size)


if COMPILED is None:
    read_plain, write_plain = read_plain_in_python, write_plain_in_python
else:
    read_plain, write_plain = COMPILED.read_plain, COMPILED.write_plain
