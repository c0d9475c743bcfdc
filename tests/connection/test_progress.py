"""Peers that stop reading, and peers that read slowly: by a clock, and over real sockets."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import File

from support import handshake_bytes, memory_connection
from support.applications import Applications, Recorder, echo
from support.gateway_setup import met
from support.log_recorder import Log
from support.memory_connection import opened
from support.network import Network
from support.raw_peer import Raw
from support.waiting import asynchronous, reactor, turn, until, within
from txhixie import (
    AbruptClose,
    Backoff,
    CleanClose,
    HixieError,
    HixieServerFactory,
    Limits,
    WebSocketClientService,
    serve,
)
from txhixie.daemon.services.tcp import StreamService
from txhixie.gateway import GatewayService
from txhixie.sansio.wire.frame import Side
from txhixie.web import HixieResource, HixieSite

linux = pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="TCP_INFO is Linux's")
over_all = pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
over_both = pytest.mark.parametrize("over", ["tcp", "tls"])
both = pytest.mark.parametrize("side", [Side.SERVER, Side.CLIENT])

TIMEOUT = Limits().stall_timeout
BRIEF = Limits(stall_timeout=0.4, ping_interval=None, unsent_size=1 << 30)
"""Pings are off, since the keepalive has a timer of its own."""

BIG = "x" * 65_536
MANY = 200
"""Times BIG: 12.5 MiB, more than the kernel takes for a peer that does not read."""

WORDS = "no data acknowledged for "


def stalls(log: Log) -> list[str]:
    """The log lines of connections that were ended for lack of progress."""
    return [line for line in log.lines() if WORDS in line]


def spend(clock: Clock, seconds: float) -> None:
    """Advance the clock in small steps, as on a reactor that is not blocked."""
    for _ in range(round(seconds)):
        clock.advance(1.0)


# With a clock of the test's.


class Counted:
    """A TCP socket whose number of unacknowledged bytes is set by the test."""

    family = socket.AF_INET

    def __init__(self) -> None:
        self.acknowledged = 1
        self._ours, self._theirs = socket.socketpair()
        self._ours.send(b"unread")  # which SIOCOUTQ tells of, as of TCP's

    def fileno(self) -> int:
        return self._ours.fileno()

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option) == (socket.IPPROTO_TCP, socket.TCP_INFO)
        return (bytes(120) + struct.pack("=Q", self.acknowledged))[:size]

    def read(self) -> None:
        """Acknowledge everything, as a peer that has read it does."""
        self._theirs.recv(100)

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


@pytest.fixture
def counted() -> Any:
    made = Counted()
    yield made
    made.close()


def with_socket(end: Any, counted: Counted) -> Any:
    """Give the connection's transport this socket, and an empty buffer of its own."""
    for name, value in {"dataBuffer": b"", "offset": 0, "_tempDataLen": 0}.items():
        setattr(end.wire, name, value)
    end.wire.socket = counted
    return end


@linux
@both
def test_a_peer_that_reads_1_KiB_a_second_is_never_ended(side: str, counted: Counted) -> None:
    """The seconds were measured: a kernel acknowledges first at these, and later every 93."""
    end, application = opened("rfc6455", side=side, limits=Limits(ping_interval=None))
    with_socket(end, counted)
    when = [65, 192, 285, 378, *range(471, 2000, 93)]
    for second in range(1, 2001):
        if second in when:
            counted.acknowledged += 65_536
        end.clock.advance(1.0)
    assert end.wire.endings == []
    assert application.lost is None
    end.done()


@linux
@both
def test_a_peer_that_acknowledges_nothing_is_ended_with_1006_and_a_line(
    side: str, counted: Counted, log: Log
) -> None:
    end, application = opened("rfc6455", side=side, limits=Limits(ping_interval=None))
    with_socket(end, counted)
    spend(end.clock, TIMEOUT - 1)
    assert end.wire.endings == []
    spend(end.clock, TIMEOUT / 2 + 1)
    assert end.wire.endings == ["abort"]
    end.lose()
    assert isinstance(application.lost, AbruptClose)
    assert application.lost.code == 1006
    assert application.lost.ended.who == "us"
    assert "no data acknowledged for 300 seconds" in application.lost.reason
    (line,) = stalls(log)
    assert line.startswith("stalled connection=1 peer=192.0.2.1:54321 ")
    assert "for 300 s" in line
    assert "(Limits.stall_timeout, --stall-timeout)" in line
    end.done()


