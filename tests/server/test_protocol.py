"""A server's connection, from the first byte to the conversation: in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.protocol import Protocol

from support import frame_writer, handshake_bytes
from support.applications import Answering, Applications, Broken, Recorder, echo, fails
from support.dialect_marks import each, hixie, modern
from support.dialect_names import HIXIE, NAMES
from support.frame_writer import text
from support.frames import MASK
from support.handshake_bytes import (
    ACCEPT,
    KEY3,
    NONCE,
    PROOF,
    body_of,
    head_of,
    request,
    status_of,
    whole_request,
)
from support.log_recorder import Log
from support.memory_connection import End, ServerEnd
from txhixie import AbruptClose, Accepted, HixieServerFactory, Limits, NotOpen, Offer, Refusal


def answered(end: End) -> list[bytes]:
    """The lines of the response's head."""
    return head_of(end.wire.written).split(b"\r\n")[:-2]


def refused(end: End, status: int) -> bytes:
    """Assert that the request was refused with this status, and that later bytes are ignored; the
    body."""
    written = end.wire.written
    assert status_of(written) == status, written
    assert written.count(b"\r\n\r\n") == 1
    assert b"\r\nConnection: close\r\n" in written or status == 426
    assert end.wire.endings == ["lose write"]
    end.receive(whole_request("hixie-75"))
    assert end.wire.written == written
    end.done()
    return body_of(written)


# The bytes of the handshakes.


def test_the_dialect_of_the_slides_is_spoken() -> None:
    end = ServerEnd(Applications(echo))
    end.receive(
        b"GET /text HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
        b"Host: example.com\r\nWebSocket-Origin: http://example.com\r\n"
        b"WebSocket-Protocol: sample\r\n\r\n"
    )
    assert end.wire.written == (
        b"HTTP/1.1 101 Web Socket Protocol Handshake\r\nUpgrade: WebSocket\r\n"
        b"Connection: Upgrade\r\nWebSocket-Origin: http://example.com\r\n"
        b"WebSocket-Location: ws://example.com/text\r\n\r\n"
    )
    end.wire.taken()
    end.receive(b"\x00Hello, WebSocket\xff\x80\x10Hello, WebSocket")
    assert end.wire.written == b"\x00Hello, WebSocket\xff\x80\x10Hello, WebSocket"
    end.done()


def test_the_head_of_hixie_76_goes_out_before_the_eight_bytes_come() -> None:
    """Some proxies hold the eight bytes back until they have seen the head."""
    application = Recorder()
    end = ServerEnd(Applications(lambda: application))
    end.receive(request("hixie-76"))
    assert end.wire.written.endswith(b"\r\n\r\n")
    assert answered(end) == [
        b"HTTP/1.1 101 WebSocket Protocol Handshake",
        b"Upgrade: WebSocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Origin: http://example.com",
        b"Sec-WebSocket-Location: ws://example.com/demo",
    ]
    assert application.told == ["started"]
    end.wire.taken()
    end.receive(KEY3[:7])
    assert end.wire.written == b""
    end.receive(KEY3[7:])
    assert end.wire.written == PROOF
    assert application.told == ["started", "finished"]
    end.done()


@each
@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_a_request_may_come_in_pieces(dialect: str, size: int) -> None:
    whole, pieces = ServerEnd(Applications()), ServerEnd(Applications())
    whole.receive(whole_request(dialect))
    pieces.receive(whole_request(dialect), size)
    assert pieces.wire.written == whole.wire.written
    pieces.receive(pieces.peer.text("hello"), size)
    assert pieces.wire.written.endswith(pieces.own.text("hello"))
    whole.done()
    pieces.done()


@each
def test_head_and_proof_leave_in_one_write_when_the_request_is_complete(dialect: str) -> None:
    end = ServerEnd(Applications())
    end.receive(whole_request(dialect))
    assert len(end.wire.writes) == 1
    end.done()


@each
def test_a_request_without_an_origin_is_from_a_program(dialect: str) -> None:
    end = ServerEnd(Applications())
    if dialect == "hixie-54":
        dialect = "hixie-75"  # its marker is the origin
    end.receive(whole_request(dialect, origin=None))
    assert status_of(end.wire.written) == 101
    assert b"-Origin:" not in end.wire.written
    end.done()


