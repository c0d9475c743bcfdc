"""Reader of the chunked transfer coding (RFC 9112 section 7.1).

::

    chunked-body = *( size [ extensions ] CRLF data CRLF ) "0" [ extensions ] CRLF *( trailer ) CRLF

The caller limits the size of the body. Besides the body, the reader keeps at most one line.
"""

from __future__ import annotations

import re
from typing import Final

from ..errors import MalformedHead

_MOST_LINE: Final = 1024
"""Most bytes of a line. A chunk size has a few; chunk extensions and trailers are hardly used."""

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")


class ChunkedReader:
    """
    Reader of a chunked body up to the end of its trailer, received in pieces of any size.

    :ivar body: the decoded body received so far.
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
        Receive bytes; return the bytes after the trailer, once the trailer is complete.

        :raises MalformedHead: for an invalid chunk.
        """
        data, position = self._line + data, 0
        self._line = b""
        while position < len(data) and not self._over:
            position = (self._take_data if self._left else self._take_line)(data, position)
        return data[position:] if self._over else None

    # These methods return a position and not the remaining bytes, which would be copied for each
    # chunk: 256 KiB of chunks of one byte took a second.

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
