"""Twisted's own byte protocols, carried by WebSocket messages, over sockets."""

# Conch, LineReceiver and Agent carry no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from functools import partial
from io import BytesIO
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from twisted.conch.avatar import ConchUser
from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.connection import SSHConnection
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.transport import SSHClientTransport
from twisted.conch.ssh.userauth import SSHUserAuthClient
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet import ssl
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import SSL4ServerEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import INegotiated, IProtocolFactory, ISSLTransport, ITCPTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.amp import AMP, Command, Integer
from twisted.protocols.basic import LineReceiver
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.spread import pb
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from support.certificates import authority, certificate
from support.network import Network, Place
from support.waiting import asynchronous, reactor, until, within
from txhixie import (
    HixieServerFactory,
    StreamApplications,
    StreamClientEndpoint,
    UnsupportedByDialect,
    WebSocketClientEndpoint,
)
from txhixie.web import HixieResource

over_both = pytest.mark.parametrize("over", ["tcp", "tls"])


async def serves(net: Network, factory: object, over: str = "tcp", **options: Any) -> Place:
    """The address of an ordinary factory, served inside messages."""
    return await net.serve(StreamApplications(cast("Any", factory), **options), over)


def endpoint(place: Place, **options: Any) -> Any:
    """A client endpoint for such an address."""
    trust = certificate() if place.over == "tls" else None
    websocket = WebSocketClientEndpoint.new(
        reactor, place.url(), trustRoot=trust, anyPort=True, **options
    )
    return StreamClientEndpoint(websocket)


class Peer(Protocol):
    """A protocol that records the received data, and the reason of the end."""

    transport: Any

    def __init__(self) -> None:
        self.data = bytearray()
        self.lost: Any = None

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = reason


class Made(Factory):
    """:ivar made: the protocols."""

    noisy = False

    def __init__(self, make: Any = Peer) -> None:
        self.make = make
        self.made: list[Any] = []

    def buildProtocol(self, addr: Any) -> Any:
        self.made.append(self.make())
        return self.made[-1]


# Calls on the transport.


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
@asynchronous
async def test_socket_options_can_be_set_on_either_side(over: str, net: Network) -> None:
    """Half of all Twisted's protocols set keep-alive, and conch's shells set no-delay."""
    served = Made()
    place = await serves(net, served, over)
    websocket = WebSocketClientEndpoint(place.endpoint, place.url())
    inner: Any = await within(connectProtocol(StreamClientEndpoint(websocket), Peer()))
    await until(lambda: served.made)
    for transport in (inner.transport, served.made[0].transport):
        assert not transport.getTcpKeepAlive()
        transport.setTcpKeepAlive(True)
        assert transport.getTcpKeepAlive()
        assert transport.getTcpNoDelay() == (over != "unix")
        transport.setTcpNoDelay(False)
        assert not transport.getTcpNoDelay()
        assert not ITCPTransport.providedBy(transport) or over == "tls"


@over_both
@asynchronous
async def test_the_TLS_interface_is_passed_through(over: str, net: Network) -> None:
    served = Made()
    place = await serves(net, served, over)
    inner: Any = await within(connectProtocol(endpoint(place), Peer()))
    transport = inner.transport
    assert ISSLTransport.providedBy(transport) == (over == "tls")
    assert hasattr(transport, "getPeerCertificate") == (over == "tls")
    assert hasattr(transport, "negotiatedProtocol") == (over == "tls")
    if over == "tls":
        shown = transport.getPeerCertificate().to_cryptography()
        assert shown.subject == certificate().original.to_cryptography().subject
        await until(lambda: served.made)
        assert served.made[0].transport.getPeerCertificate() is None
        assert transport.negotiatedProtocol is None
        with pytest.raises(UnsupportedByDialect):
            transport.loseWriteConnection()


