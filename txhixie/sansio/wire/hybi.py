"""Framing of hybi-07 to RFC 6455 (section 5.2): two bytes, a length, a masking key, a payload.

A complete frame is one slice of the buffer. The payload of an incomplete frame is unmasked and
delivered in pieces, so that the conversation finds invalid UTF-8, or a message that is too big,
before the end of the frame.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from copy import copy
from itertools import chain
from typing import Final

from ..errors import FrameError, InvalidUTF8, MessageTooBig, UsageError
from .frame import (
    CLOSE,
    CONTINUATION,
    MOST_CONTROL,
    TEXT,
    Close,
    CloseCode,
    Frame,
    MessageReader,
    Opcode,
    Side,
)
from .hybi_batch import frame_header, read_plain, write_plain
from .mask import mask
from .mask_keys import random_bytes
from .message_batch import message_reader, write_text

_encode: Final = str.encode

_FINAL: Final = 0x80
_CLOSE_BYTE: Final = _FINAL | CLOSE
_RESERVED: Final = 0x70
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80

_KNOWN: Final = frozenset(
    (Opcode.CONTINUATION, Opcode.TEXT, Opcode.BINARY, Opcode.CLOSE, Opcode.PING, Opcode.PONG)
)

_KINDS: Final = tuple(
    (byte & _OPCODE, byte >= _FINAL, byte & _RESERVED) if byte & _OPCODE in _KNOWN else None
    for byte in range(256)
)
"""Meaning of each first byte of a frame; ``None`` for an unknown opcode. A lookup is 0.1 us faster
than computing the meaning."""

_TOP_BIT: Final = 1 << 63

_NOTHING: Final[Iterator[Frame]] = iter(())

_MOST_REASON: Final = 123
"""Most bytes of a close reason: a control frame has 125, the code 2 (RFC 6455 section 5.5)."""

_USUAL: Final = {
    struct.pack(">H", code): Close(code)
    for code in (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY)
}
"""The close frames of nearly all clients, by their payloads: without a reason."""

_USUAL_FRAMES: Final = {
    close: write_plain(CLOSE, payload, True, 0) for payload, close in _USUAL.items()
}
"""The close frames with which a server answers these."""

_UNSENT: Final = frozenset((1004, CloseCode.NO_STATUS_RCVD, CloseCode.ABNORMAL_CLOSURE, 1015))
"""Close codes that are never sent in a frame (RFC 6455 section 7.4.1)."""


class HybiFraming:
    """
    Codec of one connection in ``hybi-07``, ``hybi-08`` or ``rfc6455``.

    :ivar has_binary: always ``True``: each of these dialects has binary messages.
    :ivar reserved: the reserved bits of data frames that extensions use; all other reserved bits,
        and those of control frames, must be 0 (section 5.2).
    """

    __slots__ = (
        "_data",
        "_entropy",
        "_key",
        "_left",
        "_limit",
        "_now",
        "_position",
        "_ready",
        "_strict_codes",
        "_strict_masks",
        "_transformed_limit",
        "reserved",
    )

    has_binary = True

    def __init__(
        self,
        side: str,
        limit: int,
        *,
        reserved: int = 0,
        transformed_limit: int = 0,
        strict_masks: bool = True,
        strict_codes: bool = True,
        entropy: Callable[[int], bytes] = random_bytes,
    ) -> None:
        """
        Create the codec of one connection.

        :param side: our side of the connection, a :class:`txhixie.sansio.wire.frame.Side`.
        :param limit: most bytes of a frame's payload.
        :param reserved: the reserved bits that extensions use.
        :param transformed_limit: most bytes of a frame's payload as an extension encodes it;
            ``limit``, if that is more.
        :param strict_masks: whether an unmasked frame of a client and a masked frame of a server
            are errors (section 5.1; before draft 15 they were not).
        :param strict_codes: whether a close code that may not be sent is an error.
        :param entropy: takes a number and returns that many random bytes, for masking keys.
        """
        self._limit = limit
        self._transformed_limit = max(limit, transformed_limit)
        self._strict_masks = strict_masks
        self._strict_codes = strict_codes
        self._entropy = entropy if side == Side.CLIENT else None  # only clients mask
        self._data = b""
        self._position = 0
        self._ready = _NOTHING  # frames that were read and not yielded
        self._left = 0  # bytes missing of the payload of the incomplete frame
        self._key = b""  # its masking key, rotated to the next byte; empty for an unmasked frame
        self._now = (0, True, 0)  # its first byte; after the first piece, that of a continuation
        self.reserved = reserved

    def feed(self, data: bytes) -> None:
        """
        Buffer received bytes, without reading them.

        Bytes of earlier reads are at most a frame header, or the frames left over by a pause.
        """
        if self._position < len(self._data):
            data = self._data[self._position :] + data
        self._data = data
        self._position = 0

    def restore(self, data: bytes, position: int) -> None:
        """Buffer ``data`` from ``position`` on before the buffered bytes."""
        if self._position < len(self._data):
            data, position = data[position:] + self._data[self._position :], 0
        self._data, self._position = data, position

    @property
    def messages(self) -> MessageReader:
        """See :attr:`txhixie.sansio.wire.frame.Framing.messages`."""
        return message_reader(self._limit, self._entropy is None)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames of the buffered bytes."""
        return chain.from_iterable(self._batches())

    def _batches(self) -> Iterator[Iterator[Frame]]:
        """
        Yield iterators over frames.

        Iterators, not lists: the iterator in ``_ready`` has exactly the frames not yielded yet.
        """
        masked, limit = self._entropy is None, self._limit
        yield self._ready
        while self._position < len(self._data):
            data, position = self._data, self._position
            if self._left:
                yield iter((self._piece(),))
                continue
            # The fast path, for nearly every frame; begin() reads all other frames.
            frames, self._position = read_plain(data, position, limit, masked)
            if frames:
                self._ready = iter(frames)
                yield self._ready
            elif (frame := self.begin(data, position, len(data))) is not None:
                yield iter((frame,))
            elif not self._left:
                break
        self._ready = _NOTHING
        self._data, self._position = self._data[self._position :], 0

    def begin(self, data: bytes, position: int, have: int) -> Frame | None:
        """
        Read the frame header at ``position``.

        :return: the frame, if it is complete. ``None`` with ``_left`` above 0, if the payload is
            delivered in pieces. ``None`` with ``_left`` 0, if more bytes are needed.
        """
        start = position + 2
        if start > have:
            return None
        second = data[position + 1]
        size = second & 0x7F
        if size > MOST_CONTROL:
            start += 2 if size == 126 else 8
            if start > have:
                return None
            # The length may have more bytes than it needs: section 5.2 forbids this to senders
            # only. websocket-client 0.7 to 0.12 does it for 125 bytes; most servers accept it.
            size = int.from_bytes(data[position + 2 : start], "big")
            if size >= _TOP_BIT:
                raise FrameError("the most significant bit of a 64-bit payload length must be 0")
        kind = _KINDS[data[position]]
        if kind is None:
            raise FrameError(f"unknown opcode 0x{data[position] & _OPCODE:x}")
        opcode, final, reserved = kind
        self._check(opcode, final, reserved, size)
        if self._strict_masks and (second < _MASKED) == (self._entropy is None):
            raise FrameError(
                "client frames must be masked"
                if second < _MASKED
                else "server frames must not be masked"
            )
        limit = self._limit
        if reserved or (self.reserved and opcode == CONTINUATION):
            limit = self._transformed_limit  # the decoded message has a limit of its own
        if size > limit:
            raise MessageTooBig(
                f"frame of {size:,} bytes exceeds our limit of {limit:,}", named=False
            )
        if second >= _MASKED:
            start += 4
        end = start + size
        if start > have or (opcode >= CLOSE and end > have):
            return None  # a control frame is short (at most 125 bytes), so it is read whole
        if end > have:
            self._position = start
            self._left = size
            self._key = data[start - 4 : start] if second >= _MASKED else b""
            self._now = kind
            return None
        self._position = end
        payload = data[start:end]
        if second >= _MASKED:
            payload = mask(payload, data[start - 4 : start])
        return opcode, payload, final, reserved, True

    def _piece(self) -> Frame:
        """Return the received part of the incomplete frame."""
        data, start = self._data, self._position
        end = min(len(data), start + self._left)
        opcode, _, reserved = self._now
        # No second slice: it copies, and for 64 KiB the copy is most of the cost of masking in C.
        payload = mask(memoryview(data)[start:end], self._key) if self._key else data[start:end]
        self._position = end
        final, whole = self.advance(end - start)
        return opcode, payload, final, reserved, whole

    @property
    def missing(self) -> tuple[int, bytes]:
        """See :attr:`txhixie.sansio.wire.frame.Framing.missing`."""
        return (self._left if self._position >= len(self._data) else 0), self._key

    def advance(self, count: int) -> tuple[bool, bool]:
        """Skip bytes of the incomplete frame."""
        _, final, _ = self._now
        turn = count & 3
        self._key = self._key[turn:] + self._key[:turn]
        self._left -= count
        self._now = (CONTINUATION, final, 0)
        return final, not self._left

    def _check(self, opcode: int, final: bool, reserved: int, size: int) -> None:
        """Check the rules for control frames and reserved bits (sections 5.5 and 5.2)."""
        if opcode < CLOSE:
            if reserved & ~self.reserved:
                raise FrameError("reserved bits must be 0")
        elif reserved:
            raise FrameError("reserved bits of a control frame must be 0")
        elif not final:
            raise FrameError("fragmented control frame")
        elif size > MOST_CONTROL:
            raise FrameError("control frame payload longer than 125 bytes")

    def ahead(self) -> Iterator[Frame]:
        """Yield the same frames as :meth:`frames`, without removing them."""
        twin = copy(self)
        twin._ready = copy(self._ready)  # noqa: SLF001 (its own)
        return twin.frames()

    def release(self) -> None:
        """Discard the buffered bytes: no frame is read any more."""
        self._data, self._position, self._ready = b"", 0, _NOTHING

    @property
    def waiting(self) -> int:
        """The number of buffered bytes."""
        ready = sum(len(payload) for _, payload, *_ in copy(self._ready))
        return ready + len(self._data) - self._position

    @property
    def is_between_frames(self) -> bool:
        """Whether the next received byte is the first one of a frame."""
        return not self._left and self._position >= len(self._data)

    def encoding(self, opcode: int) -> str:
        """Return the same name for all servers; a client masks each frame with another key."""
        return "hybi" if self._entropy is None else ""

    def encode(self, opcode: int, payload: bytes, final: bool = True, reserved: int = 0) -> bytes:
        """Return the bytes of one frame."""
        if self._entropy is None:
            return write_plain(opcode, payload, final, reserved)
        return write_plain(opcode, payload, final, reserved, self._entropy(4))

    def encode_text(self, text: str) -> bytes:
        """Return the bytes of the frame of a text message."""
        if self._entropy is None:
            return write_text(text)
        return write_plain(TEXT, _encode(text), True, 0, self._entropy(4))

    def encode_parts(
        self, opcode: int, payload: bytes, final: bool = True, reserved: int = 0
    ) -> tuple[bytes, ...]:
        """Return the bytes of one frame in parts."""
        first = opcode | reserved | _FINAL if final else opcode | reserved
        payload = bytes(payload)  # copies only an object that is not bytes
        if self._entropy is None:
            return frame_header(first, len(payload), 0), payload
        key = self._entropy(4)
        return frame_header(first, len(payload), _MASKED) + key, mask(payload, key)

    def encode_close(self, close: Close) -> bytes:
        """
        Return the bytes of a close frame; its payload is empty for 1005, which means "no code".

        :raises UsageError: for a code that may not be sent.
        """
        if close.code == CloseCode.NO_STATUS_RCVD:
            return self.encode(CLOSE, b"")
        if not sendable(close.code):
            raise UsageError(f"close code {close.code} cannot be sent; send 1000 or 3000 to 4999")
        return self.encode(CLOSE, struct.pack(">H", close.code) + cut(close.reason))

    def read_close(self, payload: bytes) -> Close:
        """Read the payload of a close frame (section 5.5.1)."""
        if (usual := _USUAL.get(payload)) is not None:
            return usual
        if not payload:
            return Close(CloseCode.NO_STATUS_RCVD)
        if len(payload) == 1:
            raise FrameError("close frame payload of 1 byte")
        code = int.from_bytes(payload[:2], "big")
        if self._strict_codes and not sendable(code):
            raise FrameError(f"invalid close code {code}")
        try:
            return Close(code, payload[2:].decode())
        except UnicodeDecodeError:
            raise InvalidUTF8("invalid UTF-8 in a close reason") from None


