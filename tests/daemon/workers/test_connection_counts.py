"""Numbers of connections in memory that several processes share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from txhixie.daemon.workers.connection_counts import ConnectionCounts


@pytest.fixture
def counts() -> Iterator[list[ConnectionCounts]]:
    """The numbers of a parent without workers, and those of three workers."""
    parent = ConnectionCounts.make(3)
    fileno = parent.descriptor
    yield [parent, *(ConnectionCounts(fileno, 3, number) for number in (1, 2, 3))]
    os.close(fileno)


def test_each_worker_counts_its_own_connections(counts: list[ConnectionCounts]) -> None:
    parent, first, second, _ = counts
    assert parent.total == 0
    first.begin()
    second.begin()
    for _ in range(3):
        first.enter()
    second.enter()
    assert [each.total for each in counts] == [4] * 4
    first.leave()
    assert parent.total == 3


def test_a_worker_with_many_connections_leaves_the_next_one_to_another(
    counts: list[ConnectionCounts],
) -> None:
    _, first, second, _ = counts
    first.begin()
    second.begin()
    for _ in range(4):
        first.enter()
        assert not first.has_many
    first.enter()
    assert first.has_many
    assert not second.has_many
    second.enter()
    assert not first.has_many


def test_a_worker_does_not_wait_for_one_that_does_not_accept(
    counts: list[ConnectionCounts],
) -> None:
    parent, first, second, _ = counts
    first.begin()
    for _ in range(100):
        first.enter()
    assert not first.has_many  # the other workers have not begun
    second.begin()
    assert first.has_many
    parent.remove(2)
    assert not first.has_many
    assert parent.total == 100
