"""State that the connections of one factory share."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from support.applications import Applications, Recorder
from support.dialect_marks import each
from support.dialect_names import CLOSING, NAMES
from support.frame_writer import CLOSE
from support.handshake_bytes import request, whole_request
from support.memory_connection import ClientEnd, End, ServerEnd
from txhixie import HixieClientFactory, HixieServerFactory, Limits, UsageError


def fired(deferred: Deferred[Any]) -> list[Any]:
    """The results with which a Deferred fires."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    return results


def test_the_default_clock_is_the_reactor() -> None:
    clock: object = HixieServerFactory(Applications()).clock
    assert clock is reactor


def test_a_factory_knows_its_connections() -> None:
    end = ServerEnd(Applications())
    other = End(end.factory.buildProtocol(None), end.clock)
    assert end.factory.connections == {end.protocol, other.protocol}
    other.lose()
    assert end.factory.connections == {end.protocol}
    end.done()


@pytest.mark.parametrize(
    "factory",
    [
        HixieServerFactory(Applications()),
        HixieClientFactory("ws://example.com/", Applications()),
    ],
)
def test_without_connections_closeAll_fires_at_once(factory: Any) -> None:
    assert fired(factory.closeAll()) == [None]
    factory.abortAll()
    assert fired(factory.closeAll()) == [None]


@each
def test_closeAll_closes_each_in_the_way_of_its_dialect_and_fires_after_the_last_end(
    dialect: str,
) -> None:
    applications = Applications(Recorder)
    end = ServerEnd(applications)
    ends = [end, End(end.factory.buildProtocol(None), end.clock)]
    for one in ends:
        one.receive(whole_request(dialect))
        one.wire.calls.clear()
    first = fired(end.factory.closeAll())
    second = fired(end.factory.closeAll())
    for one in ends:
        assert one.wire.written == one.own.close(1001)
        if dialect in CLOSING:
            one.receive(one.peer.close(1001))
        assert one.wire.endings == ["lose" if dialect in CLOSING else "lose write"]
    ends[0].lose()
    assert first == second == []
    ends[1].lose()
    assert first == second == [None]
    for application in applications.made:
        assert application.lost.ended.clean
        assert application.lost.ended.who == "us"
    for one in ends:
        one.done()


@each
@pytest.mark.parametrize("sent", [0, 3, 60])
def test_closeAll_ends_connections_that_are_still_opening(dialect: str, sent: int) -> None:
    end = ServerEnd(Applications())
    if sent:
        end.receive(request(dialect)[:sent])
    done = fired(end.factory.closeAll())
    assert end.wire.endings == ["lose write"]
    assert end.wire.written == b""
    assert done == []
    end.lose()
    assert done == [None]
    end.done()


@each
def test_closeAll_fires_by_the_deadlines_with_any_peer(dialect: str) -> None:
    end = ServerEnd(Applications())
    end.receive(whole_request(dialect))
    done = fired(end.factory.closeAll())
    limits = Limits()
    end.clock.advance(limits.close_timeout + 0.1)
    assert end.wire.endings[-1] == "lose"
    end.clock.advance(limits.drain_timeout + 0.1)
    assert end.wire.endings[-1] == "abort"
    assert done == []
    end.lose()
    assert done == [None]
    end.done()


@each
@pytest.mark.parametrize("timeout", [None, 0.5, 20.0])
def test_closeAll_aborts_remaining_connections_after_its_timeout(
    dialect: str, timeout: float | None
) -> None:
    """Without that timeout, a peer that is still reading would have a minute more."""
    end = ServerEnd(Applications(), limits=Limits(close_timeout=100, stop_timeout=8))
    end.receive(whole_request(dialect))
    done = fired(end.factory.closeAll(timeout=timeout))
    end.clock.advance((8 if timeout is None else timeout) - 0.1)
    assert "abort" not in end.wire.endings
    end.clock.advance(0.1)
    assert end.wire.endings[-1] == "abort"
    end.lose()
    assert done == [None]
    end.done()


def test_closeAll_leaves_no_timer() -> None:
    end = ServerEnd(Applications())
    done = fired(end.factory.closeAll(timeout=50))
    end.lose()
    assert done == [None]
    end.done()


