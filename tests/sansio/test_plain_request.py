"""Plain requests, read in C: the offers are those that the Python files of the handshake read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.c_extension import compiled_request
from support.deviations import ITEMS
from support.handshake_bytes import KEY3, request
from support.plain_requests import (
    BROWSER,
    KEYED,
    LIMITS,
    MODERN,
    Read,
    changed_request,
    check,
    plain,
    reference,
)
from support.vectors import VECTORS
from txhixie.sansio.dialects import DIALECTS, Dialect, named
from txhixie.sansio.limits import Limits
from txhixie.sansio.plain_request import READ_UPGRADE, read_plain

HEADS = Path(__file__).parents[1] / "data" / "heads"


def keyed(key: bytes) -> bytes:
    """A request of hixie-76 with another first key."""
    return KEYED.replace(b"12998 5 Y3 1  .P00", key)


PLAIN = {
    "a browser": BROWSER,
    "RFC 6455": MODERN,
    "hixie-76": KEYED,
    "hixie-76 without key3": request("hixie-76"),
    "extensions in hixie-76": request("hixie-76", "Sec-WebSocket-Extensions: a"),
    "a number of 32 bits": keyed(b"a4294967295 z"),
    "a key of 13 digits": keyed(b"000000000000 1"),
    "as many spaces as the number": keyed(b"3   x"),
    "a key outside ASCII": keyed(b"\xff1 \x80"),
    "frames after the head": MODERN + b"\x81\x80abcd",
    "without an origin": request("rfc6455", origin=None),
    "an empty origin": request("rfc6455", origin=""),
    "an origin that is a word": request("rfc6455", origin="my device"),
    "names in capitals": MODERN.upper().replace(b"DGHLIHNHBXBSZSBUB25JZQ==", b"A" * 22 + b"=="),
    "an IPv6 host": request("rfc6455", host="[::1]:80"),
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
    "a key without digits": keyed(b"a b"),
    "a key with a remainder": keyed(b"1 0 1"),
    "a number of 33 bits": keyed(b"4294967296 "),
    "a key of 14 digits": keyed(b"0000000000000 1"),
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


def read_in_C(
    data: bytes, limits: Limits = LIMITS, spoken: tuple[Dialect, ...] = DIALECTS
) -> Read | None:
    """What the module of this checkout reads; ``None`` for a request that is not plain."""
    return plain(data, compiled_request().read_upgrade, limits, spoken)


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_request_is_read_in_C(name: str) -> None:
    data = PLAIN[name]
    found = read_in_C(data)
    assert found is not None
    assert found == reference(data)


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_any_other_request_is_left_to_python(name: str) -> None:
    assert read_in_C(NOT_PLAIN[name]) is None


@pytest.mark.parametrize("data", CORPUS)
def test_both_read_the_same_of_all_samples(data: bytes) -> None:
    """Offers and errors: of the vectors, of deviating clients, and of attacks."""
    check(data, compiled_request().read_upgrade)


@given(st.lists(st.sampled_from([b"0", b"1", b"7", b"9", b" ", b"x", b"\xb2"]), max_size=24))
def test_both_read_the_same_of_each_key(key: list[bytes]) -> None:
    check(keyed(b"".join(key)), compiled_request().read_upgrade)


@pytest.mark.parametrize("data", [BROWSER, KEYED])
def test_both_have_the_same_limits(data: bytes) -> None:
    head = data.removesuffix(KEY3)
    count = head.count(b"\r\n") - 2
    for size in (len(head) - 1, len(head), len(head) + 1):
        check(data, compiled_request().read_upgrade, replace(LIMITS, head_size=size))
    for fields in (count - 1, count, count + 1):
        check(data, compiled_request().read_upgrade, replace(LIMITS, head_fields=fields))
    assert read_in_C(data, replace(LIMITS, head_size=len(head), head_fields=count)) is not None
    assert read_in_C(data, replace(LIMITS, head_size=len(head) - 1)) is None
    assert read_in_C(data, replace(LIMITS, head_fields=count - 1)) is None


@pytest.mark.parametrize("data", [MODERN, KEYED])
def test_only_the_rows_of_the_table_are_read_in_C(data: bytes) -> None:
    """A server that does not accept the dialect, or another row with its version, is asked."""
    found = read_in_C(data)
    assert found is not None
    row = found[0]
    assert read_in_C(data, spoken=tuple(each for each in DIALECTS if each is not row)) is None
    other = replace(named("hixie-75"), marker=row.marker, handshake=named("hybi-08").handshake)
    assert read_in_C(data, spoken=(other,)) is None


def test_without_the_module_nothing_is_plain() -> None:
    assert read_plain(MODERN, LIMITS, DIALECTS, False, None) is None
    assert READ_UPGRADE is None or read_plain(MODERN, LIMITS, DIALECTS, False) is not None


def test_a_wrong_argument_is_an_error() -> None:
    read_upgrade = compiled_request().read_upgrade
    for arguments in [(), (MODERN, 1), (bytearray(MODERN), 1000, 10), (MODERN, "a", 1)]:
        with pytest.raises(TypeError):
            read_upgrade(*arguments)


@given(st.randoms(use_true_random=False))
def test_both_read_the_same_of_changed_requests(random: Random) -> None:
    check(changed_request(random), compiled_request().read_upgrade)
