"""A gateway in a program of your own: whoever knows the word is relayed, in whatever dialect.

    python gateway.py tcp:8080 ws://127.0.0.1:9000

A kiosk of 2010 then connects to ws://127.0.0.1:8080/?word=sesame, and the server behind, which
knows RFC 6455 only, hears everything it says, and who it is. Without a rule of one's own no program
is needed: twistd hixie --serve '/=ws://127.0.0.1:9000'.
"""

import sys
from hmac import compare_digest
from urllib.parse import parse_qs

from twisted.internet import reactor

from txhixie import Refusal, run
from txhixie.gateway import GatewayService

WORD = b"sesame"


class Doorkeeper:
    """Asks for the word, and leaves all the rest to a service."""

    def __init__(self, service):
        self.service = service

    def buildProtocol(self, offer):
        said = parse_qs(offer.target.partition("?")[2]).get("word", [""])[0]
        if not compare_digest(said.encode(), WORD):
            return Refusal(403, "that is not the word\n")
        return self.service.buildProtocol(offer)


def main(where="tcp:8080", backend="ws://127.0.0.1:9000"):
    service = GatewayService(reactor, backend, binary="base64")
    run(where, Doorkeeper(service))


if __name__ == "__main__":
    main(*sys.argv[1:])
