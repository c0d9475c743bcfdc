"""Connections that end at a set time: ``Accepted.expiresIn``, and the table of connections."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan
from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import Clock

from support.applications import Answering
from support.dialect_marks import each
from support.dialect_names import MODERN, NAMES, code_of
from support.handshake_bytes import whole_request
from support.log_recorder import Log
from support.memory_connection import ServerEnd
from support.network import Network
from support.waiting import asynchronous, reactor, until
from txhixie import Accepted, CleanClose, HixieServerFactory, Limits, Offer, WebSocketProtocol
from txhixie.connection.expiry import CHECK_INTERVAL, Expiries, uptime
from txhixie.connection.protocol import EXPIRED
from txhixie.gateway import GatewayService
from txhixie.sansio.handshake.offer import Agreement
from txhixie.sansio.wire.frame import Opcode
from txhixie.testing import Applications, Pair, Recorder
from txhixie.web import HixieResource, HixieSite

LIFE = 20.0
QUICK = Limits(close_timeout=0.5)


def living(application: WebSocketProtocol, seconds: float | None = LIFE) -> Answering:
    return Answering(lambda offer: Accepted(application, expiresIn=seconds))


def paired(dialect: str, **options: Any) -> tuple[Pair, Recorder, Recorder]:
    """A pair whose connection expires, and the applications of the server and the client."""
    server, client = Recorder(), Recorder()
    return Pair.new(living(server), client, dialect=dialect, **options), server, client


# Accepted.expiresIn.


@each
def test_a_connection_is_closed_after_its_time_and_not_before(dialect: str) -> None:
    pair, server, client = paired(dialect)
    pair.advance(LIFE - 0.5)
    assert server.transport.isOpen
    pair.advance(1)
    for application in (server, client):
        assert isinstance(application.lost, CleanClose)
        assert application.lost.code == code_of(dialect, 1008)
        assert application.lost.reason == (EXPIRED if dialect in MODERN else "")
    pair.advance(30)
    pair.done()


def test_the_log_has_the_reason_in_every_dialect(log: Log) -> None:
    for dialect in NAMES:
        log.events.clear()
        pair, _, _ = paired(dialect)
        pair.advance(LIFE)
        assert [line for line in log.lines() if EXPIRED in line], dialect
        pair.advance(30)
        pair.done()


@each
def test_a_connection_that_the_application_has_paused_is_closed_too(dialect: str) -> None:
    pair, server, client = paired(dialect)
    server.transport.pauseProducing()
    client.transport.sendTextMessage("unread")
    pair.advance(LIFE)
    pair.advance(30)
    assert isinstance(client.lost, CleanClose)
    assert client.lost.code == code_of(dialect, 1008)
    assert server.lost is not None
    assert server.messages == []
    pair.done()


@each
def test_a_client_that_reads_nothing_is_disconnected(dialect: str) -> None:
    pair, server, _ = paired(dialect, limits=Limits(ping_interval=None))
    pair.toClient.paused = True
    server.transport.sendTextMessage("x" * 1_000_000)
    pair.advance(LIFE)
    for timeout in (Limits().close_timeout, Limits().drain_timeout, Limits().close_timeout):
        pair.advance(timeout)
    assert pair.server.wire.endings
    pair.done()


@each
def test_a_connection_that_ends_earlier_leaves_no_timer(dialect: str) -> None:
    pair, _, client = paired(dialect)
    client.transport.loseConnection()
    pair.pump()
    pair.advance(Limits().close_timeout)
    assert not pair.clock.getDelayedCalls()
    pair.done()


@each
def test_a_close_that_has_begun_is_not_changed(dialect: str, log: Log) -> None:
    pair, server, client = paired(dialect)
    pair.advance(LIFE - 1)
    pair.toServer.paused = True
    server.transport.loseConnection(1001, "bye")
    pair.advance(1)
    pair.toServer.paused = False
    pair.advance(30)
    assert isinstance(client.lost, CleanClose)
    assert client.lost.code == code_of(dialect, 1001)
    assert not [line for line in log.lines() if EXPIRED in line]
    pair.done()


def test_the_messages_of_a_lost_connection_are_still_delivered() -> None:
    pair, server, client = paired("rfc6455", limits=Limits(drain_timeout=60.0))
    server.transport.pauseProducing()
    client.transport.sendTextMessage("before the end")
    pair.pump()
    client.transport.abortConnection()
    pair.pump()
    pair.advance(LIFE)
    server.transport.resumeProducing()
    pair.advance(1)
    assert server.lost is not None
    pair.done()


def test_a_handshake_that_waits_for_its_last_bytes_expires_too() -> None:
    """The time begins when the offer is accepted, not when hixie-76 has its eight bytes."""
    application = Recorder()
    end = ServerEnd(living(application, 5.0))
    whole = whole_request("hixie-76")
    end.receive(whole[:-8])
    assert application.told == ["started"]
    end.clock.advance(5)
    assert end.wire.endings
    end.lose()
    assert application.lost is not None
    end.done()


@each
def test_an_adopted_conversation_expires(dialect: str) -> None:
    """A program that made the handshake itself, on a stream of HTTP/2 for example."""
    end, application = ServerEnd(Applications()), Recorder()
    offer = Offer(dialect, "/demo", "example.com")
    end.protocol.adopt(application, offer, Agreement(), expiresIn=LIFE)
    end.clock.advance(LIFE)
    assert not application.transport.isOpen
    if dialect in MODERN:
        payload = (1008).to_bytes(2, "big") + EXPIRED.encode()
        assert end.wire.written == end.own.frame(Opcode.CLOSE, payload)
    end.done()


def test_a_connection_without_a_time_has_no_table() -> None:
    """An idle connection costs what it did."""
    clock, application = Clock(), Recorder()
    end = ServerEnd(living(application, None), clock=clock, limits=Limits(ping_interval=None))
    end.receive(whole_request("rfc6455"))
    timers = len(clock.getDelayedCalls())
    other = ServerEnd(living(Recorder()), clock=Clock(), limits=Limits(ping_interval=None))
    other.receive(whole_request("rfc6455"))
    assert len(other.clock.getDelayedCalls()) == timers + 2
    end.done()
    other.done()


def test_zero_seconds_close_the_connection_as_soon_as_it_is_open() -> None:
    application = Recorder()
    end = ServerEnd(living(application, 0))
    end.receive(whole_request("rfc6455"))
    assert application.told == ["started", "finished"]
    end.clock.advance(0)
    assert not application.transport.isOpen
    end.done()


@pytest.mark.parametrize("seconds", [-1, -0.001, nan, inf, 1.8e9])
def test_a_date_and_a_past_time_are_errors(seconds: float) -> None:
    with pytest.raises(ValueError, match="expiresIn: expected seconds from now"):
        Accepted(Recorder(), expiresIn=seconds)
    end = ServerEnd(Applications())
    with pytest.raises(ValueError, match="expiresIn: expected seconds from now"):
        end.protocol.adopt(Recorder(), Offer("rfc6455", "/", "a"), Agreement(), expiresIn=seconds)
    end.done()


@pytest.mark.parametrize("seconds", ["60", True])
def test_seconds_of_another_type_are_an_error(seconds: Any) -> None:
    with pytest.raises(TypeError, match="expiresIn: expected a number"):
        Accepted(Recorder(), expiresIn=seconds)


# Over sockets.


@pytest.mark.parametrize("back", ["hixie-76", "rfc6455"])
@each
@asynchronous
async def test_a_gateway_closes_its_backend_too(net: Network, dialect: str, back: str) -> None:
    backends = Applications(Recorder)
    place = await net.serve(backends, limits=QUICK, origins=["*"])
    service = GatewayService(reactor, place.url(), dialect=back, limits=QUICK)

    async def decide(offer: Offer) -> Accepted:
        decision = await ensureDeferred(service.buildProtocol(offer))  # type: ignore[arg-type]  # mypy takes a Deferred for another awaitable
        assert isinstance(decision, Accepted)
        return replace(decision, expiresIn=0.2)

    front = await net.serve(Answering(decide), limits=QUICK, origins=["*"])
    client = Recorder()
    await net.connect(front, Applications(lambda: client), dialect=dialect)
    await until(lambda: client.lost)
    assert isinstance(client.lost, CleanClose)
    assert client.lost.code == code_of(dialect, 1008)
    (backend,) = backends.made
    await until(lambda: backend.lost)
    assert isinstance(backend.lost, CleanClose)
    expected = 1008 if dialect in MODERN else 1000
    assert backend.lost.code == code_of(back, expected)


@each
@asynchronous
async def test_a_connection_under_a_Site_expires(net: Network, dialect: str) -> None:
    server, client = Recorder(), Recorder()
    resource = HixieResource(living(server, 0.2), limits=QUICK, origins=["*"])
    place = await net.listen(HixieSite(resource))
    await net.connect(place, Applications(lambda: client), dialect=dialect)
    await until(lambda: client.lost and server.lost)
    assert isinstance(client.lost, CleanClose)
    assert client.lost.code == code_of(dialect, 1008)


# The table.


class Machine:
    """A machine whose clock stands still while it is suspended, and whose uptime does not."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.suspended = 0.0

    def uptime(self) -> float:
        return self.clock.seconds() + self.suspended


