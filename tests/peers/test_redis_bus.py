"""What only the bus on Redis promises: a history on the server, redis-cli, TLS, passwords."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import sleep

import pytest
from twisted.internet.defer import gatherResults

from bus.test_battery import subscribed
from peers.bus_servers import RedisServer
from support.bus_rows import ServerRow, log_of_passwords, stop_at_each_moment
from support.bus_subscriber import Subscriber
from support.certificates import authority
from support.log_recorder import Log
from support.waiting import asynchronous, reactor, until, within
from txhixie.bus.bus import MOST_MESSAGES, UNKNOWN, Bus, BusMessage
from txhixie.bus.rows import make_bus


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that runs."""
    made = RedisServer(tmp_path)
    made.start()
    yield made
    made.kill()


def row_of(server: RedisServer) -> ServerRow:
    """The row of a Redis."""
    return ServerRow(server, has_one_order=True)


async def joined(bus: Bus, topic: str, history: bool = False) -> Subscriber:
    """Subscribe to a topic."""
    (heard,) = await subscribed([bus], topic, history)
    return heard


@asynchronous
async def test_a_position_is_known_to_every_process_and_after_a_restart_of_one(
    redis: RedisServer,
) -> None:
    async with row_of(redis).nodes(2) as (one, two):
        heard = await joined(one, "room", True)
        for number in range(MOST_MESSAGES + 20):
            await within(one.publish("room", b"%d" % number, True))
        await joined(two, "room", True)
        past = await within(two.since("room", heard.heard[-3].position))
        assert ([each.payload for each in past.messages], past.is_whole) == ([b"118", b"119"], True)
        whole = await within(two.since("room", None))
        assert (len(whole.messages), whole.is_whole) == (MOST_MESSAGES, True)
        assert not (await within(two.since("room", heard.heard[0].position))).is_whole
    async with row_of(redis).nodes(1) as (three,):
        await joined(three, "room", True)
        assert len((await within(three.since("room", heard.heard[-3].position))).messages) == 2


@asynchronous
async def test_a_history_of_long_messages_is_read_in_short_replies(redis: RedisServer) -> None:
    async with row_of(redis).nodes(1) as (bus,):
        heard = await joined(bus, "room", True)
        for number in range(20):
            await within(bus.publish("room", b"%d" % number * 50_000, True))
        past = await within(bus.since("room", None))
        assert list(past.messages) == heard.heard[-2:]  # 200,000 of at most 262,144 bytes


@asynchronous
async def test_messages_that_the_server_dropped_before_they_were_read_are_a_gap(
    redis: RedisServer,
) -> None:
    async with row_of(redis).nodes(1) as (bus,):
        heard = await joined(bus, "room", True)
        assert bus.reach is not None
        await within(bus.publish("room", b"before", True))
        add = "for i = 1, tonumber(ARGV[1]) do redis.call('XADD', 'room', 'MAXLEN', 1000, '*', 'm',"
        redis.command("EVAL", f"{add} i) end", "0", "500")
        await until(lambda: len(heard.heard) == 501)
        await within(bus.since("room", None))  # the answer comes after that of the question
        assert bus.reach.gaps == 0
        redis.command("EVAL", f"{add} i) end", "0", "3000")
        await until(lambda: heard.payloads[-1] == b"3000")
        assert len(heard.heard) == 1501
        await until(lambda: bus.reach is not None and bus.reach.gaps == 1)


@asynchronous
async def test_messages_that_were_read_are_delivered_although_the_server_has_lost_them(
    redis: RedisServer,
) -> None:
    heard: list[bytes] = []

    def receive(message: BusMessage, _: object) -> None:
        sleep(0.03)  # longer than a turn may take: each message has a turn of its own
        heard.append(message.payload)

    async with row_of(redis).nodes(1) as (bus,):
        await within(bus.subscribe("room", receive, True))
        redis.command("EVAL", "for i = 1, 90 do redis.call('XADD', 'room', '*', 'm', i) end", "0")
        await until(lambda: len(heard) > 0)
        redis.kill()
        redis.start()
        await until(lambda: bus.up)
        assert len(heard) < 90
        await until(lambda: len(heard) >= 90)
        redis.command("XADD", "room", "*", "m", "91")
        await until(lambda: len(heard) > 90)
    assert heard == [b"%d" % number for number in range(1, 92)]


