"""Broadcasts within the read of a connection, over real sockets: what is sent afterwards to the
same receivers comes after the broadcast, and whole."""

from __future__ import annotations

from typing import Any

import pytest

from support.applications import Recorder
from support.dialect_names import CLOSING, MODERN
from support.frame_writer import FrameWriter
from support.frames import MASK
from support.network import Network
from support.raw_peer import Raw
from support.waiting import asynchronous, until
from txhixie import broadcast
from txhixie.sansio.dialects import DIALECTS
from txhixie.testing import Applications

LONG = "L" * 100_000

every = pytest.mark.parametrize("dialect", [dialect.name for dialect in DIALECTS])


class Room:
    """
    A server with two clients, of which the second one only listens.

    With the first message of the first client all get a broadcast, so that the writer of each
    connection knows that its socket is free. With the second message all get another one, and
    ``then`` is called with the transport of the second client.
    """

    def __init__(self, then: Any) -> None:
        self.then = then
        self.applications = Applications(lambda: Recorder(text=self.said))

    def said(self, application: Recorder) -> None:
        transports = [each.transport for each in self.applications.made]
        broadcast(transports, application.messages[-1])
        if len(application.messages) == 2:
            self.then(transports[1])

    async def listener(self, net: Network, dialect: str) -> tuple[Raw, FrameWriter]:
        """The second client, after both messages of the first one."""
        place = await net.serve(self.applications)
        peers = [await net.raw(place) for _ in range(2)]
        for peer in peers:
            await peer.opens(dialect)
        speaker = FrameWriter(dialect, MASK if dialect in MODERN else None)
        listened = FrameWriter(dialect, None)
        peers[0].send(speaker.text("first"))
        await peers[1].reads(listened.text("first"))
        peers[0].send(speaker.text("second"))
        return peers[1], listened


@every
@asynchronous
async def test_a_long_message_follows_a_broadcast(dialect: str, net: Network) -> None:
    room = Room(lambda transport: transport.sendTextMessage(LONG))
    peer, frames = await room.listener(net, dialect)
    await peer.reads(frames.text("second") + frames.text(LONG))


@every
@asynchronous
async def test_a_connection_that_is_closed_gets_the_broadcast_before(
    dialect: str, net: Network
) -> None:
    room = Room(lambda transport: transport.loseConnection())
    peer, frames = await room.listener(net, dialect)
    await peer.reads(frames.text("second"))
    if dialect not in CLOSING:
        await peer.ends()


@every
@asynchronous
async def test_a_connection_that_is_aborted_disturbs_no_other(dialect: str, net: Network) -> None:
    room = Room(lambda transport: transport.abortConnection())
    peer, _ = await room.listener(net, dialect)
    await until(lambda: peer.reason is not None)
    assert room.applications.made[0].lost is None
