"""The installed ``twistd hixie`` in a process, and free TCP ports."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 30.0  # seconds; starting takes one, but the machine may be busy


OPTIONS = (
    "--config",
    "--check",
    "--port",
    "--serve",
    "--console",
    "--origins",
    "--hosts",
    "--dialects",
    "--proxy-protocol",
    "--trust-forwarded",
    "--secure",
    "--max-head-size",
    "--max-message-size",
    "--max-frame-size",
    "--max-fragments",
    "--ping-interval",
    "--ping-timeout",
    "--stall-timeout",
    "--stop-timeout",
    "--connect-timeout",
    "--no-compression",
)
"""Every option of the daemon."""


UNASKED = range(20_000, 32_000)
"""Ports that nobody is given who asks for none: those are above (32768 in Linux, else 49152)."""


def free_port() -> int:
    """
    A port that nobody has, and that nobody else is likely to get until it is listened on: neither
    a connection to somewhere nor a test that listens on port 0, of this run or of another.
    """
    while True:
        port = secrets.choice(UNASKED)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def program(name: str) -> str:
    """A program that was installed with txhixie."""
    return os.fspath(Path(sys.executable).parent / name)


def run_hixie(*options: str, runner: str = "twistd") -> subprocess.CompletedProcess[str]:
    """Run it where it is expected to end by itself."""
    own = ["-n", "--pidfile="] if runner == "twistd" else []
    return subprocess.run(
        [program(runner), *own, "hixie", *options],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
        check=False,
    )


class Daemon:
    """A running one: its port on 127.0.0.1, its process, and what it has said."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.port = port
        self.process = process
        self._directory = directory

    @property
    def log(self) -> str:
        return (self._directory / "log").read_text()

    @property
    def errors(self) -> str:
        return (self._directory / "errors").read_text()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def logged(self, words: str) -> str:
        """The log's first line with these words, waited for."""
        return self._wait(lambda: next((ln for ln in self.log.splitlines() if words in ln), ""))

    def terminate(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """The status it ended with, waited for."""
        return self.process.wait(PATIENCE)

    def _wait(self, found: Callable[[], str]) -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if result := found():
                return result
            time.sleep(0.02)
        raise AssertionError(f"it did not come; the log:\n{self.log}\n{self.errors}")


@contextmanager
def running(
    directory: Path, *options: str, runner: str = "twistd", awaited: int | None = None
) -> Iterator[Daemon]:
    """
    Start it on a free port of 127.0.0.1, and end it in the end.

    :param awaited: a further port that it has to listen on before the test goes on.
    """
    port = free_port()
    own = ["-n", "--pidfile="] if runner == "twistd" else []
    command = [program(runner), *own, "hixie", "--port", f"tcp:{port}:interface=127.0.0.1"]
    with (directory / "log").open("wb") as log, (directory / "errors").open("wb") as errors:
        process = subprocess.Popen(
            [*command, *options],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=errors,
        )
    daemon = Daemon(port, process, directory)
    try:
        daemon.logged(f"starting on {port}")
        if awaited is not None:
            daemon.logged(f"starting on {awaited}")
        yield daemon
    finally:
        process.kill()
        process.wait()
