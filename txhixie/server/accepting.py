"""Log lines about connections that the system does not accept, one line a minute.

Twisted writes three lines for each connection that it closes because the process has no file
descriptors left (``EMFILE``), at the moment when the machine has least to spare.
"""

from __future__ import annotations

import re
from typing import Any, Final

from twisted.internet import tcp
from twisted.internet.interfaces import IReactorTime
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel
from zope.interface import implementer

from ..connection.counters import Counters
from ..connection.log import writeLine
from ..connection.repeats import Repeats

_SECONDS: Final = 60.0
_PROCEDURE: Final = re.compile("EMFILE encountered|Re-reserving EMFILE")
"""Twisted's lines about its handling of ``EMFILE``, which are dropped."""

_TOO_MANY: Final = "too many open files (EMFILE): raise LimitNOFILE= of the unit, or ulimit -n"


@implementer(ILogObserver)
class AcceptLines:
    """
    Log observer: a line for the first refused connection; others are counted for a minute.

    :ivar counters: counts the refused connections; ``None`` for none.
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, others: ILogObserver, counters: Counters | None = None
    ) -> None:
        """
        :param clock: measures the minute.
        :param others: the observer that gets all other events.
        :param counters: counts the refused connections.
        """
        self.counters = counters
        self._clock = clock
        self._others = others
        self._repeats: Repeats[str] = Repeats(_SECONDS)

    def __call__(self, event: LogEvent) -> None:
        """Handle one log event of a Twisted port."""
        text = event.get("log_format") or ""
        if "log_failure" in event:
            self._others(event)
        elif "EMFILE recovery: Closed socket" in text:
            if self.counters is not None:
                self.counters.refuse(None, "files")
            self._count(_TOO_MANY)
        elif "acceptError" in event:
            self._count(f"cannot accept a connection: {event['acceptError']}")
        elif not _PROCEDURE.match(text):
            self._others(event)

    def _count(self, why: str) -> None:
        if not self._repeats.again(self._clock.seconds(), why):
            writeLine(self._log, "refused", LogLevel.warn, reason=why)
            self._clock.callLater(_SECONDS, self._tell)

    def _tell(self) -> None:
        for why, count in self._repeats.over(self._clock.seconds()):
            writeLine(self._log, "refused", LogLevel.warn, reason=why, repeated=count)


def foldAcceptLines(clock: IReactorTime, counters: Counters | None = None) -> None:
    """
    Install :class:`AcceptLines` as the log observer of all Twisted ports of this process.

    :param clock: measures the minute: the reactor.
    :param counters: counts the refused connections, from now on.
    """
    logger: Any = getattr(tcp.Port, "_logger", None)  # a name of Twisted's own
    if logger is None:
        return
    if isinstance(logger.observer, AcceptLines):
        logger.observer.counters = counters
        return
    observer = AcceptLines(clock, logger.observer, counters)
    tcp.Port._logger = Logger(logger.namespace, None, observer)  # noqa: SLF001 (pinned by tests/test_private_names.py)
