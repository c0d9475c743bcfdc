"""The handshake without keys: three fixed lines, and an answer that repeats the question."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import same_every_way
from support.handshakes import ask, cut, drawn, offers, request_of, serve
from support.http_heads import request
from txhixie.errors import (
    EarlyBytes,
    HandshakeRefused,
    InvalidHandshake,
    MalformedHead,
    UnsupportedByDialect,
)
from txhixie.sansio.dialects import named
from txhixie.sansio.handshake.fields import whole_subprotocol
from txhixie.sansio.handshake.offer import Agreement, Offer
from txhixie.sansio.http.head import Head

NAMES = ["hixie-54", "hixie-75"]
FIXED = (b"Upgrade: WebSocket", b"Connection: Upgrade")
STATUS = b"HTTP/1.1 101 Web Socket Protocol Handshake"


def origin_line(name: str) -> bytes:
    """The field that names the origin in a request of a dialect."""
    return (b"WebSocket-Origin" if name == "hixie-54" else b"Origin") + b": http://example.com"


@pytest.mark.parametrize("name", NAMES)
def test_a_client_writes_the_request_in_the_order_of_the_draft(name: str) -> None:
    """Upgrade, Connection, Host, Origin, Protocol, then what it wants sent besides."""
    offer = replace(offers(named(name)), subprotocols=("sample",))
    offer.head = Head.of(b"", ((b"Cookie", b"a=b"),))
    assert named(name).handshake.write_offer(offer, ()) == request(
        *FIXED,
        b"Host: example.com",
        origin_line(name),
        b"WebSocket-Protocol: sample",
        b"Cookie: a=b",
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_client_writes_its_origin_in_lower_case(name: str) -> None:
    """The draft demands it: the response is compared with that origin, so a server may only
    repeat it."""
    offer = offers(named(name), origin="HTTP://Example.com")
    written = named(name).handshake.write_offer(offer, ())
    assert origin_line(name) + b"\r\n" in written
    assert ask(offer, (), [serve([written]).answer])[0] == Agreement(
        None,
        (
            (b"upgrade", b"WebSocket"),
            (b"connection", b"Upgrade"),
            (b"websocket-origin", b"http://example.com"),
            (b"websocket-location", b"ws://example.com/demo"),
        ),
    )


@pytest.mark.parametrize("name", NAMES)
def test_there_is_room_for_one_subprotocol(name: str) -> None:
    """A second one is refused before anything is sent; a list in one string is one."""
    row = named(name)
    with pytest.raises(UnsupportedByDialect, match="one subprotocol"):
        row.handshake.write_offer(replace(offers(row), subprotocols=("a", "b")), ())
    for joined in (("a, b", "a", "b"), ("a, b",)):
        asked = replace(offers(row), subprotocols=joined)
        assert b"WebSocket-Protocol: a, b\r\n" in row.handshake.write_offer(asked, ())


@pytest.mark.parametrize("name", [*NAMES, "hixie-76"])
@pytest.mark.parametrize("bad", [{"origin": "http://a\r\nX: y"}, {"subprotocols": ("a\r\nX: y",)}])
def test_nothing_a_client_asks_for_splits_its_request(name: str, bad: dict[str, str]) -> None:
    """A page's words written into a request add no field to it."""
    row = named(name)
    # Which field is bad, only the case knows.
    offer = Offer(**{"dialect": name, "target": "/", "host": "a", **bad})  # type: ignore[arg-type]  # the options come from a dictionary, and are checked when the test runs
    with pytest.raises(ValueError, match="header field"):
        row.handshake.write_offer(offer, (b"1 1", b"1 1", b"12345678"))


@pytest.mark.parametrize("name", NAMES)
def test_a_server_reads_what_is_asked(name: str) -> None:
    """The other fields may come in any order and case."""
    data = request(
        *FIXED,
        b"websocket-PROTOCOL: sample",
        b"X-Other: 1",
        origin_line(name).swapcase().replace(b"HTTP://EXAMPLE.COM", b"http://example.com"),
        b"HOST: Example.com:80",
    )
    served = same_every_way(serve, data)
    assert served.found == Offer(
        name, "/demo", "Example.com:80", "http://example.com", False, ("sample",)
    )
    assert (served.proved, served.rest) == (True, b"")


@pytest.mark.parametrize("name", NAMES)
def test_a_server_answers_in_the_order_of_the_draft(name: str) -> None:
    """Nothing else may stand between: these clients compare the first bytes to the letter."""
    agreement = Agreement("sample", ((b"Set-Cookie", b"a=b"),))
    data = request(*FIXED, b"Host: example.com:80", origin_line(name))
    assert serve([data], secure=False, agreement=agreement).answer == (
        STATUS + b"\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
        b"WebSocket-Origin: http://example.com\r\nWebSocket-Location: ws://example.com/demo\r\n"
        b"WebSocket-Protocol: sample\r\nSet-Cookie: a=b\r\n\r\n"
    )


