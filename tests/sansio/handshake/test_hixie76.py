"""Two keys and eight bytes: the arithmetic of the draft, and a head that goes out before it."""

from __future__ import annotations

import secrets
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import same_every_way
from support.handshakes import ask, client_opening, cut, drawn, offers, serve, server_opening
from support.http_heads import FIELDS_76, HEAD_76, KEY1, KEY2, KEY3, request
from support.peer_errors import assert_raises
from support.vectors import VECTORS, Item, each, vectors
from txhixie.errors import EarlyBytes, InvalidHandshake, MalformedHead, UnsupportedByDialect
from txhixie.sansio.dialects import named
from txhixie.sansio.handshake.hixie76 import draw_key, expected_proof, key_number
from txhixie.sansio.handshake.offer import Agreement, Offer, Secret

ROW = named("hixie-76")
SECRET: Secret = (KEY1, KEY2, KEY3)
PROOF = b"8jKS'y:G*Co,Wxa-"


def secret_of(item: Item) -> Secret:
    """The keys of a vector as a client's secret."""
    return item["key1"].encode(), item["key2"].encode(), bytes.fromhex(item["key3"])


# Arithmetic.


@vectors("challenge76")
def test_the_sixteen_bytes_are_those_of_the_vectors(item: Item) -> None:
    """The drafts' own examples, other servers' tests, and captures of browsers."""
    assert expected_proof(secret_of(item)).hex() == item["response"]


@each(item for item in VECTORS["challenge76"] if "number1" in item)
def test_the_numbers_in_keys_are_those_of_the_vectors(item: Item) -> None:
    """Other characters between the digits are ignored."""
    numbers = [key_number(item[name].encode()) for name in ("key1", "key2")]
    assert numbers == [item["number1"], item["number2"]]


@vectors("challenge76")
def test_a_server_proves_that_it_understood(item: Item) -> None:
    """From a client's request to the last of the sixteen bytes, however the request comes."""
    secret = secret_of(item)
    written = ROW.handshake.write_offer(offers(ROW), secret)
    served = same_every_way(serve, written)
    assert served.proved
    assert served.answer[-16:].hex() == item["response"]
    assert ask(offers(ROW), secret, [served.answer]) != ("challenge", b"")


@vectors("challenge76_invalid")
def test_a_key_that_is_none_is_refused(item: Item) -> None:
    """Without blanks, with blanks that do not divide, or with digits for hours of arithmetic."""
    key = item["key"].encode()
    assert_raises(MalformedHead, key_number, key)
    for keys in ((key, KEY2), (KEY1, key)):
        written = ROW.handshake.write_offer(offers(ROW), (*keys, KEY3))
        assert serve([written]).found == MalformedHead


@pytest.mark.parametrize("key", [b"", b"     ", b"abc def", b"\xb2 \xb3", b"4294967296 ", b"1 2 3"])
def test_a_key_without_a_number_of_32_bits_is_refused(key: bytes) -> None:
    """No digits, digits of another alphabet, or one more than fits."""
    assert_raises(MalformedHead, key_number, key)


@pytest.mark.parametrize(
    ("key", "number"), [(b"0 ", 0), (b"4294967295 ", 0xFFFFFFFF), (b" 8589934590 ", 0xFFFFFFFF)]
)
def test_any_number_of_32_bits_is_one(key: bytes, number: int) -> None:
    """Neither the places of the blanks nor the amount of noise is looked at."""
    assert key_number(key + b"!" * 500) == number


@vectors("keygen76")
def test_the_examples_of_the_draft_are_keys(item: Item) -> None:
    """Though they hold more noise than its own algorithm lets a client make."""
    assert key_number(item["final"].encode()) == item["number"]
    assert item["final"].count(" ") == item["spaces"]
    assert item["number"] * item["spaces"] == item["product"]


def test_long_runs_of_digits_are_refused_before_they_take_time() -> None:
    """Numbers that 999 blanks can divide are read; longer ones would take time by the square of
    their length."""
    assert key_number(b"4290672327705" + b" " * 999) == 0xFFFFFFFF
    assert_raises(MalformedHead, key_number, b"0" * 13 + b"1 ", match="too many digits")


