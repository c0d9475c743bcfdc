"""Detection of stalled connections: the peer acknowledges none of the data that was sent.

A ping cannot detect a stalled connection: the ping would wait in the write buffer, behind the data
that the peer does not read. Data from the peer is no sign of progress either: a stalled peer may
send and never read.
"""

from __future__ import annotations

from collections.abc import Callable, KeysView
from typing import Any, Final, Generic, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import BaseProtocol
from twisted.logger import Logger

from .acknowledged import Sent, sent_to
from .log import writeFailure
from .ticks import Ticks

_log = Logger()

_ROUNDS: Final = 4
"""Checks within one ``stall_timeout``: a connection is aborted at most a quarter of it late."""


C = TypeVar("C", bound=BaseProtocol)


class Watched(Generic[C]):
    """
    Connections with the same ``stall_timeout``, of a factory, a gateway's service or a ``Site``.

    :ivar connections: the connections that have not ended, in the order in which they were added.
    :ivar stalled: aborts a stalled connection.
    """

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], IReactorTime],
        stalled: Callable[[C, int], None],
    ) -> None:
        """
        :param seconds: the timeout: how long a peer may acknowledge nothing.
        :param clock: returns the clock; first called for the first connection.
        :param stalled: aborts a connection after its peer has acknowledged nothing for that time.
            The arguments are the connection and the number of bytes that are not acknowledged.
        """
        # A set of Python grows to four times its size: 105 bytes for each of 5,000 connections,
        # where a dict takes 29.
        self._connections: dict[C, None] = {}
        self.connections: KeysView[C] = self._connections.keys()
        self.stalled = stalled
        self._seconds = seconds
        self._clock = clock
        self._progress: Progress | None = None

    def add(self, connection: C) -> None:
        """Watch a connection."""
        if self._progress is None:
            self._progress = _progressOf(self._clock(), self._seconds)
            self._progress.join(self)
        self._connections[connection] = None

    def discard(self, connection: C) -> None:
        """Stop watching a connection; does nothing for a connection that is not watched."""
        self._connections.pop(connection, None)
        if self._progress is not None and not self._connections:
            progress, self._progress = self._progress, None
            if progress.leave(self):
                _ROUNDS_OF.pop(progress.key, None)

    def resumed(self, connection: C) -> None:
        """See :meth:`Progress.resumed`."""
        if self._progress is not None:
            self._progress.resumed(connection)


class Progress:
    """
    Checks of all groups with the same clock and the same timeout, with one timer.

    The progress of a connection is kept here, and only while the peer has bytes to acknowledge: an
    idle connection costs nothing.

    :ivar key: the clock, and the timeout in seconds.
    """

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self.key = clock, seconds
        self._seconds = seconds
        self._groups: dict[Watched[Any], None] = {}
        self._behind: dict[BaseProtocol, tuple[float, Sent]] = {}  # time of the last progress
        self._ticks = Ticks(lambda: clock, self._look)

    def join(self, group: Watched[Any]) -> None:
        """Start checking the connections of a group."""
        self._groups[group] = None
        self._start()

    def leave(self, group: Watched[Any]) -> bool:
        """
        Stop checking the connections of a group.

        :return: whether no group is left.
        """
        self._groups.pop(group, None)
        if self._groups:
            return False
        self._behind.clear()
        self._ticks.stop()
        return True

    def resumed(self, connection: BaseProtocol) -> None:
        """
        Record that the write buffer of a connection's transport was sent.

        This counts as progress only where the kernel does not count acknowledged bytes: the peer
        may have acknowledged less than what was sent.
        """
        behind = self._behind.get(connection)
        if behind is not None and behind[1].position is not None:
            del self._behind[connection]

    def _start(self) -> None:
        self._ticks.start(self._seconds / _ROUNDS)

    def _look(self, now: float, slept: bool) -> None:
        before, self._behind = self._behind, {}
        for group in tuple(self._groups):
            for connection in tuple(group.connections):
                try:
                    self._lookAt(group, connection, before.get(connection), now, slept)
                except Exception:
                    what = "cannot determine whether a connection has stalled"
                    writeFailure(_log, what, connection)
        if self._groups:
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
            # A transport in memory, or one of a program: only whether it is full is known.
            sent = Sent(1 if getattr(connection, "full", False) else 0, 0, (0, 0))
        if not sent.waiting:
            return
        since = now if before is None or sent.is_beyond(before[1]) else before[0]
        if now - since < self._seconds or slept:
            self._behind[connection] = since, sent
        else:
            group.stalled(connection, sent.waiting)


_ROUNDS_OF: Final[dict[tuple[IReactorTime, float], Progress]] = {}
"""The checks by clock and timeout, while there are connections. They are shared by all factories of
the process, since each client that a gateway connects to its backend has a factory of its own."""


def _progressOf(clock: IReactorTime, seconds: float) -> Progress:
    key = clock, seconds
    progress = _ROUNDS_OF.get(key)
    if progress is None:
        progress = _ROUNDS_OF[key] = Progress(*key)
    return progress
