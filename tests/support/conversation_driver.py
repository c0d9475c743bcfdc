"""One side of a `Conversation`, with the messages it received and the requests to its Port."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Final

import pytest

from support.frames import unframed
from support.recording_port import Event, RecordingPort
from txhixie.errors import NotOpen
from txhixie.sansio.closing import Ended
from txhixie.sansio.conversation import Conversation
from txhixie.sansio.dialects import Dialect, named
from txhixie.sansio.extensions.extension import Transform
from txhixie.sansio.limits import Limits, called
from txhixie.sansio.wire.frame import Opcode, Side
from txhixie.sansio.wire.mask import mask

LIMITS: Final = Limits(message_size=4 * 1024 * 1024)
PATIENCE: Final = LIMITS.close_timeout
PART: Final[Event] = ("drop", "at once")
"""The calls of the Port after both close frames, on the side that closes the TCP connection."""


def received_into(
    payload: bytes, start: int, size: int, key: bytes, data: bytes
) -> tuple[bytes, int]:
    """What ``receive_payload`` of the C files returns where a socket has ``data``."""
    have = len(payload) if start < len(payload) else size
    count = min(len(data), have - start)
    received = mask(data[:count], key) if key else data[:count]
    return payload[:start] + received + b"?" * (have - start - count), count


class ConversationDriver:
    """
    One side of a conversation.

    :ivar heard: the messages of the peer, in order.
    :ivar effects: the calls of the Port.
    """

    def __init__(
        self,
        row: Dialect | str,
        side: str = Side.SERVER,
        limits: Limits = LIMITS,
        *,
        binary: bool = False,
        transform: Transform | None = None,
    ) -> None:
        self.effects = RecordingPort()
        self.side = side
        self.conversation = Conversation(
            named(row) if isinstance(row, str) else row,
            side,
            limits,
            self.effects,
            binary=binary,
            transform=transform,
            entropy=Random(13).randbytes,
        )
        self.heard: list[tuple[int, str | bytes]] = []

    def receive(self, *chunks: bytes) -> ConversationDriver:
        """Receive reads one after the other, and all messages in them."""
        for chunk in chunks:
            self.conversation.feed(chunk)
            self.heard += self.conversation.events()
            while self.conversation.rest is not None:
                self.conversation.turned()
                self.heard += self.conversation.events()
        return self

    def receive_whole(self, *chunks: bytes, anew: bool = True, most: int = 1 << 60) -> None:
        """
        Receive reads as a connection does: whole messages at their beginning by the short way.

        :param anew: whether each read is the first one of its turn of the reactor.
        :param most: number of messages of each read after which the short way is left, as where the
            application pauses.
        """
        conversation = self.conversation
        for chunk in chunks:
            position, left = 0, most
            messages, end = conversation.messages(chunk, anew)
            while messages:
                taken = messages[:left]
                self.heard += [(1 if isinstance(each, str) else 2, each) for each in taken]
                if len(taken) < len(messages):
                    position = conversation.take_back(chunk, anew, position, messages, len(taken))
                    break
                left -= len(taken)
                position = end
                messages, end = conversation.messages(chunk, anew, position)
            conversation.feed(chunk, anew, position)
            self.heard += conversation.events()
            while conversation.rest is not None:
                conversation.turned()
                self.heard += conversation.events()

    def receive_payloads(
        self, *chunks: bytes, receive: Callable[..., tuple[bytes, int]] = received_into
    ) -> None:
        """
        Receive reads as a connection with large messages does: long payloads into their messages.

        :param receive: receives into a payload.
        """
        conversation = self.conversation
        for chunk in chunks:
            data = chunk
            while data and (target := conversation.target()) is not None:
                payload, count = receive(*target, data)
                data = data[count:]
                if conversation.payload_received(payload, count):
                    self.heard += conversation.events()
            self.receive(*[data] if data else [])

    @property
    def said(self) -> list[tuple[int, bytes]]:
        """The frames written so far, in a modern dialect, as opcode and payload."""
        return [(opcode, payload) for opcode, payload, _, _ in unframed(self.effects.written)]

    def assert_open(self) -> None:
        """Assert that the conversation is open, and that the Port has not been called."""
        assert self.conversation.ended is None
        assert self.effects.events == []

    def assert_ended(self, code: int, reason: str, who: str, clean: bool) -> None:
        """Assert how the conversation ended."""
        assert self.conversation.ended == Ended(code, reason, who, clean)

    def assert_failed(self, code: int, reason: str) -> None:
        """
        Assert that the peer broke the protocol: the last frame is a close frame with this code and
        reason, the connection is then ended, and ``ended`` has the same code and reason.
        """
        self.assert_ended(code, reason, "peer", False)
        self._assert_said_last(code, reason)

    def assert_too_big(self, what: str, limit: int, name: str = "message_size") -> None:
        """
        Assert that the peer exceeded a limit: the local error names it, the close reason does not.

        :param what: ``frame`` or ``message``.
        """
        ended = self.conversation.ended
        assert ended is not None
        assert (ended.code, ended.who, ended.clean) == (1009, "us", False)
        pattern = exceeding(what, limit, name)
        assert re.fullmatch(pattern, ended.reason), f"{ended.reason!r} is not {pattern}"
        self._assert_said_last(1009, "message too big")

    def _assert_said_last(self, code: int, reason: str) -> None:
        assert self.said[-1] == (Opcode.CLOSE, code.to_bytes(2, "big") + reason.encode())
        assert [opcode for opcode, _ in self.said].count(Opcode.CLOSE) == 1
        assert self.effects.events[-2:] == [("timeout", PATIENCE), ("drop", False)]

    def assert_refuses_to_send(self) -> None:
        """Assert that every send raises an error, and writes nothing."""
        self.effects.taken()
        sent = self.conversation.sent
        with pytest.raises(NotOpen):
            self.conversation.send_text("x")
        with pytest.raises(NotOpen):
            self.conversation.send_bytes(b"x")
        with pytest.raises(NotOpen):
            self.conversation.ping(b"x")
        assert self.effects.events == []
        assert self.conversation.sent == sent


def exceeding(what: str, limit: int, name: str = "message_size") -> str:
    """A regular expression for the local error about an exceeded limit."""
    size = r"[\d,]+ (bytes|fragments)( or more)?"
    return rf"{what} of {size} exceeds our limit of {limit:,} \({re.escape(called(name))}\)"
