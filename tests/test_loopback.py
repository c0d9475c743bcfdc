"""Both sides of the Hixie dialects over real sockets: TCP, TLS and UNIX sockets."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.error import ConnectionRefusedError as NobodyThere
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory
from twisted.web import websocket
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from support import dialect_names, network
from support.applications import (
    Answering,
    Applications,
    Broken,
    Plain,
    Recorder,
    Source,
    echo,
    fails,
)
from support.dialect_marks import each, hixie
from support.dialect_names import HIXIE
from support.frame_writer import CLOSE, FrameWriter, text
from support.frames import MASK
from support.handshake_bytes import KEY3, PROOF, head_of, request, status_of, whole_request
from support.log_recorder import Log
from support.network import OVER, Network
from support.private_state import waiting_bytes
from support.raw_peer import Raw
from support.waiting import asynchronous, reactor, turn, until, within
from txhixie import (
    AbruptClose,
    CleanClose,
    ConnectTimeout,
    Ended,
    HandshakeRefused,
    InvalidHandshake,
    Limits,
    NotOpen,
    PeerLeft,
    Refusal,
)

over_all = pytest.mark.parametrize("over", OVER)
over_both = pytest.mark.parametrize("over", ["tcp", "tls"])


QUICK = Limits(open_timeout=0.3)
BRIEF = Limits(close_timeout=0.3, drain_timeout=20.0)
"""For what comes after an opening, which takes longer than QUICK on a busy machine."""

BIG = "x" * 65_536
MANY = 400
"""Times :data:`BIG` is 25 MiB: more than the kernel takes for a peer that does not read."""


def squeeze(raw: Raw, size: int) -> None:
    """Make the kernel's receive buffer of a peer small, so that a peer that does not read fills it
    soon."""
    transport = raw.transport
    handle = getattr(transport, "transport", transport).getHandle()
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


# txhixie on both sides.


@over_all
@each
@asynchronous
async def test_a_connection_opens_echoes_and_closes(
    dialect: str, over: str, net: Network, log: Log
) -> None:
    pair = await net.pair(dialect, over)
    pair.client.transport.sendTextMessage("Grüße")
    pair.client.transport.sendBytesMessage(bytes(range(256)))
    pair.client.transport.sendTextMessage("")
    await until(lambda: len(pair.client.messages) == 3)
    assert pair.client.messages == ["Grüße", bytes(range(256)), ""]
    pair.client.transport.loseConnection()
    await until(lambda: pair.client.lost and pair.server.lost)
    assert isinstance(pair.client.lost, CleanClose)
    assert isinstance(pair.server.lost, CleanClose)
    code = dialect_names.code_of(dialect)
    assert pair.client.lost.ended == (code, "", "us", True)
    assert pair.server.lost.ended == (code, "", "peer", True)
    assert pair.client.told.count("lost") == pair.server.told.count("lost") == 1


@over_all
@each
@asynchronous
async def test_the_server_may_close(dialect: str, over: str, net: Network, log: Log) -> None:
    pair = await net.pair(dialect, over)
    pair.server.transport.sendTextMessage("last")
    pair.server.transport.loseConnection()
    await until(lambda: pair.client.lost and pair.server.lost)
    assert pair.client.messages == ["last"]
    assert isinstance(pair.client.lost, CleanClose)
    assert isinstance(pair.server.lost, CleanClose)


@over_all
@each
@asynchronous
async def test_an_abort_is_an_abrupt_close(dialect: str, over: str, net: Network, log: Log) -> None:
    pair = await net.pair(dialect, over)
    pair.client.transport.abortConnection()
    await until(lambda: pair.client.lost and pair.server.lost)
    assert isinstance(pair.client.lost, AbruptClose)
    assert pair.client.lost.ended.who == "us"
    # A UNIX socket knows no reset: without a closing frame the server cannot tell.
    if over == "tcp" or dialect in dialect_names.CLOSING:
        assert isinstance(pair.server.lost, AbruptClose)


@over_all
@asynchronous
async def test_the_offer_has_whether_the_connection_uses_TLS(over: str, net: Network) -> None:
    pair = await net.pair("hixie-76", over)
    assert pair.serverWire.offer.secure == pair.clientWire.offer.secure == (over == "tls")
    assert pair.serverWire.offer.location == pair.clientWire.offer.location


@over_both
@each
@asynchronous
async def test_small_messages_do_not_wait_for_each_other(
    dialect: str, over: str, net: Network
) -> None:
    pair = await net.pair(dialect, over)
    for wire in (pair.serverWire, pair.clientWire):
        transport: Any = wire.transport
        handle = (transport if over == "tcp" else transport.transport).getHandle()
        assert handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has MSG_MORE")
@pytest.mark.parametrize("dialect", dialect_names.CLOSING)
@asynchronous
async def test_the_answer_to_a_close_frame_is_sent_together_with_the_end(
    dialect: str, net: Network
) -> None:
    """In a packet of its own it would have arrived when the application learns of the close."""
    received = bytearray()

    class Listener(Recorder):
        def closeStarted(self, ended: Ended) -> None:
            with pytest.raises(BlockingIOError):
                peer.recv(1000)

    def ends() -> bool:
        with contextlib.suppress(BlockingIOError):
            data = peer.recv(1000)
            received.extend(data)
            return not data
        return False

    place = await net.serve(Applications(Listener))
    address = place.listening.getHost()
    with socket.create_connection((address.host, address.port)) as peer:
        peer.setblocking(False)
        peer.sendall(whole_request(dialect))
        head = PROOF if dialect == "hixie-76" else b"\r\n\r\n"
        await until(lambda: ends() or received.endswith(head))
        received.clear()
        peer.sendall(FrameWriter(dialect, MASK).close(1000))
        await until(ends)
        assert received == FrameWriter(dialect).close(1000)


@over_both
@each
@asynchronous
async def test_dialects_without_pings_use_TCP_keepalive(
    dialect: str, over: str, net: Network
) -> None:
    """Otherwise a connection to a peer that lost its power would be kept for ever, if the server
    sends nothing."""
    for limits, asks in (
        (Limits(ping_interval=7.0, ping_timeout=8.0), dialect in HIXIE),
        (Limits(ping_interval=None), False),
        (Limits(ping_interval=0.2, ping_timeout=1e9), dialect in HIXIE),
    ):
        pair = await net.pair(dialect, over, limits=limits)
        for wire in (pair.serverWire, pair.clientWire):
            transport: Any = wire.transport
            handle = (transport if over == "tcp" else transport.transport).getHandle()
            assert bool(handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is asks
            if asks and limits.ping_interval == 7.0:
                options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                assert [handle.getsockopt(socket.IPPROTO_TCP, each) for each in options] == [
                    7,
                    2,
                    4,
                ]


@hixie
@asynchronous
async def test_messages_of_every_size_arrive(dialect: str, net: Network) -> None:
    pair = await net.pair(dialect)
    sent: list[str | bytes] = []
    for size in (0, 1, 127, 128, 16_383, 16_384, 65_536, 1_000_000):
        sent += ["a" * size, b"\xff" * size]
        pair.client.transport.sendTextMessage("a" * size)
        pair.client.transport.sendBytesMessage(b"\xff" * size)
    await until(lambda: len(pair.client.messages) == len(sent))
    assert pair.client.messages == sent


# One application class, under Twisted's module and under txhixie.


class Echoing(Plain):
    """An application as the documentation of twisted.web.websocket has it."""

    def textMessageReceived(self, message: str) -> None:
        super().textMessageReceived(message)
        self.transport.sendTextMessage(f"heard {message}")


class Asking(Plain):
    """An application of the client, for `Echoing`."""

    def negotiationFinished(self) -> None:
        super().negotiationFinished()
        self.transport.sendTextMessage("hello")

    def textMessageReceived(self, message: str) -> None:
        super().textMessageReceived(message)
        self.transport.loseConnection()


STORY = ["started", "finished", "text", "lost"]


def told(application: Plain) -> list[str]:
    """The names of the events that an application got."""
    return [event[0] for event in application.events]


@asynchronous
async def test_an_application_runs_under_Twisteds_module(net: Network) -> None:
    servers, clients = Applications(Echoing), Applications(Asking)
    root = Resource()
    root.putChild(b"demo", websocket.WebSocketResource(servers))
    place = await net.listen(Site(root))
    url = f"ws://127.0.0.1:{place.port}/demo"
    endpoint = websocket.WebSocketClientEndpoint.new(reactor, url)
    await within(ensureDeferred(endpoint.connect(clients)))
    await until(lambda: clients.made[0].events[-1][0] == "lost")
    await until(lambda: servers.made[0].events[-1][0] == "lost")
    # A server's is not told there that negotiation has started until it has a transport.
    assert told(clients.made[0]) == told(servers.made[0]) == STORY
    assert ("text", "heard hello") in clients.made[0].events


@each
@asynchronous
async def test_an_application_of_Twisteds_module_runs_unchanged(dialect: str, net: Network) -> None:
    servers, clients = Applications(Echoing), Applications(Asking)
    place = await net.serve(servers)
    wire = await net.connect(place, clients, dialect=dialect)
    await within(wire.whenOpen())
    await until(lambda: clients.made[0].events[-1][0] == "lost")
    await until(lambda: servers.made[0].events[-1][0] == "lost")
    assert told(clients.made[0]) == told(servers.made[0]) == STORY
    assert ("text", "heard hello") in clients.made[0].events


# By the bytes.


@asynchronous
async def test_the_bytes_of_the_hixie_75_slides_are_exchanged(net: Network) -> None:
    raw = await net.raw(await net.serve(Applications()))
    raw.send(
        b"GET /text HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
        b"Host: example.com\r\nWebSocket-Origin: http://example.com\r\n"
        b"WebSocket-Protocol: sample\r\n\r\n"
    )
    await raw.reads(b"\r\n\r\n")
    assert raw.data == (
        b"HTTP/1.1 101 Web Socket Protocol Handshake\r\nUpgrade: WebSocket\r\n"
        b"Connection: Upgrade\r\nWebSocket-Origin: http://example.com\r\n"
        b"WebSocket-Location: ws://example.com/text\r\n\r\n"
    )
    raw.data.clear()
    raw.send(b"\x00Hello, WebSocket\xff\x80\x10Hello, WebSocket")
    await raw.reads(b"\x00Hello, WebSocket\xff\x80\x10Hello, WebSocket")


@pytest.mark.parametrize("how", ["together", "byte by byte", "late"])
@asynchronous
async def test_the_eight_bytes_of_a_request_may_be_split_or_late(how: str, net: Network) -> None:
    raw = await net.raw(await net.serve(Applications()))
    if how == "together":
        raw.send(whole_request("hixie-76"))
    elif how == "byte by byte":
        for byte in whole_request("hixie-76"):
            raw.send(bytes([byte]))
            await turn()
    else:
        raw.send(request("hixie-76"))
        await raw.reads(b"\r\n\r\n")
        assert raw.data.endswith(b"\r\n\r\n")
        await turn(0.05)
        assert raw.data.endswith(b"\r\n\r\n")
        raw.send(KEY3)
    await raw.reads(b"\r\n\r\n" + PROOF)
    raw.send(text("hello"))
    await raw.reads(text("hello"))


@asynchronous
async def test_an_incomplete_request_gets_a_408_and_is_disconnected(net: Network) -> None:
    raw = await net.raw(await net.serve(Applications(), limits=QUICK))
    raw.send(b"GET / HTTP/1.1\r\n")
    await raw.ends()
    assert status_of(bytes(raw.data)) == 408


@asynchronous
async def test_a_client_that_never_sends_its_eight_bytes_is_disconnected(net: Network) -> None:
    raw = await net.raw(await net.serve(Applications(), limits=QUICK))
    raw.send(request("hixie-76") + KEY3[:7])
    await raw.reads(b"\r\n\r\n")
    await until(lambda: raw.reason is not None)
    assert raw.data.endswith(b"\r\n\r\n")


@hixie
@asynchronous
async def test_the_decision_for_a_client_that_disconnects_is_cancelled(
    dialect: str, net: Network, log: Log
) -> None:
    """TCP reports a lost peer only to a transport that reads."""
    cancelled: list[object] = []
    decision: Deferred[Any] = Deferred(cancelled.append)
    raw = await net.raw(await net.serve(Answering(lambda offer: decision)))
    raw.send(whole_request(dialect))
    await turn(0.05)
    raw.transport.loseConnection()
    await until(lambda: cancelled)


@hixie
@asynchronous
async def test_the_replies_of_one_read_come_in_one_piece(dialect: str, net: Network) -> None:
    raw = await net.raw(await net.serve(Applications()))
    await raw.opens(dialect)
    raw.send(b"".join(text(str(number)) for number in range(100)))
    await raw.reads(text("99"))
    assert raw.pieces == [b"".join(text(str(number)) for number in range(100))]


@hixie
@asynchronous
async def test_a_healthy_peer_survives_a_reactor_that_was_blocked(
    dialect: str, net: Network
) -> None:
    """The peer's bytes are in the socket when all timeouts pass at once."""
    place = await net.serve(Applications(), limits=QUICK)
    raw = await net.raw(place)
    raw.send(whole_request(dialect)[:40])
    await turn(0.05)
    handle = raw.transport.getHandle()
    handle.send(whole_request(dialect)[40:])
    time.sleep(0.5)
    await raw.reads(PROOF if dialect == "hixie-76" else b"\r\n\r\n")
    assert status_of(bytes(raw.data)) == 101
    raw.send(text("hello"))
    await raw.reads(text("hello"))


