"""The WebSocket API of pages, as the standard has it, over real sockets."""

from __future__ import annotations

import socket
from random import Random
from typing import Any

import pytest
from twisted.internet.task import Clock

from support import applications
from support.applications import Answering, Applications, Broken, Recorder, closed
from support.certificates import certificate
from support.dialect_marks import each, modern
from support.dialect_names import CLOSING, HIXIE, MODERN, code_of
from support.log_recorder import Log
from support.network import Network, Place
from support.waiting import asynchronous, turn, until
from txhixie import (
    AbruptClose,
    Accepted,
    ConnectFailed,
    HandshakeRefused,
    InvalidHandshake,
    Limits,
    NotOpen,
    Refusal,
    UnsupportedByDialect,
    broadcast,
)
from txhixie.dom.url import InvalidAccess, InvalidState, InvalidSyntax
from txhixie.dom.websocket import WebSocket


class Page:
    """
    A script with a socket, that records its events.

    :ivar events: in their order.
    :ivar states: ``readyState`` at each.
    """

    def __init__(self, place: Place, *protocols: Any, **options: Any) -> None:
        if place.over == "tls":
            options["trustRoot"] = certificate()
        options.setdefault("anyPort", True)
        self.socket = WebSocket(options.pop("url", None) or place.url(), *protocols, **options)
        self.events: list[Any] = []
        self.states: list[int] = []
        for name in ("open", "message", "error", "close"):
            self.socket.addEventListener(name, self.note)

    def note(self, event: Any) -> None:
        self.events.append(event)
        self.states.append(self.socket.readyState)

    @property
    def told(self) -> list[str]:
        return [event.type for event in self.events]

    async def hears(self, *types: str) -> None:
        await until(lambda: len(self.events) >= len(types))
        assert self.told == [*types]


def echoes() -> Applications:
    return Applications(applications.echo)


@pytest.mark.parametrize("over", ["tcp", "tls"])
@each
@asynchronous
async def test_a_script_of_the_slides_runs(dialect: str, over: str, net: Network) -> None:
    served = echoes()
    place = await net.serve(served, over, binary="send")
    page = Page(place, dialect=dialect, binary="send")
    assert page.socket.readyState == WebSocket.CONNECTING == 0
    await page.hears("open")
    page.socket.postMessage("Hello, WebSocket")
    page.socket.send(b"\x00\xff")
    await page.hears("open", "message", "message")
    assert [event.data for event in page.events[1:]] == ["Hello, WebSocket", b"\x00\xff"]
    assert page.events[1].origin == place.url("")
    if dialect in MODERN:
        page.socket.close(4000, "enough")
    else:
        page.socket.close()
    assert page.socket.readyState == WebSocket.CLOSING == 2
    await page.hears("open", "message", "message", "close")
    assert page.states == [1, 1, 1, 3]
    close = page.events[-1]
    expected = (4000, "enough") if dialect in MODERN else (1005, "")
    assert (close.wasClean, close.code, close.reason) == (True, *expected)
    assert close.target is page.socket
    assert close.timeStamp > 0
    assert page.socket.failure is None
    await until(lambda: served.made[0].lost)


@asynchronous
async def test_a_close_without_a_code_sends_none(net: Network) -> None:
    served = echoes()
    place = await net.serve(served)
    for arguments, code, reason in (((), 1005, ""), ((None, "why"), 1000, "why")):
        page = Page(place)
        await page.hears("open")
        page.socket.close(*arguments)
        page.socket.close(3000, "too late")
        await page.hears("open", "close")
        assert (page.events[-1].code, page.events[-1].reason) == (code, reason)
        await until(lambda: served.made[-1].lost)
        assert (served.made[-1].lost.code, served.made[-1].lost.reason) == (code, reason)


@asynchronous
async def test_the_peers_close_code_and_reason_are_in_the_event(net: Network) -> None:
    place = await net.serve(
        Applications(lambda: Recorder(text=lambda app: app.transport.loseConnection(1011, "why")))
    )
    page = Page(place)
    await page.hears("open")
    page.socket.send("go")
    await page.hears("open", "close")
    close = page.events[-1]
    assert (close.wasClean, close.code, close.reason) == (True, 1011, "why")


@asynchronous
async def test_a_socket_is_closing_as_soon_as_its_peer_has_closed(net: Network) -> None:
    """The socket stays in that state until the server has ended the connection."""
    place, made = await net.raw_server(words=b"\x88\x02\x03\xe8")
    page = Page(place)
    await until(lambda: made and made[0].data)  # the answer to its close
    assert page.socket.readyState == WebSocket.CLOSING
    page.socket.send("late")
    page.socket.close()
    assert page.socket.bufferedAmount == 4
    assert page.told == ["open"]
    made[0].transport.loseConnection()
    await page.hears("open", "close")
    assert page.states == [WebSocket.OPEN, WebSocket.CLOSED]
    assert page.socket.bufferedAmount == 4


