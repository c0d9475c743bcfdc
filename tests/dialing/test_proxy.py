"""The choice of a proxy: its URL, and the environment by curl's rules."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txhixie.dialing.proxy import Proxy, is_exempt, parse_proxy, proxy_from_environment
from txhixie.sansio.http.url import Credentials


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy.example:3128", Proxy(False, "proxy.example", 3128)),
        ("http://proxy.example:3128/", Proxy(False, "proxy.example", 3128)),
        ("HTTP://Proxy.Example:80", Proxy(False, "proxy.example", 80)),
        ("https://proxy.example", Proxy(True, "proxy.example", 443)),
        ("http://proxy.example", Proxy(False, "proxy.example", 1080)),
        ("proxy.example:3128", Proxy(False, "proxy.example", 3128)),
        ("proxy", Proxy(False, "proxy", 1080)),
        ("127.0.0.1:3128", Proxy(False, "127.0.0.1", 3128)),
        ("http://[2001:db8::1]:3128", Proxy(False, "2001:db8::1", 3128)),
        ("b\u00fccher.example:1", Proxy(False, "xn--bcher-kva.example", 1)),
        ("http://me:pass@p:1", Proxy(False, "p", 1, Credentials("me", "pass"))),
        ("me:pass@p:1", Proxy(False, "p", 1, Credentials("me", "pass"))),
        ("http://me@p:1", Proxy(False, "p", 1, Credentials("me", ""))),
        ("http://:pass@p:1", Proxy(False, "p", 1, Credentials("", "pass"))),
        (
            "http://a%40b:p%3Aw%2F%25%20%C3%BC@p:1",
            Proxy(False, "p", 1, Credentials("a@b", "p:w/% \xfc")),
        ),
        ("http://me:a@b@p:1", Proxy(False, "p", 1, Credentials("me", "a@b"))),
    ],
)
def test_a_proxy_is_read_from_its_URL(url: str, proxy: Proxy) -> None:
    """The defaults are curl's: the scheme ``http:``, and the port 1080, or 443 for ``https:``."""
    assert parse_proxy(url) == proxy


SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "host"),
        ("http://", "host"),
        (f"http://me:{SECRET}@", "host"),
        (f"http://me:{SECRET}@a b", "host"),
        (f"http://me:{SECRET}@[::1", "host"),
        (f"http://me:{SECRET}@p:http", "port"),
        (f"http://me:{SECRET}@p:99999", "port"),
        (f"http://me:{SECRET}@p:0", "port"),
        (f"http://me:{SECRET}/@p:1", "port"),
        (f"http://me:{SECRET}@p\u2100:1", "host"),
        (f"http://me:{SECRET}%E9@p:1", "userinfo"),
        (f"socks5://me:{SECRET}@p:1080", "SOCKS"),
        ("socks4a://p", "SOCKS"),
        ("SOCKS5H://p", "SOCKS"),
        (f"ftp://me:{SECRET}@p", "scheme"),
        (f"ws://me:{SECRET}@p", "scheme"),
    ],
)
def test_an_invalid_proxy_is_an_error_that_does_not_repeat_it(url: str, why: str) -> None:
    """A mistyped URL may contain a password."""
    with pytest.raises(ValueError, match=why) as caught:
        parse_proxy(url)
    assert SECRET not in str(caught.value)


@given(st.text())
def test_any_text_is_a_proxy_or_a_ValueError(url: str) -> None:
    with contextlib.suppress(ValueError):
        parse_proxy(url)


@pytest.mark.parametrize("url", ["http://me:pass@proxy:3128", "https://me:pass@[2001:db8::1]:1"])
def test_a_proxy_shows_everything_but_its_credentials(url: str) -> None:
    proxy = parse_proxy(url)
    assert str(proxy) == url.replace("me:pass@", "")
    assert "pass" not in repr(proxy)


# Environment variables.

HTTP, HTTPS, ALL = "http://h:1", "http://s:2", "http://a:3"


