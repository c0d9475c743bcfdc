"""One battery of tests for each row of the table of buses, against real servers."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import gatherResults

from peers.bus_servers import RedisServer
from support.certificates import authority
from support.log_recorder import Log
from support.waiting import asynchronous, reactor, turn, until, within
from txhixie.bus.bus import MOST_MESSAGES, Bus, BusMessage
from txhixie.bus.rows import make_bus

Heard = list[BusMessage]

SERVERS: dict[str, Callable[[Path], Any]] = {"redis": RedisServer}
"""By the name of its row, the server of each bus of several processes."""


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A server that runs."""
    made = SERVERS[request.param](tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that runs."""
    made = RedisServer(tmp_path)
    made.start()
    yield made
    made.kill()


@asynccontextmanager
async def buses(url: str, number: int = 2) -> AsyncIterator[list[Bus]]:
    """Several buses of one server, as of so many processes, that reach the server."""
    made = [make_bus(reactor, url) for _ in range(number)]
    for each in made:
        each.start()
    try:
        await until(lambda: all(each.up for each in made))
        yield made
    finally:
        await within(gatherResults([each.stop() for each in made]))


async def joined(bus: Bus, topic: str, history: bool = False) -> Heard:
    """Subscribe to a topic; the messages that come."""
    heard: Heard = []
    await within(bus.subscribe(topic, lambda message, _: heard.append(message), history))
    return heard


def payloads(heard: Heard) -> list[bytes]:
    """The payloads of messages."""
    return [each.payload for each in heard]


@pytest.fixture(params=[False, True], ids=["without history", "with history"])
def history(request: pytest.FixtureRequest) -> bool:
    """Whether the topic has a history, which is another way through the server."""
    return bool(request.param)


@asynchronous
async def test_all_messages_of_a_publisher_arrive_once_and_in_order(
    server: Any, history: bool
) -> None:
    async with buses(server.url, 3) as (one, two, three):
        heard = [await joined(bus, "room", history) for bus in (one, two, three)]
        for number in range(500):
            one.publish("room", b"one %d" % number, True)
            two.publish("room", b"two %d" % number, True)
        await until(lambda: all(len(each) == 1000 for each in heard))
        for each in heard:
            for name in (b"one", b"two"):
                expected = [b"%s %d" % (name, number) for number in range(500)]
                assert [text for text in payloads(each) if text.startswith(name)] == expected
                assert all(message.is_text for message in each)
        positions = [message.position for message in heard[0]]
        assert len({*positions}) == 1000


@asynchronous
async def test_binary_messages_arrive_as_they_were_sent(server: Any, history: bool) -> None:
    sent = [bytes(range(256)), b"", b"\xff", b"\xffn t n-1\nx", b"12", b"\r\n", b"x" * 200_000]
    async with buses(server.url) as (one, two):
        heard = await joined(two, "room", history)
        await joined(one, "room", history)
        for payload in sent:
            one.publish("room", payload, False)
        await until(lambda: len(heard) == len(sent))
        assert payloads(heard) == sent
        assert not any(message.is_text for message in heard)


@asynchronous
async def test_the_publisher_is_told_apart_and_its_messages_do_not_come_twice(
    server: Any, history: bool
) -> None:
    async with buses(server.url) as (one, two):
        heard: list[tuple[bytes, object]] = []
        await within(one.subscribe("room", lambda m, p: heard.append((m.payload, p)), history))
        other = await joined(two, "room", history)
        member = object()
        position = await within(one.publish("room", b"hello", True, member))
        await within(two.publish("room", b"answer", True))
        await until(lambda: len(heard) == 2 and len(other) == 2)
        await turn(0.2)  # time for an echo, of which there is none
        assert heard == [(b"hello", member), (b"answer", None)]
        assert position in {message.position for message in other}


@asynchronous
async def test_after_a_kill_and_a_restart_of_the_server_the_subscriptions_are_there_again(
    server: Any, history: bool, log: Log
) -> None:
    async with buses(server.url) as (one, two):
        heard = await joined(one, "room", history), await joined(two, "room", history)
        server.kill()
        await until(lambda: not one.up and not two.up)
        await within(one.publish("room", b"alone", True))
        assert payloads(heard[0]) == [b"alone"]
        late = two.subscribe("late", lambda *_: None, history)
        server.start()
        await until(lambda: one.up and two.up)
        await within(late)

        def arrived() -> bool:
            one.publish("room", b"again", True)
            return b"again" in payloads(heard[1])

        await until(arrived)
        assert b"alone" not in payloads(heard[1])
    lines = [line.split()[0] for line in log.lines() if line.startswith("bus-")]
    assert lines == ["bus-up", "bus-up", "bus-down", "bus-down", "bus-up", "bus-up"]


@asynchronous
async def test_a_server_that_stands_still_delays_no_member_of_this_process_for_long(
    server: Any, history: bool
) -> None:
    async with buses(server.url, 1) as (bus,):
        heard = await joined(bus, "room", history)
        server.stall()
        before = reactor.seconds()
        await within(bus.publish("room", b"hello", True))
        assert payloads(heard) == [b"hello"]
        assert reactor.seconds() - before < 5.0


@asynchronous
async def test_a_subscriber_that_raises_gets_the_next_message(server: Any, log: Log) -> None:
    heard: list[bytes] = []

    def receive(message: BusMessage, _: object) -> None:
        heard.append(message.payload)
        raise RuntimeError("a defect of a subscriber")

    async with buses(server.url) as (one, two):
        await within(two.subscribe("room", receive, False))
        one.publish("room", b"1", True)
        one.publish("room", b"2", True)
        await until(lambda: heard == [b"1", b"2"])
    assert [type(each) for each in log.tracebacks()] == [RuntimeError, RuntimeError]


@asynchronous
async def test_a_slow_subscriber_loses_nothing_that_the_server_holds(
    server: Any, history: bool
) -> None:
    heard: list[int] = []

    def receive(message: BusMessage, _: object) -> None:
        heard.append(int(message.payload))
        sum(range(20_000))

    async with buses(server.url) as (one, two):
        await within(two.subscribe("room", receive, history))
        await joined(one, "room", history)
        for number in range(0, 2000, 100):
            for each in range(number, number + 100):
                one.publish("room", b"%d" % each, True)
            await until(lambda last=number: len(heard) >= last - 100)  # type: ignore[misc]
        await until(lambda: len(heard) == 2000)
        assert heard == [*range(2000)]


@asynchronous
async def test_a_thousand_topics_are_kept_apart(server: Any, history: bool) -> None:
    names = [f"room {number} ☃" for number in range(1000)]
    async with buses(server.url) as (one, two):
        heard = await within(gatherResults([_joining(two, name, history) for name in names]), 60)
        await within(gatherResults([_joining(one, name, history) for name in names]), 60)
        for name in names:
            one.publish(name, name.encode(), True)
        await until(lambda: all(heard), 60)
        assert [payloads(each) for each in heard] == [[name.encode()] for name in names]


def _joining(bus: Bus, topic: str, history: bool) -> Any:
    heard: Heard = []
    subscribed = bus.subscribe(topic, lambda message, _: heard.append(message), history)
    return subscribed.addCallback(lambda _: heard)


@asynchronous
async def test_memory_does_not_grow_while_the_server_is_down(server: Any, history: bool) -> None:
    async with buses(server.url, 1) as (bus,):
        await within(bus.subscribe("room", lambda *_: None, history))
        server.kill()
        await until(lambda: not bus.up)
        payload = b"x" * 10_000
        bus.publish("room", payload, True)
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(2000):
                await within(bus.publish("room", payload[:-1] + b"y", True))
            gc.collect()
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert grown < 1_000_000


@asynchronous
async def test_memory_does_not_grow_while_the_server_stands_still(
    server: Any, history: bool
) -> None:
    async with buses(server.url, 1) as (bus,):
        heard = [0]

        def receive(*_: object) -> None:
            heard[0] += 1

        await within(bus.subscribe("room", receive, history))
        server.stall()
        tracemalloc.start()
        try:
            for _ in range(2000):
                bus.publish("room", b"%d" % _ * 5000, True)
            await until(lambda: heard[0] == 2000)
            gc.collect()
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert grown < 20_000_000  # 2,000 messages have 35 MB


@asynchronous
async def test_an_unsubscribed_topic_brings_nothing_and_each_deferred_fires(
    server: Any, history: bool
) -> None:
    async with buses(server.url) as (one, two):
        heard = await joined(two, "room", history)
        two.unsubscribe("room")
        await joined(one, "room", history)
        other = await joined(two, "other", history)
        server.kill()
        waiting = two.subscribe("never", lambda *_: None, history)
        past = two.since("other", None)
        two.unsubscribe("never")
        await within(waiting)
        await within(past)
        assert (heard, other) == ([], [])


# What only a bus with histories on its server promises.


@asynchronous
async def test_a_position_is_known_to_every_process_and_after_a_restart_of_one(
    redis: RedisServer,
) -> None:
    async with buses(redis.url) as (one, two):
        heard = await joined(one, "room", True)
        for number in range(MOST_MESSAGES + 20):
            await within(one.publish("room", b"%d" % number, True))
        await joined(two, "room", True)
        past = await within(two.since("room", heard[-3].position))
        assert (payloads([*past.messages]), past.is_whole) == ([b"118", b"119"], True)
        whole = await within(two.since("room", None))
        assert (len(whole.messages), whole.is_whole) == (MOST_MESSAGES, True)
        assert not (await within(two.since("room", heard[0].position))).is_whole
    async with buses(redis.url, 1) as (three,):
        await joined(three, "room", True)
        assert len((await within(three.since("room", heard[-3].position))).messages) == 2


@asynchronous
async def test_many_members_that_join_at_once_share_the_answer_of_the_server(
    redis: RedisServer,
) -> None:
    async with buses(redis.url, 1) as (bus,):
        await joined(bus, "room", True)
        await within(bus.publish("room", b"hello", True))
        redis.command("CONFIG", "RESETSTAT")
        found = await within(gatherResults([bus.since("room", None) for _ in range(500)]))
        assert {payloads([*past.messages])[0] for past in found} == {b"hello"}
        asked = redis.command("INFO", "commandstats").partition("cmdstat_xrevrange:calls=")[2]
        assert int(asked.partition(",")[0]) == 2


@asynchronous
async def test_redis_cli_is_a_publisher(redis: RedisServer) -> None:
    async with buses(redis.url, 1) as (bus,):
        room, kept = await joined(bus, "room"), await joined(bus, "kept", True)
        redis.command("PUBLISH", "room", "12")
        entry = redis.command("XADD", "kept", "*", "m", "hello").strip()
        redis.command("XADD", "kept", "*", "other", "hello")
        redis.command("PUBLISH", "room", "1.5")
        await until(lambda: len(room) == 2 and kept)
        assert [(each.is_text, each.payload) for each in room] == [(True, b"12"), (True, b"1.5")]
        assert kept == [BusMessage(entry, True, b"hello")]


@asynchronous
async def test_a_key_of_another_type_fails_one_topic_only(redis: RedisServer) -> None:
    redis.command("SET", "taken", "x")
    async with buses(redis.url, 1) as (bus,):
        failed: list[str] = []
        bus.subscribe("taken", lambda *_: None, True).addErrback(lambda e: failed.append(str(e)))
        heard = await joined(bus, "room", True)
        await within(bus.publish("room", b"hello", True))
        assert payloads(heard) == [b"hello"]
        await until(lambda: failed and "WRONGTYPE" in failed[0])


@asynchronous
async def test_a_wrong_password_is_a_line_without_the_password_and_the_right_one_is_used(
    tmp_path: Path, log: Log
) -> None:
    server = RedisServer(tmp_path, "--port", "{port}", "--requirepass", "the-right-one")
    server.start()
    try:
        right = make_bus(reactor, f"redis://:the-right-one@127.0.0.1:{server.port}/3")
        wrong = make_bus(reactor, f"redis://:the-wrong-one@127.0.0.1:{server.port}/3")
        right.start()
        await until(lambda: right.up)
        wrong.start()
        await until(lambda: any(line.startswith("bus-down") for line in log.lines()))
        assert not wrong.up
        await within(gatherResults([right.stop(), wrong.stop()]))
    finally:
        server.kill()
    text = "\n".join(log.lines())
    assert "WRONGPASS" in text
    assert "-one" not in text


@asynchronous
async def test_tls_is_verified_with_the_name_in_the_certificate(tmp_path: Path, log: Log) -> None:
    (tmp_path / "server.pem").write_bytes(authority().pem_for("localhost"))
    (tmp_path / "ca.pem").write_bytes(authority().pem)
    files = [str(tmp_path / "server.pem")] * 2
    words = ["--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no"]
    words += ["--tls-cert-file", files[0], "--tls-key-file", files[1]]
    words += ["--tls-ca-cert-file", str(tmp_path / "ca.pem")]
    server = RedisServer(tmp_path, *words, url="rediss://localhost:{port}")
    server.start()
    try:
        async with buses(f"{server.url}?ca={tmp_path}/ca.pem") as (one, two):
            heard = await joined(two, "room")
            one.publish("room", b"hello", True)
            await until(lambda: payloads(heard) == [b"hello"])
        for url in (server.url, f"rediss://127.0.0.1:{server.port}?ca={tmp_path}/ca.pem"):
            bus = make_bus(reactor, url)
            bus.start()
            lines = len([line for line in log.lines() if line.startswith("bus-down")])
            await until(
                lambda before=lines: (
                    len([x for x in log.lines() if x.startswith("bus-down")])  # type: ignore[misc]
                    > before
                )
            )
            assert not bus.up
            await within(bus.stop())
    finally:
        server.kill()
