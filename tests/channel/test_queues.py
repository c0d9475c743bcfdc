"""Inbox and outbox of a channel: bounded by pausing their source, without losing a message."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred

from txhixie.channel.queues import Inbox, Outbox
from txhixie.errors import ConversationEnded, NotOpen, UsageError


class Filled:
    """An inbox, and the calls that pause and resume its source."""

    def __init__(self, highWater: int = 300) -> None:
        self.said: list[str] = []
        self.box = Inbox(
            lambda: self.said.append("pause"), lambda: self.said.append("resume"), highWater
        )


def result(deferred: Deferred[Any]) -> Any:
    """The result of a Deferred that has fired; its error is raised."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results, "it has not fired"
    if isinstance(results[0], (str, bytes, type(None))):
        return results[0]
    results[0].raiseException()
    return None


def test_received_messages_are_returned_in_order() -> None:
    inbox = Filled().box
    for message in ("one", b"two", ""):
        inbox.put(message)
    assert [result(inbox.get()) for _ in range(3)] == ["one", b"two", ""]


def test_a_waiting_receiver_gets_the_next_message() -> None:
    inbox = Filled().box
    waiting = inbox.get()
    assert not waiting.called
    inbox.put("one")
    assert result(waiting) == "one"


def test_two_receivers_cannot_wait() -> None:
    """The order of two receivers would be arbitrary."""
    inbox = Filled().box
    first = inbox.get()
    with pytest.raises(UsageError):
        result(inbox.get())
    inbox.put("one")
    assert result(first) == "one"


def test_a_cancelled_receiver_takes_no_message() -> None:
    inbox = Filled().box
    waiting = inbox.get()
    waiting.cancel()
    with pytest.raises(CancelledError):
        result(waiting)
    inbox.put("one")
    assert result(inbox.get()) == "one"


def test_the_end_comes_after_the_last_message() -> None:
    inbox = Filled().box
    inbox.put("one")
    inbox.end(lambda: NotOpen("over"))
    assert result(inbox.get()) == "one"
    for _ in range(2):
        with pytest.raises(NotOpen):
            result(inbox.get())


def test_a_waiting_receiver_fails_at_the_end() -> None:
    inbox = Filled().box
    waiting = inbox.get()
    inbox.end(lambda: NotOpen("over"))
    with pytest.raises(NotOpen):
        result(waiting)


@given(
    st.lists(st.one_of(st.text(max_size=200), st.binary(max_size=200), st.just(None))),
    st.integers(1, 1000),
)
def test_no_message_is_lost_and_the_source_is_paused_while_the_inbox_is_full(
    steps: list[str | bytes | None], highWater: int
) -> None:
    """Each step adds a message, or takes one for ``None``. Pauses and resumes alternate, and the
    source is not paused while the inbox is empty."""
    filled = Filled(highWater)
    put: list[str | bytes] = []
    got: list[str | bytes] = []
    for step in steps:
        if step is not None:
            filled.box.put(step)
            put.append(step)
        elif len(got) < len(put):
            got.append(result(filled.box.get()))
        waiting = put[len(got) :]
        size = sum(len(message) + 64 for message in waiting)
        resting = filled.said[-1:] == ["pause"]
        assert resting or size < highWater
        assert not resting or size > highWater // 2
    assert filled.said == [("pause", "resume")[i % 2] for i in range(len(filled.said))]
    while len(got) < len(put):
        got.append(result(filled.box.get()))
    assert got == put


class Sent:
    """An outbox, and the messages that it has sent."""

    def __init__(self, room: int = 1000) -> None:
        self.messages: list[Any] = []
        self.room = room
        self.box = Outbox(self.send)

    def send(self, message: Any) -> None:
        if message == "bad":
            raise NotOpen("bad")
        self.messages.append(message)
        self.room -= 1
        if self.room == 0:
            self.box.pauseProducing()


def test_with_room_a_message_leaves_at_once() -> None:
    sent = Sent()
    assert result(sent.box.put("one")) is None
    assert sent.messages == ["one"]
    with pytest.raises(NotOpen):
        result(sent.box.put("bad"))


def test_many_sends_may_wait_and_leave_in_order() -> None:
    sent = Sent(room=1)
    result(sent.box.put("one"))
    waiting = [sent.box.put(message) for message in ("two", "three", "bad", "four")]
    assert sent.messages == ["one"]
    sent.room = 2
    sent.box.resumeProducing()
    assert sent.messages == ["one", "two", "three"]
    assert [deferred.called for deferred in waiting] == [True, True, False, False]
    sent.box.resumeProducing()
    assert sent.messages == ["one", "two", "three", "four"]
    with pytest.raises(NotOpen):
        result(waiting[2])


def test_a_send_in_a_callback_comes_after_the_waiting_sends() -> None:
    sent = Sent(room=1)
    result(sent.box.put("one"))
    again: list[Deferred[None]] = []
    first = sent.box.put("two")
    first.addCallback(lambda _: again.append(sent.box.put("four")))
    sent.box.put("three")
    sent.room = 100
    sent.box.resumeProducing()
    assert sent.messages == ["one", "two", "three", "four"]


def test_a_cancelled_send_is_not_sent() -> None:
    sent = Sent(room=1)
    result(sent.box.put("one"))
    two, three = sent.box.put("two"), sent.box.put("three")
    two.cancel()
    with pytest.raises(CancelledError):
        result(two)
    sent.box.resumeProducing()
    assert sent.messages == ["one", "three"]
    assert result(three) is None


def test_waiting_sends_fail_when_the_outbox_ends() -> None:
    sent = Sent(room=1)
    result(sent.box.put("one"))
    two = sent.box.put("two")
    sent.box.stopProducing()  # as TCP's transport does, before the reason of the end is known
    assert not two.called
    sent.box.end(lambda: ConversationEnded(1006, "reset"))
    for deferred in (two, sent.box.put("three")):
        with pytest.raises(ConversationEnded) as raised:
            result(deferred)
        assert (raised.value.code, raised.value.reason) == (1006, "reset")
    assert sent.messages == ["one"]
