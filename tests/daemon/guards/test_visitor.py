"""What a guard reads of a WebSocket handshake and of a request for a page."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.web.resource import Resource

from support.applications import Applications, Recorder
from support.handshake_bytes import whole_request
from support.network import Network
from support.waiting import asynchronous
from txhixie.daemon.dispatch import (
    Guarded,
    PageSite,
    RoutedApplications,
    RoutedPages,
    RoutedServerFactory,
)
from txhixie.daemon.guards.guard import Answer, Guard, Permit
from txhixie.daemon.guards.visitor import Visitor
from txhixie.daemon.routes import Route, Routes


class Watching(Guard):
    """A guard that keeps its visitors."""

    def __init__(self) -> None:
        self.visitors: list[Visitor] = []

    def check(self, visitor: Visitor) -> Answer:
        """Accept all clients."""
        self.visitors.append(visitor)
        return Permit()


async def visit(net: Network, over: str, request: bytes, **options: Any) -> Visitor:
    """The visitor that the guard of a route gets for a request."""
    guard = Watching()
    applications: Routes[Any] = Routes()
    applications.add(Route(None, "/"), Guarded(Applications(Recorder), (guard,)))
    pages: Routes[Any] = Routes()
    pages.add(Route(None, "/"), Guarded(Resource(), (guard,)))
    factory = RoutedServerFactory(
        RoutedApplications(applications), elsewhere=PageSite(RoutedPages(pages)), **options
    )
    raw = await net.raw(await net.listen(factory, over))
    raw.send(request)
    await raw.reads(b"\r\n\r\n")
    (visitor,) = guard.visitors
    return visitor


def request(kind: str, *fields: str) -> bytes:
    """A request for a page, or for a conversation in hixie-76."""
    lines = [*fields, "Cookie: a=1", "cookie: b=2"]
    target = "/a%20b/c?token=%41%20b&x=&token=2"
    if kind == "websocket":
        return whole_request("hixie-76", *lines, target=target)
    head = [f"GET {target} HTTP/1.1", "Host: example.com", "Origin: http://example.com", *lines]
    return "\r\n".join([*head, "", ""]).encode("ascii")


kinds = pytest.mark.parametrize("kind", ["websocket", "page"])


@kinds
@asynchronous
async def test_a_visitor_is_the_same_for_a_handshake_and_for_a_page(
    net: Network, kind: str
) -> None:
    visitor = await visit(net, "tcp", request(kind))
    assert visitor.isPage == (kind == "page")
    assert (visitor.path, visitor.host) == ("/a%20b/c", "example.com")
    assert (visitor.origin, visitor.client) == ("http://example.com", "127.0.0.1")
    assert visitor.parameter("token") == ["A b", "2"]
    assert visitor.parameter("other") == []
    assert visitor.header("Cookie") == "a=1, b=2"
    assert visitor.header("Authorization") is None
    assert visitor.certificate is None
    assert not visitor.secure


@kinds
@asynchronous
async def test_a_visitor_over_tls_is_secure(net: Network, kind: str) -> None:
    visitor = await visit(net, "tls", request(kind).replace(b"http://", b"https://"))
    assert visitor.secure
    assert visitor.certificate is None  # the port does not ask for a certificate


@kinds
@asynchronous
async def test_a_visitor_behind_a_trusted_reverse_proxy_is_the_forwarded_client(
    net: Network, kind: str
) -> None:
    forwarded = 'Forwarded: for="[2001:db8::1]";proto=https;host=forwarded.example'
    lines = request(kind, forwarded).replace(b"http://example.com", b"https://forwarded.example")
    visitor = await visit(net, "tcp", lines, trustForwarded=["127.0.0.1"])
    assert (visitor.client, visitor.host) == ("2001:db8::1", "forwarded.example")
    assert visitor.secure


@kinds
@asynchronous
async def test_a_visitor_over_a_unix_socket_has_no_address(net: Network, kind: str) -> None:
    assert (await visit(net, "unix", request(kind))).client is None