@linux
def test_data_received_from_the_peer_is_no_progress(counted: Counted) -> None:
    end, _ = opened("rfc6455", echo())
    with_socket(end, counted)
    for _ in range(round(1.5 * TIMEOUT)):
        end.clock.advance(1.0)
        if end.wire.endings:
            break
        end.receive(end.peer.text("more"))
    assert end.wire.endings == ["abort"]
    end.done()


@linux
def test_a_peer_that_has_acknowledged_everything_may_be_silent(counted: Counted) -> None:
    end, _ = opened("hixie-76")
    with_socket(end, counted)
    counted.read()
    spend(end.clock, 5 * TIMEOUT)
    assert end.wire.endings == []
    end.done()


@linux
def test_a_late_check_ends_no_connection(counted: Counted) -> None:
    """A reactor that was blocked has not seen the acknowledgements that came meanwhile."""
    end, _ = opened("hixie-76")
    with_socket(end, counted)
    spend(end.clock, TIMEOUT / 4)
    end.clock.advance(10 * TIMEOUT)
    assert end.wire.endings == []
    spend(end.clock, TIMEOUT / 4)
    assert end.wire.endings == ["abort"]
    end.done()


def test_a_transport_without_a_socket_is_judged_by_its_buffer() -> None:
    end, _ = opened("hixie-76")
    end.wire.producer.pauseProducing()
    spend(end.clock, TIMEOUT - 1)
    assert end.wire.endings == []
    spend(end.clock, TIMEOUT / 2 + 1)
    assert end.wire.endings == ["abort"]
    end.done()


def test_a_buffer_that_was_empty_between_two_checks_has_made_progress() -> None:
    end, _ = opened("hixie-76")
    for _ in range(20):
        end.wire.producer.pauseProducing()
        spend(end.clock, TIMEOUT / 2)
        end.wire.producer.resumeProducing()
        end.wire.producer.pauseProducing()
    assert end.wire.endings == []
    end.done()


def test_a_factory_without_connections_has_no_timer() -> None:
    clock = Clock()
    factory = HixieServerFactory(Applications(Recorder), clock=clock)
    ends = [memory_connection.End(factory.buildProtocol(None), clock) for _ in range(3)]
    assert clock.getDelayedCalls() != []
    for end in ends:
        end.lose()
    assert clock.getDelayedCalls() == []


def test_all_factories_of_a_clock_share_one_timer() -> None:
    """Each client of a gateway has a factory of its own for the connection to its backend."""
    clock = Clock()
    ends = [opened("hixie-76", clock=clock)[0] for _ in range(10)]
    assert len(clock.getDelayedCalls()) == 1
    for end in ends:
        end.lose()
    assert clock.getDelayedCalls() == []


# Real sockets.


class Flood(Recorder):
    """Send more than a kernel takes for a peer that does not read."""

    def negotiationFinished(self) -> None:
        super().negotiationFinished()
        for _ in range(MANY):
            self.transport.sendTextMessage(BIG)


async def ended_with_1006(application: Recorder, log: Log) -> None:
    await until(lambda: application.lost, 30)
    assert isinstance(application.lost, AbruptClose)
    assert application.lost.code == 1006
    assert len(stalls(log)) == 1


async def stops_reading(raw: Raw, asked: bytes) -> None:
    """Send a request; read the head of the response and the bytes that came with it, and no
    more."""
    raw.send(asked)
    await raw.reads(b"\r\n\r\n")
    raw.transport.pauseProducing()


@over_all
@pytest.mark.parametrize("dialect", ["hixie-75", "rfc6455"])
@asynchronous
async def test_a_client_that_stops_reading_is_ended(
    dialect: str, over: str, net: Network, log: Log
) -> None:
    served = Applications(Flood)
    place = await net.serve(served, over, limits=BRIEF)
    raw = await net.raw(place)
    await stops_reading(raw, handshake_bytes.whole_request(dialect))
    await until(lambda: served.made)
    await ended_with_1006(served.made[0], log)


