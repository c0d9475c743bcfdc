"""Our endpoints under Twisted's own users of endpoints: ``ClientService``, a web client, an SSH
client.

Each of them gets the errors that it knows from Twisted's endpoints.
"""

# Conch carries no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from twisted.application.internet import ClientService
from twisted.conch.avatar import ConchUser
from twisted.conch.endpoints import SSHCommandClientEndpoint
from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.connection import SSHConnection
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.transport import SSHClientTransport
from twisted.conch.ssh.userauth import SSHUserAuthClient
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet.address import HostnameAddress
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    DNSLookupError,
)
from twisted.internet.error import TimeoutError as ConnectTimeoutError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from dialing.test_errors import MADE
from support.applications import Answering, Applications, Recorder
from support.log_recorder import Log
from support.memory_proxies import ProxyEndpoint
from support.network import Network, Place
from support.raw_peer import Raw
from support.reactor_state import ReactorState
from support.resolver import FakeResolver
from support.scripted_servers import says, server, silent
from support.waiting import asynchronous, reactor, turn, until, within
from txhixie import StreamApplications, WebSocketClientEndpoint, WebSocketClientService, connect
from txhixie.dialing.tls import TLSEndpoint, clientTLS
from txhixie.dialing.tunnel import HTTPConnectEndpoint
from txhixie.errors import ProxyRefused, UnknownIssuer
from txhixie.stream import StreamClientEndpoint


class Failing:
    """An endpoint whose first attempts fail, each with the next error, and whose later ones never
    finish."""

    def __init__(self, clock: Clock, errors: list[Exception]) -> None:
        self.clock = clock
        self.errors = list(errors)
        self.pending: Deferred[Any] | None = None

    def connectApplication(self, application: object) -> Deferred[Any]:
        self.pending = Deferred()
        if self.errors:
            self.clock.callLater(0.5, self.pending.errback, self.errors.pop(0))
        return self.pending


def peers() -> Any:
    """A factory of recording protocols."""
    factory: Any = Factory.forProtocol(Raw)
    factory.noisy = False
    return factory


# ClientService.


def test_a_service_tries_again_after_each_error_and_stops() -> None:
    clock = Clock()
    failing = Failing(clock, [*MADE, ProxyRefused(503)])
    service = ClientService(
        StreamClientEndpoint(failing), peers(), retryPolicy=lambda _: 1.0, clock=clock
    )
    service.startService()
    attempts = len(MADE) + 1
    waiting = service.whenConnected(failAfterFailures=attempts)
    errors: list[Any] = []
    waiting.addErrback(errors.append)
    for left in reversed(range(attempts)):
        assert (len(failing.errors), errors) == (left, [])
        clock.pump([0.5, 1])
    assert errors[0].check(ProxyRefused)
    assert failing.pending is not None
    stopped: list[object] = []
    service.stopService().addBoth(stopped.append)
    assert (failing.pending.called, stopped) == (True, [None])
    assert not clock.getDelayedCalls()


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
def test_a_wait_for_a_service_fails_with_Twisteds_error(error: Exception) -> None:
    clock = Clock()
    service = ClientService(StreamClientEndpoint(Failing(clock, [error])), peers(), clock=clock)
    service.startService()
    failures: list[Any] = []
    service.whenConnected(failAfterFailures=1).addErrback(failures.append)
    clock.advance(0.5)
    assert failures[0].check(ConnectError)
    assert failures[0].value is error
    service.stopService()


@asynchronous
async def test_a_service_connects_over_ws_and_stops(net: Network) -> None:
    place = await net.serve(StreamApplications(peers()))
    endpoint = clientFromString(reactor, f"ws:127.0.0.1:{place.port}")
    service = ClientService(endpoint, peers())
    service.startService()
    await within(service.whenConnected())
    await turn()  # it cannot be stopped inside what tells of the connection
    await within(service.stopService())
    await until(lambda: not place.factory.connections)


