"""Permits of open connections that may be withdrawn, such as with a token's line of a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from ...connection.log import writeFailure

_log = Logger()

PERMIT_INTERVAL: Final = 5.0
"""Seconds between two checks. A connection ends at the second check that finds its permit
withdrawn: a program that writes a file anew may be in the middle of it at the first."""

C = TypeVar("C")


class HeldPermits(Generic[C]):
    """Permits of the open connections of a factory, checked by one timer while there are any."""

    def __init__(self, clock: Callable[[], IReactorTime], withdrawn: Callable[[C], None]) -> None:
        """
        :param clock: returns the factory's clock; first called for the first connection.
        :param withdrawn: ends a connection with a permit that no longer holds.
        """
        self._clock = clock
        self._tell = withdrawn
        self._holds: dict[C, Sequence[Callable[[], bool]]] = {}
        self._doubted: set[C] = set()
        self._timer: IDelayedCall | None = None

    def add(self, connection: C, holds: Sequence[Callable[[], bool]]) -> None:
        """Add a connection; each callable returns whether its permit still holds."""
        self._holds[connection] = holds
        if self._timer is None:
            self._timer = self._clock().callLater(PERMIT_INTERVAL, self._check)

    def discard(self, connection: C) -> None:
        """Remove a connection that has ended; does nothing for one that was not added."""
        self._holds.pop(connection, None)
        self._doubted.discard(connection)
        if not self._holds and self._timer is not None:
            timer, self._timer = self._timer, None
            timer.cancel()

    def _check(self) -> None:
        self._timer = self._clock().callLater(PERMIT_INTERVAL, self._check)
        before = self._doubted
        self._doubted = {
            each for each, holds in self._holds.items() if not all(one() for one in holds)
        }
        for connection in before & self._doubted:
            if connection not in self._holds:
                continue  # the end of another connection has ended this one
            self.discard(connection)
            try:
                self._tell(connection)
            except Exception:
                what = "unhandled error while closing a connection without a permit"
                writeFailure(_log, what, connection)
