"""The bus on NATS: what each bus on a server promises, and what is its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.protocol import Factory, Protocol

from bus import test_battery
from bus.test_battery import subscribed
from peers import test_bus
from peers.bus_servers import NatsServer
from support.bus_rows import (
    ServerRow,
    log_of_passwords,
    promises_of,
    stop_at_each_moment,
)
from support.bus_subscriber import Subscriber
from support.certificates import authority
from support.log_recorder import Log
from support.waiting import asynchronous, reactor, until, within
from txhixie.bus.nats import NatsBus, natsSubject
from txhixie.bus.rows import make_bus

globals().update(promises_of(test_battery))
globals().update(promises_of(test_bus))


@pytest.fixture
def row() -> Iterator[ServerRow]:
    """The row of NATS, with a server that runs."""
    server = NatsServer()
    server.start()
    yield ServerRow(server, has_one_order=False)
    server.kill()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("nats:", "expected nats://"),
        ("nats://host:none", "expected nats://"),
        ("nats://host/1", "expected nats://"),
        ("tls://host?ca=/nowhere", "expected a file of CA certificates"),
    ],
)
def test_a_wrong_URL_of_NATS_is_one_line_that_says_what_to_write(url: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected) as caught:
        make_bus(reactor, url)
    assert "\n" not in str(caught.value)


@asynchronous
async def test_a_bus_on_NATS_can_be_stopped_at_each_moment_of_connecting() -> None:
    server = NatsServer("--user", "me", "--pass", "secret")
    server.start()
    try:
        await stop_at_each_moment(f"nats://me:secret@127.0.0.1:{server.port}")
    finally:
        server.kill()


def test_the_scheme_of_NATS_chooses_the_bus_on_NATS() -> None:
    for scheme in ("nats", "tls"):
        bus = make_bus(reactor, f"{scheme}://u:secret@[::1]:7000")
        assert isinstance(bus, NatsBus)
        assert "secret" not in repr(vars(bus.reach))


@asynchronous
async def test_a_position_of_another_node_or_of_before_an_outage_is_no_whole_answer(
    row: ServerRow,
) -> None:
    async with row.nodes(2) as nodes:
        heard = await subscribed(nodes, "room", True)
        for number in range(3):
            await within(nodes[0].publish("room", b"%d" % number, True))
        await until(lambda: len(heard[1].heard) == 3)
        elsewhere = await within(nodes[1].since("room", heard[0].heard[1].position))
        assert ([each.payload for each in elsewhere.messages], elsewhere.is_whole) == (
            [b"0", b"1", b"2"],
            False,
        )
        row.server.kill()
        await until(lambda: not any(each.up for each in nodes))
        row.server.start()
        await until(lambda: all(each.up for each in nodes))
        position = heard[0].heard[1].position
        past = await within(nodes[0].since("room", position))
        assert ([each.payload for each in past.messages], past.is_whole) == ([b"2"], False)
        position = await within(nodes[0].publish("room", b"3", True))
        assert (await within(nodes[0].since("room", position))).is_whole


@asynchronous
async def test_any_name_is_a_topic_and_none_is_a_natsSubject_the_server(row: ServerRow) -> None:
    topics = ["a.b", ".", "..", "a..b.", "*", "a.>", "a b", "\t", "%", "%2E", "$JS.API.INFO", "ü"]
    topics += ["_INBOX.x", "x" * 200, "☃" * 200, "%" * 200]
    assert len({natsSubject(topic) for topic in topics}) == len(topics)
    assert natsSubject("$JS.API.INFO") == "%24JS.API.INFO"
    async with row.nodes(2) as (one, two):
        heard = {topic: Subscriber() for topic in topics}
        await within(gatherResults([two.subscribe(each, heard[each], False) for each in topics]))
        for topic in topics:
            one.publish(topic, topic.encode(), True)
        await until(lambda: all(each.heard for each in heard.values()))
        assert all(each.payloads == [topic.encode()] for topic, each in heard.items())


@asynchronous
async def test_another_program_is_a_publisher_and_a_subscriber(row: ServerRow) -> None:
    async with row.nodes(1) as (bus,):
        (heard,) = await subscribed([bus], "room", True)

        async def outside() -> bytes:
            client = await nats.connect(row.server.url)
            subscription = await client.subscribe("room")
            await client.publish("room", b"12")
            await client.publish("room", b"\xffn x 1\nbroken")
            await client.publish("room", b"\xfe")
            await client.flush()
            await client.flush()
            for _ in range(3):
                await subscription.next_msg(5)
            hearing = Deferred.fromCoroutine(until(lambda: len(heard.heard) == 2))
            await hearing.asFuture(asyncio.get_running_loop())
            bus.publish("room", b"hello", True)
            message = await subscription.next_msg(5)
            await client.close()
            return bytes(message.data)

        data = await within(as_deferred(outside()))
        assert data.startswith(b"\xff")
        assert data.endswith(b"\nhello")
        assert heard.payloads == [b"12", b"\xfe", b"hello"]
        assert [each.is_text for each in heard.heard] == [True, False, True]
        assert bus.reach is not None
        assert bus.reach.strange == 1
        kept = await within(bus.since("room", heard.heard[0].position))
        assert (list(kept.messages), kept.is_whole) == (heard.heard[1:], True)


@asynchronous
async def test_a_message_that_the_server_does_not_take_is_lost_for_others_and_counted(
    row: ServerRow,
) -> None:
    async with row.nodes(2) as nodes:
        heard = await subscribed(nodes, "room")
        nodes[0].publish("room", bytes(1024 * 1024), False)
        nodes[0].publish("room", b"next", True)
        await until(lambda: heard[1].payloads == [b"next"])
        assert len(heard[0].heard) == 2
        assert nodes[0].reach is not None
        assert nodes[0].reach.lost == 1
        assert nodes[0].up


@asynchronous
async def test_a_wrong_password_is_a_line_without_the_password_and_the_right_one_is_used(
    log: Log,
) -> None:
    server = NatsServer("--user", "hub", "--pass", "the-right-one")
    server.start()
    try:
        right, wrong = (
            f"nats://hub:the-{which}-one@127.0.0.1:{server.port}" for which in ("right", "wrong")
        )
        text = await log_of_passwords(right, wrong, log)
    finally:
        server.kill()
    assert "Authorization Violation" in text
    assert "-one" not in text


@asynchronous
async def test_a_user_without_a_password_is_a_token() -> None:
    server = NatsServer("--auth", "the-token")
    server.start()
    try:
        async with ServerRow(server, False).nodes(1, f"nats://the-token@127.0.0.1:{server.port}"):
            pass
    finally:
        server.kill()


def as_deferred(coroutine: Any) -> Deferred[Any]:
    """Run a coroutine of asyncio."""
    return Deferred.fromFuture(asyncio.ensure_future(coroutine))


@asynchronous
async def test_tls_is_verified_with_the_name_in_the_certificate(tmp_path: Path, log: Log) -> None:
    (tmp_path / "server.pem").write_bytes(authority().pem_for("localhost"))
    (tmp_path / "ca.pem").write_bytes(authority().pem)
    files = ["--tlscert", str(tmp_path / "server.pem"), "--tlskey", str(tmp_path / "server.pem")]
    server = NatsServer("--tls", *files, url="tls://localhost:{port}")
    server.start()
    try:
        row = ServerRow(server, has_one_order=False)
        async with row.nodes(2, f"{server.url}?ca={tmp_path}/ca.pem") as nodes:
            heard = await subscribed(nodes, "room")
            nodes[0].publish("room", b"hello" * 100_000, True)
            await until(lambda: heard[1].payloads == [b"hello" * 100_000])
        for url in (server.url, f"tls://127.0.0.1:{server.port}?ca={tmp_path}/ca.pem"):
            await refused(url, log)
    finally:
        server.kill()


async def refused(url: str, log: Log) -> str:
    """Start a bus that cannot reach its server; its line of the log."""
    before = len(log.lines())
    bus = make_bus(reactor, url)
    bus.start()
    await until(lambda: any(line.startswith("bus-down") for line in log.lines()[before:]))
    assert not bus.up
    await within(bus.stop())
    return next(line for line in log.lines()[before:] if line.startswith("bus-down"))


@asynchronous
async def test_no_password_is_sent_to_a_server_without_the_TLS_that_the_URL_asks_for(
    log: Log,
) -> None:
    received: list[bytes] = []

    class Plain(Protocol):
        def connectionMade(self) -> None:
            assert self.transport is not None
            self.transport.write(b'INFO {"version":"2.9.10","max_payload":1048576}\r\n')

        def dataReceived(self, data: bytes) -> None:
            received.append(data)

    port = reactor.listenTCP(0, Factory.forProtocol(Plain), interface="127.0.0.1")
    try:
        url = f"tls://hub:secret@127.0.0.1:{port.getHost().port}"
        line = await refused(url, log)
    finally:
        await within(maybeDeferred(port.stopListening))
    assert "offers no TLS" in line
    assert received == []


@asynchronous
async def test_a_refused_subscription_is_one_line_of_the_log(tmp_path: Path, log: Log) -> None:
    file = tmp_path / "nats.conf"
    file.write_text(
        "authorization { users = [{ user: hub, password: x, permissions: "
        '{ publish: ">", subscribe: { deny: "room" } } }] }'
    )
    server = NatsServer("--config", str(file), url="nats://hub:x@127.0.0.1:{port}")
    server.start()
    try:
        errors: list[BaseException] = []
        async with ServerRow(server, has_one_order=False).nodes(1) as (bus,):
            bus.subscribe("room", Subscriber(), False)

            def logged() -> bool:
                errors.extend(log.tracebacks())
                return bool(errors)

            await until(logged)
            assert bus.up
    finally:
        server.kill()
    assert [str(each) for each in errors] == [
        'nats: permissions violation for subscription to "room"'
    ]


class Rogue(Protocol):
    """A NATS server that sends what a test says after the answer to a ping."""

    sends = b""
    fills = b""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b'INFO {"version":"2.9.10","max_payload":1048576}\r\n')

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        for _ in range(data.count(b"PING\r\n")):
            transport.write(b"PONG\r\n")
        if b"SUB " in data:
            transport.write(self.sends)
            if self.fills:
                transport.registerProducer(Fill(transport, self.fills), False)


class Fill:
    """A producer of bytes without an end."""

    def __init__(self, transport: Any, data: bytes) -> None:
        self._transport = transport
        self._data = data

    def resumeProducing(self) -> None:
        """Send bytes."""
        self._transport.write(self._data)

    def stopProducing(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("sends", "fills", "reason"),
    [
        (b"MSG room 1 99999999999\r\n", b"", "a message of the server has more than 67,108,864"),
        (b"HMSG room 1 12 67108865\r\n", b"", "a message of the server has more than"),
        (b"MSG room ", b"x" * 65536, "a line of the server has more than 262,144 bytes"),
        (b"INFO {}}\r\n", b"", "the server sent a command with a mistake"),
        (b"-ERR \r\n", b"", "the server sent a command with a mistake"),
    ],
)
@asynchronous
async def test_what_a_server_sends_is_bounded(
    sends: bytes, fills: bytes, reason: str, log: Log
) -> None:
    factory = Factory.forProtocol(type("Sending", (Rogue,), {"sends": sends, "fills": fills}))
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    bus = make_bus(reactor, f"nats://127.0.0.1:{port.getHost().port}")
    bus.start()
    try:
        bus.subscribe("room", Subscriber(), False)
        await until(lambda: any(line.startswith("bus-down") for line in log.lines()))
    finally:
        await within(bus.stop())
        await within(maybeDeferred(port.stopListening))
    assert reason in next(line for line in log.lines() if line.startswith("bus-down"))
