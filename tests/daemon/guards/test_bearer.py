"""Bearer tokens of a request, and what a client without a right one gets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txhixie import Refusal
from txhixie.daemon.guards.bearer import Bearer, tokensOf
from txhixie.daemon.guards.guard import OneOf, Permit
from txhixie.daemon.guards.visitor import Visitor
from txhixie.sansio.http.head import Fields
from txhixie.sansio.http.query import without_parameters

RIGHT = "ab+c/d.e_f~g-h=="


def visitor(target: str = "/", *authorization: bytes) -> Visitor:
    """A visitor with a query and fields ``Authorization``."""
    fields = Fields([(b"authorization", value) for value in authorization])
    return Visitor(False, target, "example.com", None, None, False, fields)


def guard(realm: str = "here", parameter: str = "token") -> Bearer:
    return Bearer(
        lambda token: Permit() if token == RIGHT else "unknown token",
        realm,
        parameter,
        "tokens, --tokens",
    )


def refused(target: str = "/", *authorization: bytes, by: Bearer | None = None) -> Refusal:
    answer = (by or guard()).check(visitor(target, *authorization))
    assert isinstance(answer, Refusal)
    return answer


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ("/", f"Bearer {RIGHT}"),
        ("/", f"bearer   {RIGHT} "),
        ("/", f"BEARER\t{RIGHT}"),
        ("/?x=1&token=ab%2Bc%2Fd.e_f%7Eg-h%3D%3D", None),
        (f"/?token={RIGHT}", None),  # a plus sign that the page forgot to escape
        (f"/?t%6fken={RIGHT}&y", None),
        (f"/?token={RIGHT}", "Basic YTpi"),
    ],
)
def test_a_right_token_is_found_in_each_place(target: str, field: str | None) -> None:
    fields = () if field is None else (field.encode(),)
    assert guard().hasCredentials(visitor(target, *fields))
    assert guard().check(visitor(target, *fields)) == Permit()


@pytest.mark.parametrize("field", [None, b"Basic YTpi", b"Bearerish abc", b""])
def test_a_request_without_a_token_gets_the_challenge_alone(field: bytes | None) -> None:
    """RFC 6750 section 3: a client that did not know that it needs a token has made no error."""
    fields = () if field is None else (field,)
    assert not guard().hasCredentials(visitor("/?tokens=1", *fields))
    answer = refused("/?tokens=1", *fields)
    assert answer.status == 401
    assert answer.headers == ((b"WWW-Authenticate", b'Bearer realm="here"'),)
    assert answer.why == "no token (tokens, --tokens)"
    assert answer.cause == "token"


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ("/", b"Bearer wrong"),
        ("/", b"Bearer"),
        ("/", b"Bearer \xff\x00"),
        ("/?token=wrong", None),
        ("/?token", None),
        ("/?token=%ff", None),
    ],
)
def test_a_wrong_token_is_an_invalid_token(target: str, field: bytes | None) -> None:
    fields = () if field is None else (field,)
    assert guard().hasCredentials(visitor(target, *fields))
    answer = refused(target, *fields)
    assert answer.status == 401
    assert answer.headers == ((b"WWW-Authenticate", b'Bearer realm="here", error="invalid_token"'),)
    assert answer.why == "unknown token (tokens, --tokens)"
    assert answer.body == "invalid token\n"
    assert answer.cause == "token"


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        (f"/?token={RIGHT}&token={RIGHT}", ()),
        (f"/?token={RIGHT}", (b"Bearer other",)),
    ],
)
def test_a_client_sends_one_token(target: str, fields: tuple[bytes, ...]) -> None:
    """RFC 6750 sections 2 and 3.1."""
    answer = refused(target, *fields)
    assert answer.status == 400
    assert answer.headers == (
        (b"WWW-Authenticate", b'Bearer realm="here", error="invalid_request"'),
    )


def test_two_fields_are_one_wrong_token() -> None:
    assert refused("/", f"Bearer {RIGHT}".encode(), b"Bearer b").status == 401


def test_the_realm_is_quoted() -> None:
    answer = refused(by=guard('a "b" \\c'))
    assert answer.headers == ((b"WWW-Authenticate", rb'Bearer realm="a \"b\" \\c"'),)


def test_the_parameter_may_have_another_name() -> None:
    made = guard(parameter="access_token")
    assert made.check(visitor(f"/?access_token={RIGHT}")) == Permit()
    assert not made.hasCredentials(visitor(f"/?token={RIGHT}"))
    assert made.usedParameters == {"access_token"}


def test_of_two_kinds_of_tokens_one_is_enough_and_the_challenge_is_sent_once() -> None:
    never = Bearer(lambda token: "malformed token", "here", "token", "jwt-key, --jwt-key")
    both = OneOf([guard(), never])
    assert both.check(visitor(f"/?token={RIGHT}")) == Permit()
    answer: Any = both.check(visitor("/?token=wrong"))
    assert answer.status == 401
    assert answer.headers == ((b"WWW-Authenticate", b'Bearer realm="here", error="invalid_token"'),)
    missing: Any = both.check(visitor())
    assert missing.headers == ((b"WWW-Authenticate", b'Bearer realm="here"'),)


# What a backend gets.

PARTS = st.text("tokensecret%46Ff=?+;,/.~", max_size=8)


@given(st.lists(PARTS), st.lists(st.sampled_from(["token", "t%6Fken", "%74oken"]), max_size=3))
def test_no_token_is_left_and_other_parameters_keep_their_bytes(
    others: list[str], names: list[str]
) -> None:
    others = [part for part in others if tokensOf(visitor(f"/?{part}"), "token") == []]
    parts = list(others)
    for number, name in enumerate(names):
        parts.insert(number * 2, f"{name}=secret")
    left = without_parameters(f"/a?{'&'.join(parts)}" if parts else "/a", {"token"})
    assert tokensOf(visitor(left), "token") == []
    assert "secret" not in left
    if any(others) and names:
        assert left == f"/a?{'&'.join(others)}"
