"""The command ``txhixie`` run in a process, and the daemon run with TLS."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from support import third_party
from support.certificates import Authority, authority
from support.daemon import PATIENCE, free_port, program, running
from support.scripted_peer import read_head, serving

PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def environment(**more: str) -> dict[str, str]:
    """The environment of this process, without its variables for proxies."""
    kept = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
    return {**kept, **more}


def head_by_curl(*words: str) -> str:
    """
    Run curl for one request, and return the head of the response, with LF at the ends of lines.

    curl is ended after the head, since a conversation has no end.
    """
    own = ["-sS", "--noproxy", "*", "--http1.1", "-D", "-", "-o", "/dev/null"]
    command = [str(third_party.curl()), *own, "-m", str(PATIENCE), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        head = "".join(takewhile(str.strip, process.stdout))
        process.kill()
    return head


def start(
    *words: str,
    stdin: Any = subprocess.PIPE,
    stdout: Any = subprocess.PIPE,
    stderr: Any = subprocess.PIPE,
    env: dict[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start the command, on pipes by default."""
    command = [program("txhixie"), *words]
    env = env or environment()
    return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env=env)


class Ran:
    """
    A command that has ended.

    :ivar status: the exit status.
    :ivar output: the standard output.
    :ivar errors: the lines of the standard error.
    """

    def __init__(self, status: int, output: bytes, errors: bytes) -> None:
        self.status = status
        self.output = output
        self.errors = errors.decode().splitlines()

    @property
    def line(self) -> str:
        """The one line of standard error."""
        assert len(self.errors) == 1, self.errors
        return self.errors[0]

    def __repr__(self) -> str:
        return f"<{self.status}: {self.output!r}, {self.errors}>"


def run(*words: str, given: bytes = b"", **options: Any) -> Ran:
    """Run the command, and wait until it ends."""
    process = start(*words, **options)
    try:
        output, errors = process.communicate(given, PATIENCE)
    finally:
        process.kill()
        process.wait()
    return Ran(process.returncode, output or b"", errors or b"")


def interrupted_handshake(command: str) -> Ran:
    """Run a command for a server that does not answer, and send it SIGINT after its request."""
    asked = threading.Event()

    def script(peer: socket.socket) -> None:
        read_head(peer)
        asked.set()
        peer.recv(1)

    with serving(script) as port:
        process = start(command, f"ws://127.0.0.1:{port}/")
        assert asked.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE)
    return Ran(process.returncode, output, errors)


@contextmanager
def secure_daemon(
    directory: Path,
    *options: str,
    names: tuple[str, ...] = ("localhost", "127.0.0.1"),
    until: int = 1,
    by: Authority | None = None,
) -> Iterator[int]:
    """Run the daemon with TLS and a new certificate; yields its port."""
    pem = directory / "server.pem"
    pem.write_bytes((by or authority()).pem_for(*names, since=min(-1, until - 1), until=until))
    (directory / "authority.pem").write_bytes(authority().pem)
    port = free_port()
    where = f"ssl:{port}:interface=127.0.0.1:privateKey={pem}:certKey={pem}"
    with running(directory, "--port", where, *options):
        yield port
