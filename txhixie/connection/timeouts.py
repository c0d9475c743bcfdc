"""Who must be through by when: all of a factory's connections, with one timer for each length of
time that there is to wait.

A ``DelayedCall`` of its own would cost each handshake 4 us to make and to cancel. But those who
wait equally long are due in the order in which they came: they stand in a queue, and only for the
first of them there is a timer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

_log = Logger()


class Waiting(Protocol):
    """One that waits."""

    def expired(self) -> None:
        """Its time is up."""


class TimeoutQueue:
    """All who wait for one length of time, in seconds."""

    __slots__ = ("_clock", "_due", "_seconds", "_timer", "_waiting")

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._waiting: dict[Waiting, float] = {}  # until when each of them waits; in order
        self._timer: IDelayedCall | None = None
        self._due = 0.0  # when the timer is

    def join(self, one: Waiting) -> None:
        """Wait, from now on; then ``one.expired()`` is called."""
        self._waiting[one] = self._clock.seconds() + self._seconds
        if self._timer is None:
            self._arm()

    def leave(self, one: Waiting) -> None:
        """Wait no more, if it still does."""
        self._waiting.pop(one, None)
        if not self._waiting and self._timer is not None:
            timer, self._timer = self._timer, None
            timer.cancel()

    def _pass(self) -> None:
        """
        Time is up, unless what is waited for lies in the socket: after a turn in which the reactor
        was blocked, timers run before reads. A late clock is not a late peer.
        """
        self._due = max(self._due, self._clock.seconds())
        self._timer = self._clock.callLater(0, self._expire)

    def _expire(self) -> None:
        self._timer = None
        late = [one for one, due in self._waiting.items() if due <= self._due]
        for one in late:
            if self._waiting.pop(one, None) is not None:  # the one before may have ended it
                try:
                    one.expired()
                except Exception:
                    _log.failure("a late WebSocket connection could not be ended")
        if self._timer is not None:
            self._timer.cancel()  # of one that has joined meanwhile, and is not the first
        self._arm()

    def _arm(self) -> None:
        self._timer = None
        for due in self._waiting.values():
            self._due = due
            wait = max(0.0, due - self._clock.seconds())
            self._timer = self._clock.callLater(wait, self._pass)
            return


class Timeouts:
    """The queues of one factory's connections: one for each length of time to wait."""

    def __init__(self, clock: Callable[[], IReactorTime]) -> None:
        """:param clock: returns the factory's clock."""
        self._clock = clock
        self._queues: dict[float, TimeoutQueue] = {}

    def queue(self, seconds: float) -> TimeoutQueue:
        """The queue of those that wait for so many seconds."""
        queue = self._queues.get(seconds)
        if queue is None:
            queue = self._queues[seconds] = TimeoutQueue(self._clock(), seconds)
        return queue
