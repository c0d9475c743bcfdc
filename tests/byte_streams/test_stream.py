"""Byte streams inside messages: the inner protocol has everything that it expects of a
transport."""

# Conch and LineReceiver carry no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectingCancelledError,
    ConnectionDone,
    ConnectionLost,
    NoProtocol,
)
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IProtocolFactory,
    IPullProducer,
    IPushProducer,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from support.applications import Answering, Applications, Broken, Source
from support.dialect_marks import each
from support.dialect_names import code_of
from support.handshake_bytes import whole_request
from support.log_recorder import Log
from support.memory_connection import ClientEnd, ServerEnd
from support.network import Network, Place
from support.waiting import asynchronous, turn, until, within
from txhixie import AbruptClose, HandshakeRefused, HixieClientFactory, Refusal
from txhixie.byte_streams.coding import LONGEST_LINE
from txhixie.stream import StreamApplications, StreamClientEndpoint

over_both = pytest.mark.parametrize("over", ["tcp", "tls"])


class Peer(Protocol):
    """
    An inner protocol that records its events.

    :ivar events: the events, in order.
    """

    transport: Any

    def __init__(self) -> None:
        self.data = bytearray()
        self.events: list[str] = []
        self.lost: Any = None

    def connectionMade(self) -> None:
        self.events.append("made")

    def dataReceived(self, data: bytes) -> None:
        self.events.append("data")
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.events.append("lost")
        self.lost = reason


@implementer(IHalfCloseableProtocol)
class Halves(Peer):
    """An inner protocol that supports half-close."""

    def readConnectionLost(self) -> None:
        self.events.append("read lost")

    def writeConnectionLost(self) -> None:
        self.events.append("write lost")


class Making(Factory):
    """
    A factory that records the protocols that it built.

    :ivar running: how often it was started and not stopped.
    """

    noisy = False

    def __init__(self, make: Callable[[], Any] = Peer) -> None:
        self.make = make
        self.made: list[Any] = []
        self.addresses: list[Any] = []
        self.running = 0

    def startFactory(self) -> None:
        self.running += 1

    def stopFactory(self) -> None:
        self.running -= 1

    def buildProtocol(self, addr: Any) -> Any:
        self.addresses.append(addr)
        self.made.append(self.make())
        return self.made[-1]


class Connector:
    """A connector of this package that opens conversations at one place."""

    def __init__(self, net: Network, place: Place, **options: Any) -> None:
        self.net = net
        self.place = place
        self.options = options

    def connectApplication(self, application: Any) -> Deferred[Any]:
        factory = HixieClientFactory(
            self.place.url(), Applications(lambda: application), **self.options
        )
        self.net.factories.append(factory)
        connecting: Any = self.place.endpoint.connect(cast("IProtocolFactory", factory))
        return cast("Deferred[Any]", connecting.addCallback(lambda wire: wire.whenOpen()))


def endpoint(net: Network, place: Place, coding: str = "binary", **options: Any) -> Any:
    return StreamClientEndpoint(Connector(net, place, **options), coding)


class Connected:
    """A stream in memory: both inner protocols, and both connections."""

    def __init__(
        self,
        server: Callable[[], Any] = Peer,
        client: Callable[[], Any] = Peer,
        dialect: str = "rfc6455",
        coding: str = "binary",
    ) -> None:
        served, connected = Making(server), Making(client)
        self.serverEnd = ServerEnd(StreamApplications(served, coding=coding), binary="send")
        opener = Opener()
        deferred = StreamClientEndpoint(opener, coding).connect(cast("IProtocolFactory", connected))
        self.clientEnd = ClientEnd(
            Applications(lambda: opener.application), dialect=dialect, binary="send"
        )
        self.serverEnd.receive(self.clientEnd.request)
        self.pump()
        opener.opened.callback(None)
        self.server: Any = served.made[0]
        self.client: Any = connected.made[0]
        assert deferred.result is self.client
        assert [*served.addresses, *connected.addresses] == [self.serverEnd.wire.getPeer()] * 2

    def pump(self) -> None:
        """Deliver bytes and ends until none are left."""
        ways = ((self.serverEnd, self.clientEnd), (self.clientEnd, self.serverEnd))
        moved = True
        while moved:
            moved = False
            for source, sink in ways:
                data = source.wire.taken()
                if data and not sink.wire.dead:
                    sink.receive(data)
                    moved = True
                    sink.clock.advance(0)  # data that was left for the next turn of the reactor
        for source, sink in ways:
            if source.wire.endings and not source.wire.dead:
                source.lose(ConnectionLost() if "abort" in source.wire.endings else None)
                if not sink.wire.dead:
                    sink.lose(ConnectionLost() if "abort" in source.wire.endings else None)


