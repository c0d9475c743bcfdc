"""The framing of hybi-07 to RFC 6455 section 5.2: two bytes, a length, a mask, a payload.

A frame that came whole is one slice. The payload of a longer one is unmasked and handed up as it
comes, so that what is above sees bad text, or too much of it, before its end.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from copy import copy
from itertools import chain
from typing import Final

from ..errors import FrameError, InvalidUTF8, MessageTooBig, UsageError
from .frame import CLOSE, CONTINUATION, MOST_CONTROL, Close, CloseCode, Frame, Opcode, Side
from .hybi_batch import read_plain, write_plain
from .mask import mask, unmask
from .mask_keys import random_bytes

_FINAL: Final = 0x80
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
"""What a first byte says; ``None`` for an unknown opcode. Looked up, not computed: 0.1 us less."""

_TOP_BIT: Final = 1 << 63

_pack_16: Final = struct.Struct(">BBH").pack
_pack_64: Final = struct.Struct(">BBQ").pack

_NOTHING: Final[Iterator[Frame]] = iter(())

_MOST_REASON: Final = 123
"""Bytes: what two bytes of code leave of a control frame (RFC 6455 section 5.5)."""

_UNSENT: Final = frozenset((1004, CloseCode.NO_STATUS_RCVD, CloseCode.ABNORMAL_CLOSURE, 1015))
"""Codes that are never on the wire (RFC 6455 section 7.4.1)."""


class HybiFraming:
    """
    One connection's codec for ``hybi-07``, ``hybi-08`` and ``rfc6455``.

    :ivar has_binary: there is binary in all of them.
    :ivar reserved: the reserved bits of a data frame that extensions have taken; the others, and
        all of a control frame, must be zero (section 5.2).
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
        :param side: which end we are, a :class:`txhixie.sansio.wire.frame.Side`.
        :param limit: bytes a frame's payload may have.
        :param reserved: the bits that extensions have taken.
        :param transformed_limit: bytes of payload in a frame that an extension has made what it is;
            ``limit``, if that is more.
        :param strict_masks: a client's frame without a mask and a server's with one are errors
            (section 5.1; before draft 15 they were not).
        :param strict_codes: a closing code that nobody may send is an error.
        :param entropy: takes a number, answers that many random bytes; a client's masks.
        """
        self._limit = limit
        self._transformed_limit = max(limit, transformed_limit)
        self._strict_masks = strict_masks
        self._strict_codes = strict_codes
        self._entropy = entropy if side == Side.CLIENT else None  # who has it, masks
        self._data = b""
        self._position = 0
        self._ready = _NOTHING  # frames that were read and not taken
        self._left = 0  # bytes still to come of the payload that is arriving
        self._key = b""  # its mask, turned to the next of them; empty: it has none
        self._now = (0, True, 0)  # what its first byte said; after its first piece, a continuation
        self.reserved = reserved

    def feed(self, data: bytes) -> None:
        """Take what was received. What is left over is at most a header, or what a pause left."""
        if self._position < len(self._data):
            data = self._data[self._position :] + data
        self._data = data
        self._position = 0

    def frames(self) -> Iterator[Frame]:
        """See :meth:`txhixie.sansio.wire.frame.Framing.frames`."""
        return chain.from_iterable(self._batches())

    def _batches(self) -> Iterator[Iterator[Frame]]:
        """Iterators, not lists: in the one in ``_ready`` is what nobody has taken yet."""
        masked, limit = self._entropy is None, self._limit
        yield self._ready
        while self._position < len(self._data):
            data, position = self._data, self._position
            if self._left:
                yield iter((self._piece(),))
                continue
            # The short way, of nearly every message. What is otherwise is looked at in _begin.
            frames, self._position = read_plain(data, position, limit, masked)
            if frames:
                self._ready = iter(frames)
                yield self._ready
            elif (frame := self._begin(data, position, len(data))) is not None:
                yield iter((frame,))
            elif not self._left:
                break
        self._ready = _NOTHING
        self._data, self._position = self._data[self._position :], 0

    def _begin(self, data: bytes, position: int, have: int) -> Frame | None:
        """
        Read the header at ``position``. Answer the frame, if it is here whole; else, if its payload
        is to be handed up in pieces, say so in ``_left``; else wait.
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
            # Maybe in more bytes than it needs, which section 5.2 forbids to senders alone:
            # websocket-client 0.7 to 0.12 sends messages of 125 bytes so, and most servers take it.
            size = int.from_bytes(data[position + 2 : start], "big")
            if size >= _TOP_BIT:
                raise FrameError("a length with its top bit set")
        kind = _KINDS[data[position]]
        if kind is None:
            raise FrameError(f"unknown opcode 0x{data[position] & _OPCODE:x}")
        opcode, final, reserved = kind
        self._check(opcode, final, reserved, size)
        if self._strict_masks and (second < _MASKED) == (self._entropy is None):
            raise FrameError("a frame with" + ("out a mask" if second < _MASKED else " a mask"))
        limit = self._limit
        if reserved or (self.reserved and opcode == CONTINUATION):
            limit = self._transformed_limit  # the message has its own, as it is meant
        if size > limit:
            raise MessageTooBig(
                f"frame of {size:,} bytes exceeds our limit of {limit:,}", named=False
            )
        if second >= _MASKED:
            start += 4
        end = start + size
        if start > have or (opcode >= CLOSE and end > have):
            return None  # a control frame has 125 bytes at most: let them come
        if end > have:
            self._position = start
            self._left = size
            self._key = data[start - 4 : start] if second >= _MASKED else b""
            self._now = kind
            return None
        self._position = end
        payload = unmask(data, start, end) if second >= _MASKED else data[start:end]
        return opcode, payload, final, reserved, True

    def _piece(self) -> Frame:
        """What has come of the payload that is arriving."""
        data, start = self._data, self._position
        end = min(len(data), start + self._left)
        size = end - start
        opcode, final, reserved = self._now
        # Slicing copies, and for 64 KiB that is most of what masking in C costs.
        payload = data[start:end] if not self._key else self._unmasked(data, start, end)
        self._position = end
        self._left -= size
        self._now = (CONTINUATION, final, 0)
        return opcode, payload, final, reserved, not self._left

    def _unmasked(self, data: bytes, start: int, end: int) -> bytes:
        key = self._key
        turn = (end - start) & 3
        self._key = key[turn:] + key[:turn]
        return mask(memoryview(data)[start:end], key)

    def _check(self, opcode: int, final: bool, reserved: int, size: int) -> None:
        """Control frames, and reserved bits (section 5.5 and 5.2)."""
        if opcode < CLOSE:
            if reserved & ~self.reserved:
                raise FrameError("a reserved bit that no extension has taken")
        elif reserved:
            raise FrameError("a reserved bit in a control frame")
        elif not final:
            raise FrameError("a control frame in fragments")
        elif size > MOST_CONTROL:
            raise FrameError("a control frame of more than 125 bytes")

    def ahead(self) -> Iterator[Frame]:
        """See :meth:`txhixie.sansio.wire.frame.Framing.ahead`."""
        twin = copy(self)
        twin._ready = copy(self._ready)  # noqa: SLF001 (its own)
        return twin.frames()

    @property
    def waiting(self) -> int:
        """See :meth:`txhixie.sansio.wire.frame.Framing.waiting`."""
        ready = sum(len(payload) for _, payload, *_ in copy(self._ready))
        return ready + len(self._data) - self._position

    def encode(self, opcode: int, payload: bytes, final: bool = True, reserved: int = 0) -> bytes:
        """See :meth:`txhixie.sansio.wire.frame.Framing.encode`."""
        if self._entropy is None:
            return write_plain(opcode, payload, final, reserved)
        first = opcode | reserved | _FINAL if final else opcode | reserved
        key = self._entropy(4)
        return _header(first, len(payload), _MASKED) + key + mask(payload, key)

    def encode_parts(
        self, opcode: int, payload: bytes, final: bool = True, reserved: int = 0
    ) -> tuple[bytes, ...]:
        """See :meth:`txhixie.sansio.wire.frame.Framing.encode_parts`."""
        first = opcode | reserved | _FINAL if final else opcode | reserved
        payload = bytes(payload)  # a copy of whatever is none yet
        if self._entropy is None:
            return _header(first, len(payload), 0), payload
        key = self._entropy(4)
        return _header(first, len(payload), _MASKED) + key, mask(payload, key)

    def encode_close(self, close: Close) -> bytes:
        """
        A close frame; an empty one for 1005, which says that there is no code.

        :raises UsageError: for a code that is never sent.
        """
        if close.code == CloseCode.NO_STATUS_RCVD:
            return self.encode(CLOSE, b"")
        if not sendable(close.code):
            raise UsageError(f"{close.code} is no code that can be sent")
        return self.encode(CLOSE, struct.pack(">H", close.code) + cut(close.reason))

    def read_close(self, payload: bytes) -> Close:
        """See :meth:`txhixie.sansio.wire.frame.Framing.read_close` (section 5.5.1)."""
        if not payload:
            return Close(CloseCode.NO_STATUS_RCVD)
        if len(payload) == 1:
            raise FrameError("a close with half a code")
        code = int.from_bytes(payload[:2], "big")
        if self._strict_codes and not sendable(code):
            raise FrameError(f"a close with the code {code}")
        try:
            return Close(code, payload[2:].decode())
        except UnicodeDecodeError:
            raise InvalidUTF8("a close whose reason is not UTF-8") from None


class ServerFraming(HybiFraming):
    """A server's, whose ``encode`` is one function: nothing that it sends has a mask."""

    __slots__ = ()

    encode = staticmethod(write_plain)


def _header(first: int, size: int, masked: int) -> bytes:
    """What stands before the mask or the payload: the first byte, and the length."""
    if size <= MOST_CONTROL:
        return bytes((first, size | masked))
    if size < 65536:
        return _pack_16(first, 126 | masked, size)
    return _pack_64(first, 127 | masked, size)


def sendable(code: int) -> bool:
    """Whether a closing code may be on the wire (RFC 6455 section 7.4 and its registry)."""
    return (1000 <= code <= 1014 and code not in _UNSENT) or 3000 <= code <= 4999


def cut(reason: str) -> bytes:
    """A reason as UTF-8, cut at 123 bytes where a character ends."""
    encoded = reason.encode("utf-8", "replace")
    return encoded[:_MOST_REASON].decode("utf-8", "ignore").encode()
