"""A WebSocket server as a Service that twistd starts, with a log and a pid file:

    twistd -ny in_service.py

When it stops, it closes each connection with the close handshake of the connection's dialect.
"""

import os

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import Application, Service
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString

from txhixie import HixieServerFactory


class Greeter:
    def negotiationStarted(self, transport):
        self.transport = transport

    def negotiationFinished(self):
        self.transport.sendTextMessage("welcome")

    def textMessageReceived(self, message):
        self.transport.sendTextMessage(f"hello, {message}")

    def bytesMessageReceived(self, data):
        pass

    def pongReceived(self, payload):
        pass

    def connectionLost(self, reason):
        pass


class Greeters:
    def buildProtocol(self, offer):
        return Greeter()


class Conversations(Service):
    """Closes all connections at the end: twistd waits for the Deferred of stopService."""

    def stopService(self):
        super().stopService()
        return factory.closeAll(1001, "server shutdown")


where = os.environ.get("WHERE", "tcp:8080")
factory = HixieServerFactory(Greeters(), logConnections=True)
application = Application("greeter")
StreamServerEndpointService(serverFromString(reactor, where), factory).setServiceParent(application)
Conversations().setServiceParent(application)
