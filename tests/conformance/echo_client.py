"""The client that runs all cases of the Autobahn testsuite's server: `echo_client.py PORT AGENT`.

The defaults, with two limits raised, as in echo_server.py. What the suite has seen is in its
reports, which are asked for in the end; its cases end by themselves, those too that fail.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.task import react
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.python.failure import Failure

from txhixie import HixieClientFactory
from txhixie.daemon.services.echo import Echo
from txhixie.sansio.limits import Limits

LIMITS = Limits(message_size=64 * 1024 * 1024, fragments=1_000_000)
MOVES = os.environ.get("TXHIXIE_TEST_CONNECTION_POLLER") != "off"


class Echoing(Echo):
    """The echo service's, as a client's application that says when it is over."""

    def __init__(self) -> None:
        self.over: Deferred[None] = Deferred()

    def connectionLost(self, reason: Failure) -> None:
        self.over.callback(None)


class Hearing(Echoing):
    """Keeps the last message that it received."""

    said = ""

    def textMessageReceived(self, message: str) -> None:
        self.said = message


async def converse(reactor: Any, port: int, target: str, application: Echoing) -> None:
    """One connection, from its first byte to its last."""

    class Applications:
        def buildProtocol(self, url: str) -> Echoing:
            return application

    factory = HixieClientFactory(
        f"ws://127.0.0.1:{port}{target}",
        Applications(),
        limits=LIMITS,
        connectionPoller=MOVES,
        clock=reactor,
    )
    await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(factory)
    await application.over


async def main(reactor: Any, port: str, agent: str) -> None:
    count = Hearing()
    await converse(reactor, int(port), "/getCaseCount", count)
    for case in range(1, int(count.said) + 1):
        await converse(reactor, int(port), f"/runCase?case={case}&agent={agent}", Echoing())
    await converse(reactor, int(port), f"/updateReports?agent={agent}", Echoing())


if __name__ == "__main__":
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)])
    react(main, sys.argv[1:])
