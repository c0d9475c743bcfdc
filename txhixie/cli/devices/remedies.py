"""Remedies for deviations that no quirk lets in, by the errors of a server."""

from __future__ import annotations

from typing import Final, NamedTuple

from .deviation import Deviation


class Remedy(NamedTuple):
    """
    A row of the table.

    :ivar error: the beginning of an error of a server.
    :ivar section: the section of the specification from which the client deviates.
    :ivar change: what to change; with ``allow``, why this is off by default.
    :ivar allow: the option of a route for such clients; usually empty.
    """

    error: str
    section: str
    change: str
    allow: str = ""


_FIRMWARE: Final = "correct the device's software"
_TUNNEL: Final = (
    "let the proxy tunnel, or use wss:, which the proxy cannot read; without a proxy, have the "
    "device send Upgrade: websocket"
)

OF_REQUESTS: Final = (
    Remedy(
        "this is not HTTP: a TLS handshake",
        "",
        "give this port TLS (ssl:PORT:privateKey=FILE:certKey=FILE instead of PORT), or set the "
        "device to ws:// instead of wss://",
    ),
    Remedy(
        "this is not HTTP: Flash asks",
        "",
        "a Flash player asks for a policy file before it connects: name the hosts of its pages "
        "with --flash-policy of the daemon",
    ),
    Remedy(
        "unexpected PROXY protocol header",
        "",
        "a reverse proxy sends a header of the PROXY protocol: name its address with "
        "--proxy-protocol of the daemon",
    ),
    Remedy(
        "this is not HTTP",
        "RFC 6455 section 4.1",
        "the client speaks another protocol: check the port and the URL that it is set to",
    ),
    Remedy(
        "bare LF",
        "RFC 9112 section 2.1",
        "end each line of the request with CR LF; a bare LF ends a line for some proxies and not "
        "for others, by which requests are smuggled",
    ),
    Remedy("bare CR", "RFC 9112 section 2.2", "end each line of the request with CR LF"),
    Remedy(
        "byte order mark",
        "RFC 9112 section 3",
        "leave the bytes EF BB BF out, which an editor has put at the beginning of a text",
    ),
    Remedy("space before the request line", "RFC 9112 section 3", "begin the request with GET"),
    Remedy(
        "space before the colon",
        "",
        "write the name of the field and the colon without a space between them",
    ),
    Remedy(
        "header line without a colon",
        "",
        "write each field as 'Name: value'; an empty line ends the head",
    ),
    Remedy("header field without a name", "RFC 9112 section 5", "write a name before the colon"),
    Remedy(
        "folded header field",
        "",
        "write each field in one line; a proxy may read a folded field as two",
    ),
    Remedy(
        "invalid header field",
        "RFC 9112 section 5",
        "leave control characters out of the fields, such as a zero byte",
    ),
    Remedy(
        "invalid request line: space",
        "RFC 9112 section 3.2",
        "write a space in the path or the query as %20",
    ),
    Remedy(
        "invalid request line: character",
        "RFC 3986 section 2.1",
        "write the path and the query percent-encoded, each byte of UTF-8 as %XX",
    ),
    Remedy(
        "invalid request line: expected",
        "RFC 9112 section 3",
        "write the first line as 'GET /PATH HTTP/1.1', with one space between the parts",
    ),
    Remedy(
        "unsupported HTTP version",
        "RFC 6455 section 4.1",
        "write the first line as 'GET /PATH HTTP/1.1'",
    ),
    Remedy(
        "upgrade request in HTTP/1.0",
        "RFC 6455 section 4.1",
        "have the device or the reverse proxy send HTTP/1.1",
    ),
    Remedy("Sec-WebSocket-Key without", "RFC 6455 section 4.1", _TUNNEL),
    Remedy("Sec-WebSocket-Key1 without", "hixie-76 section 4.1", _TUNNEL),
    Remedy("Sec-WebSocket-Version without", "RFC 6455 section 4.1", _TUNNEL),
    Remedy(
        "WebSocket request with another Upgrade",
        "",
        "send Upgrade: websocket, without quotation marks and without a version",
    ),
    Remedy("WebSocket request with another method", "", "write the method as GET"),
    Remedy(
        "polling request of Socket.IO",
        "",
        "connect with a plain WebSocket client, or run a Socket.IO server",
    ),
    Remedy(
        "size of the head",
        "RFC 6585 section 5",
        "send less in the header fields, such as fewer cookies",
    ),
    Remedy("number of fields", "RFC 6585 section 5", "send fewer header fields"),
    Remedy(
        "duplicate host",
        "RFC 9112 section 3.2",
        "send one Host; of two that differ, each proxy may take another",
    ),
    Remedy(
        "duplicate",
        "RFC 9110 section 5.3",
        "send the field once",
    ),
    Remedy(
        "ambiguous handshake",
        "",
        "send the fields of one dialect only; those of RFC 6455 are Sec-WebSocket-Key and "
        "Sec-WebSocket-Version: 13",
    ),
    Remedy(
        "unexpected Content-Length",
        "RFC 6455 section 4.1",
        "a handshake has no body: leave Content-Length out",
    ),
    Remedy(
        "unexpected Transfer-Encoding",
        "RFC 6455 section 4.1",
        "a handshake has no body: leave Transfer-Encoding out",
    ),
    Remedy(
        "missing Sec-WebSocket-Version",
        "RFC 6455 section 4.1",
        "send Sec-WebSocket-Version: 13",
    ),
    Remedy(
        "unsupported Sec-WebSocket-Version",
        "RFC 6455 section 4.4",
        "send Sec-WebSocket-Version: 13; 7 and 8 are supported too",
    ),
    Remedy(
        "unsupported Sec-WebSocket-Draft",
        "",
        "leave Sec-WebSocket-Draft out, or use a client of RFC 6455",
    ),
    Remedy(
        "missing Sec-WebSocket-Key1",
        "hixie-76 section 4.1",
        "send both keys, Sec-WebSocket-Key1 and Sec-WebSocket-Key2",
    ),
    Remedy(
        "missing Sec-WebSocket-Key",
        "RFC 6455 section 4.1",
        "send Sec-WebSocket-Key: 16 random bytes in base64",
    ),
    Remedy(
        "Sec-WebSocket-Key1 or Sec-WebSocket-Key2",
        "hixie-76 section 4.1",
        "make the keys as hixie-76 section 4.1 says, or use a client of RFC 6455",
    ),
    Remedy(
        "invalid Sec-WebSocket-Key1",
        "hixie-76 section 4.1",
        "make the keys as hixie-76 section 4.1 says, or use a client of RFC 6455",
    ),
    Remedy(
        "Sec-WebSocket-Key is not 16 bytes",
        "RFC 6455 section 4.1",
        "send 16 random bytes in base64; quirks=key lets in 1 to 128 visible characters",
    ),
    Remedy(
        "missing Host",
        "RFC 9112 section 3.2",
        "send Host: the name of the server, and its port; quirks=host lets in a request without "
        "Host and without Origin",
    ),
    Remedy(
        "invalid Host",
        "RFC 9112 section 3.2",
        "write Host as a name or an address, with a port of digits; an IPv6 address in brackets",
    ),
    Remedy(
        "invalid origin",
        "RFC 6454 section 7",
        "write the host of the Origin in ASCII (Punycode), or leave the field out",
    ),
    Remedy(
        "invalid request target",
        "RFC 6455 section 4.1",
        "write the first line as 'GET /PATH HTTP/1.1'",
    ),
    Remedy(
        "invalid Sec-WebSocket-Protocol",
        "RFC 6455 section 4.1",
        "write the subprotocols with commas between them: letters, digits, and no spaces",
    ),
    Remedy(
        "expected 'Upgrade: WebSocket'",
        "hixie-75 section 4.1",
        "write these fields as hixie-75 does, or use a client of RFC 6455",
    ),
    Remedy(
        "a request for a page",
        "RFC 6455 section 4.1",
        "send Upgrade: websocket, Connection: Upgrade, Sec-WebSocket-Key and "
        "Sec-WebSocket-Version: 13",
    ),
    Remedy(
        "the head of the request has no end",
        "",
        "end the head with an empty line: CR LF CR LF",
    ),
    Remedy(
        "the eight bytes after the head",
        "",
        "the client has not sent them, or a proxy has kept them: let the proxy tunnel, or use wss:",
    ),
    Remedy(
        "data received before the handshake completed",
        "",
        "wait for the response of the server before sending messages",
    ),
)
"""Errors of requests. Of several rows that match, the first counts."""

