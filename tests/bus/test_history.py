"""The last messages of topics: positions, and the bounds of a topic and of all topics."""

from __future__ import annotations

from txhixie.bus.bus import BusMessage, Past
from txhixie.bus.history import History


def message(number: int, size: int = 1) -> BusMessage:
    """A message whose position is its number."""
    return BusMessage(str(number), True, b"x" * size)


def positions(past: Past) -> list[int]:
    """The positions of earlier messages."""
    return [int(each.position) for each in past.messages]


def test_the_messages_after_a_position_are_returned() -> None:
    history = History()
    for number in range(5):
        history.add("room", message(number))
    assert positions(history.since("room", None)) == [0, 1, 2, 3, 4]
    assert positions(history.since("room", "2")) == [3, 4]
    assert history.since("room", "4") == Past((), True)
    assert history.since("another", None) == Past((), True)


def test_a_position_that_is_not_kept_is_answered_with_all_and_is_not_whole() -> None:
    history = History(messages=2)
    for number in range(5):
        history.add("room", message(number))
    past = history.since("room", "1")
    assert (positions(past), past.is_whole) == ([3, 4], False)
    assert history.since("another", "1") == Past((), False)


def test_a_topic_keeps_at_most_so_many_messages_and_bytes() -> None:
    history = History(messages=3, topic_bytes=100)
    for number in range(5):
        history.add("room", message(number))
    assert positions(history.since("room", None)) == [2, 3, 4]
    history.add("room", message(5, 99))
    assert positions(history.since("room", None)) == [4, 5]
    assert history.size == 100
    history.add("room", message(6, 101))
    assert positions(history.since("room", None)) == []
    assert history.size == 0


def test_beyond_the_bound_of_all_topics_the_oldest_topic_is_forgotten_first() -> None:
    history = History(all_bytes=30)
    history.add("one", message(1, 10))
    history.add("two", message(2, 10))
    history.add("one", message(3, 10))
    history.add("three", message(4, 5))
    assert positions(history.since("two", None)) == []
    assert positions(history.since("one", None)) == [1, 3]
    assert history.size == 25


def test_a_forgotten_topic_holds_no_bytes() -> None:
    history = History()
    history.add("room", message(1, 10))
    history.forget("room")
    history.forget("room")
    assert history.size == 0
