"""Addresses of a transport that reports the client and server addresses named by a proxy."""

from __future__ import annotations

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP6ClientEndpoint, TCP6ServerEndpoint
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol

from support.ipv6 import needs_ipv6
from support.network import OVER, Network
from support.waiting import asynchronous, reactor, within
from txhixie.connection.addresses import addressOf, peerOf, plainAddress, standFor
from txhixie.sansio.http.proxy_header import ConnectionEnd
from txhixie.testing import Wire


@pytest.mark.parametrize(
    ("end", "address"),
    [
        (("192.0.2.1", 80), IPv4Address("TCP", "192.0.2.1", 80)),
        (("2001:db8::1", 80), IPv6Address("TCP", "2001:db8::1", 80)),
        (("::ffff:192.0.2.1", 80), IPv4Address("TCP", "192.0.2.1", 80)),
        (b"/run/socket", UNIXAddress(b"/run/socket")),
        (b"", UNIXAddress(None)),
    ],
)
def test_each_kind_of_address_is_a_class_of_Twisted(end: ConnectionEnd, address: IAddress) -> None:
    assert addressOf(end) == address


def test_an_IPv4_address_mapped_into_IPv6_is_shown_as_IPv4() -> None:
    mapped = IPv6Address("TCP", "::ffff:192.0.2.1", 80)
    assert plainAddress(mapped) == IPv4Address("TCP", "192.0.2.1", 80)
    for address in (IPv6Address("TCP", "2001:db8::1", 80), UNIXAddress(b"/run/socket")):
        assert plainAddress(address) is address


def test_a_transport_reports_the_addresses_it_was_given() -> None:
    wire = Wire()
    host = wire.getHost()
    standFor(wire, ("192.0.2.1", 80))
    assert wire.getPeer() == IPv4Address("TCP", "192.0.2.1", 80)
    assert wire.getHost() == host
    standFor(wire, None, ("192.0.2.2", 443))
    assert wire.getPeer() == IPv4Address("TCP", "192.0.2.1", 80)
    assert wire.getHost() == IPv4Address("TCP", "192.0.2.2", 443)


@pytest.mark.parametrize("over", OVER)
@asynchronous
async def test_the_peer_of_a_transport_is_that_of_its_address(over: str, net: Network) -> None:
    """TCP is asked without an address object; after ``standFor`` as every other transport."""
    pair = await net.pair("hixie-76", over)
    for wire in (pair.serverWire, pair.clientWire):
        address = wire.transport.getPeer()
        expected = (None, None) if over == "unix" else (address.host, address.port)
        assert peerOf(wire.transport) == expected
        standFor(wire.transport, ("192.0.2.1", 80))
        assert peerOf(wire.transport) == ("192.0.2.1", 80)


@needs_ipv6
@asynchronous
async def test_the_peer_of_an_IPv6_transport_is_that_of_its_address() -> None:
    accepted = Deferred[Protocol]()

    class Accepting(Protocol):
        def connectionMade(self) -> None:
            accepted.callback(self)

    port = await TCP6ServerEndpoint(reactor, 0, interface="::1").listen(
        Factory.forProtocol(Accepting)
    )
    client = await TCP6ClientEndpoint(reactor, "::1", port.getHost().port).connect(
        Factory.forProtocol(Protocol)
    )
    server = await within(accepted)
    assert peerOf(server.transport) == ("::1", client.transport.getHost().port)
    client.transport.abortConnection()
    await port.stopListening()
