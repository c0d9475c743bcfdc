"""Timeouts: each fires in its time, and all of the same length share one timer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.task import Clock

from support.applications import Broken
from support.log_recorder import Log
from txhixie.connection.timeouts import TimeoutQueue


class Waiting:
    """A substitute for an Output that records when its timeout fired."""

    def __init__(self, clock: Clock, then: Callable[[], object] = lambda: None) -> None:
        self.clock = clock
        self.then = then
        self.told: list[float] = []

    def expired(self) -> None:
        self.told.append(self.clock.seconds())
        self.then()


def timeout(seconds: float = 10.0) -> tuple[Any, Clock]:
    """A shared timeout, and its clock."""
    clock = Clock()
    return cast("Any", TimeoutQueue(clock, seconds)), clock


def test_each_timeout_fires_in_its_time() -> None:
    line, clock = timeout()
    waiting = [Waiting(clock) for _ in range(5)]
    for one in waiting:
        line.join(one)
        clock.advance(1.5)
    for _ in range(20):
        clock.advance(0.5)
    assert [one.told for one in waiting] == [[10.0], [11.5], [13.0], [14.5], [16.0]]
    assert clock.getDelayedCalls() == []


def test_there_is_one_timer_and_none_without_timeouts() -> None:
    line, clock = timeout()
    waiting = [Waiting(clock) for _ in range(5)]
    assert clock.getDelayedCalls() == []
    for one in waiting:
        line.join(one)
        clock.advance(1)
        assert len(clock.getDelayedCalls()) == 1
    for one in waiting:
        line.leave(one)
        line.leave(one)
    assert clock.getDelayedCalls() == []
    clock.advance(100)
    assert not any(one.told for one in waiting)


def test_a_timeout_that_is_set_again_starts_anew() -> None:
    line, clock = timeout()
    one, other = Waiting(clock), Waiting(clock)
    line.join(one)
    clock.advance(4)
    line.join(other)
    line.leave(one)
    line.join(one)
    clock.advance(9)
    assert (one.told, other.told) == ([], [])
    clock.advance(1)
    assert (one.told, other.told) == ([14.0], [14.0])


def test_a_timeout_may_cancel_another_and_be_set_again() -> None:
    line, clock = timeout()
    other = Waiting(clock)

    def then() -> None:
        line.leave(other)
        line.join(one)

    one, last = Waiting(clock, then), Waiting(clock)
    for each in (one, other):
        line.join(each)
    clock.advance(3)
    line.join(last)
    clock.advance(7)
    assert (one.told, other.told, last.told) == ([10.0], [], [])
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(3)
    assert last.told == [13.0]
    clock.advance(7)
    assert one.told == [10.0, 20.0]


def test_a_timeout_that_raises_does_not_delay_the_others(log: Log) -> None:
    log.hasStubs = True
    line, clock = timeout()

    def then() -> None:
        raise Broken("it is broken")

    waiting = [Waiting(clock, then), Waiting(clock), Waiting(clock, then), Waiting(clock)]
    for one in waiting:
        line.join(one)
    clock.advance(10)
    assert [one.told for one in waiting] == [[10.0]] * 4
    assert [type(error) for error in log.tracebacks()] == [Broken, Broken]