# Errors that a script gets at once.


def made(url: str = "ws://example.com/", *protocols: Any, **options: Any) -> WebSocket:
    return WebSocket(url, *protocols, reactor=ManyClock(), **options)


class ManyClock(Clock):
    """A reactor that only tells the time."""

    nameResolver = None


@pytest.mark.parametrize(
    "url", ["", "example.com", "gopher://a/", "ws://", "ws://a/#b", "ws://a/#", "ws://a:b/"]
)
def test_a_bad_URL_is_a_syntax_error(url: str) -> None:
    with pytest.raises(InvalidSyntax) as caught:
        made(url)
    assert caught.value.name == "SyntaxError"


@pytest.mark.parametrize("protocols", [["a", "a"], "", [""], ["a", ""], "a b", ["a,b"], ["ä"]])
def test_a_bad_or_doubled_protocol_is_a_syntax_error(protocols: Any) -> None:
    with pytest.raises(InvalidSyntax):
        made("ws://a/", protocols)


def test_more_protocols_than_the_dialect_has_room_for_are_a_syntax_error() -> None:
    with pytest.raises(InvalidSyntax):
        made("ws://a/", ["a", "b"], dialect="hixie-76")


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("ws://Example.COM", "ws://example.com/"),
        ("http://a/b?c", "ws://a/b?c"),
        ("ws:a", "ws://a/"),
        ("ws:///a", "ws://a/"),
        ("wss:\\\\a\\b?c\\d", "wss://a/b?c\\d"),
        ("ws://a\\@b/", "ws://a/@b/"),
        ("HTTPS://a:443/", "wss://a/"),
        ("wss://user:secret@a:444/x", "wss://a:444/x"),
        ("\0 w\ns:/\t/us\ner:secret@a/x\r\n/y \x1f", "ws://a/x/y"),
        ("ws://a/\ud83d\ude00\ud800", "ws://a/%F0%9F%98%80%EF%BF%BD"),
    ],
)
def test_the_URL_is_resolved(url: str, resolved: str) -> None:
    socket = made(url)
    assert socket.url == resolved
    assert "secret" not in repr(vars(socket))


@pytest.mark.parametrize("code", [0, 999, 1001, 1005, 1006, 1011, 2999, 5000])
def test_a_script_may_not_send_other_close_codes(code: int) -> None:
    socket = made()
    with pytest.raises(InvalidAccess) as caught:
        socket.close(code)
    assert caught.value.name == "InvalidAccessError"
    assert socket.readyState == WebSocket.CONNECTING


def test_a_reason_is_bounded_in_bytes() -> None:
    socket = made()
    with pytest.raises(InvalidSyntax):
        socket.close(1000, "ä" * 62)
    socket.close(1000, "ä" * 61 + "x")
    assert socket.readyState == WebSocket.CLOSING


def test_nothing_can_be_sent_while_the_socket_connects() -> None:
    socket = made()
    with pytest.raises(InvalidState) as caught:
        socket.send("early")
    assert caught.value.name == "InvalidStateError"
    assert socket.bufferedAmount == 0


def test_only_text_and_bytes_are_sent() -> None:
    socket = made()
    socket.close()
    with pytest.raises(TypeError):
        socket.send(3)  # type: ignore[arg-type]  # the test passes a wrong type


def test_the_constants_are_on_the_class_and_on_each_socket() -> None:
    socket = made()
    for holder in (WebSocket, socket):
        assert [holder.CONNECTING, holder.OPEN, holder.CLOSING, holder.CLOSED] == [0, 1, 2, 3]
    assert (socket.protocol, socket.extensions, socket.binaryType) == ("", "", "blob")


@asynchronous
async def test_text_of_lone_surrogates_arrives_replaced(net: Network) -> None:
    page = Page(await net.serve(echoes()))
    await page.hears("open")
    page.socket.send("a\ud800b")
    await page.hears("open", "message")
    assert page.events[-1].data == "a�b"


# Binary.


@asynchronous
async def test_binary_is_delivered_as_binaryType_has_it(net: Network) -> None:
    page = Page(await net.serve(echoes()))
    await page.hears("open")
    page.socket.binaryType = "nonsense"
    assert page.socket.binaryType == "blob"
    page.socket.send(bytearray(b"one"))
    await until(lambda: len(page.events) == 2)
    page.socket.binaryType = "arraybuffer"
    page.socket.send(memoryview(b"two"))
    await until(lambda: len(page.events) == 3)
    one, two = (event.data for event in page.events[1:])
    assert (type(one), one) == (bytes, b"one")
    assert (type(two), two) == (bytearray, bytearray(b"two"))


