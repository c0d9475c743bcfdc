"""A chat: run it, and open http://127.0.0.1:8080/ in as many browsers as you like.

One port serves the page (chat.html) and the sockets.
"""

import sys
from pathlib import Path

from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data

from txhixie import run


class Guest:
    """Whoever has the page open."""

    def __init__(self, room):
        self.room = room

    def negotiationStarted(self, transport):
        self.transport = transport

    def negotiationFinished(self):
        self.room.add(self)

    def textMessageReceived(self, message):
        for guest in self.room:
            if not guest.transport.full:  # one who does not read misses something
                guest.transport.sendTextMessage(message)

    def bytesMessageReceived(self, data):
        self.transport.loseConnection(1003, "text only")

    def pongReceived(self, payload):
        pass

    def connectionLost(self, reason):
        self.room.discard(self)


class Chat:
    def __init__(self):
        self.room = set()

    def buildProtocol(self, offer):
        return Guest(self.room)


if __name__ == "__main__":
    where = sys.argv[1] if len(sys.argv) > 1 else "tcp:8080"
    page = Resource()
    page.putChild(b"", Data(Path(__file__).with_suffix(".html").read_bytes(), "text/html"))
    run(where, Chat(), elsewhere=Site(page))
