"""Reader of the body of a response, up to its length, its last chunk, or a limit."""

from __future__ import annotations

import re
from typing import Final

from ..errors import MalformedHead
from .chunked import ChunkedReader

_LENGTH: Final = re.compile(rb"[0-9]{1,15}")


class BodyReader:
    """
    Reader of the body of a response (RFC 9112 section 6.3), received in pieces of any size.

    A body without a length ends with the connection, which the reader does not see.
    """

    __slots__ = ("_chunks", "_chunks_over", "_kept", "_left", "_most")

    def __init__(self, status: int, headers: tuple[tuple[bytes, bytes], ...], most: int) -> None:
        """
        Create a reader.

        :param status: status of the response.
        :param headers: fields of the response, names in lower case.
        :param most: most bytes of the body that are kept; the reader stops after these.
        """
        self._kept = bytearray()
        self._most = most
        self._left: int | None = None
        self._chunks: ChunkedReader | None = None
        self._chunks_over = False
        if status < 200 or status in (204, 304):
            self._left = 0
        elif codings := _values(headers, b"transfer-encoding"):
            if codings[-1].lower().rpartition(b",")[2].strip(b" \t") == b"chunked":
                self._chunks = ChunkedReader()
        else:
            lengths = set(_values(headers, b"content-length"))
            if len(lengths) == 1 and _LENGTH.fullmatch(length := lengths.pop()):
                self._left = int(length)

    @property
    def whole(self) -> bool:
        """
        Whether the body is complete, as far as this can be known.

        A body without a length ends with the connection, which may have ended early.
        """
        if self._chunks is not None:
            return self._chunks_over and len(self._chunks.body) <= self._most
        if self._left is None:
            return len(self._kept) < self._most
        return not self._left and len(self._kept) <= self._most

    @property
    def body(self) -> bytes:
        """The decoded body, at most ``most`` bytes."""
        kept = self._kept if self._chunks is None else self._chunks.body
        return bytes(kept[: self._most])

    def read(self, data: bytes) -> bool:
        """Receive bytes; return whether reading is over."""
        if self._chunks is not None:
            return self._read_chunks(self._chunks, data)
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        self._kept += data
        return self._left == 0 or len(self._kept) >= self._most

    def _read_chunks(self, chunks: ChunkedReader, data: bytes) -> bool:
        try:
            over = self._chunks_over = chunks.read(data) is not None
        except MalformedHead:
            return True  # the response is a refusal, even with a body that cannot be read
        return over or len(chunks.body) >= self._most


def _values(headers: tuple[tuple[bytes, bytes], ...], name: bytes) -> list[bytes]:
    return [value.strip(b" \t") for key, value in headers if key == name]
