"""Recorded heads of devices, old browsers and reverse proxies, read by the server and by the
client.

The bytes arrive at once, byte by byte, and split in other ways.
"""

from __future__ import annotations

import re
from itertools import permutations
from typing import Any

import pytest
from twisted.internet.protocol import Factory, Protocol

from support import applications, dialect_names, handshake_bytes, memory_connection
from support.applications import Answering, Applications, Recorder
from support.chunks import every_way, same_every_way
from support.guide_pages import ROOT
from support.handshake_bytes import (
    KEY3,
    body_of,
    head_of,
    status_of,
    subprotocol_field,
    whole_request,
)
from support.handshakes import ask, request_of, serve
from support.http_heads import request
from support.log_recorder import Log
from support.memory_connection import ServerEnd
from txhixie import Accepted, Limits
from txhixie.sansio.dialects import named
from txhixie.sansio.handshake.mending import NO_CONNECTION
from txhixie.sansio.handshake.offer import Agreement, Offer
from txhixie.sansio.opening import Elsewhere, origin_form

RECORDED = ROOT / "tests" / "data" / "heads"


def recorded(name: str) -> bytes:
    """The bytes of a file."""
    return (RECORDED / f"{name}.bin").read_bytes()


def echoing(*members: str) -> Answering:
    """Applications that echo, with the first of these subprotocols that the client offers."""

    def answer(offer: Offer) -> Accepted:
        chosen = next((name for name in members if name in offer.subprotocols), None)
        return Accepted(applications.echo(), chosen)

    return Answering(answer)


TAKEN = [
    ("absolute_form_rfc6455", "rfc6455", "/chat", None),
    ("hixie75_android_plugin_origin_star", "hixie-75", "/", "*"),
    ("hixie75_arduino_origin_is_a_word", "hixie-75", "/", "ArduinoWebSocketClient"),
    ("hixie75_reordered_by_a_reverse_proxy", "hixie-75", "/echo", "http://127.0.0.1:8080"),
    ("hixie76_subprotocol_list", "hixie-76", "/tcp", "http://127.0.0.1:8080"),
    ("hybi08_two_origin_fields", "hybi-08", "/echo", "http://127.0.0.1:8080"),
]


@pytest.mark.parametrize(("name", "dialect", "target", "origin"), TAKEN)
def test_the_requests_of_real_clients_are_served(
    name: str, dialect: str, target: str, origin: str | None, log: Log
) -> None:
    """The server echoes a message after each handshake."""
    data = recorded(name)
    for chunks in every_way(data):
        end = ServerEnd(echoing("base64"))
        for chunk in chunks:
            end.receive(chunk)
        assert status_of(end.wire.taken()) == 101
        offer = end.protocol.offer
        assert (offer.dialect, offer.target, offer.origin) == (dialect, target, origin)
        assert offer.host.startswith("127.0.0.1")
        end.receive(end.peer.text("hello"))
        assert end.wire.taken() == end.own.text("hello")
        end.done()


REFUSED = [
    (
        "flash_policy_request",
        400,
        "this is not HTTP: Flash asks for a policy file; --flash-policy (flashPolicy) answers it",
    ),
    (
        "http10_upgrade_as_nginx_sends",
        400,
        "upgrade request in HTTP/1.0; WebSocket needs HTTP/1.1 (in nginx: proxy_http_version 1.1)",
    ),
    (
        "proxy_header_not_expected",
        400,
        "unexpected PROXY protocol header: no proxy is trusted at this address",
    ),
    (
        "rfc6455_without_connection_field",
        400,
        f"{NO_CONNECTION}; quirks=upgrade lets it in",
    ),
    (
        "rfc6455_esp_origin_file",
        403,
        "Origin not allowed (origins, --origins)",
    ),
]


