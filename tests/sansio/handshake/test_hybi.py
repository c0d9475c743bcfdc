"""One key and its hash: both halves of hybi-07, version 8 and RFC 6455."""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import Chunks, same_every_way
from support.handshakes import LIMITS, ask, client_opening, cut, drawn, offers, request_of, serve
from support.http_heads import head_of, request
from support.peer_errors import assert_raises
from support.vectors import Item, vectors
from txhixie.errors import EarlyBytes, InvalidHandshake, MalformedHead, UnknownDialect
from txhixie.sansio.dialects import named
from txhixie.sansio.handshake.hybi import accept_key
from txhixie.sansio.handshake.offer import Agreement, Offer, Secret
from txhixie.sansio.http.head import TOKEN

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
SECRET: Secret = (KEY,)
VERSIONS = {"hybi-07": b"7", "hybi-08": b"8", "rfc6455": b"13"}
every_name = pytest.mark.parametrize("name", VERSIONS)
older = pytest.mark.parametrize("name", ["hybi-07", "hybi-08"])


def asked(name: str, *lines: bytes, without: bytes = b"nothing") -> bytes:
    """A request with further lines, and without the one that begins so."""
    own = (
        b"Host: example.com",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: " + KEY,
        b"Sec-WebSocket-Version: " + VERSIONS[name],
    )
    return request(*[line for line in own if not line.startswith(without)], *lines)


def offered(name: str, *lines: bytes) -> Offer:
    """The offer that a server reads from a request with these lines."""
    found = same_every_way(serve, asked(name, *lines)).found
    assert isinstance(found, Offer)
    return found


def assert_refused(data: bytes) -> None:
    """With 400, however it comes."""
    assert same_every_way(serve, data).found is MalformedHead


# The key and its hash.


@vectors("accept")
def test_the_hash_is_that_of_the_vectors(item: Item) -> None:
    """Of the text of the key, its spare bits too."""
    assert accept_key(item["key"].encode()) == item["accept"].encode()


@vectors("accept")
@every_name
def test_a_server_answers_the_keys_of_the_vectors(name: str, item: Item) -> None:
    """The keys are hashed as they were sent; a client with that key accepts the response."""
    data = asked(name).replace(KEY, item["key"].encode())
    answer = same_every_way(serve, data).answer
    assert cut(answer)[0].fields().exact(b"sec-websocket-accept") == [item["accept"].encode()]
    found, _ = ask(offers(named(name)), (item["key"].encode(),), [answer])
    assert isinstance(found, Agreement)


@vectors("accept_key_invalid")
def test_a_key_that_is_none_is_refused(item: Item) -> None:
    """By the RFC: 16 bytes in base64 and nothing else."""
    assert_refused(asked("rfc6455").replace(KEY, item["key"].encode()))


@older
def test_before_the_rfc_a_key_has_any_length(name: str) -> None:
    """ws 0.4 and 1.x send 15 bytes as version 8; but it is base64, and not empty."""
    for size in (1, 12, 15, 17, 18):
        data = asked(name).replace(KEY, b64encode(bytes(size)))
        assert isinstance(same_every_way(serve, data).found, Offer)
    for key in (b"", b"====", b"!!!!IHNhbXBsZSBub25jZQ==", b"dGhl IHNh", b"dGhlI"):
        assert_refused(asked(name).replace(KEY, key))


@pytest.mark.parametrize(
    "key",
    [
        b64encode(bytes(15)),
        b64encode(bytes(17)),
        KEY[:-1],
        KEY[:-2],
        KEY + b"=",
        KEY + b"AA==",
        b"\xff" + KEY[1:],
        KEY.replace(b"I", b"-"),
        KEY[:8] + b" " + KEY[8:],
        KEY + b", " + KEY,
        b'"' + KEY + b'"',
    ],
)
def test_the_rfc_has_one_form_of_key(key: bytes) -> None:
    """One byte less or more, padding, or another alphabet is none."""
    assert_refused(asked("rfc6455").replace(KEY, key))


@every_name
def test_blanks_around_a_key_are_not_part_of_it(name: str) -> None:
    """Blanks around any value are removed (RFC 9110 section 5.5)."""
    data = asked(name).replace(KEY, b"\t " + KEY + b" \t")
    assert cut(serve([data]).answer)[0].fields().exact(b"sec-websocket-accept") == [ACCEPT]


