"""Threads of the reactor's pool, in which host names are looked up: a stop does not wait for them.

Twisted joins the threads of the pool when the reactor stops. With a name server that does not
answer, ``getaddrinfo`` kept a daemon for 9.5 s that had a ``--stop-timeout`` of 1 s.
"""

from __future__ import annotations

from threading import Thread
from typing import Any

from twisted.internet.interfaces import IReactorThreads


class _DaemonThread(Thread):
    """A thread for which Python does not wait at its end."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, daemon=True, **named)


class PoolThreads:
    """The threads of one reactor's pool, which may be given up when the daemon has stopped."""

    def __init__(self, reactor: Any) -> None:
        """:param reactor: nothing is done for a reactor without threads, such as a test's."""
        self._reactor = reactor if IReactorThreads.providedBy(reactor) else None

    def begin(self) -> None:
        """Let new threads of the pool be daemon threads, for which Python does not wait."""
        if self._reactor is not None:
            self._reactor.getThreadPool().threadFactory = _DaemonThread

    def giveUp(self) -> None:
        """Let the reactor stop without waiting for a thread."""
        if self._reactor is not None:
            threads = self._reactor.getThreadPool().threads
            threads[:] = [thread for thread in threads if not thread.daemon]
