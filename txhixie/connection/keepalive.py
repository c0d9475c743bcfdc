"""Keepalive: automatic pings for all connections of a factory, with one timer.

One timer serves all connections: a timer for each would be a third of the cost of an idle
connection.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from ..sansio.limits import Limits
from .log import writeFailure
from .ticks import Ticks

_log = Logger()

_ROUNDS: Final = 4
"""Keepalive ticks within ``ping_interval`` or ``ping_timeout``, the shorter of the two. A ping is
sent, and a connection aborted, at most a quarter of that time late."""


_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
_PROBES: Final = 4
"""Number of TCP keep-alive probes that the kernel sends before it resets the connection."""

_MOST_SECONDS: Final = 32767
"""Greatest value that Linux accepts for the times of TCP keep-alive."""


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


def leaveToKernel(transport: Any, limits: Limits, isTCP: bool = False) -> None:
    """
    Turn on TCP keep-alive, for a dialect that has no pings.

    If the peer vanishes without closing the connection, as a television does that loses its power,
    the connection would be kept for ever. The kernel probes at ``ping_interval`` and
    ``ping_timeout`` where the system has options for the times, and after two hours or more where
    it has none.

    :param transport: the transport of the connection; TLS passes the options on to TCP. A transport
        without TCP is left unchanged.
    :param limits: the limits of the connection.
    :param isTCP: whether the transport is known to be Twisted's own TCP. Otherwise its socket is
        asked, which takes 2 us of a handshake.
    """
    below: Any = getattr(transport, "socket", None)
    if limits.ping_interval is None or below is None:
        return
    if isTCP or getattr(below, "family", None) in _INTERNET:
        for level, option, value in _kernelOptions(limits.ping_interval, limits.ping_timeout):
            below.setsockopt(level, option, value)


@lru_cache(maxsize=8)
def _kernelOptions(interval: float, timeout: float) -> tuple[tuple[int, int, int], ...]:
    """
    Return the options of TCP keep-alive that the system has: level, number and value of each.

    A handshake of hixie-76 takes 4 us less than where each connection computes them.
    """
    times = ("TCP_KEEPIDLE", interval), ("TCP_KEEPINTVL", timeout / _PROBES)
    return (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        *(
            (
                socket.IPPROTO_TCP,
                getattr(socket, name),
                min(max(1, round(value)), _MOST_SECONDS),
            )
            for name, value in (*times, ("TCP_KEEPCNT", _PROBES))
            if hasattr(socket, name)
        ),
    )
