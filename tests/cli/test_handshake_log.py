"""The log of the handshake shows the heads of requests and responses, and no other bytes."""

from __future__ import annotations

from support.chunks import same_every_way
from txhixie.cli.handshake_log import Heads

REQUEST = b"GET / HTTP/1.1\r\nCookie: a\r\n\r\n"
SHOWN = ["> GET / HTTP/1.1", "> Cookie: ...", ">"]


def shown(*chunks: bytes, request: bytes = REQUEST, most: int = 1000) -> list[str]:
    """The lines that are shown after this request."""
    lines: list[str] = []
    heads = Heads(b"GET ", most, lines.append)
    heads.sent(request)
    for chunk in chunks:
        heads.received(chunk)
    return lines


def test_a_response_is_shown_however_its_bytes_are_divided() -> None:
    answer = b"HTTP/1.1 101 Switching\r\nSet-Cookie: a\r\n\r\n"
    lines = same_every_way(lambda chunks: shown(*chunks), answer, b"\x81\x05hello\r\n\r\n")
    assert lines == [*SHOWN, "< HTTP/1.1 101 Switching", "< Set-Cookie: ...", "<"]


def test_an_informational_response_before_the_final_one_is_shown_too() -> None:
    answer = b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 101 Now\r\n\r\n"
    lines = same_every_way(lambda chunks: shown(*chunks), answer, b"HTTP/1.1 200 no\r\n\r\n")
    assert lines == [*SHOWN, "< HTTP/1.1 103 Early", "<", "< HTTP/1.1 101 Now", "<"]


def test_bytes_after_the_head_of_a_request_are_not_shown() -> None:
    """The bytes are key 3 of hixie-76."""
    assert shown(request=REQUEST + b"\r\n\r\n1234") == SHOWN


def test_a_second_request_on_the_same_connection_is_shown_with_its_response() -> None:
    """A proxy's 407 has a body, and the client sends a second request on the same connection."""
    lines: list[str] = []
    heads = Heads(b"CONNECT ", 1000, lines.append)
    for answer in (b"407 No\r\n\r\n<html>\r\n\r\n", b"200 Yes\r\n\r\nHTTP/1.1 200 inside\r\n\r\n"):
        heads.sent(b"CONNECT a:1 HTTP/1.1\r\n\r\n")
        heads.received(b"HTTP/1.1 " + answer)
    heads.sent(b"GET / HTTP/1.1\r\n\r\n")
    heads.received(b"HTTP/1.1 101 inside\r\n\r\n")
    asked = ["> CONNECT a:1 HTTP/1.1", ">"]
    assert lines == [*asked, "< HTTP/1.1 407 No", "<", *asked, "< HTTP/1.1 200 Yes", "<"]


def test_bytes_that_are_no_http_head_are_not_shown() -> None:
    assert shown(b"\x16\x03\x01", b"HTTP/1.1 101 x\r\n\r\n") == SHOWN
    assert shown(b"HTTP/1.1 101 " + b"x" * 1000, b"\r\n\r\n") == SHOWN
