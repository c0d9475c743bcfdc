"""
txhixie echo, as a Twisted program embeds it: every dialect on one port, default limits. Each text
of a connection to /broadcast is sent to all connections there, compressed where that was agreed.

usage: txhixie_echo.py PORT [epoll|poll|select|asyncio] [CERTIFICATE.pem]

ECHO_POLLER=off in the environment leaves all connections in the reactor, and ECHO_KEEP_MEMORY=on
keeps freed memory, as the daemon does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from on_twisted import serve

from txhixie import HixieServerFactory, broadcast, keep_freed_memory

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


if os.environ.get("ECHO_KEEP_MEMORY") == "on":
    keep_freed_memory()
isMoved = os.environ.get("ECHO_POLLER") != "off"
factory = HixieServerFactory(Applications(), connectionPoller=isMoved)
factory.noisy = False
serve(factory)
