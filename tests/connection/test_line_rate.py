"""The bound for the lines in a second."""

from __future__ import annotations

from twisted.internet.task import Clock

from txhixie.connection.line_rate import LineRate


def rate(most: int = 3) -> tuple[LineRate, Clock, list[int]]:
    """A bound, its clock, and the numbers of left-out lines that were told."""
    clock, told = Clock(), list[int]()
    return LineRate(lambda: clock, told.append, most), clock, told


def test_lines_beyond_the_number_of_a_second_are_left_out_and_told() -> None:
    bound, clock, told = rate()
    assert [bound.allows() for _ in range(5)] == [True] * 3 + [False] * 2
    clock.advance(1)
    assert told == [2]
    assert bound.allows()
    assert not clock.getDelayedCalls()


def test_a_second_begins_with_its_first_line() -> None:
    bound, clock, told = rate(1)
    for _ in range(5):
        assert bound.allows()
        clock.advance(1)
    assert told == []


def test_left_out_lines_are_told_at_once_when_the_lines_end() -> None:
    bound, clock, told = rate()
    assert not all(bound.allows() for _ in range(4))
    bound.flush()
    bound.flush()
    assert told == [1]
    assert not clock.getDelayedCalls()


def test_within_the_second_no_further_line_is_written_after_they_were_told() -> None:
    bound, clock, told = rate(1)
    assert [bound.allows() for _ in range(2)] == [True, False]
    bound.flush()
    assert not bound.allows()
    clock.advance(1)
    assert told == [1, 1]