@asynchronous
async def test_a_service_that_is_stopped_cancels_the_attempt(net: Network) -> None:
    """Waiting callers get Twisted's ``CancelledError``, and nothing of the attempt remains."""
    place = await net.serve(Answering(lambda offer: Deferred()))
    service = ClientService(clientFromString(reactor, f"ws:127.0.0.1:{place.port}"), peers())
    service.startService()
    waiting = service.whenConnected()
    await until(lambda: place.factory.connections)
    await within(service.stopService())
    with pytest.raises(CancelledError):
        await within(waiting)
    await until(lambda: not place.factory.connections)


# Cancelling by Deferred.cancel().


def websocket(place: Place) -> Deferred[Any]:
    endpoint = WebSocketClientEndpoint.new(reactor, place.url())
    return Deferred.fromCoroutine(endpoint.connect(cast("Any", Applications(Recorder))))


def application(place: Place) -> Deferred[Any]:
    endpoint = WebSocketClientEndpoint.new(reactor, place.url())
    return endpoint.connectApplication(cast("Any", Recorder()))


def stream(place: Place) -> Deferred[Any]:
    endpoint = WebSocketClientEndpoint.new(reactor, place.url())
    return cast("Deferred[Any]", StreamClientEndpoint(endpoint).connect(peers()))


def described(place: Place) -> Deferred[Any]:
    endpoint = clientFromString(reactor, f"ws:localhost:{place.port}")
    return cast("Deferred[Any]", endpoint.connect(peers()))


def tunnel(place: Place) -> Deferred[Any]:
    endpoint = HTTPConnectEndpoint(place.endpoint, "localhost", place.port)
    return cast("Deferred[Any]", endpoint.connect(peers()))


def described_tunnel(place: Place) -> Deferred[Any]:
    words = f"httpconnect:127.0.0.1:{place.port}:localhost:{place.port}"
    return cast("Deferred[Any]", clientFromString(reactor, words).connect(peers()))


@pytest.mark.parametrize(
    "begin", [websocket, application, stream, described, tunnel, described_tunnel]
)
@asynchronous
async def test_the_error_of_a_cancelled_endpoint_names_the_address(
    begin: Callable[[Place], Deferred[Any]], net: Network
) -> None:
    """The class is that of Twisted's endpoints, which is no ``CancelledError``."""
    place, made = await server(net, silent)
    reactor_state = ReactorState()
    connecting = begin(place)
    await until(lambda: made and made[0].data)
    connecting.cancel()
    with pytest.raises(ConnectingCancelledError) as caught:
        await within(connecting)
    assert caught.value.address == HostnameAddress(b"localhost", place.port)
    assert not isinstance(caught.value, CancelledError)
    assert f"port={place.port}" in str(caught.value)
    await reactor_state.is_restored()


def test_a_CancelledError_of_an_inner_endpoint_is_translated() -> None:
    """The Deferred of another package's endpoint may have no canceller, or one that fires
    nothing."""
    clock = Clock()
    for wrap in (
        lambda proxy: HTTPConnectEndpoint(proxy, "host.example", 443, clock=clock),
        lambda proxy: TLSEndpoint(
            proxy, clientTLS("host.example"), host=None, seconds=1, clock=cast("Any", clock)
        ),
    ):
        proxy = ProxyEndpoint()
        proxy.pending = Deferred()
        failures: list[Any] = []
        connecting = wrap(cast("Any", proxy)).connect(cast("Any", peers()))
        connecting.addErrback(failures.append)
        connecting.cancel()
        assert failures[0].check(ConnectingCancelledError)


@asynchronous
async def test_a_cancelled_connect_is_a_CancelledError(net: Network) -> None:
    """`connect` is no endpoint: its Deferred fails as any other Deferred does."""
    place, made = await server(net, silent)
    reactor_state = ReactorState()
    connecting = connect(place.url()).asDeferred()
    await until(lambda: made and made[0].data)
    connecting.cancel()
    with pytest.raises(CancelledError):
        await within(connecting)
    await reactor_state.is_restored()


@asynchronous
async def test_addTimeout_on_a_connect_fails_with_Twisteds_TimeoutError(net: Network) -> None:
    """``addTimeout`` only translates a ``CancelledError``."""
    place, made = await server(net, silent)
    clock = Clock()
    connecting = connect(place.url()).asDeferred().addTimeout(5, clock)
    await until(lambda: made and made[0].data)
    clock.advance(5)
    with pytest.raises(TimedOut):
        await within(connecting)