@hixie
@pytest.mark.parametrize("secure", [True, False])
def test_the_location_has_wss_where_a_reverse_proxy_terminates_TLS(
    dialect: str, secure: bool
) -> None:
    end = ServerEnd(Applications(), secure=secure)
    end.receive(whole_request(dialect, origin="https://example.com"))
    scheme = b"wss" if secure else b"ws"
    assert b"WebSocket-Location: " + scheme + b"://example.com/demo\r\n" in end.wire.written
    end.done()


# Requests that are refused.


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (request("hixie-75", host=None), 400),
        (request("hixie-75", "Host: other"), 400),
        (request("hixie-75", "Upgrade: WebSocket"), 400),
        (request("hixie-75", "WebSocket-Origin: http://example.com"), 400),
        (request("hixie-75", "Transfer-Encoding: chunked"), 400),
        (request("hixie-75", "Content-Length: 3"), 400),
        (request("hixie-75", "Sec-WebSocket-Key1: 1 2"), 400),
        (request("hixie-75", "Folded: a\r\n b"), 400),
        (request("hixie-75", "A : b"), 400),
        (request("hixie-75", "A: \x0b"), 400),
        (request("hixie-75", *("A: b" for _ in range(100))), 431),
        (request("hixie-75").replace(b"Upgrade: WebSocket", b"Upgrade: websocket, h2c"), 400),
        (request("hixie-54").replace(b"Upgrade: WebSocket", b"Upgrade: websocket"), 400),
        (request("hixie-75", origin=None).replace(b"WebSocket", b"websocket"), 400),
        (request("hixie-75").replace(b"Connection: Upgrade", b"Connection: close"), 400),
        (request("hixie-75", "A: " + "b" * 16_384), 431),
        (b"GET /" + b"a" * 16_384, 431),
        (request("hixie-75") + text("early"), 400),
        (whole_request("hixie-76") + text("early"), 400),
        (request("hixie-76", "Sec-WebSocket-Draft: 7"), 400),
        (request("hixie-76", "Sec-WebSocket-Version: 13"), 400),
        (request("hixie-76").replace(b"Key2", b"Key3"), 400),
        (request("hixie-76").replace(b"4 @1  46546xW%0l 1 5", b"1 2 3"), 400),
        (request("hixie-75", "Sec-WebSocket-Version: 99"), 426),
        (request("hixie-75", "Sec-WebSocket-Key: x"), 426),
    ],
)
@pytest.mark.parametrize("size", [None, 1000])
def test_a_bad_request_gets_its_status_and_one_line(
    data: bytes, status: int, size: int | None, log: Log
) -> None:
    end = ServerEnd(Answering(lambda offer: pytest.fail("nobody is to be asked")))
    end.receive(data, size)
    assert refused(end, status).strip()
    assert len(log.lines()) == 1
    assert f" status={status} " in log.lines()[0]


def test_a_client_of_a_disabled_dialect_gets_a_list_of_the_enabled_ones() -> None:
    end = ServerEnd(Applications(), dialects=HIXIE)
    end.receive(request("rfc6455"))
    lines = answered(end)
    assert b"Upgrade: WebSocket" in lines
    assert b"Connection: Upgrade, close" in lines
    assert not any(line.startswith(b"Sec-WebSocket-Version") for line in lines)
    assert b"hixie-54, hixie-75, hixie-76" in refused(end, 426)


@pytest.mark.parametrize("version", ["0", "1", "4", "5", "6", "9", "12", "14", "013", "13, 8", ""])
def test_an_unknown_version_is_answered_with_the_known_ones(version: str, log: Log) -> None:
    end = ServerEnd(Answering(lambda offer: pytest.fail("nobody is to be asked")))
    end.receive(
        request("rfc6455").replace(b"Version: 13", b"Version: " + version.encode("ascii")),
    )
    lines = answered(end)
    assert lines[0] == b"HTTP/1.1 426 Upgrade Required"
    assert b"Upgrade: WebSocket" in lines
    assert b"Connection: Upgrade, close" in lines
    assert b"Sec-WebSocket-Version: 13, 8, 7" in lines
    assert b"hybi-07, hybi-08, rfc6455" in refused(end, 426)
    assert len(log.lines()) == 1


@pytest.mark.parametrize(
    ("spoken", "listed"),
    [(["rfc6455"], b"13"), (["hybi-07", "rfc6455", "hixie-76"], b"13, 7"), (["hybi-08"], b"8")],
)
def test_only_enabled_versions_are_listed(spoken: list[str], listed: bytes) -> None:
    end = ServerEnd(Applications(), dialects=spoken)
    end.receive(request("rfc6455").replace(b"Version: 13", b"Version: 6"))
    assert b"Sec-WebSocket-Version: " + listed in answered(end)
    refused(end, 426)