# Bad input over the wire.


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (request("hixie-75", "A : b"), 400),
        (whole_request("hixie-76", origin="http://evil.example"), 403),
        (request("hixie-75", "Sec-WebSocket-Version: 99", "Sec-WebSocket-Key: x"), 426),
        (request("hixie-75", "A: " + "b" * 20_000), 431),
        (request("hixie-75") + b"x" * 100_000, 400),
    ],
)
@over_all
@asynchronous
async def test_a_refused_client_can_read_the_reason(
    over: str, data: bytes, status: int, net: Network, log: Log
) -> None:
    """Also when the server has not read much of the client's bytes: a reset would discard the
    response."""
    raw = await net.raw(await net.serve(Applications(), over))
    raw.send(data)
    await until(lambda: raw.data.endswith(b"\n"))
    raw.send(b"y" * 100_000)
    await raw.ends()
    assert status_of(bytes(raw.data)) == status
    assert len(log.lines()) == 1


@hixie
@asynchronous
async def test_a_broken_frame_ends_one_connection_and_no_other(
    dialect: str, net: Network, log: Log
) -> None:
    place = await net.serve(Applications())
    good, bad = await net.raw(place), await net.raw(place)
    await good.opens(dialect)
    await bad.opens(dialect)
    bad.send(b"\x01what\xff")
    await bad.ends()
    good.send(text("hello"))
    await good.reads(text("hello"))
    assert len(log.lines()) == 1


