"""Addresses of a transport that reports the client and server addresses named by a proxy."""

from __future__ import annotations

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from txhixie.connection.addresses import addressOf, plainAddress, standFor
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
