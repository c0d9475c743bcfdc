"""The log events of a test; the fixture ``log`` of ``tests/conftest.py`` makes a `Log`."""

from __future__ import annotations

from twisted.logger import LogEvent, formatEvent


class Log:
    """The log events of a test. An unexpected traceback fails the test."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def tracebacks(self) -> list[BaseException]:
        """Return the exceptions of the tracebacks so far, and mark them as expected."""
        failures = [event for event in self.events if "log_failure" in event]
        self.events[:] = [event for event in self.events if "log_failure" not in event]
        return [event["log_failure"].value for event in failures]

    def lines(self) -> list[str]:
        """The lines of the package's own log."""
        events = [
            event
            for event in self.events
            if str(event.get("log_namespace", "")).startswith("txhixie")
            and "log_failure" not in event
        ]
        return [formatEvent(event) for event in events]
