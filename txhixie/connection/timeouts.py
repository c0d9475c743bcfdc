"""Shared timeout queues of a factory's connections, one for each length of timeout.

A ``DelayedCall`` for each connection would cost each handshake 4 us to make and to cancel.
Connections with the same timeout expire in the order in which they joined, so one queue with a
timer for its first connection is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from .log import writeFailure

_log = Logger()


class Waiting(Protocol):
    """A member of a timeout queue."""

    def expired(self) -> None:
        """Called when the timeout has passed."""


class TimeoutQueue:
    """Members with the same timeout, in seconds, and one timer for the first of them."""

    __slots__ = ("_clock", "_due", "_seconds", "_timer", "_waiting")

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._waiting: dict[Waiting, float] = {}  # when each member expires; in that order
        self._timer: IDelayedCall | None = None
        self._due = 0.0  # when the timer fires

    def join(self, one: Waiting) -> None:
        """Start the timeout of a member, after which ``one.expired()`` is called."""
        self._waiting[one] = self._clock.seconds() + self._seconds
        if self._timer is None:
            self._arm()

    def leave(self, one: Waiting) -> None:
        """Cancel the timeout of a member; does nothing for an object that is no member."""
        self._waiting.pop(one, None)
        if not self._waiting and self._timer is not None:
            timer, self._timer = self._timer, None
            if timer.active():
                timer.cancel()

    def _pass(self) -> None:
        """
        Let the reactor read once more before the members expire.

        If the reactor was blocked, timers run before reads, and the awaited data may be unread in
        the socket: the peer is not late then.
        """
        self._due = max(self._due, self._clock.seconds())
        self._timer = self._clock.callLater(0, self._expire)

    def _expire(self) -> None:
        self._timer = None
        late = [one for one, due in self._waiting.items() if due <= self._due]
        for one in late:
            if self._waiting.pop(one, None) is not None:  # an earlier one may have removed it
                owner = getattr(one, "owner", None)  # None after the timeout has ended the output
                try:
                    one.expired()
                except Exception:
                    what = "unhandled error after a timeout of a WebSocket connection"
                    writeFailure(_log, what, owner)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()  # set by a member that has joined meanwhile and is not the first
        self._arm()

    def _arm(self) -> None:
        self._timer = None
        for due in self._waiting.values():
            self._due = due
            wait = max(0.0, due - self._clock.seconds())
            self._timer = self._clock.callLater(wait, self._pass)
            return


class Timeouts(dict[float, TimeoutQueue]):
    """Timeout queues of one factory's connections, by their length in seconds; made when used."""

    def __init__(self, clock: Callable[[], IReactorTime]) -> None:
        """:param clock: returns the factory's clock."""
        super().__init__()
        self._clock = clock

    def __missing__(self, seconds: float) -> TimeoutQueue:
        queue = self[seconds] = TimeoutQueue(self._clock(), seconds)
        return queue
