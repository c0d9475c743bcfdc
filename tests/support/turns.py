"""Turns of the reactor, for tests of what is spread over several turns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support.waiting import reactor
from txhixie.bus.paced_work import TURN_SECONDS


class Turns:
    """
    Counter of turns.

    :ivar number: number of the turn.
    """

    def __init__(self) -> None:
        self.number = 0
        self._next()

    def _next(self) -> None:
        self.number += 1
        self._later = reactor.callLater(0, self._next)

    def stop(self) -> None:
        """Count no more turns."""
        self._later.cancel()


@contextmanager
def counting() -> Iterator[Turns]:
    """Count the turns of a block."""
    turns = Turns()
    try:
        yield turns
    finally:
        turns.stop()


def be_busy() -> None:
    """Take the time of a turn."""
    end = reactor.seconds() + TURN_SECONDS
    while reactor.seconds() < end:
        pass
