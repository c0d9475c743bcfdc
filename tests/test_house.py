"""The page about the architecture: the files and the attributes that it names are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from support.guide_pages import ROOT

PACKAGE: Final = ROOT / "txhixie"
PAGE: Final = (ROOT / "docs" / "explanation" / "house.rst").read_text("utf-8")
SHOWN: Final = {"daemon/services/shout.py"}
"""Files of the page's own examples."""


def files(text: str) -> list[str]:
    """Each file that a text names, by its path in the package, in ``tests`` or by its name."""
    return re.findall(r"``([\w/]+\.(?:py|c|h|rst|txt))``", text)


def places(file: str) -> list[Path]:
    """Where a file is."""
    whole = [path for path in (PACKAGE / file, ROOT / file) if path.is_file()]
    return whole or ([] if "/" in file else list(PACKAGE.rglob(file)))


@cache
def source(name: str) -> str:
    """The source of all files that define a class."""
    texts = (path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py")))
    return "".join(text for text in texts if re.search(rf"^class {name}\b", text, re.MULTILINE))


def rows() -> Iterator[tuple[str, str]]:
    """Each row of the table of states: what has a state, and where the state is."""
    _, _, after = PAGE.partition("\nWhere state is kept\n---")
    table, _, _ = after.partition("\nHow to add something\n---")
    for row in table.split("\n   * - ")[1:]:
        what, _, where = row.partition("\n     - ")
        yield what, where


def names(text: str) -> set[str]:
    """The attributes that a text names."""
    marked = re.findall(r"``([A-Za-z_.]+)``", text)
    return {
        last
        for name in marked
        if (last := name.split(".")[-1]) not in ("py", "None") and (last[0] == "_" or "." in name)
    }


@pytest.mark.parametrize("file", sorted(set(files(PAGE)) - SHOWN))
def test_a_file_that_the_page_names_is_there(file: str) -> None:
    assert places(file)


@pytest.mark.parametrize(("what", "where"), [pytest.param(*row, id=row[0]) for row in rows()])
def test_a_state_is_in_a_file_that_its_row_names(what: str, where: str) -> None:
    classes = re.findall(r"\b[A-Z][A-Za-z]+\b", where)
    there = "".join(path.read_text("utf-8") for file in files(where) for path in places(file))
    there += "".join(map(source, classes))
    assert there, "the row names no file and no class"
    assert {name for name in names(where) if not re.search(rf"\b{name}\b", there)} == set()