@pytest.mark.parametrize(("name", "status", "why"), REFUSED)
def test_a_refused_request_has_one_log_line_with_the_reason(
    name: str, status: int, why: str, log: Log
) -> None:
    """The line does not depend on how the bytes arrive. The response to the client names no
    option."""
    body = re.split("; quirks=|; --", why.removesuffix(" (origins, --origins)"))[0]
    for tail in (b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
        for chunks in every_way(recorded(name), tail):
            end = ServerEnd(Applications())
            for chunk in chunks:
                end.receive(chunk)
            assert status_of(end.wire.written) == status
            assert body_of(end.wire.written) == f"{body}\n".encode()
            (line,) = log.lines()
            assert line.startswith("refused connection=1 peer=192.0.2.1:54321 ")
            assert f' status={status} reason="{why}"' in line
            log.events.clear()
            end.done()


def test_a_device_with_a_listed_origin_is_accepted(log: Log) -> None:
    end = ServerEnd(echoing("arduino"), origins=["file://"])
    end.receive(recorded("rfc6455_esp_origin_file"))
    assert b"Sec-WebSocket-Protocol: arduino\r\n" in end.wire.taken()
    end.done()


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (b"PROXY TCP6 2001:db8::1 ::1 5555 80\r\n", "unexpected PROXY protocol header"),
        (b"PROXY UNKNOWN\r\n", "unexpected PROXY protocol header"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12), "unexpected PROXY protocol header"),
        (b"\x16\x03\x01\x02\0\x01", "this is not HTTP: a TLS handshake on a port without TLS"),
        (b"<policy-file-request>", "this is not HTTP"),
        (b"\0\r\nQUIT\n", "this is not HTTP"),
        (b"\r\n\0\r\nQUIT\n", "this is not HTTP"),
        (b"\r\n\r\n\r\n\0\r\nQUIT\n", "this is not HTTP"),
        (b"\x16\x04", "this is not HTTP"),
        (b"\n", "this is not HTTP"),
    ],
)
def test_another_protocol_is_recognised_by_its_first_bytes(
    first: bytes, why: str, log: Log
) -> None:
    for chunks in every_way(first):
        end = ServerEnd(Applications())
        for chunk in chunks:
            end.receive(chunk)
        assert status_of(end.wire.written) == 400
        (line,) = log.lines()
        assert line.startswith(
            f'refused connection=1 peer=192.0.2.1:54321 status=400 reason="{why}'
        )
        log.events.clear()
        end.done()


# Empty lines.


@pytest.mark.parametrize("dialect", dialect_names.NAMES)
@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_empty_lines_before_a_request_are_ignored(dialect: str, count: int) -> None:
    data = b"\r\n" * count + whole_request(dialect)
    served = same_every_way(serve, data)
    assert isinstance(served.found, Offer)
    assert (served.found.dialect, served.proved, served.rest) == (dialect, True, b"")


def test_empty_lines_before_a_page_are_not_replayed() -> None:
    found = same_every_way(serve, b"\r\nPOST / HTTP/1.1\r\nHost: a\r\n\r\n", b"x").found
    assert isinstance(found, Elsewhere)
    assert found.replay(last=False) == b"POST / HTTP/1.1\r\nHost: a\r\n\r\nx"


def test_a_client_that_sends_only_empty_lines_is_refused(log: Log) -> None:
    end = ServerEnd(Applications(), limits=Limits(head_size=1000))
    for _ in range(500):
        end.receive(b"\r\n")
    assert not end.wire.written
    end.receive(b"\r\n")
    assert status_of(end.wire.written) == 400
    assert "more than 1000 bytes of empty lines" in log.lines()[0]
    end.done()


def test_a_client_takes_no_empty_line_before_an_answer() -> None:
    """No server is known to send empty lines, and the drafts fix the first bytes of a response."""
    for dialect in dialect_names.NAMES:
        offer = Offer(dialect, "/", "a", "http://a")
        key = (b"1 1", b"1 1", KEY3) if dialect == "hixie-76" else (b"x",)
        found, _ = ask(offer, key, [b"\r\nHTTP/1.1 101 x\r\n\r\n"])
        assert found == "status-line"


# The absolute form.


