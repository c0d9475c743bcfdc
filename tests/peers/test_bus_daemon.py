"""Two real daemons on one Redis: their clients, redis-cli, the status, a reload, an outage."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peers.bus_servers import NatsServer, RedisServer
from support.daemon import Daemon, free_port, program, run_hixie, running
from support.members_told import told
from support.page_requests import ask
from support.waiting import asynchronous, reactor, until, within
from support.workers import Workers, working
from txhixie import Channel, connect
from txhixie.bus.rows import make_bus
from txhixie.hub.objects import SUBPROTOCOL
from txhixie.hub.presence_report import (
    PRESENCE_TOPIC,
    Count,
    PresenceReport,
    decode_report,
    topic_key,
)

OPTIONS = ("--serve", "/=hub:topic={path}", "--serve", "/kept=hub history=5", "--status", "/status")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis."""
    made = RedisServer(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def daemons(tmp_path: Path, server: RedisServer) -> Iterator[list[Daemon]]:
    """Two daemons that have reached the Redis."""
    places = [tmp_path / name for name in ("one", "two")]
    for place in places:
        place.mkdir()
    options = (*OPTIONS, "--metrics", "/metrics", "--bus", server.url)
    with running(places[0], *options) as one, running(places[1], *options) as two:
        for each in (one, two):
            each.logged("bus-up")
        yield [one, two]


def state(daemon: Daemon) -> dict[str, int]:
    """What the status says of the bus."""
    found: dict[str, int] = json.loads(ask(daemon, "/status?format=json").body)["bus"]
    return found


async def heard(channel: Channel) -> str | bytes:
    """The next message of a client."""
    return await within(channel.receive())


async def subscribed(server: RedisServer, topic: str) -> None:
    """Wait until both daemons have subscribed to a topic without a history."""
    both = [topic, "2"]
    await until(lambda: server.command("PUBSUB", "NUMSUB", topic).split() == both)


@asynchronous
async def test_clients_of_two_daemons_and_redis_cli_hear_each_other_through_an_outage(
    daemons: list[Daemon], server: RedisServer
) -> None:
    for topic in ("room", "kept"):
        urls = [f"ws://127.0.0.1:{daemon.port}/{topic}" for daemon in daemons]
        one, two = [await connect(url) for url in urls]
        neighbour = await connect(urls[0])
        if topic == "room":
            await subscribed(server, topic)
        await one.send("hello")
        assert await heard(two) == "hello"
        assert await heard(neighbour) == "hello"
        await two.send(b"\xff")
        assert await heard(one) == b"\xff"
        assert await heard(neighbour) == b"\xff"
        if topic == "room":
            server.command("PUBLISH", topic, "outside")
        else:
            server.command("XADD", topic, "*", "m", "outside")
        for each in (one, two, neighbour):
            assert await heard(each) == "outside"
        server.kill()
        await until(lambda: not any(state(daemon)["up"] for daemon in daemons))
        await one.send("alone")
        assert await heard(neighbour) == "alone"
        server.start()
        await until(lambda: all(state(daemon)["up"] for daemon in daemons))
        if topic == "room":
            await subscribed(server, topic)
        await one.send("again")
        assert await heard(two) == "again"
        for each in (one, two, neighbour):
            await each.close()
    assert [state(daemon)["downs"] for daemon in daemons] == [2, 2]
    assert state(daemons[0])["lost"] == 2
    metrics = ask(daemons[0], "/metrics").body.decode()
    assert "txhixie_bus_up 1.0" in metrics
    assert "txhixie_bus_messages_lost_total 2.0" in metrics


@asynchronous
async def test_the_members_at_all_daemons_are_counted_until_a_daemon_is_killed(
    daemons: list[Daemon], server: RedisServer
) -> None:
    urls = [f"ws://127.0.0.1:{daemon.port}/room" for daemon in daemons]
    quiet = [await connect(url) for url in (*urls, urls[0])]
    asking = await connect(f"{urls[1]}?presence", subprotocols=[SUBPROTOCOL])
    await told(asking, 4)
    server.kill()
    await told(asking, 2)
    server.start()
    await told(asking, 4)
    daemons[0].process.kill()
    await told(asking, 2)
    for each in (*quiet, asking):
        await each.close()


@asynchronous
async def test_each_worker_of_a_daemon_is_connected_to_the_Redis(
    tmp_path: Path, server: RedisServer
) -> None:
    with working(tmp_path, *OPTIONS, "--bus", server.url) as workers:
        daemon = workers.daemon
        daemon.logged_times("] bus-up ", 2)
        assert [len(workers.lines(number, "bus-up")) for number in (1, 2)] == [1, 1]
        members, _ = await joined_at_both(workers, "/kept")
        server.command("XADD", "kept", "*", "m", "outside")
        for each in members:
            assert await heard(each) == "outside"
            await each.close()
    assert "Traceback" not in daemon.log


async def joined_at_both(
    workers: Workers, path: str, *subprotocols: str
) -> tuple[list[Channel], list[int]]:
    """Join until each of two workers has members; these, with the numbers of their workers."""
    members: list[Channel] = []
    while True:
        url = f"ws://127.0.0.1:{workers.daemon.port}{path}"
        members.append(await connect(url, subprotocols=subprotocols))
        hosts: list[Any] = [each.getHost() for each in members]
        addresses = [f"{each.host}:{each.port}" for each in hosts]
        numbers = workers.of(addresses)
        if {*numbers.values()} == {1, 2}:
            return members, [numbers[each] for each in addresses]


@asynchronous
async def test_the_other_workers_report_at_once_that_a_worker_was_killed(
    tmp_path: Path, server: RedisServer
) -> None:
    with working(tmp_path, *OPTIONS, "--bus", server.url) as workers:
        workers.daemon.logged_times("] bus-up ", 2)
        reports: list[PresenceReport] = []
        listening = make_bus(reactor, server.url)
        listening.start()
        await within(
            listening.subscribe(
                PRESENCE_TOPIC, lambda each, _: reports.append(decode_report(each.payload)), False
            )
        )
        members, numbers = await joined_at_both(workers, "/room?presence", SUBPROTOCOL)
        for each in members:
            await told(each, len(members))
        workers.kill(1)
        await until(lambda: any(each.counts is None for each in reports))
        (ended,) = {each.node for each in reports if each.counts is None}
        counted = [each for each in reports if each.node == ended and each.counts]
        assert counted[-1].counts == (Count(topic_key("room"), numbers.count(1), True),)
        for each, number in zip(members, numbers, strict=True):
            if number == 2:
                await told(each, numbers.count(2))
            await each.close()
        await within(listening.stop())


@pytest.fixture
def workers_on_NATS(tmp_path: Path) -> Iterator[Workers]:
    """A daemon with two workers on a NATS server."""
    pytest.importorskip("nats", reason="nats-py is not installed")
    server = NatsServer()
    server.start()
    port = free_port()
    words = ["-n", "--pidfile=", "--reactor=asyncio", "hixie", "--workers", "2", *OPTIONS]
    words += ["--bus", server.url, "--port", f"tcp:{port}:interface=127.0.0.1"]
    with (tmp_path / "log").open("wb") as log, (tmp_path / "errors").open("wb") as errors:
        process = subprocess.Popen(
            [program("twistd"), *words], stdout=log, stderr=errors, cwd=tmp_path
        )
    try:
        workers = Workers(Daemon(port, process, tmp_path), 2)
        workers.daemon.logged_times("] bus-up ", 2)
        yield workers
        workers.daemon.terminate()
        workers.daemon.ended()
    finally:
        process.kill()
        server.kill()


@asynchronous
async def test_each_worker_of_a_daemon_is_connected_to_the_NATS_server(
    workers_on_NATS: Workers,
) -> None:
    members, _ = await joined_at_both(workers_on_NATS, "/room?presence", SUBPROTOCOL)
    url = f"ws://127.0.0.1:{workers_on_NATS.daemon.port}/room"
    for each in members:
        await told(each, len(members))
    publisher = await connect(url)
    await publisher.send("hello")
    for each in members:
        text: str | bytes = ""
        while "hello" not in str(text):
            text = await heard(each)
    for each in (*members, publisher):
        await each.close()
    assert "Traceback" not in workers_on_NATS.daemon.log


def test_a_reload_keeps_the_bus_and_refuses_another_one(
    tmp_path: Path, server: RedisServer
) -> None:
    file = tmp_path / "hixie.toml"
    text = 'serve = ["/=hub:topic={path}"]\nbus = "%s"\n'
    file.write_text(text % server.url)
    with running(tmp_path, "--config", str(file)) as daemon:
        daemon.logged("bus-up")
        daemon.reload()
        file.write_text(text % "redis://:secret@127.0.0.1:1")
        daemon.terminate(1)
        line = daemon.logged("not-reloaded")
        assert "expected the bus of the start; restart the daemon to change it" in line
        assert "secret" not in daemon.log
        daemon.terminate()
        daemon.ended()
        assert "bus-down" not in daemon.log


def test_the_report_has_the_URL_without_the_password() -> None:
    found = run_hixie("--bus", "redis://user:secret@host/1", "--check")
    assert found.returncode == 0
    assert "bus               redis://***@host/1" in found.stdout
    assert "secret" not in found.stdout + found.stderr


def test_a_wrong_bus_is_one_line_at_the_start() -> None:
    found = run_hixie("--bus", "reddis://user:secret@host")
    assert found.returncode == 1
    assert "did you mean redis?" in found.stderr
    assert "secret" not in found.stderr