@modern
def test_the_key_of_the_RFC_is_answered_as_in_the_RFC(dialect: str) -> None:
    end = ServerEnd(Applications())
    end.receive(request(dialect))
    assert answered(end) == [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + ACCEPT.encode(),
    ]
    end.done()


@modern
@pytest.mark.parametrize("key", ["", "x", "dGhlIHNhbXBsZQ==!"])
def test_an_invalid_key_is_400(dialect: str, key: str) -> None:
    end = ServerEnd(Applications())
    end.receive(request(dialect).replace(NONCE.encode(), key.encode()))
    assert b"Sec-WebSocket-Key" in refused(end, 400)


@each
def test_a_disabled_dialect_is_refused(dialect: str) -> None:
    others = [name for name in NAMES if name != dialect]
    end = ServerEnd(Applications(), dialects=others)
    end.receive(whole_request(dialect))
    assert ", ".join(others).encode() in refused(end, 426)


def test_an_unknown_dialect_cannot_be_enabled() -> None:
    with pytest.raises(ValueError, match="hixie-77"):
        HixieServerFactory(Applications(), dialects=["hixie-77"])


@each
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "file://"])
def test_a_foreign_page_is_refused_before_the_application_is_asked(
    dialect: str, origin: str, log: Log
) -> None:
    end = ServerEnd(Answering(lambda offer: pytest.fail("nobody is to be asked")))
    end.receive(whole_request(dialect, origin=origin))
    refused(end, 403)
    (line,) = log.lines()
    assert origin in line


@each
def test_a_foreign_host_is_refused(dialect: str) -> None:
    end = ServerEnd(Applications(), hosts=["example.org"])
    end.receive(whole_request(dialect))
    refused(end, 403)


@each
def test_text_from_the_peer_is_escaped_in_the_log(dialect: str, log: Log) -> None:
    end = ServerEnd(Answering(lambda offer: None), origins=["*"])
    end.receive(
        whole_request(dialect, target="/\\x1b{peer}%s%0A", origin="http://a\\n{why} \\r\\x1b[31m")
    )
    (line,) = log.lines()
    assert "\\\\x1b{peer}%s%0A" in line
    assert "{why}" in line
    assert line.isascii()
    assert line.isprintable()
    refused(end, 404)


@each
def test_CR_LF_cannot_be_injected_by_a_repeated_header_field(dialect: str) -> None:
    for bad in ("http://a\nb", "http://a\rSet-Cookie: x", "http://a\x00", "http://a\x85b"):
        end = ServerEnd(Applications(), origins=["*"])
        end.receive(whole_request(dialect, origin=bad))
        refused(end, 400)


# The decision of the application.


class Waiting:
    """
    Applications that decide later.

    :ivar cancelled: how often what it answers with was cancelled.
    """

    def __init__(self) -> None:
        self.cancelled = 0
        self.decision: Deferred[Any] = Deferred(self._cancel)
        self.offers: list[Offer] = []

    def _cancel(self, deferred: Deferred[Any]) -> None:
        self.cancelled += 1

    def buildProtocol(self, offer: Offer) -> Deferred[Any]:
        self.offers.append(offer)
        return self.decision


@each
@pytest.mark.parametrize("wrap", ["as it is", "deferred", "coroutine", "later"])
def test_an_application_may_decide_now_or_later(dialect: str, wrap: str) -> None:
    application = echo()
    later: Deferred[Any] = Deferred()

    async def decide() -> Any:
        return await later

    def answer(offer: Offer) -> Any:
        if wrap == "as it is":
            return application
        if wrap == "coroutine":
            return decide()
        if wrap == "deferred":
            later.callback(application)
        return later

    end = ServerEnd(Answering(answer))
    end.receive(whole_request(dialect))
    if wrap in ("coroutine", "later"):
        assert end.wire.written == b""
        assert application.told == []
        later.callback(application)
    assert status_of(end.wire.written) == 101
    assert application.told == ["started", "finished"]
    end.receive(end.peer.text("hello"))
    assert end.wire.written.endswith(end.own.text("hello"))
    end.done()


