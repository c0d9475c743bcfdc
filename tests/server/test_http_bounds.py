"""Bounds of a page request: the size of its body, its time, and the data buffered behind it.

Over real sockets, in every place where pages are: ``elsewhere=`` with and without a resource at its
root, a ``HixieResource`` under a plain Site, and a ``HixieSite``. The daemon is in
``tests/daemon/services/test_static.py``.
"""

from __future__ import annotations

import io
import re
import select
import socket
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.web.server import Site
from twisted.web.static import File

from support import frame_writer
from support.applications import Applications
from support.certificates import unverified_context
from support.handshake_bytes import body_of, status_of, whole_request
from support.log_recorder import Log
from support.network import Network
from support.waiting import PATIENCE, asynchronous, until, within
from test_web import Leaf, SiteWire
from txhixie import HixieServerFactory, Limits, Refusal
from txhixie.connection.log import ConnectionLog
from txhixie.sansio.limits import MOST_SEGMENTS
from txhixie.server.http_bounds import MOST_KEPT, boundChannel
from txhixie.testing import echo
from txhixie.web import HixieResource, HixieSite

LIMITS = Limits(close_timeout=1)


class Said(Leaf):
    """A page that reports the length of a body, and the number of fields in its form."""

    def render(self, request: Any) -> bytes:
        return b"%d bytes, %d fields" % (len(request.content.read()), len(request.args))


def elsewhere(pages: Any, limits: Limits = LIMITS) -> Any:
    return HixieServerFactory(Applications(), elsewhere=Site(pages), limits=limits)


def elsewhere_upgrading(pages: Any, limits: Limits = LIMITS) -> Any:
    site = Site(HixieResource(Applications(), elsewhere=pages))
    return HixieServerFactory(Applications(), elsewhere=site, limits=limits)


def hixie_site(pages: Any, limits: Limits = LIMITS) -> Any:
    return HixieSite(pages, limits=limits)


def resource_under_a_site(pages: Any, limits: Limits = LIMITS) -> Any:
    return Site(HixieResource(Applications(), elsewhere=pages))


BOUNDED = [elsewhere, elsewhere_upgrading, hixie_site]
Make = Callable[..., Any]


async def answers(net: Network, factory: Any, data: bytes) -> list[int]:
    """The statuses of all responses until the server closes."""
    return [
        int(status)
        for status in re.findall(rb"HTTP/1\.[01] (\d{3})", await asks(net, factory, data))
    ]


async def asks(net: Network, factory: Any, data: bytes) -> bytes:
    """The responses until the server closes, which it does without a reset."""
    raw = await net.raw(await net.listen(factory))
    raw.send(data)
    await raw.ends()
    return bytes(raw.data)