@over_both
@asynchronous
async def test_a_client_that_reads_64_KiB_a_second_is_not_ended(
    over: str, net: Network, log: Log
) -> None:
    """The client reads 8 KiB each eighth of a second; the kernel's receive buffer is small."""
    served = Applications(Flood)
    limits = Limits(stall_timeout=2.0, ping_interval=None, unsent_size=1 << 30)
    place = await net.serve(served, over, limits=limits)
    raw = await net.raw(place)
    below = getattr(raw.transport, "transport", raw.transport)
    below.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    below.bufferSize = 8192
    await stops_reading(raw, handshake_bytes.whole_request("rfc6455"))
    began = reactor.seconds()
    while reactor.seconds() - began < 6:
        below.doRead()
        await turn(0.125)
    assert stalls(log) == []
    assert served.made[0].lost is None
    assert len(raw.data) > 64 * 1024


@over_all
@asynchronous
async def test_a_server_that_stops_reading_is_ended_by_its_client(
    over: str, net: Network, log: Log
) -> None:
    class Server(Raw):
        def connectionMade(self) -> None:
            net.raws.append(self)

        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            self.transport.pauseProducing()
            self.send(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: "
                + handshake_bytes.accept_for(self.data).encode()
                + b"\r\n\r\n"
            )

    place = await net.listen(Factory.forProtocol(Server), over)
    application = Flood()
    wire = await net.connect(
        place, Applications(lambda: application), dialect="rfc6455", limits=BRIEF
    )
    await within(wire.whenOpen())
    await ended_with_1006(application, log)


@asynchronous
async def test_a_service_that_uploads_connects_again(net: Network, log: Log) -> None:
    place, made = await net.raw_server()
    applications = Applications(Flood)
    service = WebSocketClientService.new(
        reactor,
        place.url(),
        applications,
        limits=BRIEF,
        backoff=Backoff(first=0.01, longest=0.02),
        anyPort=True,
    )
    service.startService()
    try:
        await until(lambda: made and made[0].opened)
        made[0].transport.pauseProducing()
        await until(lambda: len(applications.made) > 1, 30)
        assert applications.made[0].lost.code == 1006
    finally:
        await within(service.stopService())


@over_both
@asynchronous
async def test_a_close_that_makes_no_progress_is_ended(over: str, net: Network, log: Log) -> None:
    """The limit of progress holds although ``drain_timeout`` would let the peer read on."""
    served = Applications(Flood)
    limits = Limits(stall_timeout=0.4, close_timeout=0.1, drain_timeout=1e6, unsent_size=1 << 30)
    place = await net.serve(served, over, limits=limits)
    raw = await net.raw(place)
    await stops_reading(raw, handshake_bytes.whole_request("rfc6455"))
    await until(lambda: served.made and served.made[0].transport.full)
    served.made[0].transport.loseConnection()
    await until(lambda: not place.factory.connections, 30)
    assert len(stalls(log)) == 1


def alone(root: Resource) -> Any:
    return HixieServerFactory(Applications(Recorder), elsewhere=Site(root), limits=BRIEF)


def resource(root: Resource) -> Any:
    return Site(HixieResource(Applications(Recorder), elsewhere=root, limits=BRIEF))


def behind(root: Resource) -> Any:
    inner = resource(root)
    return HixieServerFactory(Applications(Recorder), elsewhere=inner, limits=BRIEF)


def bounded(root: Resource) -> Any:
    return HixieSite(root, limits=BRIEF)


def nested(root: Resource) -> Any:
    """Pages in a resource in a site in a factory; only one of the three watches a connection."""
    inner = HixieResource(Applications(Recorder), elsewhere=root, limits=BRIEF)
    return HixieServerFactory(
        Applications(Recorder), elsewhere=HixieSite(inner, limits=BRIEF), limits=BRIEF
    )


