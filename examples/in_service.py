"""A Service, started by twistd, with a log, a pid file and all:

    twistd -ny in_service.py

It closes its conversations in their dialects' ways before it goes.
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
    """Ends what is open: twistd waits for what stopService answers."""

    def stopService(self):
        super().stopService()
        return factory.closeAll(1001, "the server goes")


where = os.environ.get("WHERE", "tcp:8080")
factory = HixieServerFactory(Greeters(), logConnections=True)
application = Application("greeter")
StreamServerEndpointService(serverFromString(reactor, where), factory).setServiceParent(application)
Conversations().setServiceParent(application)