def test_the_location_of_a_server_behind_tls_has_wss() -> None:
    """Also where a reverse proxy terminates TLS: the location is the URL that the client used."""
    data = request(*FIXED, b"Host: example.com:443", b"Origin: https://example.com")
    answer = serve([data], secure=True).answer
    assert b"WebSocket-Location: wss://example.com/demo\r\n" in answer


def test_a_client_that_names_no_origin_is_answered_without_one() -> None:
    """Only browsers are bound to; there is nothing to repeat."""
    served = serve([request(*FIXED, b"Host: example.com")])
    assert served.found == Offer("hixie-75", "/demo", "example.com")
    assert b"Origin" not in served.answer
    assert isinstance(
        ask(Offer("hixie-75", "/demo", "example.com"), (), [served.answer])[0], Agreement
    )


def test_an_origin_is_repeated_as_it_came() -> None:
    """``null``, ``file://`` and upper case are for the policy to judge."""
    for origin in (b"null", b"file://", b"http://Example.COM", b""):
        served = serve([request(*FIXED, b"Host: a", b"Origin: " + origin)])
        assert b"WebSocket-Origin: " + origin + b"\r\n" in served.answer


REWRITTEN = [
    (b"Connection: Upgrade", b"Upgrade: WebSocket"),
    (b"Host: a", *FIXED),
    (b"Host: a", b"Connection: upgrade", b"Upgrade: WebSocket"),  # nginx, as most write it
    (b"upgrade: WebSocket", b"Connection: Upgrade"),
    (b"Upgrade: websocket", b"Connection: Upgrade"),  # Caddy
    (b"Upgrade: WebSocket", b"Connection: Upgrade, keep-alive"),
    (b"Upgrade: WebSocket", b"Connection: close, upgrade"),  # lighttpd
    (b"Upgrade: WebSocket", b"Connection: close", b"Connection: upgrade"),
    (b"Upgrade:WebSocket", b"Connection: Upgrade"),
    (b"Upgrade:  WebSocket\t", b"Connection: Upgrade "),
    (b"Upgrade: WebSocket", b"X: y", b"Connection: Upgrade"),
]


@pytest.mark.parametrize("lines", REWRITTEN)
def test_a_server_takes_what_a_reverse_proxy_has_rewritten(lines: tuple[bytes, ...]) -> None:
    """Values count, not the order of fields nor the case of names; the slides stay to the byte."""
    host = [] if b"Host: a" in lines else [b"Host: a"]
    data = request(*lines, *host, b"Origin: http://a")
    served = same_every_way(serve, data)
    assert served.found == Offer("hixie-75", "/demo", "a", "http://a")
    assert served.answer.startswith(STATUS + b"\r\n" + FIXED[0] + b"\r\n" + FIXED[1] + b"\r\n")
    slides = data.replace(b"Origin:", b"WebSocket-Origin:")
    assert same_every_way(serve, slides).found == MalformedHead


def test_the_fields_may_stand_in_any_order() -> None:
    """All orders of the five that Safari 5.0.0 sends."""
    fields = (*FIXED, b"Host: a", b"Origin: http://a", b"WebSocket-Protocol: x")
    for order in permutations(fields):
        served = serve([request(*order)])
        assert served.found == Offer("hixie-75", "/demo", "a", "http://a", False, ("x",))


@pytest.mark.parametrize(
    "lines",
    [
        (b"Upgrade: WebSocket, h2c", b"Connection: Upgrade", b"Origin: http://a"),
        (b"Upgrade: WebSocket", b"Connection: keep-alive", b"Origin: http://a"),
        (b"Upgrade: WebSocket", b"Connection: Upgrades", b"Origin: http://a"),
        (b"Upgrade: websocket", b"Connection: Upgrade"),  # a modern request by hand, without a key
        (b"Upgrade: WebSocket", b" Connection: Upgrade", b"Origin: http://a"),
        (b"Upgrade: WebSocket", b"Connection:", b" Upgrade", b"Origin: http://a"),
        (b"Upgrade : WebSocket", b"Connection: Upgrade", b"Origin: http://a"),
    ],
)
def test_other_values_and_folded_lines_are_refused(lines: tuple[bytes, ...]) -> None:
    """Of two contradicting values, neither is chosen."""
    assert same_every_way(serve, request(b"Host: a", *lines)).found == MalformedHead


