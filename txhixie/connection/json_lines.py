"""Events of Twisted's log as lines of JSON, with the names of ``docs/reference/log-lines.rst``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from twisted.logger import LogEvent, LogLevel, formatEvent

from .log_fields import LogFields

_FIELDS: Final = tuple(LogFields.__annotations__)

_ERROR: Final = "Unhandled Error"
"""Text of an event with a traceback and without words, as Twisted's own observers write it."""


def jsonLine(event: LogEvent) -> str:
    """
    Return an event as one JSON object in ASCII, with a line break at its end.

    A line of txhixie has its event and its fields; an event of another package has its text. A
    traceback is one text with line breaks, which JSON escapes: the object stays one line.

    :param event: an event of any package, also one of :mod:`twisted.python.log`.
    """
    line: dict[str, object] = {"time": _time(event), "level": _level(event)}
    if (worker := event.get("worker")) is not None:
        line["worker"] = worker
    name = event.get("event")
    if isinstance(name, str) and str(event.get("log_namespace")).startswith("txhixie."):
        line["event"] = name
        line |= {field: event[field] for field in _FIELDS if field in event}
    else:
        line["logger"] = event.get("log_namespace") or event.get("system")
        line["text"] = textOf(event)
    if (failure := failureOf(event)) is not None:
        line["traceback"] = tracebackOf(failure)
    return json.dumps(line, default=repr) + "\n"


def _time(event: LogEvent) -> str:
    moment = datetime.fromtimestamp(event.get("log_time", 0.0), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _level(event: LogEvent) -> str:
    level = event.get("log_level")
    return str(getattr(level, "name", None) or LogLevel.info.name)


def textOf(event: LogEvent) -> str:
    """Return the text of an event, without its traceback."""
    if event.get("log_text") is not None and failureOf(event) is not None:
        return str(event.get("why") or _ERROR)  # the text of the event has the traceback again
    return formatEvent(event)


def failureOf(event: LogEvent) -> Any:
    """Return the failure of an event, which twisted.python.log keeps under another name."""
    return event.get("log_failure") or (event.get("failure") if event.get("isError") else None)


def tracebackOf(failure: Any) -> str:
    """Return the text of a traceback."""
    try:
        return str(failure.getTraceback())
    except Exception as error:  # the text of an exception is that of its class, which may raise
        return f"the traceback cannot be shown: {type(error).__name__}"
