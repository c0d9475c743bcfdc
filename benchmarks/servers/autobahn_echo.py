"""
Autobahn|Python echo on Twisted, with its C masking (NVX) and permessage-deflate. Each message
of a connection to /broadcast is sent to all connections there.

usage: autobahn_echo.py PORT [epoll] [CERTIFICATE.pem]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# Autobahn imports the reactor, so it must be there first.
from on_twisted import CERTIFICATES, PORT, serve  # isort: split

from autobahn.twisted.websocket import (
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateOfferAccept,
)

if TYPE_CHECKING:
    from autobahn.websocket.compress import PerMessageCompressOffer
    from autobahn.websocket.types import ConnectionRequest

listeners: set[Echo] = set()


class Echo(WebSocketServerProtocol):
    def onConnect(self, request: ConnectionRequest) -> None:
        self.broadcasts = request.path == "/broadcast"

    def onOpen(self) -> None:
        if self.broadcasts:
            listeners.add(self)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        listeners.discard(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if not self.broadcasts:
            self.sendMessage(payload, isBinary)
            return
        prepared = self.factory.prepareMessage(payload, isBinary)
        for listener in listeners:
            listener.sendPreparedMessage(prepared)


def accept(offers: list[PerMessageCompressOffer]) -> PerMessageDeflateOfferAccept | None:
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            return PerMessageDeflateOfferAccept(offer)
    return None


factory = WebSocketServerFactory(f"{'wss' if CERTIFICATES else 'ws'}://127.0.0.1:{PORT}")
factory.protocol = Echo
factory.noisy = False
factory.setProtocolOptions(perMessageCompressionAccept=accept)
serve(factory)