class Opener:
    """A connector that opens its conversation when the test lets it."""

    def __init__(self) -> None:
        self.opened: Deferred[Any] = Deferred()
        self.application: Any = None

    def connectApplication(self, application: Any) -> Deferred[Any]:
        self.application = application
        return self.opened


# Bytes of the stream.


@each
@pytest.mark.parametrize("coding", ["binary", "base64", "lines"])
def test_bytes_are_sent_in_both_directions_in_every_dialect_and_coding(
    dialect: str, coding: str
) -> None:
    pair = Connected(dialect=dialect, coding=coding)
    pair.client.transport.write(b"a line\n")
    pair.server.transport.writeSequence([b"one ", b"answer", b"\n"])
    pair.pump()
    assert bytes(pair.server.data) == b"a line\n"
    assert bytes(pair.client.data) == b"one answer\n"


def test_every_byte_value_arrives() -> None:
    pair = Connected()
    pair.client.transport.write(bytes(range(256)))
    pair.pump()
    assert bytes(pair.server.data) == bytes(range(256))


def test_a_big_write_is_several_messages() -> None:
    """A peer accepts 1 MiB per message, and a stream has no messages."""
    pair = Connected()
    pair.client.transport.write(b"x" * 3_000_000)
    pair.pump()
    assert bytes(pair.server.data) == b"x" * 3_000_000
    assert pair.server.events.count("data") > 3


def test_an_empty_write_sends_nothing() -> None:
    pair = Connected()
    pair.client.transport.write(b"")
    assert pair.clientEnd.wire.taken() == b""


def test_only_bytes_can_be_written() -> None:
    """Every transport of Twisted rejects other types: text or a number would arrive as other
    bytes."""
    pair = Connected()
    pair.client.transport.write(bytearray(b"ab"))
    for no in ("text", 3):
        with pytest.raises(TypeError):
            pair.client.transport.write(no)
    pair.pump()
    assert bytes(pair.server.data) == b"ab"


def test_a_last_line_without_its_line_end_is_sent_before_the_close() -> None:
    pair = Connected(coding="lines")
    pair.client.transport.write(b"one\ntw")
    pair.client.transport.write(b"o")
    pair.pump()
    assert bytes(pair.server.data) == b"one\n"
    pair.client.transport.loseConnection()
    pair.pump()
    assert bytes(pair.server.data) == b"one\ntwo\n"


def test_an_unknown_coding_is_an_error_at_once() -> None:
    for make in (StreamApplications, StreamClientEndpoint):
        with pytest.raises(ValueError, match=r"not 'morse'$"):
            make(cast("Any", Factory()), coding="morse")


# The end of the stream.


@each
def test_a_clean_close_is_ConnectionDone_for_both(dialect: str) -> None:
    pair = Connected(dialect=dialect)
    pair.client.transport.write(b"last words")
    pair.client.transport.loseConnection()
    pair.client.transport.write(b"too late")
    assert pair.client.transport.disconnecting
    pair.pump()
    assert bytes(pair.server.data) == b"last words"
    for inner in (pair.server, pair.client):
        assert inner.lost.check(ConnectionDone)
        assert inner.events.count("lost") == 1
        assert inner.lost.value.code == code_of(dialect)


@each
def test_an_abort_is_ConnectionLost_for_both(dialect: str) -> None:
    pair = Connected(dialect=dialect)
    pair.client.transport.abortConnection()
    pair.pump()
    for inner in (pair.server, pair.client):
        assert inner.lost.check(ConnectionLost)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1000, ConnectionDone),
        (1001, ConnectionDone),
        (1011, ConnectionLost),
        (1013, ConnectionLost),
        (4000, ConnectionDone),
    ],
)
def test_a_close_with_an_error_code_is_not_a_clean_end(code: int, kind: type) -> None:
    """Otherwise a stream that broke on the other side would look complete."""
    pair = Connected(Halves)
    pair.clientEnd.protocol.loseConnection(code, "why")
    pair.pump()
    assert pair.server.lost.check(kind)
    assert pair.server.lost.value.code == code
    assert ("read lost" in pair.server.events) == (kind is ConnectionDone)


