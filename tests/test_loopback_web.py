"""
WebSocket under a Site of twisted.web, over real sockets.

The loopback tests run once more here, with a Site between the port and the connection.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, cast

import pytest
import pytest_twisted
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet import ssl
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.web.guard import BasicCredentialFactory, HTTPAuthSessionWrapper
from twisted.web.resource import IResource, Resource
from twisted.web.rewrite import RewriterResource
from twisted.web.server import Site
from twisted.web.vhost import NameVirtualHost, VHostMonsterResource
from zope.interface import implementer

import test_loopback
import test_loopback_broadcast
import test_loopback_modern
import test_loopback_tls
from support import frame_writer
from support.applications import Applications, Recorder, echo
from support.certificates import certificate
from support.dialect_marks import each
from support.dialect_names import MODERN
from support.frame_writer import FrameWriter
from support.frames import MASK
from support.handshake_bytes import KEY3, PROOF, head_of, request, status_of, whole_request
from support.log_recorder import Log
from support.network import OVER, Network, Place
from support.nginx import in_front
from support.raw_peer import Raw
from support.third_party import missing
from support.waiting import asynchronous, reactor, turn, until, within
from txhixie import HandshakeRefused
from txhixie.web import HixieResource

over_all = pytest.mark.parametrize("over", OVER)


class SiteNetwork(Network):
    """A network whose servers are resources of a Site."""

    async def serve(self, applications: Any, over: str = "tcp", **options: Any) -> Place:
        resource = HixieResource(applications, **options)
        return await self.site(resource, resource, over)

    async def site(self, root: Any, resource: HixieResource, over: str = "tcp") -> Place:
        """
        Serve a resource tree by a Site.

        :return: where the Site listens; its factory is that of the WebSocket resource.
        """
        place = await self.listen(Site(root, logPath=str(self.directory / "access.log")), over)
        place.factory = resource.factory
        self.factories.append(resource.factory)
        return place

    async def reach(self, port: int) -> Raw:
        """Connect to a reverse proxy."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        raw: Raw = await within(cast("Deferred[Any]", endpoint.connect(Factory.forProtocol(Raw))))
        self.raws.append(raw)
        return raw


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]  # pytest_twisted has no annotations
async def net() -> AsyncIterator[SiteNetwork]:
    with TemporaryDirectory(prefix="hixie") as directory:
        network = SiteNetwork(Path(directory))
        try:
            yield network
        finally:
            await network.close()


THE_SITES_OWN = {
    # Until a request asks for WebSocket, a connection is the Site's: its timeout, its 400, and no
    # line in our log.
    "test_a_client_that_does_not_trust_the_server_is_logged",
    "test_a_request_without_TLS_on_a_TLS_port_is_logged",
    "test_a_client_that_leaves_before_any_byte_is_not_logged",
    "test_an_incomplete_request_gets_a_408_and_is_disconnected",
    "test_a_refused_client_can_read_the_reason",
    "test_closeAll_closes_each_connection_as_its_dialect_does",
    "test_abortAll_ends_every_connection",
    "test_TLS_on_a_port_without_TLS_is_refused_at_once",
    "test_a_client_that_does_not_finish_the_TLS_handshake_is_disconnected",
    "test_a_client_that_sends_no_request_after_TLS_gets_a_408",
    "test_closing_during_the_TLS_handshake_ends_the_connection",
}


