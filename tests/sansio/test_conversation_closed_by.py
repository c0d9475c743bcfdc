"""The short way of a close frame that is alone in its read: the same as the way of all bytes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.conversation_driver import LIMITS, ConversationDriver
from support.frames import MASK, modern_frame
from support.recording_port import RecordingPort
from txhixie.sansio.dialects import DIALECTS, named
from txhixie.sansio.limits import Limits
from txhixie.sansio.paced_conversation import PacedConversation
from txhixie.sansio.wire.frame import Opcode, Side

NAMES = [dialect.name for dialect in DIALECTS]
PAYLOADS = [
    b"",
    b"\x03",
    b"\x03\xe8",
    b"\x03\xe9",
    b"\x03\xe8bye",
    b"\x03\xe8\xff",
    b"\x03\xec",
    b"\x03\xed",
    b"\x0b\xb8",
    b"\xff\xff",
    b"\x03\xe8" + b"x" * 123,
]
READS = [
    b"",
    b"\xff\x00",
    b"\xff\x00\xff\x00",
    b"\xff",
    b"\xff\x80\x00",
    b"\x00Hello\xff",
    b"\x88",
    b"\x88\x80" + MASK,
    *(modern_frame(Opcode.CLOSE, each, key=key) for each in PAYLOADS for key in (MASK, None)),
    modern_frame(Opcode.CLOSE, b"\x03\xe8", key=MASK)[:-1],
    modern_frame(Opcode.CLOSE, b"\x03\xe8", key=MASK) + b"\x89\x00",
    modern_frame(Opcode.CLOSE, b"\x03\xe8", key=MASK, form=2),
    modern_frame(Opcode.CLOSE, b"\x03\xe8", key=MASK, final=False),
    modern_frame(Opcode.CLOSE, b"\x03\xe8", key=MASK, reserved=0x40),
    modern_frame(Opcode.CLOSE, b"x" * 126, key=MASK),
    modern_frame(Opcode.PING, b"x", key=MASK),
    modern_frame(Opcode.TEXT, b"x", key=MASK),
]


def by_the_short_way(
    name: str, side: str, data: bytes, limits: Limits
) -> tuple[bool, ConversationDriver]:
    """Whether the short way has taken a read, and a conversation that has received it."""
    talk = ConversationDriver(name, side, limits)
    taken = talk.conversation.closed_by(data)
    return taken, talk if taken else talk.receive(data)


def assert_same(name: str, side: str, data: bytes, limits: Limits = LIMITS) -> bool:
    """Assert that a read has the same result by both ways; return whether the short one took it."""
    taken, short = by_the_short_way(name, side, data, limits)
    long = ConversationDriver(name, side, limits).receive(data)
    assert short.heard == long.heard
    assert short.effects.events == long.effects.events
    assert short.conversation.ended == long.conversation.ended
    assert short.conversation.stage == long.conversation.stage
    assert short.conversation.heard
    return taken


@pytest.mark.parametrize("side", [Side.CLIENT, Side.SERVER])
@pytest.mark.parametrize("name", NAMES)
def test_the_short_way_of_a_close_frame_has_the_same_result(name: str, side: str) -> None:
    for data in READS:
        assert_same(name, side, data)


@pytest.mark.parametrize("name", ["hybi-07", "hybi-08", "rfc6455"])
def test_a_masked_close_frame_of_a_client_takes_the_short_way(name: str) -> None:
    for payload in PAYLOADS:
        assert assert_same(name, Side.SERVER, modern_frame(Opcode.CLOSE, payload, key=MASK))


def test_the_close_frame_of_hixie_76_takes_the_short_way() -> None:
    assert assert_same("hixie-76", Side.SERVER, b"\xff\x00")


@pytest.mark.parametrize("name", ["hixie-54", "hixie-75"])
def test_without_close_frames_nothing_takes_the_short_way(name: str) -> None:
    assert not any(assert_same(name, Side.SERVER, data) for data in READS)


@given(
    st.sampled_from(NAMES),
    st.one_of(
        st.binary(max_size=140),
        st.binary(max_size=130).map(lambda payload: modern_frame(Opcode.CLOSE, payload, key=MASK)),
    ),
)
@example("rfc6455", b"\x88\xff" + b"x" * 131)
def test_any_read_has_the_same_result(name: str, data: bytes) -> None:
    assert_same(name, Side.SERVER, data)


@pytest.mark.parametrize(
    "limits", [Limits(message_size=10), Limits(frame_size=3), Limits(message_size=0)]
)
@pytest.mark.parametrize("name", NAMES)
def test_a_close_frame_beyond_a_limit_has_the_same_result(name: str, limits: Limits) -> None:
    for data in READS:
        assert_same(name, Side.SERVER, data, limits)


def test_a_conversation_with_a_rate_limit_counts_each_frame() -> None:
    port = RecordingPort()
    limits = Limits(messages_per_second=10)
    dialect = named("rfc6455")
    paced = PacedConversation(dialect, Side.SERVER, limits, port, seconds=lambda: 0.0)
    assert not paced.closed_by(modern_frame(Opcode.CLOSE, b"\x03\xe8", key=MASK))
    assert port.events == []
