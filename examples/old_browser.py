"""A server that tells the time to a page for browsers of 2009 (old_browser.html).

Run it, and open http://127.0.0.1:8080/ in the oldest browser you have.
"""

import sys
import time
from pathlib import Path

from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data

from txhixie import run


class TellsTime:
    """Answers each message with the time, and with the dialect of the connection."""

    def negotiationStarted(self, transport):
        self.transport = transport

    def negotiationFinished(self):
        pass

    def textMessageReceived(self, message):
        dialect = self.transport.offer.dialect
        self.transport.sendTextMessage(f"{time.strftime('%H:%M:%S')} in {dialect}")

    def bytesMessageReceived(self, data):
        pass

    def pongReceived(self, payload):
        pass

    def connectionLost(self, reason):
        pass


class Clocks:
    def buildProtocol(self, offer):
        return TellsTime()


if __name__ == "__main__":
    where = sys.argv[1] if len(sys.argv) > 1 else "tcp:8080"
    page = Resource()
    page.putChild(b"", Data(Path(__file__).with_suffix(".html").read_bytes(), "text/html"))
    run(where, Clocks(), elsewhere=Site(page))
