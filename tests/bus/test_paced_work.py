"""Work in turns of a bounded time: what is left, and what becomes of it at the end."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from txhixie.bus.paced_work import TURN_SECONDS, PacedWork

HALF = TURN_SECONDS / 2


class Messages:
    """
    Messages, each of which takes half of a turn.

    :ivar done: the messages that were handled.
    """

    def __init__(self, count: int) -> None:
        self.clock = Clock()
        self.transport = StringTransport()
        self.done: list[int] = []
        self._left = deque(range(count))
        self.paced = PacedWork(self.clock, self._work, self.transport)

    def _work(self, until: float) -> bool:
        while self._left:
            self.done.append(self._left.popleft())
            if self.done[-1] == 7:
                raise ZeroDivisionError
            self.clock.rightNow += HALF
            if self.clock.seconds() >= until:
                return bool(self._left)
        return False

    @property
    def isRead(self) -> bool:
        """Whether the transport is read."""
        state: Any = self.transport.producerState
        return bool(state == "producing")


def test_what_is_left_after_the_time_of_a_turn_is_done_in_the_next_turns() -> None:
    messages = Messages(5)
    messages.paced.go()
    assert (messages.done, messages.isRead, messages.paced.isLeft) == ([0, 1], False, True)
    messages.paced.go()
    assert messages.done == [0, 1], "the rest has its turn"
    messages.clock.advance(0)
    assert (messages.done, messages.isRead, messages.paced.isLeft) == (list(range(5)), True, False)


def test_work_that_takes_less_than_a_turn_leaves_nothing() -> None:
    messages = Messages(1)
    messages.paced.go()
    assert (messages.done, messages.isRead) == ([0], True)
    assert not messages.clock.getDelayedCalls()


def test_at_the_end_all_that_is_left_is_done_at_once() -> None:
    messages = Messages(5)
    messages.paced.finish()
    assert messages.done == [], "no work was begun"
    messages.paced.go()
    messages.paced.finish()
    assert messages.done == list(range(5))
    assert not messages.clock.getDelayedCalls()


def test_what_was_dropped_does_not_go_on() -> None:
    messages = Messages(5)
    messages.paced.go()
    messages.paced.drop()
    messages.clock.advance(1)
    assert (messages.done, messages.paced.isLeft) == ([0, 1], False)


def test_an_error_in_a_later_turn_aborts_the_connection_as_one_in_a_read_does() -> None:
    messages = Messages(9)
    messages.paced.go()
    with pytest.raises(ZeroDivisionError):
        messages.clock.advance(1)
    assert messages.transport.disconnected