def test_a_half_closeable_protocol_has_both_halves_closed_after_the_last_byte() -> None:
    pair = Connected(Halves, Halves)
    pair.client.transport.write(b"all")
    pair.client.transport.loseConnection()
    pair.pump()
    assert pair.server.events == ["made", "data", "write lost", "read lost", "lost"]
    assert pair.client.events == ["made", "lost"]


def test_a_broken_stream_is_no_half_close_for_a_half_closeable_protocol() -> None:
    pair = Connected(Halves)
    pair.client.transport.abortConnection()
    pair.pump()
    assert pair.server.events == ["made", "lost"]


def test_a_stream_cannot_be_half_closed() -> None:
    assert not hasattr(Connected().client.transport, "loseWriteConnection")


def test_data_written_to_a_peer_that_has_closed_is_dropped() -> None:
    """The inner protocol cannot know of the close yet."""
    pair = Connected()
    pair.serverEnd.protocol.loseConnection()
    pair.clientEnd.receive(pair.serverEnd.wire.taken())
    pair.client.transport.write(b"too late")
    pair.pump()
    assert pair.client.lost.check(ConnectionDone)
    pair.client.transport.write(b"much too late")
    pair.client.transport.loseConnection()


@pytest.mark.parametrize(
    ("coding", "message", "code"),
    [("binary", "text", 1003), ("base64", b"binary", 1003), ("base64", "?!", 1007)],
)
def test_a_message_that_is_not_of_the_coding_ends_the_stream(
    coding: str, message: str | bytes, code: int
) -> None:
    pair = Connected(coding=coding)
    if isinstance(message, str):
        pair.clientEnd.protocol.sendTextMessage(message)
    else:
        pair.clientEnd.protocol.sendBytesMessage(message)
    pair.pump()
    assert bytes(pair.server.data) == b""
    for inner in (pair.server, pair.client):
        assert isinstance(inner.lost.value, AbruptClose)
        assert inner.lost.value.code == code


def test_a_stream_that_its_coding_cannot_carry_ends_it() -> None:
    """A line that is longer than a message; bytes that are not UTF-8 are replaced."""
    pair = Connected(coding="lines")
    pair.server.transport.write(b"x" * (LONGEST_LINE + 1))
    pair.pump()
    assert pair.client.lost.value.code == 1011
    assert pair.client.lost.check(ConnectionLost)


def test_a_peer_that_would_lose_binary_gets_no_clean_close() -> None:
    """A clean close would look as if all data had arrived."""
    made = Making()
    end = ServerEnd(StreamApplications(made))
    end.receive(whole_request("hixie-76"))
    end.wire.calls.clear()
    made.made[0].transport.write(b"x")
    assert end.wire.written == b""
    assert end.wire.endings
    end.lose()
    assert made.made[0].lost.check(ConnectionLost)
    assert made.made[0].lost.value.code == 1003
    end.done()


def test_an_inner_protocol_that_raises_ends_its_stream(log: Log) -> None:
    class Raising(Peer):
        def dataReceived(self, data: bytes) -> None:
            raise Broken

    pair = Connected(Raising)
    pair.client.transport.write(b"x")
    pair.pump()
    assert [type(error) for error in log.tracebacks()] == [Broken]
    assert pair.client.lost.value.code == 1011
    assert pair.server.lost.check(ConnectionLost)


# Producers.


def test_a_push_producer_is_paused_while_the_transport_is_full() -> None:
    pair = Connected()
    push = Source()
    pair.client.transport.registerProducer(push, True)
    pair.clientEnd.wire.producer.pauseProducing()
    pair.clientEnd.wire.producer.resumeProducing()
    assert push.told == ["pause", "resume"]
    with pytest.raises(RuntimeError):
        pair.client.transport.registerProducer(Source(), True)
    pair.client.transport.unregisterProducer()
    pair.client.transport.unregisterProducer()
    pair.clientEnd.wire.producer.pauseProducing()
    assert push.told == ["pause", "resume"]