@each
def test_the_application_gets_the_offer_and_the_agreement(dialect: str) -> None:
    name = handshake_bytes.subprotocol_field(dialect)
    application = Recorder()
    accepted = Accepted(application, "chat", ((b"Set-Cookie", b"a=b"),))
    offers: list[Offer] = []

    def answer(offer: Offer) -> Accepted:
        offers.append(offer)
        return accepted

    end = ServerEnd(Answering(answer))
    end.receive(whole_request(dialect, f"{name}: chat", "Cookie: c=d", target="/a?b"))
    transport = application.transport
    assert transport.offer is offers[0]
    assert transport.offer.dialect == dialect
    assert (transport.offer.path, transport.offer.target) == ("/a", "/a?b")
    assert transport.offer.header("cookie") == "c=d"
    assert transport.agreement is not None
    assert transport.agreement.subprotocol == "chat"
    assert answered(end)[-2:] == [f"{name}: chat".encode(), b"Set-Cookie: a=b"]
    assert transport.getPeer() == end.wire.getPeer()
    assert transport.getHost() == end.wire.getHost()
    end.done()


# Extensions.

OFFERED = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"


@modern
def test_compression_is_granted_to_clients_that_offer_it(dialect: str) -> None:
    application = Recorder()
    end = ServerEnd(Applications(lambda: application))
    end.receive(request(dialect, OFFERED))
    (line,) = [line for line in answered(end) if b"Extensions" in line]
    assert line.startswith(b"Sec-WebSocket-Extensions: permessage-deflate")
    assert application.transport.agreement is not None
    assert [name for name, _ in application.transport.agreement.extensions] == [
        "permessage-deflate"
    ]
    end.wire.taken()
    application.transport.sendTextMessage("ha" * 500)
    assert end.wire.written[0] == 0xC1
    assert len(end.wire.taken()) < 50
    application.transport.sendTextMessage("ha" * 500, compress=False)
    assert end.wire.taken() == end.own.text("ha" * 500)
    application.transport.sendTextMessage("ha" * 50)  # below the threshold
    assert end.wire.taken() == end.own.text("ha" * 50)
    application.transport.sendTextMessage("ha" * 50, compress=True)
    assert end.wire.taken()[0] == 0xC1
    end.receive(end.peer.frame(1, bytes.fromhex("f248cdc9c90700"), reserved=0x40))
    assert application.messages == ["Hello"]
    end.done()


@modern
@pytest.mark.parametrize(
    ("reply", "options", "is_compressed"),
    [
        ("x" * 255, {}, False),
        ("x" * 256, {}, True),
        ("é" * 127, {}, False),
        ("é" * 128, {}, True),
        ("x" * 255, {"compress": True}, True),
        ("x" * 256, {"compress": False}, False),
        ("x" * 100_000, {}, True),
    ],
)
def test_a_reply_of_256_bytes_or_more_is_compressed(
    dialect: str, reply: str, options: Any, is_compressed: bool
) -> None:
    application = Recorder(text=lambda a: a.transport.sendTextMessage(reply, **options))
    end = ServerEnd(Applications(lambda: application))
    end.receive(request(dialect, OFFERED))
    end.wire.taken()
    end.receive(end.peer.text("?"))
    written = end.wire.taken()
    assert (written[0] == 0xC1) == is_compressed
    if not is_compressed:
        assert written == end.own.text(reply)
    end.done()


@modern
@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({"extensions": ()}, [OFFERED]),
        ({}, []),
        ({}, ["Sec-WebSocket-Extensions: deflate-stream, x-unknown; a=1"]),
        ({}, ["Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8"]),
    ],
)
def test_without_extensions_on_either_side_nothing_is_compressed(
    dialect: str, options: Any, more: list[str]
) -> None:
    application = Recorder()
    end = ServerEnd(Applications(lambda: application), **options)
    end.receive(request(dialect, *more))
    assert b"Extensions" not in end.wire.taken()
    application.transport.sendTextMessage("ha" * 500, compress=True)
    assert end.wire.taken() == end.own.text("ha" * 500)
    end.receive(end.peer.frame(1, bytes.fromhex("f248cdc9c90700"), reserved=0x40))
    assert end.wire.written == end.own.close(1002, "reserved bits must be 0")
    end.done()


@hixie
def test_a_hixie_client_that_offers_compression_gets_none(dialect: str) -> None:
    end = ServerEnd(Applications(echo))
    end.receive(whole_request(dialect, OFFERED))
    assert b"Extensions" not in end.wire.taken()
    end.receive(end.peer.text("ha" * 500))
    assert end.wire.written == end.own.text("ha" * 500)
    end.done()


