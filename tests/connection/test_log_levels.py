"""The levels of lines: the guide has a table of each event that is more than information."""

from __future__ import annotations

import re
from typing import Final

import pytest

from support.guide_pages import ROOT

WRITTEN: Final = re.compile(
    r'"([a-z-]+)",\s*LogLevel\.(warn|error)|LogLevel\.(warn|error), "([a-z-]+)"'
)
EVENTS: Final = sorted(
    {
        (found[1] or found[4], found[2] or found[3])
        for file in (ROOT / "txhixie").rglob("*.py")
        for found in WRITTEN.finditer(file.read_text("utf-8"))
    }
    - {("refused", "warn")}  # in the words of the table: connections that cannot be accepted
)


def rows() -> dict[str, str]:
    """The rows of the table of levels."""
    page = (ROOT / "docs/howto/logging.rst").read_text("utf-8")
    table = page.partition("\nLevels\n")[2].partition("\nSo a program")[0]
    found = re.findall(r"^``(\w+)`` (.*\n(?:  .*\n)*)", table, re.MULTILINE)
    return dict(found)


@pytest.mark.parametrize(("event", "level"), EVENTS)
def test_the_guide_has_the_level_of_each_event_above_info(event: str, level: str) -> None:
    assert f"``{event}``" in rows()[level]


def test_events_of_both_levels_are_found() -> None:
    assert {"backend-down", "not-reloaded", "file-not-reread"} <= {event for event, _ in EVENTS}
