"""The framing of hybi-07 to RFC 6455 section 5.2: two bytes, a length, a mask, a payload.

A frame that came whole is one slice. The payload of a longer one is unmasked and handed up as it
comes, so that what is above sees bad text, or too much of it, before its end.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable, Iterator
from typing import Final

from ..errors import BadText, FrameError, TooBig, UsageError
from .frame import CLOSE, CONTINUATION, MOST_CONTROL, Close, CloseCode, Frame, Opcode, Side
from .mask import mask

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

_SHORT: Final = tuple(bytes((byte,)) for byte in range(256))

_MOST_REASON: Final = 123
"""Bytes: what two bytes of code leave of a control frame (RFC 6455 section 5.5)."""

_UNSENT: Final = frozenset((1004, CloseCode.NO_STATUS, CloseCode.ABNORMAL, 1015))
"""Codes that are never on the wire (RFC 6455 section 7.4.1)."""


class ModernFraming:
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
        "_masks",
        "_now",
        "_position",
        "_strict",
        "reserved",
    )

    has_binary = True

    def __init__(
        self,
        side: str,
        limit: int,
        *,
        reserved: int = 0,
        strict_masks: bool = True,
        strict_lengths: bool = True,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """
        :param side: which end we are, a :class:`~txhixie.wire.frame.Side`.
        :param limit: bytes a frame's payload may have.
        :param reserved: the bits that extensions have taken.
        :param strict_masks: a client's frame without a mask and a server's with one are errors
            (section 5.1; before draft 15 they were not).
        :param strict_lengths: so is a length in more bytes than it needs, and a closing code
            nobody may send.
        :param entropy: takes a number, answers that many random bytes; a client's masks.
        """
        self._limit = limit
        self._masks = side == Side.CLIENT
        self._strict = (strict_masks, strict_lengths)
        self._entropy = entropy
        self._data = b""
        self._position = 0
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

    # In one piece, since each call would cost every message 0.05 us.
    def frames(self) -> Iterator[Frame]:  # noqa: PLR0912
        """See :meth:`txhixie.wire.frame.Framing.frames`."""
        while (position := self._position) < (have := len(data := self._data)):
            if self._left:
                yield self._piece()
                continue
            start = position + 2
            if start > have:
                break
            second = data[position + 1]
            size = second & 0x7F
            if size > MOST_CONTROL:
                start = position + (4 if size == 126 else 10)
                if start > have:
                    break
                size = self._long_size(size, int.from_bytes(data[position + 2 : start], "big"))
            kind = _KINDS[data[position]]
            if kind is None:
                raise FrameError(f"unknown opcode 0x{data[position] & _OPCODE:x}")
            opcode, final, reserved = kind
            if opcode >= CLOSE or reserved:
                self._check(opcode, final, reserved, size)
            if second >= _MASKED:
                key = data[start : start + 4]
                start += 4
                if start > have:
                    break
            else:
                key = b""
            if (second < _MASKED) != self._masks and self._strict[0]:
                raise FrameError("a frame with a mask" if self._masks else "a frame without a mask")
            end = start + size
            if size > self._limit:
                raise TooBig(f"a frame of more than {self._limit} bytes")
            if end <= have:
                self._position = end
                payload = data[start:end]
                yield opcode, mask(payload, key) if key else payload, final, reserved, True
            elif opcode >= CLOSE:
                break  # it has 125 bytes at most: let them come
            else:
                self._position = start
                self._left = size
                self._key = key
                self._now = kind
        self._data, self._position = self._data[self._position :], 0

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

    def _long_size(self, kind: int, size: int) -> int:
        if size >= 1 << 63:
            raise FrameError("a length with its top bit set")
        if self._strict[1] and size < (126 if kind == 126 else 65536):
            raise FrameError("a length in more bytes than it needs")
        return size

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

    def encode(self, opcode: int, payload: bytes, final: bool = True, reserved: int = 0) -> bytes:
        """See :meth:`txhixie.wire.frame.Framing.encode`."""
        first = opcode | reserved | (_FINAL if final else 0)
        size = len(payload)
        masked = _MASKED if self._masks else 0
        if size <= MOST_CONTROL:
            head = _SHORT[first] + _SHORT[size | masked]
        elif size < 65536:
            head = struct.pack(">BBH", first, 126 | masked, size)
        else:
            head = struct.pack(">BBQ", first, 127 | masked, size)
        if not masked:
            return head + payload
        key = self._entropy(4)
        return head + key + mask(payload, key)

    def encode_close(self, close: Close) -> bytes:
        """
        A close frame; an empty one for 1005, which says that there is no code.

        :raises UsageError: for a code that is never sent.
        """
        if close.code == CloseCode.NO_STATUS:
            return self.encode(CLOSE, b"")
        if not sendable(close.code):
            raise UsageError(f"{close.code} is no code that can be sent")
        return self.encode(CLOSE, struct.pack(">H", close.code) + cut(close.reason))

    def read_close(self, payload: bytes) -> Close:
        """See :meth:`txhixie.wire.frame.Framing.read_close` (section 5.5.1)."""
        if not payload:
            return Close(CloseCode.NO_STATUS)
        if len(payload) == 1:
            raise FrameError("a close with half a code")
        code = int.from_bytes(payload[:2], "big")
        if self._strict[1] and not sendable(code):
            raise FrameError(f"a close with the code {code}")
        try:
            return Close(code, payload[2:].decode())
        except UnicodeDecodeError:
            raise BadText("a close whose reason is not UTF-8") from None


def sendable(code: int) -> bool:
    """Whether a closing code may be on the wire (RFC 6455 section 7.4 and its registry)."""
    return (1000 <= code <= 1014 and code not in _UNSENT) or 3000 <= code <= 4999


def cut(reason: str) -> bytes:
    """A reason as UTF-8, cut at 123 bytes where a character ends."""
    encoded = reason.encode("utf-8", "replace")
    return encoded[:_MOST_REASON].decode("utf-8", "ignore").encode()
