"""Connections that end at a set time, such as when the token of their request expires.

Only connections with such a time are in the table: others cost nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from .log import writeFailure

_log = Logger()

CHECK_INTERVAL: Final = 15.0
"""Seconds between two checks for time in which the machine was suspended."""

C = TypeVar("C")


def uptime() -> float:
    """
    Return the seconds since the machine was booted, with the time in which it was suspended.

    The clock of the asyncio reactor is ``CLOCK_MONOTONIC``, which stands still on a suspended
    Linux. A laptop that is closed for a night would then extend the life of each token by a night.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Expiries(Generic[C]):
    """
    Table of a factory's connections that end at a set time.

    A connection ends when its time has passed by the clock of the factory or by :func:`uptime`, of
    which the earlier counts. After the machine was suspended, the connection ends at most
    :data:`CHECK_INTERVAL` late.
    """

    def __init__(
        self,
        clock: Callable[[], IReactorTime],
        expired: Callable[[C], None],
        uptime: Callable[[], float] = uptime,
    ) -> None:
        """
        :param clock: returns the factory's clock; first called for the first connection.
        :param expired: ends a connection that has expired.
        :param uptime: returns seconds that count while the machine is suspended.
        """
        self._clock = clock
        self._tell = expired
        self._uptime = uptime
        self._waiting: dict[C, tuple[IDelayedCall, float]] = {}  # and when by the uptime
        self._check: IDelayedCall | None = None

    def add(self, connection: C, seconds: float) -> None:
        """End a connection after a number of seconds; a connection is added once."""
        timer = self._clock().callLater(seconds, self._expire, connection)
        self._waiting[connection] = timer, self._uptime() + seconds
        if self._check is None:
            self._check = self._clock().callLater(CHECK_INTERVAL, self._look)

    def discard(self, connection: C) -> None:
        """Remove a connection that has ended; does nothing for one that is not in the table."""
        found = self._waiting.pop(connection, None)
        if found is not None and found[0].active():
            found[0].cancel()
        if not self._waiting and self._check is not None:
            check, self._check = self._check, None
            if check.active():
                check.cancel()

    def _look(self) -> None:
        """End the connections that have expired while the machine was suspended."""
        self._check = self._clock().callLater(CHECK_INTERVAL, self._look)
        now = self._uptime()
        for connection in [each for each, (_, due) in self._waiting.items() if due <= now]:
            self._expire(connection)

    def _expire(self, connection: C) -> None:
        if connection not in self._waiting:
            return  # an earlier one of the same check has ended this connection
        self.discard(connection)
        try:
            self._tell(connection)
        except Exception:
            what = "unhandled error while closing a connection that has expired"
            writeFailure(_log, what, connection)
