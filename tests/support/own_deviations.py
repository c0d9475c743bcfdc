"""Deviations of requests and frames that no known device has, made from valid ones.

They show that a server lets in what is valid however it is written, and that what it refuses has a
reason of its own.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from support.frames import MASK, modern_frame

KEY: Final = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
VERSION: Final = b"Sec-WebSocket-Version: 13"
FIELDS: Final = (b"Host: example.com", b"Upgrade: websocket", b"Connection: Upgrade", KEY, VERSION)
LINE: Final = b"GET /device HTTP/1.1"

IN: Final = ""
"""The expectation about a request that is let in."""


class OwnDeviation(NamedTuple):
    """
    One deviation.

    :ivar name: its name in tests.
    :ivar sends: the bytes of the client.
    :ivar expected: :data:`IN`, or the beginning of the reason in the log.
    :ivar word: the quirk that lets it in; empty for none.
    """

    name: str
    sends: bytes
    expected: str
    word: str = ""


def _lines(*lines: bytes) -> bytes:
    return b"\r\n".join([*lines, b"", b""])


def _line(line: bytes) -> bytes:
    return _lines(line, *FIELDS)


def _field(*fields: bytes) -> bytes:
    """A request with these fields instead of those of the same name."""
    names = {field.partition(b":")[0].strip().lower() for field in fields}
    kept = [field for field in FIELDS if field.partition(b":")[0].lower() not in names]
    return _lines(LINE, *kept, *fields)


def _without(*names: bytes) -> bytes:
    return _lines(LINE, *(each for each in FIELDS if each.partition(b":")[0] not in names))


WHOLE: Final = _lines(LINE, *FIELDS)
_METHOD: Final = "WebSocket request with another method than GET, in upper case"
_UPGRADE: Final = "WebSocket request with another Upgrade than 'Upgrade: websocket'"
_START: Final = "invalid request line: expected METHOD, target and HTTP/1.1"
_NO_CONNECTION: Final = "Upgrade without 'Connection: Upgrade'"
_SHORT: Final = "Sec-WebSocket-Key is not 16 bytes in base64"
_SUBPROTOCOLS: Final = "invalid list in Sec-WebSocket-Protocol"
_TARGET: Final = "request target without a slash at its beginning"
_KEY1: Final = b"Sec-WebSocket-Key1: 18x 6]8vM;54 *(5:  {   U1]8  z [  8"

OF_REQUESTS: Final = (
    OwnDeviation("fields in another order", _lines(LINE, *reversed(FIELDS)), IN),
    OwnDeviation("list in Connection", _field(b"Connection: keep-alive, Upgrade"), IN),
    OwnDeviation("empty members", _field(b"Connection: ,Upgrade,,close,"), IN),
    OwnDeviation(
        "Connection in pieces", _field(b"Connection: keep-alive", b"Connection: Upgrade"), IN
    ),
    OwnDeviation("another case", _field(b"UPGRADE: WEBSOCKET", b"connection: UPGRADE"), IN),
    OwnDeviation("spaces and tabs", _field(b"Host:   example.com \t", KEY + b"\t"), IN),
    OwnDeviation("Content-Length 0", _field(b"Content-Length: 0"), IN),
    OwnDeviation("Host with a port", _field(b"Host: example.com:8080"), IN),
    OwnDeviation("Host with IPv6", _field(b"Host: [2001:db8::1]:8080"), IN),
    OwnDeviation("Host with a dot at its end", _field(b"Host: example.com."), IN),
    OwnDeviation("Host with an empty port", _field(b"Host: example.com:"), IN),
    OwnDeviation("odd query", _line(b"GET /device?&&=&x?y=1;z%zz|^` HTTP/1.1"), IN),
    OwnDeviation("HTTP/1.2", _line(b"GET /device HTTP/1.2"), IN),
    OwnDeviation("absolute target without a path", _line(b"GET ws://example.com HTTP/1.1"), IN),
    OwnDeviation("Latin-1 in a value", _field(b"User-Agent: Lades\xe4ule"), IN),
    OwnDeviation("Origin with ws:", _field(b"Origin: ws://example.com"), IN),
    OwnDeviation("Origin undefined", _field(b"Origin: undefined"), IN),
    OwnDeviation(
        "impossible window", _field(b"Sec-WebSocket-Extensions: permessage-deflate; a=99"), IN
    ),
    OwnDeviation("Expect", _field(b"Expect: 100-continue"), IN),
    OwnDeviation("; in Connection", _field(b"Connection: Upgrade;"), _NO_CONNECTION, "upgrade"),
    OwnDeviation(
        "Connection: websocket", _field(b"Connection: websocket"), _NO_CONNECTION, "upgrade"
    ),
    OwnDeviation("key without padding", _field(KEY[:-2]), _SHORT, "key"),
    OwnDeviation("empty Host", _field(b"Host:"), "empty Host", "host"),
    OwnDeviation("two faults", _without(b"Host", b"Connection"), _NO_CONNECTION),
    OwnDeviation("target ?", _line(b"GET ?id=5 HTTP/1.1"), _TARGET, "target"),
    OwnDeviation("host in the target", _line(b"GET example.com/a HTTP/1.1"), _TARGET, "target"),
    OwnDeviation(
        "spaces in a list", _field(b"Sec-WebSocket-Protocol: a b"), _SUBPROTOCOLS, "lists"
    ),
    OwnDeviation(
        "quotation marks", _field(b'Sec-WebSocket-Protocol: "a", "b"'), _SUBPROTOCOLS, "lists"
    ),
    OwnDeviation("get", _line(b"get /device HTTP/1.1"), _METHOD),
    OwnDeviation("POST", _line(b"POST /device HTTP/1.1"), _METHOD),
    OwnDeviation("http/1.1", _line(b"GET /device http/1.1"), _START),
    OwnDeviation("two spaces", _line(b"GET  /device HTTP/1.1"), _START),
    OwnDeviation("space at the end", _line(b"GET /device HTTP/1.1 "), _START),
    OwnDeviation("tabs in the request line", _line(b"GET\t/device\tHTTP/1.1"), _START),
    OwnDeviation("no version of HTTP", _line(b"GET /device"), _START),
    OwnDeviation("HTTP/2.0", _line(b"GET /device HTTP/2.0"), "unsupported HTTP version"),
    OwnDeviation("space at the beginning", b" " + WHOLE, "space before the request line"),
    OwnDeviation("byte order mark", b"\xef\xbb\xbf" + WHOLE, "byte order mark"),
    OwnDeviation(
        "UTF-8 in the path", _line("GET /é HTTP/1.1".encode()), "invalid request line: char"
    ),
    OwnDeviation("./ in the target", _line(b"GET ./a HTTP/1.1"), "invalid request target"),
    OwnDeviation("CR only", WHOLE.replace(b"\r\n", b"\r"), "bare CR in the head"),
    OwnDeviation("CR CR LF", WHOLE.replace(b"\r\n", b"\r\r\n"), "bare CR in the head"),
    OwnDeviation("LF CR", WHOLE.replace(b"\r\n", b"\n\r"), "bare LF at the end of a header line"),
    OwnDeviation("space before a colon", _field(b"Host : example.com"), "space before the colon"),
    OwnDeviation("line without a colon", _field(b"garbage"), "header line without a colon"),
    OwnDeviation("no name", _field(b": a"), "header field without a name"),
    OwnDeviation("zero byte in a field", _field(b"A: b\0c"), "invalid header field"),
    OwnDeviation("body", _field(b"Content-Length: 5") + b"hello", "unexpected Content-Length"),
    OwnDeviation("chunks", _field(b"Transfer-Encoding: chunked"), "unexpected Transfer-Encoding"),
    OwnDeviation("no version", _without(b"Sec-WebSocket-Version"), "missing Sec-WebSocket-Version"),
    OwnDeviation(
        "version 14", _field(b"Sec-WebSocket-Version: 14"), "unsupported Sec-WebSocket-Version"
    ),
    OwnDeviation(
        "two versions", _field(b"Sec-WebSocket-Version: 13, 8"), "unsupported Sec-WebSocket-Version"
    ),
    OwnDeviation("version twice", _field(VERSION, VERSION), "duplicate sec-websocket-version"),
    OwnDeviation("key twice", _field(KEY, KEY), "duplicate sec-websocket-key"),
    OwnDeviation("empty key", _field(b"Sec-WebSocket-Key:"), _SHORT),
    OwnDeviation("space in a key", _field(KEY[:-5] + b" " + KEY[-5:]), _SHORT),
    OwnDeviation("websockets", _field(b"Upgrade: websockets"), _UPGRADE),
    OwnDeviation("quoted Upgrade", _field(b'Upgrade: "websocket"'), _UPGRADE),
    OwnDeviation(
        "no Upgrade, no key",
        _without(b"Upgrade", b"Sec-WebSocket-Key"),
        "Sec-WebSocket-Version without 'Upgrade: websocket'",
    ),
    OwnDeviation("Host with a scheme", _field(b"Host: ws://example.com"), "invalid Host"),
    OwnDeviation("Host with a path", _field(b"Host: example.com/device"), "invalid Host"),
    OwnDeviation("bare IPv6", _field(b"Host: 2001:db8::1"), "invalid Host"),
    OwnDeviation("two hosts", _field(b"Host: a", b"Host: b"), "duplicate host"),
    OwnDeviation("UTF-8 in Origin", _field("Origin: http://é".encode()), "invalid origin"),
    OwnDeviation("keys of two dialects", _field(_KEY1), "ambiguous handshake"),
)
"""Requests."""


def _frame(first: int, payload: bytes) -> bytes:
    """A frame with this first byte, opcode and FIN."""
    return modern_frame(first & 0x0F, payload, final=first >= 0x80, key=MASK)


def _sends(*frames: bytes) -> bytes:
    return WHOLE + b"".join(frames)


_CLOSED: Final = "invalid close code"
OF_FRAMES: Final = (
    OwnDeviation("a frame too early", _sends(_frame(0x81, b"hi")), IN),
    OwnDeviation("code in the wrong order", _sends(_frame(0x88, b"\xe8\3")), _CLOSED, "goodbyes"),
    OwnDeviation("code 1005", _sends(_frame(0x88, b"\3\xed")), _CLOSED, "goodbyes"),
    OwnDeviation("words without a code", _sends(_frame(0x88, b"bye")), _CLOSED, "goodbyes"),
    OwnDeviation("opcode 3", _sends(_frame(0x83, b"hi")), "unknown opcode 0x3"),
    OwnDeviation("text without frames", _sends(b'{"a": 1}\n'), "unknown opcode 0xb"),
    OwnDeviation(
        "continuation first",
        _sends(_frame(0x80, b"hi")),
        "unexpected continuation frame",
    ),
    OwnDeviation("ping in fragments", _sends(_frame(0x09, b"")), "fragmented control frame"),
    OwnDeviation("never final", _sends(2 * _frame(0x01, b"a")), "expected a continuation"),
    OwnDeviation(
        "a negative length", _sends(b"\x82\xff\x80" + bytes(7) + MASK), "the most significant bit"
    ),
    OwnDeviation(
        "a huge frame",
        _sends(b"\x82\xff" + bytes(3) + b"\1" + bytes(4) + MASK),
        "frame of 4,294,967,296",
    ),
)
"""Frames behind a valid request."""
