"""Keepalive: pings, pongs and ping timeouts, with a clock of the test's."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from support import handshake_bytes, log_recorder
from support.applications import Applications, Recorder, Source
from support.dialect_marks import hixie, modern
from support.frame_writer import text
from support.frames import MASK, modern_frame
from support.handshake_bytes import request
from support.memory_connection import ClientEnd, End, ServerEnd, opened
from txhixie import AbruptClose, CleanClose, HixieServerFactory, Limits
from txhixie.sansio.wire.frame import Opcode, Side

both = pytest.mark.parametrize("side", [Side.SERVER, Side.CLIENT])

INTERVAL = Limits().ping_interval or 0.0
TIMEOUT = Limits().ping_timeout
LATE = min(INTERVAL, TIMEOUT) / 4
"""The seconds that the granularity of the keepalive ticks may add to a wait."""


def spend(clock: Clock, seconds: float, step: float = 0.25) -> None:
    """Advance the clock in small steps, as on a reactor that is not blocked."""
    for _ in range(round(seconds / step)):
        clock.advance(step)


def pinged(end: Any) -> bytes:
    """Advance the clock until a ping is sent; its payload."""
    end.wire.taken()
    waited = 0.0
    while not end.wire.written and waited < INTERVAL + 2 * LATE:
        end.clock.advance(0.25)
        waited += 0.25
    said: bytes = end.wire.taken()
    payload = said[-8:] if end.protocol.side == Side.SERVER else said[6:14]
    assert said == end.own.frame(Opcode.PING, payload)
    return payload


def given_up(end: Any, application: Recorder, seconds: float = TIMEOUT) -> None:
    """Assert that the connection was aborted, and that the application got the reason."""
    assert end.wire.endings == ["abort"]
    end.lose()
    assert isinstance(application.lost, AbruptClose)
    assert application.lost.code == 1006
    assert application.lost.reason == (
        f"no data received within {seconds:g} seconds of a ping"
        " (Limits.ping_timeout, --ping-timeout)"
    )
    assert application.lost.ended.who == "us"


@both
@modern
def test_after_an_interval_there_is_one_ping(dialect: str, side: str) -> None:
    end, _ = opened(dialect, side=side)
    spend(end.clock, INTERVAL - 0.5)
    assert end.wire.written == b""
    spend(end.clock, 2 * LATE + 0.5)
    (ping,) = end.wire.writes
    assert ping[:1] == b"\x89"
    assert len(ping) == (10 if side == Side.SERVER else 14)
    end.done()


@both
@modern
def test_a_pong_sets_the_latency_and_is_no_event_of_the_application(
    dialect: str, side: str
) -> None:
    end, application = opened(dialect, side=side)
    assert application.transport.latency is None
    payload = pinged(end)
    end.clock.advance(0.125)
    end.receive(end.peer.frame(Opcode.PONG, payload))
    assert application.transport.latency == 0.125
    assert application.told == ["started", "finished"]
    end.done()


@both
@modern
def test_a_pinged_connection_needs_no_dict_of_its_own(dialect: str, side: str) -> None:
    """A dict would be 500 bytes for each idle connection: these attributes have slots."""
    end, _ = opened(dialect, side=side)
    end.receive(end.peer.frame(Opcode.PONG, pinged(end)))
    assert vars(end.protocol) == {}
    end.done()


@both
@modern
def test_each_interval_has_a_ping_while_the_peer_answers(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    payloads = []
    for _ in range(5):
        payloads.append(pinged(end))
        end.receive(end.peer.frame(Opcode.PONG, payloads[-1]))
    assert len(set(payloads)) == 5
    assert end.wire.endings == []
    assert application.told == ["started", "finished"]
    end.done()


@both
@modern
def test_a_silent_peer_is_aborted_and_not_before_the_timeout(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    pinged(end)
    spend(end.clock, TIMEOUT - 0.5)
    assert end.wire.endings == []
    spend(end.clock, LATE + 1)
    assert end.wire.written == b""
    application.transport.sendTextMessage("to nobody")
    assert end.wire.written == b""
    end.receive(end.peer.text("too late"))
    assert application.messages == []
    given_up(end, application)
    end.done()


@both
@modern
@pytest.mark.parametrize("sign", ["pong", "another's pong", "ping", "text", "part", "header"])
def test_any_traffic_counts_as_life(dialect: str, side: str, sign: str) -> None:
    """A pong may have to wait behind a long message."""
    end, _ = opened(dialect, side=side)
    signs = {
        "another's pong": [end.peer.frame(Opcode.PONG, b"mine")] * 4,
        "ping": [end.peer.frame(Opcode.PING)] * 4,
        "text": [end.peer.text("hello")] * 4,
        "part": [end.peer.frame(Opcode.BINARY, b"x" * 1000)[:100], b"x", b"x", b"x"],
        "header": [bytes([byte]) for byte in end.peer.frame(Opcode.TEXT, b"x" * 70_000)[:4]],
    }
    for number in range(4):
        payload = pinged(end)
        spend(end.clock, TIMEOUT - INTERVAL / 2)
        if sign == "pong":
            end.receive(end.peer.frame(Opcode.PONG, payload))
        else:
            end.receive(signs[sign][number])
        assert end.wire.endings == []
    end.done()


def test_an_aborted_connection_does_not_affect_the_others() -> None:
    applications = Applications(Recorder)
    silent = ServerEnd(applications)
    lively = End(silent.factory.buildProtocol(None), silent.clock)
    for end in (silent, lively):
        end.receive(request("rfc6455"))
    for _ in range(10):
        spend(silent.clock, 10)
        lively.receive(lively.peer.text("well"))
    given_up(silent, applications.made[0])
    assert lively.wire.endings == []
    assert len(applications.made[1].messages) == 10
    lively.done()


@both
@modern
def test_after_a_blocked_reactor_no_connection_is_aborted(dialect: str, side: str) -> None:
    """The pongs are still in the sockets, since timers run before reads."""
    end, _ = opened(dialect, side=side)
    payload = pinged(end)
    end.clock.advance(10_000)
    assert end.wire.endings == []
    end.receive(end.peer.frame(Opcode.PONG, payload))
    for _ in range(5):
        end.clock.advance(10_000)
    assert end.wire.endings == []
    end.done()


@modern
def test_after_a_blocked_reactor_a_peer_that_stays_silent_is_aborted(dialect: str) -> None:
    end, application = opened(dialect)
    pinged(end)
    end.clock.advance(10_000)
    assert end.wire.endings == []
    spend(end.clock, 2 * LATE)
    given_up(end, application)
    end.done()


def test_with_a_short_timeout_a_short_block_aborts_no_connection() -> None:
    end, application = opened("rfc6455", limits=Limits(ping_interval=0.4, ping_timeout=0.4))
    spend(end.clock, 0.6, 0.1)
    assert end.wire.taken()[:1] == b"\x89"
    end.clock.advance(0.9)
    assert end.wire.endings == []
    spend(end.clock, 0.2, 0.1)
    given_up(end, application, 0.4)
    end.done()


@both
@modern
def test_a_paused_connection_is_neither_pinged_nor_aborted(dialect: str, side: str) -> None:
    """Nothing is read from a paused connection, so a pong would not be seen."""
    end, application = opened(dialect, side=side)
    pinged(end)
    application.transport.pauseProducing()
    spend(end.clock, 10 * TIMEOUT)
    assert end.wire.endings == []
    assert end.wire.written == b""
    application.transport.resumeProducing()
    spend(end.clock, INTERVAL - 0.5)
    assert end.wire.written == b""
    spend(end.clock, 2 * LATE + 0.5)
    assert end.wire.taken()[:1] == b"\x89"
    spend(end.clock, TIMEOUT + LATE)
    given_up(end, application)
    end.done()


@both
@modern
def test_a_peer_that_reads_what_was_sent_is_neither_pinged_nor_aborted(
    dialect: str, side: str
) -> None:
    """A ping would wait behind the unsent data."""
    end, _ = opened(dialect, side=side)
    pinged(end)
    end.wire.producer.pauseProducing()
    spend(end.clock, 10 * TIMEOUT)
    assert end.wire.endings == []
    assert end.wire.written == b""
    end.wire.producer.resumeProducing()
    assert pinged(end)
    end.done()


@both
@modern
def test_the_pong_that_a_pause_held_back_is_no_event_of_the_application(
    dialect: str, side: str
) -> None:
    end, application = opened(dialect, side=side)
    payload = pinged(end)
    application.transport.pauseProducing()
    end.receive(end.peer.frame(Opcode.PONG, payload))
    spend(end.clock, 2 * LATE)
    application.transport.resumeProducing()
    assert application.told == ["started", "finished"]
    assert application.transport.latency is not None
    assert application.transport.latency >= 2 * LATE
    end.done()


@both
@modern
@pytest.mark.parametrize("payload", [b"", b"mine", bytes(8), b"x" * 125])
def test_an_unsolicited_pong_reaches_the_application(
    dialect: str, side: str, payload: bytes
) -> None:
    end, application = opened(dialect, side=side)
    end.receive(end.peer.frame(Opcode.PONG, payload))
    pinged(end)
    end.receive(end.peer.frame(Opcode.PONG, payload))
    assert application.events[2:] == [("pong", payload)] * 2
    assert application.transport.latency is None
    end.done()


@both
@modern
def test_a_closing_connection_is_not_pinged(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side, limits=Limits(close_timeout=1000))
    application.transport.loseConnection()
    end.wire.taken()
    spend(end.clock, 3 * (INTERVAL + TIMEOUT))
    assert end.wire.calls == []
    end.receive(end.peer.close())
    end.lose()
    assert isinstance(application.lost, CleanClose)
    end.done()


# The timer itself.


def test_there_is_one_timer_however_many_connections() -> None:
    clock = Clock()
    factory = HixieServerFactory(Applications(Recorder), clock=clock)
    assert clock.getDelayedCalls() == []
    ends = [End(factory.buildProtocol(None), clock) for _ in range(10)]
    for end in ends:
        end.receive(request("rfc6455"))
    assert len(clock.getDelayedCalls()) == 2  # pings, and whether each peer makes progress
    for end in ends:
        end.lose()
    assert clock.getDelayedCalls() == []


def test_the_timer_starts_again_with_the_next_connection() -> None:
    clock = Clock()
    factory = HixieServerFactory(Applications(Recorder), clock=clock)
    for _ in range(3):
        end = End(factory.buildProtocol(None), clock)
        end.receive(request("rfc6455"))
        end.wire.calls.clear()
        assert len(pinged(end)) == 8
        end.done()
        assert clock.getDelayedCalls() == []


@both
@hixie
def test_in_the_Hixie_dialects_there_is_neither_ping_nor_ping_timer(
    dialect: str, side: str
) -> None:
    """The timer that looks for peers without progress runs in every dialect."""
    end, _ = opened(dialect, side=side)
    assert len(end.clock.getDelayedCalls()) == 1
    spend(end.clock, 3 * (INTERVAL + TIMEOUT))
    assert end.wire.calls == []
    end.done()


@hixie
def test_a_Hixie_connection_of_a_factory_with_pings_gets_none(dialect: str) -> None:
    modern_one, _ = opened("rfc6455")
    old = End(modern_one.factory.buildProtocol(None), modern_one.clock)
    old.receive(handshake_bytes.whole_request(dialect))
    old.wire.calls.clear()
    for _ in range(10):
        spend(old.clock, 10)
        modern_one.receive(modern_one.peer.text("well"))
    assert old.wire.calls == []
    old.receive(text("still here"))
    modern_one.lose()
    old.done()


@both
@modern
def test_without_an_interval_there_is_neither_ping_nor_ping_timer(dialect: str, side: str) -> None:
    """The timer that looks for peers without progress runs with pings off."""
    end, _ = opened(dialect, side=side, limits=Limits(ping_interval=None))
    assert len(end.clock.getDelayedCalls()) == 1
    spend(end.clock, 3 * TIMEOUT)
    assert end.wire.calls == []
    end.done()


@modern
def test_a_connection_that_is_not_open_yet_is_not_pinged(dialect: str) -> None:
    limits = Limits(open_timeout=1000)
    opening = ClientEnd(Applications(Recorder), dialect=dialect, limits=limits)
    spend(opening.clock, 3 * (INTERVAL + TIMEOUT))
    assert opening.wire.written == b""
    assert opening.wire.endings == []
    opening.receive(opening.answer() + modern_frame(Opcode.PING, b"hello?"))
    assert opening.wire.written == opening.own.frame(Opcode.PONG, b"hello?")
    assert opening.peer.key is None
    assert opening.own.key != MASK
    opening.done()


@modern
def test_an_error_of_one_producer_does_not_keep_other_connections_from_being_pinged(
    dialect: str, log: log_recorder.Log
) -> None:
    """A ping may fill the write buffer, and then the producer is told to pause inside that
    write."""

    class Raising(Source):
        def pauseProducing(self) -> None:
            raise RuntimeError("no")

    clock = Clock()
    factory = HixieServerFactory(Applications(Recorder), clock=clock)
    ends = [End(factory.buildProtocol(None), clock, limit=1) for _ in range(2)]
    for end in ends:
        end.receive(handshake_bytes.whole_request(dialect))
        end.wire.arrived(len(end.wire.taken()))
        end.protocol.attachProducer(Raising())
    spend(clock, INTERVAL + LATE)
    assert [end.wire.taken()[:1] for end in ends] == [b"\x89", b"\x89"]
    assert {str(error) for error in log.tracebacks()} == {"no"}
    for end in ends:
        end.protocol.detachProducer()
        end.wire.arrived(1000)
    spend(clock, TIMEOUT + LATE)
    assert [end.wire.endings for end in ends] == [["abort"], ["abort"]]
    for end in ends:
        end.lose()
    for end in ends:
        end.done()
