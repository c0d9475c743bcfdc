"""Log events of a worker in the log of its parent."""

from __future__ import annotations

import io
import json
from typing import Any

from twisted.logger import LogEvent, Logger, LogLevel, LogPublisher, textFileLogObserver

from txhixie.connection.json_lines import jsonLine
from txhixie.connection.log import writeLine
from txhixie.daemon.workers.log_pipe import LogLines, pipeObserver


class Pipe:
    """A worker's logger, and the events of its parent."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []
        self.file = io.StringIO()
        self.lines = LogLines(2, self.events.append, lambda: 5.0)
        publisher: Any = LogPublisher(pipeObserver(self.file))
        self.log = Logger("txhixie.test", observer=publisher)

    def passed(self) -> LogEvent:
        """Pass what was written on, in pieces, and return the event."""
        for byte in self.file.getvalue().encode():
            self.lines.received(bytes([byte]))
        (event,) = self.events
        return event


def shown(event: LogEvent) -> str:
    """An event as text, without its time."""
    file = io.StringIO()
    textFileLogObserver(file, timeFormat="")(event)
    return file.getvalue()


def test_an_event_has_its_text_its_fields_and_its_level() -> None:
    pipe = Pipe()
    writeLine(pipe.log, "refused", LogLevel.warn, peer="{odd}", status=403, reason="no place")
    event = pipe.passed()
    assert event["log_level"] is LogLevel.warn
    line = 'refused peer={odd} status=403 reason="no place"'
    assert shown(event).endswith(f"[worker 2, txhixie.test#warn] {line}\n")
    found = json.loads(jsonLine(event))
    assert found.pop("time")
    assert found == {
        "level": "warn",
        "worker": 2,
        "event": "refused",
        "peer": "{odd}",
        "status": 403,
        "reason": "no place",
    }


def test_an_event_of_another_package_has_its_text() -> None:
    pipe = Pipe()
    pipe.log = Logger("other", observer=pipe.log.observer)
    pipe.log.info("{count} of {what.number}", count=3, what=pipe.lines)
    found = json.loads(jsonLine(pipe.passed()))
    assert found["text"] == "3 of 2"
    assert (found["logger"], found["worker"]) == ("other", 2)


def test_a_traceback_is_passed_on() -> None:
    pipe = Pipe()
    try:
        raise ValueError("a mistake")
    except ValueError:
        pipe.log.failure("it failed")
    event = pipe.passed()
    assert event["log_level"] is LogLevel.critical
    assert "ValueError: a mistake" in shown(event)
    assert "ValueError: a mistake" in json.loads(jsonLine(event))["traceback"]


def test_other_lines_are_events_too() -> None:
    pipe = Pipe()
    pipe.lines.received(b'Fatal Python error: {}\n\xff[1]\n{"level": 5}\nthe end')
    pipe.lines.ended()
    texts = [shown(event).split("] ", 1)[1].strip() for event in pipe.events]
    assert texts == ["Fatal Python error: {}", "\ufffd[1]", '{"level": 5}', "the end"]
    assert {event["log_time"] for event in pipe.events} == {5.0}
    assert {event["log_level"] for event in pipe.events} == {LogLevel.warn}


def test_a_line_without_an_end_is_cut() -> None:
    pipe = Pipe()
    for _ in range(40):
        pipe.lines.received(b"x" * 100_000)
    assert len(pipe.events) > 1
