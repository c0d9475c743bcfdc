"""Programs for Twisted's WebSocket module, run under that module and under ours with only the
import changed."""

from __future__ import annotations

import sys
import unittest
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

import pytest
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError, ConnectionDone, DNSLookupError
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.web import websocket as twisteds
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, readBody
from twisted.web.iweb import IAgentEndpointFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from twisted.web.static import Data
from twisted.web.test import test_websocket as twisteds_tests
from zope.interface import implementer

import txhixie.websocket as ours
from support import certificates, dialect_names, scripted_servers, waiting
from support.daemon import free_port
from support.dialect_marks import each
from support.frames import modern_frame
from support.handshake_bytes import request
from support.log_recorder import Log
from support.network import Network, Place
from support.resolver import FakeResolver
from support.scripted_servers import says, server, silent
from support.waiting import asynchronous, reactor, until, within
from test_loopback_modern import gathers
from txhixie import CleanClose, ConnectTimeout, HandshakeRefused, Limits, PeerLeft, ProxyRefused
from txhixie.sansio.wire.frame import Opcode

pytestmark = [
    # From Twisted's readBody, for a protocol without abortConnection.
    pytest.mark.filterwarnings("ignore:Using readBody:DeprecationWarning"),
]

T = TypeVar("T")

both = pytest.mark.parametrize(
    "ws", [pytest.param(twisteds, id="twisted"), pytest.param(ours, id="txhixie")]
)
"""The module: ``from twisted.web import websocket as ws``, or ``from txhixie import``."""

joined = pytest.mark.parametrize(
    "ws",
    [pytest.param(twisteds, id="twisted", marks=gathers), pytest.param(ours, id="txhixie")],
)
"""Both modules, for a message that does not arrive in one read and one frame."""


# The program.


@dataclass
class Program(Generic[T]):
    """A resource tree with an echo application; it records its servers and their requests."""

    ws: Any
    servers: list[Any] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)
    slow: Any = None

    def application(self) -> Any:
        """An application that echoes requests in upper case and records other messages.

        It is written as Twisted's manual shows: a subclass of the interface, with the methods it
        needs.
        """

        class Application(self.ws.WebSocketProtocol):  # type: ignore[name-defined, misc]  # mypy does not know the classes of a module that is chosen when the test runs
            def __init__(self) -> None:
                self.received: list[Any] = []
                self.pongs: list[bytes] = []
                self.lost: Failure | None = None

            def negotiationStarted(self, transport: Any) -> None:
                self.transport = transport

            def textMessageReceived(self, message: str) -> None:
                if message.startswith("ask "):
                    self.transport.sendTextMessage(message[4:].upper())
                else:
                    self.received.append(message)

            def bytesMessageReceived(self, data: bytes | bytearray) -> None:
                if data.startswith(b"ask "):
                    self.transport.sendBytesMessage(bytes(data[4:]).upper())
                else:
                    self.received.append(bytes(data))

            def pongReceived(self, payload: bytes) -> None:
                self.pongs.append(payload)

            def connectionLost(self, reason: Failure) -> None:
                self.lost = reason

        return Application()

    def serverFactory(self) -> Any:
        program = self

        class Servers(self.ws.WebSocketServerFactory[Any]):  # type: ignore[name-defined, misc]  # mypy does not know the classes of a module that is chosen when the test runs
            def buildProtocol(self, request: Any) -> Any:
                program.requests.append(request)
                program.servers.append(program.application())
                return program.servers[-1]

        return Servers()

    def clientFactory(self) -> Any:
        program = self

        class Clients(self.ws.WebSocketClientFactory[Any]):  # type: ignore[name-defined, misc]  # mypy does not know the classes of a module that is chosen when the test runs
            def buildProtocol(self, url: str) -> Any:
                application = program.application()
                application.url = url
                return application

        return Clients()

    def root(self) -> Resource:
        program = self

        class Slow(Resource):
            def render_GET(self, request: Any) -> int:
                program.slow = request
                return NOT_DONE_YET

        root = Resource()
        root.putChild(b"connect", self.ws.WebSocketResource(self.serverFactory()))
        root.putChild(b"page", Data(b"a page", "text/plain"))
        root.putChild(b"slow", Slow())  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        return root

    async def serve(self, net: Network, over: str = "tcp") -> Place:
        return await net.listen(Site(self.root()), over)

    async def connect(self, url: str, **options: Any) -> Any:
        endpoint = self.ws.WebSocketClientEndpoint.new(reactor, url, **options)
        return await within(ensureDeferred(endpoint.connect(self.clientFactory())))


