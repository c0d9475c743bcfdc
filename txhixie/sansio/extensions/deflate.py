"""Raw DEFLATE with bounds for memory: the common part of the compressing extensions.

The extensions differ in what they compress, a message or a frame. A zlib object is created when it
is first needed, and freed as soon as the agreed parameters allow.
"""

from __future__ import annotations

import zlib
from typing import Final

from ..errors import BadCompression, MessageTooBig

TAIL: Final = b"\x00\x00\xff\xff"
"""End of a sync flush, which is not sent (RFC 7692 section 7.2.1)."""

LEAST_BITS: Final = 9
"""Least window bits: zlib does not support a window of 2**8 bytes for raw streams."""

MOST_BITS: Final = 15

_SMALL: Final = 4096
"""Bytes of a message up to which its compressor has a window of 2**12 bytes and memory level 5.

That takes 29 KiB instead of 256, and such a message has no more bytes to refer to."""


_MOST_LAST: Final = 100
"""Most final DEFLATE blocks in one piece of a payload. Each creates a new inflater and copies the
remaining bytes: 64 KiB of final blocks took 45 ms, and 256 KiB sixteen times as long."""


class Deflater:
    """Compressor for the payloads that one connection sends."""

    __slots__ = ("_bits", "_compressor", "_level", "_memory", "_takeover")

    def __init__(self, bits: int, level: int, memory: int, takeover: bool) -> None:
        """
        Create a compressor.

        :param bits: window of 2**bits bytes, 9 to 15.
        :param level: compression level of zlib, 1 to 9.
        :param memory: memory level of zlib, 1 to 9.
        :param takeover: whether messages refer to earlier messages: their context is then kept in
            memory.
        """
        self._bits = bits
        self._level = level
        self._memory = memory
        self._takeover = takeover
        self._compressor: zlib._Compress | None = None

    @property
    def settings(self) -> str:
        """Window bits, level and memory level, which determine the output of :meth:`once`."""
        return f"deflate {self._bits} {self._level} {self._memory}"

    @property
    def keeps_context(self) -> bool:
        """Whether messages refer to earlier messages."""
        return self._takeover

    def deflate(self, payload: bytes) -> bytes | None:
        """Compress a payload; return ``None`` when it is shorter uncompressed."""
        if not self._takeover:
            return self.once(payload)
        compressor = self._compressor or self._make(self._bits, self._memory)
        self._compressor = compressor
        deflated = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return deflated[: -len(TAIL)]

    def once(self, payload: bytes) -> bytes | None:
        """Compress a payload without context; return ``None`` when it is shorter uncompressed."""
        bits, memory = self._bits, self._memory
        if len(payload) <= _SMALL:
            bits, memory = min(bits, 12), min(memory, 5)
        compressor = self._make(bits, memory)
        deflated = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return None if len(deflated) - len(TAIL) >= len(payload) else deflated[: -len(TAIL)]

    def restart(self) -> None:
        """
        Forget the context: the peer has received a message that this compressor has not compressed.

        The next message refers to no earlier one (RFC 7692 section 7.2.1 allows it), since the
        peer's window has other bytes than the context.
        """
        self._compressor = None

    def _make(self, bits: int, memory: int) -> zlib._Compress:
        return zlib.compressobj(self._level, zlib.DEFLATED, -bits, memory)


class DeflatingTransform:
    """
    The encoding half of a transform that compresses the payloads of one connection.

    :ivar reserved: the reserved bit of the first frame of a compressed message.
    :ivar unchanged_below: messages of fewer bytes are sent uncompressed.
    """

    __slots__ = ("_deflater", "unchanged_below")

    reserved: int

    def __init__(self, deflater: Deflater | None, threshold: int) -> None:
        """
        Create a transform.

        :param deflater: the compressor; ``None`` where the agreed window is too small for zlib.
        :param threshold: messages of fewer bytes are sent uncompressed.
        """
        self._deflater = deflater
        self.unchanged_below = threshold

    def encode(self, payload: bytes, compress: bool | None) -> tuple[bytes, int]:
        """Compress a message of at least ``threshold`` bytes, or as the application asks."""
        if compress is None:
            compress = len(payload) >= self.unchanged_below
        if compress and self._deflater is not None:
            deflated = self._deflater.deflate(payload)
            if deflated is not None:
                return deflated, self.reserved
        return payload, 0

    # A message that is encoded once for many connections: extension.SharingTransform.

    @property
    def encoding(self) -> str:
        """See :attr:`txhixie.sansio.extensions.extension.SharingTransform.encoding`."""
        deflater = self._deflater
        return "" if deflater is None else f"{deflater.settings} {self.unchanged_below}"

    @property
    def keeps_context(self) -> bool:
        """See :attr:`txhixie.sansio.extensions.extension.SharingTransform.keeps_context`."""
        return self._deflater is not None and self._deflater.keeps_context

    def encode_once(self, payload: bytes, compress: bool | None) -> tuple[bytes, int]:
        """See :meth:`txhixie.sansio.extensions.extension.SharingTransform.encode_once`."""
        if compress is None:
            compress = len(payload) >= self.unchanged_below
        deflated = self._deflater.once(payload) if compress and self._deflater else None
        return (payload, 0) if deflated is None else (deflated, self.reserved)

    def restart(self) -> None:
        """See :meth:`txhixie.sansio.extensions.extension.SharingTransform.restart`."""
        if self._deflater is not None:
            self._deflater.restart()


class Inflater:
    """Decompressor for the payloads that one connection receives."""

    __slots__ = ("_bits", "_decompressor", "_takeover")

    def __init__(self, bits: int, takeover: bool) -> None:
        """
        Create a decompressor.

        :param bits: window of 2**bits bytes that the peer may use.
        :param takeover: whether the peer's messages may refer to earlier messages.
        """
        self._bits = max(bits, LEAST_BITS)
        self._takeover = takeover
        self._decompressor: zlib._Decompress | None = None

    def inflate(self, data: bytes, room: int) -> bytes:
        """
        Inflate a piece of a compressed payload.

        :param room: most bytes of the result, so that a decompression bomb never fills the memory.
        :raises MessageTooBig: when the result would be larger.
        :raises BadCompression: when the piece is not DEFLATE data.
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
                # A final block (BFINAL): other blocks may follow (RFC 7692 section 7.2.3.4).
                data = decompressor.unused_data
                self._decompressor = None
                last += 1
                if last > _MOST_LAST:
                    raise BadCompression("too many final DEFLATE blocks")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def finish(self, room: int) -> bytes:
        """Inflate the end of a message or frame, after its last piece."""
        rest = self.inflate(TAIL, room)
        if not self._takeover:
            self._decompressor = None
        return rest
