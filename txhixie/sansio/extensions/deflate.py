"""Raw DEFLATE for messages: bounded on the way in, lean on the way out.

Shared by the extensions that differ only in what they compress, a message or a frame. An object of
zlib's is made when it is first needed, and dropped as soon as what was agreed allows.
"""

from __future__ import annotations

import zlib
from typing import Final

from ..errors import BadCompression, MessageTooBig

TAIL: Final = b"\x00\x00\xff\xff"
"""What a sync flush ends with, and what is left out on the wire (RFC 7692 section 7.2.1)."""

LEAST_BITS: Final = 9
"""zlib compresses with a window of 2**9 bytes at least; it refuses 8 for raw streams."""

MOST_BITS: Final = 15

_SMALL: Final = 4096
"""Up to this size a compressor for one message has a window of 2**12 bytes and memory level 5:
29 KiB to set up instead of 256, and nothing further back to refer to."""


_MOST_LAST: Final = 100
"""Blocks in one piece that call themselves the last. Each makes a new inflater and copies what is
left: 64 KiB of nothing else took 45 ms, and four times as much sixteen times as long."""


class Deflater:
    """One connection's way out."""

    __slots__ = ("_bits", "_compressor", "_level", "_memory", "_takeover")

    def __init__(self, bits: int, level: int, memory: int, takeover: bool) -> None:
        """
        :param bits: window of 2**bits bytes, 9 to 15.
        :param level: zlib's, 1 to 9.
        :param memory: zlib's memory level, 1 to 9.
        :param takeover: refer to earlier messages, and keep what that takes.
        """
        self._bits = bits
        self._level = level
        self._memory = memory
        self._takeover = takeover
        self._compressor: zlib._Compress | None = None

    def deflate(self, payload: bytes) -> bytes | None:
        """What is sent for a payload; ``None`` when sending it plain is shorter."""
        compressor = self._compressor or self._make(len(payload))
        deflated = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        if self._takeover:
            self._compressor = compressor
        elif len(deflated) - len(TAIL) >= len(payload):
            return None
        return deflated[: -len(TAIL)]

    def _make(self, size: int) -> zlib._Compress:
        bits, memory = self._bits, self._memory
        if not self._takeover and size <= _SMALL:
            bits, memory = min(bits, 12), min(memory, 5)
        return zlib.compressobj(self._level, zlib.DEFLATED, -bits, memory)


class Inflater:
    """One connection's way in."""

    __slots__ = ("_bits", "_decompressor", "_takeover")

    def __init__(self, bits: int, takeover: bool) -> None:
        """
        :param bits: window of 2**bits bytes that the peer may use.
        :param takeover: the peer may refer to earlier messages.
        """
        self._bits = max(bits, LEAST_BITS)
        self._takeover = takeover
        self._decompressor: zlib._Decompress | None = None

    def inflate(self, data: bytes, room: int) -> bytes:
        """
        What a piece of a compressed payload gives.

        :param room: bytes that may come of it: a bomb is stopped here, before it is kept.
        :raises MessageTooBig: when more would.
        :raises BadCompression: when it is no DEFLATE.
        """
        parts = []
        last = 0
        while data:
            decompressor = self._decompressor or zlib.decompressobj(-self._bits)
            self._decompressor = decompressor
            try:
                part = decompressor.decompress(data, room + 1)  # 0 would mean: no limit
            except zlib.error as error:
                raise BadCompression(f"invalid compressed data: {error}") from error
            room -= len(part)
            if room < 0:
                raise MessageTooBig("inflated message too big")
            parts.append(part)
            data = decompressor.unconsumed_tail
            if decompressor.eof:
                # A block that calls itself the last (RFC 7692 section 7.2.3.4): others follow.
                data = decompressor.unused_data
                self._decompressor = None
                last += 1
                if last > _MOST_LAST:
                    raise BadCompression("too many final DEFLATE blocks")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def finish(self, room: int) -> bytes:
        """The rest, at the end of what was compressed as one."""
        rest = self.inflate(TAIL, room)
        if not self._takeover:
            self._decompressor = None
        return rest
