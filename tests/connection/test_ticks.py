"""A timer for all connections of a factory."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from txhixie.connection.ticks import Ticks


class Ticking:
    """:ivar told: the arguments of each tick."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.told: list[tuple[float, bool]] = []
        self.ticks = Ticks(lambda: self.clock, lambda now, late: self.told.append((now, late)))


def test_each_start_is_followed_by_one_tick() -> None:
    ticking = Ticking()
    for _ in range(3):
        ticking.ticks.start(2.0)
        ticking.ticks.start(5.0)
        ticking.clock.pump([2.0, 9.0])
    assert ticking.told == [(2.0, False), (13.0, False), (24.0, False)]


@pytest.mark.parametrize(("pause", "late"), [(0.5, 0.6), (8.0, 1.5)])
def test_a_tick_says_that_it_is_late(pause: float, late: float) -> None:
    """By more than a second, or than the time between two ticks."""
    ticking = Ticking()
    ticking.ticks.start(pause)
    ticking.clock.advance(pause + late)
    ticking.ticks.start(pause)
    ticking.clock.advance(pause + 0.4)
    assert [late for _, late in ticking.told] == [True, False]


def test_a_stopped_timer_does_not_tick_and_can_be_started_again() -> None:
    ticking = Ticking()
    ticking.ticks.stop()
    ticking.ticks.start(1.0)
    ticking.ticks.stop()
    ticking.ticks.stop()
    assert ticking.clock.getDelayedCalls() == []
    ticking.ticks.start(1.0)
    ticking.clock.advance(1.0)
    assert ticking.told == [(1.0, False)]


def test_a_timer_that_was_cancelled_outside_can_be_stopped() -> None:
    """``trial`` cancels all timers after a test that has left connections open."""
    ticking = Ticking()
    ticking.ticks.start(2.0)
    for call in ticking.clock.getDelayedCalls():
        call.cancel()
    ticking.ticks.stop()
    assert ticking.told == []
