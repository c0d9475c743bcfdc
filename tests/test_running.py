"""Programs that serve: how they start, report errors at the start, and end.

Each program is a process.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.web.resource import Resource
from twisted.web.server import Site

from support.applications import Applications, Recorder
from support.certificates import Authority
from support.daemon import PATIENCE, free_port, program
from support.handshake_bytes import whole_request
from support.memory_connection import End
from txhixie import HixieServerFactory, run

REACTORS = ("default", "select", "poll", "asyncio")
SHAPES = ("run", "bare", "resource", "elsewhere", "several", "stopping")

PROGRAM = """
import os, sys
where, shape, kind, stop = sys.argv[1:5]
if kind != "default":
    import importlib
    importlib.import_module(f"twisted.internet.{kind}reactor").install()
from twisted.internet import endpoints, reactor
from twisted.web.resource import Resource
from twisted.web.server import Site
from txhixie import HixieServerFactory, Limits, run
from txhixie.testing import Applications, echo
from txhixie.web import HixieResource

options = {"limits": Limits(stop_timeout=float(stop)), "origins": ["*"]}
if shape == "run":
    run(where, Applications(echo), **options)
    print("it has ended", flush=True)
elif shape == "several":
    run([where, "tcp:0:interface=127.0.0.1"], Applications(echo), **options)
elif shape == "broken":
    class Broken:
        def doStart(self):
            raise FileNotFoundError("the application's own file")
        def doStop(self):
            pass
        def buildProtocol(self, offer):
            pass
    run(where, Broken(), **options)
else:
    factory = HixieServerFactory(Applications(echo), **options)
    if shape == "resource":
        factory = Site(HixieResource.sharing(factory))
    elif shape == "elsewhere":
        inner = Site(HixieResource.sharing(factory))
        factory = HixieServerFactory(Applications(echo), elsewhere=inner, **options)
    elif shape == "stopping":
        def look():
            if os.path.exists("stop"):
                reactor.stop()
            else:
                reactor.callLater(0.02, look)
        reactor.callLater(0, look)
    endpoints.serverFromString(reactor, where).listen(factory)
    reactor.run()
"""


class Program:
    """
    A running program.

    :ivar process: the process; its stdout and stderr are in one file.
    """

    def __init__(self, process: subprocess.Popen[bytes], file: Path) -> None:
        self.process = process
        self._file = file

    @property
    def said(self) -> str:
        return self._file.read_text()

    def says(self, words: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while words not in self.said:
            assert time.monotonic() < deadline, self.said
            assert self.process.poll() is None, self.said
            time.sleep(0.02)

    def ended(self) -> int:
        return self.process.wait(PATIENCE)


@contextmanager
def running(
    directory: Path, shape: str, kind: str = "default", port: int = 0, stop: float = 8.0
) -> Iterator[tuple[Program, int]]:
    """
    Start the program; stop it at the end of the block.

    :return: the program and its port.
    """
    port = port or free_port()
    (directory / "served.py").write_text(PROGRAM)
    where = f"tcp:{port}:interface=127.0.0.1"
    command = [sys.executable, "served.py", where, shape, kind, str(stop)]
    with started(directory, command) as served:
        connected(port).close()
        yield served, port


@contextmanager
def started(directory: Path, command: list[str]) -> Iterator[Program]:
    said = directory / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield Program(process, said)
    finally:
        process.kill()
        process.wait()


def connected(port: int) -> socket.socket:
    """Connect as soon as a server listens."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            peer = socket.create_connection(("127.0.0.1", port), PATIENCE)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "nobody listens"
            time.sleep(0.02)
        else:
            peer.settimeout(PATIENCE)
            return peer


def opened(port: int, dialect: str = "rfc6455") -> socket.socket:
    peer = connected(port)
    peer.sendall(whole_request(dialect))
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += peer.recv(1)
    assert answer.startswith(b"HTTP/1.1 101 ")
    return peer


def read_all(peer: socket.socket) -> bytes:
    data = b""
    while piece := peer.recv(1000):
        data += piece
    return data


