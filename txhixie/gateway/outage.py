"""Outages of a backend: the status for each refused client, and few log lines.

While a backend is down, every client is refused, and browsers reconnect every second. The log has
one line a minute, with the number of clients that were refused since the line before.
"""

from __future__ import annotations

import re
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
"""Seconds before the same line is written again: an operator sees the line soon after opening the
log, and each backend has at most 60 lines an hour."""

_SECONDS: Final = re.compile(r"[0-9.e-]+ seconds")

REST_SECONDS: Final = 10.0
"""Seconds for which a backend that failed is left alone, if there is another backend. nginx has the
same default (``fail_timeout``)."""

UNREACHED: Final = (HixieError, failures.ConnectError, OSError)
"""Errors that the backend or the network may have caused; other errors are internal errors."""

LATE: Final = (ConnectTimeout, failures.TimeoutError, failures.TCPTimedOutError)
"""Errors that mean a timeout of the backend."""


class Outages:
    """
    State and log lines of one backend's outages.

    :ivar backend: URL or endpoint of the backend, as the log has it.
    """

    _log = Logger()

    def __init__(self, backend: str, clock: IReactorTime) -> None:
        """
        Make the state of a backend that is up.

        :param backend: URL or endpoint of the backend, without credentials.
        :param clock: measures the time between two lines, and the rest of a backend that failed.
        """
        self.backend = masked_url(backend)
        self._clock = clock
        self._why: str | None = None
        self._logged = 0.0
        self._unlogged = 0
        self._restsUntil = 0.0

    @property
    def rests(self) -> bool:
        """Whether the backend failed a short time ago, so that another one is to be preferred."""
        return self._why is not None and self._clock.seconds() < self._restsUntil

    def tried(self) -> None:
        """
        Let a backend that is down rest once more, since a client tries whether the backend is up.

        The other clients of these seconds do not wait for the backend as well.
        """
        if self._why is not None:
            self._restsUntil = self._clock.seconds() + REST_SECONDS

    def failed(self, error: Exception) -> Refusal:
        """
        Log that the connect to the backend failed, and return the refusal for the client.

        :param error: the error of the connect.
        :return: 504 after a timeout, and 502 otherwise (RFC 9110 section 15.6). The refusal does
            not tell the client the backend's address nor the error, which are in the log.
        """
        self.note(_words(error))
        if isinstance(error, LATE):
            status, body = 504, "the backend did not answer in time\n"
        else:
            status, body = 502, "the backend cannot be reached\n"
        return Refusal(status, body, logged=True, cause="backend")

    def refused(self, status: int) -> None:
        """
        Log that the outage is over, if there was one: the backend has refused a client.

        A status of 500 and above does not end an outage: a reverse proxy in front of a backend that
        is down answers with 502, and a backend that starts or stops with 503.

        :param status: HTTP status of the refusal.
        """
        if status < 500:
            self.served()

    def served(self) -> None:
        """Log that the outage is over, if there was one: the backend was reached."""
        if self._why is not None:
            self._write(LogLevel.info, "backend-up")
            self._why = None

    def note(self, why: str) -> None:
        """
        Log that the backend is down, unless the log had the same line within the last minute.

        :param why: the reason.
        """
        now = self._clock.seconds()
        self._restsUntil = now + REST_SECONDS
        isSame = self._why is not None and _kind(why) == _kind(self._why)
        if isSame and now - self._logged < _REPEAT:
            self._unlogged += 1
            return
        self._write(LogLevel.warn, "backend-down", why)
        self._why, self._logged = why, now

    def _write(self, level: Any, event: EventName, why: str | None = None) -> None:
        """Write a line, with the number of clients that were refused since the line before."""
        count, self._unlogged = self._unlogged, 0
        repeated = count or None
        writeLine(self._log, event, level, backend=self.backend, reason=why, repeated=repeated)


def _kind(why: str) -> str:
    """
    Return a reason without its time.

    Of several backends each has a share of the timeout, which is another one for each client.
    """
    return _SECONDS.sub("", why)


def _words(error: Exception) -> str:
    """Return the text of an error: of txhixie, of the operating system, or else of Twisted."""
    words = str(error) if isinstance(error, HixieError) else system_words(error) or str(error)
    return words or type(error).__name__
