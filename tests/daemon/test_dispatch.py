"""Handshakes and page requests are dispatched to the service of their route."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Site

from support.applications import Applications, Recorder
from support.handshake_bytes import body_of, status_of, whole_request
from support.log_recorder import Log
from support.memory_connection import ServerEnd
from txhixie import Offer, Refusal, testing
from txhixie.daemon.dispatch import (
    Guarded,
    PageSite,
    RoutedApplications,
    RoutedPages,
    RoutedServerFactory,
)
from txhixie.daemon.routes import Route, Routes
from txhixie.server.access import Policy


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
    routes.add(Route("example.com", "/a", None), Guarded(Where()))  # type: ignore[no-untyped-call]  # Twisted has no annotations here
    site: Site = PageSite(RoutedPages(routes))
    channel = site.buildProtocol(None)
    transport: Any = StringTransport()
    transport.protocol = channel
    channel.makeConnection(transport)
    channel.dataReceived(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    written: bytes = transport.value()
    channel.connectionLost(None)
    return written


@pytest.mark.parametrize(
    ("hosts", "status"), [("a.example\r\nHost: example.com", 400), ("x\r\nHost: x", 404)]
)
def test_a_request_for_a_page_with_two_hosts_is_a_400(hosts: str, status: int) -> None:
    """A reverse proxy in front of the daemon may have checked the other one."""
    assert status_of(answer("/a/", hosts)) == status


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


class Named:
    """A service that records the targets that it is asked for."""

    def __init__(self) -> None:
        self.targets: list[str] = []

    def buildProtocol(self, offer: Offer) -> Refusal:
        self.targets.append(offer.target)
        return Refusal(410)


def served(
    target: str, *rules: tuple[str, Policy | None], policy: Policy = Policy()
) -> tuple[bytes, list[list[str]]]:
    """The response of a daemon's factory, and the targets that the service of each route saw."""
    routes: Routes[Any] = Routes()
    services = [Named() for _ in rules]
    for (path, rule), service in zip(rules, services, strict=True):
        routes.add(Route(None, path), Guarded(service, policy=rule))
    factory = RoutedServerFactory(RoutedApplications(routes), policy, clock=Clock())
    end = testing.End(factory.buildProtocol(None), Clock())
    end.receive(whole_request("rfc6455").replace(b"GET /demo ", f"GET {target} ".encode()))
    return end.wire.written, [service.targets for service in services]


def test_doubled_slashes_find_the_route_with_the_quirk_before_another_one() -> None:
    rules = ("/", Policy()), ("/ocpp", Policy(quirks=["target"]))
    written, (others, wanted) = served("//ocpp//CP01?a=//b", *rules)
    assert status_of(written) == 410
    assert (others, wanted) == ([], ["/ocpp/CP01?a=//b"])


def test_the_own_authority_in_a_path_is_removed_with_the_quirk() -> None:
    _, (wanted,) = served("//example.com/ocpp/CP01", ("/ocpp", Policy(quirks=["target"])))
    assert wanted == ["/ocpp/CP01"]


def test_doubled_slashes_are_part_of_the_path_without_the_quirk(log: Log) -> None:
    written, (others, wanted) = served("//else/CP01", ("/", Policy()), ("/ocpp", Policy()))
    assert (others, wanted) == (["//else/CP01"], [])
    written, (wanted,) = served("//ocpp/CP01", ("/ocpp", Policy()))
    assert status_of(written) == 404
    assert wanted == []
    assert "doubled slashes; quirks=target lets it in" in log.lines()[-1]


def test_doubled_slashes_do_not_lead_past_the_conditions_of_another_route(log: Log) -> None:
    """A tolerant backend of ``/`` would take ``//admin`` for ``/admin``."""
    written, targets = served("//admin/x", ("/", Policy()), ("/admin", Policy()))
    assert status_of(written) == 404
    assert targets == [[], []]
    assert "doubled slashes; quirks=target lets it in" in log.lines()[-1]


