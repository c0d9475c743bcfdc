"""The reference's tables of errors and close codes are those of the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from support.guide_pages import ROOT
from txhixie import CloseCode, errors

REFERENCE: Final = ROOT / "docs" / "reference"
ERRORS: Final = {
    name: value
    for name, value in vars(errors).items()
    if name in errors.__all__ and name != "STAGES"
}


def sections(page: str) -> dict[str, str]:
    """The text of each section of a page, by its title; before the first, by an empty string."""
    titles = re.compile(r"^(\S.*)\n-{3,}$", re.MULTILINE)
    first, *others = titles.split((REFERENCE / page).read_text("utf-8"))
    return {"": first, **dict(zip(others[::2], others[1::2], strict=True))}


def cells(section: str) -> Iterator[tuple[str, str]]:
    """The first two cells of each row of an error, without markup."""
    for name, second in re.findall(r"^   \* - `(\w+)`\n     -(.*)$", section, re.MULTILINE):
        yield name, second.strip().strip("`")


def described() -> dict[str, tuple[str, str]]:
    """For each error of the page, the section and the second cell of its row."""
    rows = [
        (name, (title, second))
        for title, text in sections("errors.rst").items()
        for name, second in cells(text)
        if title != "The end of a conversation"  # classes of txhixie, not of txhixie.errors
    ]
    assert len(rows) == len(dict(rows)), "an error has two rows"
    return dict(rows)


def test_each_public_error_has_one_row() -> None:
    assert described().keys() == ERRORS.keys()


def test_the_HTTP_status_of_an_error_is_that_of_its_class() -> None:
    shown = {
        name: second
        for name, (title, second) in described().items()
        if title == "Handshakes that a server refuses"
    }
    expected = {
        name: str(value.status)
        for name, value in ERRORS.items()
        if issubclass(value, errors.HandshakeError)
        and value is not errors.InvalidHandshake  # a client's: no response has its status
    }
    assert shown == expected


def test_the_close_code_of_an_error_is_that_of_its_class() -> None:
    shown = {
        name: second
        for name, (title, second) in described().items()
        if title == "Frames that break a rule or a limit"
    }
    expected = {
        name: str(value.code)
        for name, value in ERRORS.items()
        if issubclass(value, errors.FrameError)
    }
    assert shown == expected


def test_the_errors_with_a_stage_are_those_of_the_page() -> None:
    shown = {
        name: second
        for name, (title, second) in described().items()
        if title == "Connecting" and second
    }
    assert set(shown.values()) <= {"any", *errors.STAGES}
    connecting = (errors.ConnectionFailed, errors.ConnectTimeout)
    assert shown.keys() == {name for name, value in ERRORS.items() if issubclass(value, connecting)}


def test_each_close_code_has_its_number_and_its_name() -> None:
    row = r"^   \* - \.\. _close-(\d+):\n\n       (\d+)\n     - `CloseCode\.(\w+)`$"
    found = re.findall(row, (REFERENCE / "close-codes.rst").read_text("utf-8"), re.MULTILINE)
    assert [anchor for anchor, _, _ in found] == [number for _, number, _ in found]
    shown = {name: int(number) for _, number, name in found}
    assert shown == {name: code for name, code in vars(CloseCode).items() if name.isupper()}
    assert len(shown) == len(found)
