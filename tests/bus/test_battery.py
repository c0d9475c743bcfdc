"""What each bus promises, for each row: order, binary, no echo, history, many topics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import time
from typing import Final

import pytest

from support.bus_subscriber import Subscriber
from support.waiting import asynchronous, reactor, until, within
from txhixie.bus.bus import Bus
from txhixie.bus.local import LocalBus
from txhixie.bus.relay import TopicRelay
from txhixie.daemon.workers.bus_link import bus_over, relay_over
from txhixie.daemon.workers.link import adoptLink, linkPair

Nodes = list[Bus]
"""Buses of several processes, or machines, that reach each other; of one if the row has one."""


@contextmanager
def local() -> Iterator[Nodes]:
    """The bus of one process."""
    yield [LocalBus(time)]


@contextmanager
def workers() -> Iterator[Nodes]:
    """Two workers, with their links to the parent."""
    relay = TopicRelay(reactor, time)
    nodes, links = [], []
    for index in range(2):
        here, other = linkPair(reactor)
        there = adoptLink(reactor, other.detach())
        relay_over(here, relay)
        nodes.append(bus_over(there, reactor, index))
        links += [here, there]
    yield list(nodes)
    for node in nodes:
        node.stop()
    for link in links:
        link.close()
    relay.stop()


ROWS: Final[dict[str, Callable[[], AbstractContextManager[Nodes]]]] = {
    "local": local,
    "workers": workers,
}
"""Each row, with a function that makes its buses."""


@pytest.fixture(params=list(ROWS))
def nodes(request: pytest.FixtureRequest) -> Iterator[Nodes]:
    """The buses of a row."""
    with ROWS[request.param]() as made:
        yield made


async def subscribed(nodes: Nodes, topic: str, history: bool = False) -> list[Subscriber]:
    """Subscribe to a topic at each node."""
    made = [Subscriber() for _ in nodes]
    for bus, subscriber in zip(nodes, made, strict=True):
        await within(bus.subscribe(topic, subscriber, history))
    return made


@asynchronous
async def test_messages_of_a_publisher_arrive_once_and_in_order_at_each_node(nodes: Nodes) -> None:
    heard = await subscribed(nodes, "room")
    sent = [b"%d" % number for number in range(500)]
    published = [nodes[0].publish("room", payload, True) for payload in sent]
    positions = [await within(each) for each in published]
    assert len(set(positions)) == len(sent)
    await until(lambda: all(len(each.heard) == len(sent) for each in heard))
    for each in heard:
        assert each.payloads == sent
        assert all(message.is_text for message in each.heard)
        assert [message.position for message in each.heard] == positions


@asynchronous
async def test_binary_messages_are_any_bytes(nodes: Nodes) -> None:
    heard = await subscribed(nodes, "room")
    sent = [bytes(range(256)), b"", b"\xff", b"\r\n$-1\r\n", bytes(300_000), "ü€".encode()]
    for payload in sent:
        await within(nodes[-1].publish("room", payload, False))
    await until(lambda: all(len(each.heard) == len(sent) for each in heard))
    for each in heard:
        assert each.payloads == sent
        assert not any(message.is_text for message in each.heard)


@asynchronous
async def test_a_publisher_is_known_in_its_own_process_only(nodes: Nodes) -> None:
    heard = await subscribed(nodes, "room")
    publisher = object()
    await within(nodes[0].publish("room", b"mine", True, publisher))
    await within(nodes[0].publish("room", b"of nobody", True))
    await until(lambda: all(len(each.heard) == 2 for each in heard))
    assert heard[0].publishers == [publisher, None]
    assert all(each.publishers == [None, None] for each in heard[1:])


@asynchronous
async def test_messages_since_a_position_are_the_same_at_each_node(nodes: Nodes) -> None:
    heard = await subscribed(nodes, "room", True)
    await subscribed(nodes, "another", True)
    for number in range(10):
        await within(nodes[number % len(nodes)].publish("room", b"%d" % number, number % 2 == 0))
        await within(nodes[number % len(nodes)].publish("another", b"x", True))
    await until(lambda: all(len(each.heard) == 10 for each in heard))
    everything = heard[0].heard
    for bus, each in zip(nodes, heard, strict=True):
        assert each.heard == everything
        past = await within(bus.since("room", None))
        assert (list(past.messages), past.is_whole) == (everything, True)
        past = await within(bus.since("room", everything[6].position))
        assert (list(past.messages), past.is_whole) == (everything[7:], True)
        past = await within(bus.since("room", everything[-1].position))
        assert (past.messages, past.is_whole) == ((), True)
        past = await within(bus.since("room", "unknown"))
        assert not past.is_whole


@asynchronous
async def test_a_topic_without_a_history_has_no_earlier_messages(nodes: Nodes) -> None:
    await subscribed(nodes, "room")
    await within(nodes[0].publish("room", b"hello", True))
    for bus in nodes:
        assert (await within(bus.since("room", None))).messages == ()


@asynchronous
async def test_a_subscription_ends(nodes: Nodes) -> None:
    heard = await subscribed(nodes, "room")
    others = await subscribed(nodes, "another")
    nodes[-1].unsubscribe("room")
    nodes[-1].unsubscribe("unknown")
    for topic in ("room", "another"):
        await within(nodes[0].publish(topic, b"hello", True))
    await until(lambda: all(each.heard for each in others))
    assert heard[-1].heard == []
    again = Subscriber()
    await within(nodes[-1].subscribe("room", again, False))
    await within(nodes[0].publish("room", b"again", True))
    await until(lambda: again.heard)
    assert again.payloads == [b"again"]


@asynchronous
async def test_a_thousand_topics_stay_apart(nodes: Nodes) -> None:
    topics = [f"topic {number}" for number in range(1_000)]
    made = {topic: [Subscriber() for _ in nodes] for topic in topics}
    waiting = [
        bus.subscribe(topic, subscriber, False)
        for topic in topics
        for bus, subscriber in zip(nodes, made[topic], strict=True)
    ]
    for each in waiting:
        await within(each)
    for topic in topics:
        nodes[0].publish(topic, topic.encode(), True)
    await until(lambda: all(each.heard for topic in topics for each in made[topic]))
    for topic in topics:
        assert all(each.payloads == [topic.encode()] for each in made[topic])
