"""WebSocket under a Site of twisted.web: in memory to the byte, and over real sockets."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer

from support import frame_writer, handshake_bytes
from support.applications import Answering, Applications, Broken, Recorder, echo
from support.dialect_marks import each, hixie, modern
from support.dialect_names import MODERN
from support.frame_writer import FrameWriter
from support.frames import MASK
from support.handshake_bytes import KEY3, body_of, head_of, request, status_of, whole_request
from support.log_recorder import Log
from support.memory_connection import End, ServerEnd
from txhixie import Accepted, HixieServerFactory, Limits, Offer, Refusal
from txhixie.testing import Wire
from txhixie.web import ByRequest, HixieResource, HixieSite, takeOver

PAGE = b"GET /page HTTP/1.1\r\nHost: example.com\r\n\r\n"


@implementer(IPushProducer)
class SiteWire(Wire):
    """The members of a transport that a Site needs besides those of `Wire`."""

    @property
    def disconnecting(self) -> bool:
        return bool(self.endings)

    def stopProducing(self) -> None:
        self.loseConnection()


class Leaf(Resource):
    """A resource without children, with a typed ``__init__``."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no annotations here


class Page(Leaf):
    """A page that repeats the target or the body of its request."""

    def render_GET(self, request: Any) -> Any:
        return b"page " + request.uri

    def render_POST(self, request: Any) -> Any:
        return b"posted " + request.content.read()


class Later(Leaf):
    """
    A resource that lets another resource render later, as a guard does.

    :ivar asked: the requests that wait.
    """

    def __init__(self, then: Resource) -> None:
        super().__init__()
        self.then = then
        self.asked: list[Any] = []

    def render(self, request: Any) -> int:
        self.asked.append(request)
        return NOT_DONE_YET

    def go_on(self) -> None:
        request = self.asked.pop(0)
        request.render(self.then)


class SiteEnd(End):
    """
    The connection of a Site, in memory.

    :ivar logged: the lines of the Site's access log.
    """

    wire: SiteWire

    def __init__(
        self, resource: HixieResource, root: Resource | None = None, site: type[Site] = Site
    ) -> None:
        self.site = site(root or resource)
        self.logged = io.StringIO()
        self.site._logFile = self.logged
        self.site._logDateTime = "[now]"
        self.resource = resource
        self.clock = Clock()
        self.site.reactor = self.clock
        resource.factory._clock = self.clock  # private: a resource takes the reactor of its Site
        self.protocol = self.site.buildProtocol(None)
        self.wire = SiteWire()
        self.protocol.makeConnection(self.wire)

    def done(self) -> None:
        """Check that the connection has ended and that no timer and no entry of it remains."""
        if not self.wire.dead:
            self.lose()
        assert not self.clock.getDelayedCalls(), "a timer outlives its connection"
        assert not self.resource.factory.connections


def under(applications: Any, **options: Any) -> SiteEnd:
    """A connection to a Site with a WebSocket resource as its root."""
    return SiteEnd(HixieResource(applications, **options))


def voice(dialect: str) -> FrameWriter:
    """The writer of a client's frames."""
    return FrameWriter(dialect, MASK if dialect in MODERN else None)


# In memory, to the byte.


@each
@pytest.mark.parametrize("size", [None, 1, 7])
@pytest.mark.parametrize("later", [False, True])
def test_the_response_is_the_same_as_without_a_Site(
    dialect: str, size: int | None, later: bool, log: Log
) -> None:
    made = Applications(echo)
    resource = HixieResource(made)
    waiting = Later(resource)
    end = SiteEnd(resource, waiting if later else None)
    end.receive(whole_request(dialect), size)
    if later:
        assert end.wire.written == b""
        waiting.go_on()
    alone = ServerEnd(Applications(echo))
    alone.receive(whole_request(dialect))
    assert end.wire.written == alone.wire.written
    end.receive(voice(dialect).text("one", "two"), size)
    alone.receive(voice(dialect).text("one", "two"))
    assert end.wire.written == alone.wire.written
    assert made.made[0].told == ["started", "finished", "text", "text"]
    end.done()


