"""Messages to frames and back, for one connection after its handshake, either side.

It knows no socket and no clock: it writes to its Port, and whoever has a clock says when time is
up. What the peer did wrong it answers itself, in the dialect's way; its caller sees messages only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from .dialects import Dialect
from .errors import BadText, CannotCarry, FrameError, NotOpen, TooBig
from .lifecycle import ENDINGS, Core, Ended, Ending
from .limits import Limits
from .port import Port
from .wire.frame import (
    BINARY,
    CLOSE,
    CONTINUATION,
    TEXT,
    Close,
    CloseCode,
    Framing,
    Opcode,
    Side,
)

Event: TypeAlias = tuple[int, str | bytes]
"""What :meth:`Conversation.events` yields: ``(Opcode.TEXT, str)``, ``(Opcode.BINARY, bytes)`` or
``(Opcode.PONG, bytes)``. A tuple, for speed."""

_SMALL: Final = 1024
"""Pieces of fewer bytes are put together as they come: an object of its own for each would let a
peer that sends two bytes a packet fill thirty times what its message weighs. Larger ones are not,
since they are copied once when they are joined."""


class Conversation:
    """
    One connection's messages.

    :ivar received: messages that came whole.
    :ivar sent: messages sent.
    :ivar ended: how it ended, as far as that has begun; ``None`` while it is open.
    :ivar framing: the codec.
    """

    __slots__ = (
        "_awaits_close",
        "_dialect",
        "_ending",
        "_limits",
        "_opcode",
        "_pieces",
        "_port",
        "_side",
        "_size",
        "ended",
        "framing",
        "received",
        "sent",
    )

    def __init__(
        self, dialect: Dialect, side: str, limits: Limits, port: Port, binary: bool = False
    ) -> None:
        """
        :param dialect: the row that was agreed.
        :param side: which end we are, a :class:`~txhixie.wire.frame.Side`.
        :param binary: send binary even where the peers of the dialect are known to lose it.
        """
        self._dialect = dialect
        self._side = side
        self._limits = limits
        self._port = port
        self.framing: Framing = dialect.framing(side, limits, binary)
        self._ending: Ending | None = None
        self._awaits_close = False  # our close is out, the peer's has not come
        self._opcode = 0  # of the message whose fragments are arriving; 0: none is
        self._pieces: list[bytes | bytearray] | None = None
        self._size = 0
        self.ended: Ended | None = None
        self.received = 0
        self.sent = 0

    def feed(self, data: bytes) -> None:
        """Take what was received. After the end it is forgotten: the peer may not know yet."""
        if self.ended is None or self._awaits_close:
            self.framing.feed(data)

    def events(self) -> Iterator[Event]:
        """
        What the bytes fed so far mean. Stop anywhere and call again: nothing is lost.

        Whatever breaks a rule ends the conversation here; no error comes out. Once we have
        said that we close, messages are read over and only the peer's close is looked for.
        """
        if self.ended is not None and not self._awaits_close:
            return
        try:
            for opcode, payload, final, _, whole in self.framing.frames():
                if self.ended is not None:
                    if not self._awaits_close:
                        return
                    if opcode == CLOSE:
                        self._answer(payload)
                elif not (final and whole) or self._opcode or opcode > BINARY:
                    if (event := self._other(opcode, payload, final, whole)) is not None:
                        yield event
                elif opcode == TEXT:
                    self.received += 1
                    try:
                        text = payload.decode()
                    except UnicodeDecodeError:
                        text = self._mend(payload)
                    yield opcode, text
                elif opcode == BINARY:
                    self.received += 1
                    yield opcode, payload
                else:
                    raise FrameError("a continuation of nothing")
        except FrameError as error:
            self.fail(error)

    def _mend(self, payload: bytes) -> str:
        """Text that is not UTF-8: replaced by the rules of the Hixie drafts, or fatal."""
        if self._dialect.replaces:
            return payload.decode("utf-8", "replace")
        raise BadText("text that is not UTF-8")

    def _other(self, opcode: int, payload: bytes, final: bool, whole: bool) -> Event | None:
        """What is not a message in one frame: pieces and fragments, and control frames."""
        if opcode <= BINARY:
            return self._gather(opcode, payload, final and whole)
        if opcode == CLOSE:
            self._answer(payload)
        return None

    def _gather(self, opcode: int, payload: bytes, last: bool) -> Event | None:
        """Keep a part of a message, or answer the message that it completes."""
        if opcode != CONTINUATION:
            if self._opcode:
                raise FrameError("a message inside another")
            self._opcode = opcode
            self._size = 0
            self._pieces = []
        pieces = self._pieces
        if pieces is None:
            raise FrameError("a continuation of nothing")
        self._size += len(payload)
        if self._size > self._limits.message_size:
            raise TooBig(f"a message of more than {self._limits.message_size} bytes")
        if len(payload) >= _SMALL:
            pieces.append(payload)
        elif pieces and isinstance(pieces[-1], bytearray):
            pieces[-1] += payload
        else:
            pieces.append(bytearray(payload))
        if not last:
            return None
        opcode, message = self._opcode, b"".join(pieces)
        self._opcode = 0
        self._pieces = None
        self.received += 1
        if opcode == BINARY:
            return opcode, message
        try:
            return opcode, message.decode()
        except UnicodeDecodeError:
            return opcode, self._mend(message)

    def send_text(self, text: str) -> None:
        """
        :raises NotOpen: once the end has begun.
        :raises UnicodeEncodeError: for a lone surrogate, which UTF-8 does not have.
        """
        if self.ended is not None:
            raise NotOpen("the conversation is over")
        self._port.write(self.framing.encode(TEXT, text.encode()))
        self.sent += 1

    def send_bytes(self, data: bytes) -> None:
        """
        :raises NotOpen: once the end has begun.
        :raises CannotCarry: where the peer would lose it.
        """
        if self.ended is not None:
            raise NotOpen("the conversation is over")
        self._port.write(self.framing.encode(BINARY, data))
        self.sent += 1

    def ping(self, payload: bytes) -> None:
        """
        :raises NotOpen: once the end has begun.
        :raises CannotCarry: in a dialect without pings.
        """
        if self.ended is not None:
            raise NotOpen("the conversation is over")
        if not self._dialect.has_pings:
            raise CannotCarry(f"{self._dialect.name} has no pings")
        self._port.write(self.framing.encode(Opcode.PING, payload))

    def close(self, code: int = CloseCode.NORMAL, reason: str = "") -> None:
        """
        Begin the end, if it has not begun. Where the dialect has no codes, ``code`` and
        ``reason`` stay here.
        """
        if self.ended is not None:
            return
        close = Close(code, reason) if self._dialect.has_codes else Close(CloseCode.NO_STATUS)
        if self._dialect.has_close:
            self.ended = Ended(close.code, close.reason, "us", False)
            self._awaits_close = True
            self._begin().close(self.framing.encode_close(close))
        else:
            self.ended = Ended(close.code, close.reason, "us", True)
            self._begin().end(b"")

    def fail(self, error: FrameError) -> None:
        """The peer broke a rule: say so where there is a way to say it, and end."""
        self._fail(error.code, str(error), "peer")

    def fail_here(self, reason: str) -> None:
        """Our own side broke: 1011 where the dialect has codes (RFC 6455 section 7.4.1)."""
        self._fail(CloseCode.INTERNAL_ERROR, reason, "us")

    def abort(self) -> None:
        """The connection below is ended at once: nothing more is said, and nothing heard."""
        if self.ended is None:
            self.ended = Ended(CloseCode.ABNORMAL, "aborted", "us", False)
        self.ended = self.ended._replace(clean=False)
        self._awaits_close = False

    def _fail(self, code: int, reason: str, who: str) -> None:
        frame = b""
        if self.ended is None:
            self.ended = Ended(code, reason, who, False)
            if self._dialect.has_codes:
                frame = self.framing.encode_close(Close(code, reason))
        self._awaits_close = False
        self._begin().end(frame)

    def _answer(self, payload: bytes) -> None:
        """The peer has sent its close."""
        close = self.framing.read_close(payload)
        if self.ended is None:
            self.ended = Ended(close.code, close.reason, "peer", True)
        else:
            self.ended = self.ended._replace(clean=True)
        self._awaits_close = False
        self._begin().answered(self.framing.encode_close(close))

    def late(self) -> None:
        """The deadline set at the Port has passed."""
        self._begin().late()

    def lost(self) -> Ended:
        """The connection below has ended; what is known of it is answered."""
        self._awaits_close = False
        if self._ending is not None:
            self._ending.lost()
        if self.ended is None:
            # Without a closing frame, the end of the connection is the peer's close.
            abnormal = self._dialect.has_close or bool(self._pieces)
            code = CloseCode.ABNORMAL if abnormal else CloseCode.NO_STATUS
            self.ended = Ended(code, "", "peer", not abnormal)
        return self.ended

    def _begin(self) -> Ending:
        if self._ending is None:
            waits = self._side == Side.CLIENT and self._dialect.has_codes
            self._ending = ENDINGS[waits](Core(self._port, self._limits.close_timeout))
        return self._ending
