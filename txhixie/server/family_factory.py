"""The factory of one of two ports with the same number: its log lines name the family."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import ILoggingContext, IProtocolFactory
from zope.interface import implementer


@implementer(IProtocolFactory, ILoggingContext)
class FamilyFactory:
    """
    Factory of a port for one family of addresses.

    Twisted's lines about the start and the stop of a port have the port number only: a port for
    IPv4 and one for IPv6 would have the same line twice.
    """

    __slots__ = ("_factory", "_family", "buildProtocol")

    def __init__(self, factory: IProtocolFactory, family: str) -> None:
        """
        :param factory: the factory that builds the protocols.
        :param family: ``IPv4`` or ``IPv6``.
        """
        self._factory = factory
        self._family = family
        self.buildProtocol = factory.buildProtocol

    def doStart(self) -> None:
        """Start the factory: the port listens."""
        self._factory.doStart()

    def doStop(self) -> None:
        """Stop the factory: the port has stopped listening."""
        self._factory.doStop()

    def logPrefix(self) -> str:
        """Return the name of the factory with the family, for Twisted's lines about the port."""
        factory: Any = self._factory
        named = ILoggingContext.providedBy(factory)
        prefix = factory.logPrefix() if named else type(factory).__name__
        return f"{prefix} ({self._family})"
