"""Buses of several processes for tests: a class for each kind of row of the table of buses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import time
from types import ModuleType
from typing import Any, Protocol

from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater

from support.log_recorder import Log
from support.waiting import reactor, until, within
from txhixie.bus.bus import Bus
from txhixie.bus.local import LocalBus
from txhixie.bus.relay import TopicRelay
from txhixie.bus.rows import make_bus
from txhixie.daemon.workers.bus_link import bus_over, relay_over
from txhixie.daemon.workers.link import adoptLink, linkPair


class Row(Protocol):
    """A row of the table of buses."""

    @property
    def has_one_order(self) -> bool:
        """Whether a message of a topic with a history has the same position at each node."""
        ...

    def nodes(self, number: int) -> AbstractAsyncContextManager[list[Bus]]:
        """Make buses that reach each other, as of so many processes; one if the row has one."""
        ...


class LocalRow:
    """The bus of one process."""

    has_one_order = True

    @asynccontextmanager
    async def nodes(self, number: int) -> AsyncIterator[list[Bus]]:
        """Make the bus."""
        yield [LocalBus(time)]


class WorkersRow:
    """Workers, with their links to the parent."""

    has_one_order = True

    @asynccontextmanager
    async def nodes(self, number: int) -> AsyncIterator[list[Bus]]:
        """Make the buses of so many workers."""
        relay = TopicRelay(reactor, time)
        nodes, links = [], []
        for index in range(number):
            here, other = linkPair(reactor)
            there = adoptLink(reactor, other.detach())
            relay_over(here, relay, f"node-{index}")
            nodes.append(bus_over(there, reactor, index))
            links += [here, there]
        try:
            yield list(nodes)
        finally:
            for node in nodes:
                node.stop()
            for link in links:
                link.close()
            relay.stop()


class ServerRow:
    """
    Buses on a server.

    :ivar server: the server.
    """

    def __init__(self, server: Any, has_one_order: bool) -> None:
        self.server = server
        self.has_one_order = has_one_order

    @asynccontextmanager
    async def nodes(self, number: int, url: str = "") -> AsyncIterator[list[Bus]]:
        """Make buses that have reached the server, by its own URL or another one."""
        made = [make_bus(reactor, url or self.server.url) for _ in range(number)]
        for each in made:
            each.start()
        try:
            await until(lambda: all(each.up for each in made))
            yield made
        finally:
            await within(gatherResults([each.stop() for each in made]))


async def log_of_passwords(right: str, wrong: str, log: Log) -> str:
    """
    Connect a bus with the right password, and then one with a wrong password.

    :param right: URL with the right password.
    :param wrong: URL with the wrong password.
    :return: the lines of the log, of which one is about the wrong password.
    """
    one, other = make_bus(reactor, right), make_bus(reactor, wrong)
    one.start()
    await until(lambda: one.up)
    other.start()
    await until(lambda: any(line.startswith("bus-down") for line in log.lines()))
    assert not other.up
    await within(gatherResults([one.stop(), other.stop()]))
    return "\n".join(log.lines())


async def stop_at_each_moment(url: str) -> None:
    """Stop buses while they connect, each of them a turn of the reactor later."""
    for turns in range(20):
        bus = make_bus(reactor, url)
        bus.start()
        for _ in range(turns):
            await deferLater(reactor, 0)
        await within(bus.stop())


def promises_of(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The tests of a module, which have to pass for another row, too."""
    return ((name, each) for name, each in vars(module).items() if name.startswith("test_"))
