"""``twisted.web.websocket``, client and server.

It has no subprotocols, no extensions, no fragments and no origin, and no application of it hears
the code or the reason of a close.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.websocket import (
    ConnectionRejected,
    WebSocketClientEndpoint,
    WebSocketResource,
)

from peers.programs.peer_commands import (
    REFUSED_BODY,
    REFUSED_PATH,
    UNSEEN,
    Library,
    Say,
    hexed,
    under_twisted,
)

reactor: Any = installed_reactor


class Echo:
    transport: Any

    def __init__(self, library: TwistedWeb) -> None:
        self.library = library
        self.say = library.voice()

    def negotiationStarted(self, transport: Any) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        self.library.echo = self
        self.say("open", "-")

    def textMessageReceived(self, message: str) -> None:
        self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        self.transport.sendBytesMessage(bytes(data))

    def pongReceived(self, payload: bytes) -> None:
        self.say("pong", hexed(payload))

    def connectionLost(self, reason: Failure) -> None:
        if self.library.echo is self:
            self.say("close", UNSEEN, UNSEEN)


class Body(Protocol):
    """A refusal's. ``readBody`` fails: the end of the connection is all that ends it here."""

    def __init__(self, status: int, say: Say) -> None:
        self.status = status
        self.say = say
        self.body = b""

    def dataReceived(self, data: bytes) -> None:
        self.body += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.say("refused", self.status, hexed(self.body))


class Refusing(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        request.setResponseCode(403)
        return REFUSED_BODY.encode()


class TwistedWeb(Library):
    port: Any = None
    echo: Echo | None = None

    def buildProtocol(self, asked: object) -> Echo:
        return Echo(self)

    async def serve(self, deflate: str) -> int:
        root: Any = Resource()
        root.putChild(b"", WebSocketResource(self))
        refusing: Any = Refusing
        root.putChild(REFUSED_PATH.strip("/").encode(), refusing())
        self.port = reactor.listenTCP(0, Site(root), interface="127.0.0.1")
        port: int = self.port.getHost().port
        return port

    async def connect(
        self, url: str, version: int, deflate: str, subprotocols: list[str], origin: str | None
    ) -> None:
        say = self.voice()
        try:
            await WebSocketClientEndpoint.new(reactor, url).connect(self)
        except ConnectionRejected as rejected:
            rejected.response.deliverBody(Body(rejected.response.code, say))

    async def ping(self, payload: bytes) -> None:
        assert self.echo is not None
        self.echo.transport.ping(payload)

    async def close(self, code: int, reason: str) -> None:
        assert self.echo is not None
        self.echo.transport.loseConnection(code, reason)

    async def reset(self) -> None:
        echo, self.echo = self.echo, None
        if echo is not None:
            echo.transport.transport.abortConnection()
        port, self.port = self.port, None
        if port is not None:
            await port.stopListening()


if __name__ == "__main__":
    under_twisted(TwistedWeb)
