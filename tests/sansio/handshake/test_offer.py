"""Offers, agreements and refusals of the handshake: no value in them can split a response."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.http_heads import head_of
from txhixie.sansio.handshake.offer import Offer, Refusal
from txhixie.sansio.http.head import Head, checked_pairs, reason_phrase


def offer(host: str = "example.com", *, secure: bool = False) -> Offer:
    """A request for /demo?x."""
    return Offer("hixie-76", "/demo?x", host, secure=secure)


# Offers.


@pytest.mark.parametrize(
    ("host", "secure", "location"),
    [
        ("example.com", False, "ws://example.com/demo?x"),
        ("Example.COM", False, "ws://example.com/demo?x"),
        ("example.com:80", False, "ws://example.com/demo?x"),
        ("example.com:443", False, "ws://example.com:443/demo?x"),
        ("example.com:443", True, "wss://example.com/demo?x"),
        ("example.com:80", True, "wss://example.com:80/demo?x"),
        ("example.com:8080", False, "ws://example.com:8080/demo?x"),
        ("[::80]", False, "ws://[::80]/demo?x"),
    ],
)
def test_a_location_is_the_one_the_drafts_rebuild(host: str, secure: bool, location: str) -> None:
    """Lower case, and no port that the scheme implies: Firefox 4 always sends one."""
    assert offer(host, secure=secure).location == location


def test_a_path_has_no_query() -> None:
    """Applications are chosen by it."""
    assert offer().path == "/demo"


def test_fields_of_a_request_are_text() -> None:
    """Names in lower case, values without blanks at their ends; every other byte is a character,
    also those that Python takes for blanks."""
    asked = offer()
    asked.head = head_of(b"GET / HTTP/1.1", b"Cookie:  a ", b"X: \x85\xa0", b"cookie: b")
    assert asked.headers() == (("cookie", "a"), ("x", "\x85\xa0"), ("cookie", "b"))
    assert asked.header("Cookie") == "a, b"
    assert asked.header("x") == "\x85\xa0"
    assert asked.header("Authorization") is None
    assert asked.header("Schlüssel") is None


def test_an_offer_by_hand_has_no_fields() -> None:
    """And is compared by what it asks for alone."""
    assert offer().headers() == ()
    assert Offer("hixie-76", "/demo?x", "example.com") == offer()
    seen = offer()
    seen.head, seen.challenge = head_of(b"GET / HTTP/1.1", b"A: b"), b"12345678"
    assert seen == offer()
    assert "A: b" not in repr(seen)


# Fields that decide something.


@pytest.mark.parametrize(
    "pair",
    [
        (b"", b"x"),
        (b"a:", b"x"),
        (b"a b", b"x"),
        (b" a", b"x"),
        (b"a\r\nb", b"x"),
        (b"\xe4", b"x"),
        (b"a", b"x\r\ny: z"),
        (b"a", b"x\ny"),
        (b"a", b"x\0"),
        (b"a", b"x\x0b"),
        (b"a", b"x\x7f"),
    ],
)
def test_a_field_that_would_end_its_line_is_not_written(pair: tuple[bytes, bytes]) -> None:
    """A value from somewhere else, put into a header by an application, splits no answer."""
    with pytest.raises(ValueError, match="header field"):
        checked_pairs((pair,))


def test_a_field_that_is_not_written_keeps_what_it_says() -> None:
    """A token that was read from a file with the line's end reaches no log by way of the error."""
    with pytest.raises(ValueError, match="Authorization") as caught:
        checked_pairs(((b"Authorization", b"Bearer s3cr3t\n"),))
    assert "s3cr3t" not in str(caught.value)


def test_any_other_field_is_written() -> None:
    """Names are tokens, values any bytes without control characters."""
    pairs = ((b"Set-Cookie", b"a=b; c"), (b"X-Y", "ü\t".encode()), (b"Z", b""))
    assert checked_pairs(pairs) == pairs


def test_a_refusal_is_plain_http_and_ends_the_connection() -> None:
    """Nothing else is ever read from the connection: a proxy may hold it for a tunnel."""
    head, _, body = Refusal(403, "No: ü\n").write().partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 403 Forbidden",
        b"Content-Type: text/plain; charset=utf-8",
        b"Connection: close",
        b"Content-Length: 7",
    ]
    assert body == "No: ü\n".encode()


def test_a_refusal_may_replace_our_header_fields() -> None:
    """The application's field replaces ours of the same name, in any letter case."""
    written = Refusal(401, "{}", ((b"content-TYPE", b"application/json"), (b"X", b"y"))).write()
    pairs = Head(written.partition(b"{")[0]).fields()
    assert pairs.stripped(b"content-type") == [b"application/json"]
    assert pairs.stripped(b"x") == [b"y"]
    assert pairs.stripped(b"connection") == [b"close"]


@pytest.mark.parametrize("status", [-1, 0, 100, 101, 199, 600, 1000])
def test_a_refusal_is_never_an_agreement(status: int) -> None:
    """Status 101 would open a tunnel without a server behind it."""
    with pytest.raises(ValueError, match="200 to 599"):
        Refusal(status)