def promises(*modules: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The tests of other modules that have to pass under a Site, too."""
    for module in modules:
        for name, value in vars(module).items():
            if name.startswith("test_") and name not in THE_SITES_OWN:
                yield name, value


globals().update(
    promises(test_loopback, test_loopback_broadcast, test_loopback_modern, test_loopback_tls)
)


def page(name: str) -> Any:
    """A resource with one page, which names itself."""
    resource = Resource()
    resource.isLeaf = True
    resource.render_GET = lambda asked: name.encode() + b" " + asked.uri  # type: ignore[attr-defined]  # twisted.web looks methods up by the name of the HTTP method
    return resource


def voice(dialect: str) -> FrameWriter:
    """The writer of a client's frames."""
    return FrameWriter(dialect, MASK if dialect in MODERN else None)


async def echoes(raw: Raw, dialect: str) -> None:
    """Wait for the end of a handshake, and for the echo of a message."""
    await raw.reads(PROOF if dialect == "hixie-76" else b"\r\n\r\n")
    assert status_of(bytes(raw.data)) == 101, bytes(raw.data)
    raw.data.clear()
    raw.send(voice(dialect).text("hello"))
    await raw.reads(FrameWriter(dialect).text("hello"))


async def reads_page(raw: Raw, body: bytes) -> None:
    """Wait for a whole response, and discard it."""
    await raw.reads(b"\r\n\r\n" + body)
    assert status_of(bytes(raw.data)) == 200
    raw.data.clear()


def asked(path: str) -> bytes:
    """An ordinary request on a persistent connection."""
    return f"GET {path} HTTP/1.1\r\nHost: example.com\r\n\r\n".encode()


# Persistent connections.


@over_all
@each
@asynchronous
async def test_a_WebSocket_follows_pages_on_the_same_connection(
    dialect: str, over: str, net: SiteNetwork, log: Log
) -> None:
    resource = HixieResource(Applications(echo), elsewhere=page("page"))
    raw = await net.raw(await net.site(resource, resource, over))
    for path in ("/1", "/2"):
        raw.send(asked(path))
        await reads_page(raw, b"page " + path.encode())
    raw.send(whole_request(dialect))
    await echoes(raw, dialect)


@each
@asynchronous
async def test_requests_for_pages_and_a_handshake_may_be_one_write(
    dialect: str, net: SiteNetwork, log: Log
) -> None:
    resource = HixieResource(Applications(echo), elsewhere=page("page"))
    raw = await net.raw(await net.site(resource, resource))
    raw.send(asked("/1") + asked("/2") + whole_request(dialect))
    await raw.reads(b"page /2")
    del raw.data[: raw.data.index(b"page /2") + 7]
    await echoes(raw, dialect)


@pytest.mark.parametrize("over", ["tcp", "tls"])
@asynchronous
async def test_a_WebSocket_follows_a_page_that_was_not_read_yet(
    over: str, net: SiteNetwork, log: Log
) -> None:
    """
    The write buffer is full, so that the channel has paused reading. The page is not one of the
    WebSocket resource: behind one of these a request waits until the page has been written.
    """
    size = 20_000_000
    big = page("big")
    big.render_GET = lambda asked: b"p" * (size if asked.uri == b"/big" else 1)
    resource = HixieResource(Applications(echo))
    root = Resource()
    for name in (b"", b"big"):
        root.putChild(name, big)
    root.putChild(b"demo", resource)
    raw = await net.raw(await net.site(root, resource, over))
    raw.send(asked("/"))
    await reads_page(raw, b"p")
    raw.transport.pauseProducing()
    raw.send(asked("/big") + whole_request("hixie-76"))
    await until(lambda: resource.factory.connections)
    await turn(0.05)
    raw.transport.resumeProducing()
    await until(lambda: raw.data.endswith(PROOF))
    assert raw.data.count(b"p" * 1000) == size // 1000
    raw.data.clear()
    raw.send(frame_writer.text("hello"))
    await raw.reads(frame_writer.text("hello"))


@each
@asynchronous
async def test_nginx_keeps_a_connection_and_upgrades_it(
    dialect: str, net: SiteNetwork, log: Log
) -> None:
    """
    nginx's pool reuses the connection that served two pages for a WebSocket client. The fixed
    lines of hixie-75 arrive intact: nginx writes its own fields first, and in the order of the
    draft.
    """
    ports: list[int] = []

    def render(asked: Any) -> bytes:
        ports.append(asked.getClientAddress().port)
        return b"page"

    whose = page("page")
    whose.render_GET = render
    made = Applications(echo)
    resource = HixieResource(made, elsewhere=whose)
    place = await net.site(resource, resource)
    with in_front(place.port, net.directory) as port:
        for path in ("/1", "/2"):
            visitor = await net.reach(port)
            visitor.send(asked(path))
            await visitor.reads(b"page")
            visitor.transport.loseConnection()
        raw = await net.reach(port)
        raw.send(whole_request(dialect))
        await echoes(raw, dialect)
        assert ports == [made.asked[0].request.getClientAddress().port] * 2


# Resources above the WebSocket resource in a tree.


@each
@asynchronous
async def test_virtual_hosts(dialect: str, net: SiteNetwork, log: Log) -> None:
    made = Applications(echo)
    resource = HixieResource(made)
    hosts = NameVirtualHost()
    hosts.addHost(b"example.com", resource)
    hosts.addHost(b"example.org", page("page"))
    place = await net.site(hosts, resource)
    raw = await net.raw(place)
    raw.send(whole_request(dialect))
    await echoes(raw, dialect)
    other = await net.raw(place)
    other.send(whole_request(dialect, host="example.org", origin="http://example.org"))
    await other.reads(b"page /demo")


@each
@asynchronous
async def test_the_path_of_a_VHostMonster_gives_the_host_and_TLS(
    dialect: str, net: SiteNetwork, log: Log
) -> None:
    """The reverse proxy writes the requested host into the path, and that the client uses TLS."""
    made = Applications(echo)
    resource = HixieResource(made)
    root = Resource()
    monster = VHostMonsterResource()
    root.putChild(b"vhost", monster)
    root.putChild(b"demo", resource)
    raw = await net.raw(await net.site(root, resource))
    raw.send(
        whole_request(
            dialect, target="/vhost/https/example.com:443/demo", origin="https://example.com"
        )
    )
    await echoes(raw, dialect)
    (offer,) = made.asked
    assert offer.secure
    assert offer.location == "wss://example.com/demo"


@each
@asynchronous
async def test_a_rewrite_changes_the_resource_and_not_the_target_of_the_request(
    dialect: str, net: SiteNetwork, log: Log
) -> None:
    def rewrite(rewritten: Any) -> None:
        rewritten.postpath[:] = [b"new"]

    made = Applications(echo)
    resource = HixieResource(made)
    root = Resource()
    root.putChild(b"new", resource)
    raw = await net.raw(await net.site(RewriterResource(root, rewrite), resource))
    raw.send(whole_request(dialect, target="/old"))
    await echoes(raw, dialect)
    assert made.asked[0].target == "/old"


@each
@asynchronous
async def test_sessions(dialect: str, net: SiteNetwork, log: Log) -> None:
    """The application begins a session; the handshake's response has the cookie."""

    class Sessions(Applications):
        def buildProtocol(self, asked: Any) -> Any:
            self.session = asked.request.getSession()
            return super().buildProtocol(asked)

    made = Sessions(echo)
    resource = HixieResource(made)
    place = await net.site(resource, resource)
    raw = await net.raw(place)
    raw.send(whole_request(dialect))
    await raw.reads(b"\r\n\r\n")
    first = made.session
    assert b"Set-Cookie: TWISTED_SESSION=" + first.uid in head_of(bytes(raw.data))
    again = await net.raw(place)
    again.send(whole_request(dialect, f"Cookie: TWISTED_SESSION={first.uid.decode()}"))
    await echoes(again, dialect)
    assert made.session is first
    first.expire()


# Behind a guard.


@implementer(IRealm)
class Realm:
    """
    A realm in which each user has applications of their own.

    :ivar resources: the resources by the user's name.
    """

    def __init__(self, net: SiteNetwork) -> None:
        self.net = net
        self.resources: dict[bytes, HixieResource] = {}

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: object) -> Any:
        assert IResource in interfaces

        def hello(application: Recorder) -> None:
            application.transport.sendTextMessage(f"hello {avatarId.decode()}")

        resource = HixieResource(Applications(lambda: Recorder(finished=hello)))
        self.net.factories.append(resource.factory)
        self.resources[avatarId] = resource
        return IResource, resource, lambda: None


