"""The types that a user's program sees. mypy checks this file with the other tests; it is never
run.

``assert_type`` fails for an ``Any`` in place of a promised type; other code would not show it.
"""

from __future__ import annotations

from typing import assert_type

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from txhixie import (
    DIALECTS,
    AbruptClose,
    Accepted,
    Agreement,
    Channel,
    CleanClose,
    Dialect,
    HandshakeRefused,
    HixieClientFactory,
    HixieClientProtocol,
    HixieServerFactory,
    HixieServerProtocol,
    Limits,
    Offer,
    Refusal,
    StreamApplications,
    StreamClientEndpoint,
    WebSocket,
    WebSocketClientEndpoint,
    WebSocketClientFactory,
    WebSocketClientService,
    WebSocketProtocol,
    WebSocketServerFactory,
    WebSocketTransport,
    connect,
    serve,
)
from txhixie.channel.serve import Conversations
from txhixie.testing import Applications, Cable, End, Pair, Recorder, Wire, echo
from txhixie.testing.strategies import deliveries, messages, spoken


class Application:
    """An application by its methods alone, without a base class."""

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        assert_type(transport.offer, Offer)
        assert_type(transport.agreement, Agreement | None)
        assert_type(transport.latency, float | None)
        assert_type(transport.full, bool)
        assert_type(transport.getPeer(), IAddress)
        assert_type(transport.getHost(), IAddress)
        self.transport = transport

    def negotiationFinished(self) -> None:
        self.transport.sendTextMessage("hello")
        self.transport.sendTextMessage("hello", compress=False)
        self.transport.sendBytesMessage(b"hello")
        self.transport.sendBytesMessage("hello")  # type: ignore[arg-type]
        self.transport.sendTextMessage(b"hello")  # type: ignore[arg-type]
        self.transport.ping(b"?")
        self.transport.loseConnection(1000, "bye")

    def textMessageReceived(self, message: str) -> None: ...

    def bytesMessageReceived(self, data: bytes) -> None: ...

    def pongReceived(self, payload: bytes) -> None: ...

    def connectionLost(self, reason: Failure) -> None:
        if isinstance(reason.value, (CleanClose, AbruptClose)):
            assert_type(reason.value.code, int)
            assert_type(reason.value.reason, str)


class NoApplication:
    """A class without some methods of an application."""

    def negotiationStarted(self, transport: WebSocketTransport) -> None: ...


one: WebSocketProtocol = Application()
none: WebSocketProtocol = NoApplication()  # type: ignore[assignment]


# The five return types of buildProtocol on a server.


class Plainly:
    def buildProtocol(self, offer: Offer) -> Application:
        assert_type(offer.dialect, str)
        assert_type(offer.path, str)
        assert_type(offer.origin, str | None)
        assert_type(offer.subprotocols, tuple[str, ...])
        assert_type(offer.header("cookie"), str | None)
        assert_type(offer.headers(), tuple[tuple[str, str], ...])
        return Application()


class WithASubprotocol:
    def buildProtocol(self, offer: Offer) -> Accepted:
        return Accepted(Application(), "chat", ((b"Set-Cookie", b"a=b"),))


class Perhaps:
    def buildProtocol(self, offer: Offer) -> Application | Refusal | None:
        return Refusal(403, "no") if offer.origin is None else None


class Later:
    def buildProtocol(self, offer: Offer) -> Deferred[Application]:
        return Deferred()


class Awaiting:
    async def buildProtocol(self, offer: Offer) -> Application:
        return Application()


class Wrongly:
    def buildProtocol(self, offer: Offer) -> str:
        return "application"


for applications in (Plainly(), WithASubprotocol(), Perhaps(), Later(), Awaiting()):
    server: WebSocketServerFactory = applications
    HixieServerFactory(server, dialects=["hixie-76"], limits=Limits(message_size=1024))
HixieServerFactory(Wrongly())  # type: ignore[arg-type]


# The factories, and what they make.


class Clients:
    def buildProtocol(self, url: str) -> Application:
        return Application()


