"""The framing of the Hixie drafts: text between 0x00 and 0xFF, binary as 0x80 and a length.

No frame here says whether it ends a message: each is one. The rules, and what every side did with
what it did not know, are in draft-hixie-thewebsocketprotocol-76 sections 4.2 and 5.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from itertools import chain
from typing import Final

from ..errors import FrameError, MessageTooBig, UnsupportedByDialect
from .frame import BINARY, CLOSE, CONTINUATION, SKIPPED, TEXT, Close, CloseCode, Frame, Side
from .hixie_batch import read_texts

_TEXT_TYPE: Final = 0x00
_BINARY_TYPE: Final = 0x80
_CLOSE_TYPE: Final = 0xFF
_END: Final = b"\xff"

_MOST_LENGTH_BYTES: Final = 10
"""Any number of leading 0x80 is legal and means nothing; ten bytes hold 70 bits."""

_NOTHING: Final[Iterator[Frame]] = iter(())


class HixieFraming:
    """
    One connection's codec for ``hixie-54``, ``hixie-75`` and ``hixie-76``.

    A server fails a connection at the first frame it does not know; a client reads over it, since
    the drafts tell clients to. Frames of type 0x80 are delivered as binary by both.

    :ivar has_binary: whether a 0x80 frame may be sent. Browsers of 75 and 76 drop them without a
        word, so that it takes a peer that has itself sent one, or somebody who knows.
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
        :param side: which end we are, a :class:`Side`.
        :param limit: bytes a frame's payload may have.
        :param closes: whether ``FF 00`` closes (hixie-76) or is one more unknown frame.
        :param has_binary: whether 0x80 may be sent from the start.
        """
        self._limit = limit
        self._lenient = side == Side.CLIENT
        self._closes = closes
        self.has_binary = has_binary
        self._data = b""
        self._position = 0
        self._ready = _NOTHING  # texts that were read and not taken
        self._opcode: int | None = None  # of the frame whose payload is arriving
        self._left: int | None = None  # bytes still to come of it; None: up to 0xFF
        self._size = 0  # bytes that have come of it

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
        """Read the type and length of a frame; answer whether they have come whole."""
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
            raise MessageTooBig("a length does not end")
        return False

    def _meaning(self, kind: int, length: int) -> int:
        if kind == _BINARY_TYPE:
            self.has_binary = True
            return BINARY
        return CLOSE if self._closes and kind == _CLOSE_TYPE and not length else SKIPPED

    def _piece(self, opcode: int) -> Iterator[Frame]:
        """What has come of the frame that is arriving; the last piece ends it."""
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
            raise FrameError(f"a frame of the unknown type 0x{kind:02x}")

    def _too_big(self) -> MessageTooBig:
        what = f"frame of {self._limit + 1:,} bytes or more"  # in whatever pieces it came
        return MessageTooBig(f"{what} exceeds our limit of {self._limit:,}", named=False)

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
        """
        See :meth:`txhixie.sansio.wire.frame.Framing.encode`.

        Text must be UTF-8, which holds no 0xFF.
        """
        if opcode == TEXT:
            return b"\x00%b\xff" % payload
        return b"".join(self.encode_parts(opcode, payload, final, reserved))

    def encode_parts(
        self, opcode: int, payload: bytes, final: bool = True, reserved: int = 0
    ) -> tuple[bytes, ...]:
        """See :meth:`txhixie.sansio.wire.frame.Framing.encode_parts`."""
        if opcode == TEXT:
            return b"\x00", bytes(payload), _END
        if opcode == BINARY:
            if not self.has_binary:
                raise UnsupportedByDialect(
                    "a peer of this dialect drops binary messages without a word"
                )
            return b"\x80" + encode_length(len(payload)), bytes(payload)
        raise UnsupportedByDialect("this dialect has no pings")

    def encode_close(self, close: Close) -> bytes:
        """``FF 00`` says nothing of a code or a reason; before hixie-76 there was not even that."""
        return b"\xff\x00" if self._closes else b""

    def read_close(self, payload: bytes) -> Close:
        """A close, which carries nothing."""
        return Close(CloseCode.NO_STATUS_RCVD)


def encode_length(length: int) -> bytes:
    """A length in groups of seven bits, the most significant first, the last without bit 7."""
    groups = [length & 0x7F]
    while length := length >> 7:
        groups.append(length & 0x7F | 0x80)
    return bytes(reversed(groups))
