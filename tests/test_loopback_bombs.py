"""Compressed messages that are much larger than their bytes on the wire, over real sockets.

The tests check how much memory these messages take, and that other connections are served
meanwhile.
"""

from __future__ import annotations

import gc
import random
import socket
import struct
import zlib
from typing import Any, Final

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol

from support.applications import Applications, Recorder, echo
from support.certificates import certificate
from support.frame_writer import FrameWriter
from support.frames import MASK
from support.gateway_setup import gateway
from support.handshake_bytes import whole_request
from support.held_bytes import kept
from support.log_recorder import Log
from support.network import Network
from support.private_state import application_of, backend_of, conversation_of, has_noticed_its_loss
from support.raw_peer import Raw
from support.waiting import asynchronous, reactor, turn, until, within
from txhixie import AbruptClose, Limits, WebSocket, WebSocketClientEndpoint, serve
from txhixie.channel.channel import Channel, ChannelApplication
from txhixie.sansio.extensions.permessage_deflate import PermessageDeflate
from txhixie.sansio.wire.frame import Opcode
from txhixie.stream import StreamApplications

MEBI: Final = 1024 * 1024
SLACK: Final = 256 * 1024
RSV1: Final = 0x40
OFFERED: Final = "Sec-WebSocket-Extensions: permessage-deflate"
CONNECTIONS: Final = 6
MANY: Final = 250
"""Messages of 1 MiB in a read of 256 KiB."""

over_both = pytest.mark.parametrize("over", ["tcp", "tls"])


def bomb(voice: FrameWriter, letter: bytes = b"\0", size: int = MEBI) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    payload = compressor.compress(letter * size) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return voice.frame(Opcode.BINARY, payload[:-4], reserved=RSV1)


CLIENTS: Final = FrameWriter("rfc6455", MASK)
SERVERS: Final = FrameWriter("rfc6455")


async def opened(raw: Raw) -> None:
    """Open a raw client that agrees on compression."""
    raw.send(whole_request("rfc6455", OFFERED))
    await raw.reads(b"permessage-deflate\r\n\r\n")
    raw.data.clear()


def reset(raw: Any) -> None:
    """End a connection so that the other side sees a reset."""
    below = raw.transport
    while getattr(below, "transport", None) is not None:
        below = below.transport
    below.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    below.abortConnection()


async def noticed(connections: Any) -> None:
    """
    Wait until each connection is lost: a connection that is not read from sees the reset when it
    writes.
    """
    while not all(has_noticed_its_loss(connection) for connection in connections):
        for connection in connections:
            connection.ping(b"?")
        await turn(0.002)
    await settled()


def held(connections: Any) -> int:
    """The number of received bytes that the connections hold."""
    return kept([*connections])


