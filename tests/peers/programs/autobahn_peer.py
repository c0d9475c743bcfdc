"""Autobahn under Twisted, client and server, versions 8 (draft 10) and 13."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from twisted.internet import reactor as installed_reactor

from peers.programs.peer_commands import (
    NARROW,
    REFUSED_BODY,
    REFUSED_PATH,
    SUBPROTOCOL,
    UNSEEN,
    Library,
    hexed,
    under_twisted,
)

websocket = import_module("autobahn.twisted.websocket")
compress = import_module("autobahn.websocket.compress")
types = import_module("autobahn.websocket.types")

reactor: Any = installed_reactor
SPECIFICATIONS = {8: 10, 13: 18}

OFFERS: dict[str, dict[str, Any]] = {
    "default": {},
    "fresh": {"request_no_context_takeover": True},
    "narrow": {"request_max_window_bits": NARROW},
}
ACCEPTS: dict[str, dict[str, Any]] = {
    "default": {},
    "fresh": {"request_no_context_takeover": True, "no_context_takeover": True},
    "narrow": {"request_max_window_bits": NARROW, "window_bits": NARROW},
}
RESPONSES: dict[str, dict[str, Any]] = {
    "default": {},
    "fresh": {"no_context_takeover": True},
    "narrow": {"window_bits": NARROW},
}


class Talking:
    """The behaviour of clients and servers, added to either protocol class."""

    library: Autobahn

    def onConnecting(self, details: Any) -> None:
        self.library.protocol = self
        self.say = self.library.voice()
        self.opened = False

    def onOpen(self: Any) -> None:
        self.opened = True
        self.say("open", self.websocket_protocol_in_use or "-")

    def onMessage(self: Any, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)

    def onPong(self, payload: bytes) -> None:
        self.say("pong", hexed(payload))

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if not hasattr(self, "say"):
            return
        refused = re.search(r"upgrade failed \[([0-9]+)\]", reason or "")
        if self.opened:
            clean = wasClean and reason
            self.say("close", code or 1005, hexed(reason or "") if clean else "-")
        elif refused is not None:
            self.say("refused", refused[1], UNSEEN)


# Autobahn's annotations do not hold for its own classes.
class Server(Talking, websocket.WebSocketServerProtocol):  # type: ignore[name-defined,misc]  # Autobahn has no annotations
    def onConnect(self, request: Any) -> str | None:
        self.onConnecting(request)
        if request.path == REFUSED_PATH:
            raise types.ConnectionDeny(403, REFUSED_BODY.strip())
        return SUBPROTOCOL if SUBPROTOCOL in request.protocols else None


class Client(Talking, websocket.WebSocketClientProtocol):  # type: ignore[name-defined,misc]  # Autobahn has no annotations
    pass


class Autobahn(Library):
    port: Any = None
    connector: Any = None
    protocol: Any = None

    async def serve(self, deflate: str) -> int:
        factory = websocket.WebSocketServerFactory()
        factory.protocol = type("Serving", (Server,), {"library": self})

        def accept(offers: list[Any]) -> Any:
            for offer in offers:
                if isinstance(offer, compress.PerMessageDeflateOffer) and deflate != "plain":
                    wanted = ACCEPTS[deflate]
                    if not offer.accept_max_window_bits:
                        wanted = {**wanted, "request_max_window_bits": 0}
                    return compress.PerMessageDeflateOfferAccept(offer, **wanted)
            return None

        factory.setProtocolOptions(perMessageCompressionAccept=accept)
        self.port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        port: int = self.port.getHost().port
        return port

    async def connect(
        self, url: str, version: int, deflate: str, subprotocols: list[str], origin: str | None
    ) -> None:
        factory = websocket.WebSocketClientFactory(url, origin=origin, protocols=subprotocols)
        factory.protocol = type("Connecting", (Client,), {"library": self})

        def accept(response: Any) -> Any:
            if isinstance(response, compress.PerMessageDeflateResponse):
                return compress.PerMessageDeflateResponseAccept(response, **RESPONSES[deflate])
            return None

        offers = [] if deflate == "plain" else [compress.PerMessageDeflateOffer(**OFFERS[deflate])]
        factory.setProtocolOptions(
            version=SPECIFICATIONS[version],
            perMessageCompressionOffers=offers,
            perMessageCompressionAccept=accept,
        )
        self.connector = reactor.connectTCP("127.0.0.1", factory.port, factory)

    async def pieces(self, parts: list[str]) -> None:
        self.protocol.beginMessage(isBinary=False)
        for part in parts:
            self.protocol.sendMessageFrame(part.encode())
        self.protocol.endMessage()

    async def ping(self, payload: bytes) -> None:
        self.protocol.sendPing(payload)

    async def close(self, code: int, reason: str) -> None:
        self.protocol.sendClose(code, reason)

    async def reset(self) -> None:
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            protocol.transport.abortConnection()
        port, self.port = self.port, None
        if port is not None:
            await port.stopListening()


if __name__ == "__main__":
    under_twisted(Autobahn)
