"""A site on the same port: ordinary HTTP requests beside WebSocket ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from support import applications
from support.applications import Applications, Source
from support.dialect_marks import each
from support.dialect_names import MODERN
from support.frame_writer import FrameWriter, text
from support.frames import MASK
from support.handshake_bytes import body_of, head_of, request, status_of, whole_request
from support.log_recorder import Log
from support.memory_connection import ServerEnd
from support.network import Network
from support.raw_peer import Raw
from support.waiting import asynchronous, turn, until, within
from txhixie import HixieServerFactory, Limits
from txhixie.web import HixieResource

PLAIN = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"


class Page(Resource):
    """A page that reports its request."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self.left: list[Failure] = []
        self.unfinished: list[Any] = []

    def render(self, request: Any) -> Any:
        if request.path == b"/slow":
            self.unfinished.append(request)
            request.notifyFinish().addErrback(self.left.append)
            request.write(b"wait")
            return NOT_DONE_YET
        secure = b" secure" if request.isSecure() else b""
        body = request.content.read()
        said: bytes = request.method + b" " + request.uri + secure + b" [" + body + b"]"
        return said


class Counting(Site):
    """
    A site that counts its starts, stops and lost connections.

    :ivar told: ``start`` and ``stop``.
    :ivar lost: how many of its connections have ended.
    """

    def __init__(self) -> None:
        self.page = Page()
        super().__init__(self.page)  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self.told: list[str] = []
        self.lost = 0

    def startFactory(self) -> None:
        super().startFactory()
        self.told.append("start")

    def stopFactory(self) -> None:
        super().stopFactory()
        self.told.append("stop")

    def log(self, request: Any) -> None:
        """Write no access log."""

    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        lose: Callable[[Failure], None] = protocol.connectionLost

        def connectionLost(reason: Failure) -> None:
            self.lost += 1
            lose(reason)

        protocol.connectionLost = connectionLost
        return protocol


class Kept(Protocol):
    """A protocol behind ``elsewhere=`` that keeps the bytes it gets."""

    def __init__(self) -> None:
        self.data = b""
        self.lost = 0

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost += 1


def kept(data: bytes, size: int | None = None) -> tuple[ServerEnd, Kept]:
    """The bytes that an ordinary request hands to the other protocol, in memory."""
    protocol = Kept()
    made = Factory.forProtocol(lambda: protocol)
    end = ServerEnd(Applications(), elsewhere=made)
    end.receive(data, size)
    return end, protocol


# In memory, to the byte.


@pytest.mark.parametrize("size", [None, 1, 3])
def test_every_byte_is_replayed_and_the_connection_marked_to_close(size: int | None) -> None:
    asked = b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\n"
    end, protocol = kept(asked + b"body", size)
    assert protocol.data == (
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"
    )
    assert end.wire.written == b""
    transport: object = protocol.transport
    assert transport is end.wire
    end.lose()
    assert protocol.lost == 1
    end.done()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n",
        b"POST / HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_an_HTTP_request_reaches_the_site(data: bytes) -> None:
    end, protocol = kept(data)
    assert protocol.data.startswith(data.partition(b"\r\n")[0])
    assert protocol.data.endswith(b"\r\nConnection: close\r\n\r\n")
    end.done()


@each
def test_a_WebSocket_request_does_not_reach_the_site(dialect: str) -> None:
    end, protocol = kept(whole_request(dialect))
    assert status_of(end.wire.written) == 101
    assert protocol.data == b""
    end.done()
    assert protocol.lost == 0


def test_a_malformed_request_does_not_reach_the_site() -> None:
    end, protocol = kept(request("hixie-75", "A : b"))
    assert status_of(end.wire.written) == 400
    assert protocol.data == b""
    end.done()


def test_the_other_protocol_owns_the_transport() -> None:
    end, protocol = kept(PLAIN)
    end.wire.registerProducer(
        Source(), True
    )  # raises if the WebSocket protocol were still the producer
    end.clock.advance(11)
    assert (end.wire.written, end.wire.endings) == (b"", [])
    end.receive(b"more")  # behind the connection's last request: it is dropped
    assert protocol.data.endswith(b"\r\n\r\n")
    end.done()


def test_closing_the_factory_takes_the_connection_from_the_other_protocol() -> None:
    end, protocol = kept(PLAIN)
    before = protocol.data
    end.factory.closeAll()
    end.receive(b"more")
    assert protocol.data == before
    assert end.wire.endings == ["lose write"]
    end.lose()
    assert protocol.lost == 1
    end.done()


