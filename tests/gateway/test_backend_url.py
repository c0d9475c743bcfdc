"""URLs of backends: by TCP and by a UNIX socket, and the target and host of a request to one."""

from __future__ import annotations

import pytest

from support.waiting import reactor
from txhixie import Limits
from txhixie.dialing.dialer import Dialer
from txhixie.gateway.backend_url import BackendURL, withoutPrefix

PAGES = ("http", "https")


@pytest.mark.parametrize(
    ("url", "shown", "resource", "authority", "userinfo"),
    [
        ("ws://Host:9000", "ws://host:9000", "", "host:9000", ""),
        ("wss://host/a?b=c", "wss://host", "/a?b=c", "host", ""),
        ("WS://us:pw@host:80/", "ws://host", "/", "host", "us:pw"),
        ("http://host:8000", "http://host:8000", "", "host:8000", ""),
        ("https://host:443", "https://host", "", "host", ""),
        ("ws://[::1]:9000?a", "ws://[::1]:9000", "?a", "[::1]:9000", ""),
        ("ws://unix:/run/a.sock", "ws://unix:/run/a.sock", "", "localhost", ""),
        ("ws://unix:/run/a.sock:/b?c", "ws://unix:/run/a.sock", "/b?c", "localhost", ""),
        ("http://us:pw@unix:/run/a.sock", "http://unix:/run/a.sock", "", "localhost", "us:pw"),
    ],
)
def test_a_url_is_read(url: str, shown: str, resource: str, authority: str, userinfo: str) -> None:
    """The URL for log lines has neither a password nor a query."""
    made = BackendURL.read(url, PAGES if url.startswith("http") else ("ws", "wss"))
    assert (made.shown, made.resource, made.userinfo) == (shown, resource, userinfo)
    assert made.parsed.authority == authority
    assert (made.parsed.credentials is None) == (userinfo == "")
    assert made.parsed.secure == url.lower().startswith(("wss:", "https:"))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://host", r"scheme: expected ws: or wss:; write ws://HOST:PORT/PATH"),
        ("host:9000", r"scheme: expected ws: or wss:"),
        ("wss://unix:/run/a.sock", "unix: expected .*: a UNIX socket needs no TLS"),
        ("ws://unix:run/a.sock", r"unix: expected ws://unix:/SOCKET or ws://unix:/SOCKET:/PATH"),
        ("ws://unix:/run/a.sock:b", r"unix: expected ws://unix:/SOCKET"),
        ("ws://unix:/run/a.sock?b", r"unix: expected ws://unix:/SOCKET"),
        (f"ws://unix:/{'a' * 200}", "expected a socket path of at most"),
        ("ws://host:0", "port: expected a number"),
        ("ws://host/#a", "fragment"),
        ("ws:///a", "host: missing"),
    ],
)
def test_an_invalid_url_is_an_error_without_its_password(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        BackendURL.read(url.replace("://", "://us:secret@") if "unix" in url else url)
    assert "secret" not in str(caught.value)


def test_a_proxy_before_a_unix_socket_is_an_error() -> None:
    dialer = Dialer(reactor, Limits(), "http://proxy:3128")
    with pytest.raises(ValueError, match="proxy: expected no proxy for a backend at a UNIX socket"):
        BackendURL.read("ws://unix:/run/a.sock").endpoint(reactor, dialer)


@pytest.mark.parametrize(
    ("wanted", "asked", "host"),
    [
        (None, "asked:81", "own:9000"),
        ("keep", "asked:81", "asked:81"),
        ("keep", "", "own:9000"),
        ("fixed.example", "asked:81", "fixed.example"),
    ],
)
def test_the_host_of_a_request(wanted: str | None, asked: str, host: str) -> None:
    """A client without a ``Host`` field has none to keep."""
    assert BackendURL.read("ws://own:9000").host(wanted, asked) == host


@pytest.mark.parametrize(
    ("target", "prefix", "left"),
    [
        ("/app/x?y=/app", "/app", "/x?y=/app"),
        ("/app", "/app", "/"),
        ("/app?a", "/app", "/?a"),
        ("/app/", "/app/", "/"),
        ("/%61pp/x%2Fy", "/app", "/x%2Fy"),
        ("/a/b/c/", "/a/b", "/c/"),
        ("/x/y", "/", "/x/y"),
        ("/x/y", "", "/x/y"),
        ("/a//b/c", "/a//b", "/c"),
        ("/app//example.com/x//y", "/app", "/example.com/x//y"),
        ("/app///", "/app", "/"),
        ("/app//", "/app/", "/"),
        ("/app/\\example.com/x", "/app", "/example.com/x"),
        ("/app//?a=//b", "/app", "/?a=//b"),
        ("//x", "", "//x"),
    ],
)
def test_the_path_of_the_route_is_removed(target: str, prefix: str, left: str) -> None:
    """Escaped characters of the rest stay escaped. The rest is never a URL of another host."""
    assert withoutPrefix(target, prefix) == left