def assert_is_a_key(key: bytes) -> None:
    """Assert that section 4.1 steps 16 to 24 can produce the key."""
    assert 0 <= key_number(key) <= 0xFFFFFFFF
    assert 1 <= key.count(b" ") <= 12
    assert key == key.strip()
    noise = [byte for byte in key if byte != 0x20 and not 0x30 <= byte <= 0x39]
    assert 1 <= len(noise) <= 12
    assert all(0x21 <= byte <= 0x2F or 0x3A <= byte <= 0x7E for byte in noise)
    digits = bytes(byte for byte in key if 0x30 <= byte <= 0x39)
    assert digits == str(int(digits)).encode()
    assert int(digits) <= 0xFFFFFFFF


@given(st.randoms(use_true_random=False))
def test_a_key_that_is_drawn_can_be_read(random: Random) -> None:
    """By us, and by every server that follows the draft to the letter."""
    assert_is_a_key(draw_key(random.randbytes))


@pytest.mark.parametrize("byte", [0, 0xFF])
def test_any_entropy_makes_a_key(byte: int) -> None:
    """Nothing but zeros too: the number 0 is one, and its digit comes first or last in no key."""
    assert_is_a_key(draw_key(lambda size: bytes([byte]) * size))


def test_a_secret_is_two_keys_and_eight_bytes() -> None:
    """Drawn anew for every handshake."""
    key1, key2, key3 = ROW.handshake.draw(secrets.token_bytes)
    assert_is_a_key(key1)
    assert_is_a_key(key2)
    assert len(key3) == 8
    assert ROW.handshake.draw(secrets.token_bytes) != (key1, key2, key3)


# The server.


def test_the_head_of_the_answer_does_not_wait_for_the_eight_bytes() -> None:
    """Proxies hold these back until they have seen an answer."""
    opening = server_opening()
    assert isinstance(opening.receive(HEAD_76), Offer)
    assert opening.agree(Agreement()).endswith(b"\r\n\r\n")
    for byte in KEY3[:7]:
        opening.keep(bytes([byte]))
        assert opening.proof() is None
    opening.keep(KEY3[7:])
    assert (opening.proof(), opening.rest) == (PROOF, b"")


def test_a_server_answers_what_browsers_compare() -> None:
    """``WebSocket`` in its two capitals, and ``Upgrade`` alone."""
    data = request(*FIELDS_76, b"Sec-WebSocket-Protocol: sample") + KEY3
    agreement = Agreement("sample", ((b"Set-Cookie", b"a=b"),))
    assert serve([data], agreement=agreement).answer == (
        b"HTTP/1.1 101 WebSocket Protocol Handshake\r\n"
        b"Upgrade: WebSocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Origin: http://example.com\r\n"
        b"Sec-WebSocket-Location: ws://example.com/demo\r\n"
        b"Sec-WebSocket-Protocol: sample\r\nSet-Cookie: a=b\r\n\r\n" + PROOF
    )


@pytest.mark.parametrize("key3", [b"\r\n\r\n\r\n\r\n", b"\x00" * 8, b"\xff" * 8, b"GET / HT"])
def test_the_eight_bytes_are_any_eight(key3: bytes) -> None:
    """Line ends and NULs are data there."""
    served = same_every_way(serve, HEAD_76 + key3)
    assert served.answer[-16:] == expected_proof((KEY1, KEY2, key3))


