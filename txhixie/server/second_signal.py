"""Handling of a second SIGINT or SIGTERM while a program closes its connections."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

_HEEDED: Final = (signal.SIGINT, signal.SIGTERM)


class SecondSignal:
    """
    Abort of closing connections by a further signal.

    The reactor's own handler would log a traceback, since the reactor is already stopping. One
    object serves all factories that close their connections at the same time.
    """

    def __init__(self) -> None:
        self._aborts: list[Callable[[], None]] = []
        self._before: dict[int, Any] = {}

    def listen(self, reactor: Any, abort: Callable[[], None]) -> Callable[[], None]:
        """
        Call ``abort`` in the reactor's thread when the next signal is received.

        Signal handlers of a program remain in place if the reactor has installed none.

        :param reactor: the reactor.
        :param abort: aborts the connections.
        :return: a function that ends this; call it when the connections have ended.
        """
        self._aborts.append(abort)
        if len(self._aborts) == 1:
            self._take_over(reactor)

        def leave() -> None:
            if abort in self._aborts:
                self._aborts.remove(abort)
            if not self._aborts:
                self._give_back()

        return leave

    def _take_over(self, reactor: Any) -> None:
        def hurry(number: int, frame: FrameType | None) -> None:
            reactor.callFromThread(self._abort)

        try:
            for number in _HEEDED:
                reaction = signal.getsignal(number)
                if getattr(reaction, "__self__", None) is reactor:
                    self._before[number] = signal.signal(number, hurry)
        except ValueError:
            pass  # not the main thread: signal handlers cannot be set, and no signals arrive

    def _give_back(self) -> None:
        before, self._before = self._before, {}
        for number, reaction in before.items():
            signal.signal(number, reaction)

    def _abort(self) -> None:
        for abort in tuple(self._aborts):
            abort()


SECOND_SIGNAL: Final = SecondSignal()
"""The handling of this process, which has one reactor and one set of signal handlers."""