async def opened(ws: Any, net: Network) -> tuple[Any, Any]:
    """Open a connection. Return the applications of the client and of the server."""
    program: Program[Any] = Program(ws)
    place = await program.serve(net)
    client = await program.connect(f"ws://127.0.0.1:{place.port}/connect")
    return client, program.servers[0]


async def ended(*applications: Any) -> None:
    """Wait until ``connectionLost`` was called on each application."""
    await until(lambda: all(application.lost for application in applications))


@joined
@asynchronous
async def test_messages_go_both_ways(ws: Any, net: Network) -> None:
    client, served = await opened(ws, net)
    client.transport.sendTextMessage("ask grüße")
    client.transport.sendBytesMessage(b"ask \x00resp\x01onse\xff")
    client.transport.sendTextMessage("ask ")
    client.transport.sendTextMessage("ask " + "x" * 100_000)
    served.transport.sendTextMessage("pushed")
    await until(lambda: len(client.received) == 5)
    assert client.received[0] == "pushed" or client.received[-1] == "pushed"
    client.received.remove("pushed")
    assert client.received == ["GRÜSSE", b"\x00RESP\x01ONSE\xff", "", "X" * 100_000]
    client.transport.loseConnection()
    await ended(client, served)


@both
@asynchronous
async def test_pings_are_answered(ws: Any, net: Network) -> None:
    client, served = await opened(ws, net)
    client.transport.ping(b"123")
    served.transport.ping()
    await until(lambda: client.pongs == [b"123"] and served.pongs == [b""])
    served.transport.loseConnection()
    await ended(client, served)


@both
@pytest.mark.parametrize("side", ["client", "server"])
@asynchronous
async def test_a_close_by_either_side_calls_connectionLost_on_both(
    ws: Any, side: str, net: Network
) -> None:
    client, served = await opened(ws, net)
    (client if side == "client" else served).transport.loseConnection(1001)
    await ended(client, served)
    assert client.lost.check(ConnectionDone)
    assert served.lost.check(ConnectionDone)


@both
@asynchronous
async def test_an_application_gets_the_request_or_the_URL(ws: Any, net: Network) -> None:
    """A server gets the request, a client its URL unchanged. The scheme ``http:`` is allowed."""
    program: Program[Any] = Program(ws)
    place = await program.serve(net)
    url = f"http://127.0.0.1:{place.port}/connect?a=b"
    client = await program.connect(url)
    assert client.url == url
    (asked,) = program.requests
    assert (asked.path, asked.args) == (b"/connect", {b"a": [b"b"]})
    assert asked.getRequestHostname() == b"127.0.0.1"
    client.transport.loseConnection()
    await ended(client, program.servers[0])


@both
@asynchronous
async def test_a_producer_is_paused_by_a_peer_that_does_not_read(ws: Any, net: Network) -> None:
    client, served = await opened(ws, net)
    told: list[str] = []

    @implementer(IPushProducer)
    class Producer:
        def pauseProducing(self) -> None:
            told.append("pause")

        def resumeProducing(self) -> None:
            told.append("resume")

        def stopProducing(self) -> None:
            told.append("stop")

    # Not on the server's side: there, Twisted raises on a real connection.
    raw = wire(served)
    raw.pauseProducing()
    client.transport.attachProducer(Producer())
    while "pause" not in told:
        client.transport.sendBytesMessage(bytes(500_000))
    raw.resumeProducing()
    await until(lambda: told[-1] == "resume")
    client.transport.detachProducer()
    client.transport.loseConnection()
    await ended(client, served)
    assert "stop" not in told


def wire(application: Any) -> Any:
    """The TCP transport below an application."""
    below = application.transport.transport
    return getattr(below, "transport", below)


@both
@asynchronous
async def test_a_request_without_an_upgrade_gets_a_400(ws: Any, net: Network) -> None:
    program: Program[Any] = Program(ws)
    place = await program.serve(net)
    url = f"http://127.0.0.1:{place.port}/connect".encode()
    response = await within(Agent(reactor).request(b"GET", url))
    assert response.code == 400
    assert await within(readBody(response)) == b"websocket protocol negotiation error"
    posted = await within(Agent(reactor).request(b"POST", url))
    assert posted.code == 405
    await within(readBody(posted))


class Reading(Protocol):
    """A protocol that collects the body of a response."""

    def __init__(self) -> None:
        self.data = b""
        self.done: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.done.callback(None)