def test_a_site_factory_that_builds_no_protocol_leaves_a_404() -> None:
    class Nobody(Factory):
        def buildProtocol(self, addr: Any) -> None:
            return None

    end = ServerEnd(Applications(), elsewhere=Nobody())
    end.receive(PLAIN)
    assert status_of(end.wire.written) == 404
    end.done()


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("method", [b"GET", b"POST", b"HEAD"])
def test_without_an_elsewhere_an_HTTP_request_is_404(
    method: bytes, version: bytes, log: Log
) -> None:
    end = ServerEnd(Applications())
    end.receive(method + b" / HTTP/" + version + b"\r\nHost: a\r\n\r\n")
    assert status_of(end.wire.written) == 404
    assert b"\r\nConnection: close\r\n" in end.wire.written
    assert bool(body_of(end.wire.written)) == (method != b"HEAD")
    assert end.wire.endings == ["lose write"]
    assert len(log.lines()) == 1
    end.done()


def test_a_connection_of_the_site_is_removed_even_if_its_end_raises(log: Log) -> None:
    """The factory does not count the connection any longer."""
    end, protocol = kept(PLAIN)

    def raises(reason: Failure) -> None:
        raise applications.Broken

    protocol.connectionLost = raises  # type: ignore[assignment,method-assign]  # replaces a method of this one object
    with pytest.raises(applications.Broken):
        end.lose()
    assert not end.factory.connections


# Sites that upgrade requests themselves.


def upgrading(**options: Any) -> tuple[HixieServerFactory, HixieResource]:
    """A factory whose site has pages, and a resource with WebSockets of the same factory."""
    factory = HixieServerFactory(Applications(), **options)
    resource = HixieResource.sharing(factory, elsewhere=Page())
    factory.elsewhere = Site(resource)
    return factory, resource