@every_name
def test_a_secret_is_sixteen_bytes_of_the_systems(name: str) -> None:
    """Drawn anew for every handshake."""
    draw = named(name).handshake.draw
    (key,) = draw(secrets.token_bytes)
    assert len(b64decode(key, validate=True)) == 16
    assert draw(secrets.token_bytes) != (key,)
    assert draw(lambda size: b"the sample nonce"[:size]) == (KEY,)


# The server.


@every_name
@pytest.mark.parametrize(
    "missing",
    [b"Host", b"Connection", b"Sec-WebSocket-Key", b"Sec-WebSocket-Version"],
)
def test_half_a_handshake_is_refused(name: str, missing: bytes) -> None:
    """A key without a version is of an unknown one; the rest is malformed."""
    found = same_every_way(serve, asked(name, without=missing)).found
    assert found is (UnknownDialect if missing.endswith(b"Version") else MalformedHead)


@every_name
def test_a_missing_key_is_distinguished_from_a_bad_one(name: str) -> None:
    field, handshake = b"Sec-WebSocket-Key", named(name).handshake
    with pytest.raises(MalformedHead, match=r"^missing Sec-WebSocket-Key$"):
        handshake.read_offer(request_of(asked(name, without=field)), secure=False)
    with pytest.raises(MalformedHead, match=r"^Sec-WebSocket-Key is not 16 bytes in base64$"):
        wrong = asked(name, field + b": x", without=field)
        handshake.read_offer(request_of(wrong), secure=False)


@every_name
@pytest.mark.parametrize(
    "line",
    [
        b"Host: example.com",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Key: " + KEY,
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key1: 1 1",
        b"Sec-WebSocket-Key2: 1 1",
        b"Transfer-Encoding: chunked",
        b"Content-Length: 1",
        b"Content-Length: 8",
        b"Sec-WebSocket-Protocol: a b",
        b"Sec-WebSocket-Protocol: a, b/c",
        b"Sec-WebSocket-Protocol: \xe4",
        b"Sec-WebSocket-Extensions: a b",
        b'Sec-WebSocket-Extensions: a; b="c d"',
        b"Origin: \xe4",
        b": x",
    ],
)
def test_a_contradicting_or_malformed_request_is_refused(name: str, line: bytes) -> None:
    """A proxy on the way may have read the other value."""
    assert_refused(asked(name, line))


@every_name
@pytest.mark.parametrize(
    "lines",
    [
        (b"upgrade: WebSocket", b"CONNECTION: keep-alive, UPGRADE"),
        (b"Upgrade: WEBSOCKET", b"Connection: Upgrade", b"Connection: keep-alive"),
        (b"Upgrade: websocket", b"Connection:keep-alive,upgrade", b"Content-Length: 0"),
    ],
)
def test_names_and_tokens_have_no_case_and_lines_no_order(
    name: str, lines: tuple[bytes, ...]
) -> None:
    """Firefox lists two tokens, and proxies reorder."""
    rest = (b"sec-websocket-key: " + KEY, b"SEC-WEBSOCKET-VERSION: " + VERSIONS[name], b"host: a")
    assert same_every_way(serve, request(*rest, *lines)).found == Offer(name, "/demo", "a")


@every_name
def test_a_server_responds_as_in_the_rfc(name: str) -> None:
    """The hash, the chosen subprotocol and the chosen extensions, with any other header fields in
    the request."""
    granted = Agreement("chat", ((b"Set-Cookie", b"a=b"),), (("foo", (("bar", "1"),)),))
    data = asked(name, b"Sec-WebSocket-Protocol: chat", b"Sec-WebSocket-Extensions: foo")
    assert serve([data], agreement=granted).answer == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\nSec-WebSocket-Protocol: chat\r\n"
        b"Sec-WebSocket-Extensions: foo; bar=1\r\nSet-Cookie: a=b\r\n\r\n"
    )
    assert serve([asked(name)]).answer == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
    )


@every_name
def test_an_answer_cannot_be_split(name: str) -> None:
    """A header of the application's ends no line."""
    with pytest.raises(ValueError, match="header field"):
        serve([asked(name)], agreement=Agreement(None, ((b"X", b"a\r\nY: b"),)))


