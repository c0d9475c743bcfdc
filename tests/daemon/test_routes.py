"""The choice of the route for a request."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txhixie.daemon.routes import Route, Routes, name_of, segments_of


def routes(*texts: str) -> Routes[str]:
    """Routes written as ``host/path`` or ``host/path;subprotocol``; each has its text as value."""
    made: Routes[str] = Routes()
    for text in texts:
        place, _, subprotocol = text.partition(";")
        host, slash, path = place.partition("/")
        made.add(Route(host or None, slash + path, subprotocol or None), text)
    return made


def found(made: Routes[str], host: str, path: str, *subprotocols: str) -> str | None:
    match = made.find(host, path, subprotocols)
    return match and match[1]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/a", "/a"),
        ("/a/", "/a"),
        ("/a/b", "/a/b"),
        ("/a/b/c", "/a/b"),
        ("/a/bc", "/a"),
        ("/ab", "/"),
        ("/%61/b", "/a/b"),
        ("/c%2fb", "/"),
        ("/a/..b%2fc..", "/a"),
        ("//c", "/"),
        ("/a//c;x", "/a"),
        ("/A", "/"),
    ],
)
def test_the_route_with_the_longest_path_of_whole_segments_is_chosen(
    path: str, expected: str
) -> None:
    assert found(routes("/", "/a", "/a/b"), "any.example", path) == expected


@pytest.mark.parametrize(
    "path",
    [
        *("//a", "///a//b", "/%2Fa", "/%2fa/b", "/a%2Fb", "/a%5Cb", "/a%5cb", "/a\\b", "/\\a"),
        *("/a;x", "/a%3bx/b", "/;/a", "/;x/a", "/a//b", "/c/..;/a", "/c/..%3Bx/a", "/;x=1/.;/a"),
    ],
)
def test_a_path_that_is_below_another_route_for_a_tolerant_backend_has_no_route(path: str) -> None:
    """Otherwise ``//admin`` would reach the backend of ``/admin`` through the open route ``/``."""
    assert found(routes("/", "/a", "/a/b"), "any.example", path) is None


def test_a_path_with_parameters_or_empty_segments_has_the_route_that_is_written_so() -> None:
    table = routes("/", "/a", "/a%3Bx", "/a//b")
    assert found(table, "any.example", "/a;x/c") == "/a%3Bx"
    assert found(table, "any.example", "/a//b") == "/a//b"


@pytest.mark.parametrize(
    "path",
    [
        *("/a/../b", "/a/%2e%2e/b", "/./a", "/..", "*", "http://x/a", ""),
        *("/a/..%2fb", "/a/x%2F..%2F..%2Fb", "/a/%2e%2e%5cb", "/a/x%2f."),
    ],
)
def test_a_path_that_can_be_read_in_two_ways_has_no_route(path: str) -> None:
    """Otherwise a client could reach a protected route's backend through an open route."""
    assert found(routes("/", "/a"), "any.example", path) is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("example.com", "example.com/"),
        ("EXAMPLE.com:8080", "example.com/"),
        ("example.com.", "example.com/"),
        ("a.example.com", "*.example.com/"),
        ("a.b.example.com", "*.b.example.com/"),
        ("example.org", None),
        ("badexample.com", None),
        ("[::1]:80", "[::1]/"),
    ],
)
def test_a_host_matches_exactly_or_by_its_domain(host: str, expected: str | None) -> None:
    made = routes("*.example.com/", "example.com/", "*.b.example.com/", "[::1]/")
    assert found(made, host, "/x") == expected


def test_a_longer_path_is_preferred_to_a_more_exact_host() -> None:
    """Among the routes that match, the path decides first, and the host only between equal
    paths."""
    made = routes("example.com/", "/a", "*.example.com/a")
    assert found(made, "example.com", "/a") == "/a"
    assert found(made, "www.example.com", "/a") == "*.example.com/a"
    assert found(made, "example.com", "/b") == "example.com/"


def test_a_subprotocol_is_a_further_condition() -> None:
    made = routes("/a;chat", "/a", "/a/b;chat")
    assert found(made, "x", "/a", "other", "chat") == "/a;chat"
    assert found(made, "x", "/a", "other") == "/a"
    assert found(made, "x", "/a/b", "chat") == "/a/b;chat"
    assert found(made, "x", "/a/b") == "/a"


def test_two_services_cannot_have_the_same_route() -> None:
    made = routes("example.com/a")
    with pytest.raises(ValueError, match=r"expected one service for example\.com/%61/, not two"):
        made.add(Route("example.com", "/%61/"), "again")
    made.add(Route("example.com", "/a", "chat"), "other")
    made.add(Route(None, "/a"), "another")


@pytest.mark.parametrize(
    ("host", "path", "subprotocol", "expected"),
    [
        ("ex ample", "/", None, "ex ample: expected a host"),
        ("*", "/", None, "expected a host"),
        ("a.*.b", "/", None, "expected a host"),
        ("example.com:80", "/", None, "expected a host"),
        ("Example.com", "/", None, "expected a host"),
        (None, "a", None, "a: expected a path"),
        (None, "", None, "expected a path"),
        (None, "/a/../b", None, "expected a path"),
        (None, "/a?b", None, "expected a path"),
        (None, "/ä", None, "expected a path"),
        (None, "/", "a b", "required-subprotocol a b: expected"),
        (None, "/", "", "expected the name of a subprotocol"),
    ],
)
def test_an_invalid_route_is_an_error(
    host: str | None, path: str, subprotocol: str | None, expected: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        Route(host, path, subprotocol)


def test_a_route_is_shown_as_it_is_written() -> None:
    assert str(Route("*.example.com", "/a", "chat")) == "*.example.com/a required-subprotocol=chat"
    assert str(Route(None, "/")) == "/"


@given(st.lists(st.text("ab%2eE/.;", max_size=6), min_size=1, max_size=6).map("/".join))
def test_the_route_of_a_path_is_at_or_above_that_path(path: str) -> None:
    """The path that a client requests begins with the segments of the chosen route, literally."""
    made = routes("/a", "/a/b", "/b")
    match = made.find("x", "/" + path)
    if match is not None:
        segments = segments_of("/" + path)
        assert segments is not None
        assert segments[: len(match[0].segments)] == match[0].segments


def test_a_host_fields_name_has_no_port() -> None:
    assert [name_of(host) for host in ("A:1", "[::1]", "[::1]:", "a.")] == [
        "a",
        "[::1]",
        "[::1]",
        "a",
    ]
