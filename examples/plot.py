"""A live plot: the server sends ten numbers a second, and the page (plot.html) draws them.

Run it and open http://127.0.0.1:8080/. A slow page misses numbers: while the write buffer of its
connection is full, no number is sent to that page.
"""

import math
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data

from txhixie import run


class Plot:
    """The application of one open page."""

    def negotiationStarted(self, transport):
        self.transport = transport
        self.pushing = LoopingCall(self.push)

    def negotiationFinished(self):
        self.pushing.start(0.1)

    def push(self):
        if not self.transport.full:
            self.transport.sendTextMessage(f"{math.sin(reactor.seconds()):.3f}")

    def textMessageReceived(self, message):
        pass

    def bytesMessageReceived(self, data):
        pass

    def pongReceived(self, payload):
        pass

    def connectionLost(self, reason):
        if self.pushing.running:
            self.pushing.stop()


class Plots:
    def buildProtocol(self, offer):
        return Plot()


if __name__ == "__main__":
    where = sys.argv[1] if len(sys.argv) > 1 else "tcp:8080"
    page = Resource()
    page.putChild(b"", Data(Path(__file__).with_suffix(".html").read_bytes(), "text/html"))
    run(where, Plots(), elsewhere=Site(page))
