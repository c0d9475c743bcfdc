"""The PROXY protocol below WebSocket: in memory, and under real ports, TLS among them."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.ssl import optionsForClientTLS, trustRootFromCertificates
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory

from support import log_recorder
from support.applications import Applications
from support.certificates import certificate
from support.handshake_bytes import status_of, whole_request
from support.network import Network, Place
from support.raw_peer import Raw
from support.waiting import asynchronous, reactor, until
from txhixie import HixieServerFactory
from txhixie.sansio.http.trusted import TrustedNetworks
from txhixie.server.proxy_protocol import ProxyProtocolFactory, ProxyProtocolReactor
from txhixie.testing import Wire

V1 = b"PROXY TCP4 203.0.113.9 198.51.100.1 51000 443\r\n"
V2 = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24"
    + bytes(15)
    + b"\x07"
    + bytes(15)
    + b"\x01"
    + b"\0\1\0\2"
)
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"
UNIX = b"\r\n\r\n\0\r\nQUIT\n\x21\x31\x00\xd8" + b"/client".ljust(108, b"\0") + bytes(108)
SENDER = IPv4Address("TCP", "192.0.2.1", 54321)
"""The peer address of a transport in memory."""


class Carrying(Wire):
    """A transport that, like a real one, has a protocol, and delivers nothing after an abort."""

    protocol: Any

    def receive(self, data: bytes) -> None:
        if "abort" not in self.endings:
            self.protocol.dataReceived(data)


class End:
    """A connection in memory below which the header is read."""

    def __init__(self, senders: tuple[str, ...] = ("192.0.2.0/24",), addr: Any = SENDER) -> None:
        self.clock = Clock()
        self.server = Factory.forProtocol(Raw)
        self.factory = ProxyProtocolFactory(
            self.server, TrustedNetworks(senders), timeout=10, clock=self.clock
        )
        self.wire = Carrying()
        self.protocol = self.factory.buildProtocol(addr)
        self.wire.protocol = self.protocol
        self.protocol.makeConnection(self.wire)

    def receive(self, data: bytes, size: int | None = None) -> None:
        """Deliver bytes to the transport's current protocol, as a real transport does."""
        for start in range(0, len(data), size or len(data)):
            self.wire.receive(data[start : start + (size or len(data))])


@pytest.mark.parametrize("size", [None, 1, 7])
@pytest.mark.parametrize(
    ("header", "peer", "host"),
    [
        (
            V1,
            IPv4Address("TCP", "203.0.113.9", 51000),
            IPv4Address("TCP", "198.51.100.1", 443),
        ),
        (V2, IPv6Address("TCP", "::7", 1), IPv6Address("TCP", "::1", 2)),
        (UNIX, UNIXAddress(b"/client"), UNIXAddress(None)),
        (LOCAL, SENDER, IPv4Address("TCP", "192.0.2.2", 80)),
        (b"PROXY UNKNOWN\r\n", SENDER, IPv4Address("TCP", "192.0.2.2", 80)),
    ],
)
def test_the_wrapped_protocol_gets_the_real_addresses_and_every_byte(
    size: int | None, header: bytes, peer: Any, host: Any
) -> None:
    """The first chunk may have any size, down to a single byte."""
    end = End()
    end.receive(header + b"hello", size)
    made = end.wire.protocol
    assert isinstance(made, Raw)
    assert bytes(made.data) == b"hello"
    assert (end.wire.getPeer(), end.wire.getHost()) == (peer, host)
    assert not end.clock.getDelayedCalls()
    assert end.wire.calls == []


def test_the_wrapped_protocol_is_connected_before_data_arrives() -> None:
    """A server may send first."""
    end = End()
    end.receive(V1)
    assert isinstance(end.wire.protocol, Raw)


def test_from_any_other_address_no_header_is_expected() -> None:
    end = End(("10.0.0.0/8",))
    end.receive(V1)
    assert isinstance(end.protocol, Raw)
    assert bytes(end.protocol.data) == V1
    assert end.wire.getPeer() == SENDER


def test_a_UNIX_socket_is_trusted_by_a_keyword() -> None:
    end = End(("unix",), UNIXAddress(None))
    end.receive(V1)
    assert end.wire.getPeer().host == "203.0.113.9"


def test_a_trusted_proxy_that_omits_the_header_is_not_served(log: log_recorder.Log) -> None:
    """Otherwise a client could write a header itself."""
    end = End()
    end.receive(b"GET / HTTP/1.1\r\n\r\n", 1)
    assert end.wire.endings == ["abort"]
    [line] = log.lines()
    assert line.startswith("refused connection=1 peer=192.0.2.1:54321 reason=")
    assert line.endswith('"expected a PROXY protocol header"')
    assert not end.clock.getDelayedCalls()


