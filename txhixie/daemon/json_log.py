"""The log of the daemon as JSON, wherever ``twistd`` or ``twist`` writes it."""

from __future__ import annotations

import syslog
from typing import IO, Any, Final

from twisted.logger import FileLogObserver, ILogObserver, LogEvent, LogLevel
from twisted.scripts._twistd_unix import UnixAppLogger
from zope.interface import implementer

from ..connection.json_lines import jsonLine

_PRIORITIES: Final = {
    LogLevel.debug: syslog.LOG_DEBUG,
    LogLevel.warn: syslog.LOG_WARNING,
    LogLevel.error: syslog.LOG_ERR,
    LogLevel.critical: syslog.LOG_CRIT,
}
"""Priorities of syslog by the level of an event; ``LOG_INFO`` for other events."""


def jsonFileLogObserver(file: IO[Any]) -> FileLogObserver:
    """Return the observer that writes each event to a file, as one line of JSON."""
    return FileLogObserver(file, jsonLine)


@implementer(ILogObserver)
class SyslogObserver:
    """
    Observer that sends each event to syslog, as one line of JSON.

    Twisted's own writes the system of an event before the text, which then is not JSON.
    """

    def __init__(self, prefix: str, system: Any = syslog) -> None:
        """
        :param prefix: the name before each line, which is ``twistd --prefix``.
        :param system: the module with ``openlog`` and ``syslog``.
        """
        self._system = system
        system.openlog(prefix, 0, syslog.LOG_USER)

    def __call__(self, event: LogEvent) -> None:
        """Send an event."""
        priority = _PRIORITIES.get(event.get("log_level"), syslog.LOG_INFO)
        self._system.syslog(priority, jsonLine(event).rstrip("\n"))


class TwistdLogger(UnixAppLogger):
    """The logger of ``twistd``, with an observer that writes JSON to the same file."""

    def observer(self) -> ILogObserver:
        """
        Return the observer for the options of ``twistd``.

        Twisted opens the file and rotates it at SIGUSR1; only the format of a line is another.
        """
        observer: Any = self._getLogObserver()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        observer.formatEvent = jsonLine
        return observer  # type: ignore[no-any-return]  # Twisted has no annotations here


_RUNNERS: Final[list[Any]] = []
"""The options of ``twistd``, which calls a factory of observers without arguments."""


def logAsJSON(runner: Any) -> None:
    """
    Have ``twistd`` or ``twist`` write JSON; neither has begun to log.

    :param runner: the options of ``twistd`` or ``twist``.
    :raises ValueError: if the options choose an observer of their own.
    """
    if "fileLogObserverFactory" in runner:  # twist
        runner["fileLogObserverFactory"] = jsonFileLogObserver
        return
    if runner.get("logger") is not None:
        raise ValueError("log-json: expected twistd without --logger, which chooses another log")
    _RUNNERS[:] = [runner]
    runner["logger"] = f"{__name__}.{twistdObserver.__name__}"


def twistdObserver() -> ILogObserver:
    """Return the observer for the options of ``twistd``, which calls this function."""
    (runner,) = _RUNNERS
    if runner.get("syslog"):
        return SyslogObserver(runner.get("prefix") or "")
    return TwistdLogger(runner).observer()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