def test_a_path_without_an_application_is_404() -> None:
    end = ServerEnd(Answering(lambda offer: None))
    end.receive(whole_request("hixie-76"))
    refused(end, 404)


@each
@pytest.mark.parametrize("later", [False, True])
def test_the_application_may_refuse(dialect: str, later: bool) -> None:
    refusal = Refusal(401, "who is it?\n", ((b"WWW-Authenticate", b"Basic"),))
    waiting = Waiting()
    end = ServerEnd(waiting if later else Answering(lambda offer: refusal))
    end.receive(whole_request(dialect))
    if later:
        waiting.decision.callback(refusal)
    assert answered(end)[:2] == [b"HTTP/1.1 401 Unauthorized", b"WWW-Authenticate: Basic"]
    assert refused(end, 401) == b"who is it?\n"


async def _raises(offer: Offer) -> Any:
    raise Broken


def _raise(offer: Offer) -> Any:
    raise Broken


def _failing(offer: Offer) -> Deferred[Any]:
    deferred: Deferred[Any] = Deferred()
    deferred.errback(Broken())
    return deferred


@each
@pytest.mark.parametrize(
    "answer",
    [
        _raise,
        _raises,
        _failing,
        lambda offer: Accepted(Recorder(), None, ((b"A", b"b\r\nSet-Cookie: c"),)),
        lambda offer: Accepted(Recorder(), None, ((b"A:", b"b"),)),
        lambda offer: Accepted(Recorder(), None, (("A", 5),)),  # type: ignore[arg-type]  # the test passes a wrong type
        lambda offer: Refusal(403, "", ((b"A\r\n", b"b"),)),
        lambda offer: Refusal(403, "\ud800"),
        lambda offer: Recorder(started=fails),
        lambda offer: Accepted(Recorder(started=fails)),
    ],
)
def test_an_error_of_the_application_is_500_and_one_traceback(
    dialect: str, answer: Callable[[Offer], Any], log: Log
) -> None:
    end = ServerEnd(Answering(answer))
    end.receive(whole_request(dialect))
    assert len(log.tracebacks()) == 1
    assert len(log.lines()) == 1
    assert refused(end, 500) == b"the application failed\n"


@pytest.mark.parametrize(
    ("asked", "offered"), [((), "none"), (("a", "b"), "'a', 'b'")], ids=["none", "some"]
)
@pytest.mark.parametrize("how", ["accepted", "deferred", "coroutine", "factory"])
@each
def test_a_subprotocol_that_was_not_offered_is_500_in_the_log_and_for_both_sides(
    dialect: str, how: str, asked: tuple[str, ...], offered: str, log: Log
) -> None:
    """The client gets the status, the log one line, and the application the error; no second
    application is built."""
    application = Recorder()
    if dialect in HIXIE and asked:  # room for one, which web-socket-js fills with several
        offered = "'a,b', 'a', 'b'"
        asked = ("a,b",)
    field = "WebSocket-Protocol" if dialect in HIXIE else "Sec-WebSocket-Protocol"
    if dialect == "hixie-76":
        field = "Sec-WebSocket-Protocol"
    more = [f"{field}: {', '.join(asked)}"] if asked else []

    async def later(offer: Offer) -> Accepted:
        return Accepted(application, "unasked")

    answer: Callable[[Offer], Any] = {
        "accepted": lambda offer: Accepted(application, "unasked"),
        "deferred": lambda offer: succeed(Accepted(application, "unasked")),
        "coroutine": later,
        "factory": lambda offer: application,
    }[how]
    options = {"subprotocols": lambda offer: "unasked"} if how == "factory" else {}
    end = ServerEnd(Answering(answer), **options)
    end.receive(whole_request(dialect, *more))
    why = f"subprotocol 'unasked' was not offered; the client offered {offered}"
    (line,) = log.lines()
    assert line.startswith(
        "refused connection=1 peer=192.0.2.1:54321 host=example.com target=/demo "
    )
    assert line.endswith(f' status=500 reason="{why}" origin=http://example.com dialect={dialect}')
    assert log.tracebacks() == []
    assert refused(end, 500) == b"the application failed\n"
    assert application.told == ["started", "lost"]
    assert isinstance(application.lost, AbruptClose)
    assert (application.lost.code, application.lost.reason) == (1006, why)