def request(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([line, b"Host: a", *fields, b"", b""]) + body


def post(*fields: bytes, body: bytes = b"") -> bytes:
    return request(b"POST / HTTP/1.1", *fields, body=body)


def chunked(body: bytes, *fields: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", *fields, body=body)


CLOSE = b"Connection: close"
FORM = b"Content-Type: application/x-www-form-urlencoded"
MULTIPART = b"Content-Type: multipart/form-data"

TAKEN = [
    (post(b"Content-Length: 0", CLOSE), b"0 bytes, 0 fields"),
    (post(b"Content-Length: 65536", CLOSE, body=b"x" * 65536), b"65536 bytes, 0 fields"),
    (post(b"Content-Length: 000002", CLOSE, body=b"hi"), b"2 bytes, 0 fields"),
    (post(b"Content-Length: 7", FORM, CLOSE, body=b"a=1&b=2"), b"7 bytes, 2 fields"),
    (chunked(b"2;x=y\r\nhi\r\n0\r\nX: y\r\n\r\n", CLOSE), b"2 bytes, 0 fields"),
    (
        chunked(b"8000\r\n" + b"x" * 32768 + b"\r\n" + b"1\r\nx\r\n" * 99 + b"0\r\n\r\n", CLOSE),
        b"32867 bytes, 0 fields",
    ),
    (request(b"FROB / HTTP/1.1", b"Content-Length: 2", CLOSE, body=b"hi"), b"2 bytes, 0 fields"),
    (request(b"GET / HTTP/1.1", b"Content-Length: 2", CLOSE, body=b"hi"), b"2 bytes, 0 fields"),
]


@pytest.mark.parametrize("make", BOUNDED)
@pytest.mark.parametrize(("asked", "said"), TAKEN)
@asynchronous
async def test_a_body_within_the_limit_is_taken(
    make: Make, asked: bytes, said: bytes, net: Network, log: Log
) -> None:
    assert body_of(await asks(net, make(Said()), asked)) == said


REFUSED = [
    (413, post(b"Content-Length: 65537")),
    (413, post(b"Content-Length: 100000000", FORM, body=b"a=1&" * 10_000)),
    (413, post(b"Content-Length: 100000000", b"Expect: 100-continue")),
    (413, post(b"Content-Length: 100000000", MULTIPART + b"; boundary=x", body=b"--x\r\n" * 999)),
    (413, request(b"HEAD / HTTP/1.1", b"Content-Length: 99999999")),
    (413, request(b"OPTIONS * HTTP/1.1", b"Content-Length: 99999999")),
    (413, chunked((b"8000\r\n" + b"x" * 32768 + b"\r\n") * 9)),
    (413, chunked(b"10001\r\n" + b"x" * 65537)),
    (413, chunked(b"1\r\nx\r\n" * 65537)),
    (400, chunked(b"zz\r\nhi\r\n0\r\n\r\n")),
    (400, chunked(b"-2\r\nhi\r\n0\r\n\r\n")),
    (400, chunked(b"2;" + b"x" * 100_000)),
    (400, chunked(b"0\r\n" + b"X: y\r\n" * 30_000)),
    (400, chunked(b"2\r\nhihi\r\n")),
    (400, post(b"Content-Length: -1")),
    (400, post(b"Content-Length: +1", body=b"x")),
    (400, post(b"Content-Length: 1", b"Content-Length: 1", body=b"x")),
    (400, post(b"Content-Length: 1, 1", body=b"x")),
    (400, post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n")),
    (400, post(b"Transfer-Encoding: chunked", b"Content-Length: 5", b"X: y", b"Z: w", body=b"0")),
    (400, post(b"Content-Length: 4", MULTIPART, body=b"hihi")),
    (501, post(b"Transfer-Encoding: identity", body=b"hi")),
    (431, request(b"GET / HTTP/1.1", b"X: " + b"x" * 20_000)),
    (431, request(b"GET /" + b"x" * 20_000 + b" HTTP/1.1")),
    (414, request(b"GET " + b"/" * 16_000 + b" HTTP/1.1")),
    (414, request(b"GET " + b"/a" * (MOST_SEGMENTS + 1) + b" HTTP/1.1")),
]


@pytest.mark.parametrize("make", BOUNDED)
@pytest.mark.parametrize(("status", "asked"), REFUSED)
@asynchronous
async def test_a_refused_request_is_answered_and_the_connection_closed_without_a_reset(
    make: Make, status: int, asked: bytes, net: Network, log: Log
) -> None:
    """The client reads the response, although it is still sending: no reset discards it."""
    assert await answers(net, make(Said()), asked) == [status]


@pytest.mark.parametrize("make", BOUNDED)
@asynchronous
async def test_a_refused_HEAD_gets_no_body(make: Make, net: Network, log: Log) -> None:
    asked = request(b"HEAD / HTTP/1.1", b"Content-Length: 99999999")
    response = bytes(await asks(net, make(Said()), asked))
    assert response.startswith(b"HTTP/1.1 413 ")
    assert response.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("make", BOUNDED)
@asynchronous
async def test_the_line_of_a_refused_request_has_the_request_target(
    make: Make, net: Network, log: Log
) -> None:
    line = b"POST /a?token=s3cret HTTP/1.1"
    for status, field in ((413, b"Content-Length: 65537"), (400, b"Content-Length: -1")):
        asked = request(line, b"Origin: http://b", field)
        assert await answers(net, make(Said()), asked) == [status]
        assert log.lines()[-1].startswith("refused ")
        named = f' host=a target="/a?token=..." status={status} reason='
        assert named in log.lines()[-1]
        assert log.lines()[-1].endswith(" origin=http://b")


@pytest.mark.parametrize("make", BOUNDED)
@asynchronous
async def test_a_Content_Length_of_5000_digits_is_refused(
    make: Make, net: Network, log: Log
) -> None:
    """Python raises a ValueError for a number of 5000 digits; in twisted.web that is a
    traceback."""
    found = await answers(net, make(Said()), post(b"Content-Length: " + b"9" * 5000))
    assert found in ([413], [400])


@pytest.mark.parametrize("over", ["tcp", "tls", "unix"])
@asynchronous
async def test_a_refusal_is_read_over_every_transport(over: str, net: Network, log: Log) -> None:
    place = await net.listen(hixie_site(Said()), over)
    raw = await net.raw(place)
    raw.send(post(b"Content-Length: 100000000", body=b"x" * 100_000))
    await raw.reads(b"request body exceeds the limit of 65536 bytes\n")
    await raw.ends()


@pytest.mark.parametrize("make", BOUNDED)
@asynchronous
async def test_a_limit_that_was_set_is_used(make: Make, net: Network, log: Log) -> None:
    factory = make(Said(), Limits(body_size=1, close_timeout=1))
    assert await answers(net, factory, post(b"Content-Length: 1", CLOSE, body=b"x")) == [200]
    assert await answers(net, factory, post(b"Content-Length: 2", CLOSE)) == [413]
    factory = make(Said(), Limits(body_size=0, close_timeout=1))
    assert await answers(net, factory, post(b"Content-Length: 0", CLOSE)) == [200]
    assert await answers(net, factory, chunked(b"0\r\n\r\n")) == [413]


@pytest.mark.parametrize("make", BOUNDED)
@pytest.mark.parametrize(
    "part",
    [post(b"Content-Length: 9", body=b"hi"), chunked(b"9\r\nhi"), chunked(b"1\r\nx\r\n0\r\n")],
)
@asynchronous
async def test_a_request_that_does_not_end_is_408(
    make: Make, part: bytes, net: Network, log: Log
) -> None:
    factory = make(Said(), Limits(request_timeout=0.2, close_timeout=1))
    assert await answers(net, factory, part) == [408]


@pytest.mark.parametrize("make", [elsewhere_upgrading, hixie_site])
@asynchronous
async def test_every_request_of_a_connection_has_the_same_bounds(
    make: Make, net: Network, log: Log
) -> None:
    small = post(b"Content-Length: 2", body=b"hi")
    limits = Limits(request_timeout=0.5, close_timeout=1)
    assert await answers(net, make(Said(), limits), small * 3 + post(b"Content-Length: 70000")) == [
        200
    ] * 3 + [413]
    assert await answers(net, make(Said(), limits), small + b"GET / HTTP/1.1\r\nHost:") == [
        200,
        408,
    ]


@asynchronous
async def test_bytes_behind_the_last_request_of_a_connection_are_no_request(
    net: Network, log: Log
) -> None:
    small = post(b"Content-Length: 2", body=b"hi")
    assert await answers(net, elsewhere(Said()), small * 3) == [200]


@asynchronous
async def test_a_client_that_disconnects_during_its_response_leaves_no_timer(
    net: Network, log: Log
) -> None:
    place = await net.listen(hixie_site(Said(), Limits(close_timeout=600)))
    raw = await net.raw(place)
    raw.send(post(b"Content-Length: 70000"))
    await raw.ends()
    raw = await net.raw(place)
    raw.send(post(b"Content-Length: 70", body=b"x"))
    raw.transport.loseConnection()
    await raw.ends()


# A protocol that is not an HTTPChannel.


def test_a_body_of_unknown_length_is_refused_where_the_protocol_cannot_bound_it(log: Log) -> None:
    from server.test_protocol_site import kept

    end, protocol = kept(chunked(b"2\r\nhi\r\n0\r\n\r\n"))
    assert status_of(end.wire.written) == 411
    assert protocol.data == b""
    end.lose()


def test_only_the_announced_length_of_a_body_is_passed_on(log: Log) -> None:
    from server.test_protocol_site import kept

    end, protocol = kept(post(b"Content-Length: 4", body=b"ab"))
    end.receive(b"cdef")
    end.receive(b"more")
    assert protocol.data.endswith(b"\r\n\r\nabcd")
    end.clock.advance(100)
    assert not end.wire.endings  # the response may take its time
    end.lose()
    end, protocol = kept(post(b"Content-Length: 4", body=b"ab"))
    end.clock.advance(29)
    assert not end.wire.endings
    end.clock.advance(2)
    assert end.wire.endings  # the body may not
    end.lose()


# The data that is buffered behind a request that is being answered.

BIG = 50_000_000
JUNK = b"GET /junk HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 65_000 + b"\r\n\r\n"


def downloads_and_does_not_read(place: Any, over: str) -> int:
    """
    Request a big file, read a little of it, and then only send.

    :return: bytes that were sent until the buffers were full.
    """
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        plain.settimeout(PATIENCE)
        plain.connect(("127.0.0.1", place.port))
        peer = plain
        if over == "tls":
            context = unverified_context()
            peer = context.wrap_socket(plain, server_hostname="localhost")
        with peer:
            peer.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
            assert peer.recv(15) == b"HTTP/1.1 200 OK"
            while select.select([], [peer], [], 0)[1] == []:
                pass
            peer.settimeout(1)
            sent = 0
            with suppress(OSError):  # the server does not read any more
                while sent < 40_000_000:
                    peer.sendall(JUNK)
                    sent += len(JUNK)
            return sent


@pytest.mark.parametrize("over", ["tcp", "tls"])
@pytest.mark.parametrize("make", [*BOUNDED, resource_under_a_site])
@asynchronous
async def test_a_client_that_does_not_read_its_download_fills_no_buffer(
    make: Make, over: str, net: Network, log: Log, tmp_path: Path
) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(BIG)
    place = await net.listen(make(File(str(tmp_path))), over)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        sent = await within(deferToThread(downloads_and_does_not_read, place, over), 4 * PATIENCE)
        most = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert sent > 1_000_000  # which is more than may be kept
    assert most < 1_000_000


def channel(resource: Any) -> tuple[Any, SiteWire]:
    """An in-memory channel with bounds, and its transport."""
    site = Site(resource)
    site._logFile, site._logDateTime = io.StringIO(), "[now]"
    site.reactor = Clock()
    protocol = site.buildProtocol(None)
    wire = SiteWire()
    made = protocol._channel
    boundChannel(made, LIMITS, ConnectionLog(Logger(), False, lambda: site.reactor))
    protocol.makeConnection(wire)
    return made, wire


class Slow(Leaf):
    """A page that responds when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Any] = []

    def render(self, request: Any) -> int:
        from twisted.web.server import NOT_DONE_YET

        self.asked.append(request)
        return NOT_DONE_YET


PLAIN = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_the_transport_is_not_read_while_a_request_waits_behind_another(log: Log) -> None:
    slow = Slow()
    made, wire = channel(slow)
    made.dataReceived(PLAIN)
    assert not wire.paused  # a client that disconnects is noticed
    made.dataReceived(PLAIN[:5])
    assert wire.paused
    slow.asked[0].finish()
    assert not wire.paused
    made.dataReceived(PLAIN[5:])
    assert len(slow.asked) == 2


def test_behind_the_last_request_one_read_is_buffered_and_reading_continues(log: Log) -> None:
    slow = Slow()
    made, wire = channel(slow)
    made.dataReceived(request(b"GET / HTTP/1.1", CLOSE))
    for _ in range(9):
        made.dataReceived(b"x" * 50_000)
    assert not wire.paused
    assert sum(map(len, made._dataBuffer)) == MOST_KEPT
    slow.asked[0].finish()
    assert len(slow.asked) == 1


def test_the_next_response_waits_until_the_transport_has_room(log: Log) -> None:
    """A client that sends 2000 requests in one read, and reads no response, does not get 2000
    pages into its buffer."""
    rendered: list[bytes] = []

    class Large(Leaf):
        def render(self, request: Any) -> bytes:
            rendered.append(request.uri)
            return b"x" * 50_000

    made, wire = channel(Large())
    wire.write = lambda data: made.pauseProducing()  # type: ignore[method-assign]  # replaces a method of this one object
    made.dataReceived(PLAIN * 2000)
    assert len(rendered) == 1
    made.resumeProducing()
    assert len(rendered) == 2
    assert wire.paused
    made.site.reactor.advance(61)  # the Site's own timeout for a client that does nothing
    assert wire.endings


@asynchronous
async def test_pipelined_pages_are_all_answered_in_order(net: Network, log: Log) -> None:
    class Large(Leaf):
        def render(self, request: Any) -> bytes:
            return request.uri + b"x" * 50_000 + b"\n"  # type: ignore[no-any-return]  # request.uri has the type Any

    asked = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % each for each in range(500))
    answer = await asks(net, hixie_site(Large()), asked + request(b"GET /end HTTP/1.1", CLOSE))
    pages = re.findall(rb"(/\w+?)x{50000}\n", answer)
    assert pages == [b"/%d" % each for each in range(500)] + [b"/end"]


@asynchronous
async def test_a_conversation_follows_a_page_that_was_not_read(net: Network, log: Log) -> None:
    """The conversation begins when the page has been written; no byte is lost."""
    pages = Slow()
    resource = HixieResource(Applications(echo), elsewhere=pages)
    raw = await net.raw(await net.listen(Site(resource)))
    net.factories.append(resource.factory)
    raw.send(PLAIN)
    await until(lambda: pages.asked)
    raw.transport.pauseProducing()
    raw.send(whole_request("hixie-76"))
    pages.asked[0].write(b"p" * 20_000_000)
    pages.asked[0].finish()
    raw.transport.resumeProducing()
    await until(lambda: resource.factory.connections)
    raw.send(frame_writer.text("hello"))
    await raw.reads(frame_writer.text("hello"))


class Choosing(Site):
    """A Site with a limit for each request, of which it refuses those without a token."""

    def bodySizeOf(self, request: Any, method: bytes, target: bytes) -> int | Refusal:
        """Return 100 bytes for a request with a token."""
        return 100 if request.getHeader(b"authorization") else Refusal(401, "a token is required\n")


@pytest.mark.parametrize(
    "announced", [b"Content-Length: 100", b"Content-Length: 101", b"Transfer-Encoding: chunked"]
)
@asynchronous
async def test_a_refusal_of_the_site_comes_before_the_length_of_the_body_is_compared(
    net: Network, announced: bytes
) -> None:
    site = Choosing(Said())  # type: ignore[no-untyped-call]  # Twisted has no annotations here
    factory = HixieServerFactory(Applications(), elsewhere=site, limits=LIMITS)
    assert await answers(net, factory, post(announced)) == [401]
    if announced.endswith(b"101"):
        with_token = post(announced, b"Authorization: Bearer x")
        assert b" 413 " in (found := await asks(net, factory, with_token))
        assert body_of(found) == b"request body exceeds the limit of 100 bytes\n"
