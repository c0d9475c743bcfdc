"""A port number is one of IPv4 and of IPv6, and each client is shown with its own address."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import formatEvent

from support.daemon import free_port
from support.ipv6 import needs_ipv6
from support.network import Network
from support.waiting import asynchronous, reactor, until, within
from txhixie.server.both_families import BothFamiliesEndpoint, boundSocket


class Peer(Protocol):
    transport: Any
    factory: Any

    def connectionMade(self) -> None:
        self.factory.peers.append(self.transport.getPeer().host)
        self.transport.loseConnection()


def server() -> Any:
    factory: Any = Factory.forProtocol(Peer)
    factory.noisy = False
    factory.peers = []
    return factory


@needs_ipv6
@asynchronous
async def test_clients_of_both_families_connect_and_no_address_is_mapped(net: Network) -> None:
    factory = server()
    port: Any = await within(BothFamiliesEndpoint(reactor, 0).listen(factory))
    number = port.getHost().port
    try:
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, number), 10).close()
        await until(lambda: len(factory.peers) == 2)
        assert sorted(factory.peers) == ["127.0.0.1", "::1"]
    finally:
        await within(port.stopListening())
    for host in ("127.0.0.1", "::1"):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, number), 10)


@asynchronous
@pytest.mark.parametrize(
    "without",
    [pytest.param(socket.AF_INET, marks=needs_ipv6), socket.AF_INET6],
    ids=["IPv4", "IPv6"],
)
@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
async def test_a_machine_with_one_address_family_listens_on_that(
    net: Network, without: int, number: int
) -> None:
    def bound(family: int, port: int) -> socket.socket:
        if family == without:
            raise OSError(number, "no such addresses")
        return boundSocket(family, port)

    factory = server()
    port: Any = await within(BothFamiliesEndpoint(reactor, 0, bound).listen(factory))
    host = "127.0.0.1" if without == socket.AF_INET6 else "::1"
    socket.create_connection((host, port.getHost().port), 10).close()
    await until(lambda: factory.peers)
    await within(port.stopListening())


@needs_ipv6
@asynchronous
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
async def test_a_port_that_is_in_use_in_one_family_is_an_error(net: Network, family: int) -> None:
    """The port does not stay open in the other family."""
    with socket.socket(family) as other:
        if family == socket.AF_INET6:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", free_port()))
        other.listen()
        number = other.getsockname()[1]
        with pytest.raises(CannotListenError, match="in use"):
            await within(BothFamiliesEndpoint(reactor, number).listen(server()))
        host = "127.0.0.1" if family == socket.AF_INET6 else "::1"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, number), 10)


@needs_ipv6
@asynchronous
async def test_the_lines_about_the_start_of_both_ports_name_their_family(
    net: Network, log: Any
) -> None:
    """With the port number alone, the same line would be there twice."""
    factory = server()
    listening: Any = await within(BothFamiliesEndpoint(reactor, 0).listen(factory))
    number = listening.getHost().port
    await within(listening.stopListening())
    lines = [formatEvent(event) or "" for event in log.events]
    started = [line for line in lines if f"starting on {number}" in line]
    assert started == [f"Factory ({name}) starting on {number}" for name in ("IPv4", "IPv6")]
    assert factory.numPorts == 0
