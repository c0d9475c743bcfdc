"""A server that closes, as its path says, once it is open: `closing_server.py PORT`. What has not
closed yet is aborted by the first message, except for ``/answering``, which answers it.

It has the console as well, so that a browser has a page from which it may connect.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, cast

from twisted.internet import reactor as installed_reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.python.failure import Failure
from twisted.web.server import Site

from txhixie import HixieServerFactory
from txhixie.daemon.console import consoleRoot
from txhixie.interfaces import WebSocketTransport
from txhixie.sansio.handshake.offer import Offer, Refusal


def fail(transport: WebSocketTransport) -> None:
    raise RuntimeError("as the path says")


def speak(transport: WebSocketTransport) -> None:
    transport.sendTextMessage("goodbye")
    transport.loseConnection(3000, "that was all")


FLOOD = 20_000
MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def flood(transport: WebSocketTransport) -> None:
    """Many messages, as fast as a browser takes them: a part each time the transport has room."""
    numbers = iter(range(FLOOD))

    class Producer:
        def resumeProducing(self) -> None:
            for number in numbers:
                transport.sendTextMessage(f'{{"number": {number}}}')
                if transport.full:
                    return

        def pauseProducing(self) -> None:
            pass

        def stopProducing(self) -> None:
            pass

    producer = Producer()
    transport.attachProducer(cast(Any, producer))
    producer.resumeProducing()


CLOSES: dict[str, Callable[[WebSocketTransport], None]] = {
    "/because": lambda transport: transport.loseConnection(4001, "because"),
    "/plain": lambda transport: transport.loseConnection(),
    "/long": lambda transport: transport.loseConnection(4002, "\u20ac" * 100),
    "/spoken": speak,
    "/failing": fail,
    "/aborted": lambda transport: None,
    "/flood": flood,
    "/answering": lambda transport: None,
    "/markup": lambda transport: transport.sendTextMessage(MARKUP),
}


class Closing:
    """The application."""

    def __init__(self, close: Callable[[WebSocketTransport], None]) -> None:
        self._close = close

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self._transport = transport

    def negotiationFinished(self) -> None:
        self._close(self._transport)

    def textMessageReceived(self, message: str) -> None:
        if self._transport.offer.target == "/answering":
            self._transport.sendTextMessage("another text")
        else:
            self._transport.abortConnection()

    def bytesMessageReceived(self, data: bytes) -> None:
        pass

    def pongReceived(self, payload: bytes) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        pass


class Applications:
    """One for each path; any other is refused."""

    def buildProtocol(self, offer: Offer) -> Closing | Refusal:
        close = CLOSES.get(offer.target)
        return Refusal(404, "there is no such close\n") if close is None else Closing(close)


def main() -> None:
    reactor = cast("Any", installed_reactor)
    endpoint = TCP4ServerEndpoint(reactor, int(sys.argv[1]), interface="127.0.0.1")
    endpoint.listen(HixieServerFactory(Applications(), elsewhere=Site(consoleRoot())))
    reactor.run()


if __name__ == "__main__":
    main()
