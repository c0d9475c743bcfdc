"""Rate limits over real sockets: a peer that floods, and a well-behaved client beside it."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol
from twisted.web.server import Site

from support.applications import Applications, Recorder, echo
from support.frame_writer import FrameWriter, text
from support.frames import MASK
from support.network import OVER, Network
from support.private_state import is_paused
from support.waiting import asynchronous, reactor, turn, until
from txhixie import Limits
from txhixie.connection.peer_end import has_disconnected
from txhixie.daemon.services.tcp import StreamService
from txhixie.gateway import GatewayService
from txhixie.sansio.dialects import DIALECTS
from txhixie.web import HixieResource

FRAMES = 10_000
SLOW = Limits(messages_per_second=20)
every = pytest.mark.parametrize("dialect", [dialect.name for dialect in DIALECTS])


def flood(dialect: str) -> bytes:
    """Ten thousand tiny messages of a client, in less than a read."""
    return FrameWriter(dialect, MASK).text("x") * FRAMES


async def talks(client: Any, times: int = 5) -> None:
    """A well-behaved client whose messages come back."""
    for number in range(times):
        client.data.clear()
        client.send(text(f"hello {number}"))
        await client.reads(text(f"hello {number}"))


@every
@pytest.mark.parametrize("over", OVER)
@asynchronous
async def test_a_flood_is_slowed_down_and_others_talk(
    dialect: str, over: str, net: Network
) -> None:
    served = Applications(echo)
    place = await net.serve(served, over, origins=["*"], limits=SLOW)
    attacker, client = await net.raw(place), await net.raw(place)
    await attacker.opens(dialect)
    began = reactor.seconds()
    attacker.send(flood(dialect))
    await until(lambda: served.made[0].messages)
    await client.opens("hixie-75")
    await talks(client)
    await until(lambda: len(served.made[0].messages) > 20)
    taken = len(served.made[0].messages)
    assert taken <= 22 + 20 * (reactor.seconds() - began)
    assert attacker.reason is None


@asynchronous
async def test_a_peer_that_disconnects_during_the_pause_is_noticed(net: Network) -> None:
    """All of its data was read, and its end is the next thing that a read finds."""
    served = Applications(Recorder)
    place = await net.serve(served, origins=["*"], limits=Limits(messages_per_second=0.05))
    attacker = await net.raw(place)
    await attacker.opens("hixie-75")
    attacker.send(text("x"))
    await until(lambda: served.made and served.made[0].messages)
    (connection,) = place.factory.connections
    assert is_paused(connection)
    assert not has_disconnected(connection.transport)
    attacker.transport.loseConnection()
    await until(lambda: has_disconnected(connection.transport))
    await until(lambda: served.made[0].lost is not None)


@asynchronous
async def test_a_flood_under_a_site_is_slowed_down(net: Network) -> None:
    served = Applications(echo)
    resource = HixieResource(served, origins=["*"], limits=SLOW)
    net.factories.append(resource.factory)
    place = await net.listen(Site(resource))
    attacker, client = await net.raw(place), await net.raw(place)
    await attacker.opens("rfc6455")
    attacker.send(flood("rfc6455"))
    await client.opens("hixie-75")
    await talks(client)
    assert len(served.made[0].messages) < 100


@pytest.mark.parametrize("backend", ["ws", "tcp"])
@asynchronous
async def test_a_flood_to_a_backend_is_slowed_down_and_its_replies_are_not(
    backend: str, net: Network
) -> None:
    received = bytearray()
    replies = b"yyyyyyyyyyyyyyyyyyyy\n" * 1000

    class Stream(Protocol):
        def dataReceived(self, data: bytes) -> None:
            if not received:
                self.transport.write(replies)  # type: ignore[union-attr]  # the protocol is connected, so its transport is not None
            received.extend(data)

    if backend == "ws":
        recorders = Applications(Recorder)
        behind = await net.serve(recorders, origins=["*"])
        service: Any = GatewayService(reactor, behind.url(), dialect="rfc6455")
    else:
        behind = await net.listen(Factory.forProtocol(Stream))
        service = StreamService(reactor, f"tcp:127.0.0.1:{behind.port}", coding="lines")
    place = await net.serve(service, origins=["*"], limits=SLOW)
    attacker = await net.raw(place)
    await attacker.opens("rfc6455")
    attacker.send(flood("rfc6455"))
    if backend == "ws":
        await until(lambda: recorders.made and recorders.made[0].messages)
        for _ in range(1000):
            recorders.made[0].transport.sendTextMessage("y" * 20)
        await until(lambda: attacker.data.count(b"y") == 20_000)
        assert len(recorders.made[0].messages) < 100
    else:
        await until(lambda: attacker.data.count(b"y") == 20_000)
        assert len(received) < 100
    await turn()