def test_the_close_waits_for_a_producer_to_finish() -> None:
    """On TCP too, data that the producer still writes belongs to the stream."""
    pair = Connected()
    push = Source()
    pair.client.transport.registerProducer(push, True)
    pair.client.transport.loseConnection()
    pair.client.transport.write(b"the last piece")
    pair.pump()
    assert "lost" not in pair.server.events
    pair.client.transport.unregisterProducer()
    pair.pump()
    assert bytes(pair.server.data) == b"the last piece"
    assert pair.server.lost.check(ConnectionDone)
    assert push.told == []


def test_a_producer_is_stopped_at_the_end_of_the_connection() -> None:
    pair = Connected()
    push, late = Source(), Source()
    pair.client.transport.registerProducer(push, True)
    pair.server.transport.abortConnection()
    pair.pump()
    assert push.told == ["stop"]
    pair.client.transport.unregisterProducer()
    pair.client.transport.registerProducer(late, True)
    assert late.told == ["stop"]


@implementer(IPullProducer)
class Counter:
    """
    A pull producer that writes the next number, up to a last one.

    :ivar asked: how often.
    """

    def __init__(self, transport: Any, last: int) -> None:
        self.transport = transport
        self.last = last
        self.asked = 0
        self.stopped = False

    def resumeProducing(self) -> None:
        self.asked += 1
        self.transport.write(b"%d " % self.asked)
        if self.asked == self.last:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def stopProducing(self) -> None:
        self.stopped = True


@asynchronous
async def test_a_pull_producer_is_asked_while_there_is_room() -> None:
    pair = Connected()
    counter = Counter(pair.client.transport, 50)
    pair.client.transport.registerProducer(counter, False)
    pair.clientEnd.wire.producer.pauseProducing()
    asked = counter.asked
    await turn(0.05)
    assert counter.asked == asked
    pair.clientEnd.wire.producer.resumeProducing()
    await until(lambda: counter.asked == 50)
    pair.pump()
    assert pair.server.data.split() == [b"%d" % n for n in range(1, 51)]
    assert pair.server.lost.check(ConnectionDone)
    assert not counter.stopped


@asynchronous
async def test_a_pull_producer_is_stopped_at_the_end() -> None:
    pair = Connected()
    counter = Counter(pair.client.transport, -1)
    pair.client.transport.registerProducer(counter, False)
    await until(lambda: counter.asked > 2)
    pair.server.transport.abortConnection()
    pair.pump()
    assert counter.stopped
    asked = counter.asked
    await turn(0.02)
    assert counter.asked == asked


@asynchronous
async def test_a_pull_producer_that_raises_ends_its_stream(log: Log) -> None:
    class Raising(Counter):
        def resumeProducing(self) -> None:
            raise Broken

    pair = Connected()
    pair.client.transport.registerProducer(Raising(pair.client.transport, 1), False)
    await until(lambda: pair.client.transport.disconnecting)
    pair.pump()
    assert [type(error) for error in log.tracebacks()] == [Broken]
    assert pair.server.lost.value.code == 1011


def test_nothing_is_delivered_to_a_protocol_that_has_paused() -> None:
    pair = Connected()
    pair.server.transport.pauseProducing()
    for _ in range(3):
        pair.client.transport.write(b"x")
    pair.pump()
    assert pair.server.events == ["made"]
    pair.server.transport.resumeProducing()
    assert pair.server.events == ["made", "data", "data", "data"]
    pair.server.transport.stopProducing()
    pair.pump()
    assert pair.client.lost.check(ConnectionDone)


# Factories.


def test_the_subprotocol_is_agreed_with_clients_that_offer_it() -> None:
    for offered, agreed in (("mqtt", b"mqtt"), ("other", b"")):
        made = Making()
        end = ServerEnd(StreamApplications(made, subprotocols=["mqtt"]))
        end.receive(whole_request("rfc6455", f"Sec-WebSocket-Protocol: {offered}"))
        assert end.wire.written.startswith(b"HTTP/1.1 101")
        assert (b"Sec-WebSocket-Protocol: mqtt" in end.wire.written) == bool(agreed)
        assert made.made[0].events == ["made"]
        end.done()