@every_name
@pytest.mark.parametrize(
    ("lines", "subprotocols"),
    [
        ([], ()),
        ([b""], ()),
        ([b"chat"], ("chat",)),
        ([b"chat, superchat"], ("chat", "superchat")),
        ([b"chat,superchat"], ("chat", "superchat")),
        ([b"chat", b"superchat"], ("chat", "superchat")),
        ([b" ,chat,,\tchat , superchat,"], ("chat", "superchat")),
        ([b"b, a", b"c"], ("b", "a", "c")),
        ([b"Chat, chat"], ("Chat", "chat")),
    ],
)
def test_subprotocols_are_a_list_in_the_clients_order(
    name: str, lines: list[bytes], subprotocols: tuple[str, ...]
) -> None:
    """Over several fields too, each name once."""
    found = offered(name, *[b"Sec-WebSocket-Protocol: " + line for line in lines])
    assert found.subprotocols == subprotocols


@every_name
def test_extensions_are_a_list_with_parameters(name: str) -> None:
    """The list may span several fields; the extensions interpret their parameters."""
    lines = [b"Sec-WebSocket-Extensions: " + value for value in (b"a; b=1; c, d", b"a")]
    expected = (("a", (("b", "1"), ("c", None))), ("d", ()), ("a", ()))
    assert offered(name, *lines).extensions == expected


@older
def test_up_to_draft_10_the_origin_had_another_name(name: str) -> None:
    """And the number stayed 8 when it got its old one back, so either is read."""
    for lines in (
        (b"Sec-WebSocket-Origin: http://a",),
        (b"Origin: http://a",),
        (b"Origin: http://a", b"Sec-WebSocket-Origin: http://a"),
    ):
        assert offered(name, *lines).origin == "http://a"
    assert offered(name).origin is None


@older
def test_of_two_fields_the_drafts_own_is_the_origin(name: str) -> None:
    """ws 0.4 sends its own host as ``Origin`` besides; the fields may have either order."""
    fields = (b"Origin: 127.0.0.1:8080", b"Sec-WebSocket-Origin: http://a")
    for lines in (fields, fields[::-1]):
        assert offered(name, *lines).origin == "http://a"
    assert offered(name, b"Origin: http://b", b"Sec-WebSocket-Origin: null").origin == "null"


@older
@pytest.mark.parametrize("field", [b"Origin", b"Sec-WebSocket-Origin"])
def test_one_field_with_two_origins_is_refused(name: str, field: bytes) -> None:
    """A proxy on the way may have read the other origin."""
    assert_refused(asked(name, field + b": http://a", field + b": http://a"))
    assert_refused(asked(name, field + b": http://a", field + b": http://b"))


def test_the_rfc_reads_origin_alone() -> None:
    """The draft's field is one like any other there."""
    line = b"Sec-WebSocket-Origin: http://b"
    assert offered("rfc6455", line).origin is None
    assert offered("rfc6455", b"Origin: http://a", line).origin == "http://a"


@every_name
def test_early_data_of_a_client_is_kept(name: str) -> None:
    """A client may not send it, some do, and it is not ambiguous; its size is limited."""
    served = same_every_way(serve, asked(name), b"\x81\x85early")
    assert (served.proved, served.rest) == (True, b"\x81\x85early")
    assert serve([asked(name) + b"xx"], limits=replace(LIMITS, early_size=1)).found is EarlyBytes


# The client.


@every_name
def test_a_client_writes_the_order_of_browsers(name: str) -> None:
    """The origin under its dialect's name; lists as lists; further fields behind them."""
    offer = Offer(
        name,
        "/demo?x",
        "example.com:81",
        "http://example.com",
        subprotocols=("chat", "superchat"),
        extensions=(("foo", (("bar", "1"), ("baz", None))), ("qux", ())),
        head=head_of(b"", b"Cookie: a=b"),
    )
    origin = b"Origin: " if name == "rfc6455" else b"Sec-WebSocket-Origin: "
    assert named(name).handshake.write_offer(offer, SECRET) == request(
        b"Host: example.com:81",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: " + KEY,
        b"Sec-WebSocket-Version: " + VERSIONS[name],
        origin + b"http://example.com",
        b"Sec-WebSocket-Protocol: chat, superchat",
        b"Sec-WebSocket-Extensions: foo; bar=1; baz, qux",
        b"Cookie: a=b",
        line=b"GET /demo?x HTTP/1.1",
    )


@every_name
@pytest.mark.parametrize("subprotocol", ["", "a b", "a,b", "ä", "a\r\nb", "a/b", '"a"'])
def test_a_subprotocol_is_a_token(name: str, subprotocol: str) -> None:
    """Else it would be another list than the one that was meant."""
    offer = replace(offers(named(name)), subprotocols=("ok", subprotocol))
    with pytest.raises(ValueError, match=r"^subprotocols: expected a token "):
        named(name).handshake.write_offer(offer, SECRET)