class SlowChecker(InMemoryUsernamePasswordDatabaseDontUse):
    """A credentials checker that answers later, as one with a database does."""

    seconds = 0.0

    def requestAvatarId(self, credentials: Any) -> Any:
        if not self.seconds:
            return super().requestAvatarId(credentials)  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        return deferLater(reactor, self.seconds).addCallback(
            lambda _: maybeDeferred(super(SlowChecker, self).requestAvatarId, credentials)
        )


async def guarded(net: SiteNetwork, seconds: float, over: str = "tcp") -> Place:
    """A Site that requires a name and a password."""
    checker = SlowChecker(alice=b"secret")
    checker.seconds = seconds
    portal = Portal(Realm(net), [checker])
    wrapper = HTTPAuthSessionWrapper(portal, [BasicCredentialFactory(b"example")])
    return await net.listen(Site(wrapper), over)


def basic(credentials: bytes) -> str:
    """The Authorization field with a name and a password."""
    return "Authorization: Basic " + b64encode(credentials).decode()


@pytest.mark.parametrize("seconds", [0.0, 0.02])
@over_all
@each
@asynchronous
async def test_a_client_with_valid_credentials_passes_the_guard(
    dialect: str, over: str, seconds: float, net: SiteNetwork, log: Log
) -> None:
    """Also when the checker takes time, and the eight bytes arrive before the decision."""
    raw = await net.raw(await guarded(net, seconds, over))
    raw.send(whole_request(dialect, basic(b"alice:secret")))
    await raw.reads(FrameWriter(dialect).text("hello alice"))


