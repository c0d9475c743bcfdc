"""Events and fields of log lines: the reference describes each, and the package writes each."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final, get_args

from support.guide_pages import ROOT
from txhixie.connection.log_fields import BackendFields, ConnectionFields, EventName, LogFields

PAGE: Final = (ROOT / "docs/reference/log-lines.rst").read_text("utf-8")
SOURCES: Final = sorted((ROOT / "txhixie").rglob("*.py"))


def rows(section: str) -> list[str]:
    """The names in the first column of a section's table."""
    _, _, text = PAGE.partition(f"\n{section}\n{'-' * len(section)}\n")
    table, _, _ = text.partition("\n---")
    return re.findall(r"^   \* - ``([a-z-]+)``$", table, re.MULTILINE)


def calls() -> Iterator[ast.Call]:
    """The calls of the package that write a log line, or that make some of its fields."""
    writers = {
        "writeLine",
        "_write",
        "_lineOf",
        "_folded",
        "BackendFields",
        "ConnectionFields",
        "LogFields",
    }
    for path in SOURCES:
        if "log_fields import" in (text := path.read_text("utf-8")) or "writeLine(" in text:
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Call):
                    name = ast.unparse(node.func).rpartition(".")[2]
                    if name in writers:
                        yield node


def test_the_reference_has_each_event_once() -> None:
    assert rows("Events") == list(get_args(EventName))


def test_the_reference_has_each_field_once() -> None:
    assert rows("Fields") == list(LogFields.__annotations__)


def test_each_event_is_written_by_the_package() -> None:
    passed = {
        node.value for call in calls() for node in ast.walk(call) if isinstance(node, ast.Constant)
    }
    assert set(get_args(EventName)) - passed == set()


def test_each_field_is_written_by_the_package() -> None:
    """mypy checks the other direction: no call has a field that the type does not have."""
    passed = {keyword.arg for call in calls() for keyword in call.keywords}
    passed |= ConnectionFields.__annotations__.keys()  # fieldsOf() returns all of them
    assert set(LogFields.__annotations__) - passed == set()


def test_the_fields_of_a_connection_and_of_a_backend_are_fields_of_log_lines() -> None:
    parts = ConnectionFields.__annotations__.keys() | BackendFields.__annotations__.keys()
    assert parts <= LogFields.__annotations__.keys()
