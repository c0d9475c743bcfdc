"""
Twisted TCP proxy: no frames, no work per message. The limit of every gateway on Twisted.

usage: tx_forward.py PORT BACKEND [epoll|poll|select|asyncio]
"""

import sys

from twisted.application.reactors import installReactor
from twisted.protocols.portforward import ProxyFactory

reactor = installReactor((sys.argv[3:] or ["epoll"])[0])

factory = ProxyFactory("127.0.0.1", int(sys.argv[2]))
factory.noisy = False
reactor.listenTCP(int(sys.argv[1]), factory, interface="127.0.0.1", backlog=1024)
reactor.run()