def test_a_refusals_length_is_that_of_its_body() -> None:
    """Another would cut the body, or have the client wait for more."""
    written = Refusal(404, "\xfc", {"Content-Length": "2"}).write()
    assert written.endswith(b"\r\n\r\n\xc3\xbc")
    with pytest.raises(ValueError, match=r"^headers: Content-Length does not match"):
        Refusal(404, "\xfc", {"content-length": "1"})
    with pytest.raises(ValueError, match=r"^headers: a refusal cannot have Transfer-Encoding"):
        Refusal(404, "x", {"Transfer-Encoding": "chunked"})


def test_a_refusal_splits_no_answer() -> None:
    """Its fields are checked when it is written."""
    with pytest.raises(ValueError, match="header field"):
        Refusal(403, headers=((b"Location", b"/\r\nX: y"),)).write()


@pytest.mark.parametrize(("status", "phrase"), [(426, "Upgrade Required"), (299, "Answer")])
def test_every_status_has_a_phrase(status: int, phrase: str) -> None:
    """The registered one, or a word for its class."""
    assert reason_phrase(status) == phrase
    assert reason_phrase(499) == "HandshakeRefused"


@given(st.integers(200, 599), st.text(max_size=30))
def test_any_refusal_can_be_read(status: int, body: str) -> None:
    """A refusal is read as a head with a status, and a body of the announced length; a lone
    surrogate is in our own text only."""
    written = Refusal(status, body.encode("utf-8", "replace").decode()).write()
    raw, _, rest = written.partition(b"\r\n\r\n")
    head = Head(raw + b"\r\n\r\n")
    assert head.start_line.startswith(b"HTTP/1.1 %d " % status)
    assert head.fields().only(b"content-length") == str(len(rest)).encode()


# Its query and its cookies.


@pytest.mark.parametrize(
    ("target", "query"),
    [
        ("/", {}),
        ("/?", {}),
        ("/?a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        ("/?token=a%2Bb+c%3d", {"token": ["a+b c="]}),
        ("/?a=b=c&d&e=&&=f", {"a": ["b=c"], "d": [""], "e": [""], "": ["f"]}),
        ("/?%C3%A9=%E2%82%AC&x=%FF", {"\u00e9": ["\u20ac"], "x": ["\ufffd"]}),
        ("/?a=1;b=2", {"a": ["1;b=2"]}),
        ("/?a=%", {"a": ["%"]}),
        ("/x?y?a=1", {"y?a": ["1"]}),
    ],
)
def test_a_query_is_read_as_a_form(target: str, query: dict[str, list[str]]) -> None:
    assert Offer("rfc6455", target, "example.com").query == query


@pytest.mark.parametrize(
    ("fields", "cookies"),
    [
        ([], {}),
        ([b"a=b"], {"a": "b"}),
        ([b"a=b; c=d;e=f ; g"], {"a": "b", "c": "d", "e": "f"}),
        ([b"a=b=c; d="], {"a": "b=c", "d": ""}),
        ([b"a=1; a=2"], {"a": "1"}),
        ([b"a=1", b"b=2; a=3"], {"a": "1", "b": "2"}),
        ([b'q="x y"; p=%20'], {"q": '"x y"', "p": "%20"}),
        ([b"u=\xe9"], {"u": "\u00e9"}),
        ([b"; ;=x;;"], {"": "x"}),
    ],
)
def test_cookies_are_read_as_they_were_sent(fields: list[bytes], cookies: dict[str, str]) -> None:
    asked = offer()
    asked.head = head_of(b"GET / HTTP/1.1", *(b"Cookie: " + each for each in fields))
    assert asked.cookies == cookies


def test_of_too_many_fields_and_cookies_the_first_are_read() -> None:
    many = "&".join(f"n{number}=v" for number in range(5000))
    asked = Offer("rfc6455", f"/?{many}", "example.com")
    assert list(asked.query) == [f"n{number}" for number in range(1000)]
    asked.head = head_of(b"GET / HTTP/1.1", b"Cookie: " + many.replace("&", "; ").encode())
    assert list(asked.cookies) == [f"n{number}" for number in range(1000)]


@pytest.mark.parametrize(
    "piece", ["&", ";", "=", "%", "%41", "a=b&", "a=b;", "+", " ", ";=", "%f", "&&="]
)
def test_long_queries_and_cookies_cost_in_proportion_to_their_length(piece: str) -> None:
    """Eight times as long takes about eight times as long; a quadratic one takes 64."""

    def seconds(length: int) -> float:
        words = piece * (length // len(piece))
        asked = Offer("rfc6455", f"/?{words}", "example.com")
        asked.head = head_of(b"GET / HTTP/1.1", b"Cookie: " + words.encode())
        best = 1e9
        for _ in range(5):
            began = perf_counter()
            asked.query, asked.cookies  # noqa: B018 (it is what they cost)
            best = min(best, perf_counter() - began)
        return best

    assert seconds(512 * 1024) < 32 * max(seconds(64 * 1024), 0.001)