@every_name
def test_a_request_cannot_be_split(name: str) -> None:
    """An origin ends no line."""
    offer = offers(named(name), origin="http://a\r\nX: y")
    with pytest.raises(ValueError, match="header field"):
        named(name).handshake.write_offer(offer, SECRET)


def answer(*lines: bytes, first: bytes = b"HTTP/1.1 101 Switching Protocols") -> bytes:
    """A server's answer with these lines in place of its own; ``Name!`` leaves one out."""
    own = [
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + ACCEPT,
    ]
    names = {line.split(b":")[0].rstrip(b"!").lower() for line in lines}
    mine = [line for line in own if line.split(b":")[0].lower() not in names]
    return head_of(first, *mine, *[line for line in lines if not line.endswith(b"!")]).raw


def judged(name: str, data: bytes, tail: bytes = b"") -> object:
    """The verdict on a response of a client that offered ``a`` and ``b``, ``foo`` and ``bar``."""
    offer = replace(
        offers(named(name)), subprotocols=("a", "b"), extensions=(("foo", ()), ("bar", ()))
    )

    def read(chunks: Chunks) -> object:
        return ask(offer, SECRET, chunks)[0]

    return same_every_way(read, data, tail)


@every_name
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (answer(first=b"HTTP/1.1"), "status-line"),
        (answer(first=b"HTTP/1.1 1010 x"), "status-line"),
        (answer(first=b"HTTP/1.1 1O1 x"), "status-line"),
        (answer(first=b"HTTP/1.1  101 x"), "status-line"),
        (answer(first=b"HTTP/2.0 101 x"), "status-line"),
        (answer(first=b"RTSP/1.0 101 x"), "status-line"),
        (answer(first=b"101 101 x"), "status-line"),
        (answer(first=b"HTTP/1.1 000 x"), "status-line"),
        (answer(first=b"HTTP/1.1 200 OK"), 200),
        (answer(first=b"HTTP/1.1 302 Found"), 302),
        (answer(first=b"HTTP/1.1 426 x"), 426),
        (answer(b": x"), "empty-name"),
        (answer(b"no colon"), "header-syntax"),
        (answer(b"Upgrade!"), "upgrade"),
        (answer(b"Upgrade: h2c"), "upgrade"),
        (answer(b"Upgrade: websocket, h2c"), "upgrade"),
        (answer(b"Upgrade: websocket", b"Upgrade: websocket"), "upgrade"),
        (answer(b"Upgrade: x", b"Connection: x"), "upgrade"),
        (answer(b"Connection!"), "connection"),
        (answer(b"Connection: close"), "connection"),
        (answer(b"Connection: Upgraded"), "connection"),
        (answer(b"Connection: x", b"Sec-WebSocket-Accept: x"), "connection"),
        (answer(b"Sec-WebSocket-Accept!"), "accept"),
        (answer(b"Sec-WebSocket-Accept: "), "accept"),
        (answer(b"Sec-WebSocket-Accept: " + KEY), "accept"),
        (answer(b"Sec-WebSocket-Accept: " + ACCEPT.lower()), "accept"),
        (answer(b"Sec-WebSocket-Accept: " + ACCEPT[:-1]), "accept"),
        (answer(*[b"Sec-WebSocket-Accept: " + ACCEPT] * 2), "accept"),
        (answer(b"Sec-WebSocket-Accept: x", b"Sec-WebSocket-Protocol: c"), "accept"),
        (answer(b"Sec-WebSocket-Protocol: c"), "protocol-mismatch"),
        (answer(b"Sec-WebSocket-Protocol: A"), "protocol-mismatch"),
        (answer(b"Sec-WebSocket-Protocol: a, b"), "protocol-mismatch"),
        (answer(b"Sec-WebSocket-Protocol:"), "protocol-mismatch"),
        (answer(*[b"Sec-WebSocket-Protocol: a"] * 2), "protocol-mismatch"),
        (answer(b"Sec-WebSocket-Extensions: qux"), "extension"),
        (answer(b"Sec-WebSocket-Extensions: foo, qux"), "extension"),
        (answer(b"Sec-WebSocket-Extensions: Foo"), "extension"),
        (answer(b"Sec-WebSocket-Extensions: foo;"), "extension"),
        (answer(b"Sec-WebSocket-Extensions: foo bar"), "extension"),
    ],
)
def test_a_client_makes_the_checks_of_section_4_1(name: str, data: bytes, expected: object) -> None:
    """The checks are made in order, and the first that fails is reported."""
    assert judged(name, data) == expected


