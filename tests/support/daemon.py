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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

from support import counted_twistd

PATIENCE = 30.0  # seconds; starting takes one, but the machine may be busy


OPTIONS = (
    "--config",
    "--check",
    "--port",
    "--serve",
    "--console",
    "--health",
    "--status",
    "--metrics",
    "--status-allow",
    "--workers",
    "--origins",
    "--hosts",
    "--dialects",
    "--users",
    "--realm",
    "--tokens",
    "--jwt-key",
    "--jwt-algorithms",
    "--jwt-audience",
    "--jwt-issuer",
    "--token-parameter",
    "--client-certificate",
    "--proxy-protocol",
    "--trust-forwarded",
    "--secure",
    "--max-connections",
    "--max-connections-per-address",
    "--max-new-connections",
    "--max-new-connections-per-address",
    "--max-head-size",
    "--max-message-size",
    "--max-frame-size",
    "--max-fragments",
    "--max-messages-per-second",
    "--max-bytes-per-second",
    "--max-held-bytes",
    "--ping-interval",
    "--ping-timeout",
    "--stall-timeout",
    "--idle-timeout",
    "--max-lifetime",
    "--stop-timeout",
    "--drain",
    "--connect-timeout",
    "--no-compression",
    "--trace",
    "--flight-recorder",
    "--no-connection-poller",
    "--no-keep-freed-memory",
    "--log-json",
)
"""Every option of the daemon."""


COUNTED = "counted"
"""``twistd`` by ``support.counted_twistd``, as the program of a daemon."""


UNASKED = range(20_000, 32_000)
"""Ports below the ephemeral ports, which begin at 32768 in Linux and at 49152 elsewhere."""

_EACH = 200
"""Ports of one process that runs tests: several of them run beside each other."""


def _own_ports() -> Iterator[int]:
    """
    Repeat the ports of this process, in their order.

    Another process that takes any of all ports could take the port of a daemon while it starts.
    """
    block = os.getpid() % (len(UNASKED) // _EACH) * _EACH
    return islice(cycle(UNASKED[block : block + _EACH]), secrets.randbelow(_EACH), None)


_OWN_PORTS = _own_ports()


def free_port() -> int:
    """
    Find a free port that most likely stays free until the test listens on it: it is not an
    ephemeral port, which outgoing connections and tests that listen on port 0 get.
    """
    while True:
        port = next(_OWN_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def program(name: str) -> str:
    """The path of a program that is installed beside the interpreter."""
    return os.fspath(Path(sys.executable).parent / name)


def run_hixie(*options: str, runner: str = "twistd") -> subprocess.CompletedProcess[str]:
    """Run a daemon that is expected to end by itself."""
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
    """
    A running daemon: its port, its process, and its log.

    :ivar host: address of the port.
    """

    def __init__(
        self,
        port: int,
        process: subprocess.Popen[bytes],
        directory: Path,
        host: str = "127.0.0.1",
    ) -> None:
        self.port = port
        self.host = host
        self.process = process
        self._directory = directory

    @property
    def log(self) -> str:
        return (self._directory / "log").read_text()

    @property
    def errors(self) -> str:
        return (self._directory / "errors").read_text()

    @property
    def allocated(self) -> int:
        """The bytes that the daemon has allocated and not freed: one that runs `COUNTED`."""
        return counted_twistd.allocated_by(self.process.pid)

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), PATIENCE)

    def logged(self, words: str) -> str:
        """Wait for a line of the log with these words, and return the first one."""
        return self._wait(lambda: next((ln for ln in self.log.splitlines() if words in ln), ""))

    def logged_times(self, words: str, times: int, also: str = "") -> str:
        """The log's line with these words for that time, waited for."""

        def found() -> str:
            lines = [line for line in self.log.splitlines() if words in line and also in line]
            return lines[times - 1] if len(lines) >= times else ""

        return self._wait(found)

    def reload(self, times: int = 1) -> None:
        """Send SIGHUP, and wait for the reload that is that many since the start."""
        self.terminate(signal.SIGHUP)
        self.logged_times("] reloaded ", times)

    def terminate(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for the end of the daemon, and return its exit status."""
        return self.process.wait(PATIENCE)

    def _wait(self, found: Callable[[], str]) -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if result := found():
                return result
            time.sleep(0.02)
        raise AssertionError(f"it did not come; the log:\n{self.log}\n{self.errors}")


@contextmanager
def running(directory: Path, *options: str, runner: str = "twistd") -> Iterator[Daemon]:
    """
    Run a daemon on a free port of 127.0.0.1 until the end of the ``with`` block.

    The ports in the options come before that one, and a daemon opens its ports in their order: it
    listens on all of them when it listens on that one. The line "starting on" of a UNIX socket
    would not tell, since Twisted logs it before the socket exists.
    """
    port = free_port()
    words = (*options, "--port", f"tcp:{port}:interface=127.0.0.1")
    with started(directory, port, *words, runner=runner) as daemon:
        yield daemon


@contextmanager
def configured(
    directory: Path, text: str, *options: str, runner: str = "twistd"
) -> Iterator[Daemon]:
    """
    Start it with ``hixie.toml`` in a directory, and end it in the end.

    :param text: of that file, with ``{port}`` in the place of a free port of 127.0.0.1.
    """
    port, file = free_port(), directory / "hixie.toml"
    file.write_text(text.replace("{port}", f"tcp:{port}:interface=127.0.0.1"))
    with started(directory, port, "--config", str(file), *options, runner=runner) as daemon:
        yield daemon


@contextmanager
def started(
    directory: Path,
    port: int,
    *options: str,
    runner: str = "twistd",
    before: Sequence[str] = (),
    host: str = "127.0.0.1",
) -> Iterator[Daemon]:
    """
    Start it, and end it in the end.

    :param port: that the options say, and that is waited for.
    :param runner: the program; with `COUNTED`, ``Daemon.allocated`` can be read.
    :param before: a program that runs the program, with the words before those of the latter.
    :param host: address of the port.
    """
    words = {
        "twistd": [program("twistd"), "-n", "--pidfile=", "hixie"],
        "twist": [program("twist"), "--log-format=text", "hixie"],
        "txhixie": [program("txhixie"), "serve"],
        COUNTED: [sys.executable, "-m", counted_twistd.__name__, "-n", "--pidfile=", "hixie"],
    }[runner]
    counted = {"PYTHONMALLOC": "malloc", "PYTHONPATH": os.fspath(Path(__file__).parents[1])}
    with (directory / "log").open("wb") as log, (directory / "errors").open("wb") as errors:
        process = subprocess.Popen(
            [*before, *words, *options],
            cwd=directory,
            env={**os.environ, **(counted if runner == COUNTED else {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=errors,
        )
    daemon = Daemon(port, process, directory, host)
    try:
        daemon.logged(f"starting on {port}")
        yield daemon
    finally:
        process.kill()
        process.wait()
