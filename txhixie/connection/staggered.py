"""Closes that are spread evenly over some seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

STEP: Final = 0.01
"""Least seconds between two groups of closes: a timer for each of 10,000 closes in 5 seconds would
cost more than the closes."""

T = TypeVar("T")


class Staggered(Generic[T]):
    """
    Calls a function for each of some objects, evenly spread over some seconds.

    The first call is made at once, the last one an interval before the end: its close handshake
    has that interval.
    """

    def __init__(
        self,
        clock: IReactorTime,
        call: Callable[[T], object],
        objects: Iterable[T],
        seconds: float,
    ) -> None:
        """
        :param clock: measures the time.
        :param call: is called with each object.
        :param objects: the objects, in the order of the calls.
        :param seconds: the time for all calls; more than 0.
        """
        self._clock = clock
        self._call = call
        self._left = deque(objects)
        self._timer: IDelayedCall | None = None
        self._spread(seconds)

    @property
    def left(self) -> frozenset[T]:
        """The objects that the function was not called with yet."""
        return frozenset(self._left)

    def hasten(self, seconds: float) -> None:
        """Make all calls that are left within at most this time."""
        if self._left and seconds < self._ends - self._clock.seconds():
            self.stop()
            self._spread(seconds)

    def stop(self) -> None:
        """Make no further call."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _spread(self, seconds: float) -> None:
        self._began = self._clock.seconds()
        self._ends = self._began + seconds
        self._interval = seconds / max(len(self._left), 1)
        self._made = 0
        self._step()

    def _step(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        while self._left and (self._due <= now or now >= self._ends):
            self._made += 1
            self._call(self._left.popleft())
        if self._left:
            pause = max(self._due - now, STEP)
            self._timer = self._clock.callLater(pause, self._step)

    @property
    def _due(self) -> float:
        """When the next call is due."""
        return self._began + self._made * self._interval
