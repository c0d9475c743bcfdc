"""A WebSocket at /echo in a twisted.web Site: pages and WebSocket share a port and a log.

curl http://127.0.0.1:8080/
python echo_client.py ws://127.0.0.1:8080/echo hello
"""

import sys

from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data

from txhixie import run
from txhixie.web import HixieResource


class Echo:
    def negotiationStarted(self, transport):
        self.transport = transport

    def negotiationFinished(self):
        pass

    def textMessageReceived(self, message):
        self.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data):
        self.transport.sendBytesMessage(data)

    def pongReceived(self, payload):
        pass

    def connectionLost(self, reason):
        pass


class Applications:
    def buildProtocol(self, offer):
        return Echo()


if __name__ == "__main__":
    where = sys.argv[1] if len(sys.argv) > 1 else "tcp:8080"
    root = Resource()
    root.putChild(b"", Data(b"<!DOCTYPE html><h1>A page like any other</h1>\n", "text/html"))
    root.putChild(b"echo", HixieResource(Applications()))
    run(where, Site(root))
