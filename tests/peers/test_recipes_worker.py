"""The recipe for a build worker: Perspective Broker through ``wss:``, squid and the daemon, by the
programs of docs/howto/recipes.rst."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from support import third_party
from support.certificates import authority
from support.daemon import PATIENCE, Daemon, free_port, started
from support.guide_pages import block
from support.real_proxies import SQUIDS, RealProxy, squid

PAGE = "docs/howto/recipes.rst"
OUTSIDE = "127.0.0.3"
"""The address from which squid connects to servers, so that a server can tell squid from others."""

RULES = f"tcp_outgoing_address {OUTSIDE}\n" + SQUIDS["basic"]


@pytest.fixture(scope="module")
def proxy() -> Iterator[RealProxy]:
    """A squid that requires a user and a password."""
    with squid(rules=RULES) as running:
        yield running


def command(name: str, replaced: dict[str, str]) -> list[str]:
    """A command of the guide with other ports and files."""
    text = block(PAGE, name).removeprefix("$ ")
    for old, new in replaced.items():
        assert old in text, f"{old} is not in {text}"
        text = text.replace(old, new)
    python, *words = shlex.split(text)
    assert python == "python"
    return [sys.executable, *words]


class Program:
    """A program that runs in a directory, and its output."""

    def __init__(self, directory: Path, words: Sequence[str | Path]) -> None:
        self._output = directory / f"{uuid4()}.output"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                words,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def output(self) -> str:
        return self._output.read_text("utf-8")

    def wait(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def prints(self, line: str) -> None:
        """Wait for a line of the output."""
        self.wait(lambda: line in self.output.splitlines())


@contextmanager
def program(directory: Path, words: Sequence[str | Path]) -> Iterator[Program]:
    """Run a program, and end it after the block."""
    running = Program(directory, words)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def save(directory: Path, name: str, replaced: dict[str, str] | None = None) -> None:
    """Write a file of the guide, with some words replaced."""
    text = block(PAGE, name)
    for old, new in (replaced or {}).items():
        assert old in text, f"{old} is not in {name}"
        text = text.replace(old, new)
    (directory / name).write_text(text, "utf-8")


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """The file with the key and the certificate of the master; the programs of the guide are in the
    same directory."""
    save(tmp_path, "master.py")
    save(tmp_path, "worker.py")
    (tmp_path / "root.pem").write_bytes(authority().pem)
    file = tmp_path / "master.pem"
    file.write_bytes(authority().pem_for("localhost"))
    return file


def places(port: int, proxy: RealProxy, password: str = "pass") -> dict[str, str]:
    """The parts of the worker's description that are replaced, with a port of this machine."""
    return {
        "master.example:443": f"localhost:{port}:trustRoot=root.pem",
        "user\\:pass@proxy.example\\:3128": f"user\\:{password}@127.0.0.1\\:{proxy.port}",
    }


@contextmanager
def farm(tmp_path: Path, pem: Path) -> Iterator[tuple[Program, Daemon]]:
    """The master of the guide, and the daemon in front of it."""
    behind, port = free_port(), free_port()
    replaced = {
        ":9989": f":{behind}",
        "ssl:443": f"ssl:{port}",
        "/etc/ssl/private/master.example.pem": str(pem),
        "/etc/ssl/certs/master.example.pem": str(pem),
    }
    save(tmp_path, "farm.toml", replaced)
    words = command("master", {"9989": str(behind)})
    with (
        program(tmp_path, words) as master,
        started(tmp_path, port, "--config", str(tmp_path / "farm.toml")) as daemon,
    ):
        master.prints("the master is ready")
        yield master, daemon


def test_a_worker_reaches_the_master_behind_the_daemon_through_squid(
    tmp_path: Path, proxy: RealProxy, pem: Path
) -> None:
    with farm(tmp_path, pem) as (master, daemon):
        with program(tmp_path, command("worker", places(daemon.port, proxy))) as worker:
            master.prints("one: txhixie is built")
            opened = daemon.logged("opened ")
            assert f"peer={OUTSIDE}:" in opened
            assert "target=/buildbot dialect=rfc6455" in opened
            assert worker.process.poll() is None
        master.prints("one has left")


def test_a_worker_of_Buildbot_connects_by_the_same_description(
    tmp_path: Path, proxy: RealProxy, pem: Path
) -> None:
    """The master asks it for its version: only Buildbot's own master has builds for it."""
    python = third_party.buildbot_worker()
    version = third_party.prints(
        python, "-c", "import buildbot_worker; print(buildbot_worker.version)"
    )
    save(tmp_path, "master.py", {'"build", "txhixie"': '"getVersion"'})
    with farm(tmp_path, pem) as (master, daemon):
        save(tmp_path, "buildbot.tac", places(daemon.port, proxy))
        words: list[str | Path] = [
            python.parent / "twistd",
            "-n",
            "--pidfile=",
            "-y",
            "buildbot.tac",
        ]
        with program(tmp_path, words):
            master.prints(f"one: {version.strip()}")
            assert f"peer={OUTSIDE}:" in daemon.logged("opened ")
        master.prints("one has left")


def test_a_worker_reaches_a_master_that_listens_by_ws_itself(
    tmp_path: Path, proxy: RealProxy, pem: Path
) -> None:
    port = free_port()
    replaced = {
        "443": str(port),
        "/etc/ssl/private/master.example.pem": str(pem),
        "/etc/ssl/certs/master.example.pem": str(pem),
    }
    with program(tmp_path, command("master-ws", replaced)) as master:
        master.prints("the master is ready")
        with program(tmp_path, command("worker", places(port, proxy))):
            master.prints("one: txhixie is built")
        master.prints("one has left")


@pytest.mark.usefixtures("pem")
def test_a_worker_with_a_wrong_password_for_squid_says_so(tmp_path: Path, proxy: RealProxy) -> None:
    words = command("worker", places(free_port(), proxy, password="another-word"))
    with program(tmp_path, words) as worker:
        assert worker.process.wait(PATIENCE) == 1
        assert "the proxy refused with status 407" in worker.output
        assert "another-word" not in worker.output