class AsyncEcho(Recorder):
    """An application whose method is a coroutine function: Python would only warn that it was
    never awaited."""

    async def textMessageReceived(self, message: str) -> None:  # type: ignore[override]  # the test overrides with a coroutine, which is wrong
        """Never awaited."""


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            5,
            "buildProtocol returned int, not an application: no method negotiationStarted",
        ),
        (b"no", "buildProtocol returned bytes, not an application"),
        (Recorder, "buildProtocol returned the class Recorder, not an application; write Recorder"),
        (Refusal, "buildProtocol returned the class Refusal, not an application; write Refusal()"),
        (fails, "buildProtocol returned a function, not an application; pass a coroutine function"),
        (Protocol(), "buildProtocol returned Protocol, a protocol of bytes; pass its factory to"),
        (
            AsyncEcho(),
            "AsyncEcho.textMessageReceived is a coroutine function, which is never awaited",
        ),
        (Accepted(5), "buildProtocol returned int, not an application"),  # type: ignore[arg-type]  # the test passes a wrong type
    ],
)
@each
def test_an_object_that_is_no_application_is_500_and_one_line_that_names_it(
    dialect: str, wrong: Any, said: str, log: Log
) -> None:
    end = ServerEnd(Answering(lambda offer: wrong))
    end.receive(whole_request(dialect))
    [line] = log.lines()
    assert f' status=500 reason="{said}' in line.replace(r"\"", '"')
    assert log.tracebacks() == []
    assert refused(end, 500) == b"the application failed\n"


def test_an_asyncio_future_as_a_decision_has_an_error_that_names_deferreds(log: Log) -> None:
    loop = asyncio.new_event_loop()
    end = ServerEnd(Answering(lambda offer: loop.create_future()))
    loop.close()
    end.receive(whole_request("rfc6455"))
    assert "write Deferred.fromFuture()" in log.lines()[0]
    refused(end, 500)


def test_a_usage_error_in_an_applications_own_call_has_its_traceback(log: Log) -> None:
    """The mistake is in the application's own code."""
    early = Recorder(started=lambda app: app.transport.sendTextMessage("early"))
    end = ServerEnd(Answering(lambda offer: early))
    end.receive(whole_request("rfc6455"))
    assert [type(error) for error in log.tracebacks()] == [NotOpen]
    refused(end, 500)


def test_an_application_that_closes_when_it_gets_its_error_is_disconnected(log: Log) -> None:
    application = Recorder(started=lambda app: app.transport.abortConnection())
    end = ServerEnd(Answering(lambda offer: Accepted(application, "unasked")))
    end.receive(whole_request("rfc6455"))
    assert end.wire.written == b""
    end.done()
    assert application.told == ["started", "lost"]


def test_an_application_that_raised_at_its_start_gets_the_end(log: Log) -> None:
    application = Recorder(started=fails)
    end = ServerEnd(Applications(lambda: application))
    end.receive(whole_request("hixie-75"))
    log.tracebacks()
    end.lose()
    assert application.told == ["started", "lost"]
    end.done()


@each
def test_a_decision_that_takes_too_long_is_503(dialect: str, log: Log) -> None:
    waiting = Waiting()
    end = ServerEnd(waiting)
    end.receive(whole_request(dialect))
    end.clock.advance(29)
    assert (end.wire.written, waiting.cancelled) == (b"", 0)
    end.clock.advance(2)
    assert waiting.cancelled == 1
    refused(end, 503)


def test_a_decision_that_cannot_be_cancelled_is_503_too(log: Log) -> None:
    async def stubborn(offer: Offer) -> Any:
        with suppress(CancelledError):
            await Deferred()
        await Deferred()

    end = ServerEnd(Answering(stubborn))
    end.receive(whole_request("hixie-76"))
    end.clock.advance(31)
    refused(end, 503)


def test_a_decision_that_raises_when_cancelled_keeps_no_client_waiting(log: Log) -> None:
    def canceller(decision: Deferred[Any]) -> None:
        raise RuntimeError("no")

    end = ServerEnd(Answering(lambda offer: Deferred(canceller)))
    end.receive(whole_request("hixie-76"))
    end.clock.advance(31)
    assert [str(error) for error in log.tracebacks()] == ["no"]
    refused(end, 503)


def test_a_timeout_error_of_the_application_is_its_own_failure(log: Log) -> None:
    decision: Deferred[Any] = Deferred()
    end = ServerEnd(Answering(lambda offer: decision))
    decision.addTimeout(5, end.clock)
    end.receive(whole_request("hixie-76"))
    end.clock.advance(6)
    assert len(log.tracebacks()) == 1
    refused(end, 500)


