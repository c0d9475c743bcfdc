"""HTTP heads from their lines."""

from __future__ import annotations

from typing import Final

from txhixie.sansio.http.head import Head


def head_of(*lines: bytes) -> Head:
    """A head of these lines."""
    return Head(b"\r\n".join(lines) + b"\r\n\r\n")


def request(*fields: bytes, line: bytes = b"GET /demo HTTP/1.1") -> bytes:
    """The bytes of a request."""
    return head_of(line, *fields).raw


REQUEST_75: Final = request(
    b"Upgrade: WebSocket",
    b"Connection: Upgrade",
    b"Host: example.com",
    b"Origin: http://example.com",
)


KEY1, KEY2, KEY3 = b"4 @1  46546xW%0l 1 5", b"12998 5 Y3 1  .P00", b"^n:ds[4U"


FIELDS_76: Final = (
    b"Host: example.com",
    b"Connection: Upgrade",
    b"Upgrade: WebSocket",
    b"Origin: http://example.com",
    b"Sec-WebSocket-Key1: " + KEY1,
    b"Sec-WebSocket-Key2: " + KEY2,
)


HEAD_76: Final = request(*FIELDS_76)
