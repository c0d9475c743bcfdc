"""The values of settings are read the same on a command line and in a file."""

from __future__ import annotations

import re
from typing import Any

import pytest

from txhixie.daemon.setting import (
    ANY_TEXT,
    FLAG,
    SECONDS,
    SOME_SECONDS,
    Setting,
    ValueKind,
    as_written,
    find,
    number,
    one_of,
    read_all,
)
from txhixie.display import nearest

SETTINGS = (
    Setting("size", number("bytes"), "How much."),
    Setting("quiet", FLAG, "Whether."),
    Setting("dialect", one_of(["hixie-75", "hixie-76"]), "Which."),
)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (number("bytes"), "17", 17),
        (SECONDS, "0", 0.0),
        (SECONDS, "2.5", 2.5),
        (SOME_SECONDS, "0.1", 0.1),
        (FLAG, "true", True),
        (FLAG, "false", False),
        (ANY_TEXT, "any text", "any text"),
        (one_of(["a", "b"]), "b", "b"),
    ],
)
def test_text_is_read(kind: ValueKind, text: str, value: Any) -> None:
    assert kind.read_text(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (number("bytes"), "0", "expected a number of bytes"),
        (number("bytes"), "-1", "expected a number of bytes"),
        (number("bytes"), "9" * 20, "expected a number of bytes"),
        (number("bytes"), "9" * 5000, "expected a number of bytes"),
        (number("bytes"), "many", "expected a number of bytes"),
        (SECONDS, "inf", "expected a number of seconds"),
        (SECONDS, "nan", "expected a number of seconds"),
        (SECONDS, "-1", "expected a number of seconds"),
        (SOME_SECONDS, "0", "expected more than 0 seconds"),
        (FLAG, "yes", "expected true or false"),
        (ANY_TEXT, "", "expected text"),
        (ANY_TEXT, "two\nlines", "expected text"),
        (one_of(["hixie-75"]), "hixie-57", "expected one of hixie-75; did you mean hixie-75?"),
    ],
)
def test_an_invalid_value_is_an_error_that_says_what_was_expected(
    kind: ValueKind, text: str, expected: str
) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(expected)):
        kind.read_text(text)


def test_a_value_of_toml_has_to_have_its_type() -> None:
    assert SECONDS.read_toml(2) == SECONDS.read_toml(2.0) == 2.0
    assert FLAG.read_toml(True) is True
    for kind, value in ((SECONDS, "2"), (SECONDS, True), (FLAG, 1), (ANY_TEXT, 1), (ANY_TEXT, [])):
        with pytest.raises(ValueError, match=f"expected {kind.expected}"):
            kind.read_toml(value)


def test_values_are_read_by_name_from_both() -> None:
    expected = {"size": 5, "quiet": True}
    assert (
        read_all({"size": "5", "quiet": "true"}, SETTINGS, "option", ValueKind.read_text)
        == expected
    )
    assert read_all({"size": 5, "quiet": True}, SETTINGS, "option", ValueKind.read_toml) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"size": "5"}, "size 5: expected a number of bytes"),
        ({"quiet": 1}, "quiet 1: expected true or false"),
        ({"dailect": "hixie-76"}, "dailect: expected an option; did you mean dialect?"),
        ({"zzz": 1}, "zzz: expected an option: size, quiet, dialect"),
    ],
)
def test_an_error_names_the_key(given: dict[str, object], expected: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(expected) + "$"):
        read_all(given, SETTINGS, "option", ValueKind.read_toml)


def test_the_error_says_that_a_service_has_no_further_option() -> None:
    with pytest.raises(ValueError, match="x: expected no further option of echo"):
        find("x", (), "option of echo")


def test_the_nearest_name_is_guessed_only_if_it_is_near() -> None:
    assert nearest("prot", ["port", "host"]) == "; did you mean port?"
    assert nearest("xyz", ["port", "host"]) == ""


def test_no_password_is_shown() -> None:
    """Errors and the report of ``--check`` may be logged, and may quote the operator's text."""
    assert as_written("/=ws://user:secret@host/path") == "/=ws://***@host/path"
    assert as_written("ws://host/a@b") == "ws://host/a@b"
    assert as_written(True) == "true"
