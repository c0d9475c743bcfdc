"""Summaries of the frames in a stream of bytes, for a trace.

A summary has the beginning of the payload only, so that a reader holds few bytes of a
frame of any length. Nothing is checked: a trace shows what a peer sends, also what breaks a rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from .frame import OPCODE_NAMES
from .mask import mask

MOST_PAYLOAD: Final = 64
"""Most bytes of a payload in a summary."""

_MOST_GROUPS: Final = 10
"""Most groups of 7 bits in a length of the Hixie dialects, as their codec takes them."""


class FrameSummary(NamedTuple):
    """
    One frame.

    :ivar name: kind of the frame, such as ``text``; for an unknown one its number.
    :ivar length: number of bytes of the payload, as sent.
    :ivar payload: the first bytes of the payload, unmasked, and not decompressed.
    :ivar final: whether the message ends with the frame; ``None`` in the Hixie dialects.
    :ivar masked: whether the payload is masked; ``None`` in the Hixie dialects.
    :ivar compressed: whether the first reserved bit is set; ``None`` in the Hixie dialects.
    """

    name: str
    length: int
    payload: bytes
    final: bool | None = None
    masked: bool | None = None
    compressed: bool | None = None


class HybiSummaries:
    """Reader of the frames of hybi-07 to RFC 6455 (section 5.2)."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._payload = bytearray()
        self._length = 0
        self._left: int | None = None  # bytes missing of the payload; None within a header

    def read(self, data: bytes) -> Iterator[FrameSummary]:
        """Receive bytes, and yield the frames that are complete."""
        position = 0
        while position < len(data):
            if self._left is None:
                self._header.append(data[position])
                position += 1
                if len(self._header) < _header_size(self._header):
                    continue
                self._left = self._length = _length(self._header)
            taken = min(self._left, len(data) - position)
            room = MOST_PAYLOAD - len(self._payload)
            self._payload += data[position : position + min(taken, room)]
            self._left -= taken
            position += taken
            if not self._left:
                yield self._complete()

    def _complete(self) -> FrameSummary:
        first, second = self._header[:2]
        payload, masked = bytes(self._payload), second >= 0x80
        if masked:
            payload = mask(payload, bytes(self._header[-4:]))
        opcode = first & 0x0F
        name = OPCODE_NAMES.get(opcode, f"opcode-{opcode}")
        found = FrameSummary(name, self._length, payload, first >= 0x80, masked, bool(first & 0x40))
        self._header.clear()
        self._payload.clear()
        self._left = None
        return found


def _header_size(header: bytearray) -> int:
    if len(header) < 2:
        return 2
    size, second = 2, header[1]
    size += {126: 2, 127: 8}.get(second & 0x7F, 0)
    return size + (4 if second >= 0x80 else 0)


def _length(header: bytearray) -> int:
    length = header[1] & 0x7F
    if length < 126:
        return length
    return int.from_bytes(header[2 : 4 if length == 126 else 10], "big")


class HixieSummaries:
    """Reader of the frames of hixie-54 to hixie-76."""

    def __init__(self) -> None:
        self._kind: int | None = None  # None between two frames
        self._left: int | None = None  # bytes missing of the payload; None: up to 0xFF
        self._groups = 0  # number of groups of the length that were read
        self._length = 0
        self._payload = bytearray()
        self._is_broken = False

    def read(self, data: bytes) -> Iterator[FrameSummary]:
        """Receive bytes, and yield the frames that are complete; none after an endless length."""
        position = 0
        while position < len(data) and not self._is_broken:
            if self._kind is None:
                self._begin(data[position])
                position += 1
            elif self._kind < 0x80:
                position = self._read_text(data, position)
                if self._left == 0:
                    yield self._complete()
            elif self._groups:
                position = self._read_length(data[position], position)
                if not self._groups and self._left == 0:
                    yield self._complete()
            else:
                position = self._read_sized(data, position)
                if self._left == 0:
                    yield self._complete()

    def _begin(self, kind: int) -> None:
        self._kind, self._length, self._left = kind, 0, None
        self._groups = 1 if kind >= 0x80 else 0
        self._payload.clear()

    def _read_text(self, data: bytes, position: int) -> int:
        end = data.find(b"\xff", position)
        stop = len(data) if end < 0 else end
        self._take(data, position, stop)
        self._length += stop - position
        if end < 0:
            return stop
        self._left = 0
        return end + 1

    def _read_length(self, byte: int, position: int) -> int:
        self._length = self._length << 7 | byte & 0x7F
        self._groups += 1
        if byte < 0x80:
            self._groups, self._left = 0, self._length
        elif self._groups > _MOST_GROUPS:
            self._is_broken = True
        return position + 1

    def _read_sized(self, data: bytes, position: int) -> int:
        assert self._left is not None
        stop = min(len(data), position + self._left)
        self._take(data, position, stop)
        self._left -= stop - position
        return stop

    def _take(self, data: bytes, position: int, stop: int) -> None:
        room = MOST_PAYLOAD - len(self._payload)
        self._payload += data[position : min(stop, position + room)]

    def _complete(self) -> FrameSummary:
        kind, self._kind = self._kind, None
        assert kind is not None
        name = {0: "text", 0x80: "binary"}.get(kind, f"type-{kind:02x}")
        if kind == 0xFF and not self._length:
            name = "close"
        return FrameSummary(name, self._length, bytes(self._payload))
