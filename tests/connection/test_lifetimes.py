"""The idle timeout and the maximum lifetime, with a clock of the test's and over real sockets."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from support.applications import Applications, Recorder, echo
from support.dialect_marks import each, modern
from support.dialect_names import MODERN
from support.frame_writer import FrameWriter, text
from support.frames import MASK
from support.handshake_bytes import whole_request
from support.log_recorder import Log
from support.memory_connection import ServerEnd, opened
from support.network import Network
from support.waiting import asynchronous, reactor, turn, until
from txhixie import CleanClose, HixieServerFactory, Limits
from txhixie.connection.lifetimes import SPREAD, Lifetimes
from txhixie.gateway import GatewayService
from txhixie.sansio.wire.frame import Opcode, Side

both = pytest.mark.parametrize("side", [Side.SERVER, Side.CLIENT])

IDLE = Limits(idle_timeout=60, ping_interval=None)
OLD = Limits(lifetime=1000, ping_interval=None)


def spend(clock: Clock, seconds: float) -> None:
    """Advance the clock in small steps, as on a reactor that is not blocked."""
    for _ in range(round(seconds * 2)):
        clock.advance(0.5)


def closes(end: Any, dialect: str, reason: str) -> None:
    """Assert that this side has closed the connection, and let the peer answer."""
    assert end.wire.taken() == end.own.close(1001, reason)
    end.receive(end.peer.close(1001, reason))
    end.lose()
    end.done()


@both
@each
def test_a_connection_without_messages_is_closed(dialect: str, side: str, log: Log) -> None:
    end, application = opened(dialect, side=side, limits=IDLE)
    spend(end.clock, 55)
    assert not end.wire.written
    assert not end.wire.endings
    spend(end.clock, 15)
    closes(end, dialect, "idle timeout")
    assert isinstance(application.lost, CleanClose)
    assert application.lost.ended.who == "us"
    (line,) = [line for line in log.lines() if "idle" in line and "noticed" in line]
    assert "idle timeout of 60 s (Limits.idle_timeout, --idle-timeout)" in line


@both
@each
def test_messages_in_either_direction_keep_a_connection(dialect: str, side: str) -> None:
    end, _ = opened(dialect, side=side, limits=IDLE)
    for number in range(10):
        spend(end.clock, 50)
        if number % 2:
            end.receive(end.peer.text("x"))
        else:
            end.protocol.sendTextMessage("x")
    assert not end.wire.endings
    assert len(end.wire.taken()) == 5 * len(end.own.text("x"))
    end.done()


@both
@modern
def test_pings_and_pongs_do_not_keep_a_connection(dialect: str, side: str) -> None:
    end, _ = opened(dialect, side=side, limits=Limits(idle_timeout=60))
    for _ in range(14):
        spend(end.clock, 5)
        end.receive(end.peer.frame(Opcode.PING, b"x") + end.peer.frame(Opcode.PONG, b"y"))
    assert end.own.close(1001, "idle timeout") in end.wire.taken()
    end.receive(end.peer.close(1001))
    end.lose()
    end.done()


@both
@each
def test_the_parts_of_a_long_message_keep_a_connection(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side, limits=IDLE)
    message = end.peer.text("x" * 10)
    end.receive(message[:-9])
    for byte in message[-9:]:
        spend(end.clock, 20)
        end.receive(bytes([byte]))
    assert application.messages == ["x" * 10]
    assert not end.wire.written
    end.done()


@both
@each
def test_a_connection_that_is_paused_by_us_is_not_idle(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side, limits=IDLE)
    end.protocol.pauseProducing()
    spend(end.clock, 200)
    end.protocol.resumeProducing()
    spend(end.clock, 50)
    assert not end.wire.written
    spend(end.clock, 20)
    closes(end, dialect, "idle timeout")
    assert application.told.count("lost") == 1


@both
@each
def test_a_connection_is_not_idle_while_its_peer_has_unread_messages(
    dialect: str, side: str
) -> None:
    end, _ = opened(dialect, side=side, limits=IDLE)
    end.wire.producer.pauseProducing()
    spend(end.clock, 200)
    assert not end.wire.written
    end.wire.producer.resumeProducing()
    spend(end.clock, 70)
    closes(end, dialect, "idle timeout")


def test_a_tick_after_a_blocked_reactor_closes_no_idle_connection() -> None:
    """Messages of the peer may be unread in the socket."""
    end, _ = opened("rfc6455", limits=IDLE)
    end.clock.advance(500)
    assert not end.wire.written
    spend(end.clock, 70)
    closes(end, "rfc6455", "idle timeout")


@both
@each
def test_an_old_connection_is_closed_although_it_talks(dialect: str, side: str, log: Log) -> None:
    end, application = opened(dialect, side=side, limits=OLD)
    for _ in range(89):
        spend(end.clock, 10)
        end.receive(end.peer.text("x"))
    assert not end.wire.written
    spend(end.clock, 125)
    closes(end, dialect, "maximum lifetime")
    assert isinstance(application.lost, CleanClose)
    assert any("(Limits.lifetime, --max-lifetime)" in line for line in log.lines())


def test_a_thousand_connections_that_came_together_do_not_leave_together() -> None:
    clock = Clock()
    left: dict[int, float] = {}

    def leave(connection: int, limit: str) -> None:
        left.setdefault(connection, clock.seconds())

    connections = range(1000)
    lifetimes = Lifetimes(
        Limits(lifetime=3600), lambda: clock, connections, lambda connection: None, leave
    )
    lifetimes.start()
    spend(clock, 3700)
    lifetimes.stop()
    assert not clock.getDelayedCalls()
    assert len(left) == 1000
    assert min(left.values()) >= 3600 * (1 - SPREAD)
    assert max(left.values()) <= 3600 + 10
    for start in range(3300, 3600, 30):
        assert sum(start <= when < start + 30 for when in left.values()) <= 100


def test_a_check_that_raises_does_not_end_the_checks(log: Log) -> None:
    log.hasStubs = True
    clock = Clock()
    over: list[tuple[int, str]] = []

    def activity(connection: int) -> object:
        if connection == 1:
            raise RuntimeError("defect")
        return 0

    lifetimes = Lifetimes(
        Limits(idle_timeout=10), lambda: clock, [1, 2], activity, lambda *call: over.append(call)
    )
    lifetimes.start()
    spend(clock, 12)
    lifetimes.stop()
    assert over[0] == (2, "idle_timeout")
    assert {type(error) for error in log.tracebacks()} == {RuntimeError}


def test_a_handshake_has_its_own_timeouts() -> None:
    end = ServerEnd(Applications(Recorder), limits=Limits(lifetime=1, idle_timeout=1))
    spend(end.clock, 5)
    assert not end.wire.written
    end.receive(whole_request("rfc6455"))
    assert end.wire.written.startswith(b"HTTP/1.1 101 ")
    end.lose()
    end.done()


def test_without_the_limits_a_factory_has_no_timer() -> None:
    end, _ = opened("hixie-75", limits=Limits())
    assert not any("Lifetimes" in str(call) for call in end.clock.getDelayedCalls())
    end.done()


@each
@asynchronous
async def test_a_silent_client_is_closed_and_one_that_talks_is_not(
    dialect: str, net: Network
) -> None:
    served = Applications(echo)
    limits = Limits(idle_timeout=0.5, close_timeout=0.2)
    place = await net.serve(served, origins=["*"], limits=limits)
    silent, client = await net.raw(place), await net.raw(place)
    await silent.opens(dialect)
    await client.opens("hixie-75")
    while silent.reason is None:
        client.data.clear()
        client.send(text("hello"))
        await client.reads(text("hello"))
    assert client.reason is None
    if dialect in MODERN:
        assert silent.data.endswith(b"\x03\xe9idle timeout")


@asynchronous
async def test_behind_a_gateway_the_backend_gets_the_close_of_its_client(net: Network) -> None:
    behind = Applications(Recorder)
    back = await net.serve(behind, origins=["*"])

    service = GatewayService(reactor, back.url(), dialect="rfc6455")
    limits = Limits(idle_timeout=0.5)
    factory = HixieServerFactory(service, origins=["*"], limits=limits)
    place = await net.listen(factory)
    client = await net.raw(place)
    await client.opens("rfc6455")
    await until(lambda: client.data.endswith(b"\x03\xe9idle timeout"))
    await until(lambda: behind.made and behind.made[0].lost is not None)
    assert behind.made[0].lost.code == 1001


@asynchronous
async def test_old_clients_leave_one_after_the_other_although_they_talk(net: Network) -> None:
    limits = Limits(lifetime=2, close_timeout=0.2)
    place = await net.serve(Applications(echo), origins=["*"], limits=limits)
    clients = [await net.raw(place) for _ in range(20)]
    for client in clients:
        await client.opens("rfc6455")
    gone: list[int] = []
    while len(gone) < len(clients):
        for number, client in enumerate(clients):
            if client.reason is None:
                client.send(FrameWriter("rfc6455", MASK).text("hello"))
            elif number not in gone:
                gone.append(number)
        await turn(0.01)
    assert gone != sorted(gone)  # the lives differ
    for client in clients:
        assert b"\x03\xe9maximum lifetime" in client.data
    newcomer = await net.raw(place)
    await newcomer.opens("hixie-75")
    newcomer.send(text("hello"))
    await newcomer.reads(text("hello"))
