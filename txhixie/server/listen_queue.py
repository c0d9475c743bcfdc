"""Server endpoints from descriptions, with the longest listen queue that the system allows.

The listen queue holds connections that the kernel has accepted and the program has not. Twisted
asks for a queue of 50 connections. If 300 clients connect at once, as after a restart, the others
wait: Linux drops their SYN, which TCP sends again after a second, and ``connect`` on a UNIX socket
fails with ``EAGAIN``.
"""

from __future__ import annotations

from typing import Any, Final, cast

from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import directlyProvides, providedBy

from .port_check import TLS_SCHEMES, parts_of

BACKLOG: Final = 65535
"""Length of the listen queue that is asked for. A system reduces the length to its own maximum (on
Linux ``net.core.somaxconn``, 4096 since 5.4). A greater number is not used, since older kernels
keep the length in 16 bits."""


class LongQueueReactor:
    """
    A reactor with a listen queue for TCP, TLS and UNIX ports of :data:`BACKLOG` connections.

    A socket that another process has opened (``adoptStreamPort``, as for ``systemd:``) keeps the
    length of its listen queue.
    """

    def __init__(self, reactor: Any) -> None:
        """:param reactor: the reactor to which all other calls go."""
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
    Return the server endpoint of a description, with the longest listen queue.

    This is ``twisted.internet.endpoints.serverFromString``, with a longer listen queue unless the
    description has a ``backlog=``, itself or in a quoted description
    (``ws:tcp\:8080\:backlog=10``). ``ssl:`` and ``tls:`` are the endpoints of
    :mod:`txhixie.server.tls.endpoint`.

    :param reactor: the reactor.
    :param description: the description.
    :raises ValueError: for a description that its parser cannot read; a parser of another package
        may raise other errors.
    """
    if "backlog=" not in description:
        reactor = LongQueueReactor(reactor)
    if parts_of(description).scheme in TLS_SCHEMES:
        from .tls.endpoint import tlsEndpoint  # imports OpenSSL, which plain TCP does without

        return tlsEndpoint(reactor, description)
    from twisted.internet.endpoints import serverFromString  # imports twisted.internet.ssl

    return cast(IStreamServerEndpoint, serverFromString(reactor, description))
