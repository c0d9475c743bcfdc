"""Lines of requests that may be malformed: their summary, and their redaction."""

from __future__ import annotations

import pytest

from txhixie.cli.devices.head_lines import HeadLines

SECRET = "s3cret"


def test_the_summary_tells_devices_apart() -> None:
    lines = HeadLines(
        b"GET /CP01?token=s3cret HTTP/1.1\r\nHost: a.example\r\nUser-Agent: charger/1.2\r\n"
        b"Origin: file://\r\nSec-WebSocket-Protocol: ocpp1.6, ocpp2.0.1\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n\x81\x85"
    )
    assert (
        lines.summary("rfc6455") == "GET /CP01?token=..., rfc6455, User-Agent charger/1.2, 5 fields"
    )
    assert lines.details() == (
        "Host a.example; Origin file://; subprotocols ocpp1.6, ocpp2.0.1; "
        "extensions permessage-deflate"
    )


@pytest.mark.parametrize(
    ("data", "summary"),
    [
        (b"", "(empty line), no User-Agent, 0 fields"),
        (b"GET", "GET, no User-Agent, 0 fields"),
        (b"GET  HTTP/1.1\r\nA: b\r\n\r\n", "GET (no target), no User-Agent, 1 field"),
        (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", "GET /, no User-Agent, 0 fields"),
        (b"GET / HTTP/1.1\nuser-agent:x\n\n", "GET /, User-Agent x, 1 field"),
        (b"GET / HTTP/1.1\rHost: a\rB: c\r\r", "GET /, no User-Agent, 2 fields"),
    ],
)
def test_a_malformed_request_has_a_summary(data: bytes, summary: str) -> None:
    assert HeadLines(data).summary(None) == summary


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_credentials_are_redacted_whatever_ends_a_line(end: str) -> None:
    fields = [
        "GET /a?key=s3cret HTTP/1.1",
        "Authorization: Basic s3cret",
        "\ts3cret",
        "Cookie: a=s3cret",
        "X-Api-Key: s3cret",
        "Sec-WebSocket-Protocol: bearer.s3cret",
        "Referer: http://a/?b=s3cret",
    ]
    recorded = HeadLines(end.join([*fields, "", ""]).encode()).recorded()
    assert len(recorded) == len(fields) + 1
    assert not any(SECRET in line for line in recorded)
    marked = "" if end == "\r\n" else f" [{end!r}]".replace("'", "")
    assert recorded[0] == f"GET /a?key=... HTTP/1.1{marked}"


def test_bytes_after_the_head_are_left_out() -> None:
    assert HeadLines(b"GET / HTTP/1.1\r\n\r\n\x81\x06s3cret").recorded() == [
        "GET / HTTP/1.1",
        "",
    ]
