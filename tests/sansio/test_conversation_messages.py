"""The short way of whole messages: the same results as the way of all other bytes."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.conversation_driver import ConversationDriver, received_into
from support.frames import MASK, modern_frame
from support.message_streams import long_stream, stream
from txhixie.sansio.conversation import OPEN
from txhixie.sansio.limits import Limits
from txhixie.sansio.wire.frame import BINARY, PING, TEXT, Side

SMALL = Limits(message_size=5000, turn_size=20_000)
LARGE = Limits(message_size=600_000, turn_size=300_000)
ROWS = ["rfc6455", "hybi-07", "hixie-76", "hixie-75"]


def outcome(driver: ConversationDriver) -> dict[str, Any]:
    """All that a caller sees of a conversation."""
    conversation = driver.conversation
    return {
        "heard": driver.heard,
        "written": driver.effects.written,
        "ended": conversation.ended,
        "stage": conversation.stage,
        "received": conversation.received,
        "held": conversation.held if conversation.stage == OPEN else 0,
        "progress": conversation.progress,
    }


@given(
    st.integers(0, 1 << 32),
    st.sampled_from(ROWS),
    st.sampled_from([Side.SERVER, Side.CLIENT]),
    st.booleans(),
    st.integers(0, 80),
)
def test_both_ways_have_the_same_outcome(
    seed: int, row: str, side: str, anew: bool, most: int
) -> None:
    """For right and wrong streams, cut anywhere, and where the short way is left in the middle."""
    chunks = stream(Random(seed), row, side == Side.SERVER)
    short, usual = (ConversationDriver(row, side, SMALL) for _ in range(2))
    short.receive_whole(*chunks, anew=anew, most=most)
    usual.receive(*chunks)
    assert outcome(short) == outcome(usual)


@pytest.mark.parametrize("delivered", [0, 1, 30, 63, 64, 65, 129])
def test_messages_taken_back_are_delivered_once_and_in_order(delivered: int) -> None:
    frames = [modern_frame(TEXT, b"%d" % index, key=MASK) for index in range(130)]
    driver = ConversationDriver("rfc6455")
    driver.receive_whole(b"".join(frames), most=delivered)
    assert driver.heard == [(TEXT, str(index)) for index in range(130)]
    assert driver.conversation.received == 130


@pytest.mark.parametrize("size", [0, 10, 1000])
def test_a_turn_delivers_as_much_as_by_the_usual_way(size: int) -> None:
    """One read of many messages, in a turn of 20,000 bytes: 128 are counted for each frame."""
    data = modern_frame(BINARY, bytes(size), key=MASK) * 1000
    conversations = []
    for first in (True, False):
        driver = ConversationDriver("rfc6455", limits=SMALL)
        conversation = driver.conversation
        heard, position = 0, 0
        if first:
            messages, end = conversation.messages(data)
            while messages:
                heard, position = heard + len(messages), end
                messages, end = conversation.messages(data, True, position)
        conversation.feed(data, True, position)
        heard += len(list(conversation.events()))
        assert conversation.rest is not None
        conversations.append((heard, conversation.delivered))
    assert conversations[0] == conversations[1]
    assert conversations[0][0] == 20_000 // (size + 128)


def test_reads_of_one_turn_are_counted_together() -> None:
    """TLS may pass several reads in one turn of the reactor."""
    driver = ConversationDriver("rfc6455", limits=SMALL)
    conversation = driver.conversation
    data = modern_frame(BINARY, bytes(100), key=MASK) * 10
    heard = position = 0
    for _ in range(20):
        messages, position = conversation.messages(data, False)
        heard += len(messages)
        if position < len(data):
            conversation.feed(data, False, position)
            heard += len(list(conversation.events()))
    assert conversation.rest is not None
    assert heard == 20_000 // 228


def test_the_short_way_is_left_while_bytes_are_buffered() -> None:
    driver = ConversationDriver("rfc6455")
    frame = modern_frame(TEXT, b"Hello", key=MASK)
    driver.receive_whole(frame + frame[:3])
    assert driver.conversation.messages(frame) == ([], 0)
    driver.receive_whole(frame[3:], frame)
    assert driver.heard == [(TEXT, "Hello")] * 3
    assert driver.conversation.messages(frame) == (["Hello"], len(frame))


def test_the_short_way_is_left_while_a_message_is_incomplete() -> None:
    driver = ConversationDriver("rfc6455")
    driver.receive_whole(modern_frame(TEXT, b"a", final=False, key=MASK))
    ping = modern_frame(PING, b"", key=MASK)
    driver.receive_whole(ping, modern_frame(0, b"b", key=MASK))
    assert driver.heard == [(TEXT, "ab")]
    driver.receive_whole(modern_frame(TEXT, b"a", final=False, key=MASK))
    driver.receive_whole(modern_frame(TEXT, b"b", key=MASK))
    assert driver.conversation.ended is not None
    assert driver.conversation.ended.reason == "expected a continuation frame"


def test_bytes_received_while_messages_are_delivered_are_later_ones() -> None:
    """An application may cause the next read, where both sides are in one process."""
    frames = [modern_frame(TEXT, b"%d" % index, key=MASK) for index in range(5)]
    driver = ConversationDriver("rfc6455")
    conversation = driver.conversation
    data = frames[0] + frames[1] + frames[2]
    messages, _ = conversation.messages(data)
    conversation.feed(frames[3] + frames[4])
    position = conversation.take_back(data, True, 0, messages, 1)
    conversation.feed(data, True, position)
    assert list(conversation.events()) == [(TEXT, str(index)) for index in range(1, 5)]


@given(
    st.integers(0, 1 << 32), st.sampled_from(ROWS[:2]), st.sampled_from([Side.SERVER, Side.CLIENT])
)
def test_long_payloads_received_into_their_messages_have_the_same_outcome(
    seed: int, row: str, side: str
) -> None:
    """For text, wrong text, binary messages, fragments and control frames between them."""
    chunks = long_stream(Random(seed), side == Side.SERVER)
    into, usual = (ConversationDriver(row, side, LARGE) for _ in range(2))
    into.receive_payloads(*chunks)
    usual.receive(*chunks)
    expected = outcome(usual)
    if not into.conversation.ended:
        assert expected["held"] <= into.conversation.held <= 5 * expected["held"]
        expected["held"] = into.conversation.held
    assert outcome(into) == expected


def test_a_long_payload_is_received_into_one_object() -> None:
    """The message is the object that the last bytes were received into, without a copy."""
    frame = modern_frame(BINARY, bytes(1_000_000), key=MASK)
    driver = ConversationDriver("rfc6455")
    driver.receive(frame[:262_144])
    target = driver.conversation.target()
    assert target is not None
    assert target[1:] == (262_130, 1_000_000, MASK[2:] + MASK[:2])
    payload, count = received_into(*target, frame[262_144:])
    assert driver.conversation.payload_received(payload, count)
    ((_, message),) = driver.conversation.events()
    assert message is payload
    assert driver.conversation.target() is None


@pytest.mark.parametrize("anew", [True, False])
def test_a_long_payload_counts_with_the_messages_of_the_same_turn(anew: bool) -> None:
    """With 200 KB before it in a turn of 300 KB, it is delivered in the next turn."""
    earlier, later = modern_frame(BINARY, bytes(200_000), key=MASK), bytes(200_000)
    frame = modern_frame(BINARY, later, key=MASK)
    driver = ConversationDriver("rfc6455", limits=Limits(turn_size=300_000))
    driver.receive(earlier + frame[:50_000])
    conversation = driver.conversation
    target = conversation.target()
    assert target is not None
    assert conversation.payload_received(*received_into(*target, frame[50_000:]), anew)
    assert list(conversation.events()) == [(BINARY, later)] * anew
    conversation.turned()
    assert list(conversation.events()) == [(BINARY, later)] * (not anew)


@pytest.mark.parametrize(
    ("received", "size"), [(0, 500_000), (15_999, 500_000), (400_000, 460_000)]
)
def test_few_bytes_allocate_no_payload(received: int, size: int) -> None:
    """Neither the header of a long frame, nor its first bytes; and for its last ones it is late."""
    frame = modern_frame(BINARY, bytes(size), key=MASK)
    driver = ConversationDriver("rfc6455")
    driver.receive(frame[: 14 + received])
    assert driver.conversation.target() is None
    assert driver.conversation.held == received


def test_a_peer_has_sent_a_fifth_of_what_is_allocated() -> None:
    """A peer that announces 16 MiB and sends little makes us hold little, and that is counted."""
    frame = modern_frame(BINARY, bytes(16 << 20), key=MASK)
    driver = ConversationDriver("rfc6455", limits=Limits(message_size=16 << 20))
    driver.receive(frame[: 14 + 20_000])
    at, allocated = 14 + 20_000, []
    while (target := driver.conversation.target()) is not None and at < 3 << 20:
        assert target[2] <= 5 * target[1]
        allocated.append(driver.conversation.held)
        driver.conversation.payload_received(*received_into(*target, frame[at : at + 1400]))
        at += 1400
    assert sorted({*allocated}) == [20_000, 100_000, 500_000, 2_500_000, 12_500_000]


def test_an_unfinished_payload_is_added_to_where_it_can_no_longer_be_received_into() -> None:
    """As where a trace begins in the middle of a message."""
    content = Random(1).randbytes(400_000)
    frame = modern_frame(BINARY, content, key=MASK)
    driver = ConversationDriver("rfc6455")
    driver.receive(frame[:100_000])
    driver.receive_payloads(frame[100_000:250_000])
    driver.receive(frame[250_000:300_000], frame[300_000:])
    assert driver.heard == [(BINARY, content)]


def test_once_the_conversation_is_closing_no_payload_is_received() -> None:
    """The bytes of the message are discarded as they come."""
    driver = ConversationDriver("rfc6455")
    driver.receive(modern_frame(BINARY, bytes(400_000), key=MASK)[:100_000])
    assert driver.conversation.target() is not None
    driver.conversation.close()
    assert driver.conversation.target() is None
