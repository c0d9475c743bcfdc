"""SIGHUP, by which an operator asks for a reload."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any


class Hangup:
    """
    Calls a function in the reactor's thread at each SIGHUP.

    A terminal that is closed sends SIGHUP as well. A program that was started on a terminal is then
    stopped, as it would be without this class: the process would go on without a terminal, and keep
    its ports.
    """

    def __init__(self, reactor: Any, reload: Callable[[], object]) -> None:
        self._reactor = reactor
        self._reload = reload
        self._before: Any = None
        self._onTerminal = False

    def listen(self) -> None:
        """Begin. Outside of the main thread, where no signals come, nothing is done."""
        try:
            self._before = signal.signal(signal.SIGHUP, self._signalled)
        except ValueError:
            return
        self._onTerminal = os.isatty(0) and self._before is not signal.SIG_IGN  # nohup

    def leave(self) -> None:
        """Have SIGHUP do what it did before."""
        before, self._before = self._before, None
        if before is not None:
            signal.signal(signal.SIGHUP, before)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self._heard)

    def _heard(self) -> None:
        if self._onTerminal and not os.isatty(0):
            self._reactor.stop()
        else:
            self._reload()
