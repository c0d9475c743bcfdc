"""
Echo on ``twisted.web.websocket``, Twisted's own module (since 26.10, based on wsproto).

usage: twisted_web_echo.py PORT
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from twisted.application.reactors import installReactor
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.websocket import WebSocketResource

if TYPE_CHECKING:
    from twisted.python.failure import Failure
    from twisted.web.iweb import IRequest
    from twisted.web.websocket import WebSocketTransport

reactor = installReactor("epoll")


class Echo:
    @classmethod
    def buildProtocol(cls, request: IRequest) -> Echo:
        return cls()

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


root = Resource()
root.putChild(b"", WebSocketResource(Echo))
site = Site(root)
site.noisy = False
reactor.listenTCP(int(sys.argv[1]), site, interface="127.0.0.1", backlog=1024)
reactor.run()
