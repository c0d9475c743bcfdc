"""
Twisted TCP echo: no frames, no work per message. The reference of every table.

usage: tx_raw.py PORT [epoll|poll|select|asyncio] [CERTIFICATE.pem]
"""

from on_twisted import serve
from twisted.internet.protocol import Factory, Protocol


class Echo(Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


factory = Factory.forProtocol(Echo)
factory.noisy = False
serve(factory)
