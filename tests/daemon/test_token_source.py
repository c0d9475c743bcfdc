"""Where the token of a target is in a request, and what of it a backend and the log get."""

from __future__ import annotations

from dataclasses import replace

import pytest

from txhixie import Offer
from txhixie.daemon.routes import Route
from txhixie.daemon.token_source import token_in_host, token_in_path, token_in_query

OFFER = Offer("rfc6455", "/", "localhost")


def asking(target: str, host: str = "localhost") -> Offer:
    return replace(OFFER, target=target, host=host)


@pytest.mark.parametrize(
    ("target", "tokens"),
    [
        ("/vnc", []),
        ("/vnc?token=a", ["a"]),
        ("/vnc?x=y&token=a%2Fb", ["a/b"]),
        ("/vnc?token=a%0Ab", ["a\nb"]),
        ("/vnc?token=..%2F..%2Fetc%2Fpasswd", ["../../etc/passwd"]),
        ("/vnc?token=a&token=b", ["a", "b"]),
        ("/vnc?%74oken=a", ["a"]),
        ("/vnc?token=%FF", ["\ufffd"]),
        ("/vnc?Token=a", []),
        ("/vnc?token=", [""]),
    ],
)
def test_a_token_in_the_query_is_percent_decoded(target: str, tokens: list[str]) -> None:
    assert token_in_query("token").tokens(asking(target)) == tokens


def test_the_backend_gets_the_query_without_the_token() -> None:
    source = token_in_query("token")
    assert source.without(asking("/vnc?token=a&x=y&%74oken=b")).target == "/vnc?x=y"
    assert source.without(asking("/vnc?token=a")).target == "/vnc"
    assert source.masked is None


@pytest.mark.parametrize(
    ("route", "target", "tokens", "without", "masked"),
    [
        ("/vnc", "/vnc/secret", ["secret"], "/vnc", "/vnc/..."),
        ("/vnc", "/vnc/secret/a?x=y", ["secret"], "/vnc/a?x=y", "/vnc/.../a?x=y"),
        ("/vnc", "/vnc/secret/", ["secret"], "/vnc/", "/vnc/.../"),
        ("/vnc", "/vnc/se%2Fcret", ["se/cret"], "/vnc", "/vnc/..."),
        ("/vnc", "/vnc/s%C3%A9", ["s\xe9"], "/vnc", "/vnc/..."),
        ("/vnc", "/vnc", [], "/vnc", "/vnc"),
        ("/vnc", "/vnc/", [""], "/vnc", "/vnc/"),
        ("/a/b", "/a/b/secret", ["secret"], "/a/b", "/a/b/..."),
        ("/", "/secret", ["secret"], "/", "/..."),
        ("/", "/secret/a", ["secret"], "/a", "/.../a"),
        ("/", "/", [""], "/", "/"),
    ],
)
def test_a_token_in_the_path_is_the_segment_after_that_of_the_route(
    route: str, target: str, tokens: list[str], without: str, masked: str
) -> None:
    source = token_in_path(Route(None, route))
    assert source.tokens(asking(target)) == tokens
    assert source.without(asking(target)).target == without
    assert source.masked is not None
    assert source.masked(target) == masked


@pytest.mark.parametrize(
    ("target", "masked"),
    [
        ("//vnc//secret", "//vnc//..."),
        ("/%76nc/secret", "/%76nc/..."),
        ("/other/secret", "/other/secret"),
        ("/vnc?a=/vnc/x", "/vnc?a=/vnc/x"),
        ("*", "*"),
        ("", ""),
    ],
)
def test_a_token_in_the_path_is_masked_in_refused_requests_too(target: str, masked: str) -> None:
    source = token_in_path(Route(None, "/vnc"))
    assert source.masked is not None
    assert source.masked(target) == masked


@pytest.mark.parametrize("host", ["vm1.example.com", "VM1.Example.COM:8080", "vm1.example.com."])
def test_a_token_that_is_the_host_has_no_port_and_no_case(host: str) -> None:
    source = token_in_host()
    assert source.tokens(asking("/", host)) == ["vm1.example.com"]
    assert source.normal("VM1.example.com") == "vm1.example.com"
    assert source.without(asking("/?token=a", host)).target == "/?token=a"