@over_both
@pytest.mark.parametrize("made", [alone, resource, behind, bounded, nested])
@asynchronous
async def test_a_download_that_stops_is_ended(
    made: Callable[[Resource], Any], over: str, net: Network, log: Log, tmp_path: Path
) -> None:
    (tmp_path / "big").write_bytes(b"x" * 20_000_000)
    ended: list[Any] = []

    class Root(File):
        def render(self, request: Any) -> Any:
            request.notifyFinish().addErrback(ended.append)
            return super().render(request)  # type: ignore[no-untyped-call]  # Twisted has no annotations here

    place = await net.listen(made(Root(str(tmp_path))), over)
    raw = await net.raw(place)
    await stops_reading(raw, b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await until(lambda: ended, 30)
    assert len(stalls(log)) == 1


def arrived(raw: Raw, size: int) -> bool:
    return raw.data.count(b"x") >= size


@asynchronous
async def test_a_site_keeps_the_connections_of_clients_that_read(
    net: Network, log: Log, tmp_path: Path
) -> None:
    (tmp_path / "small").write_bytes(b"x" * 2_000)
    place = await net.listen(resource(File(str(tmp_path))))
    raw = await net.raw(place)
    for count in range(1, 5):
        raw.send(b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(partial(arrived, raw, 2_000 * count))
        await turn(0.25)
    assert raw.reason is None
    assert stalls(log) == []


# Gateways.


async def relay(net: Network, backend: str) -> Any:
    service = GatewayService(reactor, backend, limits=BRIEF)
    return await net.serve(service, limits=BRIEF, origins=["*"])


@asynchronous
async def test_a_gateways_client_that_stops_reading_is_ended_and_so_is_its_backend(
    net: Network, log: Log
) -> None:
    served = Applications(Flood)
    back = await net.serve(served, limits=Limits(unsent_size=1 << 30), origins=["*"])
    place = await relay(net, back.url(""))
    raw = await net.raw(place)
    await stops_reading(raw, handshake_bytes.whole_request("rfc6455"))
    await until(lambda: served.made and served.made[0].lost, 30)
    assert len(stalls(log)) == 1
    await until(lambda: not place.factory.connections)


@asynchronous
async def test_a_gateways_backend_that_stops_reading_is_ended_and_so_is_its_client(
    net: Network, log: Log
) -> None:
    back, made = await net.raw_server()
    place = await relay(net, back.url(""))
    client = await met(net, place, limits=Limits(unsent_size=1 << 30))
    made[0].transport.pauseProducing()
    for _ in range(MANY):
        client.transport.sendTextMessage(BIG)
    await until(lambda: client.lost, 30)
    assert isinstance(client.lost, AbruptClose | CleanClose)
    assert client.lost.code == 1014
    assert len(stalls(log)) == 1


@pytest.mark.parametrize("over", ["tcp", "unix"])
@asynchronous
async def test_a_backend_of_bytes_that_stops_reading_is_ended_and_so_is_its_client(
    over: str, net: Network, log: Log
) -> None:
    class Deaf(Raw):
        def connectionMade(self) -> None:
            net.raws.append(self)
            self.transport.pauseProducing()

    back = await net.listen(Factory.forProtocol(Deaf), over)
    description = f"unix:{back.path}" if over == "unix" else f"tcp:127.0.0.1:{back.port}"
    service = StreamService(reactor, description, limits=BRIEF)
    place = await net.serve(service, limits=BRIEF, origins=["*"])
    client = await met(net, place, limits=Limits(unsent_size=1 << 30))
    for _ in range(MANY):
        client.transport.sendBytesMessage(BIG.encode())
    await until(lambda: client.lost, 30)
    assert isinstance(client.lost, AbruptClose | CleanClose)
    assert client.lost.code == 1014
    assert len(stalls(log)) == 1


@asynchronous
async def test_a_coroutine_that_sends_gets_an_error_when_its_peer_makes_no_progress(
    net: Network, log: Log
) -> None:
    heard: list[Any] = []

    async def talk(channel: Any) -> None:
        with suppress(HixieError):
            while True:
                await channel.send(BIG)
        heard.append(channel)

    place = await net.serve(serve(talk), limits=BRIEF)
    raw = await net.raw(place)
    await stops_reading(raw, handshake_bytes.whole_request("rfc6455"))
    await until(lambda: heard, 30)
    assert len(stalls(log)) == 1
