"""The gateway between dialects: messages, handshakes, refusals, closes and pings that it relays."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.logger import formatEvent

from support.applications import Answering, Applications, Recorder, echo
from support.certificates import certificate
from support.dialect_names import HIXIE, MODERN, NAMES, code_of
from support.frame_writer import FrameWriter
from support.gateway_setup import gateway, hears, met
from support.handshake_bytes import PROOF, body_of, request, status_of, whole_request
from support.log_recorder import Log
from support.network import Network, Place
from support.private_state import conversation_of, is_paused
from support.raw_peer import Raw
from support.waiting import asynchronous, reactor, until, within
from txhixie import Accepted, CleanClose, HandshakeRefused, Limits, Offer, Refusal
from txhixie.extensions import CLIENT_EXTENSIONS
from txhixie.gateway import GatewayService
from txhixie.sansio.dialects import named

BIG = "x" * (1 << 16)
TEXT_ONLY = ("hixie-75", "hixie-76")


# Messages.


@pytest.mark.parametrize("back", NAMES)
@pytest.mark.parametrize("front", NAMES)
@asynchronous
async def test_messages_are_relayed_between_all_pairs_of_dialects(
    net: Network, front: str, back: str
) -> None:
    """Text stays text; binary stays binary if the receiving dialect has it, and is base64
    otherwise."""
    place, _ = await gateway(net, Applications(echo), back, binary="base64")
    application = await met(net, place, front)
    said = ["hello", "", "gr\u00fc\u00dfe, \U0001f600", BIG, "a\0b"]
    for message in said:
        application.transport.sendTextMessage(message)
    assert await hears(application, 5) == said
    application.transport.sendBytesMessage(b"\0\xff")
    binary = named(back).has_binary
    assert (await hears(application, 6))[5] == (b"\0\xff" if binary else "AP8=")
    application.transport.loseConnection()
    await until(lambda: application.lost)


@pytest.mark.parametrize("over", ["tcp", "tls"])
@asynchronous
async def test_many_messages_keep_their_order_over_slow_sides(net: Network, over: str) -> None:
    """16 MiB in each direction, with pauses on both sides."""
    trust: dict[str, Any] = {"trustRoot": certificate()} if over == "tls" else {}
    place, _ = await gateway(net, Applications(echo), over=over, **trust)
    application = await met(net, place, limits=Limits(unsent_size=1 << 25))
    application.transport.pauseProducing()
    for number in range(256):
        application.transport.sendTextMessage(f"{number} {BIG}")
    (front,) = place.factory.connections
    await until(lambda: front.full or is_paused(front))
    application.transport.resumeProducing()
    assert await hears(application, 256) == [f"{number} {BIG}" for number in range(256)]


@pytest.mark.parametrize("back", TEXT_ONLY)
@asynchronous
async def test_a_binary_message_for_a_backend_without_binary_closes_both_sides(
    net: Network, log: Log, back: str
) -> None:
    """This is the default rule."""
    applications = Applications(echo)
    place, _ = await gateway(net, applications, back)
    application = await met(net, place)
    application.transport.sendTextMessage("before")
    application.transport.sendBytesMessage(b"\1")
    await until(lambda: application.lost and applications.made[0].lost)
    assert application.lost.code == 1003  # type: ignore[union-attr]  # the connection was closed, so lost is not None
    assert applications.made[0].messages == ["before"]
    (line,) = [line for line in log.lines() if line.startswith("gateway ")]
    assert line.startswith("gateway connection=1 peer=127.0.0.1:")
    assert line.endswith(
        f' code=1003 reason="binary message for a side with {back}, which has no binary messages"'
    )


@pytest.mark.parametrize("front", TEXT_ONLY)
@asynchronous
async def test_a_binary_message_for_a_client_without_binary_closes_both_sides(
    net: Network, front: str
) -> None:
    """The backend gets close code 1003."""
    applications = Applications(
        lambda: Recorder(finished=lambda app: app.transport.sendBytesMessage(b"\1"))
    )
    place, _ = await gateway(net, applications)
    application = await met(net, place, front)
    await until(lambda: application.lost and applications.made[0].lost)
    assert applications.made[0].lost.code == 1003
    assert application.messages == []


@pytest.mark.parametrize("front", TEXT_ONLY)
@asynchronous
async def test_a_binary_message_for_a_client_without_binary_may_be_sent_as_base64(
    net: Network, front: str
) -> None:
    """The operator sets ``binary=base64``; text messages stay as they are."""
    applications = Applications(echo)
    place, _ = await gateway(net, applications, binary="base64")
    application = await met(net, place, front)
    await until(lambda: applications.made)
    applications.made[0].transport.sendBytesMessage(b"\0\xff")
    applications.made[0].transport.sendTextMessage("AP8=")
    assert await hears(application, 2) == ["AP8=", "AP8="]
    application.transport.sendTextMessage("AP8=")
    assert await hears(applications.made[0], 1) == ["AP8="]


@pytest.mark.parametrize("front", HIXIE)
@asynchronous
async def test_a_client_that_sent_binary_is_sent_binary(net: Network, front: str) -> None:
    """This holds without any option, also in dialects whose browsers drop binary messages."""
    place, _ = await gateway(net, Applications(echo))
    raw = await net.raw(place)
    await raw.opens(front)
    binary = FrameWriter(front).binary(b"\0\xff")
    raw.send(binary)
    await raw.reads(binary)


# The handshake.


@pytest.mark.parametrize("back", NAMES)
@pytest.mark.parametrize("front", NAMES)
@asynchronous
async def test_the_subprotocol_is_the_backend_s_choice(net: Network, front: str, back: str) -> None:
    """The backend need not choose the client's first offer. The Hixie drafts offer one
    subprotocol."""
    offered = ["one", "two"] if front in MODERN else ["two"]
    chosen = "two" if back in MODERN or front in HIXIE else "one"
    place, _ = await gateway(net, Applications(echo), back, subprotocols=["two", "one"])
    application = await met(net, place, front, subprotocols=offered)
    agreement = application.transport.agreement
    assert agreement is not None
    assert agreement.subprotocol == chosen


@pytest.mark.parametrize("back", NAMES)
@asynchronous
async def test_the_backend_gets_a_client_s_cookies_origin_and_address(
    net: Network, back: str
) -> None:
    """The backend also gets the fields of ``passHeaders``. The client's own X-Forwarded-For and
    Forwarded are dropped."""
    applications = Applications(echo)
    place, behind = await gateway(net, applications, back, passHeaders=["X-Mine"])
    headers = (
        (b"Cookie", b"a=1"),
        (b"Cookie", b"b=2"),
        (b"X-Mine", b"yes"),
        (b"X-Other", b"no"),
        (b"User-Agent", b"no"),
        (b"X-Forwarded-For", b"203.0.113.7"),
        (b"Forwarded", b"for=203.0.113.7"),
    )
    await met(net, place, "hixie-76", origin="http://page.example", headers=headers)
    offer: Offer = applications.asked[0]
    assert offer.origin == "http://page.example"
    assert offer.header("cookie") == "a=1, b=2"
    assert offer.header("x-mine") == "yes"
    assert offer.header("x-other") is offer.header("user-agent") is None
    assert offer.header("x-forwarded-for") == "127.0.0.1"
    assert offer.header("x-forwarded-proto") == "http"
    assert offer.header("x-forwarded-host") == f"localhost:{place.port}"
    assert offer.header("forwarded") == (f'for=127.0.0.1;host="localhost:{place.port}";proto=http')
    assert offer.host == f"localhost:{behind.port}"


@asynchronous
async def test_the_default_fields_of_the_client_reach_the_backend(net: Network) -> None:
    """Authorization and User-Agent are passed on; a password in the backend's URL replaces
    Authorization."""
    headers = ((b"Authorization", b"Basic eDp5"), (b"User-Agent", b"old"), (b"Accept", b"no"))
    for user, authorization in (("", "Basic eDp5"), ("us:secret@", "Basic dXM6c2VjcmV0")):
        applications = Applications(echo)
        back = await net.serve(applications)
        service = GatewayService(reactor, f"ws://{user}localhost:{back.port}")
        await met(net, await net.serve(service), headers=headers)
        offer: Offer = applications.asked[0]
        assert offer.header("authorization") == authorization
        assert offer.header("user-agent") == "old"
        assert offer.header("accept") is None


@pytest.mark.parametrize(
    ("path", "asked", "reached"),
    [
        ("", "/a/b?c=1", "/a/b?c=1"),
        ("/", "/a/b?c=1", "/?c=1"),
        ("/x", "/a", "/x"),
        ("/x", "/a?", "/x?"),
        ("/x?own=1", "/a?c=1", "/x?own=1"),
        ("?own=1", "/a?c=1", "/?own=1"),
        ("", "//elsewhere.example/", "//elsewhere.example/"),
    ],
)
@asynchronous
async def test_the_backend_s_url_decides_the_target_of_the_request(
    net: Network, path: str, asked: str, reached: str
) -> None:
    """The path of the backend's URL replaces the client's; the client's query is kept unless that
    URL has a query."""
    applications = Applications(echo)
    place, _ = await gateway(net, applications, path=path)
    await met(net, place, path=asked)
    assert applications.asked[0].target == reached


@asynchronous
async def test_the_backend_s_cookies_reach_the_client(net: Network) -> None:
    """No other field of the backend's answer reaches the client."""
    headers = ((b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2"), (b"X-Secret", b"x"))
    answering = Answering(lambda offer: Accepted(echo(), None, headers))
    place, _ = await gateway(net, answering)
    application = await met(net, place, "hixie-76")
    agreement = application.transport.agreement
    assert agreement is not None
    names = [(name, value) for name, value in agreement.headers if b"ocket" not in name]
    assert (b"set-cookie", b"a=1") in names
    assert (b"set-cookie", b"b=2") in names
    assert b"x-secret" not in dict(names)


@pytest.mark.parametrize("front", NAMES)
@asynchronous
async def test_a_client_is_answered_when_the_backend_has_agreed(net: Network, front: str) -> None:
    """The client gets no byte before that."""
    decision: Deferred[Any] = Deferred()
    place, _ = await gateway(net, Answering(lambda offer: decision))
    raw = await net.raw(place)
    raw.send(whole_request(front))
    (connection,) = await connections(place)
    await until(lambda: hasattr(connection, "offer"))
    for _ in range(20):
        await within(moment())
    assert raw.data == b""
    decision.callback(echo())
    await raw.reads(b"\r\n\r\n")
    assert status_of(bytes(raw.data)) == 101


@pytest.mark.parametrize("front", MODERN)
@asynchronous
async def test_a_client_s_early_messages_are_held_until_its_backend_has_agreed(
    net: Network, front: str
) -> None:
    """These dialects let a client send messages before it has the server's answer."""
    decision: Deferred[Any] = Deferred()
    place, back = await gateway(net, Answering(lambda offer: decision))
    raw = await net.raw(place)
    voice = FrameWriter(front, b"mask")
    raw.send(whole_request(front) + voice.text("early") + voice.binary(b"words"))
    await connections(back)
    application = Recorder()
    decision.callback(application)
    assert await hears(application, 2) == ["early", b"words"]


@asynchronous
async def test_the_backend_is_closed_when_the_client_s_key_3_does_not_come(net: Network) -> None:
    """The backend has agreed; the client's handshake runs into the open timeout."""
    applications = Applications(Recorder)
    back = await net.serve(applications, origins=["*"])
    service = GatewayService(reactor, back.url(""))
    place = await net.serve(service, limits=Limits(open_timeout=0.3))
    raw = await net.raw(place)
    raw.send(request("hixie-76"))
    await raw.reads(b"\r\n\r\n")
    await until(lambda: applications.made and applications.made[0].lost)
    assert applications.made[0].lost.code == 1001
    await until(lambda: raw.reason is not None)


@pytest.mark.parametrize("compresses", [True, False])
@asynchronous
async def test_the_extensions_option_decides_about_compression_to_the_backend(
    net: Network, compresses: bool
) -> None:
    """The extensions that client and gateway agree on do not matter."""
    applications = Applications(echo)
    place, _ = await gateway(net, applications, extensions=CLIENT_EXTENSIONS if compresses else ())
    application = await met(net, place)
    application.transport.sendTextMessage(BIG)
    assert await hears(application, 1) == [BIG]
    assert applications.asked[0].extensions == () or compresses
    agreed = [app.transport.agreement for app in (application, applications.made[0])]
    assert [bool(each and each.extensions) for each in agreed] == [True, compresses]


def moment() -> Deferred[None]:
    done: Deferred[None] = Deferred()
    reactor.callLater(0.005, done.callback, None)
    return done


async def connections(place: Place) -> list[Any]:
    """Wait until the server has connections and return them."""
    await until(lambda: place.factory.connections)
    return list(place.factory.connections)


@pytest.mark.parametrize("over", ["tcp", "tls"])
@asynchronous
async def test_a_client_that_connects_and_disconnects_writes_no_line_to_the_log(
    net: Network, log: Log, over: str
) -> None:
    """Twisted's own line about each factory that starts is switched off too."""
    trust: dict[str, Any] = {"trustRoot": certificate()} if over == "tls" else {}
    place, _ = await gateway(net, Applications(echo), over=over, **trust)
    log.events.clear()  # ports are listened on
    application = await met(net, place)
    application.transport.sendTextMessage("hello")
    assert await hears(application, 1) == ["hello"]
    application.transport.loseConnection()
    await until(lambda: application.lost)
    assert [formatEvent(event) for event in log.events] == []


# Refusals.


REFUSALS = (
    Refusal(403, "not for you\n", ((b"X-Why", b"because"), (b"Content-Type", b"text/html"))),
    Refusal(401, "who?", ((b"WWW-Authenticate", b'Basic realm="x"'), (b"Set-Cookie", b"a=1"))),
    Refusal(302, "", ((b"Location", b"http://example.com/"),)),
    Refusal(503, b"\x1f\x8b\xff", ((b"Content-Encoding", b"gzip"), (b"Retry-After", b"5"))),
)


@pytest.mark.parametrize("front", NAMES)
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: str(refusal.status))
@asynchronous
async def test_a_backend_s_refusal_is_passed_on_to_the_client(
    net: Network, front: str, refusal: Refusal
) -> None:
    """The client gets the status, the body and the end-to-end fields."""
    place, _ = await gateway(net, Answering(lambda offer: refusal), "hixie-76")
    raw = await net.raw(place)
    raw.send(whole_request(front))
    await raw.ends()
    answer = bytes(raw.data)
    assert status_of(answer) == refusal.status
    body = refusal.body if isinstance(refusal.body, bytes) else refusal.body.encode()
    assert body_of(answer) == body
    for name, value in refusal.headers:
        assert answer.lower().count(b"\r\n" + name.lower() + b": ") == 1
        assert value in answer


@asynchronous
async def test_the_line_of_a_backend_s_refusal_names_the_backend(net: Network, log: Log) -> None:
    """Our own refusals have the same words, such as "Origin not allowed", and another remedy."""
    place, _ = await gateway(net, Answering(lambda offer: Refusal(403, "Origin not allowed\n")))
    raw = await net.raw(place)
    raw.send(whole_request("rfc6455"))
    await raw.ends()
    why = "the backend refused the handshake: Origin not allowed; see backend-host=keep"
    reason = f'reason="{why}"'
    assert any(f"status=403 {reason}" in line for line in log.lines())
    assert body_of(bytes(raw.data)) == b"Origin not allowed\n"


@asynchronous
async def test_the_body_of_a_refusal_that_is_too_long_is_replaced_with_an_error(
    net: Network,
) -> None:
    """A truncated body would look like a whole one. The status is passed on."""
    page = ((b"Content-Type", b"text/html"), (b"ETag", b'"x"'), (b"Retry-After", b"5"))
    refusal = Refusal(503, b"x" * (Limits().refusal_size + 1), page)
    place, _ = await gateway(net, Answering(lambda offer: refusal))
    raw = await net.raw(place)
    raw.send(whole_request("rfc6455"))
    await raw.ends()
    answer = bytes(raw.data)
    assert status_of(answer) == 503
    assert body_of(answer) == b"the backend's response is too long or incomplete\n"
    assert b"\r\nRetry-After: 5\r\n" in answer
    assert b"text/html" not in answer
    assert b'"x"' not in answer


CHUNKED = b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "status", "body"),
    [
        (
            b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            404,
            b"abc",
        ),
        (
            CHUNKED + b"xyz\r\n",
            404,
            b"the backend's response is too long or incomplete\n",
        ),
        (
            b"HTTP/1.1 404 No\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n",
            404,
            b"",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
        (b"HTTP/1.1 999 No\r\n" + EMPTY, 502, b"the backend sent an invalid response\n"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", 502, b"the backend cannot be reached\n"),
        (b"HTTP/1.1 101 Yes\r\n\r\n", 502, b"the backend cannot be reached\n"),
    ],
)
@asynchronous
async def test_any_http_response_of_a_backend_gets_the_client_an_answer(
    net: Network, said: bytes, status: int, body: bytes
) -> None:
    """A response that is no valid refusal becomes a 502."""

    class Backend(Raw):
        def dataReceived(self, data: bytes) -> None:
            self.send(said)

    factory: Any = Factory.forProtocol(Backend)
    back = await net.listen(factory)
    raw = await net.raw(await net.serve(GatewayService(reactor, f"ws://127.0.0.1:{back.port}")))
    raw.send(whole_request("rfc6455"))
    await raw.ends()
    answer = bytes(raw.data)
    assert (status_of(answer), body_of(answer)) == (status, body)
    assert b"x-hop" not in answer.lower()
    assert answer.lower().count(b"content-length") == 1
    assert b"transfer-encoding" not in answer.lower()


@asynchronous
async def test_a_backend_that_is_down_is_a_502(net: Network, log: Log) -> None:
    """The log line has the backend's URL without its password."""
    back, _ = await net.raw_server()
    port = back.port
    await within(back.listening.stopListening())
    place = await net.serve(GatewayService(reactor, f"ws://us:secret@localhost:{port}/x"))
    wire = await net.connect(place, Applications(Recorder))
    with pytest.raises(HandshakeRefused) as refused:
        await within(wire.whenOpen())
    assert refused.value.status == 502
    (line,) = log.lines()
    assert line.startswith(f"backend-down backend=ws://localhost:{port} reason=")
    assert "secret" not in line


@asynchronous
async def test_the_lines_of_a_connection_name_its_backend(net: Network, log: Log) -> None:
    back, _ = await net.raw_server()
    url = f"ws://us:secret@localhost:{back.port}/x"
    place = await net.serve(GatewayService(reactor, url), logConnections=True)
    wire = await net.connect(place, Applications(Recorder))
    await within(wire.whenOpen())
    wire.loseConnection()
    await until(lambda: any(line.startswith("ended ") for line in log.lines()))
    lines = [line for line in log.lines() if line.endswith(f" backend=ws://localhost:{back.port}")]
    assert [line.partition(" ")[0] for line in lines] == ["opened", "ended"]
    assert "secret" not in "".join(log.lines())


@asynchronous
async def test_a_backend_that_does_not_answer_the_handshake_is_a_504(
    net: Network, log: Log
) -> None:
    """The backend accepts the TCP connection and sends nothing."""
    silent: Any = Factory.forProtocol(Raw)
    back = await net.listen(silent)
    url = f"ws://localhost:{back.port}"
    place = await net.serve(GatewayService(reactor, url, connectTimeout=0.3))
    wire = await net.connect(place, Applications(Recorder))
    with pytest.raises(HandshakeRefused) as refused:
        await within(wire.whenOpen())
    assert refused.value.status == 504
    assert log.lines() == [
        f'backend-down backend={url} reason="no answer to the handshake within 0.3 seconds"'
    ]


@asynchronous
async def test_a_client_that_disconnects_cancels_the_handshake_with_the_backend(
    net: Network, log: Log
) -> None:
    """The backend's pending decision is cancelled too."""
    cancelled: list[object] = []
    decision: Deferred[Any] = Deferred(cancelled.append)
    place, back = await gateway(net, Answering(lambda offer: decision))
    raw = await net.raw(place)
    raw.send(whole_request("rfc6455"))
    await connections(back)
    raw.transport.abortConnection()
    await until(lambda: cancelled or not back.factory.connections)
    await until(lambda: not back.factory.connections)
    assert log.lines() == []


@asynchronous
async def test_a_target_that_cannot_be_sent_to_the_backend_is_a_400(net: Network) -> None:
    """The target has a URL fragment, which no request may have."""
    place, _ = await gateway(net, Applications(echo), "hixie-75")
    raw = await net.raw(place)
    raw.send(request("rfc6455", target="/a#b"))
    await raw.ends()
    assert status_of(bytes(raw.data)) == 400


# The end of a connection.


@pytest.mark.parametrize("back", NAMES)
@pytest.mark.parametrize("front", NAMES)
@asynchronous
async def test_a_client_s_close_is_passed_on_to_the_backend(
    net: Network, front: str, back: str
) -> None:
    """The code and the reason are kept if both dialects have them; 1000 stands for a dialect
    without."""
    applications = Applications(echo)
    place, _ = await gateway(net, applications, back)
    application = await met(net, place, front)
    application.transport.sendTextMessage("last")
    application.transport.loseConnection(4711, "bye")
    await until(lambda: applications.made and applications.made[0].lost)
    lost = applications.made[0].lost
    assert applications.made[0].messages == ["last"]
    assert isinstance(lost, CleanClose)
    if front in MODERN:
        assert lost.code == code_of(back, 4711)
    else:
        assert lost.code == code_of(back, 1000)


@pytest.mark.parametrize("back", NAMES)
@pytest.mark.parametrize("front", NAMES)
@asynchronous
async def test_a_backend_s_close_is_passed_on_to_the_client_after_its_messages(
    net: Network, front: str, back: str
) -> None:
    """The code and the reason are kept if both dialects have them."""

    def leave(app: Recorder) -> None:
        for number in range(100):
            app.transport.sendTextMessage(f"{number} {BIG}")
        app.transport.loseConnection(4711, "bye")

    place, _ = await gateway(net, Applications(lambda: Recorder(finished=leave)), back)
    application = await met(net, place, front)
    await until(lambda: application.lost)
    assert len(application.messages) == 100
    assert isinstance(application.lost, CleanClose)
    expected = 4711 if back in MODERN else 1000
    assert application.lost.code == code_of(front, expected)
    if front in MODERN and back in MODERN:
        assert application.lost.reason == "bye"


@pytest.mark.parametrize("side", ["client", "backend"])
@asynchronous
async def test_a_lost_connection_closes_the_other_side_with_1001_or_1014(
    net: Network, side: str
) -> None:
    """The backend gets 1001 (going away), the client 1014 (bad gateway)."""
    applications = Applications(echo)
    place, _ = await gateway(net, applications)
    application = await met(net, place)
    await until(lambda: applications.made)
    gone, left = application, applications.made[0]
    if side == "backend":
        gone, left = left, gone
    gone.transport.abortConnection()
    await until(lambda: left.lost)
    assert isinstance(left.lost, CleanClose)
    assert left.lost.code == (1001 if side == "client" else 1014)


@asynchronous
async def test_a_backend_s_early_messages_are_held_until_the_handshake_is_complete(
    net: Network,
) -> None:
    """The backend sends messages with its answer, before the client's key 3 of hixie-76 arrives."""
    back, _ = await net.raw_server(words=b"\x81\x05hello\x82\x01\x00\x88\x02\x03\xe8")
    service = GatewayService(reactor, f"ws://127.0.0.1:{back.port}", binary="base64")
    raw = await net.raw(await net.serve(service))
    raw.send(request("hixie-76"))
    await raw.reads(b"\r\n\r\n")
    raw.data.clear()
    raw.send(b"^n:ds[4U")
    await raw.reads(PROOF + b"\0hello\xff\0AA==\xff\xff\0")


@asynchronous
async def test_early_messages_of_a_backend_that_disconnects_reach_the_client(net: Network) -> None:
    """The backend's connection is lost before the client's handshake is complete."""
    back, made = await net.raw_server(words=b"\x81\x05hello")
    raw = await net.raw(
        place := await net.serve(GatewayService(reactor, f"ws://127.0.0.1:{back.port}"))
    )
    raw.send(request("hixie-76"))
    await raw.reads(b"\r\n\r\n")
    raw.data.clear()
    made[0].transport.abortConnection()
    for _ in range(10):
        await within(moment())
    raw.send(b"^n:ds[4U")
    await raw.reads(PROOF + b"\0hello\xff\xff\0")
    assert place.factory.connections


# Pings.


@asynchronous
async def test_pings_are_answered_by_the_gateway(net: Network) -> None:
    """This holds for both sides; no ping reaches the other side."""
    applications = Applications(echo)
    place, back = await gateway(net, applications)
    application = await met(net, place)
    await until(lambda: applications.made)
    application.transport.ping(b"from the client")
    applications.made[0].transport.ping(b"from the backend")
    await until(lambda: ("pong", b"from the client") in application.events)
    await until(lambda: ("pong", b"from the backend") in applications.made[0].events)
    (wire,) = back.factory.connections
    seen: list[bytes] = []
    conversation_of(wire).answers_pings = False
    applications.made[0].pingReceived = seen.append
    application.transport.ping(b"again")
    await until(lambda: ("pong", b"again") in application.events)
    application.transport.sendTextMessage("after the ping")
    await until(lambda: applications.made[0].messages)
    assert seen == []


@asynchronous
async def test_pings_are_relayed_with_the_option_pings_relay(net: Network) -> None:
    """The pongs are relayed too."""
    asked: list[bytes] = []

    class Listening(Recorder):
        def pingReceived(self, payload: bytes) -> None:
            asked.append(payload)
            self.transport.pong(payload)

    applications = Applications(Listening)
    place, _ = await gateway(net, applications, pings="relay")
    application = await met(net, place)
    application.transport.ping(b"to the backend")
    await until(lambda: ("pong", b"to the backend") in application.events)
    applications.made[0].transport.ping(b"to the client")
    await until(lambda: ("pong", b"to the client") in applications.made[0].events)
    assert asked == [b"to the backend"]


@pytest.mark.parametrize(("front", "back"), [("rfc6455", "hixie-76")])
@asynchronous
async def test_pings_for_a_dialect_without_pings_are_answered_by_the_gateway(
    net: Network, front: str, back: str
) -> None:
    """The option ``pings=relay`` cannot be followed for hixie-76."""
    place, _ = await gateway(net, Applications(echo), back, pings="relay")
    application = await met(net, place, front)
    application.transport.ping(b"anybody?")
    await until(lambda: ("pong", b"anybody?") in application.events)


# Invalid arguments.


@pytest.mark.parametrize(
    ("url", "options", "expected"),
    [
        ("http://x", {}, "scheme"),
        ("ws://", {}, "host"),
        ("ws://x:99999", {}, "port"),
        ("ws://x", {"dialect": "hixie-77"}, "unknown dialect"),
        ("ws://x", {"proxy": "ftp://x"}, "proxy"),
        ("ws://x", {"passHeaders": ["Upgrade"]}, "may be passed on, not Upgrade"),
        ("ws://x", {"passHeaders": ["Sec-WebSocket-Key"]}, "may be passed on"),
        ("ws://x", {"passHeaders": ["X-Forwarded-For"]}, "may be passed on"),
        ("ws://x", {"passHeaders": ["a b"]}, "may be passed on"),
        ("ws://x", {"origin": "\n"}, "cannot be written in a request"),
    ],
)
def test_invalid_arguments_are_rejected_when_the_service_is_made(
    url: str, options: dict[str, Any], expected: str
) -> None:
    """The error does not wait for the first client."""
    with pytest.raises(ValueError, match=expected):
        GatewayService(reactor, url, **options)