def test_closeAll_ends_connections_that_wait_for_the_eight_bytes() -> None:
    end = ServerEnd(Applications(Recorder))
    end.receive(request("hixie-76"))
    done = fired(end.factory.closeAll())
    assert end.wire.endings == ["lose write"]
    end.lose()
    assert done == [None]
    end.done()


def test_closeAll_of_a_client_factory_closes_too() -> None:
    end = ClientEnd(Applications(Recorder))
    opening = End(end.factory.buildProtocol(None), end.clock)
    end.receive(end.answer())
    done = fired(end.factory.closeAll(1001, "bye"))
    assert end.wire.written == CLOSE
    assert opening.wire.endings == ["lose write"]
    end.lose()
    opening.lose()
    assert done == [None]
    end.done()
    opening.done()


@pytest.mark.parametrize("code", [999, 1004, 1006, 1015, 5000])
def test_closeAll_with_an_invalid_code_closes_no_connection(code: int) -> None:
    end = ServerEnd(Applications(Recorder))
    ends = [end, *(End(end.factory.buildProtocol(None), end.clock) for _ in NAMES)]
    for one, dialect in zip(ends, [*NAMES, NAMES[0]], strict=True):
        one.receive(whole_request(dialect))
        one.wire.calls.clear()
    with pytest.raises(UsageError, match=f"^close code {code} cannot be sent"):
        end.factory.closeAll(code)
    assert [one.wire.calls for one in ends] == [[]] * len(ends)
    for one in ends:
        one.lose()
    end.done()


def test_closeAll_sends_the_code_and_the_reason_where_the_dialect_has_them() -> None:
    end = ServerEnd(Applications(Recorder))
    old = End(end.factory.buildProtocol(None), end.clock)
    end.receive(whole_request("rfc6455"))
    old.receive(whole_request("hixie-76"))
    for one in (end, old):
        one.wire.calls.clear()
    done = fired(end.factory.closeAll(1012, "back in a minute"))
    assert end.wire.written == end.own.close(1012, "back in a minute")
    assert old.wire.written == CLOSE
    for one in (end, old):
        one.lose()
    assert done == [None]
    end.done()


def test_a_Deferred_of_closeAll_may_be_cancelled() -> None:
    end = ServerEnd(Applications())
    deferred = end.factory.closeAll()
    results = fired(deferred)
    deferred.cancel()
    end.lose()
    assert len(results) == 1
    end.done()


@each
def test_abortAll_ends_every_connection_at_once(dialect: str) -> None:
    applications = Applications(Recorder)
    end = ServerEnd(applications)
    opening = End(end.factory.buildProtocol(None), end.clock)
    end.receive(whole_request(dialect))
    end.factory.abortAll()
    assert end.wire.endings == opening.wire.endings == ["abort"]
    end.lose()
    opening.lose()
    assert applications.made[0].told == ["started", "finished", "lost"]
    end.done()
    opening.done()


def test_an_application_may_close_the_others_when_one_is_lost() -> None:
    applications = Applications(lambda: Recorder(lost=lambda a: end.factory.abortAll()))
    end = ServerEnd(applications)
    other = End(end.factory.buildProtocol(None), end.clock)
    for one in (end, other):
        one.receive(whole_request("hixie-75"))
    other.lose()
    assert end.wire.endings == ["abort"]
    end.lose()
    end.done()


def test_each_connection_has_a_protocol_of_its_own() -> None:
    factory = HixieServerFactory(Applications(), clock=Clock())
    assert factory.buildProtocol(None) is not factory.buildProtocol(None)


def test_an_object_that_builds_no_application_is_found_before_the_first_client() -> None:
    async def conversation(channel: object) -> None:
        pass

    for wrong in (conversation, Recorder):
        with pytest.raises(
            TypeError,
            match="expected an object with buildProtocol, not",
        ):
            HixieServerFactory(wrong)  # type: ignore[arg-type]  # the test passes a wrong type


def spread_out(dialect: str, limits: Limits, count: int = 4) -> tuple[ServerEnd, list[End]]:
    """An open connection in each of several ends of one factory."""
    end = ServerEnd(Applications(Recorder), limits=limits)
    ends = [end, *(End(end.factory.buildProtocol(None), end.clock) for _ in range(count - 1))]
    for one in ends:
        one.receive(whole_request(dialect))
        one.wire.calls.clear()
    return end, ends