@asynchronous
async def test_a_wait_for_a_stopped_service_fails_with_CancelledError(
    net: Network, log: Log
) -> None:
    """One wait is cancelled by its caller, the other one ends when the service stops while
    connecting."""
    place, made = await server(net, silent)
    service = WebSocketClientService.new(reactor, place.url(), cast("Any", Applications(Recorder)))
    service.startService()
    cancelled, waiting = service.whenConnected(), service.whenConnected()
    await until(lambda: made and made[0].data)
    cancelled.cancel()
    await within(service.stopService())
    for each in (cancelled, waiting):
        with pytest.raises(CancelledError):
            await within(each)
    await turn()  # in this turn the cancelled Deferred would fire again


# Agent.


class Page(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return b"a page"


class By:
    """An agent's endpoint factory that uses one endpoint for every request."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: object) -> IStreamClientEndpoint:
        return self._endpoint


def agent_by(endpoint: Any, pool: HTTPConnectionPool | None = None) -> Any:
    return Agent.usingEndpointFactory(reactor, cast("Any", By(endpoint)), pool)


async def page_of(agent: Any) -> bytes:
    response = await within(agent.request(b"GET", b"http://inside.example/"))
    read = Raw()
    response.deliverBody(read)
    await until(lambda: read.reason)
    assert read.reason is not None
    assert read.reason.check(ResponseDone)
    return bytes(read.data)


class Tunnelling(Raw):
    """A proxy that accepts CONNECT and tunnels to one port."""

    port = 0

    def dataReceived(self, data: bytes) -> None:
        if self.data:
            if self.through:
                self.through[0].transport.write(data)
            return
        super().dataReceived(data)
        self.through: list[Any] = []
        endpoint: Any = clientFromString(reactor, f"tcp:127.0.0.1:{self.port}")
        back = Back()
        back.front = self
        factory: Any = Factory.forProtocol(cast("Any", lambda: back))
        endpoint.connect(factory).addCallback(self._connected)

    def _connected(self, back: Any) -> None:
        self.through.append(back)
        self.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

    def connectionLost(self, reason: Any = None) -> None:
        super().connectionLost(reason)
        if self.through:
            self.through[0].transport.loseConnection()


class Back(Raw):
    front: Any = None

    def dataReceived(self, data: bytes) -> None:
        self.front.send(data)


@asynchronous
async def test_a_web_client_through_a_proxy(net: Network) -> None:
    site: Any = Site(Page())
    site.noisy = False
    pages = await net.listen(site)

    class Proxy(Tunnelling):
        port = pages.port

    factory: Any = Factory.forProtocol(Proxy)
    factory.noisy = False
    proxy = await net.listen(factory)
    reactor_state = ReactorState()
    pool = HTTPConnectionPool(reactor, persistent=False)
    agent = agent_by(HTTPConnectEndpoint(proxy.endpoint, "inside.example", 80), pool)
    assert await page_of(agent) == b"a page"
    await reactor_state.is_restored()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", ProxyRefused),
        (b"SSH-2.0-OpenSSH\r\n", ConnectError),
    ],
)
@asynchronous
async def test_a_web_client_gets_the_error_of_a_proxy_that_refuses(
    answer: bytes, error: type[Exception], net: Network
) -> None:
    """The error comes at once, and not in a list of failures of a connection that was never
    made."""
    place, _ = await server(net, says(answer))
    agent = agent_by(HTTPConnectEndpoint(place.endpoint, "inside.example", 80))
    with pytest.raises(error):
        await page_of(agent)


@asynchronous
async def test_a_web_client_over_ws(net: Network) -> None:
    site: Any = Site(Page())
    site.noisy = False
    place = await net.serve(StreamApplications(site))
    pool = HTTPConnectionPool(reactor, persistent=False)
    agent = agent_by(clientFromString(reactor, f"ws:localhost:{place.port}"), pool)
    assert await page_of(agent) == b"a page"
    await until(lambda: not place.factory.connections)


@asynchronous
async def test_a_web_client_over_ws_gets_the_errors_of_Twisteds_endpoints(
    net: Network, names: FakeResolver
) -> None:
    names.known["nobody.example"] = []
    with pytest.raises(DNSLookupError):
        await page_of(agent_by(clientFromString(reactor, "ws:nobody.example")))
    place, _ = await server(net, silent)
    with pytest.raises(ConnectTimeoutError):
        await page_of(agent_by(clientFromString(reactor, f"ws:localhost:{place.port}:timeout=0.2")))
    secure = await net.serve(Applications(), "tls")
    with pytest.raises(UnknownIssuer) as caught:
        await page_of(agent_by(clientFromString(reactor, f"wss:localhost:{secure.port}")))
    assert isinstance(caught.value, ConnectError)


@asynchronous
async def test_a_cancelled_request_of_a_web_client_cancels_the_endpoint(net: Network) -> None:
    place, made = await server(net, silent)
    reactor_state = ReactorState()
    agent = agent_by(clientFromString(reactor, f"ws:localhost:{place.port}"))
    asking = agent.request(b"GET", b"http://inside.example/")
    await until(lambda: made and made[0].data)
    asking.cancel()
    with pytest.raises(ConnectingCancelledError):
        await within(asking)
    await reactor_state.is_restored()


# Conch.


@implementer(IRealm)
class Commands:
    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> Any:
        user = ConchUser()
        user.channelLookup[b"session"] = Command
        return interfaces[0], user, lambda: None


class Command(SSHChannel):
    name = b"session"

    def request_exec(self, data: bytes) -> bool:
        reactor.callLater(0, self.finish)  # after the answer to this
        return True

    def finish(self) -> None:
        self.write(b"done")
        self.loseConnection()


class Secure(SSHConnection):
    """
    :ivar started: fires with it when the user is known.
    """

    def __init__(self) -> None:
        super().__init__()
        self.started: Deferred[Any] = Deferred()

    def serviceStarted(self) -> None:
        super().serviceStarted()
        self.started.callback(self)


class SSH(SSHClientTransport):
    # For the address of a command's protocol, Twisted reads these of every connection.
    creator = SimpleNamespace(username=b"user", command=b"run")

    def __init__(self) -> None:
        self.secure = Secure()

    def verifyHostKey(self, hostKey: bytes, fingerprint: bytes) -> Deferred[bool]:
        return succeed(True)

    def connectionSecure(self) -> None:
        self.requestService(PasswordOnly(b"user", self.secure))


class PasswordOnly(SSHUserAuthClient):
    def getPassword(self, prompt: Any = None) -> Deferred[bytes]:
        return succeed(b"secret")

    def getPublicKey(self) -> None:
        return None


@asynchronous
async def test_an_SSH_command_over_ws(net: Network) -> None:
    """Twisted's endpoint of a command over a WebSocket connection."""
    key: Any = Key(ed25519.Ed25519PrivateKey.generate())
    factory: Any = SSHFactory()
    factory.noisy = False
    factory.portal = Portal(Commands())
    factory.portal.registerChecker(InMemoryUsernamePasswordDatabaseDontUse(user=b"secret"))
    factory.publicKeys = {key.sshType(): key.public()}
    factory.privateKeys = {key.sshType(): key}
    factory.getPrimes = lambda: None
    place = await net.serve(StreamApplications(factory))
    endpoint = clientFromString(reactor, f"ws:localhost:{place.port}")
    ssh: Any = await within(connectProtocol(endpoint, SSH()))
    secure = await within(ssh.secure.started)
    command: Any = SSHCommandClientEndpoint.existingConnection(secure, b"run")
    ran: Any = await within(command.connect(peers()))
    await until(lambda: bytes(ran.data) == b"done" and ran.reason)
    ssh.loseConnection()
    await until(lambda: not place.factory.connections)


@asynchronous
async def test_SSH_to_a_refused_connection_fails_as_Twisteds_endpoints_do(
    net: Network, names: FakeResolver
) -> None:
    names.known["nobody.example"] = []
    with pytest.raises(DNSLookupError):
        await within(connectProtocol(clientFromString(reactor, "ws:nobody.example"), SSH()))
