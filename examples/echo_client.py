"""Says something to an echo server, prints what comes back, and goes.

python echo_client.py ws://127.0.0.1:8080/ hello
"""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.task import react

from txhixie import HixieClientFactory


class Client:
    """An application that says one thing."""

    def __init__(self, words):
        self.words = words
        self.gone = Deferred()

    def negotiationStarted(self, transport):
        self.transport = transport

    def negotiationFinished(self):
        self.transport.sendTextMessage(self.words)

    def textMessageReceived(self, message):
        print(message)
        self.transport.loseConnection()

    def bytesMessageReceived(self, data):
        pass

    def pongReceived(self, payload):
        pass

    def connectionLost(self, reason):
        self.gone.callback(None)


class Applications:
    def __init__(self, application):
        self.application = application

    def buildProtocol(self, url):
        return self.application


async def main(reactor, url, words):
    client = Client(words)
    authority = url.split("/")[2]
    endpoint = clientFromString(reactor, f"tcp:{authority}")
    await endpoint.connect(HixieClientFactory(url, Applications(client)))
    await client.gone


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
