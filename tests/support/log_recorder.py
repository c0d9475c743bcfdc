"""The log events of a test; the fixture ``log`` of ``tests/conftest.py`` makes a `Log`."""

from __future__ import annotations

from pathlib import Path
from typing import Final, cast

from twisted.logger import LogEvent, formatEvent
from twisted.python.failure import Failure

import txhixie

_OURS: Final = str(Path(txhixie.__file__).parent)

WITHOUT_CONNECTION: Final = {
    "backend-down": "a backend, and the first of the clients that it has failed",
    "backend-up": "a backend",
    "bus-down": "a bus",
    "bus-up": "a bus",
    "failed": "a client that has no connection",
    "given-up": "a client that has no connection",
    "reloaded": "the configuration",
    "not-reloaded": "the configuration",
    "reload-waits": "the configuration",
    "file-reread": "a file",
    "file-not-reread": "a file",
    "file-permissions": "a file",
    "certificate-warning": "a certificate",
    "worker-started": "a worker process",
    "worker-ended": "a worker process",
}
"""The events that are about no connection, and what each is about."""


WITHOUT_ACCEPTING: Final = ("too many open files", "cannot accept")
"""Beginnings of the reasons of ``refused`` lines when there is no connection, but an error."""


def _isAboutConnection(event: LogEvent) -> bool:
    """Whether a line of the package is about one connection."""
    if not str(event.get("log_namespace", "")).startswith("txhixie."):
        return False
    # Several connections, a client that has none, or a topic.
    if {"repeated", "url", "topic"} & event.keys():
        return False
    if str(event.get("reason", "")).startswith(WITHOUT_ACCEPTING):
        return False
    return "log_failure" in event or event.get("event", "failed") not in WITHOUT_CONNECTION


def _failureOf(event: LogEvent) -> Failure | None:
    """
    Return the failure of a traceback; ``None`` for another event.

    Reactors log an exception of a transport by ``log.err`` of ``twisted.python.log``. Its event has
    no ``log_failure``. It counts if the exception passed our code: Twisted also logs the plugins
    that it cannot import, and these depend on the system.
    """
    found: Failure | None = event.get("log_failure")
    if found is None and event.get("isError"):
        found = event.get("failure")
        if found is not None and not any(str(at[1]).startswith(_OURS) for at in found.frames):
            found = None
    return found


class Log:
    """
    The log events of a test.

    An unexpected traceback fails the test, and so does a line about a connection without the number
    of the connection, or without the Host that an earlier line of the connection has.

    :ivar hasStubs: whether a test replaces connections by objects without numbers.
    """

    def __init__(self) -> None:
        self.events: list[LogEvent] = []
        self.everything: list[LogEvent] = []
        self.hasStubs = False

    def record(self, event: LogEvent) -> None:
        """Keep an event of the log."""
        self.events.append(event)
        self.everything.append(event)

    def tracebacks(self) -> list[BaseException]:
        """Return the exceptions of the tracebacks so far, and mark them as expected."""
        failures = [failure for event in self.events if (failure := _failureOf(event))]
        self.events[:] = [event for event in self.events if _failureOf(event) is None]
        return [cast("BaseException", failure.value) for failure in failures]

    def unnumbered(self) -> list[str]:
        """The lines about a connection that lack its number, or the Host of its request."""
        found, known = [], set()
        for event in self.everything if not self.hasStubs else ():
            if not _isAboutConnection(event):
                continue
            # A test may have several factories, each of which counts its connections from 1.
            who = id(event.get("log_source")), event.get("connection"), event.get("peer")
            if "host" in event:
                known.add(who)
            if who[1] is None or (who in known and "host" not in event):
                found.append(formatEvent(event))
        return found

    def lines(self) -> list[str]:
        """The lines of the package's own log."""
        events = [
            event
            for event in self.events
            if str(event.get("log_namespace", "")).startswith("txhixie")
            and _failureOf(event) is None
        ]
        return [formatEvent(event) for event in events]
