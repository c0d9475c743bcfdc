"""Requests to a backend of pages, and responses of one in pieces of any size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txhixie import Limits
from txhixie.sansio.errors import MalformedHead
from txhixie.sansio.http.page_exchange import PageExchange

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def exchange(method: str = "GET", limits: Limits = Limits()) -> PageExchange:
    return PageExchange(method, "/a", ((b"Host", b"h"),), limits)


def read(response: bytes, method: str = "GET", size: int = 1 << 16) -> tuple[PageExchange, bytes]:
    """Receive a response in pieces, and the end of the connection."""
    reading = exchange(method)
    pieces = [response[start : start + size] for start in range(0, len(response), size)]
    body = b"".join(map(reading.receive, pieces))
    reading.end()
    return reading, body


def test_the_request_is_the_only_one_of_its_connection() -> None:
    fields = ((b"Host", b"h:1"), (b"X-Site", b"\xfcber"), (b"X-Site", b"b"))
    assert PageExchange("HEAD", "/a?b=%20", fields, Limits()).request == (
        b"HEAD /a?b=%20 HTTP/1.1\r\nHost: h:1\r\nX-Site: \xfcber\r\nX-Site: b\r\n"
        b"Connection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ("/a b", b"x"),
        ("/a\r\nX: y", b"x"),
        ("/\xff", b"x"),
        ("/a#b", b"x"),
        ("/", b"secret\r\nX: y"),
        ("/", b"secret\0"),
        ("/", b"secret\x01"),
    ],
)
def test_a_request_that_cannot_be_written_is_an_error_without_the_value(
    target: str, field: bytes
) -> None:
    """The value may be a password."""
    with pytest.raises(MalformedHead) as caught:
        PageExchange("GET", target, ((b"Host", b"h"), (b"X-Secret", field)), Limits())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
@pytest.mark.parametrize(
    ("response", "status", "length", "body"),
    [
        (OK + b"Content-Length: 3\r\n\r\nabc", 200, b"3", b"abc"),
        (OK + b"Content-Length: 3, 3\r\n\r\nabc", 200, b"3", b"abc"),
        (OK + b"Content-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\r\n", 200, b"3", b"abc"),
        (OK + b"\r\nabcd", 200, None, b"abcd"),
        (b"HTTP/1.0 404 Not Found\r\n\r\nno", 404, None, b"no"),
        (CHUNKED + b"3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nX: y\r\n\r\n", 200, None, b"abcd"),
        (
            OK + b"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n1\r\na\r\n0\r\n\r\n",
            *(200, None, b"a"),
        ),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nabcde", 204, None, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b"5", b""),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
            + OK
            + b"Content-Length: 1\r\n\r\na",
            *(200, b"1", b"a"),
        ),
    ],
)
def test_a_response_is_read(
    response: bytes, status: int, length: bytes | None, body: bytes, size: int
) -> None:
    """The framing of the body is for one connection; the client's is made anew."""
    reading, found = read(response, size=size)
    assert reading.over
    assert reading.head is not None
    assert (reading.head.status, reading.head.length, found) == (status, length, body)


def test_the_response_to_head_has_a_length_and_no_body() -> None:
    reading, body = read(OK + b"Content-Length: 5\r\n\r\n", "HEAD")
    assert reading.head is not None
    assert (reading.head.length, reading.over, body) == (b"5", True, b"")


@pytest.mark.parametrize("size", [1, 1 << 16])
@pytest.mark.parametrize(
    ("response", "why"),
    [
        (b"", "closed before the response"),
        (b"HTTP/1.1 200", "closed before the response"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "illegal status line"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "unsupported HTTP version"),
        (b"HTTP/1.1 999 Odd\r\n\r\n", "invalid status 999"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "without a pending"),
        (OK + b"Content-Length: 3\r\n\r\nab", "without sending complete message body"),
        (OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", "conflicting Content-Length"),
        (OK + b"Content-Length: -3\r\n\r\nabc", "bad Content-Length"),
        (OK + b"Content-Length: +3\r\n\r\nabc", "bad Content-Length"),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "Only Transfer-Encoding: chunked"),
        (CHUNKED + b"3\r\nabc\r\n", "incomplete chunked read"),
        (CHUNKED + b"3\r\nabcd\r\n", "malformed chunk footer"),
        (CHUNKED + b"-3\r\nabc\r\n", "illegal chunk header"),
        (b"HTTP/1.1 200 OK\nX: y\n\n", "bare CR or LF"),
        (OK + b"X: a\r\n b\r\n\r\n", "folded line"),
        (OK + b"X: a\0b\r\n\r\n", "illegal header line"),
        (OK + b"X: a\x01b\r\n\r\n", "control character"),
        (OK + b"X : a\r\n\r\n", "illegal header line"),
        (OK + b"X: a\r\n" * 200 + b"\r\n", "number of fields"),
        (OK + b"X: " + b"a" * 20_000, "size of the head exceeds"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, "size of the head exceeds"),
    ],
)
def test_an_invalid_or_incomplete_response_is_an_error(
    response: bytes, why: str, size: int
) -> None:
    with pytest.raises(MalformedHead, match=why):
        read(response, size=size)


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_of_a_backend_raise_another_error(noise: bytes, begins: bool) -> None:
    reading = exchange()
    try:
        reading.receive((CHUNKED if begins else b"HTTP/1.1 ") + noise)
        reading.end()
    except MalformedHead:
        assert not reading.over
