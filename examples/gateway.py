"""A gateway with a rule of its own: clients of any dialect that send a password are relayed.

    python gateway.py tcp:8080 ws://127.0.0.1:9000

A kiosk of 2010 then connects to ws://127.0.0.1:8080/?word=sesame. The backend, which speaks RFC
6455 only, receives the messages of the kiosk, and its address in a header field. Without such a
rule no program is needed: twistd hixie --serve '/=ws://127.0.0.1:9000'.
"""

import sys
from hmac import compare_digest
from urllib.parse import parse_qs

from twisted.internet import reactor

from txhixie import Refusal, run
from txhixie.gateway import GatewayService

WORD = b"sesame"


class Doorkeeper:
    """Applications that refuse clients without the password, and pass the others to a service."""

    def __init__(self, service):
        self.service = service

    def buildProtocol(self, offer):
        said = parse_qs(offer.target.partition("?")[2]).get("word", [""])[0]
        if not compare_digest(said.encode(), WORD):
            return Refusal(403, "wrong word\n")
        return self.service.buildProtocol(offer)


def main(where="tcp:8080", backend="ws://127.0.0.1:9000"):
    service = GatewayService(reactor, backend, binary="base64")
    run(where, Doorkeeper(service))


if __name__ == "__main__":
    main(*sys.argv[1:])