@asynchronous
async def test_the_certificate_and_the_ALPN_protocol_are_passed_through(net: Network) -> None:
    """The client's certificate, and the protocol agreed on by ALPN (RFC 7301)."""
    ours, theirs = authority().issue("localhost"), authority().issue("client.example")
    options = ssl.CertificateOptions(
        privateKey=ours.privateKey.original,
        certificate=ours.original,
        trustRoot=authority().trust,
        acceptableProtocols=[b"http/1.1"],
    )
    served = Made()
    listening: Any = await SSL4ServerEndpoint(reactor, 0, options, interface="127.0.0.1").listen(
        cast("IProtocolFactory", HixieServerFactory(StreamApplications(cast("Any", served))))
    )
    net.places.append(Place("tls", listening, "", served))
    context = ssl.optionsForClientTLS(
        "localhost",
        trustRoot=authority().trust,
        clientCertificate=theirs,
        acceptableProtocols=[b"http/1.1"],
    )
    websocket = WebSocketClientEndpoint.new(
        reactor, net.places[-1].url(), contextFactory=context, anyPort=True
    )
    inner: Any = await within(connectProtocol(StreamClientEndpoint(websocket), Peer()))
    await until(lambda: served.made)
    for end, name in ((inner, "localhost"), (served.made[0], "client.example")):
        transport = end.transport
        assert INegotiated.providedBy(transport)
        assert transport.negotiatedProtocol == b"http/1.1"
        shown: Any = transport.getPeerCertificate()
        assert shown.to_cryptography().subject.rfc4514_string() == f"CN={name}"
    inner.transport.loseConnection()
    await until(lambda: inner.lost and served.made[0].lost)


@over_both
@asynchronous
async def test_under_a_Site_a_stream_works_as_well(over: str, net: Network) -> None:
    served = Made(Shouting)
    site: Any = Site(HixieResource(StreamApplications(cast("Any", served))))
    site.noisy = False
    place = await net.listen(site, over)
    inner: Any = await within(connectProtocol(endpoint(place), Peer()))
    inner.transport.write(b"hello")
    await until(lambda: bytes(inner.data) == b"HELLO")
    transport = served.made[0].transport
    assert INegotiated.providedBy(transport) == (over == "tls")
    assert transport.getPeer() == inner.transport.getHost()
    transport.setTcpKeepAlive(True)
    assert transport.getTcpKeepAlive()
    inner.transport.loseConnection()
    await until(lambda: inner.lost and served.made[0].lost)


@asynchronous
async def test_the_addresses_of_a_stream_are_those_of_its_connection(net: Network) -> None:
    served = Made()
    place = await serves(net, served)
    inner: Any = await within(connectProtocol(endpoint(place), Peer()))
    await until(lambda: served.made)
    outer, other = inner.transport, served.made[0].transport
    assert outer.getPeer() == other.getHost() == place.listening.getHost()
    assert outer.getHost() == other.getPeer()