OF_FRAMES: Final = (
    Remedy(
        "text without frames",
        "RFC 6455 section 5.2",
        "put each message into a frame: " + _FIRMWARE,
    ),
    Remedy(
        "frames of hixie-76",
        "RFC 6455 section 5.2",
        "have the device send frames of RFC 6455, or the request of hixie-76",
    ),
    Remedy(
        "reserved bits must be 0",
        "RFC 6455 section 5.2",
        "the frame is compressed without an agreement, or its sender is out of step: switch the "
        "device's compression off",
    ),
    Remedy(
        "reserved bits of a control frame",
        "RFC 6455 section 5.5",
        "the sender is out of step, or compresses control frames: " + _FIRMWARE,
    ),
    Remedy(
        "RSV1 must be 0",
        "RFC 7692 section 6.1",
        "only the first frame of a message has this bit: switch the device's compression off",
    ),
    Remedy(
        "control frame payload longer",
        "RFC 6455 section 5.5",
        "a ping, pong or close frame has at most 125 bytes, and a longer one is more often a "
        "sender out of step: " + _FIRMWARE,
    ),
    Remedy(
        "fragmented control frame",
        "RFC 6455 section 5.5",
        "send a ping, pong or close as one frame: " + _FIRMWARE,
    ),
    Remedy(
        "unexpected continuation frame",
        "RFC 6455 section 5.4",
        "the first frame of a message has opcode 1 or 2, or its sender is out of step: "
        + _FIRMWARE,
    ),
    Remedy(
        "expected a continuation frame",
        "RFC 6455 section 5.4",
        "finish a fragmented message before the next one: " + _FIRMWARE,
    ),
    Remedy(
        "unknown opcode",
        "RFC 6455 section 5.2",
        "the sender is out of step, or speaks another protocol: " + _FIRMWARE,
    ),
    Remedy(
        "unknown frame type",
        "hixie-76 section 4.2",
        "the sender is out of step, or speaks another protocol: " + _FIRMWARE,
    ),
    Remedy(
        "the most significant bit",
        "RFC 6455 section 5.2",
        "the sender is out of step, or has a signed length: " + _FIRMWARE,
    ),
    Remedy(
        "client frames must be masked",
        "RFC 6455 section 5.1",
        "quirks=masks is never for a request with the Origin of a page: have the device mask its "
        "frames, or leave out its Origin",
    ),
    Remedy(
        "invalid compressed data",
        "RFC 7692 section 7.2",
        "messages to and from the device are not compressed",
        "compression=false",
    ),
    Remedy(
        "frame of",
        "RFC 6455 section 10.4",
        "send shorter messages, or raise --max-message-size of the daemon",
    ),
    Remedy(
        "message of",
        "RFC 6455 section 10.4",
        "send shorter messages, or raise --max-message-size of the daemon",
    ),
    Remedy(
        "no data received within",
        "RFC 6455 section 5.5.2",
        "a device with a stopped program stays connected while its TCP still answers",
        "pings=off",
    ),
)
"""Errors of frames. Of several rows that match, the first counts."""

