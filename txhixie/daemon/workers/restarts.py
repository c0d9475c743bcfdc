"""When a worker process that has died is started again, and when the daemon gives up."""

from __future__ import annotations

from collections import deque
from typing import Final

MOST_DEATHS: Final = 5
"""Deaths of workers within :data:`WITHIN` seconds that end the daemon."""

WITHIN: Final = 60.0
"""Seconds in which the deaths of all workers together are counted."""

_FIRST_DELAY: Final = 0.1
"""Seconds until a worker is started again after the first death within :data:`WITHIN`."""

_FACTOR: Final = 4.0
"""Each further death within :data:`WITHIN` multiplies the delay by this number."""


class Restarts:
    """
    The deaths of all workers of one daemon.

    The delay before a restart grows with each death: 0.1, 0.4, 1.6 and 6.4 seconds. The fifth death
    within a minute ends the daemon, so that a worker that can never start does not start for ever.
    """

    def __init__(self) -> None:
        self._deaths: deque[float] = deque(maxlen=MOST_DEATHS)

    def died(self, now: float) -> float | None:
        """
        Count the death of a worker.

        :param now: seconds of the reactor's clock.
        :return: seconds until the worker is started again; ``None``: the daemon has to end.
        """
        while self._deaths and now - self._deaths[0] >= WITHIN:
            self._deaths.popleft()
        self._deaths.append(now)
        if len(self._deaths) == MOST_DEATHS:
            return None
        return float(_FIRST_DELAY * _FACTOR ** (len(self._deaths) - 1))
