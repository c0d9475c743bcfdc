"""Access by origin and host: which pages and hosts may connect."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from txhixie import Offer
from txhixie.server.access import Policy, same_host


def asks(
    origin: str | None,
    host: str = "example.com",
    origins: Iterable[str] | None = None,
    hosts: Iterable[str] | None = None,
) -> int | None:
    """The status with which a page of this origin is refused, or ``None``."""
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
        ("http://example.com evil", "example.com"),
        ("null", "null"),
        ("null", "example.com"),
        ("file://", "example.com"),
        ("file://", ""),
        ("://example.com", "other"),
    ],
)
def test_pages_of_other_hosts_may_not_connect(origin: str, host: str) -> None:
    assert not same_host(origin, host)
    assert asks(origin, host) == 403


def test_a_request_without_an_origin_is_not_from_a_page() -> None:
    assert asks(None) is None
    assert asks(None, origins=["http://other.example"]) is None
    assert asks(None, origins=[]) is None


def test_a_listed_origin_is_compared_exactly_except_for_case() -> None:
    listed = ["http://Page.example:8080", "null"]
    assert asks("http://page.EXAMPLE:8080", origins=listed) is None
    assert asks("null", origins=listed) is None
    assert asks("http://page.example", origins=listed) == 403
    assert asks("https://page.example:8080", origins=listed) == 403
    assert asks("file://", origins=listed) == 403


def test_a_list_does_not_include_the_same_host() -> None:
    assert asks("http://example.com", origins=["http://page.example"]) == 403
    assert asks("http://example.com", origins=[]) == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "file://", None])
def test_a_star_allows_every_origin(origin: str | None) -> None:
    assert asks(origin, origins=["*"]) is None


@pytest.mark.parametrize(
    ("origin", "comes"),
    [
        ("https://a.example.com", True),
        ("https://A.B.example.COM", True),
        ("https://xn--1.a-b_c.example.com", True),
        ("https://example.com", False),
        ("https://.example.com", False),
        ("http://a.example.com", False),
        ("https://a.example.com:8443", False),
        ("https://a.example.com.evil.example", False),
        ("https://evil.example:1.example.com", False),
        ("https://evil@a.example.com", False),
        ("https://evil.example, https://a.example.com", False),
        ("https://evilexample.com", False),
        ("null", False),
    ],
)
def test_a_star_matches_the_first_labels_of_a_host_name(origin: str, comes: bool) -> None:
    expected = None if comes else 403
    assert asks(origin, origins=["https://other.example", "https://*.Example.com"]) == expected


def test_a_pattern_may_have_a_port() -> None:
    listed = ["http://*.example.com:8080"]
    assert asks("http://a.example.com:8080", origins=listed) is None
    assert asks("http://a.example.com", origins=listed) == 403


@pytest.mark.parametrize(
    "wrong", ["https://*", "*.example.com", "https://a*.example.com", "https://a.*.com", "**", "a*"]
)
def test_a_star_elsewhere_is_an_error(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"expected \* alone or as the first label of the host"):
        Policy([wrong])


def test_a_URL_in_a_list_of_hosts_is_an_error() -> None:
    """A URL would match no request: a Host header has no scheme."""
    with pytest.raises(ValueError, match=r"^expected a name such as example\.com.*: http://x$"):
        Policy(hosts=["http://x"])


BY_NO_BROWSER = [
    *("", "*", "ArduinoWebSocketClient", "example.com", "127.0.0.1:8080", "[::1]:8080"),
    *("http://example.com/", "http://evil.example/page", "HTTPS://evil.example/?a", "a b", "a,b"),
    *("https://evil.example?.example.com", "https://evil.example#.example.com"),
    *("//evil.example", "evil.example/path", "nullify", "http:evil.example"),
]
BY_A_BROWSER = [
    *("null", "NULL", "file://", "file:///a/b", "http://evil.example", "HTTP://EVIL.example:81"),
    *("chrome-extension://abcdef", "qrc://", "app://local", "null, null", "://evil.example"),
    *("http://a.example/x http://evil.example", "http://evil.example,word", "word null"),
    *("http://user@evil.example", "http://[::2]", "http://evil.example evil"),
]


@pytest.mark.parametrize("origin", BY_NO_BROWSER)
def test_an_origin_that_no_browser_sends_counts_as_none(origin: str) -> None:
    """Devices and libraries send such an origin; a page cannot make a browser send it."""
    assert asks(origin) is None
    assert asks(origin, origins=["http://other.example"]) is None
    offer = Offer("rfc6455", "/", "example.com", origin)
    assert not Policy().allows(offer)
    assert Policy(["*"]).allows(offer)


@pytest.mark.parametrize("origin", BY_A_BROWSER)
def test_an_origin_that_a_browser_may_send_is_checked(origin: str) -> None:
    """The origin comes alone, in a list (RFC 6454 section 7.1), or joined with another by a
    proxy."""
    assert asks(origin) == 403
    assert asks(origin, origins=["http://other.example"]) == 403


@pytest.mark.parametrize(
    "origin",
    [
        *("null", "file://", "file:///a/b", "http://evil.example:81", "ArduinoWebSocketClient"),
        *("chrome-extension://abcdef", "qrc://", "app://local", "http://[::2]", "://evil.example"),
    ],
)
def test_an_origin_can_be_listed_exactly_as_sent(origin: str) -> None:
    policy = Policy([origin])
    offer = Offer("rfc6455", "/", "example.com", origin.swapcase())
    assert policy.refuses(offer) is None
    assert policy.allows(offer)


@pytest.mark.parametrize(
    ("listed", "sent"),
    [
        ("HTTPS://Example.COM", "https://example.com"),
        ("https://example.com:443", "https://example.com"),
        ("http://example.com:80", "http://example.com"),
        ("https://example.com", "https://example.com:443"),
        ("https://example.com:08443", "https://example.com:8443"),
        ("https://*.example.com:443", "https://a.example.com"),
        ("https://*.example.com", "https://a.example.com:443"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
        ("https://*.b\u00fccher.example", "https://a.xn--bcher-kva.example"),
        ("http://[0:0:0:0:0:0:0:1]:8080", "http://[::1]:8080"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_a_listed_origin_is_normalised_as_browsers_do(listed: str, sent: str) -> None:
    assert asks(sent, origins=[listed]) is None
    assert asks(sent.replace("http", "x"), origins=[listed]) == 403


@pytest.mark.parametrize("port", [80, 443, 8080])
def test_another_port_is_another_origin(port: int) -> None:
    for scheme, default in (("http", 80), ("https", 443)):
        expected = None if port == default else 403
        assert asks(f"{scheme}://a.example:{port}", origins=[f"{scheme}://a.example"]) == expected


NEVER_MATCH = [
    ("example.com", "with its scheme, such as https://example.com: example.com"),
    ("example.com:8080", "with its scheme, such as https://example.com:8080: example.com:8080"),
    ("localhost", "with its scheme, such as https://localhost: localhost"),
    ("localhost:3000", "with its scheme, such as https://localhost:3000: "),
    ("192.0.2.1", "with its scheme, such as https://192.0.2.1: "),
    ("[::1]:8080", r"with its scheme, such as https://[::1]:8080: "),
    ("//example.com", "with its scheme, such as https://example.com: //example.com"),
    ("https:example.com", "with its scheme, such as https://example.com: https:example.com"),
    ("https:/example.com", "with its scheme, such as https://example.com: https:/example.com"),
    ("https://example.com/", "without a path or a user, such as https://example.com: https://"),
    ("https://Example.com/a?b", "without a path or a user, such as https://example.com: "),
    ("https://example.com?b", "without a path or a user, such as https://example.com: "),
    ("https://example.com#", "without a path or a user, such as https://example.com: "),
    ("https://me@example.com", "without a path or a user, such as https://example.com: "),
    ("wss://example.com", "of a page, https://example.com: wss://example.com"),
    ("ws://example.com:8080/a", "of a page, http://example.com:8080: ws://"),
    ("https://a.example,https://b.example", "one Origin, such as https://example.com: "),
    ("https://a.example https://b.example", "one Origin, such as "),
    (" https://a.example", "one Origin, such as "),
    ("", "one Origin, such as "),
    ("https://a.example:99999", "a host and at most a port, https://example.com:8443: "),
    ("https://[::1::]", "a host and at most a port, "),
    ("https://\u2028.example", "Origin"),
]


@pytest.mark.parametrize(("wrong", "said"), NEVER_MATCH)
def test_a_listed_origin_that_would_never_match_is_an_error(wrong: str, said: str) -> None:
    """No browser sends such an origin: the page would be refused, and the operator would not see
    why."""
    with pytest.raises(ValueError, match="^expected .*" + re.escape(said)) as caught:
        Policy([wrong])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("origin", "host", "comes"),
    [
        ("https://example.com", "example.com", True),
        ("HTTPS://Example.com:443", "example.com", True),
        ("https://example.com", "example.com:443", True),
        ("https://example.com:8443", "example.com:8443", True),
        ("http://example.com", "example.com", False),
        ("http://example.com:8443", "example.com:8443", False),
        ("http://example.com", "example.com:443", False),
        ("app://example.com", "example.com", False),
        ("https://example.com", "example.com:80", False),
    ],
)
def test_a_page_without_TLS_is_another_host_if_the_client_uses_TLS(
    origin: str, host: str, comes: bool
) -> None:
    """An attacker on the network path can have written a page that was loaded by http."""
    assert same_host(origin, host, secure=True) == comes
    offer = Offer("rfc6455", "/", host, origin, secure=True)
    assert (Policy().refuses(offer) is None) == comes
    assert Policy().allows(offer) == comes


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
def test_a_server_may_list_its_host_names(
    host: str, hosts: list[str] | None, status: int | None
) -> None:
    assert asks(None, host, hosts=hosts) == status
    assert asks("http://evil.example", host, ["*"], hosts) == status


def test_a_refusal_has_a_reason_and_does_not_repeat_the_origin() -> None:
    for policy in (Policy(hosts=["a"]), Policy()):
        refusal = policy.refuses(Offer("hixie-76", "/", "host.example", "http://evil.example"))
        assert refusal is not None
        assert refusal.body.strip()
        assert "example" not in refusal.body