@pytest.mark.parametrize("dialect", dialect_names.NAMES)
@pytest.mark.parametrize(
    ("target", "host", "resource"),
    [
        ("http://Example.com:8080/chat?x=y", "Example.com:8080", "/chat?x=y"),
        ("HTTPS://example.com/", "example.com", "/"),
        ("ws://example.com", "example.com", "/"),
        ("wss://example.com?x=/y", "example.com", "/?x=/y"),
        ("http://[::1]:80//x", "[::1]:80", "//x"),
    ],
)
def test_the_host_of_an_absolute_target_replaces_the_Host_field(
    dialect: str, target: str, host: str, resource: str
) -> None:
    """RFC 9112 section 3.2.2."""
    data = whole_request(dialect, target=target, host="other.example", origin="http://example.com")
    served = same_every_way(serve, data)
    assert isinstance(served.found, Offer)
    assert (served.found.host, served.found.target) == (host, resource)
    assert served.found.header("host") == host


@pytest.mark.parametrize(
    "target", ["http://me@a/", "http:///x", "ftp://a/", "http:/a", "http://a b"]
)
def test_other_targets_are_refused(target: str) -> None:
    data = request(b"Host: a", b"Upgrade: WebSocket", b"Connection: Upgrade", b"Origin: http://a")
    data = data.replace(b"/demo", target.encode())
    assert not isinstance(same_every_way(serve, data).found, Offer | None)


def test_a_request_with_an_absolute_target_needs_a_Host_field() -> None:
    for fields in ((), (b"Host: a", b"Host: a")):
        data = request(*fields, b"Upgrade: WebSocket", b"Connection: Upgrade", b"Origin: http://a")
        data = data.replace(b"/demo", b"http://a/")
        assert not isinstance(same_every_way(serve, data).found, Offer)


def test_the_policy_looks_at_the_host_of_the_target(log: Log) -> None:
    data = whole_request("rfc6455", target="http://a/", host="b", origin="http://a")
    end = ServerEnd(Applications(), hosts=["a"])
    end.receive(data)
    assert status_of(end.wire.written) == 101
    end.done()


def test_a_page_with_an_absolute_target_is_asked_for_by_its_path() -> None:
    """twisted.web would take the whole URL for a path."""
    data = b"GET http://a:1/page?x HTTP/1.1\r\nHost: b\r\nAccept: x\r\n\r\n"
    found = serve([data]).found
    assert isinstance(found, Elsewhere)
    assert found.replay(last=False) == b"GET /page?x HTTP/1.1\r\nHost: a:1\r\nAccept: x\r\n\r\n"
    plain = request_of(b"GET /http://a HTTP/1.1\r\nHost: b\r\n\r\n")
    assert origin_form(plain) is plain


# Lists of subprotocols.

WEBKIT = (
    *(b"Upgrade: WebSocket", b"Connection: Upgrade", b"Host: example.com"),
    *(b"Origin: http://example.com", b"Sec-WebSocket-Protocol: binary,base64", b"Cookie: a=b"),
    *(b"Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5", b"Sec-WebSocket-Key2: 12998 5 Y3 1  .P00"),
)
FLASH = (*WEBKIT[:4], b"Cookie: ", *WEBKIT[6:], WEBKIT[4])
NAMES_OF_FLASH = [line.partition(b":")[0] for line in FLASH]


def answered_protocol(fields: tuple[bytes, ...], agreed: str = "base64") -> bytes:
    """The answer to a hixie-76 request with these fields."""
    handshake = named("hixie-76").handshake
    offer = handshake.read_offer(request_of(request(*fields)), False)
    answer = handshake.write_agreement(offer, Agreement(agreed))
    return answer.partition(b"Sec-WebSocket-Protocol: ")[2].partition(b"\r\n")[0]


def test_the_response_has_the_whole_list_for_every_order_of_the_fields() -> None:
    """Chromium and Firefox 4 shuffled the header fields. Only one of 40,320 orders is that of
    web-socket-js (Flash), which expects one member."""
    members = [
        order for order in permutations(WEBKIT) if answered_protocol(order) != b"binary,base64"
    ]
    assert [[line.partition(b":")[0] for line in order] for order in members] == [NAMES_OF_FLASH]
    assert answered_protocol(members[0]) == b"base64"


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        (FLASH, b"base64"),
        ((*FLASH[:4], b"Cookie: a=b; c=d", *FLASH[5:]), b"base64"),
        ((*FLASH, b"X-Page: its own"), b"base64"),
        ((*FLASH[:4], *FLASH[5:]), b"binary,base64"),
        ((*FLASH[:4], b"Cookie: a", b"Cookie: b", *FLASH[5:]), b"binary,base64"),
        ((b"X-First: x", *FLASH), b"binary,base64"),
        ((*FLASH[:7], b"X-Page: x", FLASH[7]), b"binary,base64"),
    ],
)
def test_the_response_to_web_socket_js_has_one_subprotocol(
    fields: tuple[bytes, ...], answer: bytes
) -> None:
    """web-socket-js is recognised by all of its fields in their order, an empty Cookie among
    them."""
    assert answered_protocol(fields) == answer