def closed(ends: list[End]) -> int:
    return sum(bool(one.wire.calls) for one in ends)


@each
@pytest.mark.parametrize("by", ["limit", "argument"])
def test_closeAll_spreads_the_closes_evenly(dialect: str, by: str) -> None:
    limits = Limits(stop_spread=8.0 if by == "limit" else 0.0)
    end, ends = spread_out(dialect, limits)
    done = fired(end.factory.closeAll(spread=None if by == "limit" else 8.0))
    for number in (1, 2, 3, 4):
        assert closed(ends) == number
        end.clock.advance(2.0)
    for one in ends:
        assert one.wire.written == one.own.close(1001)
        one.lose()
    assert done == [None]
    end.done()


def test_the_spread_is_at_most_the_timeout() -> None:
    end, ends = spread_out("rfc6455", Limits(stop_spread=8.0))
    done = fired(end.factory.closeAll(timeout=4.0))
    end.clock.advance(3.0)
    assert closed(ends) == 4
    end.clock.advance(1.0)
    assert [one.wire.endings[-1] for one in ends] == ["abort"] * 4
    for one in ends:
        one.lose()
    assert done == [None]
    end.done()


def test_a_connection_that_ends_before_its_turn_delays_nothing_and_leaves_no_timer() -> None:
    end, ends = spread_out("rfc6455", Limits(stop_spread=8.0))
    done = fired(end.factory.closeAll())
    for one in ends:
        one.lose()
    assert done == [None]
    end.done()  # there is no timer


def test_incomplete_handshakes_do_not_wait_for_a_spread() -> None:
    end, ends = spread_out("rfc6455", Limits(stop_spread=8.0))
    opening = End(end.factory.buildProtocol(None), end.clock)
    opening.receive(request("rfc6455")[:60])
    end.factory.closeAll()
    assert opening.wire.endings == ["lose write"]
    assert closed(ends) == 1
    for one in (opening, *ends):
        one.lose()
    end.done()


def test_a_second_closeAll_replaces_the_closes_that_are_to_come() -> None:
    end, ends = spread_out("rfc6455", Limits())
    end.factory.closeAll(spread=8.0)
    end.factory.closeAll(1012, "restarting")
    written = [one.wire.written for one in ends]
    assert sorted(written) == sorted(
        [end.own.close(1001), *[end.own.close(1012, "restarting")] * 3]
    )
    for one in ends:
        one.lose()
    end.done()


def test_a_stop_of_the_reactor_does_not_hurry_a_spread_that_has_begun() -> None:
    """A service has begun the spread; a client that came later is closed at once."""
    end, ends = spread_out("rfc6455", Limits())
    first = fired(end.factory.closeAll(1012, "restarting", spread=8.0))
    late = End(end.factory.buildProtocol(None), end.clock)
    late.receive(whole_request("rfc6455"))
    late.wire.calls.clear()
    second = fired(end.factory.closeOthers())
    assert late.wire.written == end.own.close(1001)
    assert closed(ends) == 1
    end.clock.advance(7.9)
    for one in ends:
        assert one.wire.written == end.own.close(1012, "restarting")
        one.lose()
    assert first == second == []
    late.lose()
    assert first == second == [None]
    end.done()


def test_a_stop_of_the_reactor_ends_a_longer_spread_within_the_stop_timeout() -> None:
    end, ends = spread_out("rfc6455", Limits(stop_timeout=4.0))
    end.factory.closeAll(timeout=1000.0, spread=1000.0)
    done = fired(end.factory.closeOthers())
    for _ in range(39):
        end.clock.advance(0.1)
    assert closed(ends) == 4
    end.clock.advance(0.2)
    assert [one.wire.endings[-1] for one in ends] == ["abort"] * 4
    for one in ends:
        one.lose()
    assert done == [None]
    end.done()


def test_closeAll_refuses_a_client_with_503_while_its_application_decides() -> None:
    deciding: Deferred[Any] = Deferred()
    end = ServerEnd(Applications(lambda: deciding))
    end.receive(whole_request("rfc6455"))
    done = fired(end.factory.closeAll())
    assert end.wire.written.startswith(b"HTTP/1.1 503 ")
    assert end.wire.written.endswith(b"the server is stopping\n")
    assert deciding.called  # it was cancelled
    end.lose()
    assert done == [None]
    end.done()
