"""The length of a request's body, as its head announces it (RFC 9112 section 6)."""

from __future__ import annotations

import pytest

from support.http_heads import head_of
from support.peer_errors import assert_raises
from txhixie.errors import PeerError
from txhixie.sansio.errors import BodyTooLarge, MalformedHead, UnknownTransferCoding
from txhixie.sansio.http.request_body import announced_body

MOST = 1000


def announced(*lines: bytes, minor: int = 1, most: int = MOST) -> int | None:
    return announced_body(head_of(b"POST / HTTP/1.1", *lines).fields(), minor, most)


@pytest.mark.parametrize(
    ("lines", "size"),
    [
        ((), 0),
        ((b"Content-Length: 0",), 0),
        ((b"Content-Length: 7",), 7),
        ((b"Content-Length:  1000 ",), 1000),
        ((b"Content-Length: " + b"0" * 5000 + b"7",), 7),
        ((b"Transfer-Encoding: chunked",), None),
        ((b"Transfer-Encoding: CHUNKED",), None),
    ],
)
def test_a_body_is_as_long_as_its_length_or_its_chunks(
    lines: tuple[bytes, ...], size: int | None
) -> None:
    assert announced(*lines) == size


@pytest.mark.parametrize("length", [b"", b"-1", b"+1", b"0x10", b"1.0", b"1, 1", b"1 1", b"\xb2"])
def test_a_Content_Length_that_is_no_number_is_malformed(length: bytes) -> None:
    assert_raises(MalformedHead, announced, b"Content-Length: " + length, match="Content-Length")


@pytest.mark.parametrize("second", [b"7", b"8"])
def test_two_Content_Lengths_are_malformed_also_when_they_agree(second: bytes) -> None:
    lines = b"Content-Length: 7", b"Content-Length: " + second
    assert_raises(MalformedHead, announced, *lines, match="Content-Length")


def test_a_Content_Length_beside_a_Transfer_Encoding_is_malformed() -> None:
    """Two servers that read the end of such a request differently can be made to smuggle one."""
    lines = b"Content-Length: 7", b"Transfer-Encoding: chunked"
    assert_raises(MalformedHead, announced, *lines, match="Transfer-Encoding")


def test_HTTP_1_0_has_no_Transfer_Encoding() -> None:
    with pytest.raises(MalformedHead, match="Transfer-Encoding"):
        announced(b"Transfer-Encoding: chunked", minor=0)


@pytest.mark.parametrize("coding", [b"gzip", b"gzip, chunked", b"chunked, chunked", b""])
def test_another_transfer_coding_than_chunked_is_unknown(coding: bytes) -> None:
    assert_raises(UnknownTransferCoding, announced, b"Transfer-Encoding: " + coding)


@pytest.mark.parametrize("length", [b"1001", b"9" * 18, b"9" * 19, b"9" * 5000])
def test_a_body_beyond_the_limit_is_too_large(length: bytes) -> None:
    """Also a number of more than 4300 digits, for which ``int`` raises."""
    line = b"Content-Length: " + length
    assert_raises(BodyTooLarge, announced, line, match=f"exceeds the limit of {MOST} bytes")


@pytest.mark.parametrize("line", [b"Content-Length: 1", b"Transfer-Encoding: chunked"])
def test_with_a_limit_of_0_every_body_is_too_large(line: bytes) -> None:
    with pytest.raises(BodyTooLarge, match="unexpected request body"):
        announced(line, most=0)
    assert announced(b"Content-Length: 0", most=0) == 0
    assert issubclass(BodyTooLarge, PeerError)


def test_without_a_limit_a_plausible_length_is_returned() -> None:
    fields = [
        head_of(b"POST / HTTP/1.1", b"Content-Length: " + b"9" * size).fields() for size in (18, 19)
    ]
    assert announced_body(fields[0], 1) == 10**18 - 1
    with pytest.raises(BodyTooLarge):
        announced_body(fields[1], 1)
