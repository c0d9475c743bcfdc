"""The condition ``users``: passwords of handshakes and of pages, over real connections."""

from __future__ import annotations

import sys
import threading
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import bcrypt
import pytest
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource

import txhixie
from support.applications import Applications, Recorder, echo
from support.handshake_bytes import status_of, whole_request
from support.log_recorder import Log
from support.network import Network, Place
from support.waiting import asynchronous, reactor, until
from txhixie.daemon.dispatch import (
    Guarded,
    PageSite,
    RoutedApplications,
    RoutedPages,
    RoutedServerFactory,
)
from txhixie.daemon.guards.failures import MOST_FAILURES, Failures
from txhixie.daemon.guards.guard import Permit
from txhixie.daemon.guards.password_checks import PasswordChecks
from txhixie.daemon.guards.passwords import Passwords, inThreadOf
from txhixie.daemon.guards.users import Users, buildUsers
from txhixie.daemon.guards.visitor import Visitor
from txhixie.daemon.routes import Route, Routes
from txhixie.sansio.http.head import Fields

CHALLENGE = b'WWW-Authenticate: Basic realm="Control room", charset="UTF-8"\r\n'
MOST_CALLS = 15
"""Calls of the package's functions for the check of a remembered password."""


class Page(Resource):
    """A page of the same realm."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """A fixed text."""
        return b"the page"


class Server:
    """A server with one route to an echo and a page, for the users of a file."""

    def __init__(self, net: Network, directory: Path) -> None:
        self.net = net
        self.threads = 0
        self.gate: threading.Event | None = None
        self.file = directory / "users"
        lines = [
            f"{name}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"
            for name, password in (("alice", "a:b"), ("ren\xe9", "\xa3"))
        ]
        self.file.write_text("".join(lines), "utf-8")
        passwords = Passwords(
            reactor, self.file, PasswordChecks(), Failures(), self._inThread, bytes
        )
        self.guard = Users(passwords, "Control room")
        applications: Routes[Any] = Routes()
        applications.add(Route(None, "/"), Guarded(Applications(echo), (self.guard,)))
        applications.add(Route(None, "/open"), Guarded(Applications(echo)))
        pages: Routes[Any] = Routes()
        page = Page()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        pages.add(Route(None, "/"), Guarded(page, (self.guard,)))
        self.factory = RoutedServerFactory(
            RoutedApplications(applications), elsewhere=PageSite(RoutedPages(pages))
        )
        self._place: Place | None = None

    def _inThread(self, work: Callable[[], bool]) -> Deferred[bool]:
        self.threads += 1
        gate = self.gate

        def behind() -> bool:
            assert gate is None or gate.wait(30)
            return work()

        return inThreadOf(reactor)(behind)

    async def place(self) -> Place:
        if self._place is None:
            self._place = await self.net.listen(self.factory)
        return self._place

    async def ask(self, request: bytes) -> bytes:
        """The response to one request, on a connection of its own."""
        raw = await self.net.raw(await self.place())
        raw.send(request)
        await raw.reads(b"\r\n\r\n")
        return bytes(raw.data)


@pytest.fixture
def server(net: Network, tmp_path: Path) -> Server:
    return Server(net, tmp_path)


def basic(name: str, password: str, encoding: str = "utf-8") -> str:
    pair = f"{name}:{password}".encode(encoding)
    return f"Authorization: Basic {b64encode(pair).decode()}"


def handshake(*fields: str, dialect: str = "rfc6455") -> bytes:
    return whole_request(dialect, *fields, target="/")


def page(*fields: str) -> bytes:
    return "\r\n".join(["GET / HTTP/1.1", "Host: example.com", *fields, "", ""]).encode("latin-1")


@asynchronous
async def test_the_end_of_the_process_does_not_wait_for_a_check() -> None:
    """A stop joins all threads of the reactor's pool, and a check may take 7 s and more."""

    def work() -> bool:
        thread = threading.current_thread()
        return thread.daemon and thread not in reactor.getThreadPool().threads

    assert await inThreadOf(reactor)(work)


@asynchronous
async def test_the_error_of_a_check_is_that_of_its_deferred() -> None:
    def work() -> bool:
        raise OSError("no memory")

    with pytest.raises(OSError, match="no memory"):
        await inThreadOf(reactor)(work)


@pytest.mark.parametrize("dialect", ["hixie-75", "hixie-76", "hybi-07", "rfc6455"])
@asynchronous
async def test_a_handshake_needs_a_user_name_and_a_password(server: Server, dialect: str) -> None:
    refused = await server.ask(handshake(dialect=dialect))
    assert status_of(refused) == 401
    assert CHALLENGE in refused
    wrong = await server.ask(handshake(basic("alice", "wrong"), dialect=dialect))
    assert status_of(wrong) == 401
    assert CHALLENGE in wrong
    accepted = await server.ask(handshake(basic("alice", "a:b"), dialect=dialect))
    assert status_of(accepted) == 101
    assert server.factory.counters.refused == {(401, "password"): 2}


@asynchronous
async def test_a_page_needs_a_user_name_and_a_password(server: Server) -> None:
    refused = await server.ask(page())
    assert status_of(refused) == 401
    assert CHALLENGE in refused
    assert status_of(await server.ask(page(basic("alice", "wrong")))) == 401
    accepted = await server.ask(page(basic("alice", "a:b")))
    assert status_of(accepted) == 200
    assert accepted.endswith(b"the page")
    assert server.factory.counters.refused == {(401, "password"): 2}


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@asynchronous
async def test_credentials_may_be_in_either_encoding(server: Server, encoding: str) -> None:
    field = basic("ren\xe9", "\xa3", encoding)
    assert status_of(await server.ask(handshake(field))) == 101


