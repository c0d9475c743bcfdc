"""The link with a real child process, which ends or is killed."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from twisted.internet.protocol import ProcessProtocol

from support.waiting import asynchronous, reactor, until
from txhixie.daemon.workers.link import Kind, linkPair

CHILD: Final = """
from twisted.internet import reactor
from txhixie.daemon.workers.link import Kind, adoptLink
link = adoptLink(reactor, 3)
link.handle(Kind.BUS, lambda payload: link.send(Kind.BUS, payload[::-1]))
link.whenLost(lambda: reactor.callWhenRunning(reactor.stop))
link.send(Kind.STATE, b"ready")
reactor.run()
print("ended")
"""


class Child(ProcessProtocol):
    """A child process, with its output and its end."""

    def __init__(self) -> None:
        self.output = b""
        self.ended: Any = None

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Keep the output."""
        self.output += data

    def processEnded(self, reason: Any) -> None:
        """Keep the end."""
        self.ended = reason


@asynchronous
async def test_a_child_process_uses_the_descriptor_that_it_inherits() -> None:
    link, other = linkPair(reactor)
    heard: list[bytes] = []
    lost: list[None] = []
    for kind in (Kind.BUS, Kind.STATE):
        link.handle(kind, heard.append)
    link.whenLost(lambda: lost.append(None))
    child = Child()
    process = reactor.spawnProcess(
        child,
        sys.executable,
        [sys.executable, "-c", CHILD],
        env=dict(os.environ),
        childFDs={0: "w", 1: "r", 2: "r", 3: other.fileno()},
    )
    other.close()
    await until(lambda: heard == [b"ready"], 60)
    link.send(Kind.BUS, b"hello")
    await until(lambda: heard == [b"ready", b"olleh"])
    process.signalProcess("KILL")
    await until(lambda: lost and child.ended)
    assert child.output == b""


@asynchronous
async def test_a_child_process_is_told_when_its_parent_closes_the_link() -> None:
    link, other = linkPair(reactor)
    heard: list[bytes] = []
    link.handle(Kind.STATE, heard.append)
    child = Child()
    reactor.spawnProcess(
        child,
        sys.executable,
        [sys.executable, "-c", CHILD],
        env=dict(os.environ),
        childFDs={0: "w", 1: "r", 2: "r", 3: other.fileno()},
    )
    other.close()
    await until(lambda: heard == [b"ready"], 60)
    link.close()
    await until(lambda: child.ended)
    assert child.output == b"ended\n"
