"""Starts a server, and runs ``wsload`` against it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any, Final, Self, TypeAlias

from peers import OPT, Peer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from workloads import Load

Sample: TypeAlias = dict[str, Any]
"""The output of ``wsload``; ``Rounds`` adds ``server``, ``workload`` and ``round``."""

START_SECONDS: Final = 20.0
END_SECONDS: Final = 3.0

OPEN_AND_CLOSE_SECONDS: Final = 100.0
"""Seconds of ``wsload`` besides the measured time: at most 60 s to open connections, and 15 s."""


class NotStarted(Exception):
    """A server did not start: the server is not installed, or fails."""


@dataclass(frozen=True, slots=True)
class Place:
    """
    The processor cores of the processes, and the file for the servers' output.

    :ivar log: the file; ``None`` to discard the output.
    """

    server_core: int
    client_core: int
    log: IO[bytes] | None = None


class Program:
    """
    A program as a context manager: it listens inside the ``with`` block, and is ended after it.

    :ivar port: the port on which the program listens.
    :ivar environment: its environment variables; ``None`` for those of this process.
    :ivar output: the file for its output.
    """

    environment: Mapping[str, str] | None = None
    output: IO[bytes] | int = subprocess.DEVNULL

    def __init__(
        self, name: str, command: Iterable[str], words: Mapping[str, str], core: int
    ) -> None:
        """:param words: placeholders in the command besides ``{port}``, and their texts."""
        self.name = name
        self.port = free_port()
        self._command = [put_in(word, {**words, "{port}": str(self.port)}) for word in command]
        self._core = core

    def __enter__(self) -> Self:
        # Both wrappers exec, so the pid is the program's own. setpriv ends the program when this
        # process ends, also by a signal.
        wrappers = ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", str(self._core)]
        try:
            self._process = subprocess.Popen(
                wrappers + self._command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=self.output,
                stderr=self.output,
                start_new_session=True,
            )
        except OSError as error:
            raise NotStarted(f"{self.name}: {error}") from error
        try:
            self._await_listening()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """The id of the program's first process, which may have forked others."""
        return self._process.pid

    def _await_listening(self) -> None:
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            if self._process.poll() is not None:
                raise NotStarted(f"{self.name} ended with {self._process.returncode}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise NotStarted(f"{self.name} does not listen")

    def _end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                return
            os.killpg(self._process.pid, number)
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                continue


class Server:
    """A server as a context manager, with the backend of a gateway."""

    def __init__(self, name: str, peer: Peer, place: Place) -> None:
        self.name = name
        self.peer = peer
        self._place = place

    def __enter__(self) -> Self:
        with ExitStack() as running:
            directory = running.enter_context(TemporaryDirectory())
            words = {"{directory}": directory}
            if self.peer.tls:
                words["{certificate}"] = str(certificate(Path(directory)))
            if self.peer.backend:
                # On the core of wsload, so that the backend takes no CPU time from the gateway.
                backend = Program(self.name, self.peer.backend, words, self._place.client_core)
                words["{backend}"] = str(running.enter_context(backend).port)
            program = Program(self.name, self.peer.command, words, self._place.server_core)
            program.environment = self._environment()
            program.output = self._place.log or subprocess.DEVNULL
            self._program = running.enter_context(program)
            self._running = running.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()

    @property
    def port(self) -> int:
        """The port on which the server listens."""
        return self._program.port

    def sample(
        self, load: Load, seconds: float, warmup: float = 0.0, *, check: bool = False
    ) -> Sample:
        """
        Run ``wsload`` once against this server. Each error is in the sample's ``errors`` and
        ``first_error``.

        :param check: compare every echoed byte, which costs ``wsload`` time.
        """
        command = ["taskset", "-c", str(self._place.client_core), str(OPT / "wsload")]
        command += ["--port", str(self._program.port), "--pid", str(self._program.pid)]
        command += ["--dialect", self.peer.dialect, "--warmup", str(warmup), "--time", str(seconds)]
        command += ["--tls"] if self.peer.tls else []
        command += self.peer.suited(load).arguments() + (["--check"] if check else [])
        limit = warmup + seconds + OPEN_AND_CLOSE_SECONDS
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired:
            return failed("wsload did not end")
        try:
            sample: Sample = json.loads(run.stdout)
        except ValueError:
            return failed(run.stderr.strip()[:150] or f"wsload ended with {run.returncode}")
        return sample

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", **self.peer.environment)
        if self.peer.installed:
            environment.pop("PYTHONPATH", None)
        return environment


def certificate(directory: Path) -> Path:
    """
    Make a certificate of the curve P-256 for 127.0.0.1, and return its file, with its private key.

    :raises NotStarted: without the command ``openssl``.
    """
    key, made, both = (directory / name for name in ("key", "certificate", "server.pem"))
    words = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    )
    command = ["openssl", *words.split(), "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(
            [*command, "-keyout", key, "-out", made], check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotStarted(f"openssl made no certificate: {error}") from error
    both.write_bytes(key.read_bytes() + made.read_bytes())
    return both


def free_port() -> int:
    """Find a TCP port on which no program listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def put_in(word: str, words: Mapping[str, str]) -> str:
    """Replace the placeholders in a word of a command."""
    for placeholder, text in words.items():
        word = word.replace(placeholder, text)
    return word


def failed(reason: str) -> Sample:
    """The sample of a run of ``wsload`` that failed."""
    return {"errors": 1, "first_error": reason, "msgs": 0, "rate": 0.0}