class Shouting(Peer):
    """A protocol that returns received data in capitals."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data.upper())


# The protocols themselves.


@over_both
@asynchronous
async def test_LineReceiver_runs_over_a_stream(over: str, net: Network) -> None:
    class Echo(LineReceiver):
        def lineReceived(self, line: bytes) -> None:
            self.sendLine(line.upper())

    class Asking(LineReceiver):
        def connectionMade(self) -> None:
            self.lines: list[bytes] = []
            self.sendLine(b"hello")
            self.sendLine(b"world")

        def lineReceived(self, line: bytes) -> None:
            self.lines.append(line)

    place = await serves(net, Factory.forProtocol(Echo), over)
    asking: Any = await within(connectProtocol(endpoint(place), Asking()))
    await until(lambda: len(asking.lines) == 2)
    assert asking.lines == [b"HELLO", b"WORLD"]


class Sum(Command):
    arguments = [(b"a", Integer()), (b"b", Integer())]  # noqa: RUF012 (AMP's own way)
    response = [(b"total", Integer())]  # noqa: RUF012


class Adding(AMP):
    @Sum.responder
    def add(self, a: int, b: int) -> dict[str, int]:
        return {"total": a + b}


@over_both
@asynchronous
async def test_AMP_runs_over_a_stream(over: str, net: Network) -> None:
    place = await serves(net, Factory.forProtocol(Adding), over)
    asking: Any = await within(connectProtocol(endpoint(place), AMP()))
    answers = [asking.callRemote(Sum, a=number, b=1) for number in range(50)]
    for number, answer in enumerate(answers):
        assert (await within(answer))["total"] == number + 1
    lost = asking.callRemote(Sum, a=1, b=1)
    asking.transport.abortConnection()
    with pytest.raises(ConnectionLost):
        await within(lost)


class Root(pb.Root):
    def remote_double(self, value: list[int]) -> list[int]:
        return value * 2


@over_both
@asynchronous
async def test_a_perspective_broker_runs_over_a_stream(over: str, net: Network) -> None:
    place = await serves(net, pb.PBServerFactory(Root()), over)
    factory: Any = pb.PBClientFactory()
    factory.noisy = False
    broker = await within(endpoint(place).connect(factory))
    root = await within(factory.getRootObject())
    big = list(range(5000))
    assert await within(root.callRemote("double", big)) == big * 2
    broker.transport.loseConnection()
    await until(lambda: not place.factory.connections)


@implementer(IRealm)
class Shells:
    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> Any:
        user = ConchUser()
        user.channelLookup[b"session"] = EchoChannel
        return interfaces[0], user, lambda: None


class EchoChannel(SSHChannel):
    name = b"session"

    def request_exec(self, data: bytes) -> bool:
        return True

    def dataReceived(self, data: bytes) -> None:
        self.write(data)


class AskingChannel(SSHChannel):
    name = b"session"

    def channelOpen(self, specificData: bytes) -> None:
        self.received = bytearray()
        cast("Any", self.conn).transport.channel = self

    def dataReceived(self, data: bytes) -> None:
        self.received += data


class Asking(SSHConnection):
    def serviceStarted(self) -> None:
        self.openChannel(AskingChannel(conn=self))


class SSHClient(SSHClientTransport):
    channel: Any = None

    def verifyHostKey(self, hostKey: bytes, fingerprint: bytes) -> Deferred[bool]:
        return succeed(True)

    def connectionSecure(self) -> None:
        self.requestService(PasswordOnly(b"user", Asking()))


class PasswordOnly(SSHUserAuthClient):
    def getPassword(self, prompt: Any = None) -> Deferred[bytes]:
        return succeed(b"secret")

    def getPublicKey(self) -> None:
        return None


@over_both
@asynchronous
async def test_an_SSH_transport_runs_over_a_stream(over: str, net: Network) -> None:
    key: Any = Key(ed25519.Ed25519PrivateKey.generate())
    factory: Any = SSHFactory()
    factory.noisy = False
    factory.portal = Portal(Shells())
    factory.portal.registerChecker(InMemoryUsernamePasswordDatabaseDontUse(user=b"secret"))
    factory.publicKeys = {key.sshType(): key.public()}
    factory.privateKeys = {key.sshType(): key}
    factory.getPrimes = lambda: None
    place = await serves(net, factory, over)
    client: Any = await within(connectProtocol(endpoint(place), SSHClient()))
    await until(lambda: client.channel)
    client.channel.write(b"through a tunnel " * 1000)
    await until(lambda: len(client.channel.received) == 17_000)
    client.loseConnection()
    await until(lambda: not place.factory.connections)


class Page(Resource):
    """A page that returns the body of the request."""

    isLeaf = True

    def render_POST(self, request: Any) -> bytes:
        body: bytes = request.content.read()
        return body.upper()


@over_both
@asynchronous
async def test_HTTP_runs_over_a_stream(over: str, net: Network) -> None:
    """Several requests on one connection, and bodies that a producer writes on both sides."""
    site: Any = Site(Page())
    site.noisy = False
    place = await serves(net, site, over)
    seen: set[Any] = set()

    class Inside:
        def endpointForURI(self, uri: object) -> Any:
            return endpoint(place)

    pool = HTTPConnectionPool(reactor)
    agent: Any = Agent.usingEndpointFactory(reactor, cast("Any", Inside()), pool)
    for _ in range(3):
        body = FileBodyProducer(BytesIO(b"a body " * 100_000))
        response = await within(agent.request(b"POST", b"http://inside.example/", None, body))
        read = Peer()
        response.deliverBody(read)
        await until(partial(getattr, read, "lost"))
        assert bytes(read.data) == b"A BODY " * 100_000
        seen |= place.factory.connections
    assert len(seen) == 1
    await within(pool.closeCachedConnections())
    await until(lambda: not place.factory.connections)


@over_both
@asynchronous
async def test_TLS_runs_over_a_stream_from_end_to_end(over: str, net: Network) -> None:
    """TLS runs inside the messages, so that proxies cannot read it: its close is the end of the
    conversation."""
    served = Made(Shouting)
    inside = authority().issue("inside.example").options()
    place = await serves(net, TLSMemoryBIOFactory(inside, False, cast("Any", served)), over)
    context = ssl.optionsForClientTLS("inside.example", trustRoot=authority().trust)
    inner: Any = await within(connectProtocol(wrapClientTLS(context, endpoint(place)), Peer()))
    inner.transport.write(b"hello " * 50_000)
    await until(lambda: len(inner.data) == 300_000)
    assert bytes(inner.data) == b"HELLO " * 50_000
    inner.transport.loseConnection()
    await until(lambda: inner.lost and served.made[0].lost)
    for end in (inner, served.made[0]):
        assert end.lost.check(ConnectionDone)
