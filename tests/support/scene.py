"""Servers that behave as a test wants at each stage of the way to them, and names for them.

All of it is real: sockets, TLS, a listening queue that is full. Only the names are made up, by a
resolver of the reactor's own that is put back afterwards.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from support.connection import Network, Place, Raw, accept_for, reactor, until

Act = Callable[[Raw], object]
"""What a server does when it is first spoken to."""


def silent(raw: Raw) -> None:
    """It reads, and says nothing."""


def closes(raw: Raw) -> None:
    """In good order, without a word."""
    raw.transport.loseConnection()


def resets(raw: Raw) -> None:
    """Not in good order."""
    raw.transport.abortConnection()


def says(answer: bytes, *, and_closes: bool = False) -> Act:
    """The same to everybody."""

    def act(raw: Raw) -> None:
        raw.send(answer)
        if and_closes:
            raw.transport.loseConnection()

    return act


def agrees(*lines: str, accept: str | None = None) -> Act:
    """As RFC 6455 has it, with further lines, or another hash."""

    def act(raw: Raw) -> None:
        said = accept or accept_for(raw.data)
        head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        head += [f"Sec-WebSocket-Accept: {said}", *lines, "", ""]
        raw.send("\r\n".join(head).encode("latin-1"))

    return act


def agrees_as_hixie_76(proof: bytes, *, and_closes: bool = False) -> Act:
    """All of it right but for the proof."""

    def act(raw: Raw) -> None:
        origin, host = (
            cast("re.Match[bytes]", re.search(rb"\r\n" + name + rb": (.*?)\r\n", raw.data))[1]
            for name in (b"Origin", b"Host")
        )
        raw.send(
            b"HTTP/1.1 101 WebSocket Protocol Handshake\r\nUpgrade: WebSocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Origin: %s\r\n"
            b"Sec-WebSocket-Location: ws://%s/demo\r\n\r\n%s" % (origin, host, proof)
        )
        if and_closes:
            raw.transport.loseConnection()

    return act


class Acting(Raw):
    """Does what it does when it is first spoken to."""

    act: Act

    def dataReceived(self, data: bytes) -> None:
        first = not self.data
        super().dataReceived(data)
        if first:
            self.act(self)


async def server(net: Network, act: Act, tls: Any = None) -> tuple[Place, list[Raw]]:
    """
    Listen.

    :param tls: a context factory.
    :return: where, and the connections to come.
    """
    made: list[Raw] = []

    def make() -> Acting:
        raw = Acting()
        raw.act = act
        made.append(raw)
        net.raws.append(raw)
        return raw

    endpoint: Any = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    if tls is not None:
        endpoint = SSL4ServerEndpoint(reactor, 0, tls, interface="127.0.0.1")
    factory: Any = Factory.forProtocol(cast("type[Protocol]", make))
    listening = await endpoint.listen(factory)
    net.places.append(Place("tcp" if tls is None else "tls", listening, "", factory))
    return net.places[-1], made


@contextmanager
def full_queue() -> Iterator[int]:
    """A port whose queue of connections is full: the kernel drops whoever wants one more."""
    with ExitStack() as sockets:
        listening = sockets.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield int(listening.getsockname()[1])


@implementer(IHostResolution)
class Question:
    """:ivar cancelled: whether somebody did not want to know any more."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


@implementer(IHostnameResolver)
class Names:
    """
    Addresses for names. What is not among them is asked of the system.

    :ivar known: addresses by name; ``None``: no answer ever comes.
    :ivar asked: names and ports.
    """

    def __init__(self, system: IHostnameResolver) -> None:
        self._system = system
        self.known: dict[str, list[str] | None] = {
            "server.example": ["127.0.0.1"],
            "nobody.example": [],
            "silent.example": None,
        }
        self.asked: list[tuple[str, int]] = []
        self.questions: list[Question] = []

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        *more: Any,
        **others: Any,
    ) -> Any:
        self.asked.append((hostName, portNumber))
        if hostName not in self.known:
            return self._system.resolveHostName(
                resolutionReceiver, hostName, portNumber, *more, **others
            )
        question = Question(hostName)
        self.questions.append(question)
        resolutionReceiver.resolutionBegan(cast(IHostResolution, question))
        addresses = self.known[hostName]
        if addresses is not None:
            for address in addresses:
                kind = IPv6Address if ":" in address else IPv4Address
                resolutionReceiver.addressResolved(kind("TCP", address, portNumber))
            resolutionReceiver.resolutionComplete()
        return question


@pytest.fixture
def names() -> Iterator[Names]:
    """The reactor's resolver meanwhile."""
    made = Names(reactor.nameResolver)
    before = reactor.installNameResolver(made)
    try:
        yield made
    finally:
        reactor.installNameResolver(before)


class Nothing:
    """That nothing of a connection is left in the reactor."""

    def __init__(self) -> None:
        self._before = self._now()

    def _now(self) -> tuple[set[object], set[object], set[object]]:
        return (
            set(reactor.getDelayedCalls()),
            set(reactor.getReaders()),
            set(reactor.getWriters()),
        )

    async def is_left(self) -> None:
        """Once the kernel has told both ends."""
        await until(lambda: self._now() == self._before)
