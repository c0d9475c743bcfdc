"""The bus of one process."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from txhixie.bus.bus import BusMessage
from txhixie.bus.local import LocalBus


def now(deferred: Deferred[Any]) -> Any:
    """The result of a Deferred that has fired."""
    results: list[Any] = []
    deferred.addCallback(results.append)
    (result,) = results
    return result


def test_a_subscriber_gets_the_messages_of_its_topic_and_their_publishers() -> None:
    bus = LocalBus(lambda: 2.5)
    heard: list[tuple[BusMessage, object]] = []
    now(bus.subscribe("room", lambda message, publisher: heard.append((message, publisher)), False))
    publisher = object()
    assert now(bus.publish("room", b"hello", True, publisher)) == "2500-1"
    assert now(bus.publish("another", b"hello", True)) == "2500-2"
    assert now(bus.publish("room", b"\xff", False)) == "2500-3"
    assert heard == [
        (BusMessage("2500-1", True, b"hello"), publisher),
        (BusMessage("2500-3", False, b"\xff"), None),
    ]
    assert bus.up


def test_messages_are_kept_for_topics_with_a_history_until_the_subscription_ends() -> None:
    bus = LocalBus(lambda: 0.0)
    bus.subscribe("kept", lambda *_: None, True)
    bus.subscribe("room", lambda *_: None, False)
    for topic in ("kept", "room", "another"):
        bus.publish(topic, b"hello", True)
    assert [each.payload for each in now(bus.since("kept", None)).messages] == [b"hello"]
    assert now(bus.since("room", None)).messages == ()
    assert now(bus.since("another", None)).messages == ()
    bus.unsubscribe("kept")
    assert bus.history.size == 0
    assert now(bus.since("kept", None)).messages == ()