@pytest.mark.parametrize("early", [b"\x00", b"\x00Hi\xff", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_ninth_byte_is_not_the_clients(early: bytes) -> None:
    """The client waits for the sixteen bytes: bytes before them were injected by an attacker."""
    assert serve([HEAD_76 + KEY3 + early]).found == EarlyBytes
    assert serve([HEAD_76, KEY3[:5], KEY3[5:] + early]).found == EarlyBytes


def test_fields_come_in_any_order_and_case() -> None:
    """By intent of the draft, so that no server relies on one; Netty writes lower case."""
    for lines in (FIELDS_76, FIELDS_76[::-1], tuple(map(lower_name, FIELDS_76))):
        served = serve([request(*lines) + KEY3])
        assert served.found == Offer("hixie-76", "/demo", "example.com", "http://example.com")
        assert served.answer.endswith(PROOF)


def lower_name(line: bytes) -> bytes:
    """A field line as Netty writes it."""
    name, colon, value = line.partition(b":")
    return name.lower() + colon + value


@pytest.mark.parametrize("line", [b"Content-Length: 8", b"Sec-WebSocket-Draft: 0", b"Via: 1.1 x"])
def test_what_old_clients_and_proxies_add_is_taken(line: bytes) -> None:
    """Netty, Perl and mod_pywebsocket announce the eight bytes, or the number of the draft."""
    assert serve([request(*FIELDS_76, line) + KEY3]).answer.endswith(PROOF)


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length: 0",
        b"Content-Length: 08",
        b"Content-Length: 16",
        b"Content-Length: 8, 8",
        b"Transfer-Encoding: chunked",
        b"Sec-WebSocket-Draft: 4",
        b"Sec-WebSocket-Draft: 00",
        b"Sec-WebSocket-Draft:",
        b"Sec-WebSocket-Key1: " + KEY1,
        b"Sec-WebSocket-Key2: " + KEY2,
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"Sec-WebSocket-Version: 13",
        b"Origin: http://example.com",
        b"Host: example.com",
        b"Sec-WebSocket-Protocol: \x85",
        b": x",
    ],
)
def test_a_contradicting_request_is_refused(line: bytes) -> None:
    """Two dialects in one head, two lengths, two keys: a proxy may read the other one."""
    assert same_every_way(serve, request(*FIELDS_76, line) + KEY3).found == MalformedHead


@pytest.mark.parametrize(
    "missing", [b"Sec-WebSocket-Key1", b"Sec-WebSocket-Key2", b"Host", b"Conn"]
)
def test_half_a_handshake_is_refused(missing: bytes) -> None:
    """One key, no host, or a Connection that a proxy dropped."""
    lines = [line for line in FIELDS_76 if not line.startswith(missing)]
    assert serve([request(*lines) + KEY3]).found == MalformedHead


def test_a_key_keeps_the_blanks_inside() -> None:
    """Their number is part of it; a tab is none."""
    double = tuple(line.replace(b" 1 5", b"  1 5") for line in FIELDS_76)
    assert serve([request(*double) + KEY3]).found == MalformedHead


# The client.


def test_a_client_writes_the_order_of_webkit() -> None:
    """On which some servers came to rely."""
    offer = Offer("hixie-76", "/demo", "example.com", "http://Example.com", False, ("sample",))
    assert ROW.handshake.write_offer(offer, SECRET) == (
        request(
            b"Upgrade: WebSocket",
            b"Connection: Upgrade",
            b"Host: example.com",
            b"Origin: http://example.com",
            b"Sec-WebSocket-Protocol: sample",
            b"Sec-WebSocket-Key1: " + KEY1,
            b"Sec-WebSocket-Key2: " + KEY2,
        )
        + KEY3
    )


def test_there_is_room_for_one_subprotocol() -> None:
    """A second one is refused before anything is sent."""
    offer = Offer("hixie-76", "/", "a", None, False, ("a", "b"))
    with pytest.raises(UnsupportedByDialect, match="one subprotocol"):
        ROW.handshake.write_offer(offer, SECRET)


def answer(*lines: bytes, proof: bytes = PROOF) -> bytes:
    """A server's answer with these lines in place of its own of the same name."""
    own = [
        b"HTTP/1.1 101 WebSocket Protocol Handshake",
        b"Upgrade: WebSocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Origin: http://example.com",
        b"Sec-WebSocket-Location: ws://example.com/demo",
    ]
    names = {line.split(b":")[0].split(b" ")[0].lower() for line in lines}
    mine = [line for line in own if line.split(b":")[0].split(b" ")[0].lower() not in names]
    first = [line for line in lines if line.startswith(b"HTTP")]
    return b"\r\n".join(first + mine + [x for x in lines if x not in first]) + b"\r\n\r\n" + proof


