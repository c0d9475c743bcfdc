"""Plain requests, read in C: the same offers as those that the Python files of the handshake read.

A request in two reads is never plain. So the Python files read it, and are the reference.
"""

from __future__ import annotations

from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.c_extension import compiled_request
from support.deviations import ITEMS
from support.handshake_bytes import KEY3, request, whole_request
from support.vectors import VECTORS
from txhixie.sansio.dialects import DIALECTS, Dialect, named
from txhixie.sansio.errors import HandshakeError
from txhixie.sansio.handshake.offer import Offer
from txhixie.sansio.http.head import Head
from txhixie.sansio.limits import Limits
from txhixie.sansio.opening import ServerOpening
from txhixie.sansio.plain_request import READ_UPGRADE, read_plain

LIMITS = Limits()
EARLY = ("EarlyBytes", "data received before the handshake completed")
HEADS = Path(__file__).parents[1] / "data" / "heads"

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

PLAIN = {
    "a browser": BROWSER,
    "RFC 6455": MODERN,
    "hixie-76": KEYED,
    "hixie-76 without key3": request("hixie-76"),
    "frames after the head": MODERN + b"\x81\x80abcd",
    "without an origin": request("rfc6455", origin=None),
    "an empty origin": request("rfc6455", origin=""),
    "an origin that is a word": request("rfc6455", origin="my device"),
    "names in capitals": MODERN.upper().replace(b"DGHLIHNHBXBSZSBUB25JZQ==", b"A" * 22 + b"=="),
    "tabs around values": MODERN.replace(b": ", b":\t").replace(b"\r\nHost", b"\t\r\nHost"),
    "Connection twice": request("rfc6455", "Connection: keep-alive"),
    "a subprotocol of no name": request("rfc6455", "Sec-WebSocket-Protocol: ,"),
    "an unknown field twice": request("rfc6455", "X-A: 1", "X-A: 2", "X-Empty:"),
}
NOT_PLAIN = {
    "an incomplete head": MODERN[:-1],
    "another method": MODERN.replace(b"GET", b"PUT"),
    "HTTP/1.0": MODERN.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "a URL as target": MODERN.replace(b"/demo", b"http://example.com/demo"),
    "no WebSocket": b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
    "another Upgrade": MODERN.replace(b"WebSocket\r\n", b"h2c, websocket\r\n"),
    "no Connection": MODERN.replace(b"Connection", b"Connector"),
    "two hosts": request("rfc6455", "Host: example.com"),
    "an IPv6 host": request("rfc6455", host="[::1]:80"),
    "an empty host": request("rfc6455", host=""),
    "a port of six digits": request("rfc6455", host="example.com:123456"),
    "two origins": request("rfc6455", "Origin: null"),
    "an origin outside ASCII": request("rfc6455", origin="http://exampl\xe9.com"),
    "two versions": request("rfc6455", "Sec-WebSocket-Version: 13"),
    "version 8": request("hybi-08"),
    "hixie-75": request("hixie-75"),
    "two lists of subprotocols": request(
        "rfc6455", "Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b"
    ),
    "an invalid subprotocol": request("rfc6455", "Sec-WebSocket-Protocol: a b"),
    "an invalid extension": request("rfc6455", "Sec-WebSocket-Extensions: a;;"),
    "a key of 15 bytes": MODERN.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25j"),
    "bits behind a key": MODERN.replace(b"jZQ==", b"jZR=="),
    "keys of two dialects": request("rfc6455", "Sec-WebSocket-Key1: 1 2"),
    "one key of two": request("hixie-76").replace(b"Key2", b"Key3"),
    "a key without spaces": request("hixie-76").replace(b"12998 5 Y3 1  .P00", b"1299853100"),
    "a subprotocol of hixie-76": request("hixie-76", "Sec-WebSocket-Protocol: a"),
    "a subprotocol of hixie-75": request("hixie-76", "WebSocket-Protocol: a"),
    "a draft": request("hixie-76", "Sec-WebSocket-Draft: 2"),
    "a length": request("rfc6455", "Content-Length: 0"),
    "a coded body": request("rfc6455", "Transfer-Encoding: chunked"),
    "a folded field": MODERN.replace(b"\r\nHost", b"\r\n folded\r\nHost"),
    "a field without a name": request("rfc6455", ": a"),
    "a bare line feed": MODERN.replace(b"\r\nHost", b"\nHost"),
    "a zero byte": request("rfc6455", "X: \0"),
    "an empty line first": b"\r\n" + MODERN,
}

CORPUS = [
    *PLAIN.values(),
    *NOT_PLAIN.values(),
    *(bytes.fromhex(item["request"]) for item in VECTORS["handshakes"] + VECTORS["negotiation"]),
    *(bytes.fromhex(item["data"]) for item in VECTORS["detect"]),
    *(path.read_bytes() for path in sorted(HEADS.glob("*.bin"))),
    *(
        item["sends"].encode("latin-1")
        for item in ITEMS
        if item["where"] == "request" and item.get("sends")
    ),
]


def plain(
    data: bytes, limits: Limits = LIMITS, spoken: tuple[Dialect, ...] = DIALECTS
) -> tuple[Any, ...] | None:
    """What the module in C reads; ``None`` for a request that is not plain."""
    found = read_plain(data, limits, spoken, True, compiled_request().read_upgrade)
    if found is None:
        return None
    dialect, offer, rest = found
    return dialect, offer_of(offer), rest


def offer_of(offer: Offer) -> tuple[Any, ...]:
    """All attributes of an offer."""
    assert type(offer.head) is Head
    return astuple(offer)


