"""Notifications to the service manager, systemd, which sd_notify(3) describes.

No package from PyPI is used: ``sdnotify`` sends with a blocking ``sendall``, so the reactor would
wait while the queue of systemd is full. ``systemd-python`` and ``cysystemd`` need a compiler and
the C library of systemd.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

RETRY: Final = 0.1
"""Seconds until a notification is sent again, after the queue of systemd was full."""

_MOST_WAITING: Final = 16
"""Most notifications that wait for the queue. A newer one replaces the oldest one."""

_MOST_STATUS: Final = 500
"""Most characters of a status, which ``systemctl status`` shows in one line."""

_MARGIN: Final = 5.0
"""Seconds for the process to end after its last connection has ended."""


def monotonic() -> int:
    """Microseconds of the clock ``CLOCK_MONOTONIC``, which systemd compares with its own."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


class Notifier:
    """
    Tells systemd that the daemon is ready, reloads or stops, and that its reactor still runs.

    Without ``NOTIFY_SOCKET`` in the environment nothing is sent. A notification never blocks, and
    an error about one never ends the daemon.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        environment: MutableMapping[str, str] = os.environ,
        now: Callable[[], int] = monotonic,
    ) -> None:
        """
        Make one that sends nothing before :meth:`begin`.

        :param clock: the reactor, which measures the interval of the watchdog.
        :param environment: the environment of the process by default.
        :param now: microseconds of ``CLOCK_MONOTONIC``.
        """
        self._clock = clock
        self._environment = environment
        self._interval = 0.0
        self._hasFailed = False
        self._now = now
        self._waiting: deque[str] = deque(maxlen=_MOST_WAITING)
        self._retrying: IDelayedCall | None = None
        self._ticking: IDelayedCall | None = None
        self._socket: socket.socket | None = None

    def begin(self) -> None:
        """
        Take the variables of systemd out of the environment, and send from now on.

        A program that this process starts must not notify in place of this process.
        """
        address, microseconds, process = (
            self._environment.pop(name, "")
            for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
        )
        self._interval = _watchdog(microseconds, process)
        if address:
            self._open(address)

    def _open(self, address: str) -> None:
        """
        Open a socket.

        :param address: an absolute path, or ``@`` and the name of an abstract socket.
        """
        if address[0] not in "/@":
            self._log.warn("NOTIFY_SOCKET {address}: expected a path", address=address)
            return
        self._address = address.replace("@", "\0", 1) if address[0] == "@" else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    # What is sent.

    def started(self, status: str) -> None:
        """
        Say that the daemon serves, as soon as the reactor runs.

        Until then nothing is answered, and ``twistd`` has not changed to the user of ``--uid``.

        :param status: as for :meth:`ready`.
        """
        if self._socket is not None:
            self._clock.callWhenRunning(self.ready, status)

    def ready(self, status: str) -> None:
        """
        Say that the daemon serves, after a reload too.

        :param status: the state in words, for ``systemctl status``.
        """
        self._send("READY=1", _status(status))
        if self._ticking is None and self._interval and self._socket is not None:
            self._tick()

    def reloading(self) -> None:
        """Say that a reload begins; ``ready`` has to follow, also after a reload that failed."""
        # The time is required for Type=notify-reload (systemd 253); Type=notify ignores the time.
        self._send("RELOADING=1", f"MONOTONIC_USEC={self._now()}", _status("reloading"))

    def stopping(self, seconds: float, status: str) -> None:
        """
        Say that the daemon stops.

        :param seconds: within this time the connections end. systemd waits that long, even if
            ``TimeoutStopSec=`` is shorter.
        :param status: the state in words.
        """
        microseconds = round((seconds + _MARGIN) * 1_000_000)
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={microseconds}", _status(status))

    def close(self) -> None:
        """Send nothing more."""
        for timer in (self._retrying, self._ticking):
            if timer is not None:
                timer.cancel()
        self._retrying = self._ticking = None
        sending, self._socket = self._socket, None
        if sending is not None:
            sending.close()

    # How it is sent.

    def _tick(self) -> None:
        """Tell the watchdog that the reactor runs: this method is called by the reactor."""
        if not self._waiting:
            self._send("WATCHDOG=1")
        self._ticking = self._clock.callLater(self._interval, self._tick)

    def _send(self, *assignments: str) -> None:
        if self._socket is not None:
            self._waiting.append("\n".join(assignments))
            self._sendWaiting()

    def _sendWaiting(self) -> None:
        while self._waiting and self._socket is not None:
            try:
                self._socket.sendto(self._waiting[0].encode(), self._address)
            except BlockingIOError:
                if self._retrying is None:
                    self._retrying = self._clock.callLater(RETRY, self._retry)
                return
            except OSError as error:
                self._failed(error)
            self._waiting.popleft()

    def _failed(self, error: OSError) -> None:
        """Log the first notification that cannot be sent; those that follow are tried too."""
        if not self._hasFailed:
            reason = error.strerror or str(error)
            address = self._address.replace("\0", "@", 1)
            why = "NOTIFY_SOCKET {address}: cannot notify systemd: {reason}"
            self._log.warn(why, address=address, reason=reason)
        self._hasFailed = True

    def _retry(self) -> None:
        self._retrying = None
        self._sendWaiting()


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())[:_MOST_STATUS]}"


def _watchdog(microseconds: str, process: str) -> float:
    """
    Seconds between two signs of life: half of what systemd waits for; 0 without a watchdog.

    :param process: the process that the watchdog is for; empty for any process.
    """
    if process not in ("", str(os.getpid())):
        return 0
    with suppress(ValueError):
        return max(int(microseconds), 0) / 2_000_000
    return 0
