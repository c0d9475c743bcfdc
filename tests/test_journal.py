"""What is logged of connections."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

from support import connection
from support.connection import (
    CLOSING,
    MODERN,
    NAMES,
    Answering,
    Applications,
    Log,
    Recorder,
    ServerEnd,
    body_of,
    whole_request,
)
from support.documents import ROOT
from txhixie import Accepted, Limits, Refusal
from txhixie.journal import shown, shownAddress

log = connection.log

each = pytest.mark.parametrize("dialect", NAMES)
modern = pytest.mark.parametrize("dialect", MODERN)


@given(st.text())
def test_whatever_a_peer_said_is_one_short_line_of_ASCII(value: str) -> None:
    line = shown(value)
    assert line.isascii()
    assert line.isprintable() or not line
    assert len(line) <= 200 * 10 + 3


def test_a_long_value_is_cut_and_shows_it() -> None:
    assert shown("a" * 200) == "a" * 200
    assert shown("a" * 201) == "a" * 200 + "..."


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (IPv4Address("TCP", "192.0.2.1", 80), "192.0.2.1:80"),
        (IPv6Address("TCP", "2001:db8::1", 80), "[2001:db8::1]:80"),
        (UNIXAddress(b"/run/hixie"), "unix:/run/hixie"),
        (UNIXAddress(None), "unix"),
        (UNIXAddress(b""), "unix"),
        (None, "unix"),
    ],
)
def test_an_address_is_shown_as_people_write_it(address: Any, expected: str) -> None:
    assert shownAddress(address) == expected


def test_a_UNIX_socket_with_a_line_in_its_name_stays_one_line() -> None:
    assert shownAddress(UNIXAddress(b"/run/a\nb")).isprintable()


@each
def test_an_ordinary_connection_is_not_logged(dialect: str, log: Log) -> None:
    end = ServerEnd(Applications())
    end.receive(whole_request(dialect))
    end.receive(end.peer.text("hello"))
    end.done()
    assert log.lines() == []


@each
def test_who_asks_for_it_reads_of_every_opening_and_ending(dialect: str, log: Log) -> None:
    accepted = Accepted(connection.echo(), "chat")
    end = ServerEnd(Answering(lambda offer: accepted), logConnections=True)
    name = connection.subprotocol_field(dialect)
    end.receive(whole_request(dialect, f"{name}: chat"))
    end.receive(end.peer.text("hello") * 3)
    end.clock.advance(1.5)
    if dialect in CLOSING:
        end.receive(end.peer.close(1001, "leaving\n"))
    end.done()
    told = "1001 (leaving\\n)" if dialect in MODERN else "1005"
    assert log.lines() == [
        f"192.0.2.1:54321 opened /demo in {dialect}, origin http://example.com, subprotocol chat",
        f"192.0.2.1:54321 ended with {told} by peer, 3 received, 3 sent, 1.5 s",
    ]


@modern
def test_the_line_of_an_opening_names_what_was_agreed(dialect: str, log: Log) -> None:
    end = ServerEnd(Applications(), logConnections=True)
    offered = "Sec-WebSocket-Extensions: x-unknown, permessage-deflate; client_max_window_bits"
    end.receive(whole_request(dialect, offered, origin=None))
    (line,) = log.lines()
    assert line == (f"192.0.2.1:54321 opened /demo in {dialect}, origin none, permessage-deflate")
    end.done()


@modern
@pytest.mark.parametrize(
    ("code", "lines"), [(1000, 0), (1001, 0), (None, 0), (1003, 1), (1011, 1), (4000, 1)]
)
def test_a_close_that_complains_always_has_its_line(
    dialect: str, code: int | None, lines: int, log: Log
) -> None:
    end = ServerEnd(Applications())
    end.receive(whole_request(dialect))
    end.receive(end.peer.close(code, "why\x1b[31m" if code is not None else ""))
    end.done()
    assert len(log.lines()) == lines
    assert all(f"ended with {code} (why\\x1b[31m) by peer" in line for line in log.lines())


@each
def test_a_broken_rule_always_has_its_line(dialect: str, log: Log) -> None:
    end = ServerEnd(Applications(Recorder), limits=Limits(message_size=5))
    end.receive(whole_request(dialect))
    end.receive(end.peer.text("too long"))
    end.done()
    (line,) = log.lines()
    assert "ended with 1009" in line
    assert "by peer" in line


@each
def test_a_refusal_always_has_its_line(dialect: str, log: Log) -> None:
    refusal = Refusal(403, "not you\nreally", ((b"Set-Cookie", b"secret=1"),))
    end = ServerEnd(Answering(lambda offer: refusal))
    end.receive(whole_request(dialect, target="/a?b"))
    end.done()
    (line,) = log.lines()
    assert line == (
        "192.0.2.1:54321 refused with 403: not you\\nreally, for /a?b, origin http://example.com"
    )


def test_what_did_not_get_as_far_as_an_offer_has_a_shorter_line(log: Log) -> None:
    end = ServerEnd(Applications())
    end.receive(b"\x00")
    end.done()
    assert log.lines() == ["192.0.2.1:54321 refused with 400: this is not HTTP"]


def test_a_refusal_that_has_its_line_gets_no_other(log: Log) -> None:
    """Whoever made it has said more than its status would."""
    for logged in (True, False):
        refusal = Refusal(502, b"no\xff\n", logged=logged)
        end = ServerEnd(Answering(lambda offer, refusal=refusal: refusal))  # type: ignore[misc]
        end.receive(whole_request("rfc6455"))
        assert body_of(end.wire.written) == b"no\xff\n"
    assert len(log.lines()) == 1
    assert "refused with 502: no\\ufffd" in log.lines()[0]


def test_each_line_that_the_guide_explains_is_one_that_is_written() -> None:
    guide = (
        (ROOT / "docs" / "deployment.rst").read_text("utf-8").partition("What the log says\n")[2]
    )
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "txhixie").rglob("*.py"))
    lines = re.findall(r"(?m)^``((?:refused|ended|backend) .*)``$", guide)
    assert len(lines) == 11
    for line in lines:
        words = re.sub(r"^(refused with \d+|ended with \d+ by peer|backend)", "", line)
        assert words.strip(": .,").removesuffix("0 received") in sources, line