def test_a_suspended_machine_extends_no_life_by_more_than_a_check() -> None:
    machine, ended = Machine(), list[str]()
    table: Expiries[str] = Expiries(lambda: machine.clock, ended.append, machine.uptime)
    table.add("a", 3600)
    table.add("b", 7200)
    table.add("c", 7200)
    machine.suspended = 3600.0
    machine.clock.advance(CHECK_INTERVAL)
    assert ended == ["a"]
    machine.clock.advance(3600 - CHECK_INTERVAL)
    assert ended == ["a", "b", "c"]
    assert not machine.clock.getDelayedCalls()


def test_an_error_at_one_connection_does_not_keep_the_others_open(log: Log) -> None:
    log.hasStubs = True
    machine, ended = Machine(), list[str]()

    def end(name: str) -> None:
        ended.append(name)
        table.discard("c")
        raise RuntimeError(name)

    table: Expiries[str] = Expiries(lambda: machine.clock, end, machine.uptime)
    for name in "abc":
        table.add(name, 3600)
    machine.suspended = 3600.0
    machine.clock.advance(CHECK_INTERVAL)
    assert ended == ["a", "b"]
    assert len(log.tracebacks()) == 2
    assert not machine.clock.getDelayedCalls()


def test_the_uptime_does_not_go_back() -> None:
    before = uptime()
    assert uptime() >= before > 0


def test_a_reactor_is_asked_for_when_the_first_connection_expires() -> None:
    factory = HixieServerFactory(Applications())
    assert factory._expiries is None  # private: that nothing was made
