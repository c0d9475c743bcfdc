"""Asynchronous servers that fail or stall at one stage of a connection, as a test says.

All of it is real: sockets, TLS, a listening queue that is full. Only the names are made up, by a
resolver of the reactor's own that is put back afterwards.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol

from support.handshake_bytes import accept_for
from support.network import Network, Place
from support.raw_peer import Raw
from support.waiting import reactor

Act = Callable[[Raw], object]
"""The action of a scripted server on the first data of a client."""


def silent(raw: Raw) -> None:
    """Read, and send nothing."""


def closes(raw: Raw) -> None:
    """Close the TCP connection, without a response."""
    raw.transport.loseConnection()


def resets(raw: Raw) -> None:
    """Reset the TCP connection, without a response."""
    raw.transport.abortConnection()


def says(answer: bytes, *, and_closes: bool = False) -> Act:
    """Send the same bytes to every client."""

    def act(raw: Raw) -> None:
        raw.send(answer)
        if and_closes:
            raw.transport.loseConnection()

    return act


def agrees(*lines: str, accept: str | None = None) -> Act:
    """Send a response of RFC 6455, with further header fields, or with another hash."""

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
    """A port with a full listen queue: the kernel drops further connections."""
    with ExitStack() as sockets:
        listening = sockets.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield int(listening.getsockname()[1])
