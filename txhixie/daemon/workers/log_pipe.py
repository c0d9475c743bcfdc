"""Log events of a worker, which go through a pipe to its parent, as one JSON object in a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from time import time
from typing import IO, Any, Final

from twisted.logger import FileLogObserver, LogEvent, LogLevel, globalLogPublisher

from ...connection.json_lines import failureOf, textOf, tracebackOf
from ...connection.log_fields import LogFields

_FIELDS: Final = tuple(LogFields.__annotations__)
_MOST_LINE: Final = 1024 * 1024
"""Most bytes of a line."""


def pipeObserver(file: IO[Any]) -> FileLogObserver:
    """Return the observer that writes each event to the pipe of a worker."""
    return FileLogObserver(file, _encodeEvent)


def _encodeEvent(event: LogEvent) -> str:
    failure = failureOf(event)
    level = event.get("log_level") or LogLevel.info
    line = {
        "log_time": event.get("log_time", 0.0),
        "log_namespace": event.get("log_namespace") or "",
        "log_system": event.get("log_system") or event.get("system"),
        "level": level.name,
        "text": textOf(event),
        "traceback": None if failure is None else tracebackOf(failure),
        "fields": {name: event[name] for name in ("event", *_FIELDS) if name in event},
    }
    return json.dumps(line, default=repr) + "\n"


class _Traceback:
    """A failure of another process, for observers."""

    def __init__(self, text: str) -> None:
        self._text = text

    def getTraceback(self) -> str:
        """Return the text."""
        return self._text


class LogLines:
    """
    Lines of a worker, which become events of the log of this process.

    A line that is no event, such as an error of Python itself, becomes the text of an event.

    :ivar number: number of the worker.
    """

    def __init__(
        self,
        worker: int,
        publish: Callable[[LogEvent], object] = globalLogPublisher,
        now: Callable[[], float] = time,
    ) -> None:
        """
        :param worker: number of the worker, which each event gets.
        :param publish: gets the events; by default the log of this process.
        :param now: returns seconds since 1970, for lines without a time.
        """
        self.number = worker
        self._publish = publish
        self._now = now
        self._rest = b""

    def received(self, data: bytes) -> None:
        """Handle some bytes of the pipe."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MOST_LINE:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._publish(self._eventOf(line.decode("utf-8", "replace")))

    def ended(self) -> None:
        """Handle the end of the pipe."""
        if self._rest:
            self.received(b"\n")

    def _eventOf(self, line: str) -> LogEvent:
        try:
            found = json.loads(line)
            level, text, traceback = (found.pop(name) for name in ("level", "text", "traceback"))
            event: LogEvent = {**found.pop("fields"), **found}
            event["log_level"] = LogLevel.lookupByName(level)
        except (ValueError, LookupError, AttributeError, TypeError):
            event = {"log_level": LogLevel.warn, "log_namespace": __name__}
            event["log_time"] = self._now()
            text, traceback = line, None
        return self._complete(event, text, traceback)

    def _complete(self, event: LogEvent, text: str, traceback: str | None) -> LogEvent:
        event["worker"] = self.number
        system = event.get("log_system") or f"{event['log_namespace']}#{event['log_level'].name}"
        event["log_system"] = f"worker {self.number}, {system}"
        event["log_format"] = text.replace("{", "{{").replace("}", "}}")
        if traceback is not None:
            event["log_failure"] = _Traceback(traceback)
        return event
