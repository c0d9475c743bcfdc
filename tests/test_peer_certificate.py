"""The address of a peer, with its port, and the certificate that the peer presented."""

from __future__ import annotations

from typing import Any, cast

import pytest
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.web.server import Site

from support.certificates import authority
from support.network import Network, Place
from support.waiting import asynchronous, reactor, within
from txhixie import Channel, HixieServerFactory, connect, serve
from txhixie.testing import Applications, Pair, Recorder
from txhixie.web import HixieResource


def names(certificate: Any) -> str:
    """The subject of a certificate."""
    return str(certificate.to_cryptography().subject.rfc4514_string())


async def listening(net: Network, factory: Any, *, asks: bool) -> Place:
    """Where a factory listens with TLS; ``asks`` for the client's certificate."""
    shown = authority().issue("localhost")
    trusted = authority().trust if asks else None
    options = ssl.CertificateOptions(
        privateKey=shown.privateKey.original,
        certificate=shown.original,
        trustRoot=trusted,
    )
    endpoint = SSL4ServerEndpoint(reactor, 0, options, interface="127.0.0.1")
    place = Place("tls", await endpoint.listen(factory), "", factory)
    net.places.append(place)
    return place


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("under", ["port", "site"])
@asynchronous
async def test_both_sides_have_the_certificate_of_the_peer(
    net: Network, under: str, asks: bool
) -> None:
    """On the channel and on the transport, on a port of its own and under a Site."""
    seen: list[Any] = []

    async def conversation(channel: Channel) -> None:
        offer = channel.offer
        seen.extend((channel.peerCertificate, offer.client, offer.client_port))
        await channel.send("seen")
        await channel.whenEnded()

    applications = serve(conversation)
    factory: Any = HixieServerFactory(applications)
    if under == "site":
        factory = Site(HixieResource(applications))
    place = await listening(net, factory, asks=asks)
    channel = await within(
        connect(
            place.url("/"),
            trustRoot=authority().trust,
            certificate=authority().issue("client"),
        ).asDeferred()
    )
    assert await within(channel.receive()) == "seen"
    assert names(channel.peerCertificate) == "CN=localhost"
    transport = cast("Any", channel)._transport  # private: the HTTP channel wraps it
    assert names(transport.peerCertificate) == "CN=localhost"
    if asks:
        assert names(seen[0]) == "CN=client"
    else:
        assert seen[0] is None
    port = channel.getHost().port  # type: ignore[attr-defined]  # the address is an IPv4Address, and has a port
    assert seen[1:] == ["127.0.0.1", port]
    closed: Deferred[None] = channel.close()
    await within(closed)


@pytest.mark.parametrize("over", ["tcp", "unix"])
@asynchronous
async def test_without_TLS_there_is_no_certificate(net: Network, over: str) -> None:
    servers, clients = Applications(Recorder), Applications(Recorder)
    place = await net.serve(servers, over)
    wire = await net.connect(place, clients, dialect="rfc6455")
    await within(wire.whenOpen())
    assert clients.made[0].transport.peerCertificate is None
    assert servers.made[0].transport.peerCertificate is None
    offer = servers.asked[0]
    if over == "unix":
        assert (offer.client, offer.client_port) == (None, None)
    else:
        assert (offer.client, offer.client_port) == ("127.0.0.1", wire.getHost().port)  # type: ignore[attr-defined]  # the address is an IPv4Address, and has a port


def test_in_memory_there_is_no_certificate() -> None:
    client = Recorder()
    pair = Pair.new(Applications(), client)
    assert client.transport.peerCertificate is None
    assert pair.server.protocol.peerCertificate is None