@asynchronous
async def test_own_messages_stay_in_order_when_the_server_is_killed(redis: RedisServer) -> None:
    """The server has the first of them, and the process has not read so far; then it is lost."""
    heard: list[bytes] = []

    def receive(message: BusMessage, _: object) -> None:
        sleep(0.03)
        heard.append(message.payload)

    async with row_of(redis).nodes(1) as (bus,):
        await within(bus.subscribe("room", receive, True))
        redis.command("EVAL", "for i = 1, 60 do redis.call('XADD', 'room', '*', 'm', i) end", "0")
        await until(lambda: len(heard) > 0)
        bus.publish("room", b"first", True)
        await until(lambda: redis.command("XLEN", "room").strip() == "61")
        redis.stall()
        second = bus.publish("room", b"second", True)
        redis.kill()
        await within(second)
        assert heard[-2:] == [b"first", b"second"]
        assert len(heard) == 62


@pytest.mark.parametrize("history", [False, True])
@asynchronous
async def test_a_reply_of_the_server_is_bounded(
    redis: RedisServer, history: bool, log: Log
) -> None:
    long = bytes(70_000_000)
    async with row_of(redis).nodes(1) as (bus,):
        heard = await joined(bus, "room", history)
        words = ("XADD", "room", "*", "m") if history else ("PUBLISH", "room")
        redis.command(*words, last=long)
        await until(lambda: any(line.startswith("bus-down") for line in log.lines()))
        await until(lambda: bus.up)
        for _ in range(3):
            await within(bus.since("room", None))
        await until(lambda: bus.up)

        def arrived() -> bool:
            redis.command(*words, last=b"next")
            return b"next" in heard.payloads

        await until(arrived)
        assert {*heard.payloads} == {b"next"}
    lines = [line for line in log.lines() if line.startswith("bus-down")]
    # Once for the messages and once for the history.
    assert len(lines) == 1 + history
    # Redis itself closes the connection of a subscriber that has not read 32 MB.
    reason = "a reply of the server has more than 67,108,864 bytes" if history else "was lost"
    assert all(reason in line for line in lines)


@asynchronous
async def test_a_client_that_comes_before_the_first_connection_gets_what_it_asks_for(
    redis: RedisServer,
) -> None:
    """As at a worker that was started again, to which its clients come back at once."""
    async with row_of(redis).nodes(1) as (one,):
        heard = await joined(one, "room", True)
        for number in range(5):
            await within(one.publish("room", b"%d" % number, True))
        two = make_bus(reactor, redis.url)
        two.start()
        late = Subscriber()
        two.subscribe("room", late, True)
        asked = two.since("room", heard.heard[1].position)
        past = await within(asked)
        assert (list(past.messages), past.is_whole) == (heard.heard[2:], True)
        for number in range(5, 10):  # at once: none is between the history and the reader
            one.publish("room", b"%d" % number, True)
        await until(lambda: len(late.heard) == 5 and len(heard.heard) == 10)
        assert late.heard == heard.heard[5:]
        await within(two.stop())


@asynchronous
async def test_a_history_that_the_server_did_not_tell_is_unknown(redis: RedisServer) -> None:
    async with row_of(redis).nodes(1) as (bus,):
        await joined(bus, "room", True)
        await within(bus.publish("room", b"before", True))
        redis.kill()
        asked = [bus.since("room", position) for position in (None, "0-1")]
        assert [await within(each) for each in asked] == [UNKNOWN] * 2
        await until(lambda: not bus.up)
        assert await within(bus.since("room", None)) == UNKNOWN


@asynchronous
async def test_many_members_that_join_at_once_share_the_answer_of_the_server(
    redis: RedisServer,
) -> None:
    async with row_of(redis).nodes(1) as (bus,):
        await joined(bus, "room", True)
        await within(bus.publish("room", b"hello", True))
        redis.command("CONFIG", "RESETSTAT")
        found = await within(gatherResults([bus.since("room", None) for _ in range(500)]))
        assert {past.messages[0].payload for past in found} == {b"hello"}
        asked = redis.command("INFO", "commandstats").partition("cmdstat_xrevrange:calls=")[2]
        assert int(asked.partition(",")[0]) == 2


