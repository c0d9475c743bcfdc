"""What each bus promises, for each row: order, binary, no echo, history, many topics.

The rows with a server are in ``tests/peers``, where these tests run once more.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import pytest
from twisted.internet.defer import Deferred, gatherResults

from support.bus_rows import LocalRow, Row, WorkersRow
from support.bus_subscriber import Subscriber
from support.counted_member import CountedMember
from support.log_recorder import Log
from support.turns import Turns, be_busy, counting
from support.waiting import asynchronous, reactor, until, within
from txhixie.bus.bus import Bus, BusMessage
from txhixie.hub.hub import Hub
from txhixie.hub.service import HubService
from txhixie.testing import Pair, Recorder

ROWS: Final[dict[str, type[LocalRow | WorkersRow]]] = {"local": LocalRow, "workers": WorkersRow}


@pytest.fixture(params=list(ROWS))
def row(request: pytest.FixtureRequest) -> Row:
    """A row without a server."""
    made: Row = ROWS[request.param]()
    return made


HISTORY: Final = pytest.mark.parametrize(
    "history", [False, True], ids=["without history", "with history"]
)
"""Whether the topic has a history: another way through a server."""


async def subscribed(nodes: list[Bus], topic: str, history: bool = False) -> list[Subscriber]:
    """Subscribe to a topic at each node."""
    made = [Subscriber() for _ in nodes]
    waiting = [bus.subscribe(topic, each, history) for bus, each in zip(nodes, made, strict=True)]
    await within(gatherResults(waiting))
    return made


@HISTORY
@asynchronous
async def test_messages_of_a_publisher_arrive_once_and_in_order_at_each_node(
    row: Row, history: bool
) -> None:
    async with row.nodes(3) as nodes:
        heard = await subscribed(nodes, "room", history)
        published = []
        for number in range(500):
            published.append(nodes[0].publish("room", b"first %d" % number, True))
            nodes[-1].publish("room", b"last %d" % number, True)
        positions = [await within(each) for each in published]
        await until(lambda: all(len(each.heard) == 1000 for each in heard))
        for each in heard:
            for name in (b"first", b"last"):
                expected = [b"%s %d" % (name, number) for number in range(500)]
                assert [text for text in each.payloads if text.startswith(name)] == expected
            assert all(message.is_text for message in each.heard)
            assert len({message.position for message in each.heard}) == 1000
        for each in heard if row.has_one_order else heard[:1]:
            first = [each for each in each.heard if each.payload.startswith(b"first")]
            assert [message.position for message in first] == positions


@HISTORY
@asynchronous
async def test_binary_messages_are_any_bytes(row: Row, history: bool) -> None:
    sent = [bytes(range(256)), b"", b"\xff", b"\xffn t n-1\nx", b"12", b"\r\n$-1\r\n"]
    sent += [bytes(300_000), "ü€".encode()]
    async with row.nodes(2) as nodes:
        heard = await subscribed(nodes, "room", history)
        for payload in sent:
            await within(nodes[-1].publish("room", payload, False))
        await until(lambda: all(len(each.heard) == len(sent) for each in heard))
        for each in heard:
            assert each.payloads == sent
            assert not any(message.is_text for message in each.heard)


@HISTORY
@asynchronous
async def test_a_publisher_is_known_in_its_own_process_only_and_hears_no_echo(
    row: Row, history: bool
) -> None:
    async with row.nodes(2) as nodes:
        heard = await subscribed(nodes, "room", history)
        publisher = object()
        await within(nodes[0].publish("room", b"mine", True, publisher))
        await until(lambda: all(each.heard for each in heard))
        await within(nodes[-1].publish("room", b"answer", True))
        # An echo of the first message would have come before the second one.
        await until(lambda: all(len(each.heard) == 2 for each in heard))
        assert [each.payloads for each in heard] == [[b"mine", b"answer"]] * len(nodes)
        assert heard[0].publishers == [publisher, None]
        assert all(each.publishers == [None, None] for each in heard[1:])


def _has(pair: Pair, client: Recorder, *event: str) -> bool:
    pair.pump()
    return event in client.events


@HISTORY
@asynchronous
async def test_a_member_gets_what_another_process_publishes_as_soon_as_its_connection_is_open(
    row: Row, history: bool
) -> None:
    async with row.nodes(2) as nodes:
        hubs = [Hub(each, reactor) for each in nodes]
        for number in range(20):
            services = [HubService(hub, f"room-{number}", history=int(history)) for hub in hubs]
            # The publisher's process subscribes first: its subscription takes as long as the other.
            published = services[0].publish("/", b"earlier", True)
            assert isinstance(published, Deferred)
            await within(published)
            client = Recorder()
            pair = Pair.new(services[-1], client)
            await until(partial(_has, pair, client, "finished"))
            services[0].publish("/", b"hello", True)
            await until(partial(_has, pair, client, "text", "hello"))
        for hub in hubs:
            await within(hub.stop())


class SlowSubscriber(Subscriber):
    """
    A subscriber that takes the time of a turn for each message.

    :ivar turns: number of the turn of the reactor in which each message came.
    """

    def __init__(self, counted: Turns) -> None:
        super().__init__()
        self.turns: list[int] = []
        self._counted = counted

    def __call__(self, message: BusMessage, publisher: object) -> None:
        """Keep a message, and be busy."""
        super().__call__(message, publisher)
        self.turns.append(self._counted.number)
        be_busy()


@HISTORY
@asynchronous
async def test_messages_of_others_that_take_long_are_delivered_in_many_turns(
    row: Row, history: bool
) -> None:
    """Otherwise 100 messages to thousands of members would stop all else for seconds."""
    async with row.nodes(2) as nodes:
        if len(nodes) == 1:
            return  # each message is delivered when it is published
        await within(nodes[0].subscribe("room", Subscriber(), history))
        with counting() as turns:
            slow = SlowSubscriber(turns)
            await within(nodes[1].subscribe("room", slow, history))
            for number in range(10):
                nodes[0].publish("room", b"%d" % number, True)
            await until(lambda: len(slow.heard) == 10)
        assert slow.payloads == [b"%d" % number for number in range(10)]
        assert len({*slow.turns}) == 10


@asynchronous
async def test_messages_since_a_position_of_a_node_are_those_that_it_has_had_later(
    row: Row,
) -> None:
    async with row.nodes(2) as nodes:
        heard = await subscribed(nodes, "room", True)
        await subscribed(nodes, "another", True)
        for number in range(10):
            bus = nodes[number % len(nodes)]
            await within(bus.publish("room", b"%d" % number, number % 2 == 0))
            await within(bus.publish("another", b"x", True))
        await until(lambda: all(len(each.heard) == 10 for each in heard))
        for bus, each in zip(nodes, heard, strict=True):
            assert not row.has_one_order or each.heard == heard[0].heard
            past = await within(bus.since("room", None))
            assert (list(past.messages), past.is_whole) == (each.heard, True)
            past = await within(bus.since("room", each.heard[6].position))
            assert (list(past.messages), past.is_whole) == (each.heard[7:], True)
            past = await within(bus.since("room", each.heard[-1].position))
            assert (past.messages, past.is_whole) == ((), True)
            past = await within(bus.since("room", "unknown"))
            assert (list(past.messages), past.is_whole) == (each.heard, False)


@asynchronous
async def test_a_topic_without_a_history_has_no_earlier_messages(row: Row) -> None:
    async with row.nodes(2) as nodes:
        await subscribed(nodes, "room")
        position = await within(nodes[0].publish("room", b"hello", True))
        for bus in nodes:
            assert (await within(bus.since("room", None))).messages == ()
            past = await within(bus.since("room", position))
            assert (past.messages, past.is_whole) == ((), False)


@HISTORY
@asynchronous
async def test_a_subscription_ends_and_begins_anew(row: Row, history: bool) -> None:
    async with row.nodes(2) as nodes:
        heard = await subscribed(nodes, "room", history)
        others = await subscribed(nodes, "another", history)
        nodes[-1].unsubscribe("room")
        nodes[-1].unsubscribe("unknown")
        for topic in ("room", "another"):
            await within(nodes[0].publish(topic, b"hello", True))
        await until(lambda: all(each.heard for each in others))
        assert heard[-1].heard == []
        again = Subscriber()
        await within(nodes[-1].subscribe("room", again, history))
        await within(nodes[0].publish("room", b"again", True))
        await until(lambda: again.heard)
        assert again.payloads == [b"again"]


@HISTORY
@asynchronous
async def test_a_slow_subscriber_loses_nothing_that_is_within_the_bounds(
    row: Row, history: bool
) -> None:
    heard: list[int] = []

    def receive(message: BusMessage, _: object) -> None:
        heard.append(int(message.payload))
        sum(range(20_000))

    def has(count: int) -> bool:
        return len(heard) >= count

    async with row.nodes(2) as nodes:
        await subscribed(nodes[:-1], "room", history)
        await within(nodes[-1].subscribe("room", receive, history))
        for number in range(0, 2000, 100):
            for each in range(number, number + 100):
                nodes[0].publish("room", b"%d" % each, True)
            await until(partial(has, number - 100))
        await until(lambda: len(heard) == 2000)
        assert heard == [*range(2000)]


@HISTORY
@asynchronous
async def test_a_subscriber_that_raises_costs_the_publisher_and_the_next_message_nothing(
    row: Row, history: bool, log: Log
) -> None:
    heard: list[bytes] = []

    def receive(message: BusMessage, _: object) -> None:
        heard.append(message.payload)
        raise RuntimeError("a defect of a subscriber")

    async with row.nodes(2) as nodes:
        for bus in nodes:
            await within(bus.subscribe("room", receive, history))
        for payload in (b"1", b"2"):
            assert await within(nodes[0].publish("room", payload, True))
        await until(lambda: sorted(heard) == sorted([b"1", b"2"] * len(nodes)))
        raised = log.tracebacks()
        assert [type(each) for each in raised] == [RuntimeError] * 2 * len(nodes)


@HISTORY
@asynchronous
async def test_a_thousand_topics_stay_apart(row: Row, history: bool) -> None:
    topics = [f"topic {number} ☃" for number in range(1_000)]
    made = {topic: Subscriber() for topic in topics}
    async with row.nodes(2) as nodes:
        waiting = [nodes[-1].subscribe(topic, made[topic], history) for topic in topics]
        await within(gatherResults(waiting), 60)
        if len(nodes) > 1:
            waiting = [nodes[0].subscribe(topic, Subscriber(), history) for topic in topics]
            await within(gatherResults(waiting), 60)
        for topic in topics:
            nodes[0].publish(topic, topic.encode(), True)
        await until(lambda: all(made[topic].heard for topic in topics), 60)
        for topic in topics:
            assert made[topic].payloads == [topic.encode()]


@asynchronous
async def test_a_member_that_asks_is_told_the_number_of_members_at_all_nodes(row: Row) -> None:
    async with row.nodes(3) as nodes:
        hubs = [Hub(bus, reactor, f"node-{number}") for number, bus in enumerate(nodes)]
        topics = [hub.topic("room", 600.0, False) for hub in hubs]
        members = [CountedMember(topic, False) for topic in topics]
        asking = CountedMember(topics[0], True)
        await until(lambda: asking.told[-1:] == [len(nodes) + 1])
        members.append(CountedMember(topics[-1], True))
        await until(lambda: members[-1].told)
        await until(lambda: asking.told[-1] == members[-1].told[-1] == len(nodes) + 2)
        for each in members:
            each.leave()
        await until(lambda: asking.told[-1] == 1)
        asking.leave()
        for hub in hubs:
            await within(hub.stop())
