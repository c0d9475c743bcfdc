"""Says something to an echo server, prints what comes back, and goes.

python echo_client.py ws://127.0.0.1:8080/ hello
"""

import sys

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import react

from txhixie import WebSocketClientEndpoint


class Asker:
    """An application that hears one answer."""

    def __init__(self):
        self.answer = Deferred()

    def negotiationStarted(self, transport):
        self.transport = transport

    def negotiationFinished(self):
        pass

    def textMessageReceived(self, message):
        self.answer.callback(message)

    def bytesMessageReceived(self, data):
        pass

    def pongReceived(self, payload):
        pass

    def connectionLost(self, reason):
        if not self.answer.called:
            self.answer.errback(reason)


async def main(reactor, url, words):
    endpoint = WebSocketClientEndpoint.new(reactor, url)
    asker = await endpoint.connectApplication(Asker())
    asker.transport.sendTextMessage(words)
    print(await asker.answer)
    asker.transport.loseConnection()


if __name__ == "__main__":
    react(lambda reactor: ensureDeferred(main(reactor, *sys.argv[1:])))
