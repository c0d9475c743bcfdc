"""Handshakes and page requests are dispatched to the service of their route."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.testing import StringTransport
from twisted.web.resource import Resource
from twisted.web.server import Site

from support.applications import Applications, Recorder
from support.handshake_bytes import body_of, status_of, whole_request
from support.memory_connection import ServerEnd
from txhixie.daemon.dispatch import Guarded, PageSite, RoutedApplications, RoutedPages
from txhixie.daemon.routes import Route, Routes


def asked(routes: Routes[Any], *lines: str, **which: Any) -> ServerEnd:
    """Send a WebSocket request to a server with these routes."""
    end = ServerEnd(RoutedApplications(routes))
    end.receive(whole_request("rfc6455", *lines, **which))
    return end


def test_an_offer_is_built_by_the_service_of_its_route() -> None:
    services = {path: Applications(Recorder) for path in ("/a", "/b")}
    routes: Routes[Any] = Routes()
    for path, service in services.items():
        routes.add(Route(None, path, None), Guarded(service))
    assert status_of(asked(routes, target="/b/x").wire.written) == 101
    assert [offer.path for offer in services["/b"].asked] == ["/b/x"]
    assert services["/a"].asked == []


def test_an_offer_without_a_route_is_a_404() -> None:
    routes: Routes[Any] = Routes()
    routes.add(Route(None, "/a", None), Guarded(Applications(Recorder)))
    assert status_of(asked(routes, target="/b").wire.written) == 404


def test_a_route_with_a_subprotocol_offers_its_service_only_that_one() -> None:
    service = Applications(Recorder)
    routes: Routes[Any] = Routes()
    routes.add(Route(None, "/a", "chat"), Guarded(service))
    asked(routes, "Sec-WebSocket-Protocol: superchat, chat", target="/a")
    assert [offer.subprotocols for offer in service.asked] == [("chat",)]


class Where(Resource):
    """A page whose body shows how the request's path was divided."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """The segments before and after the route."""
        return b"|".join((b"/".join(request.prepath), b"/".join(request.postpath)))


def answer(target: str, host: str = "example.com") -> bytes:
    """The response of a site that has a page at ``/a``."""
    routes: Routes[Any] = Routes()
    routes.add(Route("example.com", "/a", None), Guarded(Where()))  # type: ignore[no-untyped-call]
    site: Site = PageSite(RoutedPages(routes))
    channel = site.buildProtocol(None)
    transport: Any = StringTransport()
    transport.protocol = channel
    channel.makeConnection(transport)
    channel.dataReceived(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    written: bytes = transport.value()
    channel.connectionLost(None)
    return written


def test_a_page_sees_the_path_below_its_route() -> None:
    assert body_of(answer("/a/b/c")).endswith(b"a|b/c")


@pytest.mark.parametrize(("target", "host"), [("/b", "example.com"), ("/a/", "other.example")])
def test_a_page_without_a_route_is_a_404(target: str, host: str) -> None:
    assert status_of(answer(target, host)) == 404


@pytest.mark.parametrize(
    ("target", "location"), [("/a", b"/a/"), ("/a?x=1", b"/a/?x=1"), ("/%61", b"/a/")]
)
def test_a_path_without_its_slash_is_redirected_to_the_route_itself(
    target: str, location: bytes
) -> None:
    """The redirect never repeats the requested path: ``//host`` would lead to another host."""
    found = answer(target)
    assert status_of(found) == 301
    assert b"Location: " + location + b"\r\n" in found
