"""
An echo without frames, by the poller of txhixie and by its calls in C: no server of txhixie on
Twisted's reactor can be faster. It shows how much of a message is left for frames and application.

usage: poller_raw.py PORT
"""

from __future__ import annotations

from on_twisted import serve
from twisted.internet.protocol import Factory, Protocol

from txhixie.sockets.connection_poller import moveToPoller
from txhixie.sockets.socket_calls import send_parts


class Echo(Protocol):
    isMoved = False
    isFull = False

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        if not self.isMoved:
            self.isMoved = True
            moveToPoller(self.transport)
        if not self.isFull:
            sent = send_parts(self.transport.socket, data)
            if sent == len(data):
                return
            self.isFull = True  # from now on all bytes pass the write buffer, in order
            data = data[sent:]
        self.transport.write(data)


factory = Factory.forProtocol(Echo)
factory.noisy = False
serve(factory)