@hixie
@asynchronous
async def test_an_application_that_raises_ends_one_connection_and_no_other(
    dialect: str, net: Network, log: Log
) -> None:
    applications = Applications()
    place = await net.serve(applications)
    good, bad = await net.raw(place), await net.raw(place)
    await good.opens(dialect)
    applications.made[0].does = dict(echo().does)
    await bad.opens(dialect)
    applications.made[1].does = {"text": fails}
    bad.send(text("hello"))
    await bad.ends()
    assert len(log.tracebacks()) == 1
    good.send(text("hello"))
    await good.reads(text("hello"))


# Back-pressure, in.


@over_both
@pytest.mark.parametrize("side", ["server", "client"])
@each
@asynchronous
async def test_a_pause_loses_nothing_and_doubles_nothing(
    dialect: str, side: str, over: str, net: Network, log: Log
) -> None:
    """Also of the bytes that arrive during the pause."""

    def pauses(application: Recorder) -> None:
        if len(application.messages) in (1, 250, 251, 600):
            application.transport.pauseProducing()

    pair = await net.pair(
        dialect,
        over,
        server=lambda: Recorder(text=pauses),
        client=lambda: Recorder(text=pauses),
    )
    taker = getattr(pair, side)
    giver = pair.client if side == "server" else pair.server
    sent = [str(number) * 200 for number in range(1000)]
    for message in sent:
        giver.transport.sendTextMessage(message)
    for stop in (1, 250, 251, 600):
        await until(partial(lambda stop: len(taker.messages) == stop, stop))
        await turn(0.02)
        assert len(taker.messages) == stop
        taker.transport.resumeProducing()
    await until(lambda: len(taker.messages) == 1000)
    assert taker.messages == sent


