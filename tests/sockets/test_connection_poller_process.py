"""The connection poller in whole processes: every reactor, its stop, a forked child, ``trial``."""

from __future__ import annotations

import re
import select
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="needs epoll of Linux")
on_and_off = pytest.mark.parametrize("isMoved", [True, False], ids=["poller", "reactor"])

BEGINNING: Final = """
import os, resource, socket, sys
from twisted.application.reactors import installReactor
reactor = installReactor(sys.argv[1])
isMoved = sys.argv[2] == "poller"
from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.task import deferLater
from txhixie import HixieClientFactory, HixieServerFactory
from txhixie.testing import Applications, Recorder, echo

class Told(Recorder):
    def connectionLost(self, reason):
        print(type(self).__name__, reason.value)
        super().connectionLost(reason)

class Client(Told):
    pass

class Server(Told):
    def textMessageReceived(self, text):
        self.transport.sendTextMessage(text)

factory = HixieServerFactory(Applications(Server), connectionPoller=isMoved)
port = reactor.listenTCP(0, factory, interface="127.0.0.1")

async def open():
    url = f"ws://127.0.0.1:{port.getHost().port}/"
    asking = HixieClientFactory(url, Applications(Client), connectionPoller=isMoved)
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    wire = await endpoint.connect(asking)
    client = await wire.whenOpen()
    await echoes(client, "first")  # connections are moved with their first message
    return client

async def until(true):
    for _ in range(3000):
        if true():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError("it did not become true in 30 seconds")

async def echoes(client, text):
    count = len(client.messages)
    client.transport.sendTextMessage(text)
    await until(lambda: len(client.messages) > count)
    assert client.messages[count:] == [text]

def transports():
    return [each.transport for each in factory.connections]

def run(main):
    def failed(failure):
        failure.printTraceback()
        reactor.running and reactor.stop()
    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(main()).addErrback(failed))
    reactor.run()
"""


@pytest.fixture(autouse=True, scope="module")
def plugin_cache() -> None:
    """Let Twisted make its cache of plugins, with the warnings of other packages' plugins."""
    making = "from twisted.application.reactors import getReactorTypes; list(getReactorTypes())"
    subprocess.run([sys.executable, "-W", "ignore", "-c", making], check=True, capture_output=True)