@pytest.mark.parametrize("target", ["/a/../ocpp", "/./ocpp", "/ocpp/..", "/a/..%2focpp"])
def test_a_path_with_dots_has_a_reason_of_its_own(target: str, log: Log) -> None:
    written, targets = served(target, ("/", Policy()), ("/ocpp", Policy(quirks=["target"])))
    assert status_of(written) == 404
    assert targets == [[], []]
    assert "its path has . or .., or is too deep" in log.lines()[-1]


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        (Policy(hosts=["other.example"]), 403),
        (Policy(), 404),
        (Policy(hosts=["other.example"], quirks=["target"]), 403),
    ],
)
def test_a_quirk_of_all_routes_does_not_let_in_by_the_rules_of_all_routes(
    rule: Policy, status: int
) -> None:
    """``//admin`` was let in by the rules of all routes, and then served by ``/admin``."""
    rules = ("/", None), ("/admin", rule)
    written, targets = served("//admin/x", *rules, policy=Policy(quirks=["target"]))
    assert status_of(written) == status
    assert targets == [[], []]


@pytest.mark.parametrize("target", ["//ocpp/../admin", "//ocpp/%2e%2e/admin"])
def test_a_segment_of_dots_finds_no_route_with_the_quirk_either(target: str) -> None:
    written, (wanted,) = served(target, ("/ocpp", Policy(quirks=["target"])))
    assert status_of(written) == 404
    assert wanted == []


KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"
UPGRADE = "Upgrade: websocket", "Connection: Upgrade"


def ordinary(line: str, *fields: str, policy: Policy = Policy()) -> tuple[bytes, dict[Any, int]]:
    """The response of a server with a page at ``/status`` and a service at ``/``, and refusals."""
    pages: Routes[Any] = Routes()
    page = Where()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
    pages.add(Route(None, "/status"), Guarded(page, hasNoPathsBelow=True))
    services: Routes[Any] = Routes()
    services.add(Route(None, "/"), Guarded(Applications(Recorder)))
    site = PageSite(RoutedPages(pages, policy))
    clock = Clock()
    factory = RoutedServerFactory(RoutedApplications(services), policy, elsewhere=site, clock=clock)
    transport: Any = StringTransport()
    connection: Any = factory.buildProtocol(None)
    transport.protocol = connection
    connection.makeConnection(transport)
    connection.dataReceived("\r\n".join((line, "Host: example.com", *fields, "", "")).encode())
    connection.connectionLost(Failure(ConnectionDone()))
    return transport.value(), dict(factory.counters.refused)


@pytest.mark.parametrize(
    ("line", "fields", "status", "body"),
    [
        ("GET /ocpp/CP1 HTTP/1.0", (*UPGRADE, *KEY), 400, b"upgrade request in HTTP/1.0"),
        ("GET /ocpp/CP1 HTTP/1.1", KEY, 400, b"Upgrade"),
        ("POST /ocpp/CP1 HTTP/1.1", (*UPGRADE, *KEY), 400, b""),
        ("POST /ocpp/CP1 HTTP/1.1", (), 404, b"only WebSocket is served here\n"),
        ("GET http://example.com/ocpp?x=/status HTTP/1.1", (), 404, b"only WebSocket"),
    ],
)
def test_a_request_without_a_page_is_refused_as_by_a_server_without_pages(
    line: str, fields: tuple[str, ...], status: int, body: bytes, log: Log
) -> None:
    written, refused = ordinary(line, *fields)
    assert status_of(written) == status
    assert body in body_of(written)
    assert sum(refused.values()) == 1
    assert f"status={status}" in log.lines()[-1]
    assert log.lines()[-1].startswith("refused ")


@pytest.mark.parametrize(
    "line",
    [
        "GET /status HTTP/1.0",
        "GET /status?x HTTP/1.1",
        "GET http://example.com/status HTTP/1.1",
        "GET /%73tatus HTTP/1.1",
    ],
)
def test_a_request_for_a_page_is_answered_also_with_the_fields_of_a_handshake(
    line: str,
) -> None:
    written, refused = ordinary(line, *KEY)
    assert status_of(written) == 200
    assert refused == {}


def test_a_request_with_a_foreign_Host_is_a_403_without_a_page_too() -> None:
    written, refused = ordinary("GET /x HTTP/1.1", policy=Policy(hosts=["other.example"]))
    assert status_of(written) == 403
    assert refused == {(403, "host"): 1}
