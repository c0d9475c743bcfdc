"""The ceiling for the bytes of all connections: in memory, and over real sockets."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.server import Site

from support.applications import Answering, Applications, Recorder, echo
from support.dialect_marks import each, modern
from support.dialect_names import MODERN
from support.frame_writer import FrameWriter, text
from support.frames import MASK
from support.handshake_bytes import whole_request
from support.log_recorder import Log
from support.memory_connection import End
from support.network import Network
from support.waiting import asynchronous, reactor, turn, until
from txhixie import AbruptClose, HeldBytes, HixieServerFactory, Limits, serve
from txhixie.gateway import GatewayService
from txhixie.sansio.wire.frame import Opcode
from txhixie.web import HixieResource

KIBI = 1024
MOST = 800 * KIBI
BUSY = b"HTTP/1.1 503 Service Unavailable\r\n"


class Server:
    """A server in memory with a ceiling, and its connections."""

    def __init__(self, most: int = MOST, applications: Any = None, **options: Any) -> None:
        self.clock = Clock()
        self.held = HeldBytes(most)
        self.served = Applications(Recorder) if applications is None else applications
        options.setdefault("limits", Limits(ping_interval=None))
        self.factory = HixieServerFactory(
            self.served, heldBytes=self.held, clock=self.clock, **options
        )
        self.ends: list[End] = []

    def connection(self) -> Any:
        self.ends.append(End(self.factory.buildProtocol(None), self.clock))
        return self.ends[-1]

    def opened(self, dialect: str = "rfc6455", *more: str) -> Any:
        end = self.connection()
        end.receive(whole_request(dialect, *more))
        assert end.wire.taken().startswith(b"HTTP/1.1 101")
        return end

    def done(self) -> None:
        for end in self.ends:
            if not end.wire.dead:
                end.lose()
        assert self.held.total == 0
        assert not self.clock.getDelayedCalls()


def part(dialect: str, size: int, start: int = 0) -> bytes:
    """A part of a message of a client that does not end."""
    return FrameWriter(dialect, MASK).text("x" * 1000 * KIBI)[start : start + size]


@each
def test_unfinished_messages_are_counted_and_complete_ones_are_not(dialect: str) -> None:
    server = Server()
    end = server.opened(dialect)
    end.receive(end.peer.text("x" * 1000))
    assert server.held.total == 0
    message = end.peer.text("x" * 50_000)
    end.receive(message[:-1])
    assert 49_900 <= server.held.total <= 50_000
    end.receive(message[-1:])
    assert server.held.total == 0
    server.done()


@each
def test_the_largest_unfinished_message_ends_until_there_is_room(dialect: str, log: Log) -> None:
    server = Server()
    ends = [server.opened(dialect) for _ in range(10)]
    for number, end in enumerate(ends):
        end.receive(part(dialect, (60 + number) * KIBI))
    talker = server.opened(dialect)
    assert server.held.total <= MOST
    ends[0].receive(part(dialect, 300 * KIBI, 60 * KIBI))
    assert server.held.total <= MOST * 7 // 8
    assert ends[0].wire.taken() == ends[0].own.close(1013, "try again later")
    assert not ends[1].wire.written
    talker.receive(talker.peer.text("hello"))
    assert server.served.made[-1].messages == ["hello"]
    assert any("(HeldBytes.most, --max-held-bytes)" in line for line in log.lines())
    ends[0].lose()
    if dialect in MODERN:
        assert isinstance(server.served.made[0].lost, AbruptClose)
        assert server.served.made[0].lost.code == 1013
    server.done()


@each
def test_new_connections_get_503_near_the_ceiling_until_there_is_room(dialect: str) -> None:
    server = Server()
    ends = [server.opened(dialect) for _ in range(3)]
    for end in ends:
        end.receive(part(dialect, 240 * KIBI))
    assert server.held.isFull
    late = server.connection()
    late.receive(whole_request(dialect))
    assert late.wire.taken().startswith(BUSY)
    assert server.factory.counters.refused == {(503, "held-bytes"): 1}
    server.clock.advance(1)
    assert not server.held.isFull
    assert [bool(end.wire.taken() or end.wire.endings) for end in ends].count(True) == 1
    server.opened(dialect)
    server.done()


def test_the_refusal_tells_the_client_when_to_retry() -> None:
    server = Server(most=8)
    server.opened().receive(b"\x81\xfe\x7f\xff" + bytes(4) + b"12345678")
    late = server.connection()
    late.receive(b"GET / HTTP/1.1\r\n")
    assert b"Retry-After: 1\r\n" in late.wire.taken()
    server.done()


@modern
def test_what_a_compressed_message_inflates_to_is_counted(dialect: str) -> None:
    server = Server(most=100 * KIBI)
    end = server.opened("rfc6455", "Sec-WebSocket-Extensions: permessage-deflate")
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = compressor.compress(bytes(90 * KIBI)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    end.receive(end.peer.frame(Opcode.BINARY, data[:-4], reserved=0x40, final=False))
    assert server.held.total > 80 * KIBI
    server.done()


@each
@pytest.mark.parametrize("rest", ["unfinished", "broken", "closed"])
def test_a_connection_that_has_ended_holds_nothing(dialect: str, rest: str, log: Log) -> None:
    """Its unfinished message is discarded, and so are bytes behind an error or a close."""
    server = Server()
    other = server.opened(dialect)
    end = server.opened(dialect)
    peer = end.peer
    more = b"x" * 5000
    end.receive(
        {
            "unfinished": part(dialect, 50 * KIBI),
            "broken": peer.broken() + more,
            "closed": peer.close() + more,
        }[rest]
    )
    end.receive(more)
    if not end.wire.dead:
        end.lose()
    assert list(server.factory.connections) == [other.protocol]
    assert server.held.total == 0
    server.clock.advance(1)
    assert server.held.total == 0
    server.done()


def test_incomplete_heads_and_early_bytes_are_counted(log: Log) -> None:
    server = Server(applications=Answering(lambda offer: Deferred()))
    head = server.connection()
    head.receive(b"GET / HTTP/1.1\r\nX: " + b"x" * 5000)
    assert server.held.total == 5019
    waits = server.connection()
    waits.receive(whole_request("rfc6455") + b"x" * 3000)
    assert server.held.total == 8019
    head.lose()
    assert server.held.total == 3000
    server.done()


def test_heads_alone_can_reach_the_ceiling_too(log: Log) -> None:
    server = Server(most=100 * KIBI)
    heads = [server.connection() for _ in range(12)]
    for head in heads:
        head.receive(b"GET / HTTP/1.1\r\nX: " + b"x" * 10 * KIBI)
    assert server.held.total <= 100 * KIBI
    assert sum(head.wire.written.startswith(BUSY) for head in heads) >= 2
    server.done()


@each
def test_messages_that_a_paused_application_has_not_taken_are_counted(dialect: str) -> None:
    server = Server()
    end = server.opened(dialect)
    end.protocol.pauseProducing()
    end.receive(end.peer.text(*["x" * 1000] * 20))
    assert server.held.total >= 20_000
    end.protocol.resumeProducing()
    server.clock.advance(1)
    assert server.held.total == 0
    server.done()


def test_a_ceiling_may_be_changed_and_has_to_be_a_number() -> None:
    held = HeldBytes(1000)
    held.change(5)
    assert held.most == 5
    with pytest.raises(ValueError, match="most: expected 1 or more, not 0"):
        HeldBytes(0)
    with pytest.raises(TypeError):
        HeldBytes("1 GiB")  # type: ignore[arg-type]  # the test passes a wrong type
    with pytest.raises(TypeError):
        HixieServerFactory(Applications(Recorder), heldBytes=5)  # type: ignore[arg-type]  # the test passes a wrong type


@pytest.mark.parametrize(("before", "after"), [(MOST, 100), (None, MOST), (MOST, None)])
def test_after_a_reload_all_connections_have_the_new_ceiling(
    before: int | None, after: int | None
) -> None:
    clock = Clock()

    def made(most: int | None) -> HixieServerFactory:
        return HixieServerFactory(
            Applications(Recorder),
            heldBytes=None if most is None else HeldBytes(most),
            clock=clock,
            limits=Limits(ping_interval=None),
        )

    old, new = made(before), made(after)
    end: Any = End(old.buildProtocol(None), clock)
    end.receive(whole_request("rfc6455"))
    end.receive(part("rfc6455", 50 * KIBI))
    new.succeed(old)
    assert new.heldBytes is old.heldBytes
    for _ in range(6):
        clock.advance(1)
    if new.heldBytes is None:
        assert not end.wire.endings
    elif after == MOST:
        assert new.heldBytes.total > 50 * KIBI - 100
    else:
        assert end.wire.endings
    end.lose()
    assert not clock.getDelayedCalls()


@pytest.mark.parametrize("over", ["tcp", "tls"])
@asynchronous
async def test_an_idle_connection_holds_nothing(over: str, net: Network) -> None:
    """Over TCP its response was held until the end of the turn of the reactor."""
    held = HeldBytes(MOST)
    place = await net.serve(Applications(Recorder), over, origins=["*"], heldBytes=held)
    for dialect in ("hixie-75", "rfc6455"):
        await (await net.raw(place)).opens(dialect)
        assert held.total == 0


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
@asynchronous
async def test_peers_that_do_not_read_are_aborted(over: str, net: Network) -> None:
    """What waits to be sent is counted too."""
    served = Applications(Recorder)
    held = HeldBytes(2 * KIBI * KIBI)
    place = await net.serve(served, over, origins=["*"], heldBytes=held)
    idle, client = await net.raw(place), await net.raw(place)
    await idle.opens("hixie-75")
    idle.transport.pauseProducing()
    await client.opens("hixie-75")
    sender = served.made[0].transport
    while sender.isOpen:
        sender.sendTextMessage("x" * 100_000)
        client.data.clear()
        client.send(text("hello"))
        await until(lambda: served.made[1].messages)
        served.made[1].messages.clear()
        await turn()
        assert held.total < 4 * KIBI * KIBI
    await until(lambda: served.made[0].lost is not None)
    assert "held" in served.made[0].lost.reason
    assert client.reason is None


@asynchronous
async def test_under_a_site_an_attacker_is_ended_and_others_talk(net: Network) -> None:
    held = HeldBytes(500 * KIBI)
    resource = HixieResource(Applications(echo), origins=["*"], heldBytes=held)
    net.factories.append(resource.factory)
    place = await net.listen(Site(resource))
    client = await net.raw(place)
    await client.opens("hixie-75")
    attackers = [await net.raw(place) for _ in range(3)]
    for attacker in attackers:
        await attacker.opens("rfc6455")
    for attacker in attackers:
        attacker.send(part("rfc6455", 240 * KIBI))
    await until(lambda: any(b"try again later" in attacker.data for attacker in attackers))
    assert held.total <= 500 * KIBI
    client.send(text("hello"))
    await client.reads(text("hello"))


@asynchronous
async def test_the_queue_of_a_gateway_is_counted(net: Network) -> None:
    """A backend that does not read: the messages of its client wait in the gateway."""
    back, backends = await net.raw_server()
    service = GatewayService(reactor, back.url(), dialect="rfc6455")
    held = HeldBytes(100 * KIBI * KIBI)
    place = await net.serve(service, origins=["*"], heldBytes=held)
    client = await net.raw(place)
    await client.opens("rfc6455")
    backends[0].transport.pauseProducing()
    client.send(FrameWriter("rfc6455", MASK).text(*["x" * 100_000] * 100))
    await until(lambda: held.total > 64 * KIBI)


@asynchronous
async def test_a_backend_that_does_not_read_is_aborted_with_its_client(net: Network) -> None:
    """Otherwise the bytes would wait for the drain timeout of the backend's connection."""
    back, backends = await net.raw_server()
    service = GatewayService(reactor, back.url(), dialect="rfc6455")
    # Less than the 64 KiB of the write buffer that pause the client: later nothing more is held.
    held = HeldBytes(60 * KIBI)
    place = await net.serve(service, origins=["*"], heldBytes=held)
    client = await net.raw(place)
    await client.opens("rfc6455")
    backends[0].transport.pauseProducing()
    client.send(FrameWriter("rfc6455", MASK).text(*["x" * 30_000] * 300))
    await until(lambda: client.reason is not None)
    assert held.total == 0
    await until(lambda: not service.sessions.hasBackends)
    backends[0].transport.resumeProducing()
    await until(lambda: backends[0].reason is not None)


@asynchronous
async def test_the_inbox_of_a_channel_is_counted(net: Network) -> None:
    waiting: Deferred[None] = Deferred()

    async def slow(channel: Any) -> None:
        await waiting

    held = HeldBytes(100 * KIBI * KIBI)
    place = await net.serve(serve(slow), origins=["*"], heldBytes=held)
    client = await net.raw(place)
    await client.opens("rfc6455")
    client.send(FrameWriter("rfc6455", MASK).text("x" * 10_000))
    await until(lambda: held.total >= 10_000)
    waiting.callback(None)