@asynchronous
async def test_a_message_of_the_history_does_not_come_to_the_same_member_once_more(
    redis: RedisServer,
) -> None:
    """Replies of two connections: the history may have a message before the reader has it."""
    async with row_of(redis).nodes(2) as (one, two):
        await joined(one, "room", True)
        heard = await joined(two, "room", True)
        answers = 0
        for _ in range(20):
            sent = gatherResults([one.publish("room", b"%d" % each, True) for each in range(40)])
            past = await within(two.since("room", None))
            answers += bool(past.messages)
            assert {*past.messages} <= {*heard.heard}
            await within(sent)
        assert answers > 1


@asynchronous
async def test_a_client_that_joins_while_the_server_stands_still_gets_a_message_once(
    redis: RedisServer,
) -> None:
    """The subscriber gets a message of its process after a second, and the history has it, too."""
    async with row_of(redis).nodes(1) as (bus,):
        heard = await joined(bus, "room", True)
        redis.stall()
        published = bus.publish("room", b"hello", True)
        before = [bus.since("room", None) for _ in range(3)]
        await within(published)
        assert heard.payloads == [b"hello"]
        after = [bus.since("room", None) for _ in range(3)]
        redis.goes_on()
        assert [(await within(each)).messages for each in before] == [()] * 3
        found = [(await within(each)).messages for each in after]
        assert [[each.payload for each in messages] for messages in found] == [[b"hello"]] * 3
        assert heard.payloads == [b"hello"]


@asynchronous
async def test_redis_cli_is_a_publisher(redis: RedisServer) -> None:
    async with row_of(redis).nodes(1) as (bus,):
        room, kept = await joined(bus, "room"), await joined(bus, "kept", True)
        redis.command("PUBLISH", "room", "12")
        entry = redis.command("XADD", "kept", "*", "m", "hello").strip()
        redis.command("XADD", "kept", "*", "other", "hello")
        redis.command("PUBLISH", "room", "1.5")
        await until(lambda: len(room.heard) == 2 and kept.heard)
        assert [(each.is_text, each.payload) for each in room.heard] == [
            (True, b"12"),
            (True, b"1.5"),
        ]
        assert kept.heard == [BusMessage(entry, True, b"hello")]


@asynchronous
async def test_a_key_of_another_type_fails_one_topic_only(redis: RedisServer) -> None:
    redis.command("SET", "taken", "x")
    async with row_of(redis).nodes(1) as (bus,):
        failed: list[str] = []
        bus.subscribe("taken", lambda *_: None, True).addErrback(lambda e: failed.append(str(e)))
        heard = await joined(bus, "room", True)
        await within(bus.publish("room", b"hello", True))
        assert heard.payloads == [b"hello"]
        await until(lambda: failed and "WRONGTYPE" in failed[0])


@asynchronous
async def test_a_wrong_password_is_a_line_without_the_password_and_the_right_one_is_used(
    tmp_path: Path, log: Log
) -> None:
    server = RedisServer(tmp_path, "--port", "{port}", "--requirepass", "the-right-one")
    server.start()
    try:
        right, wrong = (
            f"redis://:the-{which}-one@127.0.0.1:{server.port}/3" for which in ("right", "wrong")
        )
        text = await log_of_passwords(right, wrong, log)
    finally:
        server.kill()
    assert "WRONGPASS" in text
    assert "-one" not in text


@asynchronous
async def test_a_bus_can_be_stopped_at_each_moment_of_connecting(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--port", "{port}", "--requirepass", "secret")
    server.start()
    try:
        await stop_at_each_moment(f"redis://:secret@127.0.0.1:{server.port}/3")
        clients = server.command("--no-auth-warning", "-a", "secret", "CLIENT", "LIST")
        assert len(clients.splitlines()) == 1  # redis-cli itself
    finally:
        server.kill()


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
        url = f"{server.url}?ca={tmp_path}/ca.pem"
        async with ServerRow(server, has_one_order=True).nodes(2, url) as (one, two):
            heard = await joined(two, "room")
            one.publish("room", b"hello", True)
            await until(lambda: heard.payloads == [b"hello"])
        for url in (server.url, f"rediss://127.0.0.1:{server.port}?ca={tmp_path}/ca.pem"):
            bus = make_bus(reactor, url)
            bus.start()
            lines = len([line for line in log.lines() if line.startswith("bus-down")])
            await until(
                lambda before=lines: (
                    len([x for x in log.lines() if x.startswith("bus-down")])  # type: ignore[misc]  # mypy does not infer the type of a lambda's default
                    > before
                )
            )
            assert not bus.up
            await within(bus.stop())
    finally:
        server.kill()
