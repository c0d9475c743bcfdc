"""Connections of the port of a worker: counted, and otherwise as those of Twisted's own port."""

from __future__ import annotations

import select
import socket
from typing import cast

import pytest
from twisted.internet.defer import maybeDeferred

from support.applications import Applications, Recorder, echo
from support.network import Network, Place
from support.waiting import asynchronous, reactor, until, within
from txhixie import HixieServerFactory
from txhixie.daemon.workers.connection_counts import ConnectionCounts
from txhixie.daemon.workers.shared_port import sharedPort
from txhixie.sockets.connection_poller import ConnectionPoller


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="needs epoll of Linux")
@asynchronous
async def test_the_package_writes_to_a_connection_directly_and_moves_it_to_the_poller(
    net: Network,
) -> None:
    """Without that, a message of a worker cost up to 1.8 times as much CPU time."""
    counts = ConnectionCounts.make(1)
    counts.begin()
    factory = HixieServerFactory(Applications(echo), connectionPoller=True)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = sharedPort(reactor, listening.fileno(), factory, counts)
    place = Place("tcp", port, "", factory)
    client = await net.connect(place, Applications(Recorder), dialect="rfc6455")
    recorder = cast(Recorder, await within(client.whenOpen()))
    client.sendTextMessage("hello")
    await until(lambda: recorder.messages == ["hello"])
    (served,) = factory.connections
    assert isinstance(served.transport.reactor, ConnectionPoller)
    assert counts.total == 1
    client.loseConnection()
    await until(lambda: counts.total == 0)
    await within(maybeDeferred(port.stopListening))
