"""Trace of one connection, as readable lines: heads, frames, and the first error.

A trace shows as much as possible: its limits are large, and unknown protocols are shown as bytes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Final

from ..sansio.dialects import Dialect, recognise
from ..sansio.errors import FrameError, HixieError
from ..sansio.http.head import Head, HeadReader, RequestReader, read_request
from ..sansio.http.redaction import masked_lines
from ..sansio.limits import Limits
from ..sansio.wire.frame import (
    CLOSE,
    OPCODE_NAMES,
    SKIPPED,
    TEXT,
    CloseCode,
    Framing,
    Side,
)

_MOST: Final = 64
_RESERVED: Final = 0x70
_LIMITS: Final = Limits(head_size=1 << 20, message_size=1 << 40)


class Trace:
    """
    Trace of one connection, from its first byte.

    Call :meth:`passed` for each read of either side.

    :ivar lines: all lines so far.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._dialect: Dialect | None = None
        most = _LIMITS.head_size
        self._directions = {
            Side.CLIENT: _TracedSide(RequestReader(most), self._request),
            Side.SERVER: _TracedSide(HeadReader(most), self._answer),
        }

    def passed(self, side: str, data: bytes) -> list[str]:
        """
        Trace bytes that were sent by one side.

        :param side: the sender, ``"client"`` or ``"server"``.
        :param data: the bytes.
        :return: a line for each line of a head and each frame that is now complete.
        """
        lines = [f"{side}  {line}" for line in self._directions[side].read(data)]
        self.lines += lines
        return lines

    def _request(self, head: Head) -> tuple[int, Framing | None]:
        self._dialect = recognise(read_request(head))
        if self._dialect is None:
            return 0, None
        return self._dialect.handshake.offer_body(), _framing(self._dialect, Side.SERVER)

    def _answer(self, head: Head) -> tuple[int, Framing | None]:
        if self._dialect is None or head.start_line.split(b" ")[1:2] != [b"101"]:
            return 0, None
        return self._dialect.handshake.agreement_body(), _framing(self._dialect, Side.CLIENT)


def _framing(row: Dialect, side: str) -> Framing:
    """Return the codec that one side would use to read."""
    return row.framing(side, _LIMITS, True, _RESERVED if row.has_codes else 0, secrets.token_bytes)


class _TracedSide:
    """One direction of a connection: a head, the bytes of the handshake, and then frames or
    bytes."""

    def __init__(
        self, head: HeadReader, began: Callable[[Head], tuple[int, Framing | None]]
    ) -> None:
        """
        Create a direction.

        :param head: reader of the head.
        :param began: called with the head; returns the number of handshake bytes after it, and the
            codec for the bytes after these.
        """
        self._began = began
        self._head: HeadReader | None = head
        self._body = b""
        self._left = 0
        self._framing: Framing | None = None
        self._pieces: list[bytes] = []
        self._first = (0, 0)

    def read(self, data: bytes) -> Iterator[str]:
        try:
            yield from self._read(data)
        except HixieError as error:
            yield f"broken: {error}"
            self._head = self._framing = None

    def _read(self, data: bytes) -> Iterator[str]:
        if self._head is not None:
            found = self._head.read(data)
            if found is None:
                return
            head, data = found
            self._head = None
            yield from masked_lines(head)
            self._left, self._framing = self._began(head)
        if self._left:
            taken, data = data[: self._left], data[self._left :]
            self._body += taken
            self._left -= len(taken)
            if self._left:
                return
            yield f"{len(self._body)} bytes {self._body.hex(' ')}"
        if data and self._framing is None:
            yield f"{len(data)} bytes {_cut(data.hex(' '))}"
        elif data and self._framing is not None:
            self._framing.feed(data)
            yield from self._frames(self._framing)

    def _frames(self, framing: Framing) -> Iterator[str]:
        for opcode, payload, final, reserved, whole in framing.frames():
            if opcode == SKIPPED:
                continue
            if not self._pieces:
                self._first = (opcode, reserved)
            self._pieces.append(payload)
            if whole:
                whole_payload = b"".join(self._pieces)
                self._pieces.clear()
                yield _frame_line(framing, *self._first, whole_payload, final)


def _frame_line(framing: Framing, opcode: int, reserved: int, payload: bytes, final: bool) -> str:
    name = OPCODE_NAMES.get(opcode, f"opcode {opcode}")
    more = "" if final else ", more to come"
    if reserved:
        return f"{name}, reserved bits {reserved >> 4:03b}, {len(payload)} bytes{more}"
    if opcode == CLOSE:
        return f"close {_close(framing, payload)}"
    if opcode == TEXT:
        try:
            return f"text {_cut(ascii(payload.decode()))}{more}"
        except UnicodeDecodeError:
            pass  # hexadecimal digits show what is wrong with it
    return f"{name} {len(payload)} bytes {_cut(payload.hex(' '))}".rstrip() + more


def _close(framing: Framing, payload: bytes) -> str:
    try:
        close = framing.read_close(payload)
    except FrameError as error:
        return f"broken: {error}"
    if close.code == CloseCode.NO_STATUS_RCVD:
        return "without a code"
    return f"{close.code} {ascii(close.reason) if close.reason else ''}".rstrip()


def _cut(text: str) -> str:
    return text if len(text) <= _MOST else text[:_MOST] + "..."