@asynchronous
async def test_the_eight_bytes_may_arrive_before_the_decision_of_a_guard(
    net: SiteNetwork, log: Log
) -> None:
    raw = await net.raw(await guarded(net, 0.2))
    raw.send(request("hixie-76", basic(b"alice:secret")))
    for byte in KEY3:
        await turn(0.01)
        raw.send(bytes([byte]))
    await raw.reads(PROOF + frame_writer.text("hello alice"))


@pytest.mark.parametrize("seconds", [0.0, 0.02])
@each
@asynchronous
async def test_a_client_without_valid_credentials_gets_a_401_from_the_guard(
    dialect: str, seconds: float, net: SiteNetwork, log: Log
) -> None:
    place = await guarded(net, seconds)
    for headers in ((), ((b"Authorization", b"Basic " + b64encode(b"alice:guess")),)):
        clients = Applications(Recorder)
        wire = await net.connect(place, clients, dialect=dialect, headers=headers)
        with pytest.raises(HandshakeRefused) as caught:
            await within(wire.whenOpen())
        assert caught.value.status == 401
        assert (b"www-authenticate", b'basic realm="example"') in [
            (name, value.lower()) for name, value in caught.value.headers
        ]


@asynchronous
async def test_our_client_passes_the_guard_with_a_password(net: SiteNetwork, log: Log) -> None:
    place = await guarded(net, 0.0)
    headers = ((b"Authorization", b"Basic " + b64encode(b"alice:secret")),)
    wire = await net.connect(place, Applications(Recorder), dialect="rfc6455", headers=headers)
    application: Any = await within(wire.whenOpen())
    await until(lambda: application.messages == ["hello alice"])


# Under klein.


@over_all
@each
@asynchronous
async def test_klein(dialect: str, over: str, net: SiteNetwork, log: Log) -> None:
    klein = pytest.importorskip("klein") if has("klein") else missing("klein", "PyPI: klein")
    app = klein.Klein()
    made = Applications(echo)
    resource = HixieResource(made)

    @app.route("/page")  # type: ignore[untyped-decorator]  # klein has no annotations
    def say(asked: Any) -> str:
        return "page"

    @app.route("/sockets/<name>")  # type: ignore[untyped-decorator]  # klein has no annotations
    async def sockets(asked: Any, name: str) -> Any:
        await deferLater(reactor, 0.01)
        asked.requestHeaders.setRawHeaders("X-Name", [name])
        return resource

    raw = await net.raw(await net.site(app.resource(), resource, over))
    raw.send(asked("/page"))
    await raw.reads(b"page")
    raw.data.clear()
    raw.send(whole_request(dialect, target="/sockets/blue"))
    await echoes(raw, dialect)
    assert made.asked[0].header("x-name") == "blue"
    if voice(dialect).close():
        raw.send(voice(dialect).close())
        await raw.ends()


