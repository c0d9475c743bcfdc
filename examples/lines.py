"""A line protocol over WebSocket: an ordinary LineReceiver that has never heard of messages.

Each line is a text message here. What serves TCP can be served like this beside it.
"""

import sys

from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver

from txhixie import StreamApplications, run


class Sums(LineOnlyReceiver):
    """Adds up numbers: "1 2 3" is answered by "6"."""

    delimiter = b"\n"

    def connectionMade(self):
        self.sendLine(b"numbers, please")

    def lineReceived(self, line):
        try:
            self.sendLine(b"%d" % sum(map(int, line.split())))
        except ValueError:
            self.sendLine(b"numbers only")
            self.transport.loseConnection()


if __name__ == "__main__":
    where = sys.argv[1] if len(sys.argv) > 1 else "tcp:8080"
    applications = StreamApplications(Factory.forProtocol(Sums), coding="lines")
    run(where, applications)