@each
@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("split", [0, 1, 5, 8])
def test_the_eight_bytes_may_be_split_or_late(
    dialect: str, later: bool, split: int, log: Log
) -> None:
    """With the head, after the head or split; before the resource renders or after."""
    made = Applications(echo)
    resource = HixieResource(made)
    waiting = Later(resource)
    end = SiteEnd(resource, waiting if later else None)
    body = whole_request(dialect)[len(request(dialect)) :]
    end.receive(request(dialect) + body[:split])
    if later:
        waiting.go_on()
    assert status_of(end.wire.written) == 101, "the head goes out before the eight bytes come"
    if body[split:]:
        end.receive(body[split:])
    end.receive(voice(dialect).text("hello"))
    assert made.made[0].messages == ["hello"]
    end.done()


@modern
@pytest.mark.parametrize("later", [False, True])
def test_frames_that_came_with_the_head_are_delivered(dialect: str, later: bool, log: Log) -> None:
    made = Applications(Recorder)
    resource = HixieResource(made)
    waiting = Later(resource)
    end = SiteEnd(resource, waiting if later else None)
    frames = voice(dialect).text("one", "two", "three")
    end.receive(whole_request(dialect) + frames[:10])
    end.receive(frames[10:-3])
    if later:
        waiting.go_on()
    end.receive(frames[-3:])
    assert made.made[0].messages == ["one", "two", "three"]
    end.done()


@hixie
@pytest.mark.parametrize("later", [False, True])
def test_bytes_after_a_hixie_handshake_are_refused(dialect: str, later: bool, log: Log) -> None:
    resource = HixieResource(Applications())
    waiting = Later(resource)
    end = SiteEnd(resource, waiting if later else None)
    end.receive(whole_request(dialect) + b"GET /smuggled HTTP/1.1\r\n\r\n")
    if later:
        waiting.go_on()
    assert status_of(end.wire.written) == 400
    assert end.wire.written.count(b"HTTP/1.1") == 1, "what follows is nobody's request"
    end.done()


def test_a_transport_that_the_channel_paused_is_resumed(log: Log) -> None:
    made = Applications(Recorder)
    resource = HixieResource(made)
    waiting = Later(resource)
    end = SiteEnd(resource, waiting)
    end.receive(whole_request("rfc6455"))
    message = "x" * 30_000
    end.receive(FrameWriter("rfc6455", MASK).text(message))
    assert end.wire.paused
    waiting.go_on()
    assert not end.wire.paused
    assert made.made[0].messages == [message]
    end.done()


def test_the_eight_bytes_may_be_announced_as_a_body(log: Log) -> None:
    """Netty and other clients send Content-Length: 8, and Twisted reads the eight bytes as the
    body."""
    made = Applications(Recorder)
    end = under(made)
    end.receive(request("hixie-76", "Content-Length: 8") + KEY3)
    assert end.wire.written.endswith(handshake_bytes.PROOF)
    end.receive(frame_writer.text("hello"))
    assert made.made[0].messages == ["hello"]
    end.done()


@each
def test_another_body_is_refused(dialect: str, log: Log) -> None:
    end = under(Applications())
    end.receive(request(dialect, "Content-Length: 9") + b"123456789")
    assert status_of(end.wire.written) == 400
    end.done()


REFUSED = [
    (request("rfc6455").replace(b"Connection: Upgrade\r\n", b""), 400),
    (request("rfc6455").replace(b"Version: 13", b"Version: 14"), 426),
    (request("rfc6455", host=None), 400),
    (request("rfc6455", origin="http://elsewhere.example"), 403),
    (request("rfc6455", "X-Control: \x01"), 400),
    (request("hixie-76").replace(b"Key1", b"Key3"), 400),
    (request("hixie-75").replace(b"Host", b"X-First: 1\r\nHost"), 101),
    (
        request("hixie-75").replace(
            b"Upgrade: WebSocket\r\nConnection: Upgrade",
            b"Connection: Upgrade\r\nUpgrade: WebSocket",
        ),
        101,
    ),
    (request("hixie-75", host=None), 400),
]


