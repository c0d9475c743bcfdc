"""Closes that are spread over some seconds, by a clock of the test."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from txhixie.connection.staggered import STEP, Staggered


def made(count: int, seconds: float) -> tuple[Clock, list[tuple[float, int]], Staggered[int]]:
    clock, calls = Clock(), list[tuple[float, int]]()
    staggered = Staggered(
        clock, lambda one: calls.append((round(clock.seconds(), 6), one)), range(count), seconds
    )
    return clock, calls, staggered


def test_the_calls_are_spread_evenly_from_the_beginning() -> None:
    clock, calls, _ = made(5, 10.0)
    assert calls == [(0.0, 0)]
    for _ in range(100):
        clock.advance(0.1)
    assert [one for _, one in calls] == [0, 1, 2, 3, 4]
    for at, one in calls:
        assert at == pytest.approx(2 * one, abs=0.2)
    assert not clock.getDelayedCalls()


def test_many_calls_are_made_in_groups() -> None:
    """10,000 calls in one second need no 10,000 timers."""
    clock, calls, _ = made(10_000, 1.0)
    turns = 0
    while clock.getDelayedCalls():
        clock.advance(STEP)
        turns += 1
    assert [one for _, one in calls] == list(range(10_000))
    assert turns <= 1 / STEP + 1
    for at, one in calls:
        assert at == pytest.approx(one / 10_000, abs=2 * STEP)


def test_after_a_blocked_reactor_all_that_is_due_is_called_at_once() -> None:
    clock, calls, _ = made(4, 4.0)
    clock.advance(100.0)
    assert [one for _, one in calls] == [0, 1, 2, 3]


def test_without_objects_nothing_is_called() -> None:
    clock, calls, staggered = made(0, 4.0)
    assert not clock.getDelayedCalls()
    staggered.hasten(1.0)
    assert calls == []


def test_what_is_left_can_be_hastened() -> None:
    clock, calls, staggered = made(4, 400.0)
    assert staggered.left == {1, 2, 3}
    staggered.hasten(3.0)
    for _ in range(30):
        clock.advance(0.1)
    assert [one for _, one in calls] == [0, 1, 2, 3]


def test_to_hasten_by_a_longer_time_changes_no_end() -> None:
    clock, calls, staggered = made(4, 4.0)
    staggered.hasten(400.0)
    for _ in range(40):
        clock.advance(0.1)
    assert len(calls) == 4


def test_it_can_be_stopped() -> None:
    clock, calls, staggered = made(4, 4.0)
    staggered.stop()
    staggered.stop()
    clock.advance(100.0)
    assert len(calls) == 1