def test_a_decision_in_the_reactor_turn_of_the_deadline_is_in_time() -> None:
    waiting = Waiting()
    end = ServerEnd(waiting)
    end.receive(whole_request("hixie-76"))
    end.clock.callLater(30.0, waiting.decision.callback, echo())
    end.clock.advance(60)
    assert status_of(end.wire.written) == 101
    end.done()


@each
def test_when_the_client_disconnects_the_decision_is_cancelled(dialect: str, log: Log) -> None:
    waiting = Waiting()
    end = ServerEnd(waiting)
    end.receive(whole_request(dialect))
    assert not end.wire.paused, "a TCP transport that is paused does not hear that its peer leaves"
    end.lose()
    assert waiting.cancelled == 1
    assert end.wire.written == b""
    end.done()


@pytest.mark.parametrize("how", ["loseConnection", "abortConnection"])
def test_when_the_server_closes_the_decision_is_cancelled(how: str, log: Log) -> None:
    waiting = Waiting()
    end = ServerEnd(waiting)
    end.receive(whole_request("hixie-76"))
    getattr(end.protocol, how)()
    assert waiting.cancelled == 1
    status = [503] if how == "loseConnection" else []
    assert [status_of(end.wire.written) for _ in status] == status
    assert bool(end.wire.written) == bool(status)
    end.done()


def test_the_result_of_a_cancelled_decision_is_ignored(log: Log) -> None:
    application = Recorder()
    decision: Deferred[Any] = Deferred(lambda deferred: deferred.callback(application))
    end = ServerEnd(Answering(lambda offer: decision))
    end.receive(whole_request("hixie-76"))
    end.lose()
    assert application.told == []
    assert end.wire.written == b""
    end.done()


def test_a_coroutine_of_a_decision_is_cancelled(log: Log) -> None:
    heard: list[BaseException] = []

    async def decide(offer: Offer) -> Any:
        try:
            await Deferred()
        except CancelledError as error:
            heard.append(error)
            raise

    end = ServerEnd(Answering(decide))
    end.receive(whole_request("hixie-76"))
    end.lose()
    assert len(heard) == 1
    end.done()


@hixie
def test_a_client_that_sends_before_the_decision_is_refused(dialect: str, log: Log) -> None:
    waiting = Waiting()
    end = ServerEnd(waiting)
    end.receive(whole_request(dialect))
    end.receive(end.peer.text("early"))
    assert waiting.cancelled == 1
    refused(end, 400)


@modern
@pytest.mark.parametrize("size", [None, 7])
def test_early_frames_of_a_modern_client_are_kept_and_delivered_once_it_is_open(
    dialect: str, size: int | None
) -> None:
    waiting, application = Waiting(), echo()
    end = ServerEnd(waiting)
    peer = frame_writer.FrameWriter(dialect, MASK)
    end.receive(request(dialect) + peer.text("one"))
    end.receive(peer.text("two", "three") + peer.text("four")[:-2], size)
    assert (end.wire.written, application.told) == (b"", [])
    waiting.decision.callback(application)
    head, _, said = end.wire.written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert said == end.own.text("one", "two", "three")
    end.receive(peer.text("four")[-2:])
    assert application.messages == ["one", "two", "three", "four"]
    assert application.told[:3] == ["started", "finished", "text"]
    end.done()


@modern
@pytest.mark.parametrize("together", [True, False])
def test_early_frames_are_kept_within_the_limit(dialect: str, together: bool, log: Log) -> None:
    limits = Limits(early_size=1000)
    for size in (1000, 1001):
        waiting, application = Waiting(), Recorder()
        end = ServerEnd(waiting, limits=limits)
        early = frame_writer.FrameWriter(dialect, MASK).text("x" * (size - 8))
        assert len(early) == size
        end.receive(request(dialect) + early, None if together else 100)
        if size == 1000:
            waiting.decision.callback(application)
            assert application.messages == ["x" * 992]
            end.done()
        else:
            # Bytes that came with the head are judged before the application is asked.
            assert waiting.cancelled == len(waiting.offers) == (not together)
            refused(end, 400)
            assert application.told == []


