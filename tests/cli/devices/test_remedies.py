"""The table of remedies: its rows are errors that a server has, and each error has a remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

import txhixie
from txhixie.cli.devices.remedies import (
    OF_FRAMES,
    OF_REQUESTS,
    Remedy,
    frame_deviation,
    request_deviation,
    tls_deviation,
)

SOURCES: Final = "\n".join(
    file.read_text("utf-8")
    for file in Path(txhixie.__file__).parent.rglob("*.py")
    if file.name != "remedies.py"
).replace('"\n            "', "")

WRITTEN: Final = {
    "duplicate host": 'f"duplicate {name',
    "missing Sec-WebSocket-Version": "'missing' if missing else 'unsupported'} Sec-",
    "unsupported Sec-WebSocket-Version": "unsupported Sec-WebSocket-Version",
    "invalid request line: character": "{words}: character outside ASCII",
    "invalid request line: expected": "{words}: expected METHOD",
    "invalid request line: space": "{words}: space in the request target",
    "Sec-WebSocket-Key without": "{} without 'Upgrade: websocket'",
    "Sec-WebSocket-Key1 without": "{} without 'Upgrade: websocket'",
    "Sec-WebSocket-Version without": "{} without 'Upgrade: websocket'",
    "invalid origin": 'f"invalid {name',
    "frame of": 'f"frame of {',
    "message of": 'f"message of {',
    "no data received within": 'f"no data received within {',
    "the eight bytes after the head": "the eight bytes after the head",
}
"""How an error that is put together from parts is written in the source."""


@pytest.mark.parametrize("row", [*OF_REQUESTS, *OF_FRAMES], ids=lambda row: row.error)
def test_each_row_is_the_beginning_of_an_error(row: Remedy) -> None:
    assert WRITTEN.get(row.error, row.error) in SOURCES


@pytest.mark.parametrize("rows", [OF_REQUESTS, OF_FRAMES])
def test_no_row_is_hidden_by_an_earlier_one(rows: tuple[Remedy, ...]) -> None:
    errors = [row.error for row in rows]
    for index, error in enumerate(errors):
        assert not any(error.startswith(earlier) for earlier in errors[:index])


def test_an_error_that_the_table_does_not_have_has_a_remedy_too() -> None:
    assert request_deviation("a new error").remedy
    assert frame_deviation("a new error").remedy
    assert tls_deviation("a new reason").text == "TLS handshake failed: a new reason"


def test_the_section_is_not_said_twice() -> None:
    text = "folded header field, which is obsolete (RFC 9112 section 5.2)"
    assert request_deviation(text).text == text
    assert request_deviation("invalid Host").text == "invalid Host (RFC 9112 section 3.2)"