class Slow:
    """
    A coroutine that takes a message and then waits until the test opens ``gate``.

    :ivar sizes: the sizes of the messages that it took. :ivar ends: the error that ended each
        iteration, or None.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.ends: list[object] = []
        self.gate: Deferred[None] = Deferred()

    async def __call__(self, channel: Channel) -> None:
        try:
            async for message in channel:
                self.sizes.append(len(message))
                del message
                await self._told()
        except AbruptClose as close:
            self.ends.append(close)
        else:
            self.ends.append(None)

    async def _told(self) -> None:
        mine: Deferred[None] = Deferred()
        self.gate.chainDeferred(mine)
        await mine


async def settled() -> None:
    """Wait until every connection has had many turns of the reactor."""
    for _ in range(50):
        await turn(0.002)


async def slowly_served(
    net: Network, over: str, slow: Slow, limits: Limits
) -> tuple[Any, list[Raw]]:
    """Connect six clients; each sends more bombs than its application takes."""
    place = await net.serve(serve(slow), over, limits=limits)
    raws = [await net.raw(place) for _ in range(CONNECTIONS)]
    for raw in raws:
        await opened(raw)
        raw.send(bomb(CLIENTS) * 500)
    await until(lambda: len(slow.sizes) == CONNECTIONS)
    await settled()
    return place, raws


@over_both
@asynchronous
async def test_a_reset_delivers_no_more_than_the_application_takes(net: Network, over: str) -> None:
    slow = Slow()
    place, raws = await slowly_served(net, over, slow, Limits())
    connections = [*place.factory.connections]
    ours = [*connections, *(application_of(connection) for connection in connections)]
    for raw in raws:
        reset(raw)
    await noticed(connections)
    assert held(ours) <= CONNECTIONS * (MEBI + SLACK)
    assert slow.sizes == [MEBI] * CONNECTIONS
    assert slow.ends == []
    most = 0

    async def watched() -> None:
        nonlocal most
        while place.factory.connections:
            most = max(most, held(ours))
            await turn()

    slow.gate.callback(None)
    await within(Deferred.fromCoroutine(watched()))
    assert most <= CONNECTIONS * (MEBI + SLACK)
    assert [type(end) for end in slow.ends] == [AbruptClose] * CONNECTIONS
    # The most of what lay in a read is more than what a high-water mark would let wait.
    assert len(slow.sizes) > 4 * CONNECTIONS
    assert set(slow.sizes) == {MEBI}


@over_both
@asynchronous
async def test_bytes_that_are_not_taken_in_time_are_dropped_and_counted_in_the_reason(
    net: Network, over: str
) -> None:
    slow = Slow()
    place, raws = await slowly_served(net, over, slow, Limits(drain_timeout=0.5))
    for raw in raws:
        reset(raw)
    await noticed([*place.factory.connections])
    await until(lambda: not place.factory.connections)
    assert slow.sizes == [MEBI] * CONNECTIONS
    slow.gate.callback(None)
    await until(lambda: len(slow.ends) == CONNECTIONS)
    assert slow.sizes == [MEBI] * 2 * CONNECTIONS  # each application had one message already
    for end in slow.ends:
        assert isinstance(end, AbruptClose)
        number, _, rest = end.reason.partition(" ")
        assert rest.startswith("received bytes were dropped")
        assert int(number.replace(",", "")) > 10_000


@over_both
@asynchronous
async def test_a_client_gets_no_more_than_it_takes_after_a_reset_by_the_server(
    net: Network, over: str
) -> None:
    place, made = await net.raw_server(OFFERED + "\r\n", bomb(SERVERS) * 500)
    if over == "tls":
        place = await net.listen(place.factory, over)
    slow = Slow()
    endpoint = WebSocketClientEndpoint(place.endpoint, place.url(), extensions=extensions())
    attempts = []
    for _ in range(CONNECTIONS):
        application = ChannelApplication()
        await within(endpoint.connectApplication(application))
        attempts.append(application)
        Deferred.fromCoroutine(slow(Channel(application)))
    await until(lambda: len(slow.sizes) == CONNECTIONS)
    await settled()
    for raw in made:
        reset(raw)
    connections: list[Any] = [application.transport for application in attempts]
    await noticed(connections)
    assert held([*connections, *attempts]) <= CONNECTIONS * (MEBI + SLACK)
    slow.gate.callback(None)
    await until(lambda: len(slow.ends) == CONNECTIONS)
    assert len(slow.sizes) > 4 * CONNECTIONS


def extensions() -> list[Any]:
    """The extensions that match the response of a raw server."""
    return [PermessageDeflate(server_takeover=True)]


@over_both
@asynchronous
async def test_after_a_reset_a_gateway_relays_messages_as_the_backend_takes_them(
    net: Network, over: str
) -> None:
    applications = Applications(Recorder)
    trust: dict[str, Any] = {"trustRoot": certificate()} if over == "tls" else {}
    place, _ = await gateway(net, applications, over=over, **trust)
    raw = await net.raw(place)
    await opened(raw)
    await until(lambda: applications.made and "finished" in applications.made[0].told)
    backend = applications.made[0]
    backend.transport.pauseProducing()
    (front,) = place.factory.connections
    relay = backend_of(front)
    # private: without compression, so that the connection to the backend can be full
    conversation_of(relay.transport)._transform = None
    raw.send(bomb(CLIENTS) * 500)
    await until(lambda: relay.transport.full)
    await settled()
    reset(raw)
    await noticed([front])
    assert held([front]) <= MEBI + SLACK
    assert backend.messages == []
    backend.transport.resumeProducing()
    await until(lambda: backend.lost is not None)
    assert len(backend.messages) > 20
    assert {len(message) for message in backend.messages} == {MEBI}


class Hesitant(Protocol):
    """A byte protocol that pauses its transport when it gets bytes."""

    def __init__(self) -> None:
        self.size = 0
        self.told: list[str] = []

    def dataReceived(self, data: bytes) -> None:
        self.size += len(data)
        self.transport.pauseProducing()  # type: ignore[union-attr]  # the protocol is connected, so its transport is not None

    def connectionLost(self, reason: object = None) -> None:
        self.told.append("lost")


@over_both
@asynchronous
async def test_a_stream_gets_the_bytes_it_takes_and_then_connectionLost(
    net: Network, over: str
) -> None:
    made: list[Hesitant] = []

    class Making(Factory):
        def buildProtocol(self, addr: object) -> Hesitant:
            made.append(Hesitant())
            return made[-1]

    place = await net.serve(StreamApplications(Making()), over)
    raw = await net.raw(place)
    await opened(raw)
    raw.send(bomb(CLIENTS) * 100)
    await until(lambda: made and made[0].size)
    await settled()
    (wire,) = place.factory.connections
    reset(raw)
    await noticed([wire])
    assert made[0].size == MEBI
    assert held([wire]) <= SLACK
    assert made[0].told == []
    before = 0
    while not made[0].told:
        assert made[0].size - before <= MEBI
        before = made[0].size
        made[0].transport.resumeProducing()  # type: ignore[union-attr]  # the protocol is connected, so its transport is not None
        await turn()
    assert made[0].size > 20 * MEBI


@over_both
@asynchronous
async def test_the_WebSocket_of_a_page_gets_all_messages_received_before_a_reset(
    net: Network, over: str
) -> None:
    """The page cannot pause. It gets one message in each turn of the reactor, and then the close
    event."""
    place, made = await net.raw_server(
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n",
        bomb(SERVERS, b"a") * 40,
    )
    if over == "tls":
        place = await net.listen(place.factory, over)
    page = WebSocket(place.url(), trustRoot=certificate())
    told: list[Any] = []
    ticks = 0

    def count() -> None:
        nonlocal ticks
        ticks += 1
        if not told or told[-1] != "close":
            reactor.callLater(0, count)

    page.onmessage = lambda event: told.append((ticks, len(event.data)))
    page.onclose = lambda event: told.append("close")
    count()
    await until(lambda: len(told) >= 3)
    reset(made[0])
    await until(lambda: told[-1] == "close")
    messages = told[:-1]
    assert [size for _, size in messages] == [MEBI] * 40
    assert len({tick for tick, _ in messages}) >= 20


# Other connections do not wait.


@over_both
@asynchronous
async def test_other_connections_are_served_between_the_bombs_of_one(
    net: Network, over: str, log: Log
) -> None:
    """Only a few bombs are delivered between a message of another connection and its echo."""
    applications = Applications(echo)
    place = await net.serve(applications, over)
    other, one = await net.raw(place), await net.raw(place)
    await other.opens("rfc6455")
    await opened(one)
    asking, bombed = applications.made
    bombed.does.clear()  # this application does not echo
    between: list[int] = []
    one.send(b"".join(bomb(CLIENTS, bytes([number])) for number in range(MANY)))
    await until(lambda: bombed.messages)
    while len(bombed.messages) < MANY:
        before = len(bombed.messages)
        question = str(before)
        other.send(CLIENTS.text(question))
        await other.reads(SERVERS.text(question))
        other.data.clear()
        between.append(len(bombed.messages) - before)
    assert [message[:1] for message in bombed.messages] == [bytes([n]) for n in range(MANY)]
    assert {len(message) for message in bombed.messages} == {MEBI}
    # Both sides run in one process: message, echo and the test's check each take a turn or two.
    assert max(between) <= 12
    assert len(between) > MANY / 12
    assert asking.lost is None


@asynchronous
async def test_other_connections_are_served_between_the_bombs_through_a_gateway(
    net: Network,
) -> None:
    applications = Applications(Recorder)
    place, _ = await gateway(net, applications)
    one = await net.raw(place)
    await opened(one)
    await until(lambda: applications.made and "finished" in applications.made[0].told)
    plain = Applications(echo)
    there = await net.serve(plain)
    other = await net.raw(there)
    await other.opens("rfc6455")
    (front,) = place.factory.connections
    one.send(bomb(CLIENTS) * MANY)
    conversation = conversation_of(front)
    between: list[int] = []
    await until(lambda: conversation.received)
    while conversation.received < MANY:
        before = conversation.received
        other.send(CLIENTS.text("?"))
        await other.reads(SERVERS.text("?"))
        other.data.clear()
        between.append(conversation.received - before)
    assert max(between) <= 12
    await until(lambda: len(applications.made[0].messages) == MANY)


# Messages sent to a peer that does not read.


@over_both
@asynchronous
async def test_unawaited_sends_to_a_peer_that_does_not_read_are_bounded(
    net: Network, over: str, log: Log
) -> None:
    """Of 60 MB, at most the limit waits in the write buffer; the rest is never accepted, and no
    line is logged."""
    limits = Limits(unsent_size=4 * MEBI)
    sent: list[Deferred[None]] = []
    most: list[int] = []
    channels: list[Channel] = []

    async def floods(channel: Channel) -> None:
        channels.append(channel)
        await channel.receive()
        for _ in range(60):
            sent.append(channel.send(noise))
            outbox = application_of(channel).outbox
            most.append(outbox.size)
            if channel.full:
                assert channel.unsent >= outbox.size
            if channel.ended is not None:
                return
            await turn()

    noise = random.Random(1).randbytes(1_000_000)
    place = await net.serve(serve(floods), over, limits=limits)
    raw = await net.raw(place)
    await raw.opens("rfc6455")
    raw.send(CLIENTS.text("go"))
    raw.transport.pauseProducing()
    await until(lambda: channels and channels[0].ended is not None)
    assert max(most) <= limits.unsent_size
    fired = sum((getattr(deferred, "result", ...) is None) for deferred in sent)
    assert 0 < len(sent) - fired <= 6
    assert len(sent) < 30
    ended = channels[0].ended
    assert ended is not None
    assert (ended.code, ended.who) == (1006, "us")
    assert "exceeds our limit of 4,194,304 (Limits.unsent_size)" in ended.reason
    await until(lambda: not place.factory.connections)
    raw.transport.resumeProducing()
    await until(lambda: raw.reason is not None)
    assert len(raw.data) <= fired * 1_000_100
    sent.clear()
    gc.collect()
    assert log.tracebacks() == []
    assert not any("Unhandled" in str(event.get("log_format")) for event in log.events)
