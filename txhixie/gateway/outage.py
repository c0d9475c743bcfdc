"""Outages of a backend: the status for each refused client, and few log lines.

While a backend is down, every client is refused, and browsers reconnect every second. The log has
one line a minute, with the number of clients that were refused since the line before.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet import error as failures
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from ..connection.log import writeLine
from ..connection.log_fields import EventName
from ..dialing.errors import ConnectTimeout
from ..display import system_words
from ..sansio.errors import HixieError
from ..sansio.handshake.offer import Refusal
from ..sansio.http.redaction import masked_url

_REPEAT: Final = 60.0
"""Seconds before the same line is written again: often enough for an operator who begins to read
the log, and at most 60 lines an hour for each backend."""

UNREACHED: Final = (HixieError, failures.ConnectError, OSError)
"""Errors that the backend or the network may have caused; other errors are internal errors."""

LATE: Final = (ConnectTimeout, failures.TimeoutError, failures.TCPTimedOutError)
"""Errors that mean a timeout of the backend."""


class Outages:
    """State and log lines of one backend's outages."""

    _log = Logger()

    def __init__(self, backend: str, clock: IReactorTime) -> None:
        """
        Make the state of a backend that is up.

        :param backend: URL or endpoint of the backend, without credentials.
        :param clock: measures the time between two lines.
        """
        self._backend = backend
        self._clock = clock
        self._why: str | None = None
        self._logged = 0.0
        self._unlogged = 0

    def failed(self, error: Exception) -> Refusal:
        """
        Log that the connect to the backend failed, and return the refusal for the client.

        :param error: the error of the connect.
        :return: 504 after a timeout, and 502 otherwise (RFC 9110 section 15.6). The refusal does
            not tell the client the backend's address nor the error, which are in the log.
        """
        self._note(_words(error))
        if isinstance(error, LATE):
            return Refusal(504, "the backend did not answer in time\n", logged=True)
        return Refusal(502, "the backend cannot be reached\n", logged=True)

    def served(self) -> None:
        """Log that the outage is over, if there was one: the backend was reached."""
        if self._why is not None:
            self._write(LogLevel.info, "backend-up")
            self._why = None

    def _note(self, why: str) -> None:
        now = self._clock.seconds()
        if why == self._why and now - self._logged < _REPEAT:
            self._unlogged += 1
            return
        self._write(LogLevel.warn, "backend-down", why)
        self._why, self._logged = why, now

    def _write(self, level: Any, event: EventName, why: str | None = None) -> None:
        """Write a line, with the number of clients that were refused since the line before."""
        count, self._unlogged = self._unlogged, 0
        backend = masked_url(self._backend)
        writeLine(self._log, event, level, backend=backend, reason=why, repeated=count or None)


def _words(error: Exception) -> str:
    """Return the text of an error: of txhixie, of the operating system, or else of Twisted."""
    words = str(error) if isinstance(error, HixieError) else system_words(error) or str(error)
    return words or type(error).__name__