@pytest.mark.parametrize("dialect", ["hixie-75", "hixie-76"])
@asynchronous
async def test_binary_that_would_be_lost_is_an_error(dialect: str, net: Network) -> None:
    page = Page(await net.serve(echoes()), dialect=dialect)
    await page.hears("open")
    with pytest.raises(UnsupportedByDialect):
        page.socket.send(b"x")
    assert page.socket.bufferedAmount == 0


# The agreement.


@asynchronous
async def test_the_agreement_can_be_read(net: Network) -> None:
    place = await net.serve(echoes(), subprotocols=["two"])
    page = Page(place, ["one", "two"])
    await page.hears("open")
    assert page.socket.protocol == "two"
    assert page.socket.extensions.startswith("permessage-deflate")


@modern
@asynchronous
async def test_a_connection_to_a_server_that_grants_none_of_the_protocols_fails(
    dialect: str, net: Network
) -> None:
    place = await net.serve(Answering(lambda offer: Accepted(applications.echo())))
    page = Page(place, "one", dialect=dialect)
    await page.hears("error", "close")
    assert isinstance(page.socket.failure, InvalidHandshake)
    await until(lambda: not place.factory.connections)


# Failures: a script gets a plain error event, and the program the cause.


async def fails(page: Page, kind: type[BaseException]) -> None:
    await page.hears("error", "close")
    assert page.states == [3, 3]
    close = page.events[-1]
    assert (close.wasClean, close.code, close.reason) == (False, 1006, "")
    assert isinstance(page.socket.failure, kind)


@asynchronous
async def test_a_refusal_looks_like_any_failure(net: Network, log: Log) -> None:
    await fails(Page(await net.serve(Answering(lambda offer: Refusal(403)))), HandshakeRefused)
    assert [line for line in log.lines() if "403" in line and "failed" in line]


@asynchronous
async def test_a_refused_connection_looks_like_any_failure(net: Network) -> None:
    place = await net.serve(echoes())
    url = place.url()
    await place.listening.stopListening()
    await fails(Page(place, url=url), ConnectFailed)


@asynchronous
async def test_a_port_of_another_protocol_looks_like_any_failure(net: Network) -> None:
    place = await net.serve(echoes())
    page = Page(place, url="ws://localhost:25/", anyPort=False)
    await fails(page, ConnectFailed)


@asynchronous
async def test_closing_while_the_socket_connects_fails_it(net: Network) -> None:
    """No event is fired inside ``close``."""
    from twisted.internet.defer import CancelledError, Deferred

    place = await net.serve(Answering(lambda offer: Deferred()))
    page = Page(place)
    await until(lambda: place.factory.connections)
    page.socket.close()
    assert page.events == []
    assert page.socket.readyState == WebSocket.CLOSING
    await fails(page, CancelledError)
    await until(lambda: not place.factory.connections)


@asynchronous
async def test_closing_at_once_makes_no_connection(net: Network) -> None:
    applications = echoes()
    place = await net.serve(applications)
    page = Page(place)
    page.socket.close()
    page.socket.close()
    await fails(page, NotOpen)
    await turn(0.02)
    assert not applications.asked


@pytest.mark.parametrize("dialect", CLOSING)
@asynchronous
async def test_a_peer_that_vanishes_is_an_error(dialect: str, net: Network) -> None:
    applications = Applications(lambda: Recorder(text=lambda app: app.transport.abortConnection()))
    page = Page(await net.serve(applications), dialect=dialect)
    await page.hears("open")
    page.socket.send("go")
    await page.hears("open", "error", "close")
    assert (page.events[-1].wasClean, page.events[-1].code) == (False, 1006)
    assert isinstance(page.socket.failure, AbruptClose)


@asynchronous
async def test_a_protocol_error_of_the_peer_is_shown_to_the_program_only(net: Network) -> None:
    place, _ = await net.raw_server(words=b"\xc3\x00")
    page = Page(place)
    await page.hears("open", "error", "close")
    close = page.events[-1]
    assert (close.wasClean, close.code, close.reason) == (False, 1006, "")
    assert isinstance(page.socket.failure, AbruptClose)
    assert page.socket.failure.code == 1002


@asynchronous
async def test_a_listener_that_raises_does_not_break_the_socket(net: Network, log: Log) -> None:
    def raises(event: Any) -> None:
        raise Broken

    page = Page(await net.serve(echoes()))
    page.socket.onopen = page.socket.onmessage = raises
    await page.hears("open")
    page.socket.send("x")
    await page.hears("open", "message")
    assert page.socket.readyState == WebSocket.OPEN
    assert [type(error) for error in log.tracebacks()] == [Broken, Broken]


# The buffered amount.


def squeeze(page: Page) -> None:
    """Make the kernel's buffers small for a peer that does not read."""
    transport: Any = page.socket._transport  # private: a page has no transport
    below = getattr(transport.transport, "transport", transport.transport)
    below.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)


