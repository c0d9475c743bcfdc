"""Each connection of a factory has its socket options, whether its socket inherited them or not."""

from __future__ import annotations

import socket
import sys
from typing import Any, Final

import pytest
from twisted.web.server import Site

from support.applications import Applications, Recorder
from support.network import Network, Place
from support.waiting import asynchronous, until
from txhixie import HixieServerFactory, Limits
from txhixie.daemon.sockets.replaceable_factory import ReplaceableFactory
from txhixie.web import HixieResource

TCP: Final = socket.IPPROTO_TCP
TIMES: Final = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
LIMITS: Final = Limits(ping_interval=7.0, ping_timeout=8.0)
OTHER: Final = Limits(ping_interval=9.0, ping_timeout=16.0)

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux copies the options")


def timesOf(sock: Any) -> list[int]:
    """The times of TCP keep-alive of a socket, in seconds, and its number of probes."""
    return [sock.getsockopt(TCP, getattr(socket, name)) for name in TIMES]


def isUndelayed(sock: Any) -> bool:
    return bool(sock.getsockopt(TCP, socket.TCP_NODELAY))


def isKeptAlive(sock: Any) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))


async def opened(net: Network, place: Place, factory: Any, dialect: str, count: int = 1) -> Any:
    """Open connections one after the other; return the socket of the last one."""
    before = len(factory.connections)
    for _ in range(count):
        await (await net.raw(place)).opens(dialect)
    await until(lambda: len(factory.connections) == before + count)
    return list(factory.connections)[-1].transport.getHandle()


@linux
@pytest.mark.parametrize("dialect", ["hixie-76", "rfc6455"])
@asynchronous
async def test_every_connection_of_a_port_has_the_options(dialect: str, net: Network) -> None:
    """The first three set or read them, and the others inherit them."""
    place = await net.serve(Applications(Recorder), limits=LIMITS)
    assert not isUndelayed(place.listening.socket)
    for _ in range(6):
        sock = await opened(net, place, place.factory, dialect)
        assert isUndelayed(sock)
        assert isKeptAlive(sock) is (dialect == "hixie-76")
        if dialect == "hixie-76":
            assert timesOf(sock) == [7, 2, 4]
    assert isUndelayed(place.listening.socket)
    assert timesOf(place.listening.socket) == [7, 2, 4]
    assert not isKeptAlive(place.listening.socket)


@linux
@asynchronous
async def test_clients_that_connected_before_the_first_was_accepted_have_the_options(
    net: Network,
) -> None:
    """Their sockets are accepted after the options were set, and did not inherit them."""
    place = await net.serve(Applications(Recorder), limits=LIMITS)
    waiting = [socket.create_connection(("127.0.0.1", place.port)) for _ in range(5)]
    await until(lambda: len(place.factory.connections) == 5)
    assert all(isUndelayed(each.transport.socket) for each in place.factory.connections)
    for each in waiting:
        each.close()
    await until(lambda: not place.factory.connections)
    assert timesOf(await opened(net, place, place.factory, "hixie-76", 3)) == [7, 2, 4]


@linux
@asynchronous
async def test_a_later_connection_needs_no_call_for_what_it_inherits(net: Network) -> None:
    """Shown by a program that changes an option of the listening socket: nothing sets it again."""
    place = await net.serve(Applications(Recorder), limits=LIMITS)
    await opened(net, place, place.factory, "hixie-76", 3)
    place.listening.socket.setsockopt(TCP, socket.TCP_NODELAY, 0)
    assert not isUndelayed(await opened(net, place, place.factory, "hixie-76"))


@linux
@asynchronous
async def test_connections_have_the_times_of_the_factory_after_a_reload(net: Network) -> None:
    first = HixieServerFactory(Applications(Recorder), limits=LIMITS)
    second = HixieServerFactory(Applications(Recorder), limits=OTHER)
    port = ReplaceableFactory(first)
    place = await net.listen(port)
    net.factories.extend((first, second))
    assert timesOf(await opened(net, place, first, "hixie-76", 4)) == [7, 2, 4]
    port.replace(second)
    for _ in range(4):
        assert timesOf(await opened(net, place, second, "hixie-76")) == [9, 4, 4]


@linux
@asynchronous
async def test_each_port_of_a_factory_sets_the_options(net: Network) -> None:
    factory = HixieServerFactory(Applications(Recorder), limits=LIMITS)
    for _ in range(2):
        place = await net.listen(factory)
        for _ in range(4):
            sock = await opened(net, place, factory, "hixie-76")
            assert isUndelayed(sock)
            assert timesOf(sock) == [7, 2, 4]


@linux
@asynchronous
async def test_a_port_that_listens_again_sets_the_options_again(net: Network) -> None:
    place = await net.serve(Applications(Recorder), limits=LIMITS)
    for _ in range(2):
        for _ in range(4):
            sock = await opened(net, place, place.factory, "hixie-76")
            assert isUndelayed(sock)
            assert timesOf(sock) == [7, 2, 4]
        await place.listening.stopListening()
        place.listening.startListening()


@linux
@asynchronous
async def test_closed_ports_are_not_kept_in_memory(net: Network) -> None:
    factory = HixieServerFactory(Applications(Recorder), limits=LIMITS)
    await net.listen(factory)  # so that the factory does not stop
    for _ in range(20):
        place = await net.listen(factory)
        await opened(net, place, factory, "hixie-76", 2)
        await place.listening.stopListening()
    assert len(factory.inheritedOptions) == 1


@asynchronous
async def test_the_listening_socket_of_another_protocol_is_left_unchanged(net: Network) -> None:
    """A Site accepts connections of HTTP too; its WebSocket connections set their own options."""
    resource = HixieResource(Applications(Recorder), limits=LIMITS)
    place = await net.listen(Site(resource))
    for _ in range(4):
        sock = await opened(net, place, resource.factory, "hixie-76")
        assert isUndelayed(sock)
        assert isKeptAlive(sock)
    assert not isUndelayed(place.listening.socket)