def has(name: str) -> bool:
    """Whether a library is installed."""
    import importlib.util

    return importlib.util.find_spec(name) is not None


# The end of the request.


@over_all
@each
@asynchronous
async def test_the_request_ends_with_the_connection(
    dialect: str, over: str, net: SiteNetwork, log: Log
) -> None:
    finished: list[Any] = []

    class Finishes(Applications):
        def buildProtocol(self, asked: Any) -> Any:
            asked.request.notifyFinish().addBoth(finished.append)
            return super().buildProtocol(asked)

    place = await net.serve(Finishes(echo), over)
    wire = await net.connect(place, Applications(Recorder), dialect=dialect)
    application: Any = await within(wire.whenOpen())
    application.transport.loseConnection()
    await until(lambda: finished)
    assert finished == [None]
    (line,) = (net.directory / "access.log").read_text("utf-8").splitlines()
    assert '"GET /demo HTTP/1.1" 101 - ' in line


# HTTP/2.


@asynchronous
async def test_a_WebSocket_request_over_HTTP_2_gets_a_505(net: SiteNetwork, log: Log) -> None:
    answers = await over_http2(net, HixieResource(Applications()))
    assert answers == {
        "GET": (b"505", b"only WebSocket is served here, and only over HTTP/1.1\n"),
        "CONNECT": (b"505", b"only WebSocket is served here, and only over HTTP/1.1\n"),
    }


@asynchronous
async def test_pages_are_served_over_HTTP_2(net: SiteNetwork, log: Log) -> None:
    answers = await over_http2(net, HixieResource(Applications(), elsewhere=page("page")))
    assert answers["GET"] == (b"200", b"page /demo")
    assert answers["CONNECT"][0] == b"505"


async def over_http2(net: SiteNetwork, resource: HixieResource) -> dict[str, tuple[bytes, bytes]]:
    """
    Request /demo over HTTP/2: as a page, and by the extended CONNECT of RFC 8441.

    :return: status and body by the method.
    """
    if not (has("h2") and has("priority")):
        missing("h2", "tests/peers/install (PyPI: twisted[http2])")
    from h2 import config, events
    from h2.connection import H2Connection

    class Asks(Raw):
        """An HTTP/2 client that sends both requests and records the responses."""

        def connectionMade(self) -> None:
            self.http = H2Connection(config.H2Configuration(validate_outbound_headers=False))
            self.http.initiate_connection()
            self.answers: dict[int, list[bytes]] = {}
            self.whole: set[int] = set()
            for stream, more in ((1, []), (3, [(":protocol", "websocket")])):
                method = "CONNECT" if more else "GET"
                fields = [(":method", method), *more, (":scheme", "https")]
                fields += [(":path", "/demo"), (":authority", "localhost")]
                self.http.send_headers(stream, fields, end_stream=not more)
            self.http.end_stream(3)
            self.transport.write(self.http.data_to_send())

        def dataReceived(self, data: bytes) -> None:
            for event in self.http.receive_data(data):
                if isinstance(event, events.ResponseReceived):
                    fields: Any = event.headers
                    self.answers[event.stream_id] = [dict(fields)[b":status"], b""]
                elif isinstance(event, events.DataReceived):
                    self.answers[event.stream_id][1] += event.data
                elif isinstance(event, (events.StreamEnded, events.StreamReset)):
                    self.whole.add(event.stream_id)
            self.transport.write(self.http.data_to_send())

    place = await net.site(resource, resource, "tls")
    options = ssl.optionsForClientTLS(
        "localhost", trustRoot=certificate(), acceptableProtocols=[b"h2"]
    )
    endpoint = wrapClientTLS(options, TCP4ClientEndpoint(reactor, "127.0.0.1", place.port))
    connecting = endpoint.connect(Factory.forProtocol(Asks))
    client: Any = await within(cast("Deferred[Any]", connecting))
    net.raws.append(client)
    await until(lambda: client.whole == {1, 3})
    get, connect = client.answers[1], client.answers[3]
    return {"GET": (get[0], get[1]), "CONNECT": (connect[0], connect[1])}