@every_name
@pytest.mark.parametrize(
    ("data", "subprotocol", "extensions"),
    [
        (answer(), None, ()),
        (answer(first=b"HTTP/1.1 101"), None, ()),
        (answer(first=b"HTTP/1.1 101 FYI I am a webserver"), None, ()),
        (answer(b"upgrade:\tWebSocket ", b"CONNECTION: keep-alive,UPGRADE"), None, ()),
        (answer(b"Sec-WebSocket-Accept:  " + ACCEPT + b"\t"), None, ()),
        (answer(b"Sec-WebSocket-Protocol: b"), "b", ()),
        (answer(b"Sec-WebSocket-Extensions:"), None, ()),
        (answer(b"Sec-WebSocket-Extensions: bar; x=1"), None, (("bar", (("x", "1"),)),)),
        (
            answer(b"Sec-WebSocket-Extensions: foo", b"Sec-WebSocket-Extensions: bar"),
            None,
            (("foo", ()), ("bar", ())),
        ),
        (answer(b"Server: x", b"Set-Cookie: a", b"Set-Cookie: b"), None, ()),
    ],
)
def test_a_client_takes_what_section_4_1_leaves_open(
    name: str, data: bytes, subprotocol: str | None, extensions: object
) -> None:
    """No subprotocol where some were asked for, other fields, any reason phrase."""
    agreement = judged(name, data, b"\x81\x00")
    assert isinstance(agreement, Agreement)
    assert (agreement.subprotocol, agreement.extensions) == (subprotocol, extensions)


@every_name
def test_a_client_that_asked_for_no_subprotocol_takes_none(name: str) -> None:
    """eventlet and txWS respond with a subprotocol that was not offered."""
    data = answer(b"Sec-WebSocket-Protocol: default")
    assert ask(offers(named(name)), SECRET, [data]) == ("protocol-mismatch", b"")


@every_name
def test_leniency_makes_no_difference(name: str) -> None:
    """A server that computes the right hash gets the other fields right as well."""
    handshake = named(name).handshake
    assert handshake.leniently() is handshake


@every_name
def test_what_comes_behind_the_answer_is_the_conversations(name: str) -> None:
    """Servers may speak first."""
    opening = client_opening(offers(named(name)), SECRET)
    assert opening.receive(answer() + b"\x81\x02Hi") is not None
    assert opening.rest == b"\x81\x02Hi"


# Both.


tokens = st.text(st.sampled_from(TOKEN.decode()), min_size=1, max_size=6)
visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)


@given(
    st.builds(
        Offer,
        st.sampled_from(sorted(VERSIONS)),
        visible.map("/".__add__),
        st.text(st.sampled_from("abz019-."), min_size=1, max_size=12),
        st.none() | visible,
        st.booleans(),
        st.lists(tokens, max_size=3, unique=True).map(tuple),
        st.lists(
            st.tuples(
                tokens, st.lists(st.tuples(tokens, st.none() | tokens), max_size=2).map(tuple)
            ),
            max_size=2,
        ).map(tuple),
    ),
    st.randoms(use_true_random=False),
    st.data(),
)
def test_any_offer_and_any_agreement_can_be_read(
    offer: Offer, random: Random, data: st.DataObject
) -> None:
    """The two halves agree on every offer, and on every choice from it."""
    handshake = named(offer.dialect).handshake
    secret = handshake.draw(random.randbytes)
    written = handshake.write_offer(offer, secret)
    assert handshake.read_offer(request_of(written), offer.secure) == offer
    chosen = data.draw(st.sampled_from([None, *offer.subprotocols]))
    granted = Agreement(chosen, (), offer.extensions)
    served = serve([written + b"early"], secure=offer.secure, agreement=granted)
    assert (served.found, served.proved, served.rest) == (offer, True, b"early")
    agreement, rest = ask(offer, secret, [served.answer + b"\x81"])
    assert isinstance(agreement, Agreement)
    assert (agreement.subprotocol, agreement.extensions) == (chosen, offer.extensions)
    assert rest == b"\x81"


@every_name
def test_another_secret_has_another_hash(name: str) -> None:
    """The response to another client's key is refused."""
    secret = drawn(named(name))
    assert accept_key(secret[0]) != ACCEPT
    assert_raises(
        InvalidHandshake,
        named(name).handshake.read_agreement,
        offers(named(name)),
        secret,
        cut(answer())[0],
        match="^accept: ",
    )
