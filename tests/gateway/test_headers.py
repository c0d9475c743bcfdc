"""The fields of a request that the backend gets, and of a refusal that the client gets."""

from __future__ import annotations

import pytest

from txhixie import HandshakeRefused
from txhixie.gateway.headers import end_to_end, handed_on, is_token, read_names


def test_a_token_is_as_in_RFC_9110_section_5_6_2() -> None:
    assert all(is_token(word) for word in ("a", "X-Real-IP", "!#$%&'*+.^_`|~-09"))
    assert not any(is_token(word) for word in ("", "a b", "a:", "a,b", '"a"', "ä", "a\n"))


def test_names_of_carried_fields_have_commas_between_them() -> None:
    assert read_names("Authorization, x-tenant") == ("Authorization", "x-tenant")


@pytest.mark.parametrize(
    "name",
    [
        *("", "a b", "a:", "Host", "Cookie", "origin", "Sec-WebSocket-Key", "WebSocket-Origin"),
        *("X-Forwarded-For", "Forwarded", "Connection", "Proxy-Authorization", "TE"),
    ],
)
def test_fields_that_a_handshake_writes_itself_cannot_be_passed_on(name: str) -> None:
    with pytest.raises(ValueError, match="expected header fields that may be passed on"):
        read_names(f"authorization,{name}")


def test_fields_of_one_connection_are_not_handed_on() -> None:
    """RFC 9110 section 7.6.1; ``Connection`` names further ones."""
    headers = (
        (b"connection", b"close, X-Hop"),
        (b"x-hop", b"1"),
        (b"keep-alive", b"timeout=5"),
        (b"transfer-encoding", b"chunked"),
        (b"content-length", b"3"),
        (b"sec-websocket-version", b"13"),
        (b"www-authenticate", b"Basic"),
        (b"set-cookie", b"a=b"),
        (b"set-cookie", b"c=d"),
    )
    assert end_to_end(headers) == (
        (b"Www-Authenticate", b"Basic"),
        (b"Set-Cookie", b"a=b"),
        (b"Set-Cookie", b"c=d"),
    )


def test_a_whole_refusal_keeps_its_status_body_and_fields() -> None:
    refused = HandshakeRefused(401, ((b"content-type", b"text/html"),), b"who?")
    refusal = handed_on(refused)
    assert (refusal.status, refusal.body) == (401, b"who?")
    assert refusal.headers == ((b"Content-Type", b"text/html"),)


def test_a_refusal_with_a_part_of_its_body_says_nothing_of_that_body() -> None:
    fields = ((b"content-type", b"text/html"), (b"etag", b'"1"'), (b"retry-after", b"5"))
    refusal = handed_on(HandshakeRefused(503, fields, b"a part", whole=False))
    assert refusal.status == 503
    assert refusal.body == "the backend's response is too long or incomplete\n"
    assert refusal.headers == ((b"Retry-After", b"5"),)


@pytest.mark.parametrize(
    ("body", "whole", "shown"),
    [(b"who?\n", True, "who?"), (b"", True, "no reason given"), (b"a part", False, "a part")],
)
def test_the_reason_for_the_log_is_the_backend_s(body: bytes, whole: bool, shown: str) -> None:
    refusal = handed_on(HandshakeRefused(403, body=body, whole=whole))
    assert refusal.why == f"the backend refused the handshake: {shown}"


@pytest.mark.parametrize("status", [100, 101, 199, 600, 999])
def test_a_status_that_no_refusal_can_have_is_a_502(status: int) -> None:
    assert handed_on(HandshakeRefused(status)).status == 502