@pytest.mark.parametrize(
    "lines",
    [
        (b"Origin: http://a", b"Origin: http://a"),
        (b"Origin: http://a", b"WebSocket-Origin: http://a"),
        (b"WebSocket-Origin: http://a", b"WebSocket-Origin: http://b"),
        (b"Origin: http://\xe4",),
        (b"WebSocket-Protocol: a", b"WebSocket-Protocol: b"),
        (b"WebSocket-Protocol: a\tb",),
        (b"Host: b",),
        (b"Upgrade: WebSocket",),
        (b": x",),
        (b"Transfer-Encoding: chunked",),
        (b"Content-Length: 8",),
        (b"Content-Length: 0", b"Content-Length: 0"),
    ],
)
def test_a_contradicting_request_is_refused(lines: tuple[bytes, ...]) -> None:
    """A proxy on the way may have read the other value."""
    assert serve([request(*FIXED, b"Host: a", *lines)]).found == MalformedHead


def test_a_body_of_nothing_is_no_body() -> None:
    """``Content-Length: 0`` says nothing that is not so."""
    data = request(*FIXED, b"Host: a", b"Origin: http://a", b"Content-Length: 0")
    assert isinstance(serve([data]).found, Offer)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("early", [b"\x00Hi\xff", b"\r\n", b"GET / HTTP/1.1\r\n\r\n"])
def test_bytes_in_the_same_read_are_not_the_clients(name: str, early: bytes) -> None:
    """The client waits for the response: bytes behind its head were injected by an attacker."""
    data = request(*FIXED, b"Host: a", origin_line(name)) + early
    assert serve([data]).found == EarlyBytes


CHECKS = [
    ([b"HTTP/1.1 101 Web Socket Protocol Handshake "], "status"),
    ([b"HTTP/1.1"], "status-line"),
    ([b"HTTP/1.1 101"], "status-line"),
    ([b"HTTP/1.1 200 OK"], 200),
    ([b"HTTP/1.1 407 x", b": y"], "empty-name"),
    ([b"HTTP/1.1 403 x", b" y"], "header-syntax"),
    ([b"HTTP/1.0 101 Web Socket Protocol Handshake", *FIXED], "status"),
    ([b"HTTP/1.1 1O1 x"], "status"),
    ([b"HTTP/1.1 0200 x"], "status"),
    ([STATUS, b"Upgrade: websocket", b"Connection: Upgrade"], "prefix"),
    ([STATUS], "prefix"),
    ([STATUS, *FIXED, b": x"], "empty-name"),
    ([STATUS, *FIXED], "count:websocket-origin"),
]


@pytest.mark.parametrize(("lines", "result"), CHECKS)
def test_a_client_checks_in_the_order_of_the_draft(lines: list[bytes], result: object) -> None:
    """The first check that fails is reported, for any cuts of the reads."""
    answer = b"\r\n".join(lines) + b"\r\n\r\n"
    offer = offers(named("hixie-75"))
    assert same_every_way(lambda chunks: ask(offer, (), chunks)[0], answer) == result


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("change", "strict"),
    [
        ((b"Upgrade: WebSocket", b"upgrade: websocket"), "prefix"),  # Netty
        ((b"Upgrade: WebSocket\r\nConn", b"X: y\r\nUpgrade: WebSocket\r\nConn"), "prefix"),
        ((b"Connection: Upgrade", b"Connection: upgrade, keep-alive"), "prefix"),
        ((b"Web Socket Protocol Handshake", b"WebSocket Protocol Handshake"), "status"),
        ((b"Web Socket Protocol Handshake", b"Switching Protocols"), "status"),
        ((b"HTTP/1.1 101 Web Socket Protocol Handshake", b"HTTP/1.1 101"), "status-line"),
    ],
)
def test_a_lenient_client_takes_another_phrase_and_other_lines(
    name: str, change: tuple[bytes, bytes], strict: str
) -> None:
    """A strict one holds an answer to the letter, as the draft has it; every other check stands."""
    row = named(name)
    good = serve([row.handshake.write_offer(offers(row), ())]).answer
    answer = good.replace(*change)
    assert answer != good
    lenient = row.handshake.leniently()
    assert lenient.read_agreement(offers(row), (), Head(answer)).subprotocol is None
    assert ask(offers(row), (), [answer])[0] == strict
    location = answer.replace(b"Location: ws://example.com", b"Location: ws://other.example")
    with pytest.raises(InvalidHandshake, match=r"^location-mismatch"):
        lenient.read_agreement(offers(row), (), Head(location))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("good", "wrong", "check"),
    [
        (b"Upgrade: WebSocket", b"Upgrade: WebSockets", "prefix"),
        (b"Connection: Upgrade", b"Connection: close", "prefix"),
        (b"Upgrade: WebSocket", b"Upgrade: WebSocket\r\nUpgrade: WebSocket", "prefix"),
        (b"101", b"1O1", "status"),
        (b"HTTP/1.1", b"HTTP/2.0", "status"),
    ],
)
def test_a_lenient_client_takes_no_other_values(
    name: str, good: bytes, wrong: bytes, check: str
) -> None:
    """The answer has to say that it is WebSocket, in one way."""
    row = named(name)
    answer = serve([row.handshake.write_offer(offers(row), ())]).answer.replace(good, wrong, 1)
    with pytest.raises(InvalidHandshake, match=f"^{check}"):
        row.handshake.leniently().read_agreement(offers(row), (), Head(answer))


