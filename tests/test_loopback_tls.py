"""Errors of TLS itself; test_loopback runs its tests over TLS, too."""

from __future__ import annotations

from typing import Any, cast

import pytest
from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocolFactory

from support.applications import Applications, Recorder
from support.frame_writer import CLOSE, text
from support.handshake_bytes import whole_request
from support.log_recorder import Log
from support.network import Network, Place
from support.waiting import asynchronous, reactor, turn, until, within
from txhixie import HixieClientFactory, Limits, PeerLeft


async def distrusts(net: Network, place: Place) -> None:
    """Connect a client that does not trust the server's certificate."""
    clients = Applications(Recorder)
    factory = HixieClientFactory(place.url(), clients, dialect="hixie-76")
    net.factories.append(factory)
    endpoint = wrapClientTLS(
        ssl.optionsForClientTLS("localhost"),  # the platform's authorities
        TCP4ClientEndpoint(reactor, "127.0.0.1", place.port),
    )
    connecting = endpoint.connect(cast("IProtocolFactory", factory))
    wire = await within(cast("Deferred[Any]", connecting))
    with pytest.raises(PeerLeft) as caught:
        await within(wire.whenOpen())
    assert isinstance(caught.value.__cause__, SSL.Error)
    await until(lambda: clients.made[0].told == ["started", "lost"])
    await until(lambda: not place.factory.connections)


async def speaks_in_clear(net: Network, place: Place) -> None:
    """Send a request without TLS."""
    raw = await net.raw(Place("tcp", place.listening, "", place.factory))
    raw.send(whole_request("hixie-76"))
    await until(lambda: raw.reason is not None)
    assert b"HTTP" not in raw.data
    await until(lambda: not place.factory.connections)


@asynchronous
async def test_a_client_that_does_not_trust_the_server_gets_the_reason(
    net: Network, log: Log
) -> None:
    await distrusts(net, await net.serve(Applications(), "tls"))


@asynchronous
async def test_a_client_that_does_not_trust_the_server_is_logged(net: Network, log: Log) -> None:
    await distrusts(net, await net.serve(Applications(), "tls"))
    [line] = log.lines()
    assert line.startswith("refused connection=1 peer=127.0.0.1:")
    assert line.endswith(' reason="TLS handshake failed: tlsv1 alert unknown ca"')


@asynchronous
async def test_a_request_without_TLS_on_a_TLS_port_gets_no_answer(net: Network, log: Log) -> None:
    await speaks_in_clear(net, await net.serve(Applications(), "tls"))


@asynchronous
async def test_a_request_without_TLS_on_a_TLS_port_is_logged(net: Network, log: Log) -> None:
    await speaks_in_clear(net, await net.serve(Applications(), "tls"))
    assert log.lines()[0].endswith(' reason="TLS handshake failed: http request"')


@asynchronous
async def test_a_client_that_leaves_before_any_byte_is_not_logged(net: Network, log: Log) -> None:
    """Health checks of load balancers connect so, some every two seconds."""
    place = await net.serve(Applications(), "tls")
    raw = await net.raw(Place("tcp", place.listening, "", place.factory))
    await until(lambda: place.factory.connections)
    raw.transport.loseConnection()
    await until(lambda: not place.factory.connections)
    assert log.lines() == []


@asynchronous
async def test_TLS_on_a_port_without_TLS_is_refused_at_once(net: Network, log: Log) -> None:
    """Otherwise client and server would wait for each other until the timeout."""
    clear = await net.serve(Applications(), limits=Limits(open_timeout=60))
    raw = await net.raw(Place("tls", clear.listening, "", clear.factory))
    await until(lambda: raw.reason is not None)
    await until(lambda: not clear.factory.connections)


def client_hello() -> bytes:
    """The first bytes of a TLS client."""
    client = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    client.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        client.do_handshake()
    return client.bio_read(2**15)


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01", client_hello()], ids=["", "part", "hello"])
@asynchronous
async def test_a_client_that_does_not_finish_the_TLS_handshake_is_disconnected(
    said: bytes, net: Network, log: Log
) -> None:
    """At the timeout, without a response: the client could not read one."""
    limits = Limits(open_timeout=0.2, close_timeout=60, drain_timeout=60)
    place = await net.serve(Applications(), "tls", limits=limits)
    raw = await net.raw(Place("tcp", place.listening, "", place.factory))
    if said:
        raw.send(said)
    await until(lambda: place.factory.connections)
    await until(lambda: raw.reason is not None)
    await until(lambda: not place.factory.connections)
    [line] = log.lines()
    assert "did not finish the TLS handshake within 0.2 s (Limits.open_timeout)" in line


@asynchronous
async def test_a_client_that_sends_no_request_after_TLS_gets_a_408(net: Network, log: Log) -> None:
    limits = Limits(open_timeout=0.5, close_timeout=0.1)
    raw = await net.raw(await net.serve(Applications(), "tls", limits=limits))
    await until(lambda: raw.reason is not None)
    assert raw.data.startswith(b"HTTP/1.1 408 ")


@asynchronous
async def test_closing_during_the_TLS_handshake_ends_the_connection(net: Network, log: Log) -> None:
    place = await net.serve(Applications(), "tls")
    wire = await net.connect(place, Applications(Recorder))
    await until(lambda: place.factory.connections)
    assert await within(place.factory.closeAll()) is None
    with pytest.raises(PeerLeft):
        await within(wire.whenOpen())


@asynchronous
async def test_a_TCP_connection_that_ends_without_a_TLS_closure_is_an_abrupt_close(
    net: Network, log: Log
) -> None:
    """Otherwise an attacker in the network could end TCP and make the end look like an orderly
    close."""
    pair = await net.pair("hixie-75", "tls")
    below: Any = pair.clientWire.transport
    below.transport.loseConnection()
    await until(lambda: pair.server.lost and pair.client.lost)
    assert not pair.server.lost.ended.clean


@asynchronous
async def test_the_close_timeout_bounds_the_wait_for_the_TLS_closure_of_the_peer(
    net: Network, log: Log
) -> None:
    """The kernel keeps the bytes that the peer has not read."""
    limits = Limits(close_timeout=0.1, drain_timeout=60)
    place = await net.serve(Applications(), "tls", limits=limits)
    raw = await net.raw(place)
    await raw.opens("hixie-76")
    raw.transport.pauseProducing()
    place.factory.closeAll()
    await until(lambda: not place.factory.connections)
    raw.transport.resumeProducing()
    await raw.reads(CLOSE)
    await until(lambda: raw.reason is not None)


@asynchronous
async def test_a_peer_that_ends_TLS_while_we_are_full_ends_the_connection(
    net: Network, log: Log
) -> None:
    """
    Twisted then closes the socket by itself, and a socket with a registered producer waits for
    ever for that producer.
    """

    def gives(application: Recorder) -> None:
        for _ in range(200):
            application.transport.sendTextMessage("x" * 65_536)

    applications = Applications(lambda: Recorder(text=gives))
    place = await net.serve(applications, "tls")
    raw = await net.raw(place)
    await raw.opens("hixie-75")
    raw.transport.pauseProducing()
    raw.send(text("give"))
    (wire,) = place.factory.connections
    await until(lambda: wire.full)
    raw.transport.loseConnection()
    await turn(0.05)
    assert wire.full
    raw.transport.resumeProducing()
    await until(lambda: applications.made[0].lost)
    await until(lambda: raw.data.count(b"\xff") == 200)