class ServerFraming(HybiFraming):
    """Codec of a server's connection: a server does not mask, so ``encode`` is one function."""

    __slots__ = ()

    encode = staticmethod(write_plain)
    encode_text = staticmethod(write_text)

    def encode_close(self, close: Close) -> bytes:
        """See :meth:`HybiFraming.encode_close`."""
        return _USUAL_FRAMES.get(close) or super().encode_close(close)


def only_close(data: bytes) -> bytes | None:
    """
    Return the payload of a client's close frame that is all of ``data``.

    :return: ``None`` for all other bytes, also those that break a rule.
    """
    size = len(data) - 6  # a header with a masking key
    if not 0 <= size <= MOST_CONTROL or data[0] != _CLOSE_BYTE or data[1] != size + _MASKED:
        return None
    return mask(data[6:], data[2:6])


def sendable(code: int) -> bool:
    """Whether a close code may be sent in a frame (RFC 6455 section 7.4 and its registry)."""
    return (1000 <= code <= 1014 and code not in _UNSENT) or 3000 <= code <= 4999


def cut(reason: str) -> bytes:
    """Return a close reason as UTF-8, truncated to 123 bytes at the end of a character."""
    encoded = reason.encode("utf-8", "replace")
    return encoded[:_MOST_REASON].decode("utf-8", "ignore").encode()