def test_a_lenient_client_reports_a_refusal() -> None:
    """The reason phrase may be any text."""
    with pytest.raises(HandshakeRefused):
        lenient = named("hixie-75").handshake.leniently()
        lenient.read_agreement(offers(named("hixie-75")), (), Head(b"HTTP/1.1 403 No\r\n\r\n"))


LISTS = ["binary,base64", "v10.stomp, v11.stomp", "a,b,c,d", "a,a", "x y,z", "b,"]


@pytest.mark.parametrize("name", [*NAMES, "hixie-76"])
@pytest.mark.parametrize("asked", [*LISTS, "sample", "x y"])
def test_the_answer_to_a_list_is_the_whole_of_it(name: str, asked: str) -> None:
    """WebKit compares the response with the string that it sent, for any agreed member."""
    row = named(name)
    offer = replace(offers(row), subprotocols=whole_subprotocol(asked))
    written = row.handshake.write_offer(offer, drawn(row))
    field = b"Sec-WebSocket-Protocol" if name == "hixie-76" else b"WebSocket-Protocol"
    for member in whole_subprotocol(asked):
        served = serve([written], agreement=Agreement(member))
        assert isinstance(served.found, Offer)
        assert served.found.subprotocols == whole_subprotocol(asked)
        assert b"\r\n" + field + b": " + asked.encode() + b"\r\n" in served.answer
        agreement, _ = ask(offer, drawn(row), [served.answer])
        assert isinstance(agreement, Agreement)
        assert agreement.subprotocol == asked


def test_no_dialect_without_keys_has_anything_to_prove() -> None:
    """Nothing is drawn, and nothing follows a head."""
    handshake = named("hixie-75").handshake
    assert handshake.draw(bytes) == ()
    assert (handshake.offer_body(), handshake.agreement_body()) == (0, 0)
    assert handshake.write_proof(offers(named("hixie-75")), b"") == b""
    assert not handshake.early_bytes()
    handshake.check_proof((), b"")


visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)
plain = st.text(st.sampled_from("abz019-."), min_size=1, max_size=12)


@given(
    st.sampled_from(NAMES),
    visible,
    plain,
    st.none() | visible.map(str.lower),
    st.booleans(),
    st.none() | st.text(st.sampled_from("ab ,"), max_size=9).map(str.strip),
)
def test_any_offer_can_be_read(
    name: str, path: str, host: str, origin: str | None, secure: bool, protocol: str | None
) -> None:
    """The two halves agree on every offer."""
    row = named(name)
    if origin is None and name == "hixie-54":
        origin = ""  # without one it could be anybody's
    subprotocols = whole_subprotocol(protocol) if protocol else ()
    offer = Offer(name, "/" + path, host, origin, secure, subprotocols)
    head, body = cut(row.handshake.write_offer(offer, ()))
    assert row.handshake.read_offer(request_of(head), secure) == offer
    assert serve([head.raw], secure=secure).found == offer
    assert body == b""


@given(st.sampled_from(NAMES), visible, plain, visible, st.booleans(), st.sampled_from(["", "x y"]))
def test_any_agreement_can_be_read(
    name: str, path: str, host: str, origin: str, secure: bool, subprotocol: str
) -> None:
    """A client accepts the response of the package's own server, for any offer."""
    chosen = subprotocol or None
    offer = Offer(name, "/" + path, host, origin, secure, (subprotocol,) if chosen else ())
    request_bytes = named(name).handshake.write_offer(offer, ())
    extra = ((b"Set-Cookie", b"a"), (b"Set-Cookie", b"b"))
    served = serve([request_bytes], secure=secure, agreement=Agreement(chosen, extra))
    agreement, rest = same_every_way(lambda chunks: ask(offer, (), chunks), served.answer, b"\0x")
    assert isinstance(agreement, Agreement)
    assert (agreement.subprotocol, rest) == (chosen, b"\0x")
    assert [value for field, value in agreement.headers if field == b"set-cookie"] == [b"a", b"b"]
