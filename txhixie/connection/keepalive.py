"""Keepalive: automatic pings for all connections of a factory, with one timer.

One timer serves all connections: a timer for each would be a third of the cost of an idle
connection.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from typing import Final, Generic, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from ..sansio.limits import Limits
from .log import writeFailure
from .ticks import Ticks

_log = Logger()

_ROUNDS: Final = 4
"""Keepalive ticks within ``ping_interval`` or ``ping_timeout``, the shorter of the two. A ping is
sent, and a connection aborted, at most a quarter of that time late."""


C = TypeVar("C")


class Keepalive(Generic[C]):
    """Keepalive ticks of one factory, while it has conversations in a dialect with pings."""

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], IReactorTime],
        connections: Collection[C],
        look: Callable[[C, float, bool], None],
    ) -> None:
        """
        :param limits: the limits of the factory, with ``ping_interval`` and ``ping_timeout``.
        :param clock: returns the factory's clock.
        :param connections: the factory's open connections, a collection that changes.
        :param look: pings the peer of a connection, or aborts the connection. The arguments are the
            connection, the clock's time in seconds, and whether this tick is late: then bytes of
            the peer may be unread.
        """
        self._limits = limits
        self._connections = connections
        self._lookAt = look
        self._ticks = Ticks(clock, self._look)

    def start(self) -> None:
        """Start the timer, unless it runs already or there is no ``ping_interval``."""
        interval = self._limits.ping_interval
        if interval is not None and self._ticks.timer is None:
            self._ticks.start(min(interval, self._limits.ping_timeout) / _ROUNDS)

    def stop(self) -> None:
        """Cancel the timer: the factory has no connections."""
        self._ticks.stop()

    def _look(self, now: float, slept: bool) -> None:
        for connection in tuple(self._connections):
            try:
                self._lookAt(connection, now, slept)
            except Exception:
                # A write may pause the application's producer, which may raise.
                what = "keepalive check of a WebSocket connection failed"
                writeFailure(_log, what, connection)
        if self._connections:
            self.start()


def payload(now: float) -> bytes:
    """Return the payload of a ping: its time, so that no table of sent pings is needed."""
    return struct.pack(">d", now)
