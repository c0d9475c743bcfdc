"""Servers and clients over TCP, TLS and UNIX sockets, all closed after the test.

The fixture ``net`` of ``tests/conftest.py`` makes a `Network`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    SSL4ServerEndpoint,
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    UNIXClientEndpoint,
    UNIXServerEndpoint,
    wrapClientTLS,
)
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol

from support.applications import Applications, Recorder, echo
from support.certificates import certificate
from support.raw_peer import Raw, RawServer
from support.waiting import reactor, turn, until, within
from txhixie import (
    HixieClientFactory,
    HixieClientProtocol,
    HixieServerFactory,
    HixieServerProtocol,
    Limits,
)

OVER = ("tcp", "tls", "unix")


USUAL = Limits()


@dataclass
class Place:
    """Where something listens."""

    over: str
    listening: Any
    path: str
    factory: Any

    @property
    def port(self) -> int:
        return int(self.listening.getHost().port)

    def url(self, path: str = "/demo") -> str:
        scheme = "wss" if self.over == "tls" else "ws"
        authority = "localhost" if self.over == "unix" else f"localhost:{self.port}"
        return f"{scheme}://{authority}{path}"

    @property
    def endpoint(self) -> IStreamClientEndpoint:
        if self.over == "unix":
            return cast("IStreamClientEndpoint", UNIXClientEndpoint(reactor, self.path))
        tcp = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
        if self.over == "tcp":
            return cast("IStreamClientEndpoint", tcp)
        options = ssl.optionsForClientTLS("localhost", trustRoot=certificate())
        return wrapClientTLS(options, tcp)


@dataclass
class Pair:
    """Both ends of a connection, open, and what they are talking through."""

    server: Any
    client: Any
    serverWire: HixieServerProtocol
    clientWire: HixieClientProtocol


@dataclass
class Network:
    """The ports and connections of a test, which are closed at its end."""

    directory: Path
    places: list[Place] = field(default_factory=list)
    factories: list[Any] = field(default_factory=list)
    raws: list[Raw] = field(default_factory=list)

    async def listen(self, factory: Any, over: str = "tcp") -> Place:
        path = str(self.directory / f"s{len(self.places)}")
        endpoint: Any  # their listen() says nothing of its types
        if over == "unix":
            endpoint = UNIXServerEndpoint(reactor, path)
        elif over == "tls":
            endpoint = SSL4ServerEndpoint(
                reactor, 0, certificate().options(), interface="127.0.0.1"
            )
        else:
            endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        listening: IListeningPort = await endpoint.listen(factory)
        self.factories.append(factory)
        self.places.append(Place(over, listening, path, factory))
        return self.places[-1]

    async def serve(self, applications: Any, over: str = "tcp", **options: Any) -> Place:
        """Listen with a factory of txhixie."""
        return await self.listen(HixieServerFactory(applications, **options), over)

    async def connect(
        self, place: Place, applications: Any, path: str = "/demo", **options: Any
    ) -> HixieClientProtocol:
        """Connect with a factory of txhixie, without waiting for the handshake response."""
        options.setdefault("dialect", "hixie-76")
        factory = HixieClientFactory(place.url(path), applications, **options)
        self.factories.append(factory)
        connecting = place.endpoint.connect(cast("IProtocolFactory", factory))
        wire: HixieClientProtocol = await within(cast("Deferred[Any]", connecting))
        return wire

    async def raw(self, place: Place) -> Raw:
        raw: Raw = await within(
            cast("Deferred[Any]", place.endpoint.connect(Factory.forProtocol(Raw)))
        )
        self.raws.append(raw)
        return raw

    async def raw_server(self, lines: str = "", words: bytes = b"") -> tuple[Place, list[Any]]:
        """
        Listen as a :class:`RawServer`.

        :return: where, and the connections to come.
        """
        made: list[Any] = []

        def make() -> RawServer:
            raw = RawServer()
            raw.more = (lines, words)
            made.append(raw)
            self.raws.append(raw)
            return raw

        factory: Any = Factory.forProtocol(cast("type[Protocol]", make))
        return await self.listen(factory), made

    async def pair(
        self,
        dialect: str,
        over: str = "tcp",
        server: Callable[[], Any] = echo,
        client: Callable[[], Any] = Recorder,
        limits: Limits = USUAL,
        **options: Any,
    ) -> Pair:
        """
        Both sides ours, open.

        :param options: for both factories.
        """
        served = Applications(server)
        place = await self.serve(served, over, limits=limits, **options)
        wire = await self.connect(
            place, Applications(client), dialect=dialect, limits=limits, binary="send", **options
        )
        application = await within(wire.whenOpen())
        await until(lambda: served.made and "finished" in served.made[0].told)
        (theirs,) = place.factory.connections
        return Pair(served.made[0], application, theirs, wire)

    async def close(self) -> None:
        for place in self.places:
            stopped = place.listening.stopListening()
            if stopped is not None:
                await within(stopped)
        for raw in self.raws:
            if raw.reason is None:
                raw.transport.abortConnection()
        ours = [factory for factory in self.factories if hasattr(factory, "abortAll")]
        for factory in ours:
            factory.abortAll()
        await until(lambda: not any(factory.connections for factory in ours))
        await until(lambda: all(raw.reason is not None for raw in self.raws))
        await turn()
