"""Requests of handshakes that are plain or nearly so, and a comparison of both readers.

A request in two reads is never plain. So the Python files read it, and are the reference.
"""

from __future__ import annotations

from dataclasses import astuple
from random import Random
from typing import Any, TypeAlias

from support.handshake_bytes import request, whole_request
from txhixie.sansio.dialects import DIALECTS, Dialect
from txhixie.sansio.errors import HandshakeError
from txhixie.sansio.handshake.offer import Offer
from txhixie.sansio.http.head import Head
from txhixie.sansio.limits import Limits
from txhixie.sansio.opening import ServerOpening
from txhixie.sansio.plain_request import ReadUpgrade, read_plain

Read: TypeAlias = "tuple[Dialect, tuple[Any, ...], bytes]"
"""A dialect, the attributes of an offer, and the bytes after the head."""

LIMITS = Limits()
EARLY = ("EarlyBytes", "data received before the handshake completed")

BROWSER = (
    b"GET /chat?room=1 HTTP/1.1\r\nHost: example.com:8080\r\nConnection: keep-alive, Upgrade\r\n"
    b"Pragma: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nUpgrade: websocket\r\n"
    b"Origin: http://example.com\r\nSec-WebSocket-Version: 13\r\n"
    b"Accept-Language: en-GB,en;q=0.9\r\nCookie: a=b; c=\xe9\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Protocol: chat, superchat,chat\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
MODERN = request("rfc6455")
KEYED = whole_request("hixie-76")

_LINES = [
    *(line for data in (BROWSER, KEYED) for line in data.split(b"\r\n")),
    *(b"Upgrade:", b"Connection:close", b"Host: a:", b"Origin:  null ", b"Content-Length: 8", b":"),
    *(b"sec-websocket-version:13", b"Sec-WebSocket-Key1: 3 0", b"Sec-WebSocket-Key2: 3 0", b" "),
]


def changed_request(random: Random) -> bytes:
    """A plain request after up to three changes of its bytes and lines."""
    data = random.choice((BROWSER, MODERN, KEYED))
    for _ in range(random.randrange(4)):
        data = _changed(random, data)
    return data


def _changed(random: Random, data: bytes) -> bytes:
    at, lines = random.randrange(len(data) + 1), data.split(b"\r\n")
    line, other = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.randrange(6)
    if kind == 0:
        return data[:at] + bytes((random.randrange(256),)) + data[at + 1 :]
    if kind == 1:
        return data[:at] + data[at + random.randrange(1, 40) :]
    if kind == 2:
        return data[:at] + random.choice((b" ", b"\t", b",", b":", b"\r\n", b"\n")) + data[at:]
    if kind == 3:
        lines.insert(line, random.choice(_LINES))
    elif kind == 4:
        del lines[line]
    else:
        lines[line], lines[other] = lines[other], lines[line]
    return b"\r\n".join(lines)


def plain(
    data: bytes,
    read_upgrade: ReadUpgrade,
    limits: Limits = LIMITS,
    spoken: tuple[Dialect, ...] = DIALECTS,
) -> Read | None:
    """What a function in C reads; ``None`` for a request that is not plain."""
    found = read_plain(data, limits, spoken, True, read_upgrade)
    if found is None:
        return None
    dialect, offer, rest = found
    return dialect, _attributes(offer), rest


def _attributes(offer: Offer) -> tuple[Any, ...]:
    assert type(offer.head) is Head
    return astuple(offer)


def _received(limits: Limits, *pieces: bytes) -> Read | tuple[str, str] | None:
    """What an opening makes of these reads: an offer or an error; ``None`` for ordinary HTTP."""
    opening = ServerOpening(DIALECTS, limits, True)
    found: object = None
    try:
        for piece in pieces:
            found = opening.receive(piece)
    except HandshakeError as error:
        return type(error).__name__, str(error)
    if not isinstance(found, Offer):
        return None
    return opening.dialect, _attributes(found), opening.rest


def reference(data: bytes, limits: Limits = LIMITS) -> Read | tuple[str, str] | None:
    """What the Python files read: the request comes in two reads."""
    return _received(limits, data[:1], data[1:])


def check(data: bytes, read_upgrade: ReadUpgrade, limits: Limits = LIMITS) -> None:
    """
    A request that is plain has the offer of the reference, alone and in an opening.

    A refused request has another error where its first byte comes alone: "this is not HTTP".
    """
    expected = reference(data, limits)
    whole = _received(limits, data)
    found = plain(data, read_upgrade, limits)
    if found is not None:
        assert found[1][7] + found[2] == data
        assert whole == expected
        assert expected in (found, EARLY)
    elif expected is not None and isinstance(expected[0], Dialect):
        assert whole == expected
    else:
        assert (whole is None) is (expected is None)
