"""One side of a `Conversation`, with the messages it received and the requests to its Port."""

from __future__ import annotations

import re
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

LIMITS: Final = Limits(message_size=4 * 1024 * 1024)
PATIENCE: Final = LIMITS.close_timeout
PART: Final[Event] = ("drop", "at once")
"""What is asked of the Port when both have said that they close, and it is on us to go."""


class ConversationDriver:
    """
    One end of a conversation.

    :ivar heard: the messages of the peer, in order.
    :ivar effects: what was asked of the Port.
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
        """Take these reads one after the other, and all the messages in them."""
        for chunk in chunks:
            self.conversation.feed(chunk)
            self.heard += self.conversation.events()
            while self.conversation.rest is not None:
                self.conversation.turned()
                self.heard += self.conversation.events()
        return self

    @property
    def said(self) -> list[tuple[int, bytes]]:
        """The frames written so far, in a modern dialect, as opcode and payload."""
        return [(opcode, payload) for opcode, payload, _, _ in unframed(self.effects.written)]

    def assert_open(self) -> None:
        """Nothing has been said of an end, nor asked of the Port."""
        assert self.conversation.ended is None
        assert self.effects.events == []

    def assert_ended(self, code: int, reason: str, who: str, clean: bool) -> None:
        """The facts of the end are these."""
        assert self.conversation.ended == Ended(code, reason, who, clean)

    def assert_failed(self, code: int, reason: str) -> None:
        """
        The peer broke a rule: so we have said, with this code and reason, as the last frame on a
        connection that then is ended; and these are the facts.
        """
        self.assert_ended(code, reason, "peer", False)
        self._assert_said_last(code, reason)

    def assert_too_big(self, what: str, limit: int, name: str = "message_size") -> None:
        """
        A limit of ours was reached: the peer is told no more than that, and our side which it is.

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
        """Whatever is sent now raises and is written nowhere."""
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
    """A pattern for what our own side is told of a limit of ours."""
    size = r"[\d,]+ (bytes|fragments)( or more)?"
    return rf"{what} of {size} exceeds our limit of {limit:,} \({re.escape(called(name))}\)"
