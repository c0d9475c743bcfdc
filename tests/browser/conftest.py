"""One browser for all the tests, one daemon, and a server that closes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser.chromium import Browser, started
from support.daemon import PATIENCE, Daemon, free_port, running

HERE = Path(__file__).parent


@pytest.fixture(scope="session", name="chromium")
def _chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """Our server as an operator starts it, one for each test, so that its log is about it."""
    with running(tmp_path) as daemon:
        yield daemon


@pytest.fixture
def page(chromium: Browser, daemon: Daemon) -> Browser:
    """The browser on a page of the daemon's."""
    chromium.open(f"http://127.0.0.1:{daemon.port}/")
    return chromium


@pytest.fixture(scope="session")
def closing_port() -> Iterator[int]:
    """Where `closing_server.py` listens."""
    yield from _listening("closing_server.py")


@pytest.fixture
def broadcasting_port() -> Iterator[int]:
    """Where `broadcasting_server.py` listens."""
    yield from _listening("broadcasting_server.py")


def _listening(program: str) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, os.fspath(HERE / program), str(port)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not _accepts(port):
                assert process.poll() is None, "the server has ended"
                assert time.monotonic() < deadline, "the server does not listen"
                time.sleep(0.05)
            yield port
        finally:
            process.kill()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