def test_the_list_of_web_socket_js_is_split_into_subprotocols(log: Log) -> None:
    """An application that agrees on the first offered subprotocol agrees on one member of the
    list."""
    end = ServerEnd(Answering(lambda offer: Accepted(applications.echo(), offer.subprotocols[0])))
    end.receive(request(*FLASH) + KEY3)
    assert end.protocol.offer.subprotocols == ("binary", "base64")
    assert b"Sec-WebSocket-Protocol: binary\r\n" in end.wire.taken()
    end.done()


@pytest.mark.parametrize("dialect", ["hixie-54", "hixie-75", "hixie-76"])
@pytest.mark.parametrize("how", ["accepted", "listed", "called"])
def test_an_application_gets_one_subprotocol_and_the_client_the_list(
    dialect: str, how: str, log: Log
) -> None:
    made = Applications(Recorder)
    options: dict[str, dict[str, Any]] = {
        "accepted": {},
        "listed": {"subprotocols": ["v11.stomp"]},
        "called": {"subprotocols": lambda offer: "v11.stomp"},
    }
    applications: Any = echoing("v11.stomp") if how == "accepted" else made
    end = ServerEnd(applications, **options[how])
    field = subprotocol_field(dialect)
    end.receive(whole_request(dialect, f"{field}: v10.stomp,v11.stomp"))
    answer = head_of(end.wire.taken())
    assert f"\r\n{field}: v10.stomp,v11.stomp\r\n".encode() in answer
    assert end.protocol.agreement is not None
    assert end.protocol.agreement.subprotocol == "v11.stomp"
    end.done()


@pytest.mark.parametrize("dialect", ["hixie-75", "hixie-76", "rfc6455"])
def test_offered_subprotocols_without_an_agreement_are_in_the_log(dialect: str, log: Log) -> None:
    end = ServerEnd(Applications(), logConnections=True)
    end.receive(whole_request(dialect, f"{subprotocol_field(dialect)}: v10.stomp"))
    assert log.lines()[0].endswith(" origin=http://example.com offered=v10.stomp")
    end.done()


def test_a_hixie_76_request_may_have_the_subprotocol_field_of_hixie_75(log: Log) -> None:
    """Ruby's websocket sends WebSocket-Protocol, and reads Sec-WebSocket-Protocol of the
    response."""
    end = ServerEnd(echoing("b"))
    end.receive(whole_request("hixie-76", "WebSocket-Protocol: a,b"))
    assert b"\r\nSec-WebSocket-Protocol: a,b\r\n" in end.wire.taken()
    end.done()
    both = whole_request("hixie-76", "WebSocket-Protocol: x", "Sec-WebSocket-Protocol: y")
    found = serve([both]).found
    assert isinstance(found, Offer)
    assert found.subprotocols == ("y",)


# Further log lines.

NOTICED = "noticed connection=1 peer=192.0.2.1:54321"


@pytest.mark.parametrize("dialect", dialect_names.NAMES)
@pytest.mark.parametrize("origin", ["*", "ArduinoWebSocketClient", "example.com:80", "http://x/y"])
def test_an_origin_that_no_browser_writes_is_logged(dialect: str, origin: str, log: Log) -> None:
    """The request counts as one without an Origin. A response that repeats the origin repeats this
    one."""
    end = ServerEnd(Applications(), logConnections=False)
    end.receive(whole_request(dialect, origin=origin))
    answer = end.wire.taken()
    assert status_of(answer) == 101
    assert (f"WebSocket-Origin: {origin}\r\n".encode() in answer) == (
        dialect in dialect_names.HIXIE
    )
    why = "sent an Origin that no browser writes; it is ignored"
    assert log.lines() == [
        f'{NOTICED} host=example.com target=/demo reason="{why}" origin={origin} dialect={dialect}'
    ]
    end.done()