@over_both
@each
@asynchronous
async def test_closing_while_paused_reads_the_close_of_the_peer(
    dialect: str, over: str, net: Network, log: Log
) -> None:
    pair = await net.pair(
        dialect, over, server=lambda: Recorder(text=lambda a: a.transport.pauseProducing())
    )
    for _ in range(1000):
        pair.client.transport.sendTextMessage("x" * 1000)
    await until(lambda: pair.server.messages)
    pair.server.transport.loseConnection()
    await until(lambda: pair.client.lost and pair.server.lost, 2.5)
    assert isinstance(pair.server.lost, CleanClose)
    assert len(pair.server.messages) == 1


@over_all
@hixie
@asynchronous
async def test_closing_with_unread_input_does_not_discard_the_last_messages(
    dialect: str, over: str, net: Network, log: Log
) -> None:
    """The kernel resets a socket that is closed with unread bytes, and discards the bytes written
    last."""

    def says_bye(application: Recorder) -> None:
        application.transport.sendTextMessage("bye")
        application.transport.loseConnection()

    place = await net.serve(Applications(lambda: Recorder(text=says_bye)), over)
    raw = await net.raw(place)
    await raw.opens(dialect)
    raw.send(text("x" * 1000) * 1000)
    await raw.reads(text("bye"))
    if dialect == "hixie-76":
        await raw.reads(CLOSE)
        raw.send(CLOSE)
    await raw.ends()


