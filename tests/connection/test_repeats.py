"""Counting repeated log lines."""

from __future__ import annotations

import tracemalloc

from support.log_recorder import Log
from txhixie.connection.repeats import Repeats


def test_any_number_of_addresses_takes_bounded_memory(log: Log) -> None:
    tracemalloc.start()
    repeats: Repeats[tuple[int, str]] = Repeats()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(20_000):
        assert not repeats.again(0.0, (number, "w" * 200))
        repeats.again(0.0, (number, "w" * 200))
        assert all(count == 1 for _, count in repeats.over(0.0))
    assert tracemalloc.get_traced_memory()[0] - before < 1 << 20
    tracemalloc.stop()
    assert sum(count for _, count in repeats.all()) == 1024