def test_an_accepted_origin_is_not_logged(log: Log) -> None:
    for options in ({"origins": ["a-word"]}, {"origins": ["*"]}):
        end = ServerEnd(Applications(), **options)
        end.receive(whole_request("rfc6455", origin="A-Word"))
        assert status_of(end.wire.written) == 101
        assert log.lines() == []
        end.done()


@pytest.mark.parametrize("have", [0, 5])
@pytest.mark.parametrize("ending", ["late", "lost"])
def test_missing_bytes_of_a_hixie_76_handshake_are_in_the_log(
    have: int, ending: str, log: Log
) -> None:
    """A reverse proxy such as Caddy 2.6 may have discarded the eight bytes."""
    end = ServerEnd(Applications(), limits=Limits(open_timeout=10))
    end.receive(handshake_bytes.request("hixie-76") + KEY3[:have])
    assert status_of(end.wire.written) == 101
    if ending == "late":
        end.clock.advance(10)
    end.done()
    why = f"did not send the last {8 - have} bytes of its handshake; did a proxy keep them?"
    origin = "origin=http://example.com dialect=hixie-76"
    assert log.lines() == [f'{NOTICED} host=example.com target=/demo reason="{why}" {origin}']


def test_a_client_that_disconnects_early_is_not_logged_for_missing_bytes(log: Log) -> None:
    for data in (b"", b"GET / HTTP/1.1\r\n", handshake_bytes.request("rfc6455")[:-2]):
        end = ServerEnd(Applications())
        end.receive(data)
        end.done()
    assert log.lines() == []


# HTTP/1.0.


def test_an_upgrade_in_HTTP_1_0_is_a_page_request_where_there_are_pages(log: Log) -> None:
    """A server ignores Upgrade in HTTP/1.0 (RFC 9110 section 7.8); a log line reports the request
    to the operator."""
    told: list[bytes] = []

    class Page(Protocol):
        def dataReceived(self, data: bytes) -> None:
            told.append(data)

    end = ServerEnd(Applications(), elsewhere=Factory.forProtocol(Page))
    end.receive(recorded("http10_upgrade_as_nginx_sends"))
    assert told
    assert told[0].startswith(b"GET /chat HTTP/1.0\r\n")
    why = "WebSocket needs HTTP/1.1 (in nginx: proxy_http_version 1.1)"
    asked = "host=127.0.0.1:8080 target=/chat"
    assert log.lines() == [f'{NOTICED} {asked} reason="sent an upgrade request in HTTP/1.0; {why}"']
    end.done()


@pytest.mark.parametrize("lines", [b"", b"Upgrade: h2c\r\n"])
def test_other_requests_in_HTTP_1_0_get_a_404(lines: bytes, log: Log) -> None:
    end = ServerEnd(Applications())
    end.receive(b"GET / HTTP/1.0\r\nConnection: Upgrade\r\n" + lines + b"\r\n")
    assert status_of(end.wire.written) == 404
    end.done()


# Answers.


def test_a_lenient_client_takes_hixie_76s_status_line_in_hixie_75() -> None:
    """A strict client does not accept it: the draft fixes every byte of the status line."""
    data = recorded("answer_hixie75_with_hixie76_status_line")
    offer = Offer("hixie-75", "/echo", "127.0.0.1:8080", "http://127.0.0.1:8080")
    found, rest = same_every_way(lambda chunks: ask(offer, (), chunks), data, b"\0x\xff")
    assert (found, rest) == ("status", b"")
    end = memory_connection.ClientEnd(
        Applications(Recorder),
        "ws://127.0.0.1:8080/echo",
        dialect="hixie-75",
        lenient=True,
        origin="http://127.0.0.1:8080",
    )
    end.receive(data + b"\0x\xff")
    application: Any = end.factory.applications
    assert application.made[0].messages == ["x"]
    end.done()
