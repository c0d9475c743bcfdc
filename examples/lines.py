"""A line protocol over WebSocket: an ordinary LineReceiver, without code for messages.

Each line is a text message. A server of a TCP protocol can serve WebSocket clients in this way.
"""

import sys

from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver

from txhixie import StreamApplications, run


class Sums(LineOnlyReceiver):
    """Answers each line of numbers with their sum: "1 2 3" with "6"."""

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
