"""Fixtures that start the peers, and the daemon for the peers that are clients."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen, TimeoutExpired, check_call

import pytest

from peers.peer import (
    PATIENCE,
    Netty,
    Peer,
    Server,
    fixtureOnReactor,
    listening,
    moduleFixtureOnReactor,
    running,
)
from peers.phantomjs import Browse, browsing
from peers.running_peers import RunningPeers
from support import third_party
from support.daemon import free_port

HERE = Path(__file__).parent


def _python(library: str, module: str) -> tuple[str | Path, ...]:
    interpreter = third_party.python_with(library)
    return interpreter, "-W", "ignore", "-m", f"peers.programs.{module}"


COMMANDS: dict[str, Callable[[], tuple[str | Path, ...]]] = {
    "websockets": lambda: _python("websockets", "websockets_peer"),
    "wsproto": lambda: _python("wsproto", "wsproto_peer"),
    "aiohttp": lambda: _python("aiohttp", "aiohttp_peer"),
    "autobahn": lambda: _python("autobahn", "autobahn_peer"),
    "twisted": lambda: _python("wsproto", "twisted_peer"),  # what twisted[websocket] brings
    "eventlet": lambda: (
        third_party.eventlet_python(),
        "-W",
        "ignore",
        "-m",
        "peers.programs.eventlet_peer",
    ),
    "ws": lambda: (third_party.node(), HERE / "programs" / "ws_peer.js", third_party.ws_library()),
}


@pytest.fixture(scope="session")
def netty(tmp_path_factory: pytest.TempPathFactory) -> Netty:
    """Netty's programs of this directory, compiled once."""
    jars = third_party.netty_classpath()
    classes = tmp_path_factory.mktemp("netty")
    sources = sorted((HERE / "java").glob("*.java"))
    command = [
        os.fspath(third_party.javac()),
        "-encoding",
        "UTF-8",
        "-cp",
        jars,
        "-d",
        str(classes),
    ]
    check_call([*command, *map(str, sources)], timeout=120)
    return Netty(third_party.java(), f"{jars}:{classes}")


@fixtureOnReactor
async def netty_server(netty: Netty) -> AsyncIterator[Server]:
    """Netty's server, its own for each test, so that what it says is about that test."""
    async with running(*netty.command("NettyEcho")) as peer:
        yield await listening(peer)


@pytest.fixture(scope="session")
def eventlet_command() -> tuple[str | Path, ...]:
    """The command that starts eventlet's server."""
    return third_party.eventlet_python(), "-W", "ignore", HERE / "eventlet_echo.py"


@pytest.fixture(scope="session")
def driver_command() -> tuple[str | Path, ...]:
    """The command that starts the server of npm's websocket-driver."""
    return third_party.node(), HERE / "driver_echo.js", third_party.websocket_driver()


@fixtureOnReactor
async def eventlet_server(eventlet_command: tuple[str | Path, ...]) -> AsyncIterator[Server]:
    """Eventlet's server, one for each test."""
    async with running(*eventlet_command) as peer:
        yield await listening(peer)


@fixtureOnReactor
async def driver_server(driver_command: tuple[str | Path, ...]) -> AsyncIterator[Server]:
    """The server of npm's websocket-driver, one for each test."""
    async with running(*driver_command) as peer:
        yield await listening(peer)


@moduleFixtureOnReactor
async def running_peers() -> AsyncIterator[RunningPeers]:
    running_peers = RunningPeers()
    yield running_peers
    await running_peers.dismiss()


@pytest.fixture
def call(
    request: pytest.FixtureRequest, running_peers: RunningPeers
) -> Callable[[str], Awaitable[Peer]]:
    """A function that returns the named peer, running and idle; it skips the test if the peer is
    missing."""

    def called(name: str) -> Awaitable[Peer]:
        if name == "netty":
            netty: Netty = request.getfixturevalue("netty")
            return running_peers.call(name, netty.command("NettyPeer"))
        return running_peers.call(name, COMMANDS[name]())

    return called


@pytest.fixture(name="browse")
def _browse(tmp_path: Path) -> Browse:
    return browsing(tmp_path)


def accepts(port: int) -> bool:
    """Whether this port accepts connections."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Our server as an operator starts it, from what is installed, not the checkout; its port."""
    port = free_port()
    directory = tmp_path_factory.mktemp("daemon")
    twistd = Path(sys.executable).parent / "twistd"
    options = ["-n", "--pidfile=", "hixie", "--port", f"tcp:{port}:interface=127.0.0.1"]
    log = directory / "log"
    with log.open("wb") as output:
        process = Popen(
            [os.fspath(twistd), *options],
            cwd=directory,
            stdin=DEVNULL,
            stdout=output,
            stderr=STDOUT,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not accepts(port):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"twistd hixie does not listen; its log:\n{log.read_text()}")
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except TimeoutExpired:
            process.kill()
            process.wait()
