"""The bytes of handshakes: the request of each dialect, and the parts of an answer."""

from __future__ import annotations

import struct
from base64 import b64encode
from hashlib import md5, sha1
from typing import Any

from support.dialect_names import OLDEST

KEY3 = b"^n:ds[4U"


PROOF = b"8jKS'y:G*Co,Wxa-"
"""The eight bytes and the sixteen of the example in draft-hixie-76 section 1.2."""


NONCE = "dGhlIHNhbXBsZSBub25jZQ=="


ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The key and the hash of the example in RFC 6455 section 1.3."""


VERSIONS = {"hybi-07": 7, "hybi-08": 8, "rfc6455": 13}


ORIGIN_FIELDS = {
    "hixie-54": "WebSocket-Origin",
    "hybi-07": "Sec-WebSocket-Origin",
    "hybi-08": "Sec-WebSocket-Origin",
}
"""Where it is not simply ``Origin``."""


def request(
    dialect: str,
    *more: str,
    target: str = "/demo",
    host: str | None = "example.com",
    origin: str | None = "http://example.com",
) -> bytes:
    """The head of a request, with further lines; hixie-76's eight bytes are not in it."""
    lines = [f"GET {target} HTTP/1.1", "Upgrade: WebSocket", "Connection: Upgrade"]
    if host is not None:
        lines.append(f"Host: {host}")
    if origin is not None:
        lines.append(f"{ORIGIN_FIELDS.get(dialect, 'Origin')}: {origin}")
    if dialect in VERSIONS:
        lines.append(f"Sec-WebSocket-Key: {NONCE}")
        lines.append(f"Sec-WebSocket-Version: {VERSIONS[dialect]}")
    if dialect == "hixie-76":
        lines.append("Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5")
        lines.append("Sec-WebSocket-Key2: 12998 5 Y3 1  .P00")
    return "\r\n".join([*lines, *more, "", ""]).encode("latin-1")


def whole_request(dialect: str, *more: str, **which: Any) -> bytes:
    """The request with its eight bytes, where there are any."""
    return request(dialect, *more, **which) + (KEY3 if dialect == "hixie-76" else b"")


def proof_for(asked: bytes) -> bytes:
    """The proof for a hixie-76 request, computed as in section 1.3 of the draft."""
    head, _, key3 = asked.partition(b"\r\n\r\n")
    numbers = []
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b": ")
        if name.lower().startswith(b"sec-websocket-key"):
            digits = int(
                b"".join(value[i : i + 1] for i in range(len(value)) if value[i] in DIGITS)
            )
            numbers.append(digits // value.count(b" "))
    return md5(struct.pack(">II", *numbers) + key3).digest()


DIGITS = b"0123456789"


def accept_for(asked: bytes | bytearray) -> str:
    """Sec-WebSocket-Accept for a request, computed as in RFC 6455 section 1.3."""
    key = asked.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    return b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


def subprotocol_field(dialect: str) -> str:
    """The name of the field."""
    return "WebSocket-Protocol" if dialect in OLDEST else "Sec-WebSocket-Protocol"


def head_of(answer: bytes) -> bytes:
    """An answer up to its blank line."""
    return answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def status_of(answer: bytes) -> int:
    """An answer's status."""
    assert answer.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")), answer[:80]
    return int(answer[9:12])


def body_of(answer: bytes) -> bytes:
    """The bytes after the empty line of a head."""
    return answer.partition(b"\r\n\r\n")[2]