# Back-pressure, out.


@implementer(IPushProducer)
class Giver:
    """A producer that sends big messages as fast as the transport allows, and then closes the
    connection."""

    def __init__(self, application: Recorder) -> None:
        self.transport = application.transport
        self.sent = 0
        self.paused = False
        self.told: list[str] = []
        self.transport.attachProducer(self)
        self.give()

    def give(self) -> None:
        while not self.paused and self.sent < MANY:
            self.sent += 1
            self.transport.sendTextMessage(BIG)
        if self.sent == MANY:
            self.sent += 1
            self.transport.loseConnection()

    def pauseProducing(self) -> None:
        self.told.append("pause")
        self.paused = True

    def resumeProducing(self) -> None:
        self.told.append("resume")
        self.paused = False
        self.give()

    def stopProducing(self) -> None:
        self.told.append("stop")


@over_both
@hixie
@asynchronous
async def test_a_producer_gives_no_more_than_the_peer_takes_and_all_of_it_arrives(
    dialect: str, over: str, net: Network, log: Log
) -> None:
    applications = Applications(lambda: Recorder(finished=lambda a: setattr(a, "giver", Giver(a))))
    place = await net.serve(applications, over)
    raw = await net.raw(place)
    raw.transport.pauseProducing()
    raw.send(whole_request(dialect))
    raw.transport.resumeProducing()
    await raw.reads(b"\r\n\r\n")
    raw.transport.pauseProducing()
    giver = applications.made[0].giver
    await until(lambda: giver.paused)
    await turn(0.3)
    assert giver.paused
    assert giver.sent < MANY
    (wire,) = place.factory.connections
    assert wire.full
    assert waiting_bytes(wire) < 4 * len(BIG)
    raw.transport.resumeProducing()
    await until(lambda: raw.data.count(b"\xff") >= MANY)
    assert bytes(raw.data).partition(b"\x00xx")[2].count(b"x") == MANY * len(BIG) - 2
    said = [word for word in giver.told if word != "stop"]
    assert said[0] == "pause"
    assert all(word != following for word, following in pairwise(said))
    if dialect == "hixie-76":
        await raw.reads(CLOSE)
        raw.send(CLOSE)
    await raw.ends()


