"""Stalled connections: those whose peers acknowledge nothing of what was sent to them.

A ping cannot find them. It would wait behind what the peer does not read, and what the peer sends
is no progress: a peer that sends and never reads is the very case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import BaseProtocol
from twisted.logger import Logger

from .acknowledged import Sent, sent_to

_log = Logger()

_ROUNDS: Final = 4
"""Looks in the time of one timeout: nobody is ended more than a quarter of it late."""

_LATE: Final = 1.0
"""Seconds by which a look may come late, or as many as there are between two: after that the
reactor was blocked, and nobody is ended by what it sees first."""


C = TypeVar("C", bound=BaseProtocol)


class Watched(Generic[C]):
    """
    Connections with the same timeout that are watched for progress: those of a factory, of a
    gateway's service or of a ``Site``.

    :ivar connections: those that stand.
    """

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], IReactorTime],
        stalled: Callable[[C, int], None],
    ) -> None:
        """
        :param seconds: how long a peer may make no progress.
        :param clock: returns the clock, which is asked for at the first connection.
        :param stalled: ends a connection whose peer has made no progress for so long. It takes the
            connection, and how many bytes its peer has not acknowledged.
        """
        self.connections: set[C] = set()
        self.stalled = stalled
        self._seconds = seconds
        self._clock = clock
        self._progress: Progress | None = None

    def add(self, connection: C) -> None:
        """Watch a connection."""
        if self._progress is None:
            self._progress = _progressOf(self._clock(), self._seconds)
            self._progress.join(self)
        self.connections.add(connection)

    def discard(self, connection: C) -> None:
        """Watch a connection no more, if it is watched."""
        self.connections.discard(connection)
        if self._progress is not None and not self.connections:
            progress, self._progress = self._progress, None
            if progress.leave(self):
                _ROUNDS_OF.pop(progress.key, None)

    def resumed(self, connection: C) -> None:
        """See :meth:`Progress.resumed`."""
        if self._progress is not None:
            self._progress.resumed(connection)


class Progress:
    """
    The rounds of all groups that have one clock and one timeout, with one timer.

    What is known of a connection is kept here, and only while something waits for its peer: an idle
    connection costs nothing.

    :ivar key: the clock, and the timeout in seconds.
    """

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self.key = clock, seconds
        self._clock = clock
        self._seconds = seconds
        self._groups: dict[Watched[Any], None] = {}
        self._behind: dict[BaseProtocol, tuple[float, Sent]] = {}  # when each made progress last
        self._timer: IDelayedCall | None = None
        self._due = 0.0

    def join(self, group: Watched[Any]) -> None:
        """Look at the connections of a group."""
        self._groups[group] = None
        if self._timer is None:
            self._start()

    def leave(self, group: Watched[Any]) -> bool:
        """
        Look at them no more.

        :return: whether there is no other group.
        """
        self._groups.pop(group, None)
        if self._groups:
            return False
        self._behind.clear()
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        return True

    def resumed(self, connection: BaseProtocol) -> None:
        """
        The transport has sent what it held: progress, unless the kernel counts what the peer has
        acknowledged, which is less.
        """
        behind = self._behind.get(connection)
        if behind is not None and behind[1].position is not None:
            del self._behind[connection]

    def _start(self) -> None:
        pause = self._seconds / _ROUNDS
        self._due = self._clock.seconds() + pause
        self._timer = self._clock.callLater(pause, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        slept = now - self._due > min(_LATE, self._seconds / _ROUNDS)
        before, self._behind = self._behind, {}
        for group in tuple(self._groups):
            for connection in tuple(group.connections):
                try:
                    self._lookAt(group, connection, before.get(connection), now, slept)
                except Exception:
                    _log.failure("cannot determine whether a connection has stalled")
        if self._groups and self._timer is None:
            self._start()

    def _lookAt(
        self,
        group: Watched[Any],
        connection: BaseProtocol,
        before: tuple[float, Sent] | None,
        now: float,
        slept: bool,
    ) -> None:
        sent = sent_to(connection.transport)
        if sent is None:
            # In memory, or of a program's own: only whether it is full is known.
            sent = Sent(1 if getattr(connection, "full", False) else 0, 0, (0, 0))
        if not sent.waiting:
            return
        since = now if before is None or sent.is_beyond(before[1]) else before[0]
        if now - since < self._seconds or slept:
            self._behind[connection] = since, sent
        else:
            group.stalled(connection, sent.waiting)


_ROUNDS_OF: Final[dict[tuple[IReactorTime, float], Progress]] = {}
"""One for each clock and timeout, while there are connections: a process has one reactor, and the
clients of a gateway's backend have a factory each."""


def _progressOf(clock: IReactorTime, seconds: float) -> Progress:
    key = clock, seconds
    progress = _ROUNDS_OF.get(key)
    if progress is None:
        progress = _ROUNDS_OF[key] = Progress(*key)
    return progress
