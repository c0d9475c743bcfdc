"""The allowance of a peer: messages and bytes a second, with a clock of the test's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txhixie.sansio.allowance import Allowance, Bucket
from txhixie.sansio.limits import Limits


class Seconds:
    """A clock that a test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("rate", "most"), [(100, 100), (1, 1), (0.25, 1)])
def test_a_bucket_holds_the_units_of_a_second_and_one_at_least(rate: float, most: float) -> None:
    bucket = Bucket(rate)
    assert bucket.left == most
    bucket.refill(3600)
    assert (bucket.left, bucket.wait) == (most, 0)


def test_a_debt_is_paid_before_more_is_taken() -> None:
    bucket = Bucket(100)
    bucket.left -= 600
    assert bucket.wait == pytest.approx(5.1)  # and then there is room for a tenth of a second
    bucket.refill(5.1)
    assert bucket.wait == 0
    assert bucket.left == pytest.approx(10)


def test_both_rates_count() -> None:
    seconds = Seconds()
    allowance = Allowance(Limits(messages_per_second=10, bytes_per_second=100), seconds)
    allowance.spend(9, 99)
    assert not allowance.is_spent
    allowance.spend(0, 101)
    assert allowance.is_spent
    assert allowance.wait == pytest.approx(1.1)
    seconds.now += 1.1
    allowance.refill()
    assert not allowance.is_spent
    allowance.spend(11, 0)
    assert allowance.is_spent


def test_a_lifted_allowance_is_never_spent() -> None:
    allowance = Allowance(Limits(messages_per_second=1), Seconds())
    allowance.spend(5, 5)
    assert allowance.is_spent
    allowance.lift()
    allowance.spend(1000, 1000)
    allowance.refill()
    assert (allowance.is_spent, allowance.wait) == (False, 0)


def test_a_clock_that_is_set_back_takes_nothing_away() -> None:
    seconds = Seconds()
    allowance = Allowance(Limits(messages_per_second=10), seconds)
    seconds.now -= 100
    allowance.refill()
    assert not allowance.is_spent


@given(
    rate=st.floats(0.1, 10_000),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(0, 50_000)), max_size=50),
)
def test_no_more_than_the_rate_and_one_burst_is_taken(
    rate: float, steps: list[tuple[float, int]]
) -> None:
    """A peer that always has more to send, and a caller that takes one message at a time."""
    seconds = Seconds()
    allowance = Allowance(Limits(messages_per_second=rate), seconds)
    taken = 0
    for wait, offered in steps:
        seconds.now += wait
        allowance.refill()
        for _ in range(offered):
            if allowance.is_spent:
                break
            allowance.spend(1, 0)
            taken += 1
    assert taken <= max(1, rate) + 1 + rate * (seconds.now - 1000) + 1e-6
