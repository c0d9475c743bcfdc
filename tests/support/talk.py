"""One end of a conversation, with what it hears and what it asks of its Port."""

from __future__ import annotations

import re
from collections.abc import Iterable
from random import Random
from typing import Final

import pytest

from support.wire import MASK, Effects, Event, masked, modern_frame
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


class Talk:
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
        self.effects = Effects()
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

    def receive(self, *chunks: bytes) -> Talk:
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
        assert self.effects.events[-2:] == [("deadline", PATIENCE), ("drop", False)]

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


def unframed(data: bytes) -> list[tuple[int, bytes, bool, int]]:
    """Whole frames of RFC 6455 taken apart: opcode, payload, whether final, reserved bits."""
    found = []
    while data:
        first, second = data[:2]
        form = {126: 2, 127: 8}.get(second & 0x7F, 0)
        size = int.from_bytes(data[2 : 2 + form], "big") if form else second & 0x7F
        start = 2 + form + (4 if second & 0x80 else 0)
        key = data[start - 4 : start] if second & 0x80 else bytes(4)
        assert len(data) >= start + size, "a frame that is not whole"
        payload = masked(data[start : start + size], key)
        found.append((first & 0x0F, payload, bool(first & 0x80), first & 0x70))
        data = data[start + size :]
    return found


def peer_key(side: str) -> bytes | None:
    """The mask that a peer of this side uses: clients do, servers do not."""
    return MASK if side == Side.SERVER else None


def peer_frame(
    side: str, opcode: int, payload: bytes = b"", *, final: bool = True, reserved: int = 0
) -> bytes:
    """A frame as a peer of this side writes it."""
    return modern_frame(opcode, payload, final=final, reserved=reserved, key=peer_key(side))


def peer_frames(side: str, parts: Iterable[bytes], opcode: int = Opcode.TEXT) -> bytes:
    """One message in these fragments, as a peer of this side writes it."""
    fragments = list(parts)
    return b"".join(
        peer_frame(
            side,
            Opcode.CONTINUATION if index else opcode,
            part,
            final=index == len(fragments) - 1,
        )
        for index, part in enumerate(fragments)
    )
