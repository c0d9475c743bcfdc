"""Lines of JSON: the names of their members, and events of every kind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogEvent, Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure
from twisted.python.log import LogPublisher as LegacyPublisher

from support.guide_pages import ROOT
from txhixie.connection.json_lines import jsonLine
from txhixie.connection.log import Uncut, writeLine

PAGE: Final = (ROOT / "docs/reference/log-lines.rst").read_text("utf-8")


def lines_of(write: Callable[[Logger], object]) -> list[dict[str, Any]]:
    """Write to a logger of the package, and return the objects that its events become."""
    events: list[LogEvent] = []
    write(Logger("txhixie.server.protocol", observer=events.append))  # type: ignore[arg-type]  # list.append is an observer: it takes one event
    return [decoded(jsonLine(event)) for event in events]


def decoded(line: str) -> dict[str, Any]:
    """The object of a line, which has one line break, at its end."""
    assert line.isascii()
    assert line.count("\n") == 1
    assert line.endswith("\n")
    made: dict[str, Any] = json.loads(line)
    return made


def failure(error: Exception) -> Failure:
    """The failure of a raised exception."""
    try:
        raise error
    except Exception:
        return Failure()


def test_a_line_of_the_package_has_its_event_and_its_fields_with_their_types() -> None:
    def write(logger: Logger) -> None:
        writeLine(
            logger,
            "ended",
            connection=7,
            peer="192.0.2.1:5",
            host=None,
            reason='a "b" {c} ü\n',
            seconds=1.5,
        )

    (line,) = lines_of(write)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "info",
        "event": "ended",
        "connection": 7,
        "peer": "192.0.2.1:5",
        "reason": 'a "b" {c} \\xfc\\n',
        "seconds": 1.5,
    }


def test_a_text_is_cut_as_in_a_line_of_text_and_a_text_of_the_operator_is_not() -> None:
    (line,) = lines_of(
        lambda logger: writeLine(logger, "refused", reason="a" * 300, file=Uncut("b" * 300))
    )
    assert (line["reason"], line["file"]) == ("a" * 200 + "...", "b" * 300)


def test_the_time_is_that_of_the_event_in_UTC() -> None:
    assert decoded(jsonLine({"log_time": 0.25}))["time"] == "1970-01-01T00:00:00.250Z"


def test_a_line_of_another_package_has_its_text_and_its_logger() -> None:
    events: list[LogEvent] = []
    logger = Logger("somebody", observer=events.append)  # type: ignore[arg-type]  # list.append is an observer: it takes one event
    logger.error("{event} of\n{reason}", event="end", reason="x")
    line = decoded(jsonLine(events[0]))
    del line["time"]
    assert line == {"level": "error", "logger": "somebody", "text": "end of\nx"}


def test_a_traceback_is_one_text_of_its_line() -> None:
    caught = failure(ZeroDivisionError("nothing"))
    (line,) = lines_of(lambda logger: logger.failure("it failed", caught))
    assert (line["level"], line["text"]) == ("critical", "it failed")
    assert line["traceback"].startswith("Traceback (most recent call last):\n")
    assert "ZeroDivisionError: nothing" in line["traceback"]


class Unprintable(Exception):
    """An exception without a text."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("value", [object(), b"\xff", Unprintable(), {1: 2}, "\ud800"])
def test_an_event_of_any_content_is_a_line(value: object) -> None:
    events: list[LogEvent] = []
    logger = Logger("somebody", observer=events.append)  # type: ignore[arg-type]  # list.append is an observer: it takes one event
    logger.info("{value}", value=value)
    logger.failure("{value}", failure(Unprintable()), value=value)
    for event in events:
        decoded(jsonLine(event))


def test_an_event_of_the_legacy_log_has_its_traceback_once() -> None:
    events: list[LogEvent] = []
    publisher = LegacyPublisher(publishPublisher=LogPublisher(events.append))  # type: ignore[arg-type]  # list.append is an observer: it takes one event
    publisher.msg("hello", 1)
    publisher.msg(failure=failure(ValueError("nothing")), isError=1)
    publisher.msg(failure=failure(ValueError("nothing")), isError=1, why="it failed")
    first, second, third = [decoded(jsonLine(event)) for event in events]
    assert (first["text"], "traceback" in first) == ("hello 1", False)
    assert (second["text"], third["text"]) == ("Unhandled Error", "it failed")
    assert "ValueError" in second["traceback"]


@given(st.text(), st.sampled_from([each.name for each in LogLevel.iterconstants()]))
def test_each_text_of_another_package_comes_back(text: str, level: str) -> None:
    event = {"log_format": "{text}", "text": text, "log_level": LogLevel.levelWithName(level)}
    line = decoded(jsonLine(event))
    assert (line["text"], line["level"]) == (text, level)


def test_the_reference_has_each_member_that_is_no_field() -> None:
    _, _, section = PAGE.partition("\nLines as JSON\n-------------\n")
    table, _, _ = section.partition("\n---")
    rows = re.findall(r"^   \* - ``([a-z-]+)``$", table, re.MULTILINE)
    assert rows == ["time", "level", "event", "logger", "text", "traceback"]
