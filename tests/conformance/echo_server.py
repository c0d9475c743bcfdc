"""The server that the Autobahn testsuite's client is set on: `echo_server.py PORT`.

The defaults, with two limits raised: section 9 of the suite sends 16 MiB in fragments of 64 bytes.
"""

from __future__ import annotations

import os
import sys
from typing import Any, cast

from twisted.internet import reactor as installed_reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.logger import globalLogBeginner, textFileLogObserver

from txhixie import HixieServerFactory
from txhixie.daemon.services.echo import EchoApplications
from txhixie.sansio.limits import Limits

LIMITS = Limits(message_size=64 * 1024 * 1024, fragments=1_000_000)
MOVES = os.environ.get("TXHIXIE_TEST_CONNECTION_POLLER") != "off"


def main() -> None:
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)])
    reactor = cast("Any", installed_reactor)
    endpoint = TCP4ServerEndpoint(reactor, int(sys.argv[1]), interface="127.0.0.1")
    endpoint.listen(HixieServerFactory(EchoApplications(), limits=LIMITS, connectionPoller=MOVES))
    reactor.run()


if __name__ == "__main__":
    main()