@both
@pytest.mark.parametrize(("path", "status"), [("page", 200), ("nothing", 404)])
@asynchronous
async def test_connecting_to_a_page_is_ConnectionRejected(
    ws: Any, path: str, status: int, net: Network
) -> None:
    """The error has the response."""
    program: Program[Any] = Program(ws)
    place = await program.serve(net)
    with pytest.raises(ws.ConnectionRejected) as caught:
        await program.connect(f"ws://127.0.0.1:{place.port}/{path}")
    response = caught.value.response
    assert response.code == status
    assert response.headers.hasHeader(b"Content-Type")
    response.deliverBody(reading := Reading())
    await within(reading.done)
    assert (b"a page" in reading.data) == (status == 200)


@both
@asynchronous
async def test_a_slow_refusal_is_waited_for(ws: Any, net: Network) -> None:
    program: Program[Any] = Program(ws)
    place = await program.serve(net)
    connecting = ensureDeferred(program.connect(f"ws://127.0.0.1:{place.port}/slow"))
    results: list[Any] = []
    connecting.addBoth(results.append)
    await until(lambda: program.slow)
    program.slow.write(b"hello")
    program.slow.write(b"world")
    program.slow.finish()
    await until(lambda: results)
    assert results[0].check(ws.ConnectionRejected)
    results[0].value.response.deliverBody(reading := Reading())
    await within(reading.done)
    assert reading.data == b"helloworld"


@joined
@asynchronous
async def test_fragments_are_one_message(ws: Any, net: Network) -> None:
    """The boundaries of the reads make no difference."""
    program: Program[Any] = Program(ws)
    place = await program.serve(net)
    raw = await net.raw(place)
    head = request("rfc6455", target="/connect", host="127.0.0.1", origin=None)
    await raw_opened(raw, head)
    key = b"mask"
    frames = [
        modern_frame(Opcode.BINARY, b"ab", key=key, final=False),
        modern_frame(Opcode.CONTINUATION, b"cdef", key=key),
        modern_frame(Opcode.TEXT, b"ab", key=key, final=False),
        modern_frame(Opcode.PING, b"between", key=key),
        modern_frame(Opcode.CONTINUATION, b"cdef", key=key),
    ]
    for byte in b"".join(frames):
        raw.send(bytes([byte]))
        await waiting.turn()
    raw.send(modern_frame(Opcode.BINARY, b"abcdef", key=key))
    await until(lambda: len(program.servers[0].received) == 3)
    assert program.servers[0].received == [b"abcdef", "abcdef", b"abcdef"]
    await raw.reads(b"between")


async def raw_opened(raw: Any, head: bytes) -> None:
    raw.send(head)
    await raw.reads(b"\r\n\r\n")
    assert raw.data.startswith(b"HTTP/1.1 101 ")


@both
@asynchronous
async def test_a_failed_connection_has_the_errors_of_Twisteds_endpoints(
    ws: Any, net: Network, names: FakeResolver
) -> None:
    program: Program[Any] = Program(ws)
    with pytest.raises(ConnectError):
        await program.connect(f"ws://127.0.0.1:{free_port()}/")
    with pytest.raises(DNSLookupError):
        await program.connect("ws://nobody.example/")


@both
@asynchronous
async def test_tlsPolicy_configures_TLS(ws: Any, net: Network) -> None:
    program: Program[Any] = Program(ws)
    place = await program.serve(net, "tls")
    trust = BrowserLikePolicyForHTTPS(trustRoot=certificates.certificate())
    client = await program.connect(f"wss://localhost:{place.port}/connect", tlsPolicy=trust)
    client.transport.sendTextMessage("ask this")
    await until(lambda: client.received == ["THIS"])
    client.transport.loseConnection()
    await ended(client, program.servers[0])


@both
@asynchronous
async def test_an_endpoint_factory_of_the_user_makes_the_connection(ws: Any, net: Network) -> None:
    program: Program[Any] = Program(ws)
    place = await program.serve(net)
    asked: list[Any] = []

    @implementer(IAgentEndpointFactory)
    class Endpoints:
        def endpointForURI(self, uri: Any) -> Any:
            asked.append((uri.host, uri.port))
            return TCP4ClientEndpoint(reactor, "127.0.0.1", place.port)

    endpoint = ws.WebSocketClientEndpoint(Endpoints(), "ws://any.example/connect")
    assert endpoint.url == "ws://any.example/connect"
    client = await within(ensureDeferred(endpoint.connect(program.clientFactory())))
    assert asked == [(b"any.example", 80)]
    client.transport.loseConnection()
    await ended(client, program.servers[0])


def test_the_names_are_the_same() -> None:
    assert len(twisteds.__all__) == 7
    assert [name for name in twisteds.__all__ if not hasattr(ours, name)] == []


