"""A server that answers each text with an own message and a broadcast, both compressed with the
context of its compressor: `broadcasting_server.py PORT`.

It has the console as well, so that a browser has a page from which it may connect.
"""

from __future__ import annotations

import sys
from typing import Any, cast

from twisted.internet import reactor as installed_reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.python.failure import Failure
from twisted.web.server import Site

from txhixie import HixieServerFactory, Offer, WebSocketTransport, broadcast
from txhixie.daemon.console import consoleRoot
from txhixie.extensions import PermessageDeflate


class Member:
    """The application."""

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self._transport = transport

    def negotiationFinished(self) -> None:
        pass

    def textMessageReceived(self, message: str) -> None:
        self._transport.sendTextMessage(f"own {message}", compress=True)
        broadcast([self._transport], f"all {message}", compress=True)
        self._transport.sendTextMessage(f"own {message}", compress=True)

    def bytesMessageReceived(self, data: bytes) -> None:
        pass

    def pongReceived(self, payload: bytes) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        pass


class Applications:
    """A member for each offer."""

    def buildProtocol(self, offer: Offer) -> Member:
        return Member()


def main() -> None:
    reactor = cast("Any", installed_reactor)
    endpoint = TCP4ServerEndpoint(reactor, int(sys.argv[1]), interface="127.0.0.1")
    deflate = PermessageDeflate(server_takeover=True, client_takeover=True)
    site = Site(consoleRoot())
    endpoint.listen(HixieServerFactory(Applications(), elsewhere=site, extensions=[deflate]))
    reactor.run()


if __name__ == "__main__":
    main()
