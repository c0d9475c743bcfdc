"""The bus on Redis without its server: messages are delivered in this process."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

pytest.importorskip("txredisapi")
pytest.importorskip("hiredis")

from txhixie.bus.bus import BusMessage
from txhixie.bus.envelope import enclosed
from txhixie.bus.redis import RedisBus
from txhixie.bus.redis_address import RedisAddress

names = pytest.mark.parametrize("topic", ["room", "Räume/ü", "\udcff"])


class Subscribed:
    """A subscriber of one topic, with what it has received."""

    def __init__(self, topic: str) -> None:
        self.bus = RedisBus(Clock(), RedisAddress.of("redis://localhost"), "here")
        self.received: list[tuple[BusMessage, Any]] = []
        self.bus.subscribe(topic, lambda *what: self.received.append(what), False)


@names
def test_without_a_server_the_own_subscriber_gets_a_message(topic: str) -> None:
    one = Subscribed(topic)
    one.bus.publish(topic, b"hello", True, "me")
    assert one.received == [(BusMessage("here-1", True, b"hello"), "me")]
    one.bus.unsubscribe(topic)
    one.bus.publish(topic, b"nobody", True)
    assert len(one.received) == 1


@names
def test_a_message_of_the_server_comes_to_the_subscriber_of_its_channel(topic: str) -> None:
    one = Subscribed(topic)
    channel = topic.encode("utf-8", "surrogatepass")
    there = BusMessage("there-7", True, "Grüße".encode())
    one.bus.heard(channel, enclosed(b"there", there))
    one.bus.heard(channel, b"plain")
    one.bus.heard(channel, b"\xfe")
    one.bus.heard(channel, enclosed(b"here", BusMessage("here-1", True, b"own")))
    one.bus.heard(b"other", b"not for us")
    assert [message for message, _ in one.received] == [
        there,
        BusMessage("here-1", True, b"plain"),
        BusMessage("here-2", False, b"\xfe"),
    ]
    one.bus.heard(channel, b"\xffno envelope")
    assert one.bus.reach.strange == 1
