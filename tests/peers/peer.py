"""A peer with another library, in a process beside the tests, that prints a line for each event.

Only these lines go through the pipes; the WebSocket is between the program and us. Payloads are hex
there and an empty one is "-". The programs of this directory end when their standard input does, so
that none outlives the tests, not even tests that were killed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest_twisted
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.defer import TimeoutError as OutOfTime
from twisted.internet.interfaces import (
    IProcessTransport,
    IReactorProcess,
    IReactorTime,
)
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

# Seconds to wait for a line of a peer. No peer takes two, but the machine may be busy.
PATIENCE = 20.0

TESTS = Path(__file__).resolve().parents[1]

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])

# The casts, since pytest-twisted has no annotations.
onReactor = cast("Callable[[Function], Function]", pytest_twisted.ensureDeferred)
fixtureOnReactor = cast("Callable[[Function], Function]", pytest_twisted.async_yield_fixture)
moduleFixtureOnReactor = cast(
    "Callable[[Function], Function]", pytest_twisted.async_yield_fixture(scope="module")
)


def within(seconds: float, deferred: Deferred[T]) -> Deferred[T]:
    """Add a timeout to a Deferred, so that no test waits without end."""
    return deferred.addTimeout(seconds, cast("IReactorTime", installed_reactor))


def hexed(message: str | bytes) -> str:
    """A payload as the lines have it."""
    return (message.encode() if isinstance(message, str) else message).hex() or "-"


class Peer(ProcessProtocol):
    """One running program: `tell` sends it a command, `hears` waits for its next event."""

    # What Twisted sets when the program runs; its own annotation leaves it open.
    transport: IProcessTransport

    def __init__(self) -> None:
        self._events: DeferredQueue[list[str]] = DeferredQueue()
        self._story: list[str] = []
        self._unfinished = b""
        self._ended: Deferred[None] = Deferred()

    def tell(self, *words: str) -> None:
        self.transport.write(" ".join(words).encode("ascii") + b"\n")

    @property
    def ended(self) -> bool:
        return bool(self._ended.called)

    async def hears(self, word: str) -> list[str]:
        """The further words of the next event, which must begin with this word."""
        try:
            first, *further = await within(PATIENCE, self._events.get())
        except OutOfTime:
            first, further = "nothing", []
        assert first == word, f"{first} {further} instead of {word}; before: {self._story}"
        self._story.append(" ".join([first, *further])[:80])
        return further

    async def forget(self, token: str) -> None:
        """Reset a program of ``programs/``, and skip the events that it printed before."""
        self.tell("reset", token)
        while (event := await within(PATIENCE, self._events.get())) != ["ready", token]:
            assert event[0] != "ended", event
        self._story.clear()

    async def stop(self) -> None:
        """End it: by its standard input, or else by force."""
        self.transport.closeStdin()
        try:
            await within(PATIENCE, self._ended)
        except OutOfTime:
            self.transport.signalProcess("KILL")

    def outReceived(self, data: bytes) -> None:
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        for line in lines:
            self._events.put(line.decode("ascii").split(" "))

    def errReceived(self, data: bytes) -> None:
        sys.stderr.write(data.decode(errors="replace"))  # pytest shows it with a failure

    def processEnded(self, reason: Failure) -> None:
        self._events.put(["ended", str(reason.value)])
        self._ended.callback(None)


def started(*command: str | Path) -> Peer:
    """The program. It runs where ``-m`` finds the programs of this directory."""
    peer = Peer()
    words = [os.fspath(word) for word in command]
    spawner = cast("IReactorProcess", installed_reactor)
    spawner.spawnProcess(peer, words[0], words, env=os.environ, path=os.fspath(TESTS))
    return peer


@asynccontextmanager
async def running(*command: str | Path) -> AsyncIterator[Peer]:
    """Run the program until the end of the ``with`` block."""
    peer = started(*command)
    try:
        yield peer
    finally:
        await peer.stop()


@dataclass(frozen=True)
class Server:
    """A peer that listens on the loopback interface."""

    peer: Peer
    port: int

    def url(self, path: str = "/") -> str:
        return f"ws://127.0.0.1:{self.port}{path}"


async def listening(peer: Peer) -> Server:
    (port,) = await peer.hears("listening")
    return Server(peer, int(port))


@dataclass(frozen=True)
class Netty:
    """Both halves of Netty, compiled."""

    java: Path
    classpath: str

    def command(self, program: str, *words: str) -> tuple[str | Path, ...]:
        return (
            self.java,
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-cp",
            self.classpath,
            program,
            *words,
        )
