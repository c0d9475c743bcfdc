"""Signals that end a command: its Deferred is cancelled, so that it can close its connection."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any, Final

from twisted.internet.defer import Deferred

_HANDLED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """
    Signal handler of one command. The first signal makes the command close its connection; a
    second signal makes the command end at once.

    :ivar number: the number of the last signal; ``None`` before the first.
    """

    number: int | None = None

    def __init__(self, reactor: Any, running: Deferred[None]) -> None:
        """:param running: the Deferred of the command, which a signal cancels."""
        self._reactor = reactor
        self._running = running

    def listen(self) -> None:
        """Install the handlers. Called when the reactor runs, since it installs its own first."""
        for number in _HANDLED:
            # A shell makes its background jobs ignore SIGINT, and nohup makes them ignore SIGHUP.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._heard)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._reactor.callFromThread(self._running.cancel)
