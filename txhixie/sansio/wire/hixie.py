"""Framing of the Hixie drafts: text between 0x00 and 0xFF, binary after 0x80 and a length.

Each frame is a whole message. draft-hixie-thewebsocketprotocol-76 has the rules in sections 4.2 and
5.3, including those for unknown frame types.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from itertools import chain
from typing import Final

from ..errors import FrameError, MessageTooBig, UnsupportedByDialect
from .frame import (
    BINARY,
    CLOSE,
    CONTINUATION,
    SKIPPED,
    TEXT,
    Close,
    CloseCode,
    Frame,
    MessageReader,
    Side,
)
from .hixie_batch import read_texts
from .message_batch import text_message_reader, write_hixie_text

_TEXT_TYPE: Final = 0x00
_BINARY_TYPE: Final = 0x80
_CLOSE_TYPE: Final = 0xFF

CLOSE_FRAME: Final = b"\xff\x00"
"""The close frame of hixie-76."""

_END: Final = b"\xff"

_MOST_LENGTH_BYTES: Final = 10
"""Most bytes of a frame length: 70 bits. Leading 0x80 bytes are legal and mean nothing."""

_NOTHING: Final[Iterator[Frame]] = iter(())


class HixieFraming:
    """
    Codec of one connection in ``hixie-54``, ``hixie-75`` or ``hixie-76``.

    A server fails the connection at the first frame of an unknown type; a client discards the
    frame, as the drafts require. Both deliver frames of type 0x80 as binary messages.

    :ivar has_binary: whether a frame of type 0x80 may be sent. Browsers of hixie-75 and hixie-76
        drop these frames silently. So they are sent only after the peer has sent one, or where the
        application has asked for binary messages.
    """

    __slots__ = (
        "_closes",
        "_data",
        "_left",
        "_lenient",
        "_limit",
        "_opcode",
        "_position",
        "_ready",
        "_size",
        "has_binary",
    )

    def __init__(self, side: str, limit: int, *, closes: bool, has_binary: bool) -> None:
        """
        Create the codec of one connection.

        :param side: our side of the connection, a :class:`Side`.
        :param limit: most bytes of a frame's payload.
        :param closes: whether ``FF 00`` is the close frame (hixie-76) or a frame of unknown type.
        :param has_binary: whether frames of type 0x80 may be sent from the start.
        """
        self._limit = limit
        self._lenient = side == Side.CLIENT
        self._closes = closes
        self.has_binary = has_binary
        self._data = b""
        self._position = 0
        self._ready = _NOTHING  # text frames that were read and not yielded
        self._opcode: int | None = None  # opcode of the incomplete frame, if there is one
        self._left: int | None = None  # bytes missing of its payload; None: up to 0xFF
        self._size = 0  # bytes received of its payload

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
        return text_message_reader(self._limit)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames of the buffered bytes."""
        return chain.from_iterable(self._batches())

    def _batches(self) -> Iterator[Iterator[Frame]]:
        """
        Yield iterators over frames.

        Iterators, not lists: the iterator in ``_ready`` has exactly the frames not yielded yet.
        """
        yield self._ready
        while (position := self._position) < len(data := self._data):
            if self._opcode is not None:
                yield self._piece(self._opcode)
            elif data[position] == _TEXT_TYPE:
                frames, self._position = read_texts(data, position, self._limit)
                if frames:
                    self._ready = iter(frames)
                    yield self._ready
                elif data.find(_END, position) < 0:
                    self._begin(TEXT, None, position + 1)
                else:
                    raise self._too_big()
            elif data[position] < _BINARY_TYPE:
                self._unknown(data[position])
                self._begin(SKIPPED, None, position + 1)
            elif not self._begin_sized(data[position]):
                break
            elif self._left == 0 and self._opcode is not None:
                yield self._piece(self._opcode)
        self._ready = _NOTHING
        self._data, self._position = self._data[self._position :], 0

    def _begin(self, opcode: int, left: int | None, position: int) -> None:
        self._opcode = opcode
        self._left = left
        self._size = 0
        self._position = position

    def _begin_sized(self, kind: int) -> bool:
        """Read the type and length of a frame; return whether both are complete."""
        if kind != _BINARY_TYPE and not (kind == _CLOSE_TYPE and self._closes):
            self._unknown(kind)
        length = 0
        start = self._position + 1
        for index, byte in enumerate(self._data[start : start + _MOST_LENGTH_BYTES]):
            length = length << 7 | byte & 0x7F
            if length and kind == _CLOSE_TYPE:
                self._unknown(kind)
            if length > self._limit:
                raise self._too_big()
            if byte < 0x80:
                self._begin(self._meaning(kind, length), length, start + index + 1)
                return True
        if len(self._data) - start >= _MOST_LENGTH_BYTES:
            raise MessageTooBig("frame length of more than 10 bytes")
        return False

    def _meaning(self, kind: int, length: int) -> int:
        if kind == _BINARY_TYPE:
            self.has_binary = True
            return BINARY
        return CLOSE if self._closes and kind == _CLOSE_TYPE and not length else SKIPPED

    def _piece(self, opcode: int) -> Iterator[Frame]:
        """Yield the received part of the incomplete frame, which the last part completes."""
        position, data = self._position, self._data
        if self._left is None:
            end = data.find(_END, position)
            done, after = end >= 0, end + 1
            if not done:
                end = after = len(data)
        else:
            end = after = min(len(data), position + self._left)
            self._left -= end - position
            done = self._left == 0
        first = self._size == 0
        self._size += end - position
        if self._size > self._limit:
            raise self._too_big()
        self._position = after
        self._opcode = None if done else opcode
        if opcode == SKIPPED:
            yield SKIPPED, b"", True, 0, True
        else:
            yield opcode if first else CONTINUATION, data[position:end], done, 0, done

    def _unknown(self, kind: int) -> None:
        if not self._lenient:
            raise FrameError(f"unknown frame type 0x{kind:02x}")

    def _too_big(self) -> MessageTooBig:
        # The text does not depend on how many bytes of the frame were received together.
        what = f"frame of {self._limit + 1:,} bytes or more"
        return MessageTooBig(f"{what} exceeds our limit of {self._limit:,}", named=False)

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

    missing = (0, b"")
    """No long payload: text ends with a byte, and frames with a length are discarded."""

    def advance(self, count: int) -> tuple[bool, bool]:
        """Not called: :attr:`missing` is 0."""
        raise NotImplementedError

    @property
    def is_between_frames(self) -> bool:
        """Whether the next received byte is the first one of a frame."""
        return self._opcode is None and self._position >= len(self._data)

    def encoding(self, opcode: int) -> str:
        """Return another name for binary messages, which only some peers receive."""
        return "hixie" if opcode == TEXT else "hixie-binary"

    def encode(self, opcode: int, payload: bytes, final: bool = True, reserved: int = 0) -> bytes:
        """
        See :meth:`txhixie.sansio.wire.frame.Framing.encode`.

        Text must be UTF-8, which holds no 0xFF.
        """
        if opcode == TEXT:
            return b"\x00%b\xff" % payload
        return b"".join(self.encode_parts(opcode, payload, final, reserved))

    encode_text = staticmethod(write_hixie_text)

    def encode_parts(
        self, opcode: int, payload: bytes, final: bool = True, reserved: int = 0
    ) -> tuple[bytes, ...]:
        """Return the bytes of one frame in parts."""
        if opcode == TEXT:
            return b"\x00", bytes(payload), _END
        if opcode == BINARY:
            if not self.has_binary:
                raise UnsupportedByDialect("peers of this dialect drop binary messages; send text")
            return b"\x80" + encode_length(len(payload)), bytes(payload)
        raise UnsupportedByDialect("this dialect has no ping frames")

    def encode_close(self, close: Close) -> bytes:
        """Return ``FF 00``, without code or reason; no bytes in a dialect before hixie-76."""
        return CLOSE_FRAME if self._closes else b""

    def read_close(self, payload: bytes) -> Close:
        """Return a close without a code and a reason."""
        return Close(CloseCode.NO_STATUS_RCVD)


def encode_length(length: int) -> bytes:
    """Return a length in groups of 7 bits, most significant first, the last without bit 7."""
    groups = [length & 0x7F]
    while length := length >> 7:
        groups.append(length & 0x7F | 0x80)
    return bytes(reversed(groups))