clients: WebSocketClientFactory[Application] = Clients()
server_factory = HixieServerFactory(Plainly(), clock=Clock())
client_factory = HixieClientFactory("ws://example.com/", clients, dialect="hixie-75")
assert_type(server_factory.buildProtocol(None), HixieServerProtocol)
assert_type(server_factory.closeAll(1001, "restarting"), Deferred[None])
assert_type(client_factory.buildProtocol(None), HixieClientProtocol)
assert_type(client_factory.buildProtocol(None).whenOpen(), Deferred[WebSocketProtocol])
transport: WebSocketTransport = client_factory.buildProtocol(None)
assert_type(DIALECTS, tuple[Dialect, ...])
assert_type(HandshakeRefused(403, ()).status, int)


# Endpoints.


async def reach(endpoint: WebSocketClientEndpoint) -> None:
    assert_type(await endpoint.connect(Clients()), Application)
    assert_type(endpoint.connectApplication(Application()), Deferred[Application])
    await endpoint.connect(Plainly())  # type: ignore[arg-type]


assert_type(WebSocketClientEndpoint.new(Clock(), "ws://example.com/"), WebSocketClientEndpoint)


# Channels.


async def converse(channel: Channel) -> None:
    assert_type(await channel.receive(), str | bytes)
    assert_type(channel.send("hello"), Deferred[None])
    channel.send(1)  # type: ignore[arg-type]
    async for message in channel:
        assert_type(message, str | bytes)
    assert_type(channel.subprotocol, str | None)
    assert_type(channel.offer, Offer)
    assert_type(channel.close(), Deferred[None])


async def visit() -> None:
    async with connect("ws://example.com/", dialect="hixie-76", subprotocols=["chat"]) as channel:
        assert_type(channel, Channel)
    assert_type(await connect("ws://example.com/"), Channel)
    assert_type(connect("ws://example.com/").asDeferred(), Deferred[Channel])
    connect("ws://example.com/", dialekt="hixie-76")  # type: ignore[call-arg]


async def no_channel(channel: int) -> None: ...


assert_type(serve(converse), Conversations)
HixieServerFactory(serve(converse))
serve(no_channel)  # type: ignore[arg-type]


# Staying connected.


def stay(reactor: Clock) -> None:
    service = WebSocketClientService.new(reactor, "ws://example.com/", serve(converse))
    assert_type(service.gaveUp, Exception | None)
    WebSocketClientService.new(reactor, "ws://a/", serve(converse), freshHeaders=lambda: ())
    WebSocketClientService.new(reactor, "ws://a/", serve(converse), policy=lambda error: 3.0)


# Pages.

socket = WebSocket("ws://example.com/", ["chat"], dialect="hixie-76")
assert_type(socket.readyState, int)
assert_type(socket.bufferedAmount, int)
assert_type(socket.protocol, str)


# Streams.


def stream(factory: IProtocolFactory, endpoint: WebSocketClientEndpoint) -> None:
    HixieServerFactory(StreamApplications(factory, coding="lines"))
    assert_type(StreamClientEndpoint(endpoint).connect(factory), Deferred[IProtocol])
    way: IStreamClientEndpoint = StreamClientEndpoint(endpoint)
    assert_type(way, IStreamClientEndpoint)


# The test kit.

pair = Pair.new(Applications(echo), Recorder(), dialect="hixie-76")
assert_type(pair, Pair)
assert_type(pair.server, End[HixieServerProtocol])
assert_type(pair.client.protocol, HixieClientProtocol)
assert_type(pair.toServer, Cable)
assert_type(pair.client.wire, Wire)
assert_type(pair.clock, Clock)
assert_type(Recorder().messages, list[str | bytes])
assert_type(Applications().made, list[Recorder])
assert_type(Applications(Application).made, list[Application])
Pair.new(Awaiting())
Pair.new(Wrongly())  # type: ignore[arg-type]
assert_type(messages("hixie-76").example(), str | bytes)
assert_type(spoken().example().data, bytes)
assert_type(deliveries(b"abc").example(), list[bytes])
