"""A function that is called at a signal."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any


class SignalCall:
    """Calls a function in the reactor's thread at each signal of a number."""

    def __init__(self, reactor: Any, number: int, call: Callable[[], object]) -> None:
        """
        :param reactor: the reactor.
        :param number: the number of the signal.
        :param call: the function.
        """
        self._reactor = reactor
        self._number = number
        self._call = call
        self._before: Any = None

    def listen(self) -> None:
        """Begin. Outside of the main thread, where no signals come, nothing is done."""
        try:
            self._before = signal.signal(self._number, self._signalled)
        except ValueError:
            return

    def leave(self) -> None:
        """Have the signal do what it did before."""
        before, self._before = self._before, None
        if before is not None:
            signal.signal(self._number, before)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self._call)
