"""Server endpoints from descriptions, with the longest listen queue that the system grants.

The listen queue holds connections that the kernel has accepted and the program has not. Twisted
asks for 50. Of 300 clients that connect at once, as after a restart, all others wait: Linux drops
their SYN, which is sent again after a second, and on a UNIX socket they get ``EAGAIN``.
"""

from __future__ import annotations

from typing import Any, Final, cast

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import directlyProvides, providedBy

BACKLOG: Final = 65535
"""More than systems grant: they take their own maximum (on Linux ``net.core.somaxconn``, 4096 since
5.4). Not more, since older kernels keep the number in 16 bits."""


class LongQueueReactor:
    """A reactor whose TCP, TLS and UNIX ports ask for a queue of :data:`BACKLOG` connections.

    A socket that was passed in (``adoptStreamPort``, as for ``systemd:``) keeps the queue that
    whoever opened it has asked for.
    """

    def __init__(self, reactor: Any) -> None:
        """:param reactor: does everything else."""
        self._reactor = reactor
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """See ``IReactorTCP``."""
        listening = self._reactor.listenTCP(port, factory, backlog=BACKLOG, interface=interface)
        return cast(IListeningPort, listening)

    def listenSSL(
        self,
        port: int,
        factory: IProtocolFactory,
        contextFactory: Any,
        backlog: int = 50,
        interface: str = "",
    ) -> IListeningPort:
        """See ``IReactorSSL``."""
        listening = self._reactor.listenSSL(
            port, factory, contextFactory, backlog=BACKLOG, interface=interface
        )
        return cast(IListeningPort, listening)

    def listenUNIX(
        self, address: str, factory: IProtocolFactory, backlog: int = 50, *rest: Any, **named: Any
    ) -> IListeningPort:
        """See ``IReactorUNIX``."""
        listening = self._reactor.listenUNIX(address, factory, BACKLOG, *rest, **named)
        return cast(IListeningPort, listening)


def serverEndpoint(reactor: Any, description: str) -> IStreamServerEndpoint:
    r"""
    What ``twisted.internet.endpoints.serverFromString`` answers, but that the listen queue is as
    long as the system grants unless the description has a ``backlog=``: by itself, or in what it
    quotes (``ws:tcp\:8080\:backlog=10``).

    :raises ValueError: or what else the parser of such a description raises.
    """
    if "backlog=" not in description:
        reactor = LongQueueReactor(reactor)
    return cast(IStreamServerEndpoint, serverFromString(reactor, description))
