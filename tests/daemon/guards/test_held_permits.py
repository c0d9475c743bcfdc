"""Permits of open connections that are withdrawn."""

from __future__ import annotations

from twisted.internet.task import Clock

from support.log_recorder import Log
from txhixie.daemon.guards.held_permits import PERMIT_INTERVAL, HeldPermits


class Table:
    """A table with a clock of the test's, and the connections that it has ended."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.valid = {"a": True, "b": True}
        self.ended: list[str] = []
        self.held: HeldPermits[str] = HeldPermits(lambda: self.clock, self.end)
        for name in self.valid:
            self.held.add(name, [lambda: True, lambda name=name: self.valid[name]])  # type: ignore[misc]  # mypy does not infer the type of a lambda's default

    def end(self, name: str) -> None:
        self.ended.append(name)

    def checks(self, times: int) -> list[str]:
        for _ in range(times):
            self.clock.advance(PERMIT_INTERVAL)
        return self.ended


def test_a_connection_ends_at_the_second_check_after_its_permit_was_withdrawn() -> None:
    table = Table()
    assert table.checks(3) == []
    table.valid["b"] = False
    assert table.checks(1) == []
    assert table.checks(1) == ["b"]
    assert table.checks(3) == ["b"]


def test_a_file_that_is_being_written_ends_nothing() -> None:
    table = Table()
    for _ in range(3):
        table.valid = {"a": False, "b": False}
        table.checks(1)
        table.valid = {"a": True, "b": True}
        assert table.checks(1) == []


def test_the_timer_ends_with_the_last_connection() -> None:
    table = Table()
    table.held.discard("a")
    table.held.discard("unknown")
    assert table.clock.getDelayedCalls()
    table.held.discard("b")
    assert not table.clock.getDelayedCalls()
    table.held.add("c", [lambda: False])
    assert table.checks(2) == ["c"]
    assert not table.clock.getDelayedCalls()


def test_an_error_at_one_connection_does_not_keep_the_others_open(log: Log) -> None:
    table = Table()

    def end(name: str) -> None:
        Table.end(table, name)
        raise RuntimeError(name)

    held: HeldPermits[str] = HeldPermits(lambda: table.clock, end)
    for name in "xyz":
        held.add(name, [lambda: False])
    assert sorted(table.checks(2)) == ["x", "y", "z"]
    log.hasStubs = True  # the connections are texts
    assert len(log.tracebacks()) == 3
