"""The fields of a head, as every handshake reads them."""

from __future__ import annotations

import pytest

from support.handshakes import request_of
from support.http_heads import head_of
from support.peer_errors import assert_raises
from txhixie.errors import InvalidHandshake, MalformedHead
from txhixie.sansio.handshake.fields import (
    answer_fields,
    count_once,
    match_exactly,
    read_host,
    read_target,
    read_visible,
    whole_subprotocol,
)
from txhixie.sansio.http.head import Fields


def fields(*lines: bytes) -> Fields:
    """The fields of a head with these lines."""
    return head_of(b"GET / HTTP/1.1", *lines).fields()


@pytest.mark.parametrize("host", [b"a", b"Example.com", b"x:1", b"x:65535", b"x:", b"[::1]:80"])
def test_a_host_is_a_name_or_an_address_and_a_port(host: bytes) -> None:
    """The host is returned as it was sent: letter case is kept for the response."""
    assert read_host(fields(b"Host: " + host)) == host.decode()


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"Host: a", b"Host: a"],
        [b"Host:"],
        [b"Host: :80"],
        [b"Host: a b"],
        [b"Host: a, b"],
        [b"Host: a/b"],
        [b"Host: me@a"],
        [b"Host: a?b"],
        [b"Host: a#b"],
        [b"Host: \xe4"],
        [b"Host: a:123456"],
        [b"Host: a:b"],
        [b"Host: ::1"],
        [b"Host: [::1"],
        [b'Host: a"b'],
        [b"Host: <a>"],
    ],
)
def test_what_is_no_host_is_refused(lines: list[bytes]) -> None:
    """The host is repeated in the response, and compared with origins."""
    assert_raises(MalformedHead, read_host, fields(*lines))


@pytest.mark.parametrize("target", [b"/", b"/demo?x=y", b"//x", b"/%00"])
def test_a_target_is_a_path(target: bytes) -> None:
    """The target is returned as it was sent, without decoding."""
    assert read_target(request_of(head_of(b"GET " + target + b" HTTP/1.1"))) == target.decode()


@pytest.mark.parametrize("target", [b"*", b"demo", b"http://other.example/demo", b"a:80", b"?x"])
def test_a_target_that_is_no_path_is_refused(target: bytes) -> None:
    """``ws://example.com`` and then ``http://other...`` is no location that anybody can compare."""
    request = request_of(head_of(b"GET " + target + b" HTTP/1.1"))
    assert_raises(MalformedHead, read_target, request)


def test_a_field_that_is_repeated_in_the_answer_is_visible_ascii() -> None:
    """Absent, empty, or with blanks inside; nothing else comes through."""
    assert read_visible(fields(), b"origin") is None
    assert read_visible(fields(b"Origin:"), b"origin") == ""
    assert read_visible(fields(b"Origin:  a b "), b"origin") == "a b"


@pytest.mark.parametrize("lines", [[b"O: a\tb"], [b"O: \xc3\xa4"], [b"O: \x85"], [b"O: a"] * 2])
def test_nothing_else_is_repeated_in_the_answer(lines: list[bytes]) -> None:
    """Tabs, bytes beyond ASCII, and repeated fields are refused."""
    assert_raises(MalformedHead, read_visible, fields(*lines), b"o")


@pytest.mark.parametrize(
    ("value", "choices"),
    [
        ("sample", ("sample",)),
        ("a b", ("a b",)),
        ("a, b", ("a, b", "a", "b")),
        ("a,,b,", ("a,,b,", "a", "b")),
        (",", (",",)),
    ],
)
def test_a_subprotocol_is_one_string_and_only_then_a_list(
    value: str, choices: tuple[str, ...]
) -> None:
    """The drafts have one string, which may hold a comma; web-socket-js joins several."""
    assert whole_subprotocol(value) == choices


# Checks of answers.


def test_an_answer_is_counted_field_by_field() -> None:
    """The error names the first field that is not there exactly once."""
    answered = fields(b"A: 1", b"B: 1", b"B: 2")
    count_once(answered, b"a")
    with pytest.raises(InvalidHandshake) as caught:
        count_once(answered, b"a", b"c", b"b")
    assert caught.value.check == "count:c"


def test_an_answer_is_compared_to_the_byte() -> None:
    """Blanks and case count; what was received is shown escaped."""
    match_exactly("x", fields(b"A: b"), b"a", "b")
    for value in (b"B", b" b", b"b ", b"\xff"):
        answered = fields(b"A: " + value)
        assert_raises(
            InvalidHandshake, match_exactly, "x", answered, b"a", "b", match="x: expected 'b'"
        )


@pytest.mark.parametrize(
    ("line", "check"),
    [(b" folded", "header-syntax"), (b"a\nb: c", "header-syntax"), (b": x", "empty-name")],
)
def test_an_answer_with_a_broken_field_fails_by_name(line: bytes, check: str) -> None:
    """The operator of the server can find the field by the error."""
    with pytest.raises(InvalidHandshake) as caught:
        answer_fields(head_of(b"HTTP/1.1 101 x", line))
    assert caught.value.check == check


# Writing.