def test_a_factory_that_builds_no_protocol_refuses_the_client() -> None:
    end = ServerEnd(StreamApplications(Making(lambda: None)))
    end.receive(whole_request("rfc6455"))
    assert b"101" not in end.wire.written
    assert end.wire.endings
    end.done()


def test_a_factory_that_raises_is_a_500(log: Log) -> None:
    def fails() -> None:
        raise Broken

    end = ServerEnd(StreamApplications(Making(fails)))
    end.receive(whole_request("rfc6455"))
    assert end.wire.written.startswith(b"HTTP/1.1 500 ")
    assert [type(error) for error in log.tracebacks()] == [Broken]
    end.done()


@asynchronous
async def test_a_server_starts_and_stops_the_factory_within(net: Network) -> None:
    made = Making()
    place = await net.serve(StreamApplications(made))
    assert made.running == 1
    await place.listening.stopListening()
    assert made.running == 0


@asynchronous
async def test_connecting_fires_with_the_inner_protocol(net: Network) -> None:
    served, made = Making(), Making()
    place = await net.serve(StreamApplications(served))
    inner = await within(endpoint(net, place).connect(made))
    assert inner is made.made[0]
    assert inner.events == ["made"]
    assert made.running == 1
    assert inner.transport.getPeer().port == place.port
    assert inner.transport.getHost() == served.addresses[0]
    inner.transport.loseConnection()
    await until(lambda: inner.lost and served.made[0].lost)
    assert made.running == 0


@asynchronous
async def test_connecting_fails_with_the_cause(net: Network, log: Log) -> None:
    def fails() -> None:
        raise Broken

    place = await net.serve(StreamApplications(Making()))
    no = await net.serve(Answering(lambda offer: Refusal(403)))
    for where, make, error in (
        (no, Peer, HandshakeRefused),
        (place, fails, Broken),
        (place, lambda: None, NoProtocol),
    ):
        made = Making(cast("Callable[[], Any]", make))
        with pytest.raises(cast("type[Exception]", error)):
            await within(endpoint(net, where).connect(made))
        assert made.running == 0


@asynchronous
async def test_connecting_can_be_cancelled(net: Network) -> None:
    place = await net.serve(Answering(lambda offer: Deferred()))
    made = Making()
    connecting = endpoint(net, place).connect(made)
    await until(lambda: place.factory.connections and made.made)
    connecting.cancel()
    with pytest.raises(ConnectingCancelledError):
        await within(connecting)
    await until(lambda: not place.factory.connections)
    assert made.running == 0
    assert made.made[0].events == []


# Over the loopback interface.


PIECE = Random(2009).randbytes(65_536)
"""Random bytes, which do not compress."""

MANY = 200
"""Pieces to send: times :data:`PIECE` it is 12.5 MiB, more than the kernel takes for a peer that
does not read."""


@implementer(IPushProducer)
class Flood(Peer):
    """A push producer that writes until it is paused, and counts its pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0
        self.paused = False
        self.wasPaused = False

    def start(self) -> None:
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def pauseProducing(self) -> None:
        self.paused = self.wasPaused = True

    def stopProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        while not self.paused and self.written < MANY:
            self.written += 1
            self.transport.write(PIECE)
        if self.written == MANY:
            self.transport.unregisterProducer()
            self.transport.loseConnection()


@over_both
@pytest.mark.parametrize("who", ["server", "client"])
@asynchronous
async def test_a_stream_is_paused_while_the_peer_does_not_read(
    who: str, over: str, net: Network
) -> None:
    """Once the peer reads, all data arrives, and then the end."""
    served, made = Making(Flood), Making(Flood)
    place = await net.serve(StreamApplications(served), over)
    await within(endpoint(net, place).connect(made))
    await until(lambda: served.made and served.made[0].events)
    source, sink = served.made[0], made.made[0]
    if who == "client":
        source, sink = sink, source
    sink.transport.pauseProducing()
    source.start()
    await until(lambda: source.paused)
    await turn(0.05)
    assert source.written < MANY
    assert not sink.data
    sink.transport.resumeProducing()
    await until(lambda: sink.lost and source.lost, 60)
    assert len(sink.data) == MANY * len(PIECE)
    assert sink.lost.check(ConnectionDone)
    assert source.lost.check(ConnectionDone)
    assert source.wasPaused
