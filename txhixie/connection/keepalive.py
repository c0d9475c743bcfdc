"""Signs of life: pings, and what their answers tell, for all connections of a factory at once.

One clock for all of them: a timer of its own would be a third of what an idle connection costs.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Collection
from typing import Any, Final, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from ..sansio.limits import Limits

_log = Logger()

_ROUNDS: Final = 4
"""Looks in the time of one wait: nobody is pinged or given up more than a quarter of it late."""

_LATE: Final = 1.0
"""Seconds by which a look may come late, or as many as there are between two: after that it was we
who slept, and nobody is given up."""


_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
_PROBES: Final = 4
"""Times that the kernel asks before it gives up."""

_MOST_SECONDS: Final = 32767
"""Linux takes no more, for any of them."""


C = TypeVar("C")


class Keepalive(Generic[C]):
    """The rounds of one factory: from its first conversation that has pings to its last."""

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], IReactorTime],
        connections: Collection[C],
        look: Callable[[C, float, bool], None],
    ) -> None:
        """
        :param clock: returns the factory's clock.
        :param connections: the factory's, as they come and go.
        :param look: pings the peer of a connection, or gives it up. It takes the connection, the
            time by the clock, and whether this look is late, so that what the peer has said may
            lie unread.
        """
        self._limits = limits
        self._clock = clock
        self._connections = connections
        self._lookAt = look
        self._timer: IDelayedCall | None = None
        self._due = 0.0
        self._pause = 0.0

    def start(self) -> None:
        """There is a conversation that has pings."""
        interval = self._limits.ping_interval
        if self._timer is None and interval is not None:
            self._pause = min(interval, self._limits.ping_timeout) / _ROUNDS
            clock = self._clock()
            self._due = clock.seconds() + self._pause
            self._timer = clock.callLater(self._pause, self._look)

    def stop(self) -> None:
        """There are no connections."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _look(self) -> None:
        self._timer = None
        now = self._clock().seconds()
        slept = now - self._due > min(_LATE, self._pause)
        for connection in tuple(self._connections):
            try:
                self._lookAt(connection, now, slept)
            except Exception:
                # A write may pause the application's producer, which may raise.
                _log.failure("a WebSocket connection could not be looked after")
        if self._connections:
            self.start()


def payload(now: float) -> bytes:
    """A ping's: the time it was sent, so that its answer needs no table."""
    return struct.pack(">d", now)


def leaveToKernel(transport: Any, limits: Limits) -> None:
    """
    Have the kernel ask in our place, where the dialect has no pings: TCP's keep-alive, at the same
    times as far as the system knows of them (two hours and more if not). A peer that has vanished
    without a word, as televisions do that lose their power, would be kept for ever.

    :param transport: over TLS it passes these on to what is below; only TCP has them.
    """
    below = getattr(transport, "socket", None)
    if limits.ping_interval is None or getattr(below, "family", None) not in _INTERNET:
        return
    transport.setTcpKeepAlive(True)
    times = ("TCP_KEEPIDLE", limits.ping_interval), ("TCP_KEEPINTVL", limits.ping_timeout / _PROBES)
    for name, value in (*times, ("TCP_KEEPCNT", _PROBES)):
        if (option := getattr(socket, name, None)) is not None:
            seconds = min(max(1, round(value)), _MOST_SECONDS)
            below.setsockopt(socket.IPPROTO_TCP, option, seconds)  # type: ignore[union-attr]