@modern
def test_frames_in_the_same_read_as_the_request_are_delivered_after_the_opening(
    dialect: str,
) -> None:
    end = ServerEnd(Applications(echo))
    peer = frame_writer.FrameWriter(dialect, MASK)
    end.receive(request(dialect) + peer.text("hello") + peer.close(4000, "bye"))
    assert body_of(end.wire.written) == end.own.text("hello") + end.own.close(4000, "bye")
    assert len(end.wire.writes) == 1
    assert end.wire.endings == ["lose"]
    end.done()


def test_the_eight_bytes_may_come_during_the_decision() -> None:
    waiting = Waiting()
    end = ServerEnd(waiting)
    end.receive(request("hixie-76"))
    end.receive(KEY3, 3)
    assert end.wire.written == b""
    waiting.decision.callback(echo())
    assert end.wire.written.endswith(b"\r\n\r\n" + PROOF)
    end.done()


def test_bytes_beyond_the_eight_before_the_proof_end_the_connection() -> None:
    """The head has been sent, so no error status can be sent any more."""
    application = Recorder()
    end = ServerEnd(Applications(lambda: application))
    end.receive(request("hixie-76"))
    end.receive(KEY3 + end.peer.text("early"))
    assert PROOF not in end.wire.written
    assert end.wire.endings == ["lose write"]
    end.lose()
    assert application.told == ["started", "lost"]
    end.done()


# Timeouts.


@pytest.mark.parametrize("sent", [b"", b"GET / HT", request("hixie-76")[:-2]])
def test_a_request_that_does_not_arrive_is_408(sent: bytes) -> None:
    end = ServerEnd(Applications())
    if sent:
        end.receive(sent)
    end.clock.advance(9.9)
    assert end.wire.written == b""
    end.clock.advance(0.2)
    refused(end, 408)


def test_eight_bytes_that_do_not_arrive_end_the_connection() -> None:
    application = Recorder()
    end = ServerEnd(Applications(lambda: application))
    end.receive(request("hixie-76") + KEY3[:7])
    end.clock.advance(10.1)
    assert end.wire.endings == ["abort"]
    end.lose()
    assert application.told == ["started", "lost"]
    assert isinstance(application.lost, AbruptClose)
    end.done()


def test_the_timeout_of_the_eight_bytes_starts_after_the_decision() -> None:
    waiting = Waiting()
    end = ServerEnd(waiting)
    end.clock.advance(9)
    end.receive(request("hixie-76"))
    end.clock.advance(20)
    waiting.decision.callback(echo())
    end.clock.advance(9)
    end.receive(KEY3)
    assert end.wire.written.endswith(PROOF)
    end.done()


@each
def test_a_request_in_the_reactor_turn_of_the_deadline_is_in_time(dialect: str) -> None:
    """A reactor that was blocked runs its timers before reads: the peer was not late."""
    end = ServerEnd(Applications())
    end.clock.callLater(10.0, end.receive, whole_request(dialect))
    end.clock.advance(60)
    assert status_of(end.wire.written) == 101
    assert end.wire.endings == []
    end.done()


@each
def test_the_handshake_timeout_ends_with_the_handshake(dialect: str) -> None:
    end = ServerEnd(Applications())
    end.receive(whole_request(dialect))
    end.clock.advance(11)
    assert end.wire.endings == []
    end.done()


def test_a_refused_client_that_does_not_disconnect_is_aborted() -> None:
    end = ServerEnd(Applications())
    end.receive(b"\x00")
    end.clock.advance(Limits().close_timeout + 1)
    end.clock.advance(Limits().drain_timeout + 1)
    assert end.wire.endings[-1] == "abort"
    end.done()


@each
def test_a_client_that_disconnects_within_its_request_reaches_no_application(
    dialect: str, log: Log
) -> None:
    end = ServerEnd(Answering(lambda offer: pytest.fail("nobody is to be asked")))
    end.receive(request(dialect)[:-1])
    end.lose()
    assert end.wire.written == b""
    end.done()


@each
def test_an_application_starts_after_the_decision_and_opens_before_the_first_message(
    dialect: str,
) -> None:
    """The application cannot send before the connection is open."""
    seen: list[str] = []

    def tries(application: Recorder) -> None:
        seen.append(end.wire.written.decode("latin-1"))
        with pytest.raises(NotOpen):
            application.transport.sendTextMessage("too early")

    application = Recorder(started=tries)
    end = ServerEnd(Answering(lambda offer: application))
    end.receive(whole_request(dialect))
    end.receive(end.peer.text("hello"))
    assert seen == [""]
    assert application.told == ["started", "finished", "text"]
    end.done()