def result(data: bytes, tail: bytes = b"") -> object:
    """The client's verdict on a response, for any cuts of the reads."""
    return same_every_way(lambda chunks: ask(offers(ROW), SECRET, chunks)[0], data, tail)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([b"HTTP/1.1 500 x"], 500),
        ([b"HTTP/1.1 407 x"], 407),
        ([b"HTTP/1.1 099 x"], 99),
        ([b"HTTP/1.1 10 x"], "status-line"),
        ([b"HTTP/1.1 1010 x"], "status-line"),
        ([b": x"], "empty-name"),
        ([b"no colon"], "header-syntax"),
        ([b"Upgrade: WebSocket", b"Upgrade: WebSocket"], "count:upgrade"),
        ([b"Upgrade: websocket"], "upgrade"),
        ([b"Upgrade: websocket", b"Connection: x"], "upgrade"),
        ([b"Connection: Upgrade, x"], "connection"),
        ([b"Connection:  Upgrade"], "connection"),
        ([b"Sec-WebSocket-Origin: http://Example.com"], "origin-mismatch"),
        ([b"Sec-WebSocket-Location: wss://example.com/demo"], "location-mismatch"),
        ([b"Sec-WebSocket-Location: ws://example.com:80/demo"], "location-mismatch"),
    ],
)
def test_a_client_checks_in_the_order_of_the_draft(lines: list[bytes], expected: object) -> None:
    """The first check that fails is reported."""
    assert result(answer(*lines)) == expected


def test_a_client_checks_the_sixteen_bytes() -> None:
    """A server that only repeats what it was sent does not speak WebSocket."""
    assert result(answer(proof=PROOF[::-1])) == "challenge"
    assert result(answer(proof=PROOF[:15])) == "eof"
    assert result(answer(proof=b"")) == "eof"


def test_a_client_accepts_what_the_draft_leaves_open() -> None:
    """Another reason phrase, upper case in ``Connection``, and a subprotocol that was not
    offered."""
    lines = [b"HTTP/1.1 101 Go on", b"Connection: UPGRADE", b"Sec-WebSocket-Protocol: default"]
    agreement = result(answer(*lines), b"\x00Hi\xff")
    assert isinstance(agreement, Agreement)
    assert agreement.subprotocol is None


def test_a_lenient_client_takes_nettys_answer() -> None:
    """``websocket`` in lower case, and nothing else that is wrong."""
    lenient = ROW.handshake.leniently()
    assert lenient.leniently() is not ROW.handshake
    head, _ = cut(answer(b"Upgrade: websocket"))
    assert lenient.read_agreement(offers(ROW), SECRET, head).subprotocol is None
    with pytest.raises(InvalidHandshake):
        ROW.handshake.read_agreement(offers(ROW), SECRET, head)
    with pytest.raises(InvalidHandshake):
        lenient.read_agreement(offers(ROW), SECRET, cut(answer(b"Upgrade: x"))[0])


def test_what_comes_after_the_sixteen_bytes_is_the_conversations() -> None:
    """Servers may speak first."""
    opening = client_opening(offers(ROW), SECRET)
    assert opening.receive(answer() + b"\x00Hi\xff") is not None
    assert opening.rest == b"\x00Hi\xff"


# Both.


visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)


@given(
    st.builds(
        Offer,
        st.just("hixie-76"),
        visible.map("/".__add__),
        st.text(st.sampled_from("abz019-."), min_size=1, max_size=12),
        st.none() | visible.map(str.lower),
        st.booleans(),
        st.sampled_from([(), ("sample",), ("a b",), ("a, b", "a", "b")]),
    ),
    st.randoms(use_true_random=False),
)
def test_any_offer_and_any_agreement_can_be_read(offer: Offer, random: Random) -> None:
    """The two halves agree on every offer, and the proof on every secret."""
    secret = ROW.handshake.draw(random.randbytes)
    written = ROW.handshake.write_offer(offer, secret)
    chosen = offer.subprotocols[0] if offer.subprotocols else None
    served = serve([written], secure=offer.secure, agreement=Agreement(chosen))
    assert (served.found, served.proved) == (offer, True)
    agreement, rest = ask(offer, secret, [served.answer + b"\x00"])
    assert isinstance(agreement, Agreement)
    assert (agreement.subprotocol, rest) == (chosen, b"\x00")


def test_another_secret_has_another_proof() -> None:
    """Each of the three parts counts."""
    changed = [(KEY2, KEY2, KEY3), (KEY1, KEY1, KEY3), (KEY1, KEY2, KEY3[::-1]), drawn(ROW)]
    assert len({expected_proof(secret) for secret in [SECRET, *changed]}) == 5
