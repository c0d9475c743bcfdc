"""Forwarded and X-Forwarded-* header fields: read from the right, and only as far as the proxies
are trusted and agree."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.protocol import Factory, Protocol
from twisted.web.resource import Resource
from twisted.web.server import Site

from support import handshake_bytes, log_recorder, network, waiting
from support.applications import Applications
from support.dialect_marks import each
from support.handshake_bytes import head_of, status_of, whole_request
from support.memory_connection import ServerEnd
from txhixie import HixieServerFactory
from txhixie.errors import MalformedHead
from txhixie.sansio.http.forwarded import (
    FORWARDED_FIELDS,
    Forwarded,
    read_forwarded,
    write_forwarded,
)
from txhixie.sansio.http.head import Fields, Head
from txhixie.sansio.http.trusted import TrustedNetworks
from txhixie.web import HixieResource

TRUSTED = TrustedNetworks(["10.0.0.0/8", "fd00::/8"])


def fields(*lines: str) -> Fields:
    return Head(
        ("GET / HTTP/1.1\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode("latin-1")
    ).fields()


def told(*lines: str) -> Forwarded:
    return read_forwarded(fields(*lines), TRUSTED)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], Forwarded()),
        (["X-Forwarded-For: 192.0.2.1"], Forwarded("192.0.2.1")),
        (["X-Forwarded-For: 192.0.2.1:4711"], Forwarded("192.0.2.1", 4711)),
        (["X-Forwarded-For: 2001:db8::1"], Forwarded("2001:db8::1")),
        (["X-Forwarded-For: [2001:db8::1]:80"], Forwarded("2001:db8::1", 80)),
        (["X-Forwarded-For: ::ffff:192.0.2.1"], Forwarded("192.0.2.1")),
        # What the client wrote itself stands on the left.
        (["X-Forwarded-For: 127.0.0.1, 192.0.2.1"], Forwarded("192.0.2.1")),
        (["X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: 192.0.2.1"], Forwarded("192.0.2.1")),
        # A trusted proxy is not the client, if there is another address to its left.
        (["X-Forwarded-For: 1.1.1.1, 192.0.2.1, 10.0.0.5, 10.0.0.6"], Forwarded("192.0.2.1")),
        (["X-Forwarded-For: 10.0.0.5, 10.0.0.6"], Forwarded("10.0.0.5")),
        (["X-Forwarded-For: 192.0.2.1, unknown"], Forwarded()),
        (["X-Forwarded-For: ,"], Forwarded()),
        # A zone identifier is arbitrary text, which a backend would get from us.
        (['X-Forwarded-For: fe80::1%";host=evil.example;x="'], Forwarded()),
        (['Forwarded: for="2001:db8::1%eth0"'], Forwarded()),
        (["X-Forwarded-Proto: https"], Forwarded(secure=True)),
        (["X-Forwarded-Proto: WSS"], Forwarded(secure=True)),
        (["X-Forwarded-Proto: http"], Forwarded(secure=False)),
        (["X-Forwarded-Host: Example.com:8443"], Forwarded(host="Example.com:8443")),
        # One value for each hop, or one that every hop passed on.
        (
            [
                "X-Forwarded-For: 1.1.1.1, 192.0.2.1, 10.0.0.5",
                "X-Forwarded-Proto: http, https, http",
                "X-Forwarded-Host: a.example, b.example, c.example",
            ],
            Forwarded("192.0.2.1", 0, True, "b.example"),
        ),
        (
            ["X-Forwarded-For: 192.0.2.1, 10.0.0.5", "X-Forwarded-Proto: https"],
            Forwarded("192.0.2.1", 0, True),
        ),
        (
            ["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https, http"],
            Forwarded("192.0.2.1", 0, False),
        ),
        (["Forwarded: for=192.0.2.1"], Forwarded("192.0.2.1")),
        (['Forwarded: For="[2001:db8::1]:4711"'], Forwarded("2001:db8::1", 4711)),
        (["Forwarded: for=192.0.2.1:80"], Forwarded("192.0.2.1", 80)),
        (["Forwarded: for=_hidden;proto=https"], Forwarded(secure=True)),
        (["Forwarded: for=unknown, for=10.0.0.5"], Forwarded()),
        (
            ['Forwarded: for=1.1.1.1;proto=http, for=192.0.2.1;proto=https;host="b.example:1"'],
            Forwarded("192.0.2.1", 0, True, "b.example:1"),
        ),
        (
            ["Forwarded: for=192.0.2.1;proto=https", "Forwarded: , for=10.0.0.5;proto=http ;by=x"],
            Forwarded("192.0.2.1", 0, True),
        ),
        (['Forwarded: for=192.0.2.1;by="a;b,c\\"d"'], Forwarded("192.0.2.1")),
        (
            ["Forwarded: for=192.0.2.1;proto=https", "X-Forwarded-For: 192.0.2.1"],
            Forwarded("192.0.2.1", 0, True),
        ),
        (
            ["Forwarded: for=192.0.2.1:80;host=a", "X-Forwarded-For: 192.0.2.1"],
            Forwarded("192.0.2.1", 80, None, "a"),
        ),
    ],
)
def test_the_client_is_the_first_untrusted_address_from_the_right(
    lines: list[str], expected: Forwarded
) -> None:
    assert told(*lines) == expected


@pytest.mark.parametrize(
    "lines",
    [
        # A proxy that writes one kind passes on what a client wrote of the other.
        ["Forwarded: for=1.1.1.1", "X-Forwarded-For: 192.0.2.1"],
        ["Forwarded: for=192.0.2.1;proto=https", "X-Forwarded-Proto: http"],
        ["Forwarded: host=a.example", "X-Forwarded-Host: b.example"],
        ["X-Forwarded-Proto: gopher"],
        ["X-Forwarded-Host: a b"],
        ["X-Forwarded-Host: a/b"],
        ["Forwarded: for"],
        ["Forwarded: for=a b"],
        ['Forwarded: for="a'],
        ["Forwarded: for=1.1.1.1;for=2.2.2.2"],
        ["Forwarded: proto=x"],
        ["Forwarded: host=\xe4"],
    ],
)
def test_contradicting_or_malformed_fields_are_refused(lines: list[str]) -> None:
    with pytest.raises(MalformedHead):
        told(*lines)


@given(st.text('abf=or;,"\\ :[]1.x', max_size=40))
def test_any_fields_are_read_or_refused(value: str) -> None:
    for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"):
        with contextlib.suppress(MalformedHead):
            read_forwarded(Fields([(name.lower().encode(), value.encode())]), TRUSTED)


@given(
    st.ip_addresses().map(str).filter(lambda host: not TRUSTED.has(host)) | st.none(),
    st.booleans(),
    st.sampled_from(["example.com", "example.com:8443", "[::1]:80"]),
)
def test_written_fields_can_be_read(client: str | None, secure: bool, host: str) -> None:
    """All values can be read, and from either kind of fields alone."""
    pairs = [(name.lower(), value) for name, value in write_forwarded(client, secure, host)]
    found = read_forwarded(Fields(pairs), TRUSTED)
    assert found[2:] == (secure, host)
    assert {name for name, _ in pairs} <= FORWARDED_FIELDS
    for kept in ([pairs[-1]], pairs[:-1]):
        assert read_forwarded(Fields(kept), TRUSTED) == found


def test_written_fields_can_be_read_by_others() -> None:
    assert write_forwarded("2001:db8::1", True, "example.com:8443") == (
        (b"X-Forwarded-For", b"2001:db8::1"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Host", b"example.com:8443"),
        (b"Forwarded", b'for="[2001:db8::1]";host="example.com:8443";proto=https'),
    )
    assert write_forwarded(None, False, "a")[-1] == (
        b"Forwarded",
        b'for=unknown;host="a";proto=http',
    )


def test_a_request_without_a_host_has_no_field_of_the_host() -> None:
    assert write_forwarded("192.0.2.7", False, "") == (
        (b"X-Forwarded-For", b"192.0.2.7"),
        (b"X-Forwarded-Proto", b"http"),
        (b"Forwarded", b"for=192.0.2.7;proto=http"),
    )


# On a connection. The peer of one in memory is 192.0.2.1.

PROXY = ("192.0.2.1",)
FORWARDED = (
    "X-Forwarded-For: 203.0.113.9",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: public.example",
)


def end(*lines: str, dialect: str = "hixie-75", **options: Any) -> ServerEnd:
    made = ServerEnd(Applications(), **options)
    made.receive(whole_request(dialect, *lines, origin="https://public.example"))
    return made


@each
def test_fields_of_a_trusted_proxy_are_used(dialect: str, log: log_recorder.Log) -> None:
    """The offer, the location of the response, the origin policy, the log and the transport have
    the address of the client and not that of the proxy."""
    made = end(*FORWARDED, dialect=dialect, trustForwarded=PROXY, logConnections=True)
    answer = head_of(made.wire.written)
    assert status_of(answer) == 101
    assert (b"Location" in answer) == (b"ocation: wss://public.example/demo\r\n" in answer)
    offer = made.protocol.offer
    assert (offer.client, offer.host, offer.secure) == ("203.0.113.9", "public.example", True)
    assert offer.client_port is None  # the proxy's own port is not the client's
    assert made.protocol.getPeer().host == "203.0.113.9"  # type: ignore[attr-defined]  # the address is an IPv4Address
    assert log.lines()[-1].startswith("opened connection=1 peer=203.0.113.9 host=public.example ")
    made.done()


def test_a_port_in_the_fields_of_a_trusted_proxy_is_the_clients() -> None:
    made = end('Forwarded: for="203.0.113.9:4711"', trustForwarded=PROXY)
    offer = made.protocol.offer
    assert (offer.client, offer.client_port) == ("203.0.113.9", 4711)


@pytest.mark.parametrize("trusted", [(), ("192.0.2.2", "10.0.0.0/8", "unix")])
def test_fields_from_any_other_address_are_ignored(trusted: tuple[str, ...]) -> None:
    made = end(*FORWARDED, trustForwarded=trusted)
    assert status_of(made.wire.written) == 403  # a page of public.example, and we are example.com
    offer = made.protocol.offer
    assert (offer.client, offer.host, offer.secure) == ("192.0.2.1", "example.com", False)
    assert offer.client_port == 54321
    assert made.protocol.getPeer().host == "192.0.2.1"  # type: ignore[attr-defined]  # the address is an IPv4Address


def test_a_forwarded_scheme_has_precedence_over_the_configured_one() -> None:
    plain = "X-Forwarded-Proto: http"
    made = end(plain, FORWARDED[2], trustForwarded=PROXY, secure=True)
    assert b"WebSocket-Location: ws://public.example/demo\r\n" in made.wire.written
    made = end(FORWARDED[2], trustForwarded=PROXY, secure=True)
    assert b"WebSocket-Location: wss://public.example/demo\r\n" in made.wire.written


def test_a_contradiction_is_refused() -> None:
    made = end("Forwarded: for=198.51.100.1", *FORWARDED, trustForwarded=PROXY)
    assert status_of(made.wire.written) == 400


def test_the_log_names_a_refused_client_and_not_its_proxy(log: log_recorder.Log) -> None:
    made = end(FORWARDED[0], trustForwarded=PROXY)
    assert status_of(made.wire.written) == 403
    assert log.lines()[-1].startswith("refused connection=1 peer=203.0.113.9 ")
    assert " status=403 " in log.lines()[-1]


def test_pages_are_requested_with_the_forwarded_address_and_host() -> None:
    """The resource behind ``elsewhere=`` sees the client as its peer, and the forwarded host as
    the Host."""
    peers: list[Any] = []

    class Kept(Protocol):
        transport: Any

        def connectionMade(self) -> None:
            peers.append(self.transport.getPeer())

        def dataReceived(self, data: bytes) -> None:
            peers.append(data)

    made = ServerEnd(Applications(), trustForwarded=PROXY, elsewhere=Factory.forProtocol(Kept))
    made.receive("\r\n".join(["GET /x HTTP/1.1", "HOST: inside", *FORWARDED, "", ""]).encode())
    assert peers[0].host == "203.0.113.9"
    assert peers[1].startswith(b"GET /x HTTP/1.1\r\nHost: public.example\r\nX-Forwarded-For: ")
    assert b"inside" not in peers[1]


def test_a_request_without_forwarded_fields_has_its_own_address() -> None:
    made = end()
    assert made.protocol.offer.client == "192.0.2.1"


@waiting.asynchronous
async def test_on_a_persistent_connection_each_request_has_its_own_client(
    net: network.Network,
) -> None:
    """A proxy sends the requests of all its clients over a few persistent connections."""
    hosts: list[bytes] = []

    class Page(Resource):
        isLeaf = True

        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no annotations here

        def render_GET(self, request: Any) -> bytes:
            hosts.append(request.getHeader(b"host"))
            return b"page"

    applications = Applications()
    factory = HixieServerFactory(applications, trustForwarded=["127.0.0.1"])
    factory.elsewhere = Site(HixieResource.sharing(factory, elsewhere=Page()))
    raw = await net.raw(await net.listen(factory))
    for _ in range(2):
        raw.send("\r\n".join(["GET / HTTP/1.1", "Host: inside", *FORWARDED, "", ""]).encode())
        await raw.reads(b"page")
        raw.data.clear()
    assert hosts == [b"inside", b"inside"]
    others = ("X-Forwarded-For: 192.0.2.9", "X-Forwarded-Host: other.example")
    raw.send(handshake_bytes.request("rfc6455", *others, origin="http://other.example"))
    await raw.reads(b"101 Switching Protocols")
    offer = applications.asked[0]
    assert (offer.client, offer.host) == ("192.0.2.9", "other.example")
