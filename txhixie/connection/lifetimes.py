"""Idle timeout and maximum lifetime of a factory's connections, with one timer for all of them.

A timer for each connection would take 750 bytes, a third of the memory of an idle connection. A
tick over 10,000 connections takes 5 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import inf
from typing import Final, Generic, NamedTuple, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from ..sansio.limits import Limits
from .log import writeFailure
from .ticks import Ticks

_log = Logger()

SPREAD: Final = 0.1
"""Part of ``Limits.lifetime`` by which the lives of connections differ. Otherwise a thousand
clients that have connected together, after a restart of the server, would come back together."""

_STEP: Final = (5**0.5 - 1) / 2
"""Step from the lifetime of a connection to that of the next one, as a part of the spread: the
golden ratio divides a range evenly for any number of connections."""

_LONGEST: Final = 5.0
"""Most seconds between two ticks. Each connection is closed at most two ticks late."""

_IDLE_TICKS: Final = 8
_LIFETIME_TICKS: Final = 80
"""Fewest ticks within ``idle_timeout``, and within ``lifetime``: 8 of these within the spread."""

C = TypeVar("C")


class Life(NamedTuple):
    """
    State of one connection at a tick.

    :ivar ends: when its lifetime ends, in seconds of the clock.
    :ivar activity: its activity, as its :class:`Lifetimes` reads it.
    :ivar since: since when the activity is the same, in seconds of the clock.
    """

    ends: float
    activity: object
    since: float


class Lifetimes(Generic[C]):
    """Ticks over the connections of one factory, if its limits have one of the two times."""

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], IReactorTime],
        connections: Collection[C],
        activity: Callable[[C], object],
        over: Callable[[C, str], None],
    ) -> None:
        """
        :param limits: the limits, with ``idle_timeout``, ``lifetime`` or both.
        :param clock: returns the factory's clock.
        :param connections: the factory's connections, a collection that changes.
        :param activity: returns an object that differs after each message of a connection; ``None``
            for a connection that is not idle now.
        :param over: closes a connection. The arguments are the connection and the name of the
            limit: ``idle_timeout`` or ``lifetime``.
        """
        self._idle = inf if limits.idle_timeout is None else limits.idle_timeout
        self._lifetime = inf if limits.lifetime is None else limits.lifetime
        self._connections = connections
        self._activity = activity
        self._over = over
        self._lives: dict[C, Life] = {}
        self._spread = 0.0
        self._ticks = Ticks(clock, self._look)

    def start(self) -> None:
        """Start the timer, unless it runs already."""
        idle, lifetime = self._idle / _IDLE_TICKS, self._lifetime / _LIFETIME_TICKS
        self._ticks.start(min(_LONGEST, idle, lifetime))

    def stop(self) -> None:
        """Cancel the timer: the factory has no connections."""
        self._lives.clear()
        self._ticks.stop()

    def _look(self, now: float, slept: bool) -> None:
        before, self._lives = self._lives, {}
        for connection in tuple(self._connections):
            try:
                self._lookAt(connection, before.get(connection), now, slept)
            except Exception:
                what = "check of the lifetime of a WebSocket connection failed"
                writeFailure(_log, what, connection)
        if self._connections:
            self.start()

    def _lookAt(self, connection: C, life: Life | None, now: float, slept: bool) -> None:
        activity = self._activity(connection)
        if life is None:
            life = Life(now + self._nextLifetime(), activity, now)
        elif slept or activity is None or activity != life.activity:  # slept: messages are unread
            life = Life(life.ends, activity, now)
        self._lives[connection] = life
        if now >= life.ends:
            self._over(connection, "lifetime")
        elif now - life.since >= self._idle:
            self._over(connection, "idle_timeout")

    def _nextLifetime(self) -> float:
        self._spread = (self._spread + _STEP) % 1
        return self._lifetime * (1 - SPREAD * self._spread) if self._lifetime < inf else inf
