"""Conversation: messages to frames and back, for one connection after its handshake.

A conversation has no socket and no clock: it writes to its port. The owner of the port has the
clock, and calls :meth:`Conversation.late` when the timeout passes. A conversation answers errors of
the peer itself, as the dialect requires; its caller receives messages only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from sys import intern
from typing import Final, TypeAlias

from .arguments import close_arguments, not_text, whole_bytes
from .assembly import Assembly, PayloadTarget
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
from .extensions.extension import Transform, sharing, unchanged_below
from .limits import Limits, called
from .port import NOWHERE, Port
from .prepared_message import SENT, TOO_LARGE, UNSUPPORTED, PreparedMessage
from .quirks import BEGINS_WITH_ZERO, Fault, tell_nobody
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
from .wire.hixie import CLOSE_FRAME
from .wire.hybi import only_close
from .wire.hybi_batch import MOST_FRAMES
from .wire.joined_texts import JOINERS
from .wire.mask_keys import random_bytes

_LONG: Final = 64 * 1024
"""Least bytes of a payload that is written separately after its header, without being copied.

The copy would take a twentieth of the CPU time of an echo of 64 KiB. And with it a message of 1 MiB
allocates and frees so much memory that glibc returns the memory to the kernel each time, and new
pages are half of the CPU time of an echo."""

SHORT_TEXT: Final = _LONG // 4 - 1
"""Most characters of a text that is encoded in one call: fewer than ``_LONG`` bytes of UTF-8."""

OPEN, _LOST, _RESET, _CLOSING, _OVER = range(5)
"""Stages of a conversation. Plain integers and no Enum, since each message compares them.

