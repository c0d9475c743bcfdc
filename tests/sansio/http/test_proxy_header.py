"""The PROXY protocol header, versions 1 and 2."""

from __future__ import annotations

import re
import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import Chunks, same_every_way
from support.held_bytes import kept
from txhixie.errors import MalformedHead
from txhixie.sansio.http.proxy_header import ProxyHeader, ProxyHeaderReader
from txhixie.testing.strategies import deliveries

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4 = bytes([192, 0, 2, 7, 10, 0, 0, 1]) + struct.pack(">HH", 51000, 443)
V4_READ = ProxyHeader(("192.0.2.7", 51000), ("10.0.0.1", 443))
V6 = IPv6Address("2001:db8::7").packed + IPv6Address("::1").packed + struct.pack(">HH", 1, 65535)
V6_READ = ProxyHeader(("2001:db8::7", 1), ("::1", 65535))
UNIX = b"/run/client".ljust(108, b"\0") + b"/run/server".ljust(108, b"\0")
NOTHING = ProxyHeader()
TLV = b"\x02\x00\x0bexample.com" + b"\x04\x00\x03\0\0\0"


def block(family: int, addresses: bytes, command: int = 0x21) -> bytes:
    return SIGNATURE + struct.pack(">BBH", command, family, len(addresses)) + addresses


HEADERS = [
    (b"PROXY TCP4 192.0.2.7 10.0.0.1 51000 443\r\n", V4_READ),
    (b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\n", V6_READ),
    (b"PROXY TCP6 2001:DB8:0::7 0:0:0:0:0:0:0:1 1 65535\r\n", V6_READ),
    (b"PROXY UNKNOWN\r\n", NOTHING),
    (b"PROXY UNKNOWN ffff:f...f:ffff anything 65535\r\n", NOTHING),
    (block(0x11, V4), V4_READ),
    (block(0x11, V4 + TLV), V4_READ),
    (block(0x21, V6), V6_READ),
    (block(0x21, V6 + bytes(65535 - 36)), V6_READ),
    (block(0x31, UNIX), ProxyHeader(b"/run/client", b"/run/server")),
    (block(0x31, bytes(216)), ProxyHeader(b"", b"")),
    (block(0x00, b""), NOTHING),  # UNSPEC
    (block(0x00, b"whatever"), NOTHING),
    (block(0x12, V4), NOTHING),  # datagrams: we are no such thing
    (block(0x99, b"x"), NOTHING),
    (block(0x00, b"", 0x20), NOTHING),  # LOCAL
    (block(0x11, V4, 0x20), NOTHING),  # LOCAL: the addresses are to be ignored
    (block(0x11, b"", 0x20), NOTHING),
]


def read(chunks: Chunks) -> tuple[ProxyHeader, bytes] | None:
    """The header that a reader finds in a delivery, and the bytes behind it."""
    reader, result, rest = ProxyHeaderReader(), None, b""
    for chunk in chunks:
        if result is None:
            found = reader.read(chunk)
            if found is not None:
                result, rest = found
        else:
            rest += chunk
    return None if result is None else (result, rest)


@pytest.mark.parametrize(("header", "expected"), HEADERS)
@pytest.mark.parametrize("tail", [b"", b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 \r\n", b"\r\n\0"])
def test_a_header_is_read_however_it_comes(
    header: bytes, expected: ProxyHeader, tail: bytes
) -> None:
    """Whole, byte by byte, and with what follows it already there: a first read of a single byte is
    a first read."""
    assert same_every_way(read, header, tail) == (expected, tail)


@given(st.data(), st.binary(max_size=40))
def test_a_header_is_read_for_any_cuts_of_the_reads(data: st.DataObject, tail: bytes) -> None:
    header, expected = data.draw(st.sampled_from(HEADERS[:8]))
    assert read(data.draw(deliveries(header + tail))) == (expected, tail)


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 65535), st.integers(0, 65535))
def test_both_versions_say_the_same(
    source: IPv4Address, destination: IPv4Address, first: int, second: int
) -> None:
    line = f"PROXY TCP4 {source} {destination} {first} {second}\r\n".encode()
    packed = source.packed + destination.packed + struct.pack(">HH", first, second)
    expected = ProxyHeader((str(source), first), (str(destination), second))
    assert read([line]) == read([block(0x11, packed)]) == (expected, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"P\r\n",
        b"PROXY\r\n",
        b"PROXY  TCP4 192.0.2.7 10.0.0.1 51000 443\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 51000\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 51000 443 \r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 51000 65536\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 051000 443\r\n",
        b"PROXY TCP4 192.0.2.07 10.0.0.1 51000 443\r\n",
        b"PROXY TCP4 ::1 ::1 51000 443\r\n",
        b"PROXY TCP6 192.0.2.7 10.0.0.1 51000 443\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 51000 443\r\n",
        b"PROXY UDP4 192.0.2.7 10.0.0.1 51000 443\r\n",
        b"PROXY UNKNOWNX\r\n",
        b"PROXY " + b"x" * 101,
        b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n",
        b"proxy tcp4 192.0.2.7 10.0.0.1 51000 443\r\n",
        SIGNATURE[:-1] + b"X",
        block(0x11, V4, 0x11),
        block(0x11, V4, 0x22),
        block(0x11, V4[:-1]),
        block(0x21, V4),
        block(0x31, UNIX[:-1]),
    ],
)
def test_a_malformed_header_is_refused_for_any_cuts_of_the_reads(data: bytes) -> None:
    def refused(chunks: Chunks) -> str:
        with pytest.raises(MalformedHead) as raised:
            read(chunks)
        return re.sub("[^a-z ]", "", str(raised.value).lower())

    assert same_every_way(refused, data)


def test_a_line_without_an_end_is_not_kept() -> None:
    """A client that gets this far is the sender's own, but a bound is a bound."""
    reader = ProxyHeaderReader()
    with pytest.raises(MalformedHead):
        for _ in range(200):
            reader.read(b"PROXY "[:6] if not kept(reader) else b"x")
    assert kept(reader) <= 107


def test_the_bytes_of_a_header_are_discarded_after_it() -> None:
    reader = ProxyHeaderReader()
    assert reader.read(block(0x21, V6 + bytes(1000))) is not None
    assert kept(reader) == 0
