"""What each bus on a server promises, for the row of Redis: outages, restarts, bounded memory.

``tests/asyncio_reactor/test_nats.py`` runs these tests for the row of NATS.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import gatherResults

from bus import test_battery
from bus.test_battery import HISTORY, subscribed
from peers.bus_servers import RedisServer
from support.bus_rows import ServerRow, promises_of
from support.bus_subscriber import Subscriber
from support.log_recorder import Log
from support.waiting import asynchronous, reactor, until, within
from txhixie.bus.rows import make_bus

globals().update(promises_of(test_battery))


@pytest.fixture
def row(tmp_path: Path) -> Iterator[ServerRow]:
    """The row of Redis, with a server that runs."""
    server = RedisServer(tmp_path)
    server.start()
    yield ServerRow(server, has_one_order=True)
    server.kill()


@HISTORY
@asynchronous
async def test_after_a_kill_and_a_restart_of_the_server_the_subscriptions_are_there_again(
    row: ServerRow, history: bool, log: Log
) -> None:
    async with row.nodes(2) as nodes:
        one, two = nodes
        heard = await subscribed(nodes, "room", history)
        row.server.kill()
        await until(lambda: not one.up and not two.up)
        await within(one.publish("room", b"alone", True))
        assert heard[0].payloads == [b"alone"]
        late = two.subscribe("late", Subscriber(), history)
        row.server.start()
        await until(lambda: one.up and two.up)
        await within(late)

        def arrived() -> bool:
            one.publish("room", b"again", True)
            return b"again" in heard[1].payloads

        await until(arrived)
        assert b"alone" not in heard[1].payloads
        assert [each.reach is not None and each.reach.downs for each in nodes] == [1, 1]
        assert one.reach is not None
        assert one.reach.lost >= 1
    lines = [line.split()[0] for line in log.lines() if line.startswith("bus-")]
    assert lines == ["bus-up", "bus-up", "bus-down", "bus-down", "bus-up", "bus-up"]


@HISTORY
@asynchronous
async def test_a_thousand_topics_are_there_again_after_a_restart_of_the_server(
    row: ServerRow, history: bool
) -> None:
    topics = [f"topic {number}" for number in range(1000)]
    made = {topic: Subscriber() for topic in topics}
    async with row.nodes(2) as (one, two):
        waiting = [two.subscribe(topic, made[topic], history) for topic in topics]
        waiting += [one.subscribe(topic, Subscriber(), history) for topic in topics]
        await within(gatherResults(waiting), 60)
        row.server.kill()
        await until(lambda: not one.up and not two.up)
        row.server.start()
        await until(lambda: one.up and two.up, 60)

        def arrived() -> bool:
            for topic in topics:
                if not made[topic].heard:
                    one.publish(topic, topic.encode(), True)
            return all(made[topic].heard for topic in topics)

        await until(arrived, 60)
        assert all({*made[topic].payloads} == {topic.encode()} for topic in topics)


@HISTORY
@asynchronous
async def test_a_server_that_stands_still_delays_no_member_of_this_process_for_long(
    row: ServerRow, history: bool
) -> None:
    async with row.nodes(1) as (bus,):
        (heard,) = await subscribed([bus], "room", history)
        row.server.stall()
        before = reactor.seconds()
        await within(bus.publish("room", b"hello", True))
        assert heard.payloads == [b"hello"]
        assert reactor.seconds() - before < 5.0


@HISTORY
@asynchronous
async def test_a_server_that_stands_still_is_an_outage_that_ends(
    row: ServerRow, history: bool
) -> None:
    async with row.nodes(2) as nodes:
        heard = await subscribed(nodes, "room", history)
        row.server.stall()
        await until(lambda: not any(each.up for each in nodes), 40)
        row.server.goes_on()
        await until(lambda: all(each.up for each in nodes), 40)

        def arrived() -> bool:
            nodes[0].publish("room", b"again", True)
            return b"again" in heard[1].payloads

        await until(arrived)


@HISTORY
@asynchronous
async def test_memory_does_not_grow_while_the_server_is_down(row: ServerRow, history: bool) -> None:
    async with row.nodes(1) as (bus,):
        await subscribed([bus], "empty", history)
        row.server.kill()
        await until(lambda: not bus.up)
        payload = b"x" * 10_000
        bus.publish("empty", payload, True)
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(2000):
                assert bus.publish("room", payload[:-1] + b"y", True).called
            gc.collect()
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert grown < 1_000_000


@HISTORY
@asynchronous
async def test_memory_does_not_grow_while_the_server_stands_still(
    row: ServerRow, history: bool
) -> None:
    async with row.nodes(1) as (bus,):
        heard = [0]

        def receive(*_: object) -> None:
            heard[0] += 1

        await within(bus.subscribe("room", receive, history))
        row.server.stall()
        tracemalloc.start()
        try:
            for number in range(2000):
                bus.publish("room", b"%d" % number * 5000, True)
            await until(lambda: heard[0] == 2000)
            gc.collect()
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert grown < 20_000_000  # 2,000 messages have 35 MB


@HISTORY
@asynchronous
async def test_each_deferred_fires_when_the_server_is_killed_meanwhile(
    row: ServerRow, history: bool
) -> None:
    async with row.nodes(2) as (one, two):
        (other,) = await subscribed([two], "other", history)
        row.server.kill()
        waiting = two.subscribe("never", Subscriber(), history)
        past = two.since("other", None)
        two.unsubscribe("never")
        unanswered = one.subscribe("unanswered", Subscriber(), history)
        await within(waiting)
        await within(past)
        assert other.heard == []
    await within(unanswered)


@HISTORY
@asynchronous
async def test_a_message_that_is_longer_than_allowed_is_dropped_and_counted(
    row: ServerRow, history: bool
) -> None:
    async with row.nodes(1) as (other,):
        bus = make_bus(reactor, row.server.url, 1000)
        bus.start()
        await until(lambda: bus.up)
        await subscribed([other], "room", history)
        (heard,) = await subscribed([bus], "room", history)
        for payload in (bytes(1001), bytes(1000), b"next"):
            await within(other.publish("room", payload, False))
        await until(lambda: b"next" in heard.payloads)
        assert heard.payloads == [bytes(1000), b"next"]
        assert bus.reach is not None
        assert bus.reach.strange == 1
        await within(bus.stop())
