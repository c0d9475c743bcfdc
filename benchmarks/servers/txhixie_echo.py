"""
txhixie echo, as a Twisted program embeds it: every dialect on one port, default limits. Each text
of a connection to /broadcast is sent to all connections there, compressed where that was agreed.

usage: txhixie_echo.py PORT [epoll|poll|select|asyncio] [CERTIFICATE.pem]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from on_twisted import serve

from txhixie import HixieServerFactory, broadcast

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from txhixie import Offer, WebSocketTransport

listeners: set[WebSocketTransport] = set()


class Echo:
    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        pass

    def textMessageReceived(self, message: str) -> None:
        self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        self.transport.sendBytesMessage(data)

    def pongReceived(self, payload: bytes) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        pass


class Listener(Echo):
    def negotiationFinished(self) -> None:
        listeners.add(self.transport)

    def textMessageReceived(self, message: str) -> None:
        broadcast(listeners, message, compress=True)

    def connectionLost(self, reason: Failure) -> None:
        listeners.discard(self.transport)


class Applications:
    def buildProtocol(self, offer: Offer) -> Echo:
        return Listener() if offer.path == "/broadcast" else Echo()


factory = HixieServerFactory(Applications())
factory.noisy = False
serve(factory)