def test_a_header_that_does_not_arrive_times_out(log: log_recorder.Log) -> None:
    end = End()
    end.receive(V1[:-1])
    end.clock.advance(9.9)
    assert end.wire.endings == []
    end.clock.advance(0.2)
    assert end.wire.endings == ["abort"]
    [line] = log.lines()
    assert line.startswith("refused connection=1 peer=192.0.2.1:54321 reason=")
    assert line.endswith('"no PROXY protocol header received in time"')


def test_a_connection_that_ends_before_its_header_leaves_nothing(log: log_recorder.Log) -> None:
    """Health checks connect and disconnect without a byte."""
    end = End()
    end.protocol.connectionLost()
    assert not end.clock.getDelayedCalls()
    assert log.lines() == []


def test_a_factory_that_builds_no_protocol_ends_the_connection() -> None:
    end = End()
    end.server.buildProtocol = lambda addr: None  # type: ignore[method-assign]  # replaces a method of this one object
    end.receive(V1)
    assert end.wire.endings == ["abort"]


# Under real ports.


async def listening(
    net: Network, description: str, senders: str = "127.0.0.1"
) -> tuple[Any, HixieServerFactory]:
    factory = HixieServerFactory(Applications(), logConnections=True)
    below = ProxyProtocolReactor(reactor, TrustedNetworks([senders]))
    endpoint: Any = serverFromString(below, description)
    port = await endpoint.listen(factory)
    net.factories.append(factory)
    net.places.append(Place("tcp", port, "", factory))
    return port, factory


@asynchronous
async def test_a_Hixie_dialect_is_spoken_after_a_header(
    net: Network, log: log_recorder.Log
) -> None:
    _, factory = await listening(net, "tcp:0:interface=127.0.0.1")
    raw = await net.raw(net.places[0])
    raw.send(V1[:1])
    await until(lambda: True)
    raw.send(V1[1:] + whole_request("hixie-76"))
    await raw.reads(b"8jKS'y:G*Co,Wxa-")
    assert status_of(bytes(raw.data)) == 101
    (made,) = factory.connections
    assert made.getPeer() == IPv4Address("TCP", "203.0.113.9", 51000)
    assert made.getHost() == IPv4Address("TCP", "198.51.100.1", 443)
    assert any(" peer=203.0.113.9:51000 " in line for line in log.lines())
    raw.send(b"\x00hi\xff")
    await raw.reads(b"\x00hi\xff")


@asynchronous
async def test_the_header_comes_before_tls(net: Network, tmp_path: Any) -> None:
    """``ssl:`` is wrapped as a whole, so that the header is below TLS."""
    pem = tmp_path / "both.pem"
    key = certificate().privateKey.original.to_cryptography_key()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = certificate().original.to_cryptography().public_bytes(Encoding.PEM)
    pem.write_bytes(private + public)
    _, factory = await listening(net, f"ssl:0:privateKey={pem}:interface=127.0.0.1")

    options = optionsForClientTLS("localhost", trustRootFromCertificates([certificate()]))
    plain = await net.raw(net.places[0])
    plain.send(V2)
    tls: Any = TLSMemoryBIOFactory(options, True, Factory.forProtocol(Raw)).buildProtocol(None)
    plain.transport.protocol = tls
    tls.makeConnection(plain.transport)
    raw: Raw = tls.wrappedProtocol
    raw.send(whole_request("hixie-75"))
    await raw.reads(b"\r\n\r\n")
    assert b"WebSocket-Location: wss://example.com/demo\r\n" in raw.data
    (made,) = factory.connections
    assert made.getPeer() == IPv6Address("TCP", "::7", 1)
    raw.send(b"\x00hi\xff")
    await raw.reads(b"\x00hi\xff")
    tls.abortConnection()
    await until(lambda: raw.reason is not None)
    plain.reason = raw.reason


@asynchronous
async def test_a_client_that_is_not_a_trusted_proxy_needs_no_header(net: Network) -> None:
    await listening(net, "tcp:0:interface=127.0.0.1", "10.0.0.1")
    raw = await net.raw(net.places[0])
    await raw.opens("hixie-76")


@asynchronous
async def test_UNIX_sockets_have_a_header_too(net: Network, tmp_path: Any) -> None:
    path = str(tmp_path / "socket")
    _, factory = await listening(net, f"unix:{path}", "unix")
    net.places[0].over, net.places[0].path = "unix", path
    raw = await net.raw(net.places[0])
    raw.send(V1)
    await raw.opens("hixie-76")
    (made,) = factory.connections
    assert made.getPeer() == IPv4Address("TCP", "203.0.113.9", 51000)