PIECE = Random(2009).randbytes(1024 * 1024)


@pytest.mark.parametrize("over", ["tcp", "tls"])
@asynchronous
async def test_the_buffered_amount_falls_as_the_peer_reads(over: str, net: Network) -> None:
    served = Applications(lambda: Recorder(started=lambda app: app.transport.pauseProducing()))
    place = await net.serve(served, over)
    page = Page(place)
    await page.hears("open")
    squeeze(page)
    page.socket.send("abc")
    assert page.socket.bufferedAmount == 3
    await until(lambda: page.socket.bufferedAmount == 0)
    for _ in range(8):
        page.socket.send(PIECE)
    sent = 8 * len(PIECE)
    assert page.socket.bufferedAmount == sent
    await turn(0.1)
    amounts = [page.socket.bufferedAmount]
    assert 0 < amounts[0] < sent
    server: Any = served.made[0]
    server.transport.resumeProducing()
    while amounts[-1]:
        await turn()
        amounts.append(page.socket.bufferedAmount)
    assert amounts == sorted(amounts, reverse=True)
    assert len(set(amounts)) > 2
    await until(lambda: len(server.messages) == 9)
    page.socket.close()
    await page.hears("open", "close")


@pytest.mark.parametrize("dialect", HIXIE + MODERN)
@asynchronous
async def test_data_sent_after_the_close_is_counted_without_end(dialect: str, net: Network) -> None:
    page = Page(await net.serve(echoes()), dialect=dialect)
    await page.hears("open")
    page.socket.close()
    page.socket.send("äb")
    assert page.socket.bufferedAmount == 3
    await page.hears("open", "close")
    assert page.events[-1].code == code_of(dialect, 1005)
    page.socket.send(b"1234")
    await turn(0.01)
    assert page.socket.bufferedAmount == 7


@asynchronous
async def test_a_peer_that_does_not_read_at_all_costs_no_more_than_the_limit(
    net: Network,
) -> None:
    """The standard closes a socket whose buffer is full."""
    applications = Applications(
        lambda: Recorder(started=lambda app: app.transport.pauseProducing())
    )
    place = await net.serve(applications)
    page = Page(place, limits=Limits(unsent_size=4 * 1024 * 1024))
    await page.hears("open")
    for _ in range(16):
        page.socket.send(PIECE)
    await page.hears("open", "error", "close")
    assert page.events[-1].code == 1006
    assert page.socket.bufferedAmount > 8 * len(PIECE)


# Broadcasts.


@each
@asynchronous
async def test_a_broadcast_reaches_the_sockets_that_are_open(dialect: str, net: Network) -> None:
    served = Applications(Recorder)
    place = await net.serve(served)
    pages = [Page(place, dialect=dialect) for _ in range(3)]
    sockets = first, second, closing = [page.socket for page in pages]
    assert broadcast(sockets, "early").absent == 3
    for page in pages:
        await page.hears("open")
    closing.close()
    first.send("own")
    delivery = broadcast(sockets, "hello")
    assert (delivery.sent, delivery.absent) == (2, 1)
    assert [each.bufferedAmount for each in sockets] == [8, 5, 0]
    await until(lambda: sum(len(each.messages) for each in served.made) == 3)
    assert sorted(each.messages for each in served.made) == [[], ["hello"], ["own", "hello"]]
    await until(lambda: first.bufferedAmount == second.bufferedAmount == 0)
    await pages[2].hears("open", "close")
    assert broadcast([closing], "late").absent == 1


@pytest.mark.parametrize("rule", ["skip", "newest", "close"])
@asynchronous
async def test_a_broadcast_to_a_socket_with_a_slow_peer_follows_the_rule(
    rule: str, net: Network
) -> None:
    served = Applications(lambda: Recorder(started=lambda app: app.transport.pauseProducing()))
    page = Page(await net.serve(served))
    await page.hears("open")
    squeeze(page)
    for _ in range(8):
        page.socket.send(PIECE)
    buffered = page.socket.bufferedAmount
    delivery = broadcast([page.socket], "hello", slow=rule)
    outcome = {"skip": "skipped", "newest": "waiting", "close": "closed"}[rule]
    assert getattr(delivery, outcome) == 1
    assert page.socket.bufferedAmount == buffered
    assert page.socket.readyState == (WebSocket.CLOSING if rule == "close" else WebSocket.OPEN)
    server: Any = served.made[0]
    server.transport.resumeProducing()
    await until(lambda: len(server.messages) == (9 if rule == "newest" else 8))
    if rule == "close":
        await until(lambda: server.lost)
        assert closed(server).code == 1013
    else:
        page.socket.close()
        await page.hears("open", "close")
        assert "hello" in server.messages or rule == "skip"
