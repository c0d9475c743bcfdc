"""Servers of buses, on a port of their own, which a test kills and starts again."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from peers.machines import Machine
from support import third_party
from support.daemon import free_port


class BusServer:
    """
    A server of a bus.

    :ivar port: number of its port.
    :ivar url: URL of the server as ``--bus`` takes it.
    """

    _machine = Machine("127.0.0.1", ())

    def __init__(self, url: str) -> None:
        """:param url: the URL, with ``{port}``."""
        self.port = free_port()
        self.url = url.format(port=self.port)
        self._process: subprocess.Popen[bytes] | None = None

    def command_line(self) -> list[str]:
        """The program and its options."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the program, and wait until it listens."""
        words = [*self._machine.before, *self.command_line()]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection((self._machine.address, self.port), 30).close()
                return
            time.sleep(0.02)
        raise AssertionError(f"{words[0]} does not listen on {self.port}")

    def kill(self) -> None:
        """End the program by SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stall(self) -> None:
        """Stop the program: it answers nothing, and its connections stay."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def goes_on(self) -> None:
        """Let the stopped program run again."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


class RedisServer(BusServer):
    """A Redis that keeps nothing on a disk."""

    def __init__(self, directory: Path, *words: str, url: str = "redis://127.0.0.1:{port}") -> None:
        super().__init__(url)
        self._program = third_party.redis_server()
        self._directory = directory
        self._words = [word.format(port=self.port) for word in words] or ["--port", str(self.port)]

    def command_line(self) -> list[str]:
        """The program and its options."""
        own = ["--bind", "127.0.0.1", "--save", "", "--dir", str(self._directory)]
        return [str(self._program), *own, *self._words]

    def command(self, *words: str, last: bytes | None = None) -> str:
        """Run ``redis-cli``, with the last word from its input if it is given; its output."""
        found = subprocess.run(
            [
                "redis-cli",
                "-h",
                self._machine.address,
                "-p",
                str(self.port),
                *["-x"] * (last is not None),
                *words,
            ],
            check=True,
            input=last or b"",
            capture_output=True,
            timeout=30,
        )
        return found.stdout.decode()


class RedisMachine(RedisServer):
    """A Redis of a machine, which may keep its streams on a disk."""

    def __init__(self, directory: Path, machine: Machine, *, keeps: bool) -> None:
        self._machine = machine
        url = f"redis://{machine.address}:{{port}}"
        # "everysec" would wait with a message for a disk that is busy.
        kept = ("--appendonly", "yes", "--appendfsync", "no") if keeps else ()
        address = ("--bind", machine.address, "--protected-mode", "no")
        super().__init__(directory, "--port", "{port}", *address, *kept, url=url)

    def number(self, name: str) -> int:
        """A number of ``INFO``."""
        found = self.command("INFO")
        return int(found.partition(f"{name}:")[2].split()[0])


class NatsServer(BusServer):
    """A NATS server without JetStream."""

    def __init__(self, *words: str, url: str = "nats://127.0.0.1:{port}") -> None:
        super().__init__(url)
        self._program = third_party.nats_server()
        self._words = words

    def command_line(self) -> list[str]:
        """The program and its options."""
        return [str(self._program), "-a", "127.0.0.1", "-p", str(self.port), *self._words]
