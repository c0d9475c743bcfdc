"""The condition ``tokens``: handshakes and pages with a token of a file, over real connections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from support.applications import Applications, Recorder
from support.dialect_names import code_of
from support.handshake_bytes import head_of, status_of, whole_request
from support.log_recorder import Log
from support.network import Network
from support.waiting import asynchronous, reactor
from txhixie import CleanClose, HixieClientFactory
from txhixie.daemon.dispatch import (
    Guarded,
    PageSite,
    RoutedApplications,
    RoutedPages,
    RoutedServerFactory,
)
from txhixie.daemon.guards.bearer import Bearer
from txhixie.daemon.guards.changing_file import LOOK_INTERVAL
from txhixie.daemon.guards.guard import Permit
from txhixie.daemon.guards.held_permits import PERMIT_INTERVAL
from txhixie.daemon.guards.tokens import Tokens, buildTokens
from txhixie.daemon.routes import Route, Routes
from txhixie.testing import Pair

ONE, TWO = "one-token-of-a-page", "two+token/of.a=="


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"{ONE} of a page\n{TWO}\n")
    path.chmod(0o600)
    return path


class Page(Resource):
    """A page of the route."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """A fixed text."""
        return b"the page"


def factory(service: Any, path: Path, **values: str) -> RoutedServerFactory:
    """A server with a service and a page behind the tokens of a file."""
    guard = buildTokens(reactor, {"tokens": f"{path}"} | values)
    applications: Routes[Any] = Routes()
    applications.add(Route(None, "/"), Guarded(service, (guard,)))
    pages: Routes[Any] = Routes()
    pages.add(Route(None, "/"), Guarded(Page(), (guard,)))  # type: ignore[no-untyped-call]  # Twisted has no annotations here
    return RoutedServerFactory(
        RoutedApplications(applications), elsewhere=PageSite(RoutedPages(pages))
    )


async def answer(net: Network, made: RoutedServerFactory, request: bytes) -> bytes:
    raw = await net.raw(await net.listen(made))
    raw.send(request)
    await raw.reads(b"\r\n\r\n")
    return bytes(raw.data)


@pytest.mark.parametrize("dialect", ["hixie-75", "hixie-76", "hybi-07", "rfc6455"])
@asynchronous
async def test_a_handshake_with_a_token_is_accepted_and_the_service_does_not_see_the_token(
    net: Network, path: Path, dialect: str
) -> None:
    service = Applications(Recorder)
    made = factory(service, path)
    target = "/a?x=%7e&token=two%2Btoken%2Fof.a%3D%3D&y=1+2"
    assert status_of(await answer(net, made, whole_request(dialect, target=target))) == 101
    field = f"Authorization: Bearer {ONE}"
    assert status_of(await answer(net, made, whole_request(dialect, field, target="/a"))) == 101
    first, second = service.asked
    assert first.target == "/a?x=%7e&y=1+2"
    assert second.header("authorization") is None


@asynchronous
async def test_a_client_without_a_right_token_is_refused(
    net: Network, path: Path, log: Log
) -> None:
    made = factory(Applications(Recorder), path, realm="feed")
    for fields, target, error in (
        ((), "/", b""),
        ((), "/?token=guess-of-an-attacker", b', error="invalid_token"'),
        ((f"Authorization: Bearer {ONE[:-1]}",), "/", b', error="invalid_token"'),
    ):
        found = await answer(net, made, whole_request("rfc6455", *fields, target=target))
        assert status_of(found) == 401
        assert b'\r\nWWW-Authenticate: Bearer realm="feed"%b\r\n' % error in head_of(found)
    lines = "\n".join(log.lines())
    assert "status=401" in lines
    assert "(tokens, --tokens)" in lines
    assert ONE[:-1] not in lines
    assert "guess" not in lines


@asynchronous
async def test_a_page_needs_a_token_too(net: Network, path: Path, log: Log) -> None:
    made = factory(Applications(Recorder), path)
    for target, status in ((f"/p?token={ONE}", 200), ("/p?token=x", 401), ("/p", 401)):
        request = f"GET {target} HTTP/1.1\r\nHost: example.com\r\n\r\n".encode()
        assert status_of(await answer(net, made, request)) == status
    assert ONE not in "\n".join(log.lines())


# A file that changes.


def test_the_file_is_read_again_when_it_changes(path: Path) -> None:
    clock = Clock()
    tokens = Tokens(clock, path, bytes)
    permit = tokens.verify(ONE)
    assert isinstance(permit, Permit)
    (holds,) = permit.holds
    path.write_text("another-token-of-a-page\n")
    clock.advance(LOOK_INTERVAL)
    assert tokens.verify(ONE) == "unknown token"
    assert isinstance(tokens.verify("another-token-of-a-page"), Permit)
    assert not holds()
    path.write_text(f"another-token-of-a-page\n{ONE}\n")
    clock.advance(LOOK_INTERVAL)
    assert holds()


@pytest.mark.parametrize("mistake", ["", "short\n"])
def test_after_a_mistake_the_tokens_before_stay(path: Path, mistake: str, log: Log) -> None:
    clock = Clock()
    tokens = Tokens(clock, path, bytes)
    path.write_text(mistake)
    clock.advance(LOOK_INTERVAL)
    assert isinstance(tokens.verify(ONE), Permit)
    path.unlink()
    clock.advance(LOOK_INTERVAL)
    assert isinstance(tokens.verify(ONE), Permit)
    lines = log.lines()
    assert len(lines) == 2
    assert "tokens" in lines[0]


def test_a_file_that_every_user_may_read_has_a_line_of_the_log(path: Path, log: Log) -> None:
    Tokens(Clock(), path, bytes)
    assert log.lines() == []
    path.chmod(0o644)
    Tokens(Clock(), path, bytes)
    (line,) = log.lines()
    assert line == (
        f'file-permissions file={path} reason="each user of this machine may read this file; use '
        'chmod o= on it"'
    )


@pytest.mark.parametrize("dialect", ["hixie-75", "hixie-76", "rfc6455"])
def test_a_connection_ends_when_its_token_is_removed_from_the_file(
    path: Path, dialect: str, log: Log
) -> None:
    clock = Clock()
    guard = Bearer(Tokens(clock, path, bytes).verify, "here", "token", "tokens")
    routes = Routes[Any]()
    routes.add(Route(None, "/"), Guarded(Applications(Recorder), (guard,)))
    server = RoutedServerFactory(RoutedApplications(routes), clock=clock)

    def connected(token: str) -> tuple[Pair, Recorder]:
        client = Recorder()
        url = f"ws://a/?token={token.replace('+', '%2B')}"
        applications = Applications(lambda: client)
        pair = Pair(
            server, HixieClientFactory(url, applications, dialect=dialect, clock=clock), clock
        )
        pair.pump()
        assert client.transport.isOpen
        return pair, client

    (first, removed), (second, kept) = connected(ONE), connected(TWO)
    path.write_text(TWO)
    for _ in range(3):
        clock.advance(PERMIT_INTERVAL)
        first.pump()
        second.pump()
    assert isinstance(removed.lost, CleanClose)
    assert removed.lost.code == code_of(dialect, 1008)
    assert removed.lost.reason == ("credentials revoked" if dialect == "rfc6455" else "")
    assert [line for line in log.lines() if "credentials revoked" in line]
    assert kept.transport.isOpen
    kept.transport.loseConnection()
    for pair in (first, second):
        pair.pump()
        pair.advance(60)
    assert not server.connections
    assert not clock.getDelayedCalls()