@pytest.mark.parametrize(
    "field", ["Authorization: Bearer abc", "Authorization: Basic %", basic("alice", "a\0b")]
)
@asynchronous
async def test_fields_without_a_password_are_refused_without_a_thread(
    server: Server, field: str
) -> None:
    for _ in range(MOST_FAILURES + 1):
        assert status_of(await server.ask(handshake(field))) == 401
    assert server.threads == 0


@asynchronous
async def test_a_password_is_neither_in_the_log_nor_the_name_of_a_refused_client(
    server: Server, log: Log
) -> None:
    await server.ask(handshake(basic("hunter2\N{ESCAPE}", "hunter3")))
    await server.ask(handshake(basic("hunter2", "hunter3")))
    await server.ask(page(basic("hunter2", "hunter3")))
    await server.ask(handshake())
    await until(lambda: len(log.lines()) == 4)
    lines = "\n".join(log.lines())
    assert "hunter" not in lines
    assert b64encode(b"hunter").decode()[:-2] not in lines
    for reason in (
        "no Basic credentials",
        "wrong user name or password",
        "user name and password required",
    ):
        assert f'status=401 reason="{reason} (users, --users)"' in lines


@asynchronous
async def test_after_many_wrong_passwords_the_address_has_to_wait(server: Server, log: Log) -> None:
    statuses = [
        status_of(await server.ask(handshake(basic("alice", f"guess {number}"))))
        for number in range(MOST_FAILURES + 1)
    ]
    assert statuses == [401] * MOST_FAILURES + [429]
    refused = await server.ask(page(basic("alice", "a:b")))
    assert status_of(refused) == 429
    assert b"\r\nRetry-After: " in refused
    assert server.threads == MOST_FAILURES
    assert server.factory.counters.refused[429, "too-many-failures"] == 2
    reason = 'reason="too many wrong passwords of this address (users, --users)"'
    await until(lambda: any(reason in line for line in log.lines()))


@asynchronous
async def test_a_remembered_user_takes_no_thread(server: Server) -> None:
    for _ in range(50):
        assert status_of(await server.ask(handshake(basic("alice", "a:b")))) == 101
    assert status_of(await server.ask(page(basic("alice", "a:b")))) == 200
    assert server.threads == 1


@asynchronous
async def test_the_check_of_a_remembered_user_takes_few_calls(server: Server) -> None:
    field = basic("alice", "a:b").partition(": ")[2].encode()
    fields = Fields([(b"authorization", field)])
    visitor = Visitor(False, "/", "example.com", None, "192.0.2.1", False, fields)
    assert await server.guard.check(visitor) == Permit(user="alice")  # type: ignore[misc]  # the guard answers with a Deferred here
    called: list[str] = []

    def count(frame: FrameType, event: str, argument: object) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(str(Path(txhixie.__file__).parent)):
            called.append(frame.f_code.co_qualname)

    sys.setprofile(count)
    try:
        answer = server.guard.check(visitor)
    finally:
        sys.setprofile(None)
    assert answer == Permit(user="alice")
    assert len(called) <= MOST_CALLS, called


@asynchronous
async def test_connections_talk_during_a_check(server: Server) -> None:
    """The check ends only after the other connection has received its echoes."""
    server.gate = threading.Event()
    checked = await server.net.raw(await server.place())
    checked.send(handshake(basic("alice", "a:b")))
    await until(lambda: server.threads)
    recorder = Recorder()
    await server.net.connect(
        await server.place(), Applications(lambda: recorder), "/open", dialect="rfc6455"
    )
    await until(lambda: "finished" in recorder.told)
    for number in range(100):
        recorder.transport.sendTextMessage(f"message {number}")
    await until(lambda: len(recorder.messages) == 100)
    assert not checked.data
    server.gate.set()
    await checked.reads(b"\r\n\r\n")
    assert status_of(bytes(checked.data)) == 101


@asynchronous
async def test_a_queue_of_checks_that_is_full_is_a_503(server: Server, log: Log) -> None:
    server.gate = threading.Event()
    waiting = []
    for _ in range(34):
        raw = await server.net.raw(await server.place())
        raw.send(handshake(basic("alice", "a:b")))
        waiting.append(raw)
        await until(lambda: len(server.factory.connections) == len(waiting))
    refused = await server.ask(handshake(basic("alice", "a:b")))
    assert status_of(refused) == 503
    assert b"\r\nRetry-After: 5\r\n" in refused
    assert server.threads == 2
    assert server.factory.counters.refused == {(503, "password-checks"): 1}
    server.gate.set()
    for raw in waiting:
        await raw.reads(b"\r\n\r\n")
    assert {status_of(bytes(raw.data)) for raw in waiting} == {101}
    assert server.threads == 2


@asynchronous
async def test_a_changed_file_is_used_without_a_reload(server: Server) -> None:
    assert status_of(await server.ask(handshake(basic("alice", "a:b")))) == 101
    server.file.write_text("")
    statuses: list[int] = []
    while 401 not in statuses[-1:]:
        statuses.append(status_of(await server.ask(handshake(basic("alice", "a:b")))))
    assert set(statuses) <= {101, 401}


def test_a_mistake_in_the_file_names_the_condition_the_file_and_the_line(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("alice:plain\n")
    with pytest.raises(ValueError, match=rf"^users {file}, line 1: expected .* htpasswd -B$"):
        buildUsers(reactor, {"users": str(file)})
