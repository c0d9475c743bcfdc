"""A backend that is down, as its clients and the log hear of it: a status each, and one line.

A backend that is down is down for everybody who comes meanwhile, and browsers come again every
second: the log says it once, counts, and says how often it was when there is something new to say.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet import error as failures
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from ..connection.log import writeLine
from ..dialing.errors import ConnectTimeout
from ..display import system_words
from ..sansio.errors import HixieError
from ..sansio.handshake.offer import Refusal
from ..sansio.http.redaction import masked_url

_REPEAT: Final = 60.0
"""Seconds after which a line may be said again: often enough for an operator who has just begun to
read, and no more than 60 lines an hour and backend."""

UNREACHED: Final = (HixieError, failures.ConnectError, OSError)
"""What may be the backend's fault; whatever else is raised on the way to it is ours."""

LATE: Final = (ConnectTimeout, failures.TimeoutError, failures.TCPTimedOutError)
"""What says that it let its time pass."""


class Outages:
    """What is said of one backend."""

    _log = Logger()

    def __init__(self, backend: str, clock: IReactorTime) -> None:
        """:param backend: what the operator calls it, without credentials."""
        self._backend = backend
        self._clock = clock
        self._why: str | None = None
        self._said = 0.0
        self._unsaid = 0

    def failed(self, error: Exception) -> Refusal:
        """
        A client could not be served.

        :return: 504 if the backend let its time pass, and 502 otherwise (RFC 9110 section 15.6).
            Where the backend is, and what is wrong with it, is the operator's to know.
        """
        self._note(_words(error))
        if isinstance(error, LATE):
            return Refusal(504, "the backend did not answer in time\n", logged=True)
        return Refusal(502, "the backend cannot be reached\n", logged=True)

    def served(self) -> None:
        """A client could be served: the outage, if there was one, is over."""
        if self._why is not None:
            self._write(LogLevel.info, "backend-up")
            self._why = None

    def _note(self, why: str) -> None:
        now = self._clock.seconds()
        if why == self._why and now - self._said < _REPEAT:
            self._unsaid += 1
            return
        self._write(LogLevel.warn, "backend-down", why)
        self._why, self._said = why, now

    def _write(self, level: Any, event: str, why: str | None = None) -> None:
        """A line, with how many clients more were refused for the reason of the last."""
        count, self._unsaid = self._unsaid, 0
        backend = masked_url(self._backend)
        writeLine(self._log, event, level, backend=backend, reason=why, repeated=count or None)


def _words(error: Exception) -> str:
    """Ours, or the operating system's, or else Twisted's."""
    words = str(error) if isinstance(error, HixieError) else system_words(error) or str(error)
    return words or type(error).__name__
