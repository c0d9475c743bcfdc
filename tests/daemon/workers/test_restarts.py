"""The delays before dead workers are started again, and the death that ends the daemon."""

from __future__ import annotations

import pytest

from txhixie.daemon.workers.restarts import Restarts


def test_the_delay_grows_with_each_death_within_a_minute() -> None:
    restarts = Restarts()
    delays = [restarts.died(now) for now in (0.0, 1.0, 2.0, 3.0)]
    assert delays == pytest.approx([0.1, 0.4, 1.6, 6.4])


def test_the_fifth_death_within_a_minute_ends_the_daemon() -> None:
    restarts = Restarts()
    for now in (0.0, 10.0, 20.0, 30.0):
        assert restarts.died(now) is not None
    assert restarts.died(59.9) is None


def test_deaths_of_more_than_a_minute_ago_do_not_count() -> None:
    restarts = Restarts()
    for now in (0.0, 10.0, 20.0, 30.0):
        restarts.died(now)
    assert restarts.died(60.0) == pytest.approx(6.4)
    assert restarts.died(200.0) == pytest.approx(0.1)
