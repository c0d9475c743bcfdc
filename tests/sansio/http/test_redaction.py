"""Redaction of a head for people: credentials and terminal control bytes are removed."""

from __future__ import annotations

import pytest

from txhixie.sansio.http.redaction import masked_host, masked_lines, masked_text


def test_lines_stand_as_they_are_up_to_the_empty_one() -> None:
    head = b"GET /x?key=a HTTP/1.1\r\nHost: a.example\r\nSec-WebSocket-Key: dGhl\r\n\r\n"
    shown = ["GET /x?key=... HTTP/1.1", "Host: a.example", "Sec-WebSocket-Key: dGhl", ""]
    assert list(masked_lines(head)) == shown


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "Proxy-Authorization", "COOKIE", "Set-Cookie", "Cookie2"),
        *("X-Auth-Token", "X-Amz-Security-Token", "X-Api-Key", "Apikey", "X-Session-Id"),
        *("X_Api_Key", "Api.Key", "X-Auth", "X-Amz-Signature", "Cf-Access-Jwt-Assertion"),
    ],
)
def test_fields_that_hold_credentials_are_named_only(name: str) -> None:
    head = f"GET / HTTP/1.1\r\n{name}: s3cret\r\n\r\n".encode()
    assert list(masked_lines(head)) == ["GET / HTTP/1.1", f"{name}: ...", ""]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("GET /?access_token=s3cret&b=1 HTTP/1.1", "GET /?access_token=...&b=... HTTP/1.1"),
        ("GET /?a=1&sig=s3cret HTTP/1.1", "GET /?a=...&sig=... HTTP/1.1"),
        ("GET /?X-Amz-Signature=s3cret HTTP/1.1", "GET /?X-Amz-Signature=... HTTP/1.1"),
        ("Location: wss://x.example/?token=s3cret", "Location: wss://x.example/?token=..."),
        # A page cannot set a field, and calls its token what it likes.
        ("GET /?jwt=s3cret&t=s3cret HTTP/1.1", "GET /?jwt=...&t=... HTTP/1.1"),
        ("GET /?s3cret HTTP/1.1", "GET /?... HTTP/1.1"),
        ("GET /?czNjcmV0s3cret== HTTP/1.1", "GET /?... HTTP/1.1"),
        ("GET /a;jsessionid=s3cret/b HTTP/1.1", "GET /a;jsessionid=.../b HTTP/1.1"),
        ("GET http://me:s3cret@a.example/ HTTP/1.1", "GET http://***@a.example/ HTTP/1.1"),
        # The target is everything up to the version, with characters that end a URL in a text.
        ('GET /?a="s3cret HTTP/1.1', "GET /?a=... HTTP/1.1"),
        ("GET /?a=<s3cret HTTP/1.1", "GET /?a=... HTTP/1.1"),
        ("GET /?a=1 s3cret HTTP/1.1", "GET /?a=... HTTP/1.1"),
        ("GET /?a=\ts3cret HTTP/1.1", "GET /?a=... HTTP/1.1"),
        ("GET /a#s3cret HTTP/1.1", "GET /a HTTP/1.1"),
        ("GET /a%3Ftoken%3Ds3cret HTTP/1.1", "GET /a%3Ftoken%3D... HTTP/1.1"),
        ("Host: me:s3cret@a.example", "Host: ***@a.example"),
        ("Authorization Bearer s3cret", "Authorization ..."),
        ("\x0bBearer s3cret", "..."),
        ("Referer: http://a.example/?x=s3cret", "Referer: http://a.example/?x=..."),
        (
            "Sec-WebSocket-Protocol: chat, eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.s3cret",
            "Sec-WebSocket-Protocol: chat, ...",
        ),
        (
            "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.s3cret, chat",
            "Sec-WebSocket-Protocol: base64url.bearer...., chat",
        ),
    ],
)
def test_credentials_elsewhere_are_hidden(line: str, shown: str) -> None:
    assert next(masked_lines(f"{line}\r\n\r\n".encode())) == shown


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("GET /vnc/s3cret HTTP/1.1", "GET /vnc/... HTTP/1.1"),
        ("GET http://a.example/vnc/s3cret HTTP/1.1", "GET http://a.example/vnc/... HTTP/1.1"),
        # hixie-76 repeats the target in its response.
        ("Sec-WebSocket-Location: ws://a/vnc/s3cret", "Sec-WebSocket-Location: ws://a/vnc/..."),
    ],
)
def test_a_token_in_the_path_is_hidden_where_the_server_knows_it(line: str, shown: str) -> None:
    def masked(target: str) -> str:
        return "/vnc/..." if target.startswith("/vnc/") else target

    assert next(masked_lines(f"{line}\r\n\r\n".encode(), masked)) == shown


@pytest.mark.parametrize(
    "token",
    ["0123456789abcdef" * 2, "0123456789ABCDEF" * 4, "1b4e28ba-2fa1-11d2-883f-0016d3cca427"],
)
def test_a_subprotocol_of_hexadecimal_digits_is_a_token(token: str) -> None:
    head = f"Sec-WebSocket-Protocol: chat, {token}\r\n\r\n".encode()
    assert next(masked_lines(head)) == "Sec-WebSocket-Protocol: chat, ..."


@pytest.mark.parametrize(
    "line", ["GET /monkey=1;design=2 HTTP/1.1", "Sec-WebSocket-Accept: a=", "Origin: http://a/"]
)
def test_nothing_else_is_hidden(line: str) -> None:
    assert next(masked_lines(f"{line}\r\n\r\n".encode())) == line


def test_it_is_one_line_of_ASCII_each() -> None:
    head = b"HTTP/1.1 200 \x1b[31m\xff\n\r\n\r\n"
    assert next(masked_lines(head)) == "HTTP/1.1 200 \\x1b[31m\\xff"


def test_the_URLs_within_a_text_are_masked() -> None:
    text = "Bot/1.0 (+https://me:s3cret@a.example/bot?id=s3cret; spider) Bearer.s3cret"
    assert masked_text(text) == "Bot/1.0 (+https://***@a.example/bot?id=... spider) Bearer...."
    assert masked_text("Mozilla/5.0 (X11; rv:1)") == "Mozilla/5.0 (X11; rv:1)"


@pytest.mark.parametrize(
    ("host", "shown"),
    [("a.example:80", "a.example:80"), ("me:s3cret@a", "***@a"), ("a@b@[::1]", "***@[::1]")],
)
def test_a_host_has_no_user(host: str, shown: str) -> None:
    assert masked_host(host) == shown
