"""Broadcasts over real sockets: TCP, TLS and UNIX sockets."""

from __future__ import annotations

from typing import Any

import pytest

from support.applications import Applications, Recorder
from support.dialect_names import CLOSING, MODERN, NAMES
from support.frame_writer import FrameWriter
from support.frames import MASK
from support.network import OVER, Network
from support.raw_peer import Raw
from support.waiting import asynchronous, until, within
from txhixie import broadcast
from txhixie.extensions import PermessageDeflate

over_all = pytest.mark.parametrize("over", OVER)
in_each = pytest.mark.parametrize("dialect", NAMES)


ROUNDS = 20
LONG = "x" * 300_000
LINE = "y" * 1000
PARAGRAPH = "z" * 60_000


async def received(clients: list[Any], sent: list[str | bytes]) -> None:
    """Wait until clients have received these messages, and no others before."""
    await until(lambda: all(len(client.messages) >= len(sent) for client in clients))
    assert all(client.messages == sent for client in clients)


async def room(net: Network, over: str) -> tuple[list[Any], list[Any], list[Any]]:
    """
    A room of clients in all dialects, and with compression in those that have it.

    :return: the transports of the server, its applications, and those of the clients.
    """
    served, clients = Applications(Recorder), []
    keeps = PermessageDeflate(server_takeover=True)
    place = await net.serve(served, over, binary="send", extensions=[keeps])
    kinds = [(dialect, ()) for dialect in NAMES] + [(dialect, (keeps,)) for dialect in MODERN]
    for dialect, extensions in kinds:
        options: Any = {"dialect": dialect, "binary": "send", "extensions": extensions}
        wire = await net.connect(place, Applications(Recorder), **options)
        clients.append(await within(wire.whenOpen()))
        await until(lambda: len(served.made) == len(clients) and "finished" in served.made[-1].told)
    return [each.transport for each in served.made], served.made, clients


@over_all
@asynchronous
async def test_broadcasts_and_own_messages_arrive_in_order(net: Network, over: str) -> None:
    members, _, clients = await room(net, over)
    sent: list[str | bytes] = []
    for number in range(ROUNDS):
        message = (f"{number} {LINE}", f"{number}".encode(), LONG, f"{number}")[number % 4]
        delivery = broadcast(members, message, slow="close")
        assert delivery.sent == len(members) == 9
        for member in members:
            member.sendTextMessage(f"own {number} {LINE}")
        sent += [message, f"own {number} {LINE}"]
        if number % 4 == 2:
            await received(clients, sent)
    await received(clients, sent)


@over_all
@asynchronous
async def test_clients_broadcast_to_servers(net: Network, over: str) -> None:
    _, servers, clients = await room(net, over)
    for number in range(ROUNDS):
        assert broadcast([each.transport for each in clients], f"{number}").sent == len(clients)
    expected: list[str | bytes] = [f"{number}" for number in range(ROUNDS)]
    await received(servers, expected)


@over_all
@asynchronous
async def test_one_that_does_not_read_costs_the_others_nothing(net: Network, over: str) -> None:
    """It has its write buffer of 64 KiB and one message, and then the newest message."""
    members, _, clients = await room(net, over)
    stuck = [0, 4, 8]
    for index in stuck:
        clients[index].transport.pauseProducing()
    others = [client for index, client in enumerate(clients) if index not in stuck]
    sent: list[str | bytes] = []
    while not all(members[index].full for index in stuck):
        sent.append(f"{len(sent)} {PARAGRAPH}")
        delivery = broadcast(members, sent[-1], slow="newest", compress=False)
        assert delivery.sent + delivery.waiting == len(members)
        await received(others, sent)
    if over == "tcp":  # the only transport that tells
        for index in stuck:
            assert 64 * 1024 < members[index].unsent <= 64 * 1024 + len(PARAGRAPH) + 100
    last = f"last {PARAGRAPH}"
    for text in ("one", "two", last):
        assert broadcast(members, text, slow="newest", compress=False).waiting == len(stuck)
    sent += ["one", "two", last]
    await received(others, sent)
    for index in stuck:
        clients[index].transport.resumeProducing()
    await until(lambda: all(client.messages[-1:] == [last] for client in clients))
    for index in stuck:
        assert clients[index].messages == [text for text in sent if text in clients[index].messages]
        assert "one" not in clients[index].messages


# Broadcasts within the read of a connection: what is sent to a receiver afterwards comes after the
# broadcast, and whole.


class Spoken:
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


@in_each
@asynchronous
async def test_a_long_message_follows_a_broadcast(dialect: str, net: Network) -> None:
    room = Spoken(lambda transport: transport.sendTextMessage(LONG))
    peer, frames = await room.listener(net, dialect)
    await peer.reads(frames.text("second") + frames.text(LONG))


@in_each
@asynchronous
async def test_a_connection_that_is_closed_gets_the_broadcast_before(
    dialect: str, net: Network
) -> None:
    room = Spoken(lambda transport: transport.loseConnection())
    peer, frames = await room.listener(net, dialect)
    await peer.reads(frames.text("second"))
    if dialect not in CLOSING:
        await peer.ends()


@in_each
@asynchronous
async def test_a_connection_that_is_aborted_disturbs_no_other(dialect: str, net: Network) -> None:
    room = Spoken(lambda transport: transport.abortConnection())
    peer, _ = await room.listener(net, dialect)
    await until(lambda: peer.reason is not None)
    assert room.applications.made[0].lost is None