@pytest.mark.parametrize(("asked", "status"), REFUSED)
def test_a_refusal_is_the_same_as_without_a_Site(asked: bytes, status: int, log: Log) -> None:
    end = under(Applications())
    alone = ServerEnd(Applications())
    end.receive(asked)
    alone.receive(asked)
    assert status_of(end.wire.written) == status
    assert end.wire.written == alone.wire.written
    assert end.wire.endings == alone.wire.endings
    end.done()


def test_the_order_and_the_values_of_fields_are_checked_and_the_case_of_names_is_not(
    log: Log,
) -> None:
    """The fixed lines of the first drafts: Twisted changes the case of header names."""
    end = under(Applications())
    end.receive(request("hixie-54").replace(b"Upgrade: WebSocket", b"UPGRADE: WebSocket"))
    assert status_of(end.wire.written) == 101
    end.done()
    end = under(Applications())
    end.receive(request("hixie-54").replace(b"Upgrade: WebSocket", b"Upgrade: websocket"))
    assert status_of(end.wire.written) == 400
    end.done()


# Pages.


def test_other_requests_get_a_404_and_the_connection_stays_open(log: Log) -> None:
    made = Applications()
    end = under(made)
    end.receive(PAGE)
    assert status_of(end.wire.written) == 404
    assert body_of(end.wire.taken()) == b"only WebSocket is served here\n"
    end.receive(PAGE.replace(b"GET", b"HEAD"))
    assert status_of(end.wire.written) == 404
    assert body_of(end.wire.taken()) == b""
    end.receive(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
    assert status_of(end.wire.taken()) == 404
    assert not end.wire.endings
    end.receive(whole_request("hixie-76"))
    assert end.wire.written.endswith(handshake_bytes.PROOF)
    assert len(made.made) == 1
    end.done()
    lines = end.logged.getvalue().splitlines()
    assert [line.split('" ')[2].split(" ")[0] for line in lines] == ["404", "404", "404", "101"]


@each
def test_an_upgrade_in_HTTP_1_0_gets_a_400_with_the_reason(dialect: str, log: Log) -> None:
    """nginx without proxy_http_version 1.1 sends such requests."""
    end = under(Applications())
    end.receive(request(dialect).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert status_of(end.wire.written) == 400
    assert b"WebSocket needs HTTP/1.1 (in nginx: proxy_http_version 1.1)\n" in end.wire.written
    (line,) = [line for line in log.lines() if "HTTP/1.0" in line]
    assert "sent an upgrade request in HTTP/1.0" in line
    end.done()


def pages() -> Resource:
    """A root with children."""
    root = Resource()
    root.putChild(b"page", Page())
    return root


def test_pages_are_rendered_elsewhere_with_their_children(log: Log) -> None:
    end = under(Applications(), elsewhere=pages())
    end.receive(PAGE)
    assert body_of(end.wire.taken()) == b"page /page"
    end.receive(
        PAGE.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\nhi")
    )
    assert body_of(end.wire.taken()) == b"posted hi"
    end.receive(PAGE.replace(b"GET", b"HEAD"))
    assert status_of(end.wire.written) == 200
    assert b"Content-Length: 10" in end.wire.written
    assert body_of(end.wire.taken()) == b""
    end.done()


def test_HEAD_never_becomes_a_websocket(log: Log) -> None:
    """Twisted answers HEAD by a GET of the same request, which asks for WebSocket."""
    made = Applications()
    end = under(made, elsewhere=pages())
    end.receive(request("rfc6455", target="/page").replace(b"GET", b"HEAD"))
    assert status_of(end.wire.written) == 200
    assert not made.made
    end.done()


# The request.


def test_the_application_has_the_request(log: Log) -> None:
    made = Applications(Recorder)
    end = under(made)
    end.receive(whole_request("hixie-76", "Cookie: a=b", target="/demo/x?y=z"))
    (offer,) = made.asked
    assert isinstance(offer, Offer)
    assert offer.request.args == {b"y": [b"z"]}
    assert offer.request.getCookie(b"a") == b"b"
    assert offer.path == "/demo/x"
    assert offer.header("cookie") == "a=b"
    end.done()


def test_applications_may_be_chosen_by_the_request(log: Log) -> None:
    made = Applications(Recorder)
    end = under(ByRequest(made))
    end.receive(whole_request("rfc6455", target="/demo?x=1"))
    (asked,) = made.asked
    assert asked.args == {b"x": [b"1"]}
    assert made.made[0].told == ["started", "finished"]
    end.done()


def test_an_offer_without_a_Site_has_no_request(log: Log) -> None:
    made = Applications()
    end = ServerEnd(made)
    end.receive(whole_request("rfc6455"))
    assert made.asked[0].request is None
    end.done()


@each
def test_headers_that_resources_above_have_set_are_in_the_response(dialect: str, log: Log) -> None:
    """The cookie of a session, for instance; but no header that describes a page."""

    class Session(Leaf):
        def render(self, request: Any) -> Any:
            request.addCookie(b"session", b"12")
            request.setHeader(b"X-Further", b"yes")
            request.setHeader(b"Content-Encoding", b"gzip")
            return resource.render(request)

    resource = HixieResource(Answering(lambda offer: Accepted(echo(), headers=((b"X-Own", b"1"),))))
    end = SiteEnd(resource, Session())
    end.receive(whole_request(dialect))
    lines = head_of(end.wire.written).split(b"\r\n")[:-2]
    assert lines[-3:] == [b"X-Own: 1", b"X-Further: yes", b"Set-Cookie: session=12"]
    names = {line.partition(b":")[0].lower() for line in lines}
    assert not names & {b"content-encoding", b"server", b"date", b"content-type"}
    end.done()


def test_a_refusal_has_the_cookies_too(log: Log) -> None:
    def answer(offer: Offer) -> Refusal:
        offer.request.addCookie(b"session", b"12")
        return Refusal(401, "who are you?\n", ((b"WWW-Authenticate", b'Basic realm="r"'),))

    end = under(Answering(answer))
    end.receive(whole_request("rfc6455"))
    assert status_of(end.wire.written) == 401
    assert b"\r\nSet-Cookie: session=12\r\n" in end.wire.written
    assert b'\r\nWWW-Authenticate: Basic realm="r"\r\n' in end.wire.written
    end.done()


# How the request ends.


class Finishes(Applications):
    """Applications that call ``notifyFinish`` of their requests."""

    def __init__(self, make: Callable[[], Any] = Recorder) -> None:
        super().__init__(make)
        self.finished: list[Any] = []

    def buildProtocol(self, asked: Any) -> Any:
        asked.request.notifyFinish().addBoth(self.finished.append)
        return super().buildProtocol(asked)


@each
def test_a_clean_close_finishes_the_request(dialect: str, log: Log) -> None:
    made = Finishes()
    end = under(made)
    end.receive(whole_request(dialect))
    end.receive(voice(dialect).close() or voice(dialect).text("last"))
    assert made.finished == []
    assert end.logged.getvalue() == ""
    end.lose()
    assert made.finished == [None]
    assert '"GET /demo HTTP/1.1" 101 - ' in end.logged.getvalue()
    assert len(end.logged.getvalue().splitlines()) == 1
    end.done()


@each
def test_an_abrupt_close_finishes_the_request_with_the_reason(dialect: str, log: Log) -> None:
    made = Finishes()
    end = under(made)
    end.receive(whole_request(dialect))
    end.reset()
    (reason,) = made.finished
    assert isinstance(reason, Failure)
    assert reason.check(ConnectionLost)
    assert '"GET /demo HTTP/1.1" 101 - ' in end.logged.getvalue()
    end.done()


def test_a_refusal_finishes_the_request(log: Log) -> None:
    made = Finishes(lambda: Refusal(403, "no\n"))
    end = under(made)
    end.receive(whole_request("rfc6455"))
    end.lose()
    assert made.finished == [None]
    assert '"GET /demo HTTP/1.1" 403 - ' in end.logged.getvalue()
    end.done()


def test_a_client_that_leaves_before_the_answer_is_not_logged_and_cancels_the_decision(
    log: Log,
) -> None:
    told: list[Any] = []
    decision: Deferred[Any] = Deferred(told.append)
    made = Finishes(lambda: decision)
    end = under(made)
    end.receive(whole_request("rfc6455"))
    end.lose()
    assert told == [decision]
    (reason,) = made.finished
    assert reason.check(ConnectionDone)
    assert end.logged.getvalue() == ""
    end.done()


def test_a_client_that_leaves_during_authentication_is_not_served(log: Log) -> None:
    made = Applications()
    resource = HixieResource(made)
    waiting = Later(resource)
    end = SiteEnd(resource, waiting)
    end.receive(whole_request("rfc6455"))
    end.lose()
    waiting.go_on()
    assert not made.made
    end.done()


def test_an_application_that_fails_gets_the_client_a_500_with_an_access_log_line(log: Log) -> None:
    def fail(offer: Offer) -> Any:
        raise Broken

    end = under(Answering(fail))
    end.receive(whole_request("rfc6455"))
    assert status_of(end.wire.written) == 500
    assert [type(error) for error in log.tracebacks()] == [Broken]
    end.done()
    assert '"GET /demo HTTP/1.1" 500 - ' in end.logged.getvalue()


@each
def test_the_handshake_timeout_applies_under_a_Site(dialect: str, log: Log) -> None:
    never: Deferred[Any] = Deferred()
    end = under(Applications(lambda: never), limits=Limits(decide_timeout=5, open_timeout=99))
    end.receive(whole_request(dialect))
    end.clock.advance(5)
    end.clock.advance(0)
    assert status_of(end.wire.written) == 503
    end.done()


def test_the_idle_timeout_of_the_Site_does_not_apply(log: Log) -> None:
    end = SiteEnd(HixieResource(Applications(Recorder), limits=Limits(ping_interval=None)))
    end.receive(PAGE)
    end.receive(whole_request("rfc6455"))
    end.clock.advance(100_000)
    assert not end.wire.endings
    end.done()


# Internals of Twisted's channel that takeOver() relies on, and that Twisted does not document.


class Told(Protocol):
    """A protocol that takes over a connection."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.append(reason)


class Pinned(Leaf):
    """A resource that takes over the connection of its request."""

    taken: bytes | None = None

    def __init__(self, later: bool) -> None:
        super().__init__()
        self.later = later
        self.told = Told()

    def render(self, request: Any) -> int:
        self.channel = request.channel
        if not self.later:
            self.take()
        return NOT_DONE_YET

    def take(self) -> None:
        self.taken = takeOver(self.channel, self.told)


CHANGED = (
    "this Twisted has changed its HTTPChannel: takeOver() in txhixie/web.py has to learn {}, or "
    "WebSocket under a Site does not work with it"
)


@pytest.mark.parametrize("later", [False, True])
def test_the_channel_has_the_internals_that_takeOver_needs(later: bool, log: Log) -> None:
    resource = Pinned(later)
    site = Site(resource)
    clock = site.reactor = Clock()
    protocol = site.buildProtocol(None)
    wire = SiteWire()
    protocol.makeConnection(wire)
    assert wire.producer is not None, CHANGED.format("who is the producer of the transport")
    protocol.dataReceived(PAGE + b"one")
    protocol.dataReceived(b"two")
    channel: Any = resource.channel
    assert isinstance(channel, HTTPChannel), CHANGED.format("which class a request's channel has")
    if later:
        assert channel._dataBuffer == [b"one", b"two"], CHANGED.format("where early bytes wait")
        assert channel._networkProducer is wire, CHANGED.format("how the transport is stopped")
        assert wire.producer is channel, CHANGED.format("who is the producer of the transport")
        protocol.dataReceived(b"x" * 20_000)
        assert wire.paused, CHANGED.format("when the transport is stopped")
        resource.take()
        assert resource.taken == b"onetwo" + b"x" * 20_000
    else:
        assert resource.taken == b"one", CHANGED.format("where the bytes after the head wait")
        assert resource.told.received == b"two", CHANGED.format("how to be told of bytes")
        resource.told.received = b""
    assert not wire.paused, CHANGED.format("how the transport is made to go on")
    assert wire.producer is None, CHANGED.format("how to be the transport's only producer")
    assert not clock.getDelayedCalls(), CHANGED.format("how to stop the timeout")
    protocol.dataReceived(b"three")
    assert resource.told.received == b"three", CHANGED.format("how to be told of bytes")
    reason = Failure(ConnectionDone())
    protocol.connectionLost(reason)
    assert resource.told.lost == [reason], CHANGED.format("how to be told of the end")
    assert wire.written == b"", CHANGED.format("how to keep it from writing")


# Options.


def test_the_options_are_those_of_the_factory() -> None:
    """The options are written twice, so that the signature shows the defaults."""
    import inspect

    from txhixie.server.factory import ServerOptions

    named = set(inspect.signature(HixieServerFactory).parameters)
    assert set(ServerOptions.__annotations__) == named - {
        "applications",
        "elsewhere",
        "flashPolicy",
    }


def test_a_resource_can_share_the_factory_of_a_port(log: Log) -> None:
    factory = HixieServerFactory(Applications(Recorder), dialects=["hixie-76"], clock=Clock())
    resource = HixieResource.sharing(factory)
    end = SiteEnd(resource)
    end.receive(whole_request("hixie-76"))
    assert len(factory.connections) == 1
    done: list[Any] = []
    factory.closeAll().addCallback(done.append)
    end.receive(frame_writer.CLOSE)
    end.lose()
    assert done == [None]
    end = SiteEnd(resource)
    end.receive(whole_request("rfc6455"))
    assert status_of(end.wire.written) == 426
    end.done()


# The access log.


def test_the_access_log_of_a_HixieSite_has_no_token(log: Log) -> None:
    """Neither the line of a WebSocket request nor that of a page, whose URL the browser sends as
    the Referer."""
    fields = ("Referer: http://me:s3cret@a/?id=s3cret", "User-Agent: x?key=s3cret")
    conversation = whole_request("rfc6455", *fields, target="/a?token=s3cret")
    page = "\r\n".join(("GET /a?token=s3cret HTTP/1.1", "Host: a", *fields, "", "")).encode()
    for data, status in ((conversation, 101), (page, 404)):
        end = SiteEnd(HixieResource(Applications()), site=HixieSite)
        end.receive(data)
        end.done()
        line = end.logged.getvalue()
        assert f'"GET /a?token=... HTTP/1.1" {status} ' in line
        assert line.endswith(' "http://***@a/?id=..." "x?key=..."\n')


def test_a_HixieSite_has_the_access_log_that_it_is_given() -> None:
    def formatter(timestamp: str, request: Any) -> str:
        return "a line"

    for site in (
        HixieSite(Resource(), logFormatter=formatter),
        HixieSite(Resource(), None, None, 60, formatter),
    ):
        assert site._logFormatter is formatter
