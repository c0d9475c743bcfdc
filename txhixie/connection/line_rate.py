"""A bound for the number of log lines in a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

MOST_A_SECOND: Final = 200
"""Lines of a trace in a second: 40 KB of log. A device sends a few; a stream of pictures that a
gateway passes on has thousands of frames a second, and would fill a disk of 100 GB in a day."""


class LineRate:
    """
    Counter of lines, which leaves out those beyond a number in each second.

    A second begins with its first line; at its end the left-out lines are told.
    """

    def __init__(
        self,
        clock: Callable[[], IReactorTime],
        tell: Callable[[int], None],
        most: int = MOST_A_SECOND,
    ) -> None:
        """
        :param clock: returns the clock.
        :param tell: called with the number of lines that were left out, if there are any.
        :param most: most lines in a second.
        """
        self._clock = clock
        self._tell = tell
        self._most = most
        self._count = 0
        self._began = float("-inf")
        self._timer: IDelayedCall | None = None

    def allows(self) -> bool:
        """Count a line; whether it is to be written."""
        now = self._clock().seconds()
        if now - self._began >= 1:
            self.flush()
            self._began, self._count = now, 0
        self._count += 1
        if self._count <= self._most:
            return True
        if self._timer is None:
            self._timer = self._clock().callLater(self._began + 1 - now, self.flush)
        return False

    def flush(self) -> None:
        """Tell how many lines were left out."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        left, self._count = self._count - self._most, min(self._count, self._most)
        if left > 0:
            self._tell(left)