@pytest.mark.parametrize(
    ("environ", "ws", "wss"),
    [
        ({}, None, None),
        ({"http_proxy": HTTP}, "h", None),
        ({"https_proxy": HTTPS}, None, "s"),
        ({"http_proxy": HTTP, "https_proxy": HTTPS, "all_proxy": ALL}, "h", "s"),
        ({"http_proxy": HTTP, "all_proxy": ALL}, "h", "a"),
        ({"ALL_PROXY": ALL}, "a", "a"),
        ({"all_proxy": ALL, "ALL_PROXY": HTTP}, "a", "a"),
        ({"HTTPS_PROXY": HTTPS}, None, "s"),
        ({"https_proxy": HTTPS, "HTTPS_PROXY": ALL}, None, "s"),
        ({"HTTP_PROXY": HTTP}, None, None),
        ({"HTTP_PROXY": HTTP, "ALL_PROXY": ALL}, "a", "a"),
        ({"http_proxy": "", "all_proxy": ALL}, "a", "a"),
        ({"all_proxy": ALL, "no_proxy": "example.com"}, None, None),
        ({"all_proxy": ALL, "NO_PROXY": "example.com"}, None, None),
        ({"all_proxy": ALL, "no_proxy": "other.example", "NO_PROXY": "*"}, "a", "a"),
        ({"all_proxy": ALL, "no_proxy": "", "NO_PROXY": "*"}, None, None),
    ],
)
def test_the_environment_is_read_as_curl_reads_it(
    environ: dict[str, str], ws: str | None, wss: str | None
) -> None:
    """In a CGI program ``HTTP_PROXY`` is the request's header ``Proxy`` (CVE-2016-5388)."""

    def chosen(secure: bool) -> str | None:
        proxy = proxy_from_environment(secure, "www.example.com", 443, environ)
        return None if proxy is None else proxy.host

    assert (chosen(False), chosen(True)) == (ws, wss)


@pytest.mark.parametrize(
    ("exempt", "host", "is_named"),
    [
        ("*", "anything", True),
        (" * ", "192.0.2.1", True),
        ("*,", "anything", False),
        ("*.example.com", "www.example.com", False),
        ("example.com", "example.com", True),
        ("example.com", "EXAMPLE.com.", True),
        ("Example.Com.", "www.example.com", True),
        ("example.com", "www.example.com", True),
        (".example.com", "www.example.com", True),
        (".example.com", "example.com", True),
        ("example.com", "notexample.com", False),
        ("example.com", "example.com.evil", False),
        ("www.example.com", "example.com", False),
        ("a.example, b.example", "b.example", True),
        ("a.example b.example", "b.example", True),
        (",,", "a", False),
        (".", "a", False),
        ("localhost", "localhost", True),
        ("", "localhost", False),
        ("", "127.0.0.1", False),
        ("localhost", "127.0.0.1", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.0/24", "192.0.2.77", True),
        ("192.0.2.77/24", "192.0.2.1", True),
        ("192.0.2.0/24", "192.0.3.1", False),
        ("2.1", "192.0.2.1", False),
        ("192.0.2.0/24", "192.0.2.1.example", False),
        ("::1", "::1", True),
        ("::1", "[::1]", True),
        ("[::1]", "::1", True),
        ("2001:db8::/32", "2001:db8:1::5", True),
        ("2001:0db8::1", "2001:db8:0::1", True),
        ("2001:db8::/32", "192.0.2.1", False),
        ("192.0.2.0/99", "192.0.2.1", False),
        ("example.com:443", "www.example.com", True),
        ("example.com:8443", "www.example.com", False),
        ("192.0.2.1:443", "192.0.2.1", True),
        ("192.0.2.1:80", "192.0.2.1", False),
        ("[::1]:443", "::1", True),
        ("[::1]:80", "::1", False),
    ],
)
def test_no_proxy_lists_hosts(exempt: str, host: str, is_named: bool) -> None:
    """Hosts are matched by suffix, by network, and with a port or without; loopback addresses are
    not special."""
    assert is_exempt(host, 443, exempt) is is_named


@pytest.mark.parametrize("digits", ["0" * 5000 + "80", "9" * 5000])
def test_a_port_of_thousands_of_digits_is_no_port(digits: str) -> None:
    """Python's int() raises a ValueError for such a number."""
    assert not is_exempt("example.com", 80, f"example.com:{digits}")


@given(st.text(max_size=40), st.sampled_from(["a.example", "192.0.2.1", "::1"]))
def test_any_no_proxy_can_be_read(exempt: str, host: str) -> None:
    assert is_exempt(host, 443, exempt) in (True, False)


@pytest.mark.parametrize("value", [f"socks5://me:{SECRET}@p:1080", f"gopher://{SECRET}", "http://"])
@pytest.mark.parametrize("name", ["https_proxy", "ALL_PROXY"])
def test_an_error_names_the_variable_with_an_invalid_proxy(name: str, value: str) -> None:
    """A direct connection past a configured proxy would be worse than none."""
    with pytest.raises(ValueError, match=f"^{name}: ") as caught:
        proxy_from_environment(True, "host.example", 443, {name: value})
    assert SECRET not in str(caught.value)


def test_a_variable_that_is_not_needed_is_not_read() -> None:
    environ = {"https_proxy": HTTPS, "all_proxy": "socks5://p", "no_proxy": "direct.example"}
    assert proxy_from_environment(True, "host.example", 443, environ) == parse_proxy(HTTPS)
    assert proxy_from_environment(False, "direct.example", 80, environ) is None