``OPEN``: messages are sent and received. ``_LOST`` and ``_RESET``: the connection was closed or
reset and messages received before are still delivered. ``_CLOSING``: we have sent a close frame,
messages are discarded, and the peer's close frame is awaited. ``_OVER``: nothing is sent or
received."""

_ENDED_BY_PEER: Final = Ended(CloseCode.NO_STATUS_RCVD, "", "peer", True)
_ENDED_EARLY: Final = Ended(CloseCode.ABNORMAL_CLOSURE, "", "peer", False)
"""How a conversation ended, if the connection ended without a close frame. The first one is for a
dialect without close frames."""

_RATIO: Final = 1032
"""Most bytes that one byte of DEFLATE data inflates to: a match of 258 bytes takes two bits."""

_SLACK: Final = 8
_LEAST: Final = 16
"""Bytes of compressed payload. ``_SLACK``: bytes that the end of a message may add, from the bits
that zlib holds and the four bytes of the tail. ``_LEAST``: fewest bytes that are worth a call."""

_CALL: Final = 1024
"""Fewest bytes that a call of an extension counts as inflated: a read of 256 KiB can have 37,000
messages that inflate to nothing and take 10 us each."""

FRAME_COST: Final = 128
"""Bytes that each frame counts in addition to its payload: a read of 256 KiB can have 43,000 pings
or 131,000 empty text frames of hixie-76, which take at least 1 us each. One turn takes 8,192 of
these."""

_encode: Final = str.encode

_MOST_COUNTED: Final = 1 + FRAME_COST // 2
"""Most bytes that one received byte counts in a turn, since the shortest frame has two bytes."""

ConversationEvent: TypeAlias = tuple[int, str | bytes]
"""An event of :meth:`Conversation.events`: ``(Opcode.TEXT, str)``, ``(Opcode.BINARY, bytes)``,
``(Opcode.PONG, bytes)`` or, where the conversation does not answer pings, ``(Opcode.PING, bytes)``.
A tuple, for speed."""


@cache  # one integer object for all conversations
def _short_read(turn_size: int) -> int:
    """Return the most bytes of a read with 64 messages that stays within the limit of a turn."""
    return turn_size - MOST_FRAMES * FRAME_COST


class Conversation:
    """
    Messages of one connection, from its handshake to its end.

    :ivar received: number of complete messages received.
    :ivar sent: number of messages sent, also of one that the port has taken before it raised.
    :ivar ended: how the conversation ended, from the first sign of its end; ``None`` while it is
        open.
    :ivar delivered: bytes of messages that were delivered in this turn of the reactor, and 128
        for each frame that is not compressed.
    :ivar inflated: bytes that an extension has inflated in this turn; a small piece counts as
        1 KiB. Once ``delivered`` or ``inflated`` exceeds :attr:`txhixie.Limits.turn_size`,
        :meth:`events` stops.
    :ivar rest: the frame before which :meth:`events` stopped for that reason; otherwise ``None``.
    :ivar framing: the codec of the connection.
    :ivar heard: whether data was received since another object last set this to ``False``.
    :ivar stage: :data:`OPEN` while messages can be sent. An attribute and not a property, since it
        is read for each message.
    :ivar read_messages: the function ``messages`` of the codec.
    :ivar encode_text: the function ``encode_text`` of the codec.
    :ivar join_text: the function of ``joined_texts.py`` that joins a frame of ``encode_text``;
        ``None`` for a codec without one. It takes ``short_text`` as a number of bytes of UTF-8.
    :ivar short_text: most characters of a text that ``encode_text`` makes a frame of, without a
        long copy: :data:`SHORT_TEXT`. With an extension, fewer: most bytes of a message that the
        extension does not compress, or -1 if it compresses each message.
    :ivar short_read: most bytes of a read, with those delivered in this turn before, that
        :meth:`messages` reads: 64 frames fewer than the limit of a turn.
    :ivar buffers: whether bytes, or a part of a message, may be buffered.
    :ivar encoding: the encoding of the connection in :attr:`PreparedMessage.frames`; empty until it
        is known, and where :meth:`send_prepared` has more to do than to write a frame.
    :ivar answers_pings: whether the conversation answers pings; otherwise they are events.
    :ivar wait: seconds until :meth:`events` yields more, where the rate of messages is limited; 0
        in this class.
    """

    wait: float = 0.0

    __slots__ = (
        "_assembly",
        "_counts",
        "_dialect",
        "_ending",
        "_limits",
        "_pong",
        "_port",
        "_side",
        "_transform",
        "answers_pings",
        "buffers",
        "delivered",
        "encode_text",
        "encoding",
        "ended",
        "framing",
        "heard",
        "inflated",
        "join_text",
        "read_messages",
        "received",
        "rest",
        "sent",
        "short_read",
        "short_text",
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
        Begin a conversation.

        :param dialect: the dialect of the handshake.
        :param side: our side of the connection, a :class:`txhixie.sansio.wire.frame.Side`.
        :param limits: the limits of the connection.
        :param port: the port through which the conversation writes.
        :param binary: send binary messages even in a dialect with peers that drop them.
        :param transform: the transform of the agreed extension, if any.
        :param entropy: takes a number and returns that many random bytes, for masking keys.
        """
        self._dialect = dialect
        self._side = side
        self._limits = limits
        self._port = port
        self._transform = transform
        reserved = transform.reserved if transform is not None else 0
        self.framing: Framing = dialect.framing(side, limits, binary, reserved, entropy)
        self.read_messages = self.framing.messages
        self.encode_text = self.framing.encode_text
        self.join_text = JOINERS.get(self.encode_text)
        self.short_text = SHORT_TEXT
        if transform is not None:
            self.short_text = min(SHORT_TEXT, unchanged_below(transform)) - 1
        self.short_read = _short_read(limits.turn_size)
        self._ending: Ending | None = None
        self.stage = OPEN
        self._assembly: Assembly | None = None  # the incomplete message
        self._pong: bytes | None = None  # payload of the pong that waits for the write buffer
        self.ended: Ended | None = None
        self.heard = False
        self.encoding = ""
        self.answers_pings = True
        self.received = 0
        self.sent = 0
        self.delivered = 0
        self.inflated = 0
        self.rest: Frame | None = None
        self._counts = False  # whether the buffered bytes may reach the limit of a turn
        self.buffers = False  # whether bytes, or a part of a message, may be buffered

    def feed(self, data: bytes, anew: bool = True, position: int = 0) -> None:
        """
        Buffer received bytes; after the end they are discarded, since the peer may still send.

        :param anew: whether this is the first read of a turn of the reactor, as :meth:`turned`.
        :param position: the position after the messages that :meth:`messages` has read. Bytes that
            were buffered while these messages were delivered are later ones.
        """
        self.heard = True
        if anew and not position:
            self.delivered = self.inflated = 0
        # Counting costs a message 0.1 us; a short read cannot reach the limit of a turn.
        if not anew or len(data) * _MOST_COUNTED > self._limits.turn_size:
            self._counts = True
        self.buffers = True
        if self.stage != _OVER:
            if position:
                self.framing.restore(data, position)
            else:
                self.framing.feed(data)

    def messages(
        self, data: bytes, anew: bool = True, position: int = 0
    ) -> tuple[list[str | bytes], int]:
        """
        Return the next messages of a read, at most 64, and the position after them.

        This is the short way of whole messages of plain frames. All other bytes take the way of
        :meth:`feed` and :meth:`events`, and so does a read that can reach the limit of a turn, or
        that follows buffered bytes. If there is no message here, the position is not after the end.

        :param anew: as for :meth:`feed`.
        :param position: the position after the messages that were read before.
        """
        if self.buffers or self.stage:
            return [], position
        size = len(data)
        if not position:
            self.heard = True
            if anew:
                self.delivered = self.inflated = 0
        if self.delivered + size - position > self.short_read:
            return [], position
        messages, position, octets = self.read_messages(data, position, MOST_FRAMES)
        if position < size or not anew:
            self.delivered += octets + len(messages) * FRAME_COST
        self.received += len(messages)
        return messages, position

    def closed_by(self, data: bytes) -> bool:
        """
        Process a read that is the close frame of a client, the end of nearly every conversation.

        This is the short way of that frame: a handshake with its close takes a tenth less. The
        conversation is open, nothing is buffered, and it is the first read of a turn.

        :return: whether the read was such a frame; all other bytes are for :meth:`feed`.
        """
        if self._side != Side.SERVER or not self._dialect.has_close:
            return False
        payload: bytes | None = b""
        if self._dialect.has_codes:
            payload = only_close(data)
        elif data != CLOSE_FRAME:
            payload = None
        if payload is None or len(payload) > self._limits.largest_frame:
            return False
        self.heard = True
        try:
            self._answer(payload)
        except FrameError as error:
            self.fail(error)
        return True

    def take_back(
        self, data: bytes, anew: bool, position: int, messages: list[str | bytes], count: int
    ) -> int:
        """
        Take back messages of :meth:`messages` that were not delivered.

        :param position: the position of the first of the messages.
        :param count: how many of the messages were delivered.
        :return: the position after these.
        """
        missing = len(messages) - count
        self.received -= missing
        _, end, octets = self.read_messages(data, position, len(messages))
        if end < len(data) or not anew:  # as in messages()
            self.delivered -= octets + len(messages) * FRAME_COST
        _, end, octets = self.read_messages(data, position, count)
        self.delivered += octets + count * FRAME_COST
        return end

    def target(self) -> PayloadTarget | None:
        """
        Return where the next received bytes belong, if these continue a long payload.

        :return: ``None`` if the bytes are for :meth:`feed`.
        """
        assembly = self._assembly
        if assembly is None or self.stage or self.rest is not None or self._transform is not None:
            return None
        missing, key = self.framing.missing
        return assembly.target(missing, key) if missing else None

    def payload_received(self, payload: bytes, count: int, anew: bool = True) -> bool:
        """
        Continue the long payload of :meth:`target`.

        :param payload: the payload of the target, or a larger one with the same bytes.
        :param count: how many bytes were received into it, all in this turn of the reactor.
        :param anew: as for :meth:`feed`.
        :return: whether to call :meth:`events`: the message is complete, or breaks a rule.
        """
        assembly = self._assembly
        assert assembly is not None
        self.heard = True
        if anew:
            self.delivered = self.inflated = 0
        elif self.delivered > FRAME_COST:  # more than the beginning of this payload
            self._counts = True
        final, whole = self.framing.advance(count)
        try:
            assembly.received(payload, count, whole)
        except InvalidUTF8 as error:
            self.fail(error)
            return True
        if not (final and whole):
            return False
        self._assembly = None
        self.rest = assembly.opcode, assembly.data(), True, 0, True
        return True

    def turned(self) -> None:
        """Begin a new turn of the reactor: ``Limits.turn_size`` counts from 0 again."""
        self.delivered = self.inflated = 0

    # In one piece, since each call would cost every message 0.05 us.
    def events(self) -> Iterator[ConversationEvent]:  # noqa: PLR0912, PLR0915 (for that reason)
        """
        Yield the messages and pongs of the buffered bytes.

        A caller may stop at any event and call again later. An error of the peer ends the
        conversation, and no error is raised. Once we have sent a close frame, messages are
        discarded and only the peer's close frame counts. If :attr:`rest` is set afterwards, the
        limit of a turn was reached, and more bytes are buffered.
        """
        if self.stage == _OVER:
            return
        frames, rest = self.framing.frames(), self.rest
        if rest is not None:
            self.rest = None
            frames = chain((rest,), frames)
        most, delivered, received = self._limits.turn_size, self.delivered, 0
        counts, self._counts = self._counts, True  # true also where a caller stops
        try:
            for opcode, payload, final, reserved, whole in frames:
                if self.stage > _RESET:
                    if self.stage == _OVER:
                        return
                    if opcode == CLOSE:
                        self._answer(payload)
                        return  # bytes after a close frame are not read
                    delivered += FRAME_COST
                    if delivered > most and delivered > FRAME_COST:
                        self.rest = opcode, payload, final, reserved, whole
                        break
                elif opcode == TEXT and final and whole and not (reserved or self._assembly):
                    if counts:
                        delivered += len(payload) + FRAME_COST
                        if delivered > most and delivered > len(payload) + FRAME_COST:
                            self.rest = opcode, payload, final, reserved, whole
                            return
                    try:
                        text = payload.decode()
                    except UnicodeDecodeError:
                        text = self._mend(payload)
                    received += 1
                    yield opcode, text
                elif opcode == BINARY and final and whole and not (reserved or self._assembly):
                    if counts:
                        delivered += len(payload) + FRAME_COST
                        if delivered > most and delivered > len(payload) + FRAME_COST:
                            self.rest = opcode, payload, final, reserved, whole
                            return
                    received += 1
                    yield opcode, payload
                else:
                    self.delivered = delivered
                    self.received += received
                    received = 0
                    event = self._other(opcode, payload, final, reserved, whole)
                    delivered = self.delivered
                    if event is not None:
                        yield event
                    elif self.rest is not None or self.stage == _OVER:
                        return
            self._counts = self.rest is not None
            self.buffers = (
                self._counts or self._assembly is not None or not self.framing.is_between_frames
            )
        except FrameError as error:
            self.fail(error)
        finally:
            self.delivered = delivered
            self.received += received

    def _mend(self, payload: bytes) -> str:
        """
        Replace invalid UTF-8 in a text, in the older dialects.

        :raises InvalidUTF8: in the other dialects.
        """
        if not self._dialect.replaces:
            raise InvalidUTF8("invalid UTF-8 in a text message")
        self._tell_replaced(payload)
        return payload.decode("utf-8", "replace")

    def _tell_replaced(self, payload: bytes) -> None:
        if (tell := self._dialect.tell) is not tell_nobody:
            tell(_not_utf8(payload))

    def _other(
        self, opcode: int, payload: bytes, final: bool, reserved: int, whole: bool
    ) -> ConversationEvent | None:
        """Process a control frame, or a frame that is a part of a message or transformed."""
        assembly = self._assembly
        compressed = bool(reserved) or (assembly is not None and assembly.transformed)
        if opcode > BINARY or not compressed:  # a compressed frame counts by its inflated size
            if self.delivered > self._limits.turn_size:
                self.rest = opcode, payload, final, reserved, whole
                return None
            self.delivered += FRAME_COST
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
    ) -> ConversationEvent | None:
        """Add a part to the incomplete message; return the message if it is complete."""
        assembly = self._assembly
        if opcode == CONTINUATION:
            if assembly is None:
                # 00 at the beginning is perhaps no frame, but a stray byte behind the request.
                begins = not (final or self.received)
                raise FrameError(BEGINS_WITH_ZERO if begins else "unexpected continuation frame")
        elif assembly is not None:
            raise FrameError("expected a continuation frame")
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
        if assembly.replaced:
            self._tell_replaced(assembly.data())
        self.received += 1
        return assembly.opcode, message

    def _transformed(self, assembly: Assembly, transform: Transform, frame: Frame) -> None:
        """
        Add the output of the extension for a frame to a message.

        The extension gets at most so much compressed payload at once as can inflate to the rest of
        ``Limits.turn_size``. The remaining payload is kept for the next turn of the reactor.
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
            except MessageTooBig:  # an extension does not know the name of the limit
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
        """The number of bytes that may still be inflated in this turn."""
        return self._limits.turn_size - self.inflated

    @property
    def _has_inflated_enough(self) -> bool:
        """Whether too few bytes may still be inflated in this turn to be worth a call."""
        return self.inflated > 0 and self._left < (_SLACK + _LEAST) * _RATIO

    def _answer_ping(self, payload: bytes) -> None:
        """
        Answer a ping with a pong.

        While the write buffer is full, only the last ping is answered, once the buffer has drained
        (RFC 6455 section 5.5.3). So a peer that sends pings and does not read fills no memory.
        """
        if self._port.full:
            self._pong = payload
        else:
            self._port.write(self.framing.encode(PONG, payload))

    def drained(self) -> None:
        """The write buffer has drained: send the pong that waits for it."""
        payload, self._pong = self._pong, None
        if payload is not None and self.stage == OPEN:
            self._port.write(self.framing.encode(PONG, payload))

    def send_text(self, text: str, compress: bool | None = None) -> None:
        """
        Send a text message.

        :param compress: whether to compress it; ``None``: as the agreed extension decides.
        :raises NotOpen: once the conversation is closing.
        :raises TypeError: for another type than ``str``.
        :raises UnicodeEncodeError: for a lone surrogate, which UTF-8 cannot encode.
        """
        if self.stage:
            raise NotOpen("the conversation is over")
        # A check of the type would cost 4 % of a message.
        try:
            if self._transform is None and len(text) <= SHORT_TEXT:
                frame, payload = self.framing.encode_text(text), b""
            else:
                frame, payload = b"", _encode(text)
        except TypeError:
            raise not_text(text) from None
        if frame:
            self.sent += 1  # before the write, which may raise when it has taken the bytes
            self._port.write(frame)
        else:
            self._send_otherwise(TEXT, payload, compress)

    def send_bytes(self, data: bytes, compress: bool | None = None) -> None:
        """
        Send a binary message.

        :param data: ``bytes``, or a bytes-like object, which is copied.
        :param compress: whether to compress it; ``None``: as the agreed extension decides.
        :raises NotOpen: once the conversation is closing.
        :raises TypeError: for an object that is not bytes-like.
        :raises UnsupportedByDialect: in a dialect with peers that drop binary messages.
        """
        if self.stage:
            raise NotOpen("the conversation is over")
        if type(data) is not bytes:
            data = whole_bytes("a binary message", data)
        if self._transform is None and len(data) < _LONG:
            frame = self.framing.encode(BINARY, data)
            self.sent += 1
            self._port.write(frame)
        else:
            self._send_otherwise(BINARY, data, compress)

    def _send_otherwise(self, opcode: int, payload: bytes, compress: bool | None) -> None:
        """Send a message that an extension may transform, or that is long."""
        reserved = 0
        if self._transform is not None:
            payload, reserved = self._transform.encode(payload, compress)
        if len(payload) < _LONG:
            parts: Iterable[bytes] = (self.framing.encode(opcode, payload, True, reserved),)
        else:
            parts = self.framing.encode_parts(opcode, payload, True, reserved)
        self.sent += 1
        self._port.write(*parts)

    def send_prepared(self, message: PreparedMessage) -> int:
        """
        Send a message that is encoded once for many conversations; this one is open.

        :return: :data:`SENT`, or why this conversation cannot send the message.
        """
        if len(message.payload) > self._limits.unsent_size:
            return TOO_LARGE
        frame = message.frames.get(self.encoding) or self._prepare(message)
        if frame is None:
            return UNSUPPORTED
        self.sent += 1
        self._port.write(frame)
        return SENT

    def refuses(self, message: PreparedMessage) -> int:
        """Return :data:`SENT` for a message that :meth:`send_prepared` would send, or why not."""
        if len(message.payload) > self._limits.unsent_size:
            return TOO_LARGE
        return UNSUPPORTED if message.opcode == BINARY and not self.framing.has_binary else SENT

    def _prepare(self, message: PreparedMessage) -> bytes | None:
        """Return the frame of a message; ``None`` for a binary message that the peer would lose."""
        opcode, framing, transform = message.opcode, self.framing, self._transform
        if opcode == BINARY and not framing.has_binary:
            return None
        payload, reserved, encoding, keeps_context = message.payload, 0, "", False
        if transform is not None:
            if (sharer := sharing(transform)) is None:
                payload, reserved = transform.encode(payload, message.compress)
                return framing.encode(opcode, payload, True, reserved)
            encoding, keeps_context = sharer.encoding, sharer.keeps_context
            payload, reserved = message.encoded(encoding, sharer.encode_once)
            if reserved and keeps_context:
                sharer.restart()
        name = framing.encoding(opcode)
        if not name:
            return framing.encode(opcode, payload, True, reserved)
        key = intern(f"{name} {encoding}")
        if not keeps_context:
            self.encoding = key
        frame = message.frames.get(key)
        if frame is None:
            frame = message.frames[key] = framing.encode(opcode, payload, True, reserved)
        return frame

    @property
    def progress(self) -> tuple[int, int, int]:
        """Numbers of received and sent messages, and the size of the incomplete message."""
        size = 0 if self._assembly is None else self._assembly.size
        return self.received, self.sent, size

    def ping(self, payload: bytes) -> None:
        """
        Send a ping frame.

        :param payload: at most 125 bytes.
        :raises NotOpen: once the conversation is closing.
        :raises UnsupportedByDialect: in a dialect without ping frames, or for a longer payload.
        """
        self._send_control(PING, payload)

    def pong(self, payload: bytes) -> None:
        """Send a pong frame, where pings are events; parameters and errors as :meth:`ping`."""
        self._send_control(PONG, payload)

    def _send_control(self, opcode: int, payload: bytes) -> None:
        if self.stage:
            raise NotOpen("the conversation is over")
        if not self._dialect.has_pings:
            raise UnsupportedByDialect(f"{self._dialect.name} has no ping frames")
        if type(payload) is not bytes:
            payload = whole_bytes("the payload of a ping", payload)
        if len(payload) > MOST_CONTROL:
            raise UnsupportedByDialect(f"a ping payload has at most {MOST_CONTROL} bytes")
        self._port.write(self.framing.encode(opcode, payload))

    @property
    def has_pings(self) -> bool:
        """Whether the dialect has ping and pong frames."""
        return self._dialect.has_pings

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """
        Close the conversation, unless it is closing or closed.

        In a dialect without close codes, ``code`` and ``reason`` are not sent.

        :raises UsageError: for a code that may not be sent.
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
        """End the conversation after an error of the peer, with a close frame if possible."""
        reason = str(error)
        if isinstance(error, MessageTooBig) and not error.named:
            reason += f" ({called(self._limits.largest_frame_name)})"
        self._fail(error.code, reason, "us" if error.ours else "peer", error.reply)

    def fail_here(self, reason: str, code: int = CloseCode.INTERNAL_ERROR) -> None:
        """
        End the conversation after an error of our side (1011: RFC 6455 section 7.4.1).

        :raises UsageError: for a code that may not be sent.
        :raises TypeError: for a code or a reason of another type.
        """
        close_arguments(code, reason)
        self._fail(code, reason, "us", reason)

    def abort(self, reason: str = "aborted") -> None:
        """Record that the connection is aborted: nothing more is sent or received."""
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
        """Answer the peer's close frame."""
        close = self.framing.read_close(payload)
        if self.ended is None:
            self.ended = Ended(close.code, close.reason, "peer", True)
        else:
            self.ended = self.ended._replace(clean=True)
        self.forget()
        try:
            frame = self.framing.encode_close(close)
        except UsageError:  # a code that is accepted in older drafts, but may not be sent
            frame = self.framing.encode_close(Close(CloseCode.NO_STATUS_RCVD))
        if self._ending is None and (self._side == Side.SERVER or not self._waits):
            self._ending = Answered(self._port, self._limits.close_timeout, frame)
        else:
            self._begin().answered(frame)

    def late(self) -> None:
        """Tell the closing handshake that the timeout of the port has passed."""
        self._begin().late()

    def cut(self, orderly: bool = True) -> Ended:
        """
        Record that the connection has ended; :meth:`events` still yields buffered messages.

        :param orderly: whether the connection ended without an error such as a reset.
        :return: how the conversation ended, as far as this is known before all buffered bytes have
            been read.
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
        Whether complete frames of messages are buffered that were received before the connection
        was lost. Nothing is inflated to find out.
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
            pass  # events() reports the error when it reads the frame
        return False

    def drop(self, why: str) -> None:
        """
        Discard the bytes received before the connection was lost, and report it in :attr:`ended`.

        :param why: the reason, which follows the number of bytes in the text.
        """
        if self.ended is None:
            reason = f"{self.held:,} received bytes {why}"
            self.ended = Ended(CloseCode.ABNORMAL_CLOSURE, reason, "peer", False)
        self.forget()

    @property
    def held(self) -> int:
        """The number of received bytes that are kept: messages not complete or not delivered."""
        held = self.framing.waiting
        if self.rest is not None:
            held += len(self.rest[1])
        if self._assembly is not None:
            held += self._assembly.held
        return held

    def release(self) -> None:
        """Discard the received bytes of a conversation that has ended or is closing."""
        self._assembly = None
        if self.stage == _OVER:
            self.framing.release()

    def forget(self) -> Ended:
        """
        End the conversation, and discard its buffered bytes: deliver nothing more.

        :return: how the conversation ended.
        """
        ended = self.ended
        if ended is None:
            ended = self.ended = self._lost()
        self.stage = _OVER
        self.rest = None
        if self.buffers:
            self.release()  # an application may keep the connection
        return ended

    def lost(self, orderly: bool = True) -> Ended:
        """
        Record that the connection has ended, and discard the buffered bytes.

        :param orderly: as for :meth:`cut`.
        :return: how the conversation ended.
        """
        self.cut(orderly)
        return self.forget()

    def _lost(self) -> Ended:
        # In a dialect without close frames, the end of the connection counts as the peer's close,
        # unless the connection was reset.
        if self._dialect.has_close or self._assembly is not None or self.stage == _RESET:
            return _ENDED_EARLY
        return _ENDED_BY_PEER

    def _begin(self) -> Ending:
        if self._ending is None:
            self._ending = ENDINGS[self._waits](self._core())
        return self._ending

    def _core(self) -> ClosingCore:
        return ClosingCore(self._port, self._limits.close_timeout)

    @property
    def _waits(self) -> bool:
        """Whether the peer ends the connection once both sides have sent a close frame."""
        return self._side == Side.CLIENT and self._dialect.has_codes


def _not_utf8(payload: bytes) -> Fault:
    """Describe a text message that is not UTF-8, with its first wrong bytes."""
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        wrong = payload[error.start : error.start + 2].hex(" ").upper()
        where = f" ({wrong} at byte {error.start + 1:,} of {len(payload):,})"
    else:
        where = ""
    return Fault("text", f"text message that is not UTF-8{where} (RFC 6455 section 8.1)")
