"""Signs of life: pings, and what their answers tell, for all connections of a factory at once.

One clock for all of them: a timer of its own would be a third of what an idle connection costs.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IDelayedCall

if TYPE_CHECKING:
    from .factory import HixieFactory

_ROUNDS: Final = 4
"""Looks in the time of one wait: nobody is pinged or given up more than a quarter of it late."""

_LATE: Final = 1.0
"""Seconds by which a look may come late, or as many as there are between two: after that it was we
who slept, and nobody is given up."""


class Keepalive:
    """The rounds of one factory: from its first conversation that has pings to its last."""

    def __init__(self, factory: HixieFactory) -> None:
        self._factory = factory
        self._timer: IDelayedCall | None = None
        self._due = 0.0
        self._pause = 0.0

    def start(self) -> None:
        """There is a conversation that has pings."""
        interval = self._factory.limits.ping_interval
        if self._timer is None and interval is not None:
            self._pause = min(interval, self._factory.limits.ping_timeout) / _ROUNDS
            clock = self._factory.clock
            self._due = clock.seconds() + self._pause
            self._timer = clock.callLater(self._pause, self._look)

    def stop(self) -> None:
        """There are no connections."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _look(self) -> None:
        self._timer = None
        now = self._factory.clock.seconds()
        slept = now - self._due > min(_LATE, self._pause)
        for connection in tuple(self._factory.connections):
            connection.look(now, slept)
        if self._factory.connections:
            self.start()


def payload(now: float) -> bytes:
    """A ping's: the time it was sent, so that its answer needs no table."""
    return struct.pack(">d", now)
