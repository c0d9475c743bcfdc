"""Delays between attempts to reconnect."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from txhixie import Backoff


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_every_delay_is_within_its_bounds(attempt: int, chance: float) -> None:
    delay = Backoff(random=lambda: chance).delay(attempt)
    assert 0 <= delay <= (5 if attempt == 1 else 60)
    assert attempt == 1 or delay >= min(30, 5 * 2 ** min(attempt - 2, 10))


def test_the_default_is_real_randomness() -> None:
    assert len({Backoff().delay(1) for _ in range(10)}) > 1