GOING_AWAY = b"\x88\x02\x03\xe9"


def closes_with_1001(peer: socket.socket) -> None:
    assert peer.recv(4) == GOING_AWAY
    peer.sendall(b"\x88\x82\0\0\0\0\x03\xe9")
    assert read_all(peer) == b""


# The end of a program.


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", REACTORS)
def test_a_program_that_stops_closes_its_clients_with_1001(
    kind: str, shape: str, tmp_path: Path
) -> None:
    with running(tmp_path, shape, kind) as (served, port), opened(port) as peer:
        if shape == "stopping":
            (tmp_path / "stop").touch()
        else:
            served.process.send_signal(signal.SIGTERM)
        closes_with_1001(peer)
        assert served.ended() == 0
        assert "Traceback" not in served.said


@pytest.mark.parametrize("kind", REACTORS)
def test_run_logs_its_port_and_connections_and_returns_after_the_reactor(
    kind: str, tmp_path: Path
) -> None:
    with running(tmp_path, "run", kind) as (served, port), opened(port) as peer:
        served.says(f"\nlistening on ws://127.0.0.1:{port}/\n")
        served.says(" target=/demo dialect=rfc6455 ")
        served.process.send_signal(signal.SIGINT)
        closes_with_1001(peer)
        assert served.ended() == 0
        assert " code=1001 by=us " in served.said
        assert served.said.endswith("it has ended\n")


@pytest.mark.parametrize("shape", ["run", "bare"])
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n"])
def test_clients_inside_a_handshake_do_not_delay_the_end(
    sent: bytes, shape: str, tmp_path: Path
) -> None:
    with running(tmp_path, shape, stop=0.5) as (served, port), connected(port) as peer:
        peer.sendall(sent)
        time.sleep(0.2)
        served.process.send_signal(signal.SIGTERM)
        assert served.ended() == 0
        assert "Traceback" not in served.said


@pytest.mark.parametrize("shape", ["run", "bare", "resource"])
@pytest.mark.parametrize("kind", ["default", "asyncio"])
def test_a_second_SIGINT_ends_at_once(kind: str, shape: str, tmp_path: Path) -> None:
    """The clients answer no close frame, and the timeout is long."""
    with (
        running(tmp_path, shape, kind, stop=3000) as (served, port),
        opened(port) as peer,
        opened(port) as silent,
    ):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        flood(peer)
        served.process.send_signal(signal.SIGINT)
        assert silent.recv(4) == GOING_AWAY  # the first signal has been handled
        served.process.send_signal(signal.SIGINT)
        assert served.ended() == 0
        assert "Traceback" not in served.said


def flood(peer: socket.socket) -> None:
    """Send messages whose echoes are not read: more than the kernel takes, less than
    ``unsent_size``."""
    for _ in range(180):
        peer.sendall(b"\x82\xfe\xff\xff\0\0\0\0" + b"x" * 65535)


@pytest.mark.parametrize("shape", ["run", "bare", "resource"])
def test_a_client_that_does_not_read_does_not_delay_the_end(shape: str, tmp_path: Path) -> None:
    with running(tmp_path, shape, stop=1) as (served, port), opened(port) as peer:
        flood(peer)
        served.process.send_signal(signal.SIGTERM)
        assert served.ended() == 0
        assert "Traceback" not in served.said


TAC = """
from twisted.application import service, strports
from txhixie import HixieServerFactory
from txhixie.testing import Applications, echo
application = service.Application("echo")
factory = HixieServerFactory(Applications(echo), origins=["*"])
strports.service("tcp:PORT:interface=127.0.0.1", factory).setServiceParent(application)
"""


def test_a_twistd_application_closes_its_clients_with_1001(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "echo.tac").write_text(TAC.replace("PORT", str(port)))
    command = [program("twistd"), "--pidfile=", "-ny", "echo.tac"]
    with started(tmp_path, command) as served, opened(port) as peer:
        served.process.send_signal(signal.SIGTERM)
        closes_with_1001(peer)
        assert served.ended() == -signal.SIGTERM
        assert "Traceback" not in served.said


