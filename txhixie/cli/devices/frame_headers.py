"""Headers of the frames that a client sends, for a recording: without the payloads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

_MASKED: Final = 0x80
_SIZES: Final = {126: 2, 127: 8}
"""Bytes of a long payload length, by the seven bits that announce it (RFC 6455 section 5.2)."""

_LEAST: Final = {2: 126, 8: 1 << 16}
"""Least payload that needs a long length."""


class FrameHeader(NamedTuple):
    """
    Header of one frame.

    :ivar data: the bytes of the header, without the masking key.
    :ivar size: number of bytes of the payload.
    :ivar masked: whether the frame has a masking key.
    :ivar is_long: whether the length has more bytes than it needs.
    """

    data: bytes
    size: int
    masked: bool
    is_long: bool


class FrameHeaders:
    """Reader of the headers of frames in hybi-07 to RFC 6455; it checks nothing."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._skipped = 0
        self._begun = False

    def read(self, data: bytes) -> Iterator[FrameHeader]:
        """
        Yield the headers that are complete now.

        :param data: received bytes.
        """
        position = 0
        while position < len(data):
            if self._skipped:
                passed = min(self._skipped, len(data) - position)
                self._skipped -= passed
                position += passed
                continue
            self._header.append(data[position])
            position += 1
            if not self._begun and bytes(self._header) in (b"\0", b"\r\n"):
                self._header.clear()  # stray bytes behind the head of the request
                self._begun = True
            elif (found := self._complete()) is not None:
                self._begun = True
                self._header.clear()
                self._skipped = found.size + (4 if found.masked else 0)
                yield found

    def _complete(self) -> FrameHeader | None:
        header = bytes(self._header)
        if len(header) < 2:
            return None
        size, more = header[1] & ~_MASKED, _SIZES.get(header[1] & ~_MASKED, 0)
        if len(header) < 2 + more:
            return None
        if more:
            size = int.from_bytes(header[2:], "big")
        return FrameHeader(header, size, header[1] >= _MASKED, size < _LEAST.get(more, 0))
