"""
txhixie echo, as a Twisted program embeds it: every dialect on one port, default limits. Each text
of a connection to /broadcast is sent to all connections there, compressed where that was agreed.

usage: txhixie_echo.py PORT [epoll|poll|select|asyncio]
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from twisted.application.reactors import installReactor

from txhixie import HixieServerFactory, broadcast

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from txhixie import Offer, WebSocketTransport

reactor = installReactor((sys.argv[2:] or ["epoll"])[0])


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
reactor.listenTCP(int(sys.argv[1]), factory, interface="127.0.0.1", backlog=1024)
reactor.run()
