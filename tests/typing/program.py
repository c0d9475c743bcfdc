"""A user's program that passes mypy in strict mode without an ignored error."""

from __future__ import annotations

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IReactorTCP
from twisted.internet.task import react
from twisted.python.failure import Failure

from txhixie import (
    Accepted,
    HixieServerFactory,
    Limits,
    Offer,
    Refusal,
    UnsupportedByDialect,
    WebSocketClientEndpoint,
    WebSocketTransport,
)


class Member:
    """A member of a room: the other members receive its messages."""

    transport: WebSocketTransport

    def __init__(self, room: set[Member]) -> None:
        self.room = room

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        self.room.add(self)

    def textMessageReceived(self, message: str) -> None:
        for member in self.room - {self}:
            if not member.transport.full:
                member.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        try:
            self.transport.sendBytesMessage(data)
        except UnsupportedByDialect:
            self.transport.loseConnection(1003, "text only")

    def pongReceived(self, payload: bytes) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        self.room.discard(self)


class Rooms:
    def __init__(self) -> None:
        self.rooms: dict[str, set[Member]] = {}

    async def buildProtocol(self, offer: Offer) -> Accepted | Refusal:
        if offer.header("authorization") is None:
            return Refusal(401, "who are you?\n", ((b"WWW-Authenticate", b"Basic"),))
        return Accepted(Member(self.rooms.setdefault(offer.path, set())), "chat")


async def main(reactor: IReactorTCP) -> None:
    limits = Limits(message_size=64 * 1024)
    server = HixieServerFactory(Rooms(), origins=["https://example.com"], limits=limits)
    await TCP4ServerEndpoint(reactor, 8080).listen(server)
    endpoint = WebSocketClientEndpoint.new(reactor, "ws://127.0.0.1:8080/lobby")
    visitor = await endpoint.connectApplication(Member(set()))
    visitor.transport.sendTextMessage("hello")
    await server.closeAll()


def run(reactor: IReactorTCP) -> Deferred[None]:
    return ensureDeferred(main(reactor))


if __name__ == "__main__":
    react(run)
