"""Our side of these tests: applications that record their events in order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias, cast

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, DeferredQueue, maybeDeferred
from twisted.internet.defer import TimeoutError as OutOfTime
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.python.failure import Failure

from peers.peer import PATIENCE, Server, within
from txhixie import (
    HixieServerFactory,
    Limits,
    Refusal,
    WebSocketClientEndpoint,
    WebSocketServerFactory,
    WebSocketTransport,
)
from txhixie.extensions import DEFAULT_EXTENSIONS
from txhixie.sansio.extensions.extension import Extension

Noted: TypeAlias = str | bytes | Failure


class Recorder:
    """An application. `hears` returns the next event, and fails if it is of another kind."""

    transport: WebSocketTransport

    def __init__(self) -> None:
        self._events: DeferredQueue[tuple[str, Noted]] = DeferredQueue()

    async def hears(self, kind: str) -> Noted:
        try:
            heard, noted = await within(PATIENCE, self._events.get())
        except OutOfTime:
            heard, noted = "nothing", ""
        assert heard == kind, f"{heard} {noted!r} instead of {kind}"
        return noted

    async def exchanges(self, text: str) -> None:
        """Send a text; what the peer answers is the same."""
        self.transport.sendTextMessage(text)
        assert await self.hears("text") == text

    async def ends(self) -> Failure:
        reason = await self.hears("lost")
        assert isinstance(reason, Failure)
        return reason

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        self._events.put(("open", ""))

    def textMessageReceived(self, message: str) -> None:
        self._events.put(("text", message))

    def bytesMessageReceived(self, data: bytes) -> None:
        self._events.put(("binary", data))

    def pongReceived(self, payload: bytes) -> None:
        self._events.put(("pong", payload))

    def connectionLost(self, reason: Failure) -> None:
        self._events.put(("lost", reason))


class Recorders:
    """Makes a Recorder for each connection, of either side; `opened` awaits the next one."""

    def __init__(self) -> None:
        self._made: DeferredQueue[Recorder] = DeferredQueue()

    def buildProtocol(self, asked: object) -> Recorder:
        recorder = Recorder()
        self._made.put(recorder)
        return recorder

    async def opened(self) -> Recorder:
        recorder = await within(PATIENCE, self._made.get())
        await recorder.hears("open")
        return recorder


@dataclass
class Refusing:
    refusal: Refusal

    def buildProtocol(self, asked: object) -> Refusal:
        return self.refusal


async def connected(
    server: Server | Served,
    path: str = "/",
    *,
    dialect: str,
    subprotocols: tuple[str, ...] = (),
    lenient: bool = False,
    binary: str = "refuse",
    extensions: Iterable[Extension] = DEFAULT_EXTENSIONS,
    proxy: str | None = None,
) -> Recorder:
    """Our client's application, once it may talk to this server; else the client's error."""
    applications = Recorders()
    endpoint = WebSocketClientEndpoint.new(
        reactor,
        server.url(path),
        dialect=dialect,
        origin="http://127.0.0.1",
        subprotocols=subprotocols,
        lenient=lenient,
        binary=binary,
        extensions=extensions,
        proxy=proxy,
    )
    await within(PATIENCE, Deferred.fromCoroutine(endpoint.connect(applications)))
    return await applications.opened()


@dataclass
class Served:
    """Our server, in the tests' own process, and the applications it gave its connections."""

    port: int
    applications: Recorders

    def url(self, path: str = "/") -> str:
        return f"ws://127.0.0.1:{self.port}{path}"


@asynccontextmanager
async def serving(
    *,
    subprotocols: tuple[str, ...] = (),
    limits: Limits | None = None,
    extensions: Iterable[Extension] = DEFAULT_EXTENSIONS,
    refusal: Refusal | None = None,
    applications: WebSocketServerFactory | None = None,
) -> AsyncIterator[Served]:
    """
    :param refusal: what every offer gets, instead of an application.
    :param applications: answers offers instead.
    """
    recorders = Recorders()
    factory = HixieServerFactory(
        applications or (recorders if refusal is None else Refusing(refusal)),
        origins=["*"] if applications else None,
        subprotocols=subprotocols,
        limits=Limits() if limits is None else limits,
        extensions=extensions,
    )
    endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    listening = await endpoint.listen(factory)
    try:
        yield Served(cast("IPv4Address", listening.getHost()).port, recorders)
    finally:
        await within(PATIENCE, maybeDeferred(listening.stopListening))
        factory.abortAll()
        await within(PATIENCE, factory.closeAll())