OF_TLS: Final = (
    Remedy(
        "tlsv1 alert unknown ca",
        "",
        "the device does not trust the certificate: it may have an old list of CAs, or one "
        "certificate that it knows. Use a certificate that it knows, or of a CA that it knows",
    ),
    Remedy(
        "certificate unknown",
        "",
        "the device does not accept the certificate: check its host name and dates, the device's "
        "clock, and the CAs that the device knows",
    ),
    Remedy(
        "bad certificate",
        "",
        "the device does not accept the certificate: check its host name and dates, the device's "
        "clock, and the CAs that the device knows",
    ),
    Remedy(
        "certificate expired",
        "",
        "the certificate is expired by the clock of the device: renew it, or correct the clock",
    ),
    Remedy(
        "http request",
        "",
        "the device speaks ws:// to a port with TLS: set it to wss://, or use a port without TLS",
    ),
    Remedy(
        "unsupported protocol",
        "RFC 8996",
        "the device speaks TLS 1.1 or older only: have HAProxy or stunnel speak it, in front of "
        "the daemon",
    ),
    Remedy(
        "no shared cipher",
        "",
        "the device and this port have no cipher suite in common: try a certificate with an RSA "
        "key, or have HAProxy or stunnel speak TLS in front of the daemon",
    ),
    Remedy(
        "wrong version number",
        "",
        "the device does not speak TLS: use a port without TLS, or check the device's port",
    ),
)
"""Reasons of a TLS handshake that failed, as OpenSSL gives them; each may be a part of the text."""


def request_deviation(error: str) -> Deviation:
    """Return the deviation of a request that a server refuses with an error."""
    return _found(OF_REQUESTS, "request", error)


def frame_deviation(error: str) -> Deviation:
    """Return the deviation of frames after which a server ends the conversation."""
    return _found(OF_FRAMES, "frames", error)


def tls_deviation(reason: str) -> Deviation:
    """Return the deviation of a client after a TLS handshake that failed."""
    text = f"TLS handshake failed: {reason}"
    for row in OF_TLS:
        if row.error in reason:
            return _deviation(row, "tls", text)
    return Deviation("tls", text, remedy="check the TLS versions and the CAs of the device")


def _found(rows: tuple[Remedy, ...], stage: str, error: str) -> Deviation:
    for row in rows:
        if error.startswith(row.error):
            return _deviation(row, stage, error)
    return Deviation(stage, error, remedy=_FIRMWARE)


def _deviation(row: Remedy, stage: str, text: str) -> Deviation:
    if row.section and "section" not in text:
        text = f"{text} ({row.section})"
    if row.allow:
        return Deviation(stage, text, row.allow, row.change)
    return Deviation(stage, text, remedy=row.change)