TRIAL = """
from twisted.internet import defer, reactor
from twisted.trial.unittest import TestCase
from txhixie import HixieServerFactory, connect, serve

async def talk(channel):
    async for message in channel:
        await channel.send(message)

class Tests(TestCase):
    async def test_it(self):
        factory = HixieServerFactory(serve(talk))
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        async with connect(f"ws://127.0.0.1:{port.getHost().port}/") as channel:
            await channel.send("hello")
            self.assertEqual(await channel.receive(), "hello")
        await factory.closeAll()
        await port.stopListening()
        self.assertFalse(any("txhixie" in repr(each) for each in
            reactor._eventTriggers["shutdown"].before))
"""


def test_no_trigger_and_no_timer_is_left_in_the_reactor_of_a_trial_run(tmp_path: Path) -> None:
    (tmp_path / "test_echo.py").write_text(TRIAL)
    ran = subprocess.run(
        [sys.executable, "-m", "twisted.trial", "test_echo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


# The trigger that closes the connections before the reactor stops.


class Reactor(MemoryReactorClock):
    """A reactor in memory that supports the removal of triggers."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self.set: list[Callable[[], Any]] = []

    def addSystemEventTrigger(self, *what: Any) -> Any:  # type: ignore[override]  # the signature differs from Twisted's, whose arguments are not used
        assert what[:2] == ("before", "shutdown")
        self.set.append(what[2])
        return what[2]

    def removeSystemEventTrigger(self, trigger: Any) -> None:
        self.set.remove(trigger)


def made(clock: Any) -> Any:
    """Make a factory. ``doStart`` and ``doStop`` have no types."""
    return HixieServerFactory(Applications(Recorder), clock=clock)


def test_a_trigger_is_set_while_a_port_listens_or_a_connection_is_open() -> None:
    reactor = Reactor()
    factory = made(reactor)
    assert reactor.set == []
    factory.doStart()
    factory.doStart()  # of a second port
    assert len(reactor.set) == 1
    end = End(factory.buildProtocol(None), reactor)
    factory.doStop()
    factory.doStop()
    assert len(reactor.set) == 1
    end.lose()
    assert reactor.set == []


def test_a_trigger_that_was_fired_is_not_removed_again() -> None:
    reactor = Reactor()
    factory = made(reactor)
    factory.doStart()
    end = End(factory.buildProtocol(None), reactor)
    end.receive(whole_request("rfc6455"))
    end.wire.taken()
    fired: list[None] = []
    reactor.set.pop()().addCallback(fired.append)
    assert (
        end.wire.written == b""
    )  # in this turn other triggers may close with their own close reason
    reactor.advance(0)
    assert end.wire.written == GOING_AWAY
    assert fired == []
    end.lose()
    assert fired == [None]
    factory.doStop()
    assert reactor.set == []


def test_a_close_code_from_another_shutdown_trigger_is_kept() -> None:
    reactor = Reactor()
    factory = made(reactor)
    factory.doStart()
    end = End(factory.buildProtocol(None), reactor)
    end.receive(whole_request("rfc6455"))
    end.wire.taken()
    reactor.set.pop()()
    factory.closeAll(1012, "restarting")
    reactor.advance(0)
    assert end.wire.written == b"\x88\x0c\x03\xf4restarting"
    end.done()


def test_no_connection_is_accepted_while_the_reactor_stops() -> None:
    reactor = Reactor()
    factory = made(reactor)
    factory.doStart()
    reactor.set.pop()()
    reactor.advance(0)
    end = End(factory.buildProtocol(None), reactor)
    end.receive(whole_request("rfc6455"))
    assert end.wire.written == b""
    assert end.wire.endings == ["lose write"]
    end.done()


def test_a_factory_with_a_clock_instead_of_a_reactor_sets_no_trigger() -> None:
    factory = made(Clock())
    factory.doStart()
    factory.doStop()


# Errors at the start.


def fails(directory: Path, where: str, shape: str = "run", kind: str = "default") -> str:
    """Run a program that ends by itself with status 1. Return its stderr."""
    (directory / "served.py").write_text(PROGRAM)
    ran = subprocess.run(
        [sys.executable, "served.py", where, shape, kind, "8"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    return ran.stderr


@pytest.mark.parametrize("shape", ["run", "several"])
@pytest.mark.parametrize("kind", REACTORS)
def test_a_port_in_use_is_an_error_of_one_line_with_status_1(
    kind: str, shape: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        said = fails(tmp_path, where, shape, kind)
    assert said == f"cannot listen on {where}: Address already in use\n"


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("rubbish", "expected a port number or an endpoint description: "),
        ("", "expected a port number or an endpoint description: "),
        ("tcp:8080:colour=red", "expected a port number or an endpoint description: "),
        ("tcp:0:interface=192.0.2.1", "Cannot assign requested address"),
        ("tcp:0:interface=nope", ""),
        ("99999", ""),
        ("ssl:0:privateKey=none.pem:certKey=none.pem", "expected a file that can be read: No such"),
        ("ssl:0:privateKey=served.py:certKey=served.py", "expected a certificate and its key"),
        ("unix:none/socket", "expected a socket path in a directory that exists"),
        ("unix:" + "x" * 200, ""),
    ],
)
def test_an_unusable_endpoint_is_an_error_of_one_line_with_status_1(
    where: str, why: str, tmp_path: Path
) -> None:
    said = fails(tmp_path, where)
    assert said.startswith(f"cannot listen on {where}: {why}"), said
    assert said.count("\n") == 1


def test_a_port_number_serves_over_IPv4_and_IPv6(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "served.py").write_text(PROGRAM)
    command = [sys.executable, "served.py", str(port), "run", "default", "8"]
    with started(tmp_path, command) as served:
        closes = opened(port)
        served.says(f"listening on ws://127.0.0.1:{port}/\n")
        served.process.send_signal(signal.SIGTERM)
        with closes:
            closes_with_1001(closes)
        assert served.ended() == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen on every port")
def test_a_privileged_port_is_an_error_of_one_line_with_status_1(tmp_path: Path) -> None:
    assert fails(tmp_path, "tcp:1") == "cannot listen on tcp:1: Permission denied\n"


def test_an_error_of_the_application_at_the_start_is_a_traceback_with_status_1(
    tmp_path: Path,
) -> None:
    said = fails(tmp_path, "tcp:0:interface=127.0.0.1", "broken")
    assert said.startswith("Traceback ")
    assert said.endswith("FileNotFoundError: the application's own file\n")


def test_a_ready_factory_takes_no_options() -> None:
    with pytest.raises(TypeError, match="run: unexpected options for a factory: origins"):
        run("tcp:0", Site(Resource()), origins=["*"])


def test_the_error_about_a_coroutine_function_names_serve() -> None:
    async def talk(channel: Any) -> None:
        """Nothing."""

    with pytest.raises(TypeError, match="serve"):
        run("tcp:0", talk)  # type: ignore[arg-type]  # the test passes a wrong type


def test_a_server_with_pages_logs_an_HTTP_URL(tmp_path: Path) -> None:
    pem = tmp_path / "pem"
    pem.write_bytes(Authority("test").pem_for("localhost"))
    port = free_port()
    (tmp_path / "pages.py").write_text(
        "from twisted.web.resource import Resource\n"
        "from twisted.web.server import Site\n"
        "from txhixie import run\n"
        "from txhixie.testing import Applications, echo\n"
        f"run(['ssl:{port}:interface=127.0.0.1:privateKey=pem:certKey=pem', 'unix:socket'],\n"
        "    Applications(echo), elsewhere=Site(Resource()))\n"
    )
    with started(tmp_path, [sys.executable, "pages.py"]) as served:
        served.says(f"listening on https://127.0.0.1:{port}/\n")
        served.says("listening on unix:socket\n")
