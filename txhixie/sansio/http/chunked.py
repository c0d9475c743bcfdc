"""The chunked transfer coding, read and never written (RFC 9112 section 7.1).

::

    chunked-body = *( size [ extensions ] CRLF data CRLF ) "0" [ extensions ] CRLF *( trailer ) CRLF

How much may come is for whoever feeds it to count: besides the body it holds one line.
"""

from __future__ import annotations

import re
from typing import Final

from ..errors import MalformedHead

_MOST_LINE: Final = 1024
"""Bytes of a line: sizes have a few, and nobody sends extensions or trailers to be read."""

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")


class ChunkedReader:
    """
    Reads to the end of the trailer, however the bytes come.

    :ivar body: what came so far, decoded.
    """

    __slots__ = ("_judge", "_left", "_line", "_over", "body")

    def __init__(self) -> None:
        self.body = bytearray()
        self._line = b""
        self._judge = self._size
        self._left = 0
        self._over = False

    def read(self, data: bytes) -> bytes | None:
        """
        Take bytes; once the trailer is whole, answer what came after it.

        :raises MalformedHead: for what is not this coding.
        """
        data, position = self._line + data, 0
        self._line = b""
        while position < len(data) and not self._over:
            position = (self._take_data if self._left else self._take_line)(data, position)
        return data[position:] if self._over else None

    # They answer how far they have come. To hand on the rest itself would copy it for each chunk:
    # 256 KiB of chunks of one byte took a second.

    def _take_data(self, data: bytes, start: int) -> int:
        piece = data[start : start + self._left]
        self.body += piece
        self._left -= len(piece)
        return start + len(piece)

    def _take_line(self, data: bytes, start: int) -> int:
        end = data.find(b"\r\n", start)
        line = data[start:] if end < 0 else data[start:end]
        if len(line) > _MOST_LINE:
            raise MalformedHead("chunk line longer than 1,024 bytes")
        if end < 0:
            self._line = line
            return len(data)
        self._judge(line)
        return end + 2

    def _size(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise MalformedHead("invalid chunk size")
        self._left = int(match[1], 16)
        self._judge = self._gap if self._left else self._trailer

    def _gap(self, line: bytes) -> None:
        if line:
            raise MalformedHead("chunk longer than its size")
        self._judge = self._size

    def _trailer(self, line: bytes) -> None:
        self._over = not line