def read(
    opening: ServerOpening, *pieces: bytes
) -> tuple[Dialect, tuple[Any, ...], bytes] | tuple[str, str] | None:
    """What an opening makes of these reads: an offer or an error; ``None`` for ordinary HTTP."""
    found: object = None
    try:
        for piece in pieces:
            found = opening.receive(piece)
    except HandshakeError as error:
        return type(error).__name__, str(error)
    if not isinstance(found, Offer):
        return None
    return opening.dialect, offer_of(found), opening.rest


def reference(
    data: bytes, limits: Limits = LIMITS, spoken: tuple[Dialect, ...] = DIALECTS
) -> object:
    """What the Python files read: the request comes in two reads."""
    return read(ServerOpening(spoken, limits, True), data[:1], data[1:])


def check(data: bytes, limits: Limits = LIMITS) -> None:
    """
    A request that is plain has the offer of the reference, alone and in an opening.

    A refused request has another error where its first byte comes alone: "this is not HTTP".
    """
    expected = reference(data, limits)
    whole = read(ServerOpening(DIALECTS, limits, True), data)
    found = plain(data, limits)
    if found is not None:
        assert found[1][7] + found[2] == data
        assert whole == expected
        assert expected in (found, EARLY)
    elif isinstance(expected, tuple) and isinstance(expected[0], Dialect):
        assert whole == expected
    else:
        assert (whole is None) is (expected is None)


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_request_is_read_in_C(name: str) -> None:
    data = PLAIN[name]
    found = plain(data)
    assert found is not None
    assert found == reference(data)


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_any_other_request_is_left_to_python(name: str) -> None:
    assert plain(NOT_PLAIN[name]) is None


@pytest.mark.parametrize("data", CORPUS)
def test_both_read_the_same_of_all_samples(data: bytes) -> None:
    """Offers and errors: of the vectors, of deviating clients, and of attacks."""
    check(data)


@pytest.mark.parametrize("data", [BROWSER, KEYED])
def test_both_have_the_same_limits(data: bytes) -> None:
    head = data.removesuffix(KEY3)
    count = head.count(b"\r\n") - 2
    for size in (len(head) - 1, len(head), len(head) + 1):
        check(data, replace(LIMITS, head_size=size))
    for fields in (count - 1, count, count + 1):
        check(data, replace(LIMITS, head_fields=fields))
    assert plain(data, replace(LIMITS, head_size=len(head), head_fields=count)) is not None
    assert plain(data, replace(LIMITS, head_size=len(head) - 1)) is None
    assert plain(data, replace(LIMITS, head_fields=count - 1)) is None


@pytest.mark.parametrize("data", [MODERN, KEYED])
def test_only_the_rows_of_the_table_are_read_in_C(data: bytes) -> None:
    """A server that does not accept the dialect, or another row with its version, is asked."""
    row: Dialect = (plain(data) or ())[0]
    assert plain(data, spoken=tuple(each for each in DIALECTS if each is not row)) is None
    other = replace(named("hixie-75"), marker=row.marker, handshake=named("hybi-08").handshake)
    assert plain(data, spoken=(other,)) is None


def test_without_the_module_nothing_is_plain() -> None:
    assert read_plain(MODERN, LIMITS, DIALECTS, False, None) is None
    assert READ_UPGRADE is None or read_plain(MODERN, LIMITS, DIALECTS, False) is not None


def test_a_wrong_argument_is_an_error() -> None:
    read_upgrade = compiled_request().read_upgrade
    for arguments in [(), (MODERN, 1), (bytearray(MODERN), 1000, 10), (MODERN, "a", 1)]:
        with pytest.raises(TypeError):
            read_upgrade(*arguments)


LINES = [
    *{line for data in (BROWSER, KEYED) for line in data.split(b"\r\n")},
    *(b"Upgrade:", b"Connection:close", b"Host: a:", b"Origin:  null ", b"Content-Length: 8", b":"),
    *(b"sec-websocket-version:13", b"Sec-WebSocket-Key1: 3 0", b"Sec-WebSocket-Key2: 3 0", b" "),
]

edits = st.lists(
    st.one_of(
        st.tuples(
            st.just("byte"), st.integers(0, 700), st.integers(0, 255).map(lambda n: bytes([n]))
        ),
        st.tuples(st.just("cut"), st.integers(0, 700), st.integers(1, 40)),
        st.tuples(st.just("line"), st.integers(0, 20), st.sampled_from(LINES)),
        st.tuples(st.just("swap"), st.integers(0, 20), st.integers(0, 20)),
        st.tuples(st.just("drop"), st.integers(1, 20), st.just(0)),
        st.tuples(
            st.just("insert"),
            st.integers(0, 700),
            st.sampled_from([b" ", b"\t", b",", b"\r\n", b"\n"]),
        ),
    ),
    max_size=4,
)


def edited(data: bytes, edits: list[tuple[str, int, Any]]) -> bytes:
    """A request after some changes."""
    for kind, at, what in edits:
        lines = data.split(b"\r\n")
        if kind == "byte":
            data = data[:at] + what + data[at + 1 :]
        elif kind == "cut":
            data = data[:at] + data[at + what :]
        elif kind == "insert":
            data = data[:at] + what + data[at:]
        elif kind == "line":
            data = b"\r\n".join([*lines[:at], what, *lines[at:]])
        elif kind == "drop":
            data = b"\r\n".join(lines[:at] + lines[at + 1 :])
        else:
            one, other = at % len(lines), what % len(lines)
            lines[one], lines[other] = lines[other], lines[one]
            data = b"\r\n".join(lines)
    return data


@given(st.sampled_from([BROWSER, MODERN, KEYED]), edits)
def test_both_read_the_same_of_changed_requests(data: bytes, edits: list[Any]) -> None:
    check(edited(data, edits))
