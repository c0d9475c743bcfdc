"""Opening handshakes from the first byte to the agreement, in every dialect, as server and as
client."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import Chunks, byte_by_byte, every_way, same_every_way
from support.handshakes import (
    LIMITS,
    Served,
    ask,
    client_opening,
    cut,
    drawn,
    offer_of,
    offers,
    secret_of,
    serve,
    server_opening,
)
from support.held_bytes import kept
from support.http_heads import FIELDS_76, HEAD_76, KEY3, REQUEST_75, request
from support.peer_errors import assert_raises
from support.vectors import VECTORS, Item, dialect_of, each, is_spoken, vectors
from txhixie.errors import (
    EarlyBytes,
    HandshakeRefused,
    HeadTooLarge,
    InvalidHandshake,
    MalformedHead,
    UnknownDialect,
    UnsupportedVersion,
)
from txhixie.sansio.dialects import DIALECTS, Dialect, Version, named, refusal
from txhixie.sansio.handshake.hixie75 import Hixie75
from txhixie.sansio.handshake.offer import Agreement, Offer, Refusal
from txhixie.sansio.http.head import FlashPolicyAsked, Head
from txhixie.sansio.opening import ClientOpening, Elsewhere, ServerOpening, last_request
from txhixie.testing.strategies import deliveries

# The vectors.


@vectors("handshakes", is_spoken)
def test_a_client_writes_the_requests_of_the_vectors(item: Item) -> None:
    """The header lines are equal, in any order where the draft allows it; the raw bytes are
    equal."""
    head, body = cut(bytes.fromhex(item["request"]))
    handshake = named(dialect_of(item)).handshake
    written, key3 = cut(handshake.write_offer(offer_of(item), secret_of(head, body)))
    assert written.start_line == head.start_line
    lines = head.raw.split(b"\r\n")
    if item["id"] == "hs-v8-late-origin":  # what Firefox wrote; ours has the older of two names
        lines[lines.index(b"Connection: keep-alive, Upgrade")] = b"Connection: Upgrade"
        lines[lines.index(b"Origin: http://example.com")] = (
            b"Sec-WebSocket-Origin: http://example.com"
        )
    assert sorted(written.raw.split(b"\r\n")) == sorted(lines)
    assert key3 == body


@vectors("handshakes", is_spoken)
def test_a_server_understands_the_vectors(item: Item) -> None:
    """The request and its dialect are recognised, however the bytes arrive."""
    secure = item["url"].startswith("wss")
    data = bytes.fromhex(item["request"])
    served = same_every_way(lambda chunks: serve(chunks, secure=secure), data)
    assert served.found == offer_of(item)
    assert (served.proved, served.rest) == (True, b"")


@vectors("handshakes", lambda item: is_spoken(item) and item["client_result"] == "ok")
def test_a_server_answers_as_in_the_vectors(item: Item) -> None:
    """The header lines are equal in any order, since clients ignore the order, and the proof is
    equal."""
    offer = offer_of(item)
    chosen = next(iter(offer.subprotocols), None)
    data = bytes.fromhex(item["request"])
    answer = serve([data], secure=offer.secure, agreement=Agreement(chosen)).answer
    head, proof = cut(answer)
    expected, expected_proof = cut(bytes.fromhex(item["response"]))
    assert head.start_line == expected.start_line
    assert sorted(head.raw.split(b"\r\n")) == sorted(expected.raw.split(b"\r\n"))
    assert proof == expected_proof


def result(item: Item, secret: tuple[bytes, ...], tail: bytes) -> tuple[object, bytes]:
    """The client's verdict on a vector's response: ``"ok"`` or the check that failed."""
    data = bytes.fromhex(item["response"])
    offer = offer_of(item)
    found, rest = same_every_way(lambda chunks: ask(offer, secret, chunks), data, tail)
    return ("ok" if isinstance(found, Agreement) else found), rest


@vectors("handshakes", is_spoken)
def test_a_client_accepts_or_rejects_the_answers_of_the_vectors(item: Item) -> None:
    """The response printed in the slides answers for another resource, so a client rejects it."""
    head, body = cut(bytes.fromhex(item["request"]))
    judged, rest = result(item, secret_of(head, body), b"\x00Hi\xff")
    assert judged == item["client_result"]
    assert rest == (b"\x00Hi\xff" if judged == "ok" else b"")


@vectors("client_checks", is_spoken)
def test_a_client_makes_the_checks_of_the_vectors(item: Item) -> None:
    """The first check that fails is reported, however the response arrives."""
    keys = tuple(item[name].encode() for name in ("key", "key1", "key2") if name in item)
    key3 = (bytes.fromhex(item["key3"]),) if "key3" in item else ()
    judged, rest = result(item, keys + key3, b"")
    assert judged == item["result"]
    assert rest.hex() == item.get("rest", "")


ELSEWHERE = {"policy-file": FlashPolicyAsked, "tls": MalformedHead, "h2": UnsupportedVersion}
JUDGED_BY_ITS_ROW = {"d-v13-no-key", "d-v13-dup-key", "d-v13-no-host"}
"""Vectors whose version is checked first: where the version is not enabled, no other check is
made."""


def version_of(item: Item) -> bytes | None:
    """The version header of the request."""
    found = re.search(rb"Sec-WebSocket-Version: (\S*)", bytes.fromhex(item["data"]))
    return found[1] if found else None


def expected_error(item: Item) -> type[Exception] | None:
    """The error of a server that speaks all dialects, or ``None``."""
    action: str = item["action"]
    spoken = {
        str(row.marker.number).encode() for row in DIALECTS if isinstance(row.marker, Version)
    }
    if action in ELSEWHERE:
        return ELSEWHERE[action]
    if action == "accept-strict:early-data":
        return EarlyBytes
    if action == "426" or (item["id"] in JUDGED_BY_ITS_ROW and version_of(item) not in spoken):
        return UnknownDialect
    if action == "400":
        return MalformedHead
    if item["dialect"] and action != "http" and not is_spoken(item):
        return UnknownDialect if version_of(item) is not None else MalformedHead
    return None


@each(item for item in VECTORS["detect"] if expected_error(item) is not None)
def test_a_server_refuses_what_the_vectors_refuse(item: Item) -> None:
    """The error has the status of the response, however the bytes arrive."""
    data = bytes.fromhex(item["data"])
    deliveries = [[data]] if item["action"].endswith("early-data") else every_way(data)
    for chunks in deliveries:
        assert serve(chunks).found is expected_error(item)


@each(item for item in VECTORS["detect"] if expected_error(item) is None)
def test_a_server_accepts_what_the_vectors_accept(item: Item) -> None:
    """Each request is in its dialect; ordinary HTTP is passed on, and an incomplete head waits
    for more bytes."""
    served = same_every_way(serve, bytes.fromhex(item["data"]))
    if item["action"] == "more":
        assert served == Served()
    elif item["action"] == "http":
        assert isinstance(served.found, Elsewhere)
    else:
        assert isinstance(served.found, Offer)
        assert served.found.dialect == dialect_of(item)
        assert served.proved == (item["action"] != "send-101-then-wait-8")


@each(item for item in VECTORS["detect"] if item["action"] == "send-101-then-wait-8")
def test_a_server_sends_its_head_and_waits_for_the_eight_bytes(item: Item) -> None:
    """Some proxies forward the eight bytes only after the head, and they may arrive in a read of
    their own."""
    data = bytes.fromhex(item["data"])
    assert same_every_way(serve, data).answer.endswith(b"\r\n\r\n")
    missing = KEY3[item.get("key3_have", 0) :]
    assert serve([data, *byte_by_byte(missing)]).answer.endswith(b"8jKS'y:G*Co,Wxa-")


def tell(opening: ClientOpening, answer: bytes) -> None:
    """Deliver a response to a client, and end the connection."""
    opening.receive(answer)
    opening.end()


@vectors("negotiation")
def test_an_unknown_version_is_negotiated(item: Item) -> None:
    """The server's response names its versions, and the client's error repeats them."""
    assert serve([bytes.fromhex(item["request"])]).found is UnknownDialect
    ours = dict(refusal(UnknownDialect("25"), DIALECTS).headers)[b"Sec-WebSocket-Version"]
    assert [int(number) for number in ours.split(b", ")] == item["versions"]
    opening = client_opening(offers(named("hixie-76")), drawn(named("hixie-76")))
    with pytest.raises(HandshakeRefused) as caught:
        tell(opening, bytes.fromhex(item["response"]))
    told = b",".join(value for name, value in caught.value.headers if name.endswith(b"-version"))
    assert [int(number) for number in told.split(b",")] == item["versions"]


# Every dialect, between our own two sides.


every_row = pytest.mark.parametrize("row", DIALECTS, ids=lambda row: row.name)


@every_row
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("origin", ["http://example.com", "null"])
def test_every_dialect_opens_between_our_own_two_sides(
    row: Dialect, secure: bool, origin: str
) -> None:
    """However the request and the response arrive."""
    offer = replace(offers(row, origin=origin), secure=secure)
    opening = client_opening(offer, drawn(row))
    written = opening.request()
    served = same_every_way(lambda chunks: serve(chunks, secure=secure), written)
    assert served.found == offer
    agreement, rest = same_every_way(
        lambda chunks: ask(offer, drawn(row), chunks), served.answer, b"\x00Hi\xff"
    )
    assert isinstance(agreement, Agreement)
    assert rest == b"\x00Hi\xff"


@every_row
def test_an_incomplete_response_is_no_agreement(row: Dialect) -> None:
    """The connection may end anywhere in the response."""
    offer, secret = offers(row), drawn(row)
    answer = serve([client_opening(offer, secret).request()]).answer
    for count in range(len(answer)):
        assert ask(offer, secret, [answer[:count]]) == ("eof", b"")


@every_row
@pytest.mark.parametrize(
    "waits",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3,
    ],
)
def test_an_interim_response_comes_before_the_final_one(row: Dialect, waits: bytes) -> None:
    """The server or its reverse proxy may send interim responses (RFC 9110 section 15.2); the
    final one follows."""
    offer, secret = offers(row), drawn(row)
    answer = waits + serve([client_opening(offer, secret).request()]).answer
    agreement, rest = same_every_way(lambda chunks: ask(offer, secret, chunks), answer, b"\x00Hi")
    assert isinstance(agreement, Agreement)
    assert rest == b"\x00Hi"
    assert ask(offer, secret, [waits]) == ("eof", b"")
    assert ask(offer, secret, [waits + b"HTTP/1.1 404 Not Found\r\n\r\n"])[0] == 404


# Ordinary HTTP.


@pytest.mark.parametrize(
    "line", [b"POST / HTTP/1.1", b"GET / HTTP/1.0", b"HEAD / HTTP/1.1", b"PUT / HTTP/1.2"]
)
def test_a_request_without_an_upgrade_is_ordinary_http(line: bytes) -> None:
    """Every byte of the request is passed on, with the rest of the read, and its connection is
    marked to close."""
    data = request(*FIELDS_76, line=line)
    served = same_every_way(serve, data, b"body")
    assert isinstance(served.found, Elsewhere)
    passed, rest = cut(served.found.replay(last=True))
    kept_lines = [line for line in data.split(b"\r\n") if b"Connection" not in line]
    assert passed.raw == b"\r\n".join([*kept_lines[:-2], b"Connection: close", b"", b""])
    assert rest == b"body"


@pytest.mark.parametrize("value", [b"h2c", b"websocket2", b"web socket", b""])
def test_another_upgrade_is_ordinary_http(value: bytes) -> None:
    """The upgrade is to a protocol other than WebSocket."""
    served = serve([request(b"Host: a", b"Connection: Upgrade", b"Upgrade: " + value)])
    assert isinstance(served.found, Elsewhere)


def test_a_request_that_is_passed_on_is_the_last_one() -> None:
    """Its Connection header may have any value: a handshake after it would not be seen."""
    head = Head(request(b"CONNECTION: keep-alive", b"Keep-Alive: 5", b"A: Connection: x"))
    assert last_request(head).raw == request(b"A: Connection: x", b"Connection: close")
    assert last_request(last_request(head)).raw == last_request(head).raw


def test_names_of_fields_in_connection_stay_for_a_gateway() -> None:
    """They are behind ``close``, which ``twisted.web`` reads from the first Connection only."""
    head = Head(request(b"Connection: keep-alive, X-One", b"A: b", b"Connection: X-Two ,close"))
    closes = [b"Connection: close", b"Connection: X-One, X-Two"]
    assert last_request(head).raw == request(b"A: b", *closes)
    assert last_request(last_request(head)).raw == last_request(head).raw


# Which dialects are spoken.


def test_a_request_of_a_disabled_dialect_is_refused() -> None:
    """A complete request gets status 426; a server of one dialect accepts that dialect."""
    assert serve([REQUEST_75], "hixie-76").found is UnknownDialect
    assert serve([HEAD_76 + KEY3], "hixie-75", "hixie-54").found is UnknownDialect
    assert isinstance(serve([REQUEST_75], "hixie-75").found, Offer)
    assert isinstance(serve([HEAD_76 + KEY3], "hixie-76").found, Offer)


# Limits.


def test_a_request_has_so_many_fields_and_no_more() -> None:
    """The bytes of a request are bounded too; the application sets both limits."""
    limits = replace(LIMITS, head_fields=len(FIELDS_76), head_size=len(HEAD_76))
    assert isinstance(serve([HEAD_76], limits=limits).found, Offer)
    for less in ({"head_fields": len(FIELDS_76) - 1}, {"head_size": len(HEAD_76) - 1}):
        assert serve([HEAD_76], limits=replace(limits, **less)).found is HeadTooLarge


def test_an_answer_has_so_many_bytes_and_no_more() -> None:
    """A server cannot make a client read without end."""
    opening = client_opening(offers(DIALECTS[0]), drawn(DIALECTS[0]), replace(LIMITS, head_size=99))
    assert opening.receive(b"HTTP/1.1 101 " + b"x" * 86) is None
    with pytest.raises(
        InvalidHandshake, match=r"^header-syntax: size of the head exceeds our limit of 99 "
    ):
        opening.receive(b"x")


def test_interim_responses_count_to_the_limit_of_the_response() -> None:
    """All heads together are within the limit of one."""
    wait = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    limits = replace(LIMITS, head_size=10 * len(wait))
    opening = client_opening(offers(named("rfc6455")), drawn(named("rfc6455")), limits)
    assert opening.receive(wait * 10) is None
    with pytest.raises(InvalidHandshake, match="header-syntax"):
        opening.receive(wait)


def test_while_an_application_decides_only_the_offer_is_kept() -> None:
    """The head, the offer, and at most the eight bytes are kept."""
    opening = server_opening()
    opening.receive(HEAD_76 + KEY3)
    assert kept(opening) < 2 * len(HEAD_76)
    assert_raises(EarlyBytes, opening.keep, b"x")


class Impatient(Hixie75):
    """A handshake whose clients may send before the response, as those of RFC 6455 do."""

    def early_bytes(self) -> bool:
        """Allow early bytes."""
        return True


def test_early_bytes_are_kept_within_the_limit() -> None:
    """Early bytes belong to the conversation once the handshake has completed."""
    handshake = Impatient("hixie-75", b"Origin")
    row = replace(named("hixie-75"), marker=Version(13), handshake=handshake)
    data = REQUEST_75[:-2] + b"Sec-WebSocket-Version: 13\r\n\r\n"
    opening = ServerOpening([row], replace(LIMITS, early_size=8), False)
    assert isinstance(opening.receive(data + b"\x00Hi"), Offer)
    opening.keep(b"\xff\x00Ho\xff")
    opening.agree(Agreement())
    assert (opening.proof(), opening.rest) == (b"", b"\x00Hi\xff\x00Ho\xff")
    assert_raises(EarlyBytes, opening.keep, b"x")


def refused(opening_data: Chunks, limit: int = 10) -> HandshakeRefused | None:
    """The refusal that this delivery raises in the client, or ``None``."""
    row = named("hixie-76")
    opening = client_opening(offers(row), drawn(row), replace(LIMITS, refusal_size=limit))
    try:
        for chunk in opening_data:
            assert opening.receive(chunk) is None
            assert kept(opening) <= 2000
    except HandshakeRefused as error:
        return error
    return None


def test_a_refusal_is_raised_with_its_body() -> None:
    """The refusal is raised as soon as its body is complete, however it arrives, and without the
    bytes behind it."""
    answer = b"HTTP/1.1 403 No\r\nContent-Length: 3\r\nX: y\r\n\r\nno\n"
    for chunks in every_way(answer, b"HTTP"):
        error = refused(chunks)
        assert error is not None
        assert (error.status, error.body) == (403, b"no\n")
        assert error.headers == ((b"content-length", b"3"), (b"x", b"y"))


def test_our_own_refusals_are_understood() -> None:
    """All statuses with which a server of ours refuses."""
    error = refused([Refusal(503, "ü\n").write()])
    assert error is not None
    assert (error.status, error.body) == (503, "ü\n".encode())


@pytest.mark.parametrize(
    "length",
    [
        b"Content-Length: 99999999999999999999",
        b"Content-Length: 11",
        b"X: y",
        b"Content-Length: -1",
    ],
)
def test_of_a_refusal_no_more_than_the_limit_is_kept(length: bytes) -> None:
    """Neither a Content-Length nor its absence makes the client keep more."""
    answer = b"HTTP/1.1 403 No\r\n" + length + b"\r\n\r\n" + b"x" * 10
    error = refused([*byte_by_byte(answer), b"y" * 1000])
    assert error is not None
    assert error.body == b"x" * 10


def test_a_refusal_ends_with_the_connection() -> None:
    """The error has as much of the body as arrived."""
    head = b"HTTP/1.1 500 Oh\r\nContent-Length: 5\r\n\r\n"
    for body in (b"", b"ab"):
        opening = client_opening(offers(DIALECTS[0]), ())
        assert opening.receive(head + body) is None
        with pytest.raises(HandshakeRefused) as caught:
            opening.end()
        assert (caught.value.status, caught.value.body) == (500, body)


@pytest.mark.parametrize("row", ["hixie-54", "hixie-75", "hixie-76", "rfc6455"])
@pytest.mark.parametrize("line", [b"HTTP/1.1 101 a\nb", b"HTTP/1.1 101 a\rb", b"HTTP/1.1\n101 a b"])
def test_the_first_line_of_an_answer_is_one_line(row: str, line: bytes) -> None:
    """A bare LF ends the line for other readers, and an attacker's header field could follow it;
    the cuts of the reads make no difference."""
    good = serve([client_opening(offers(named(row)), drawn(named(row))).request()]).answer
    answer = line + good[good.index(b"\r\n") :]
    for chunks in every_way(answer):
        assert isinstance(ask(offers(named(row)), drawn(named(row)), chunks)[0], str)


# Any bytes.


SAMPLES = [bytes.fromhex(item["data"]) for item in VECTORS["detect"]]
ANSWERS = [bytes.fromhex(item["response"]) for item in VECTORS["client_checks"]]
scraps = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b": ",
        b"\x00",
        b"\xff",
        b"Upgrade: WebSocket\r\n",
        b"Origin: x\r\n",
        b"Sec-WebSocket-Key1: 1 1\r\n",
        b"Content-Length: 8\r\n",
        b"Host: [\r\n",
        b"HTTP/1.1 ",
    ]
)


@st.composite
def spoilt(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """A sample with a few scraps in the place of a few of its bytes."""
    data = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        end = start + draw(st.integers(0, 12))
        data = data[:start] + draw(scraps | st.binary(max_size=12)) + data[end:]
    return data


@given(st.data(), spoilt(SAMPLES) | st.binary(max_size=99))
def test_any_bytes_are_a_response_or_a_named_error_to_a_server(
    data: st.DataObject, garbage: bytes
) -> None:
    """No other exception is raised, and no more bytes are kept than the limits allow."""
    limits = replace(LIMITS, head_size=500, head_fields=12)
    chunks = data.draw(deliveries(garbage))
    opening = server_opening(limits=limits)
    before = kept(opening)
    for chunk in chunks:
        try:
            found = opening.receive(chunk)
        except (MalformedHead, UnsupportedVersion, UnknownDialect, EarlyBytes):
            break
        assert kept(opening) - before <= 3 * 500 + len(chunk)
        if found is not None:
            break
    served = serve(chunks, limits=limits)
    if isinstance(served.found, Offer):
        assert served.answer.isascii() or served.proved
        assert cut(served.answer)[0].fields(12).exact(b"upgrade") == [b"WebSocket"]


@given(st.data(), st.sampled_from(DIALECTS), spoilt(ANSWERS) | st.binary(max_size=99))
def test_any_bytes_are_a_response_or_a_named_error_to_a_client(
    data: st.DataObject, row: Dialect, garbage: bytes
) -> None:
    """The handshake is agreed, refused, or fails at a check; the cuts of the reads make no
    difference."""
    offer = replace(offers(row), subprotocols=("sample",))
    found = [
        ask(offer, drawn(row), chunks)[0]
        for chunks in ([garbage], byte_by_byte(garbage), data.draw(deliveries(garbage)))
    ]
    agreed = [isinstance(one, Agreement) for one in found]
    assert all(agreed) or not any(agreed)
    assert all(agreed) or {type(one) for one in found} <= {str, int}