@over_both
@hixie
@asynchronous
async def test_what_was_sent_before_a_close_arrives_however_slowly_the_peer_reads(
    dialect: str, over: str, net: Network, log: Log
) -> None:
    """The peer reads for longer than the close timeout, and the server cannot see how much the
    peer has read."""

    def gives_all(application: Recorder) -> None:
        for _ in range(MANY // 4):
            application.transport.sendTextMessage(BIG)
        application.transport.loseConnection()

    place = await net.serve(Applications(lambda: Recorder(text=gives_all)), over, limits=BRIEF)
    raw = await net.raw(place)
    squeeze(raw, 100_000)
    await raw.opens(dialect)
    raw.send(text("give"))
    raw.transport.pauseProducing()
    expected = len(text(BIG)) * (MANY // 4)
    for _ in range(10):
        await turn(0.1)
        raw.transport.resumeProducing()
        await turn(0.01)
        if raw.reason is None:
            raw.transport.pauseProducing()
    if raw.reason is None:
        raw.transport.resumeProducing()
    await until(lambda: len(raw.data) >= expected or raw.reason is not None, 20)
    assert len(raw.data) >= expected, f"{expected - len(raw.data)} bytes were lost: {raw.reason}"


@hixie
@asynchronous
async def test_what_the_kernel_holds_at_the_deadline_is_not_taken_back(
    dialect: str, net: Network, log: Log
) -> None:
    """The message is smaller than a full write buffer, and larger than a slow peer reads before
    the deadline."""

    def gives(application: Recorder) -> None:
        application.transport.sendTextMessage("y" * 200_000)
        application.transport.loseConnection()

    place = await net.serve(Applications(lambda: Recorder(text=gives)), limits=BRIEF)
    raw = await net.raw(place)
    squeeze(raw, 8192)
    await raw.opens(dialect)
    raw.transport.pauseProducing()
    raw.send(text("give"))
    await until(lambda: not place.factory.connections)
    raw.transport.resumeProducing()
    await raw.ends()
    assert raw.data.startswith(text("y" * 200_000))


@over_both
@hixie
@asynchronous
async def test_an_application_that_stops_hearing_while_full_keeps_memory_bounded(
    dialect: str, over: str, net: Network, log: Log
) -> None:
    """An echo server whose peer sends and never reads: the server pauses reading from the peer."""

    class Patient(Source):
        def __init__(self, application: Recorder) -> None:
            super().__init__()
            self.transport = application.transport

        def pauseProducing(self) -> None:
            self.transport.pauseProducing()

        def resumeProducing(self) -> None:
            self.transport.resumeProducing()

    def patient() -> Recorder:
        def attach(application: Recorder) -> None:
            application.transport.attachProducer(Patient(application))

        application = echo()
        application.does["started"] = attach
        return application

    applications = Applications(patient)
    place = await net.serve(applications, over)
    raw = await net.raw(place)
    await raw.opens(dialect)
    raw.transport.pauseProducing()
    message = text("z" * 10_000)
    for _ in range(2000):
        raw.send(message)
    (wire,) = place.factory.connections
    await until(lambda: wire.full)
    await turn(0.3)
    assert len(applications.made[0].messages) < 2000
    assert waiting_bytes(wire) < 2**20
    raw.transport.resumeProducing()
    await until(lambda: len(raw.data) == 2000 * len(message))
    assert raw.data == message * 2000


@over_both
@asynchronous
async def test_a_peer_that_never_reads_and_never_disconnects_is_disconnected(
    over: str, net: Network
) -> None:
    def gives_all(application: Recorder) -> None:
        for _ in range(MANY):
            application.transport.sendTextMessage(BIG)
        application.transport.loseConnection()

    limits = Limits(close_timeout=0.1, drain_timeout=0.3, unsent_size=2**40)
    applications = Applications(lambda: Recorder(text=gives_all))
    place = await net.serve(applications, over, limits=limits)
    raw = await net.raw(place)
    await raw.opens("hixie-76")
    raw.send(text("give"))
    raw.transport.pauseProducing()
    await until(lambda: not place.factory.connections)
    assert isinstance(applications.made[0].lost, AbruptClose)


# The client with servers that refuse, are silent or close.


async def answering(net: Network, answer: bytes, over: str = "tcp") -> Any:
    """A server that sends these bytes to each client, and then closes the connection."""

    class Answers(Raw):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            self.transport.write(answer)
            self.transport.loseConnection()

    return await net.listen(Factory.forProtocol(Answers), over)


@over_all
@each
@asynchronous
async def test_a_refusal_fails_whenOpen(dialect: str, over: str, net: Network) -> None:
    refusal = Refusal(401, "not you\n", ((b"WWW-Authenticate", b"Basic"),))
    place = await net.serve(Answering(lambda offer: refusal), over)
    clients = Applications(Recorder)
    wire = await net.connect(place, clients, dialect=dialect)
    with pytest.raises(HandshakeRefused) as caught:
        await within(wire.whenOpen())
    assert (caught.value.status, caught.value.body) == (401, b"not you\n")
    assert (b"www-authenticate", b"Basic") in caught.value.headers
    await until(lambda: clients.made[0].told == ["started", "lost"])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\nnobody here", HandshakeRefused),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\ncut", HandshakeRefused),
        (b"HTTP/1.1 101 Web Socket Protocol Handshake\r\n\r\n", InvalidHandshake),
        (b"SSH-2.0-OpenSSH_9\r\n", PeerLeft),
        (b"HTTP/1.1 101 Web", PeerLeft),
        (b"", PeerLeft),
    ],
)
@each
@asynchronous
async def test_whenOpen_fires_for_every_response_of_a_server(
    dialect: str, answer: bytes, expected: type[Exception], net: Network
) -> None:
    place = await answering(net, answer)
    clients = Applications(Recorder)
    wire = await net.connect(place, clients, dialect=dialect)
    with pytest.raises(expected):
        await within(wire.whenOpen())
    await until(lambda: clients.made[0].told == ["started", "lost"])


