"""Messages to frames and back, for one connection after its handshake, either side.

It knows no socket and no clock: it writes to its Port, and whoever has a clock says when time is
up. What the peer did wrong it answers itself, in the dialect's way; its caller sees messages only.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final, TypeAlias

from .arguments import close_arguments, whole_bytes, whole_text
from .assembly import Assembly
from .closing import ENDINGS, Answered, ClosingCore, Ended, Ending
from .dialects import Dialect
from .errors import (
    FrameError,
    InvalidUTF8,
    MessageTooBig,
    NotOpen,
    UnsupportedByDialect,
    UsageError,
)
from .extensions.extension import Transform
from .limits import Limits, called
from .port import NOWHERE, Port
from .types import RandomBytes
from .wire.frame import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MOST_CONTROL,
    PING,
    PONG,
    SKIPPED,
    TEXT,
    Close,
    CloseCode,
    Frame,
    Framing,
    Side,
)
from .wire.mask_keys import random_bytes

_LONG: Final = 256 * 1024
"""Bytes of a payload that is written as it is, behind its header, and not copied to be joined. The
copy of 1 MiB would cost little, but with it a message takes and gives back so much that glibc
returns it to the kernel each time, and new pages are half of the CPU time of its echo."""

OPEN, _LOST, _RESET, _CLOSING, _OVER = range(5)
"""What a conversation still does: all; hand up what came before the connection was lost, in good
order or by a reset; read over messages and look for the peer's close; nothing. Compared for each
message, so no Enum."""

_RATIO: Final = 1032
"""Bytes that one byte of DEFLATE becomes at most: a match of 258 bytes takes two bits."""

_SLACK: Final = 8
_LEAST: Final = 16
"""Bytes of compressed payload: what the end of a message may give besides, from the bits that zlib
holds and the four bytes of the tail; and as few as are still worth a call."""

_CALL: Final = 1024
"""Bytes that a call of the extension counts at least: a read of 256 KiB may be 37,000 messages that
inflate to nothing, and take 10 us each."""

_FRAME: Final = 128
"""Bytes that a frame counts besides its payload: a read of 256 KiB may be 43,000 pings or 131,000
empty texts of hixie-76, at 1 us each and more. One turn takes 8,192 of these."""

Event: TypeAlias = tuple[int, str | bytes]
"""What :meth:`Conversation.events` yields: ``(Opcode.TEXT, str)``, ``(Opcode.BINARY, bytes)``,
``(Opcode.PONG, bytes)`` or, where that is not answered here, ``(Opcode.PING, bytes)``. A tuple, for
speed."""


class Conversation:
    """
    One connection's messages.

    :ivar received: messages that came whole.
    :ivar sent: messages sent.
    :ivar ended: how it ended, as far as that has begun; ``None`` while it is open.
    :ivar delivered: bytes of messages that were handed up in this turn, and 128 for each frame that
        is not compressed.
    :ivar inflated: bytes that an extension has made in this turn of what came; a small piece counts
        as 1 KiB. Beyond :attr:`txhixie.Limits.turn_size` of either, :meth:`events`
        stops.
    :ivar rest: the frame before which it stopped for that reason; ``None`` if it did not.
    :ivar framing: the codec.
    :ivar heard: something has come since somebody last set this to ``False``.
    :ivar stage: :data:`OPEN` while messages can be sent: the connection stands, and no end has
        begun. An attribute, and no property: it is looked at for each message.
    :ivar answers_pings: whether pings are answered here; otherwise they are events.
    """

    __slots__ = (
        "_assembly",
        "_dialect",
        "_ending",
        "_limits",
        "_pong",
        "_port",
        "_side",
        "_transform",
        "answers_pings",
        "delivered",
        "ended",
        "framing",
        "heard",
        "inflated",
        "received",
        "rest",
        "sent",
        "stage",
    )

    def __init__(
        self,
        dialect: Dialect,
        side: str,
        limits: Limits,
        port: Port,
        *,
        binary: bool = False,
        transform: Transform | None = None,
        entropy: RandomBytes = random_bytes,
    ) -> None:
        """
        :param dialect: the row that was agreed.
        :param side: which end we are, a :class:`txhixie.sansio.wire.frame.Side`.
        :param binary: send binary even where the peers of the dialect are known to lose it.
        :param transform: what the agreed extension does to messages.
        :param entropy: takes a number, answers that many random bytes; a client's masks.
        """
        self._dialect = dialect
        self._side = side
        self._limits = limits
        self._port = port
        self._transform = transform
        reserved = transform.reserved if transform is not None else 0
        self.framing: Framing = dialect.framing(side, limits, binary, reserved, entropy)
        self._ending: Ending | None = None
        self.stage = OPEN
        self._assembly: Assembly | None = None  # the message whose parts are arriving
        self._pong: bytes | None = None  # the latest that waits for the way out to be free
        self.ended: Ended | None = None
        self.heard = False
        self.answers_pings = True
        self.received = 0
        self.sent = 0
        self.delivered = 0
        self.inflated = 0
        self.rest: Frame | None = None

    def feed(self, data: bytes, anew: bool = True) -> None:
        """
        Take what was received. After the end it is forgotten: the peer may not know yet.

        :param anew: this is the only read of a turn: as :meth:`turned`.
        """
        self.heard = True
        if anew:
            self.delivered = self.inflated = 0
        if self.stage != _OVER:
            self.framing.feed(data)

    def turned(self) -> None:
        """A new turn: as much may be inflated and delivered again."""
        self.delivered = self.inflated = 0

    # In one piece, since each call would cost every message 0.05 us.
    def events(self) -> Iterator[Event]:  # noqa: PLR0912 (for that reason)
        """
        What the bytes fed so far mean. Stop anywhere and call again: nothing is lost.

        Whatever breaks a rule ends the conversation here; no error comes out. Once we have
        said that we close, messages are read over and only the peer's close is looked for.
        When :attr:`rest` is set at the end, a turn's bytes were reached, and there is more.
        """
        if self.stage == _OVER:
            return
        frames, rest = self.framing.frames(), self.rest
        if rest is not None:
            self.rest = None
            frames = chain((rest,), frames)
        most, delivered, received = self._limits.turn_size, self.delivered, 0
        try:
            for opcode, payload, final, reserved, whole in frames:
                if self.stage > _RESET:
                    if self.stage == _OVER:
                        return
                    if opcode == CLOSE:
                        self._answer(payload)
                        return  # whatever stands behind it is not even looked at
                    delivered += _FRAME
                    if delivered > most and delivered > _FRAME:
                        self.rest = opcode, payload, final, reserved, whole
                        break
                elif opcode == TEXT and final and whole and not (reserved or self._assembly):
                    delivered += len(payload) + _FRAME
                    if delivered > most and delivered > len(payload) + _FRAME:
                        self.rest = opcode, payload, final, reserved, whole
                        return
                    try:
                        text = payload.decode()
                    except UnicodeDecodeError:
                        text = self._mend(payload)
                    received += 1
                    yield opcode, text
                elif opcode == BINARY and final and whole and not (reserved or self._assembly):
                    delivered += len(payload) + _FRAME
                    if delivered > most and delivered > len(payload) + _FRAME:
                        self.rest = opcode, payload, final, reserved, whole
                        return
                    received += 1
                    yield opcode, payload
                else:
                    self.delivered = delivered
                    event = self._other(opcode, payload, final, reserved, whole)
                    delivered = self.delivered
                    if event is not None:
                        yield event
                    elif self.rest is not None or self.stage == _OVER:
                        return
        except FrameError as error:
            self.fail(error)
        finally:
            self.delivered = delivered
            self.received += received

    def _mend(self, payload: bytes) -> str:
        """Text that is not UTF-8: replaced by the rules of the older drafts, or fatal."""
        if self._dialect.replaces:
            return payload.decode("utf-8", "replace")
        raise InvalidUTF8("text that is not UTF-8")

    def _other(
        self, opcode: int, payload: bytes, final: bool, reserved: int, whole: bool
    ) -> Event | None:
        """What is not a plain message in one frame: control frames, and parts of messages."""
        assembly = self._assembly
        compressed = bool(reserved) or (assembly is not None and assembly.transformed)
        if opcode > BINARY or not compressed:  # what is compressed counts by what it becomes
            if self.delivered > self._limits.turn_size:
                self.rest = opcode, payload, final, reserved, whole
                return None
            self.delivered += _FRAME
        if opcode == SKIPPED:
            return None
        if opcode <= BINARY:
            return self._gather(opcode, payload, final, reserved, whole)
        if opcode == PONG or (opcode == PING and not self.answers_pings):
            return opcode, payload
        if opcode == PING:
            self._answer_ping(payload)
        else:
            self._answer(payload)
        return None

    def _gather(
        self, opcode: int, payload: bytes, final: bool, reserved: int, whole: bool
    ) -> Event | None:
        """Keep a part of a message, or answer the message that it completes."""
        assembly = self._assembly
        if opcode == CONTINUATION:
            if assembly is None:
                raise FrameError("a continuation of nothing")
        elif assembly is not None:
            raise FrameError("a message inside another")
        elif reserved and self._has_inflated_enough:
            self.rest = opcode, payload, final, reserved, whole
            return None
        else:
            assembly = Assembly(opcode, self._limits, self._dialect.replaces)
            self._assembly = assembly
        if self._transform is None:
            assembly.add(payload, whole)
        else:
            self._transformed(assembly, self._transform, (opcode, payload, final, reserved, whole))
        if not (final and whole) or self.rest is not None:
            return None
        self._assembly = None
        if self.delivered and self.delivered + assembly.size > self._limits.turn_size:
            self.rest = assembly.opcode, assembly.data(), True, 0, True
            return None
        self.delivered += assembly.size
        message = assembly.message()
        self.received += 1
        return assembly.opcode, message

    def _transformed(self, assembly: Assembly, transform: Transform, frame: Frame) -> None:
        """
        Add what the extension makes of a frame. Of one that it has compressed, no more is given to
        it at once than can become what is left of this turn; the rest is kept for the next.
        """
        opcode, payload, final, reserved, whole = frame
        assembly.transformed |= bool(reserved)
        start, end = 0, len(payload)
        while True:
            stop = end
            if assembly.transformed and assembly.room > (left := self._left):
                stop = min(end, start + max(left // _RATIO - _SLACK, _LEAST))
            ends = whole and stop == end
            part = payload[start:stop]
            try:
                part = transform.decode(opcode, part, final, reserved, ends, assembly.room)
            except MessageTooBig:  # it knows the room, and not whose limit that is
                raise assembly.too_big() from None
            self.inflated += max(len(part), _CALL)
            assembly.add(part, ends)
            if stop == end:
                return
            opcode, start, reserved = CONTINUATION, stop, 0
            if self._has_inflated_enough:
                self.rest = opcode, payload[start:], final, reserved, whole
                return

    @property
    def _left(self) -> int:
        """Bytes that may still be inflated in this turn."""
        return self._limits.turn_size - self.inflated

    @property
    def _has_inflated_enough(self) -> bool:
        """Whether so little may still be inflated in this turn that it is not worth a call."""
        return self.inflated > 0 and self._left < (_SLACK + _LEAST) * _RATIO

    def _answer_ping(self, payload: bytes) -> None:
        """
        With a pong, or, while the way out is full, with one pong for the latest of them all
        (RFC 6455 section 5.5.3): a peer that asks and does not read fills nothing.
        """
        if self._port.full:
            self._pong = payload
        else:
            self._port.write(self.framing.encode(PONG, payload))

    def drained(self) -> None:
        """The way out is free again."""
        payload, self._pong = self._pong, None
        if payload is not None and self.stage == OPEN:
            self._port.write(self.framing.encode(PONG, payload))

    def send_text(self, text: str, compress: bool | None = None) -> None:
        """
        :param compress: whether to; ``None`` leaves it to the agreed extension.
        :raises NotOpen: once the end has begun.
        :raises TypeError: for anything but ``str``.
        :raises UnicodeEncodeError: for a lone surrogate, which UTF-8 does not have.
        """
        if self.stage:
            raise NotOpen("the conversation is over")
        if type(text) is not str:
            text = whole_text("a text message", text)
        payload = text.encode()
        if self._transform is None and len(payload) < _LONG:
            self._port.write(self.framing.encode(TEXT, payload))
        else:
            self._send_otherwise(TEXT, payload, compress)
        self.sent += 1

    def send_bytes(self, data: bytes, compress: bool | None = None) -> None:
        """
        :param data: ``bytes``, or an object whose memory holds them: they are copied.
        :param compress: as for text.
        :raises NotOpen: once the end has begun.
        :raises TypeError: for what is not bytes-like.
        :raises UnsupportedByDialect: where the peer would lose it.
        """
        if self.stage:
            raise NotOpen("the conversation is over")
        if type(data) is not bytes:
            data = whole_bytes("a binary message", data)
        if self._transform is None and len(data) < _LONG:
            self._port.write(self.framing.encode(BINARY, data))
        else:
            self._send_otherwise(BINARY, data, compress)
        self.sent += 1

    def _send_otherwise(self, opcode: int, payload: bytes, compress: bool | None) -> None:
        """A message that an extension may change, or that is long."""
        reserved = 0
        if self._transform is not None:
            payload, reserved = self._transform.encode(payload, compress)
        if len(payload) < _LONG:
            self._port.write(self.framing.encode(opcode, payload, True, reserved))
        else:
            self._port.write(*self.framing.encode_parts(opcode, payload, True, reserved))

    def ping(self, payload: bytes) -> None:
        """
        :param payload: at most 125 bytes.
        :raises NotOpen: once the end has begun.
        :raises UnsupportedByDialect: in a dialect without pings, or for a longer payload.
        """
        self._send_control(PING, payload)

    def pong(self, payload: bytes) -> None:
        """Answer a ping, where that is not done here; as :meth:`ping`."""
        self._send_control(PONG, payload)

    def _send_control(self, opcode: int, payload: bytes) -> None:
        if self.stage:
            raise NotOpen("the conversation is over")
        if not self._dialect.has_pings:
            raise UnsupportedByDialect(f"{self._dialect.name} has no pings")
        if type(payload) is not bytes:
            payload = whole_bytes("the payload of a ping", payload)
        if len(payload) > MOST_CONTROL:
            raise UnsupportedByDialect(f"a ping carries at most {MOST_CONTROL} bytes")
        self._port.write(self.framing.encode(opcode, payload))

    @property
    def has_pings(self) -> bool:
        """Whether the dialect has them."""
        return self._dialect.has_pings

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """
        Begin the end, if it has not begun. Where the dialect has no codes, ``code`` and
        ``reason`` stay here.

        :raises UsageError: for a code that is never sent.
        :raises TypeError: for a code or a reason of another type.
        """
        close_arguments(code, reason)
        if self.ended is not None:
            return
        close = Close(code, reason) if self._dialect.has_codes else Close(CloseCode.NO_STATUS_RCVD)
        if self._dialect.has_close:
            frame = self.framing.encode_close(close)
            self.ended = Ended(close.code, close.reason, "us", False)
            self.stage = _CLOSING
            self._begin().close(frame)
        else:
            self.ended = Ended(close.code, close.reason, "us", True)
            self.stage = _OVER
            self._begin().end(b"")

    def fail(self, error: FrameError) -> None:
        """The peer broke a rule: say so where there is a way to say it, and end."""
        reason = str(error)
        if isinstance(error, MessageTooBig) and not error.named:
            reason += f" ({called(self._limits.largest_frame_name)})"
        self._fail(error.code, reason, "us" if error.ours else "peer", error.reply)

    def fail_here(self, reason: str, code: int = CloseCode.INTERNAL_ERROR) -> None:
        """
        Our own side broke: 1011 where the dialect has codes (RFC 6455 section 7.4.1).

        :raises UsageError: for a code that is never sent.
        :raises TypeError: for a code or a reason of another type.
        """
        close_arguments(code, reason)
        self._fail(code, reason, "us", reason)

    def abort(self, reason: str = "aborted") -> None:
        """The connection below is ended at once: nothing more is said, and nothing heard."""
        if self.ended is None:
            self.ended = Ended(CloseCode.ABNORMAL_CLOSURE, reason, "us", False)
        self.ended = self.ended._replace(clean=False)
        self.forget()

    def _fail(self, code: int, reason: str, who: str, told: str) -> None:
        frame = b""
        if self.ended is None:
            if self._dialect.has_codes:
                frame = self.framing.encode_close(Close(code, told))
            self.ended = Ended(code, reason, who, False)
        self.forget()
        self._begin().end(frame)

    def _answer(self, payload: bytes) -> None:
        """The peer has sent its close."""
        close = self.framing.read_close(payload)
        if self.ended is None:
            self.ended = Ended(close.code, close.reason, "peer", True)
        else:
            self.ended = self.ended._replace(clean=True)
        self.forget()
        try:
            frame = self.framing.encode_close(close)
        except UsageError:  # a code that the older drafts let pass, and that nobody may repeat
            frame = self.framing.encode_close(Close(CloseCode.NO_STATUS_RCVD))
        if self._ending is None and not self._waits:
            self._ending = Answered(self._port, self._limits.close_timeout, frame)
        else:
            self._begin().answered(frame)

    def late(self) -> None:
        """The timeout set at the Port has passed."""
        self._begin().late()

    def cut(self, orderly: bool = True) -> Ended:
        """
        The connection below has ended. What has come before can still be had from :meth:`events`.

        :param orderly: not by a reset or the like.
        :return: how it has ended, as far as that is known before all has been read.
        """
        if self._ending is not None:
            self._ending.lost()
        self._port = NOWHERE
        if self.stage == OPEN:
            self.stage = _LOST if orderly else _RESET
        return self.ended or self._lost()

    @property
    def holds_messages(self) -> bool:
        """
        Whether there is anything to be handed up in what has come before the connection was lost.
        Nothing is inflated to find out.
        """
        if self.stage not in (_LOST, _RESET):
            return False
        frames = self.framing.ahead()
        if self.rest is not None:
            frames = chain((self.rest,), frames)
        read_over = (SKIPPED, PING) if self.answers_pings else (SKIPPED,)
        try:
            for opcode, _, final, _, whole in frames:
                if opcode == CLOSE:
                    return False
                if final and whole and opcode not in read_over:
                    return True
        except FrameError:
            pass  # whoever reads as far as that is told
        return False

    def drop(self, why: str) -> None:
        """
        Forget what has come before the connection was lost, and say so in :attr:`ended`.

        :param why: follows the number of bytes.
        """
        dropped = self.framing.waiting
        if self.rest is not None:
            dropped += len(self.rest[1])
        if self._assembly is not None:
            dropped += self._assembly.size
        if self.ended is None:
            reason = f"{dropped:,} received bytes {why}"
            self.ended = Ended(CloseCode.ABNORMAL_CLOSURE, reason, "peer", False)
        self.forget()

    def forget(self) -> None:
        """Hand nothing up any more."""
        if self.ended is None:
            self.ended = self._lost()
        self.stage = _OVER
        self.rest = None

    def lost(self, orderly: bool = True) -> Ended:
        """
        The connection below has ended, and what has come before is of no more interest.

        :param orderly: as for :meth:`cut`.
        :return: what is known of the end.
        """
        self.ended = self.cut(orderly)
        self.forget()
        return self.ended

    def _lost(self) -> Ended:
        # Without a closing frame, the end of the connection is the peer's close; but not even then
        # is a reset one.
        reset = self.stage == _RESET
        abnormal = self._dialect.has_close or self._assembly is not None or reset
        code = CloseCode.ABNORMAL_CLOSURE if abnormal else CloseCode.NO_STATUS_RCVD
        return Ended(code, "", "peer", not abnormal)

    def _begin(self) -> Ending:
        if self._ending is None:
            self._ending = ENDINGS[self._waits](self._core())
        return self._ending

    def _core(self) -> ClosingCore:
        return ClosingCore(self._port, self._limits.close_timeout)

    @property
    def _waits(self) -> bool:
        """When both have said that they close, the peer is to end the connection."""
        return self._side == Side.CLIENT and self._dialect.has_codes
