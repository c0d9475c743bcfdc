"""Who may come in."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from txhixie import Offer
from txhixie.policy import Policy, same_host


def asks(
    origin: str | None,
    host: str = "example.com",
    origins: Iterable[str] | None = None,
    hosts: Iterable[str] | None = None,
) -> int | None:
    """The status a page of this origin is refused with, if it is."""
    refusal = Policy(origins, hosts).refuses(Offer("hixie-76", "/", host, origin))
    return None if refusal is None else refusal.status


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://example.com", "example.com"),
        ("https://example.com", "example.com"),
        ("HTTP://Example.COM", "eXample.com"),
        ("http://example.com:80", "example.com"),
        ("http://example.com", "example.com:80"),
        ("https://example.com:443", "example.com"),
        ("https://example.com", "example.com:443"),
        ("http://example.com:8080", "example.com:8080"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("http://[::1]", "[::1]:80"),
    ],
)
def test_pages_of_the_same_host_may_connect(origin: str, host: str) -> None:
    assert same_host(origin, host)
    assert asks(origin, host) is None


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", "example.com"),
        ("http://example.com.evil.example", "example.com"),
        ("http://evil-example.com", "example.com"),
        ("http://sub.example.com", "example.com"),
        ("http://example.com", "sub.example.com"),
        ("http://example.com:8080", "example.com"),
        ("http://example.com", "example.com:8080"),
        ("http://example.com:443", "example.com"),
        ("https://example.com:80", "example.com"),
        ("http://example.com@evil.example", "example.com"),
        ("http://example.com/", "example.com"),
        ("http://example.com evil", "example.com"),
        ("example.com", "example.com"),
        ("null", "null"),
        ("null", "example.com"),
        ("file://", "example.com"),
        ("file://", ""),
        ("", "example.com"),
        ("://example.com", "other"),
    ],
)
def test_other_pages_may_not(origin: str, host: str) -> None:
    assert not same_host(origin, host)
    assert asks(origin, host) == 403


def test_no_origin_is_no_page() -> None:
    assert asks(None) is None
    assert asks(None, origins=["http://other.example"]) is None
    assert asks(None, origins=[]) is None


def test_a_list_is_exact_but_for_case() -> None:
    listed = ["http://Page.example:8080", "null"]
    assert asks("http://page.EXAMPLE:8080", origins=listed) is None
    assert asks("null", origins=listed) is None
    assert asks("http://page.example", origins=listed) == 403
    assert asks("https://page.example:8080", origins=listed) == 403
    assert asks("file://", origins=listed) == 403


def test_a_list_does_not_hold_the_same_host_by_itself() -> None:
    assert asks("http://example.com", origins=["http://page.example"]) == 403
    assert asks("http://example.com", origins=[]) == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "file://", None])
def test_a_star_lets_everybody_in(origin: str | None) -> None:
    assert asks(origin, origins=["*"]) is None


def test_a_star_inside_an_origin_is_no_pattern() -> None:
    assert asks("http://a.example.com", origins=["http://*.example.com"]) == 403


@pytest.mark.parametrize(
    ("host", "hosts", "status"),
    [
        ("example.com", None, None),
        ("example.com", ["Example.com"], None),
        ("EXAMPLE.com:8080", ["example.com"], None),
        ("example.com:8080", ["example.com:8080"], None),
        ("example.com:8081", ["example.com:8080"], 403),
        ("example.com", ["example.com:8080"], 403),
        ("evil.example", ["example.com"], 403),
        ("[::1]:8080", ["[::1]"], None),
        ("[::2]", ["[::1]"], 403),
        ("example.com.", ["example.com"], 403),
    ],
)
def test_a_server_may_know_its_names(
    host: str, hosts: list[str] | None, status: int | None
) -> None:
    assert asks(None, host, hosts=hosts) == status
    assert asks("http://evil.example", host, ["*"], hosts) == status


def test_a_refusal_says_why_and_repeats_nothing() -> None:
    for policy in (Policy(hosts=["a"]), Policy()):
        refusal = policy.refuses(Offer("hixie-76", "/", "host.example", "http://evil.example"))
        assert refusal is not None
        assert refusal.body.strip()
        assert "example" not in refusal.body