DIFFERENT = {
    # It also checks which object is the producer of the TCP transport, an internal of Twisted.
    "test_backpressure",
    # It reads the body of a refusal while the body arrives; ours is delivered whole, and bounded.
    "test_connectionRefusedSlow",
}
"""Tests of Twisted's own that look behind the interface."""


def test_Twisteds_own_tests_pass_with_the_import_changed(log: Log) -> None:
    """The tests are those of the installed Twisted."""
    source = Path(str(twisteds_tests.__file__)).read_text("utf-8")
    changed = ModuleType("changed")
    text = source.replace("from twisted.web.websocket import", "from txhixie.websocket import")
    assert text != source
    sys.modules["changed"] = changed
    try:
        exec(compile(text, "changed.py", "exec"), changed.__dict__)
        suite = unittest.defaultTestLoader.loadTestsFromModule(changed)
        result = unittest.TestResult()
        suite.run(result)
    finally:
        del sys.modules["changed"]
    assert result.testsRun >= 10  # as many as the oldest Twisted has
    failed = {str(case).split()[0] for case, _ in (*result.failures, *result.errors)}
    assert failed <= DIFFERENT


# Features that Twisted's module does not have.


@each
@asynchronous
async def test_the_same_names_serve_every_dialect(dialect: str, net: Network) -> None:
    program: Program[Any] = Program(ours)
    place = await program.serve(net)
    url = f"ws://127.0.0.1:{place.port}/connect"
    client = await program.connect(url, dialect=dialect)
    client.transport.sendTextMessage("ask this")
    await until(lambda: client.received == ["THIS"])
    client.transport.loseConnection(1000, "done")
    await ended(client, program.servers[0])
    assert isinstance(program.servers[0].lost.value, CleanClose)
    if dialect in dialect_names.MODERN:
        assert program.servers[0].lost.value.reason == "done"


@asynchronous
async def test_the_cause_of_ConnectionRejected_is_HandshakeRefused(net: Network) -> None:
    program: Program[Any] = Program(ours)
    place = await program.serve(net)
    with pytest.raises(ours.ConnectionRejected) as caught:
        await program.connect(f"ws://127.0.0.1:{place.port}/page")
    assert isinstance(caught.value.__cause__, HandshakeRefused)
    assert await within(readBody(caught.value.response)) == b"a page"
    assert caught.value.response.phrase == b"OK"


@asynchronous
async def test_a_server_without_a_response_is_an_error(net: Network, log: Log) -> None:
    """A server that closes before its response, and a silent server. Twisted's module would wait
    for ever."""
    program: Program[Any] = Program(ours)
    place, _ = await server(net, scripted_servers.closes)
    with pytest.raises(PeerLeft):
        await program.connect(f"ws://127.0.0.1:{place.port}/")
    place, _ = await server(net, silent)
    with pytest.raises(ConnectTimeout):
        await program.connect(f"ws://127.0.0.1:{place.port}/", limits=Limits(open_timeout=0.1))


@asynchronous
async def test_a_connection_may_go_through_a_proxy(net: Network) -> None:
    program: Program[Any] = Program(ours)
    place, made = await server(net, says(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"))
    with pytest.raises(ProxyRefused):
        await program.connect("ws://inside.example/", proxy=f"http://127.0.0.1:{place.port}")
    assert made[0].data.startswith(b"CONNECT inside.example:80 ")


@asynchronous
async def test_connectTimeout_bounds_the_TCP_connection(net: Network, names: FakeResolver) -> None:
    """The error is that of Twisted's module."""
    program: Program[Any] = Program(ours)
    with scripted_servers.full_queue() as port, pytest.raises(ConnectError):
        await program.connect(
            f"ws://127.0.0.1:{port}/", connectTimeout=0.1, bindAddress=b"127.0.0.1"
        )


def test_an_unknown_dialect_is_an_error_when_the_resource_is_made() -> None:
    with pytest.raises(ValueError, match="hixie-77"):
        ours.WebSocketResource(Program(ours).serverFactory(), dialects=["hixie-77"])


def test_the_repr_of_an_endpoint_has_no_credentials() -> None:
    endpoint = ours.WebSocketClientEndpoint.new(reactor, "ws://me:secret@host.example/")
    assert "secret" not in repr(endpoint)


@pytest.mark.parametrize("url", ["ws://a.example/#", "https://a.example/?a#b", "ws://a.example:0/"])
def test_an_invalid_URL_is_an_error_where_it_is_passed(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(fragment|port): "):
        ours.WebSocketClientEndpoint.new(MemoryReactorClock(), url)