@over_both
@asynchronous
async def test_a_server_that_does_not_respond_is_a_timeout(over: str, net: Network) -> None:
    place = await net.serve(Answering(lambda offer: Deferred()), over)
    wire = await net.connect(place, Applications(Recorder), limits=QUICK)
    with pytest.raises(ConnectTimeout):
        await within(wire.whenOpen())
    await until(lambda: not place.factory.connections)


@over_both
@asynchronous
async def test_cancelling_whenOpen_disconnects_the_server(over: str, net: Network) -> None:
    place = await net.serve(Answering(lambda offer: Deferred()), over)
    wire = await net.connect(place, Applications(Recorder))
    deferred, other = wire.whenOpen(), wire.whenOpen()
    deferred.cancel()
    with pytest.raises(CancelledError):
        await within(deferred)
    with pytest.raises(NotOpen):
        await within(other)
    await until(lambda: not place.factory.connections)


@asynchronous
async def test_a_refused_connection_makes_no_application(
    net: Network,
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place = network.Place("tcp", None, "", None)
        object.__setattr__(place, "listening", Bound(probe.getsockname()[1]))
        clients = Applications(Recorder)
        with pytest.raises(NobodyThere):
            await net.connect(place, clients)
    assert clients.made == []


class Bound:
    """A port on which no server listens."""

    def __init__(self, port: int) -> None:
        self.port = port

    def getHost(self) -> Any:
        return self


@over_all
@asynchronous
async def test_a_producer_that_raises_does_not_hide_the_lost_connection(
    over: str, net: Network, log: Log
) -> None:
    """A transport stops its producer before it calls the ``connectionLost`` of its protocol."""

    class Breaking(Source):
        def stopProducing(self) -> None:
            raise Broken

    pair = await net.pair("hixie-76", over)
    pair.server.transport.attachProducer(Breaking())
    pair.client.transport.abortConnection()
    await until(lambda: pair.server.lost)
    assert [type(error) for error in log.tracebacks()] == [Broken]
    assert not pair.serverWire.factory.connections


@over_both
@pytest.mark.parametrize("side", ["server", "client"])
@asynchronous
async def test_an_application_that_raises_at_its_start_ends_its_connection(
    side: str, over: str, net: Network, log: Log
) -> None:
    broken, whole = Applications(lambda: Recorder(started=fails)), Applications(Recorder)
    place = await net.serve(broken if side == "server" else whole, over)
    wire = await net.connect(place, whole if side == "server" else broken)
    with pytest.raises(HandshakeRefused if side == "server" else NotOpen):
        await within(wire.whenOpen())
    await until(lambda: broken.made[0].told == ["started", "lost"])
    assert len(log.tracebacks()) == 1


@pytest.mark.parametrize("how", ["loseConnection", "abortConnection"])
@pytest.mark.parametrize("side", ["server", "client"])
@over_all
@each
@asynchronous
async def test_a_connection_may_be_closed_before_it_opens(
    dialect: str, over: str, side: str, how: str, net: Network, log: Log
) -> None:
    ends = Applications(lambda: Recorder(started=lambda a: getattr(a.transport, how)()))
    stays = Applications(Recorder)
    place = await net.serve(ends if side == "server" else stays, over)
    wire = await net.connect(place, stays if side == "server" else ends, dialect=dialect)
    with pytest.raises(PeerLeft if side == "server" else NotOpen):
        await within(wire.whenOpen())
    await until(lambda: ends.made[0].told == ["started", "lost"])
    await until(lambda: not place.factory.connections)


# Closing everything.


@over_all
@hixie
@asynchronous
async def test_closeAll_closes_each_connection_as_its_dialect_does(
    dialect: str, over: str, net: Network, log: Log
) -> None:
    place = await net.serve(Applications(), over)
    raws = [await net.raw(place) for _ in range(3)]
    for raw in raws[:2]:
        await raw.opens(dialect)
    raws[2].send(b"GET / HT")
    await until(lambda: len(place.factory.connections) == 3)
    await turn(0.02)
    done = place.factory.closeAll()
    for raw in raws[:2]:
        if dialect == "hixie-76":
            await raw.reads(CLOSE)
            raw.send(CLOSE)
    for raw in raws:
        await raw.ends()
    assert await within(done) is None
    assert not place.factory.connections


@over_both
@asynchronous
async def test_closeAll_does_not_wait_for_a_peer_that_never_answers(
    over: str, net: Network, log: Log
) -> None:
    """eventlet, gevent and txWS never send FF 00."""
    limits = Limits(close_timeout=0.1, drain_timeout=0.5)
    place = await net.serve(Applications(), over, limits=limits)
    raw = await net.raw(place)
    await raw.opens("hixie-76")
    assert await within(place.factory.closeAll(), 5) is None
    await raw.reads(CLOSE)
    await raw.ends()


@over_all
@asynchronous
async def test_abortAll_ends_every_connection(over: str, net: Network, log: Log) -> None:
    place = await net.serve(Applications(), over)
    raws = [await net.raw(place) for _ in range(3)]
    await raws[0].opens("hixie-76")
    await until(lambda: len(place.factory.connections) == 3)
    place.factory.abortAll()
    assert await within(place.factory.closeAll()) is None
    for raw in raws:
        await until(partial(getattr, raw, "reason"))


@hixie
@asynchronous
async def test_the_response_has_no_further_headers(dialect: str, net: Network) -> None:
    raw = await net.raw(await net.serve(Applications()))
    raw.send(whole_request(dialect))
    await raw.reads(PROOF if dialect == "hixie-76" else b"\r\n\r\n")
    assert len(head_of(bytes(raw.data)).split(b"\r\n")) == 7


@hixie
@asynchronous
async def test_a_paused_server_that_writes_to_a_lost_client_still_gets_its_messages(
    dialect: str, net: Network, log: Log
) -> None:
    """A write reports the lost connection. The messages held back by the pause are delivered
    first."""
    applications = Applications(lambda: Recorder(text=lambda a: a.transport.pauseProducing()))
    place = await net.serve(applications)
    raw = await net.raw(place)
    await raw.opens(dialect)
    raw.send(text("a") + text("b") + text("c") + (CLOSE if dialect == "hixie-76" else b""))
    await until(lambda: applications.made[0].messages)
    raw.transport.abortConnection()
    await turn(0.02)
    application = applications.made[0]
    while application.transport.isOpen:
        application.transport.sendTextMessage("are you there?")
        await turn(0.01)
    while application.lost is None:
        application.transport.resumeProducing()
    assert application.messages == ["a", "b", "c"]
    assert application.told[-1] == "lost"
