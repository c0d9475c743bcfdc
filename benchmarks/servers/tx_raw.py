"""
Twisted TCP echo: no frames, no work per message. The reference of every table.

usage: tx_raw.py PORT [epoll|poll|select|asyncio]
"""

import sys

from twisted.application.reactors import installReactor
from twisted.internet.protocol import Factory, Protocol

reactor = installReactor((sys.argv[2:] or ["epoll"])[0])


class Echo(Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


factory = Factory.forProtocol(Echo)
factory.noisy = False
reactor.listenTCP(int(sys.argv[1]), factory, interface="127.0.0.1", backlog=1024)
reactor.run()
