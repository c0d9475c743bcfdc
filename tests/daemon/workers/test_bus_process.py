"""The bus of workers with real worker processes: one is killed, one does not read, the parent ends.

The parent is this process.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest_twisted
from twisted.internet.protocol import ProcessProtocol

from support.waiting import asynchronous, reactor, until
from txhixie.bus.relay import TopicRelay
from txhixie.daemon.workers.bus_link import relay_over
from txhixie.daemon.workers.link import MOST_LINK_BYTES, Kind, linkPair

WORKER: Final = """
import json
from twisted.internet import reactor, stdio
from twisted.protocols.basic import LineOnlyReceiver
from txhixie.daemon.workers.bus_link import bus_over
from txhixie.daemon.workers.link import adoptLink

class Commands(LineOnlyReceiver):
    delimiter = b"\\n"

    def tell(self, *values):
        self.sendLine(json.dumps(values).encode())

    def connectionMade(self):
        self.link = adoptLink(reactor, 3)
        self.bus = bus_over(self.link, reactor)
        self.link.whenLost(lambda: self.tell("lost", self.bus.up))
        self.bus.subscribe("room", self.hear, True).addCallback(lambda _: self.tell("ready"))

    def hear(self, message, publisher):
        head = message.payload[:20].decode().strip()
        self.tell("heard", head, len(message.payload), message.position, publisher)

    def lineReceived(self, line):
        verb, *values = json.loads(line)
        if verb == "publish":
            text, size = values
            payload = text.encode().ljust(size)
            self.bus.publish("room", payload, True, "mine").addCallback(
                lambda position: self.tell("published", position)
            )
        else:
            self.bus.since("room", *values).addCallback(
                lambda past: self.tell(
                    "past", past.is_whole, [each.payload.decode() for each in past.messages]
                )
            )

    def connectionLost(self, reason):
        reactor.stop()

stdio.StandardIO(Commands())
reactor.run()
"""


class WorkerProcess(ProcessProtocol):
    """
    A worker process.

    :ivar told: what the worker has told, without what it has heard.
    :ivar heard: the messages: text, size, position and publisher.
    """

    def __init__(self, relay: TopicRelay) -> None:
        self.told: list[list[Any]] = []
        self.heard: list[list[Any]] = []
        self.ended = False
        self._rest = b""
        self.link, other = linkPair(reactor)
        relay_over(self.link, relay)
        with other:
            self.process = reactor.spawnProcess(
                self,
                sys.executable,
                [sys.executable, "-c", WORKER],
                env=dict(os.environ),
                childFDs={0: "w", 1: "r", 2: 2, 3: other.fileno()},
            )

    def outReceived(self, data: bytes) -> None:
        """Keep what the worker tells."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            word, *values = json.loads(line)
            if word == "heard":
                self.heard.append(values)
            else:
                self.told.append([word, *values])

    def processEnded(self, reason: Any) -> None:
        """Keep the end."""
        self.ended = True

    @property
    def texts(self) -> list[str]:
        """The texts that the worker has heard."""
        return [text for text, *_ in self.heard]

    def say(self, *values: Any) -> None:
        """Send a command."""
        self.process.write(json.dumps(values).encode() + b"\n")

    async def tells(self, word: str) -> list[Any]:
        """Wait until the worker tells something with this word, and return the last."""
        await until(lambda: any(each[0] == word for each in self.told), 60)
        return [each for each in self.told if each[0] == word][-1][1:]

    async def hears(self, text: str) -> None:
        """Wait until the last message that the worker has heard is this one."""
        await until(lambda: self.texts[-1:] == [text])


class Workers:
    """The parent, and its worker processes."""

    def __init__(self) -> None:
        self.relay = TopicRelay(reactor, lambda: 1.0)
        self.processes: list[WorkerProcess] = []

    async def start(self) -> WorkerProcess:
        """Start a worker, and wait for its subscription."""
        worker = WorkerProcess(self.relay)
        self.processes.append(worker)
        await worker.tells("ready")
        return worker


# pytest-twisted has no annotations.
@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]  # pytest_twisted has no annotations
async def workers() -> AsyncIterator[Workers]:
    """The parent; its processes are killed after the test."""
    made = Workers()
    yield made
    for each in made.processes:
        if not each.ended:
            each.process.signalProcess("KILL")
    await until(lambda: all(each.ended and not each.link.connected for each in made.processes))
    made.relay.stop()


@asynchronous
async def test_a_worker_that_was_killed_and_started_again_has_what_its_members_missed(
    workers: Workers,
) -> None:
    first, second = await workers.start(), await workers.start()
    first.say("publish", "one", 10)
    await until(lambda: second.heard)
    assert second.heard[0][3] is None
    known = second.heard[0][2]
    second.process.signalProcess("KILL")
    await until(lambda: second.ended)
    first.say("publish", "two", 3)
    first.say("publish", "three", 5)
    await until(lambda: first.texts == ["one", "two", "three"])
    assert [publisher for *_, publisher in first.heard] == ["mine"] * 3
    again = await workers.start()
    again.say("since", known)
    assert await again.tells("past") == [True, ["two", "three"]]
    again.say("publish", "four", 4)
    await first.hears("four")
    await again.hears("four")
    assert again.texts == ["four"]


@asynchronous
async def test_a_worker_that_does_not_read_costs_the_others_nothing(workers: Workers) -> None:
    publishing, reading, stopped = [await workers.start() for _ in range(3)]
    os.kill(stopped.process.pid, signal.SIGSTOP)
    sent = [f"message {number}" for number in range(100)]
    most = 0
    for text in sent:
        publishing.say("publish", text, 100_000)
        await reading.hears(text)
        await publishing.hears(text)
        most = max(most, stopped.link.waiting)
    assert reading.texts == publishing.texts == sent
    assert 0 < most <= MOST_LINK_BYTES
    dropped = stopped.link.dropped[Kind.BUS]
    assert dropped > 0
    os.kill(stopped.process.pid, signal.SIGCONT)
    await until(lambda: len(stopped.heard) == len(sent) - dropped)
    assert stopped.texts == [text for text in sent if text in set(stopped.texts)]
    publishing.say("publish", "again", 5)
    await until(lambda: stopped.texts[-1] == "again")
    assert not reading.link.dropped


@asynchronous
async def test_without_the_parent_a_worker_has_its_own_messages(workers: Workers) -> None:
    worker = await workers.start()
    worker.link.close()
    assert await worker.tells("lost") == [False]
    worker.say("publish", "alone", 5)
    position = await worker.tells("published")
    assert worker.heard == [["alone", 5, *position, "mine"]]
