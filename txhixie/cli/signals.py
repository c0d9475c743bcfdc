"""Signals: what a command was doing is cancelled, and so can say goodbye."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, Final

from twisted.internet.defer import Deferred

_HEEDED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """
    Of one command: the first signal has it close what it has opened, and one after that has it end
    at once.

    :ivar number: the signal that came; ``None`` if none has.
    """

    number: int | None = None

    def __init__(self, reactor: Any, running: Deferred[None]) -> None:
        """:param running: what is cancelled."""
        self._reactor = reactor
        self._running = running

    def listen(self) -> None:
        """From now on. Called once the reactor runs, since it heeds signals of its own."""
        for number in _HEEDED:
            # A shell has its background jobs ignore some, and nohup one.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._heard)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._reactor.callFromThread(self._running.cancel)
