"""Signs of life: pings, and what their answers tell, for all connections of a factory at once.

One clock for all of them: a timer of its own would be a third of what an idle connection costs.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from .limits import Limits

_ROUNDS: Final = 4
"""Looks in the time of one wait: nobody is pinged or given up more than a quarter of it late."""

_LATE: Final = 1.0
"""Seconds by which a look may come late, or as many as there are between two: after that it was we
who slept, and nobody is given up."""


class Looked(Protocol):
    """A connection that is looked at."""

    def look(self, now: float, slept: bool) -> None:
        """
        Ping, or give the peer up.

        :param now: by the clock, in seconds.
        :param slept: this look is late, and what the peer has said may lie unread.
        """


class Lookout(Protocol):
    """Whose connections they are: a :class:`txhixie.factory.HixieFactory`."""

    limits: Limits

    @property
    def clock(self) -> IReactorTime:
        """By which they live."""
        ...

    @property
    def connections(self) -> Collection[Looked]:
        """Those that stand."""
        ...


class Keepalive:
    """The rounds of one factory: from its first conversation that has pings to its last."""

    def __init__(self, factory: Lookout) -> None:
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
