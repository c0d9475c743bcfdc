"""A user's program with types: the other three ways to write an application, and a reconnecting
client.

mypy checks this file.
"""

from __future__ import annotations

from twisted.internet.endpoints import connectProtocol, serverFromString
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.task import react
from twisted.protocols.basic import LineReceiver

from txhixie import (
    Backoff,
    Channel,
    CleanClose,
    HandshakeRefused,
    HixieServerFactory,
    StreamApplications,
    StreamClientEndpoint,
    WebSocket,
    WebSocketClientEndpoint,
    WebSocketClientService,
    connect,
    serve,
)
from txhixie.dom.events import CloseEvent, MessageEvent

URL = "ws://127.0.0.1:8080/"


async def echo(channel: Channel) -> None:
    async for message in channel:
        await channel.send(message)


class Lines(LineReceiver):
    written = b""

    def lineReceived(self, line: bytes) -> None:
        self.written = line


def listens(reactor: IReactorTCP) -> None:
    lines = Factory.forProtocol(Lines)
    for factory in (
        HixieServerFactory(serve(echo)),
        HixieServerFactory(StreamApplications(lines, coding="lines")),
    ):
        serverFromString(reactor, "tcp:8080").listen(factory)


async def main(reactor: IReactorTime) -> None:
    async with connect(URL, dialect="hixie-76", highWater=1000) as channel:
        await channel.send("hello")
        print(await channel.receive())
    endpoint = StreamClientEndpoint(WebSocketClientEndpoint.new(reactor, URL), coding="lines")
    lines = await connectProtocol(endpoint, Lines())
    print(lines.written)

    def received(event: MessageEvent) -> None:
        print(event.data, event.origin)

    def closed(event: CloseEvent) -> None:
        print(event.code, event.reason, event.wasClean)

    socket = WebSocket(URL, "chat")
    socket.onopen = lambda event: socket.postMessage("hello")
    socket.onmessage = received
    socket.onclose = closed
    socket.addEventListener("message", received)

    def policy(error: Exception) -> bool | float:
        if isinstance(error, HandshakeRefused):
            return error.status != 401
        return 5.0 if isinstance(error, CleanClose) and error.code == 4000 else True

    async def token() -> tuple[tuple[bytes, bytes], ...]:
        return ((b"Authorization", b"Bearer x"),)

    service = WebSocketClientService.new(
        reactor, URL, serve(echo), freshHeaders=token, policy=policy, backoff=Backoff(first=1.0)
    )
    service.startService()
    await service.whenConnected()
    await service.stopService()


if __name__ == "__main__":
    react(main)
