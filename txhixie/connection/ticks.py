"""A timer for all connections of a factory, which knows when it is late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

_LATE: Final = 1.0
"""Most seconds by which a tick may be late; at most the time between two ticks. If a tick is later
than that, the reactor was blocked: bytes of the peers may be unread, and their silence proves
nothing."""


class Ticks:
    """
    A timer that is started again at each tick, as long as there is something to check.

    :ivar timer: the call of the next tick; ``None`` while the timer does not run.
    """

    __slots__ = ("_clock", "_due", "_pause", "_tick", "timer")

    def __init__(
        self, clock: Callable[[], IReactorTime], tick: Callable[[float, bool], None]
    ) -> None:
        """
        :param clock: returns the clock; first called when the timer starts.
        :param tick: called once after each start. The arguments are the clock's time in seconds,
            and whether the tick is late.
        """
        self._clock = clock
        self._tick = tick
        self.timer: IDelayedCall | None = None
        self._due = 0.0
        self._pause = 0.0

    def start(self, pause: float) -> None:
        """
        Start the timer, unless it runs already.

        :param pause: seconds until the tick.
        """
        if self.timer is None:
            clock = self._clock()
            self._pause = pause
            self._due = clock.seconds() + pause
            self.timer = clock.callLater(pause, self._passed)

    def stop(self) -> None:
        """Cancel the timer."""
        timer, self.timer = self.timer, None
        # trial cancels all timers after a test with open connections, and these end later.
        if timer is not None and timer.active():
            timer.cancel()

    def _passed(self) -> None:
        self.timer = None
        now = self._clock().seconds()
        self._tick(now, now - self._due > min(_LATE, self._pause))