def test_a_connection_is_not_marked_to_close_where_the_site_upgrades(log: Log) -> None:
    protocol = Kept()
    site: Any = Site(HixieResource(Applications()))
    site.buildProtocol = lambda addr: protocol
    end = ServerEnd(Applications(), elsewhere=site)
    end.receive(PLAIN)
    assert protocol.data == PLAIN
    end.done()


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
@each
@asynchronous
async def test_a_socket_follows_pages_on_one_connection_where_the_site_upgrades(
    dialect: str, over: str, net: Network, log: Log
) -> None:
    factory, _ = upgrading()
    raw = await net.raw(await net.listen(factory, over))
    for path in (b"/1", b"/2"):
        raw.send(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        await raw.reads(b"GET " + path)
        raw.data.clear()
    await raw.opens(dialect)
    client = FrameWriter(dialect, MASK if dialect in MODERN else None)
    raw.send(client.text("hello"))
    await raw.reads(FrameWriter(dialect).text("hello"))
    assert len(factory.connections) == 1
    # The connection is closed once, in its dialect's way.
    done = factory.closeAll()
    if dialect in MODERN or dialect == "hixie-76":
        await raw.reads(FrameWriter(dialect).close(1001))
        raw.send(client.close(1001))
    await raw.ends()
    await within(done)


# A real site over real sockets.


async def site(net: Network, over: str = "tcp", **options: Any) -> tuple[Any, Counting]:
    """One port with a site and WebSocket."""
    counting = Counting()
    place = await net.serve(Applications(), over, elsewhere=counting, **options)
    return place, counting


async def asks(net: Network, place: Any, data: bytes) -> bytes:
    """The responses until the server closes."""
    raw: Raw = await net.raw(place)
    raw.send(data)
    await raw.ends()
    return bytes(raw.data)


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
@asynchronous
async def test_pages_and_sockets_share_a_port(over: str, net: Network, log: Log) -> None:
    place, counting = await site(net, over)
    answer = await asks(net, place, b"GET /page?a HTTP/1.1\r\nHost: a\r\n\r\n")
    assert status_of(answer) == 200
    assert body_of(answer) == b"GET /page?a" + (b" secure" if over == "tls" else b"") + b" []"
    raw = await net.raw(place)
    await raw.opens("hixie-76")
    raw.send(text("hello"))
    await raw.reads(text("hello"))
    await until(lambda: counting.lost == 1)
    assert len(place.factory.connections) == 1


@asynchronous
async def test_a_POST_has_its_body_in_the_same_read(net: Network) -> None:
    place, _ = await site(net)
    asked = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    assert body_of(await asks(net, place, asked)) == b"POST / [hello]"


@asynchronous
async def test_a_POST_may_come_byte_by_byte(net: Network) -> None:
    place, _ = await site(net)
    raw = await net.raw(place)
    for (
        byte
    ) in b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n":
        raw.send(bytes([byte]))
        await turn()
    await raw.ends()
    assert body_of(bytes(raw.data)) == b"POST / [hi]"


@asynchronous
async def test_a_large_POST_is_not_buffered_by_the_factory(net: Network) -> None:
    place, _ = await site(net, limits=Limits(body_size=3_000_000))
    body = b"x" * 3_000_000
    asked = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + body
    assert body_of(await asks(net, place, asked)) == b"POST / [" + body + b"]"


@asynchronous
async def test_HEAD_is_answered_by_the_site(net: Network) -> None:
    place, _ = await site(net)
    answer = await asks(net, place, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert status_of(answer) == 200
    assert body_of(answer) == b""


@asynchronous
async def test_HTTP_1_0_is_answered_by_the_site(net: Network) -> None:
    place, _ = await site(net)
    answer = await asks(net, place, b"GET / HTTP/1.0\r\n\r\n")
    assert status_of(answer) == 200
    assert body_of(answer) == b"GET / []"


@pytest.mark.parametrize("second", [PLAIN, whole_request("hixie-76")])
@asynchronous
async def test_after_a_page_the_connection_is_closed(second: bytes, net: Network, log: Log) -> None:
    """Keep-alive would pass the next request to the site, even a WebSocket handshake."""
    place, counting = await site(net)
    asked = b"GET /first HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
    answer = await asks(net, place, asked + second)
    assert b"connection: close" in head_of(answer).lower()
    assert answer.count(b"HTTP/1.1 200") == 1
    assert body_of(answer) == b"GET /first []"
    await until(lambda: counting.lost == 1)


@asynchronous
async def test_the_site_notices_that_its_client_has_disconnected(net: Network, log: Log) -> None:
    place, counting = await site(net)
    raw = await net.raw(place)
    raw.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    await raw.reads(b"wait")
    raw.transport.loseConnection()
    await until(lambda: counting.page.left)
    assert counting.lost == 1
    assert not place.factory.connections


@pytest.mark.parametrize("over", ["tcp", "tls"])
@asynchronous
async def test_closeAll_ends_the_sites_connections_too(over: str, net: Network, log: Log) -> None:
    """The response that has begun is completed first."""
    place, counting = await site(net, over)
    raw = await net.raw(place)
    raw.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    await raw.reads(b"wait")
    done = place.factory.closeAll()
    (slow,) = counting.page.unfinished
    slow.finish()
    await raw.ends()
    await within(done)
    assert counting.lost == 1


@asynchronous
async def test_the_site_may_send_more_than_its_client_takes_at_once(net: Network) -> None:
    """The site's channel is the transport's producer then."""
    place, counting = await site(net)
    raw = await net.raw(place)
    raw.send(b"GET /slow HTTP/1.0\r\n\r\n")
    await raw.reads(b"wait")
    raw.transport.pauseProducing()
    (slow,) = counting.page.unfinished
    for _ in range(100):
        slow.write(b"x" * 100_000)
    await turn(0.05)
    slow.finish()
    raw.transport.resumeProducing()
    await raw.ends()
    assert body_of(bytes(raw.data)).count(b"x") == 100 * 100_000


@asynchronous
async def test_the_site_starts_and_stops_with_the_factory(net: Network) -> None:
    place, counting = await site(net)
    assert counting.told == ["start"]
    await within(place.listening.stopListening())
    assert counting.told == ["start", "stop"]
    net.places.remove(place)


@asynchronous
async def test_on_two_ports_the_site_starts_once(net: Network) -> None:
    counting = Counting()
    factory = HixieServerFactory(Applications(), elsewhere=counting)
    places = [await net.listen(factory), await net.listen(factory, "unix")]
    assert counting.told == ["start"]
    await within(places[0].listening.stopListening())
    assert counting.told == ["start"]
    await within(places[1].listening.stopListening())
    assert counting.told == ["start", "stop"]
    net.places.clear()


@asynchronous
async def test_while_connections_are_closed_the_next_page_is_the_last_one(
    net: Network, log: Log
) -> None:
    """A connection that a Site keeps waits for its turn, as a conversation does."""
    resource = HixieResource(Applications(), elsewhere=Page())
    place = await net.listen(HixieServerFactory(Applications(), elsewhere=Site(resource)))
    talking, kept = await net.raw(place), await net.raw(place)
    await talking.opens("rfc6455")
    kept.send(PLAIN)
    await kept.reads(b"GET / []")
    assert b"connection: close" not in head_of(bytes(kept.data)).lower()
    kept.data.clear()
    done = place.factory.closeAll(timeout=1000.0, spread=1000.0)
    await talking.reads(b"\x88\x02\x03\xe9")
    kept.send(PLAIN)
    await kept.ends()
    assert b"connection: close" in head_of(bytes(kept.data)).lower()
    assert body_of(bytes(kept.data)) == b"GET / []"
    talking.transport.loseConnection()
    await within(done)