def printed(program: str, name: str = "epoll", isMoved: bool = True) -> list[str]:
    """Lines that a program prints, which begins as all do."""
    words = [sys.executable, "-W", "error", "-c", BEGINNING + program]
    words += [name, "poller" if isMoved else "reactor"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


@pytest.mark.parametrize("name", ["epoll", "poll", "select", "asyncio"])
def test_the_poller_is_in_any_reactor(name: str) -> None:
    program = """
async def main():
    idle = len(reactor.getReaders())
    clients = [await open() for _ in range(3)]
    moved = [each not in reactor.getReaders() for each in transports()]
    print(moved, len(reactor.getReaders()) - idle)
    for client in clients:
        await echoes(client, "hello")
        await echoes(client, "a" * 500_000)
    for client in clients:
        client.transport.loseConnection()
    await until(lambda: not factory.connections)
    await until(lambda: len(reactor.getReaders()) == idle)
    await echoes(await open(), "again")
    reactor.stop()
run(main)
"""
    first, *_ = printed(program, name)
    assert first == "[True, True, True] 1"  # the poller
    assert printed(program, name, isMoved=False)[0] == "[False, False, False] 6"


@on_and_off
@pytest.mark.parametrize("name", ["epoll", "asyncio"])
def test_reactor_stop_ends_the_connections(name: str, isMoved: bool) -> None:
    """The server closes its connections before the reactor stops, with 1001."""
    program = """
async def main():
    await open()
    reactor.stop()
run(main)
"""
    assert sorted(printed(program, name, isMoved)) == sorted(printed(program, name, not isMoved))


@on_and_off
def test_the_reactor_ends_all_transports_when_it_has_stopped(isMoved: bool) -> None:
    """``disconnectAll``, which the reactor itself calls for connections that are still open."""
    program = """
async def main():
    await open()
    reactor.disconnectAll()
    print(len(factory.connections), len(reactor.getReaders()))
    reactor.crash()
run(main)
"""
    lines = sorted(printed(program, "epoll", isMoved))
    assert lines == sorted(printed(program, "epoll", not isMoved))
    assert lines[-1].startswith("Server ")


def test_a_forked_child_leaves_the_connections_of_its_parent() -> None:
    program = """
async def main():
    client = await open()
    pid = os.fork()
    if not pid:
        for each in transports():
            each.stopReading()
            each.stopWriting()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    await echoes(client, "hello")
    print("echoed")
    reactor.stop()
run(main)
"""
    assert printed(program)[0] == "echoed"


def test_without_file_descriptors_a_connection_stays_in_the_reactor() -> None:
    program = """
class Exhausting(Server):
    taken = ()

    def textMessageReceived(self, text):
        super().textMessageReceived(text)
        if text == "first":
            self.taken = []
            try:
                while True:
                    self.taken.append(os.dup(0))
            except OSError:
                pass
        else:
            for fd in self.taken:
                os.close(fd)

async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    factory.applications = Applications(Exhausting)
    first = await open()
    print([each in reactor.getReaders() for each in transports()])
    await echoes(first, "hello")
    factory.applications = Applications(Server)
    await echoes(await open(), "hello")
    print(sorted(each in reactor.getReaders() for each in transports()))
    reactor.stop()
run(main)
"""
    assert printed(program)[:2] == ["[True]", "[False, True]"]


SUITE: Final = """
import os, socket
from twisted.internet import reactor
from twisted.trial.unittest import TestCase
from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint
from txhixie import HixieClientFactory, HixieServerFactory
from txhixie.testing import Applications, Recorder, echo

class Case(TestCase):
    @inlineCallbacks
    def open(self):
        isMoved = os.environ["MOVED"] == "poller"
        self.factory = HixieServerFactory(Applications(echo), connectionPoller=isMoved)
        self.port = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        number = self.port.getHost().port
        asking = HixieClientFactory(
            f"ws://127.0.0.1:{number}/", Applications(Recorder), connectionPoller=isMoved
        )
        wire = yield TCP4ClientEndpoint(reactor, "127.0.0.1", number).connect(asking)
        self.client = yield wire.whenOpen()
        self.asking = asking
        self.client.transport.sendTextMessage("hello")
        while not self.client.messages:
            yield self.soon()
        assert self.client.messages == ["hello"]

    def soon(self):
        from twisted.internet.task import deferLater
        return deferLater(reactor, 0.01)

    @inlineCallbacks
    def close(self):
        yield self.port.stopListening()
        yield self.factory.closeAll()
        while self.asking.connections:
            yield self.soon()

class A_Leaking(Case):
    @inlineCallbacks
    def test_leak(self):
        yield self.open()
        yield self.port.stopListening()
        if os.environ["LEAKS"] == "no":
            yield self.close()

class B_Next(Case):
    @inlineCallbacks
    def test_next(self):
        assert not any("txhixie" in repr(each) for each in reactor.getReaders())
        yield self.open()
        yield self.close()

    test_once_more = test_next
"""


@on_and_off
@pytest.mark.parametrize("leaks", ["yes", "no"])
def test_trial_cleans_up_after_a_test_that_leaves_a_connection(
    tmp_path: Path, isMoved: bool, leaks: str
) -> None:
    """The class with the leak has an error, which names the connection; the next class has none."""
    (tmp_path / "test_suite.py").write_text(SUITE)
    ended = subprocess.run(
        [sys.executable, "-m", "twisted.trial", "test_suite"],
        cwd=tmp_path,
        env={"MOVED": "poller" if isMoved else "reactor", "LEAKS": leaks, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = ended.stdout + ended.stderr
    leaking = "ERROR" if leaks == "yes" else "OK"
    assert re.findall(r"(test_\w+) \.\.\. +\[(\w+)\]", said) == [
        ("test_leak", leaking),
        ("test_next", "OK"),
        ("test_once_more", "OK"),
    ]
    assert "test_suite.B_Next" not in said, "an error of the next class"
    left = re.findall(r"<HixieServerProtocol #\d+ on \d+>", said)
    assert len(left) == (leaks == "yes"), said
