"""Heartbeats of the workers, by which the parent finds a worker that hangs.

A stopped worker, or one with an application that never returns, keeps its connections open and
accepts new ones as long as the queue of the port has room, and answers none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall

from .link import Kind, WorkerLink

HEARTBEAT_INTERVAL: Final = 5.0
"""Seconds between two heartbeats of a worker, and between two looks of the parent."""

HANG_SECONDS: Final = 30.0
"""Seconds without a heartbeat after which a worker hangs."""

_MOST_MISSED: Final = 1 + round(HANG_SECONDS / HEARTBEAT_INTERVAL)
"""Looks after a heartbeat; the first one may follow at once."""

_BEFORE_FIRST: Final = 18
"""Looks that a worker has besides until its first heartbeat, 90 seconds: it takes 20 seconds to
import its modules on a busy machine."""


class Heartbeats:
    """Sends the heartbeats of a worker while its reactor runs."""

    def __init__(self, link: WorkerLink, clock: Any) -> None:
        """
        :param link: the link to the parent.
        :param clock: the reactor.
        """
        self._link = link
        self._clock = clock
        self._send()

    def _send(self) -> None:
        if self._link.connected:
            self._link.send(Kind.HEARTBEAT, b"")
            self._clock.callLater(HEARTBEAT_INTERVAL, self._send)


class _Watched:
    """
    A worker of a :class:`HangWatch`.

    :ivar missed: number of looks since the last heartbeat; less than 0 before the first one.
    """

    def __init__(self, hangs: Callable[[], object]) -> None:
        self.hangs = hangs
        self.missed = -_BEFORE_FIRST

    def heard(self, _: bytes) -> None:
        """Handle a heartbeat."""
        self.missed = 0


class HangWatch:
    """
    Finds the workers that hang, in their parent.

    Time counts only while the parent runs on time itself: after a machine was suspended, or all
    processes were stopped together, each worker has the whole time to send a heartbeat.
    """

    def __init__(self, clock: Any) -> None:
        """:param clock: the reactor."""
        self._clock = clock
        self._watched: list[_Watched] = []
        self._looked = 0.0
        self._timer: IDelayedCall | None = None

    def join(self, link: WorkerLink, hangs: Callable[[], object]) -> None:
        """
        Watch a worker until its link is lost.

        :param link: the parent's end of the link.
        :param hangs: called once when the worker hangs.
        """
        watched = _Watched(hangs)
        self._watched.append(watched)
        link.handle(Kind.HEARTBEAT, watched.heard)
        link.whenLost(lambda: self._watched.remove(watched))
        if self._timer is None:
            self._wait()

    def stop(self) -> None:
        """Watch no worker any more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _wait(self) -> None:
        self._looked = self._clock.seconds()
        self._timer = self._clock.callLater(HEARTBEAT_INTERVAL, self._look)

    def _look(self) -> None:
        isLate = self._clock.seconds() - self._looked >= 2 * HEARTBEAT_INTERVAL
        self._wait()
        for each in tuple(self._watched):
            if isLate:
                each.missed = min(each.missed, 0)
            each.missed += 1
            if each.missed == _MOST_MISSED:
                each.hangs()
