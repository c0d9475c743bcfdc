"""The factory of a listening socket, which can be replaced while the socket listens."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress, ILoggingContext, IProtocolFactory
from zope.interface import implementer


@implementer(IProtocolFactory, ILoggingContext)
class ReplaceableFactory:
    """
    Gives each new connection to the factory of that moment.

    A listening socket has this factory for as long as the socket listens. All that a reload changes
    is in the factory behind it: TLS and its certificate, the PROXY protocol, routes and limits.

    :ivar current: the factory of this moment.
    """

    def __init__(self, factory: IProtocolFactory) -> None:
        """:param factory: the first one."""
        self.current = factory

    def doStart(self) -> None:
        """The socket listens."""
        self.current.doStart()

    def doStop(self) -> None:
        """The socket listens no more."""
        self.current.doStop()

    def logPrefix(self) -> str:
        """In the log the port is that of the present factory."""
        named: Any = self.current
        return str(named.logPrefix()) if hasattr(named, "logPrefix") else type(named).__name__

    def buildProtocol(self, addr: IAddress) -> Any:
        """The protocol of a new connection; ``None`` closes the connection."""
        return self.current.buildProtocol(addr)

    def replace(self, factory: IProtocolFactory) -> None:
        """
        Give each connection from now on to another factory.

        The new factory starts before the old one stops: what both have inside is not stopped.
        """
        factory.doStart()
        before, self.current = self.current, factory
        before.doStop()
