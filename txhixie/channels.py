"""Connections of a Site that serve pages, as far as a resource of ours renders these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from .limits import Limits
from .progress import unwatch, watch
from .server import HixieServerProtocol
from .serverfactory import HixieServerFactory


class Resource(Protocol):
    """Whose pages they are: a :class:`txhixie.web.HixieResource`."""

    factory: HixieServerFactory


class Channels:
    """
    A Site's connections that have asked for a page here: a client that does not read its download
    is ended after ``stall_timeout``, as one that does not read its messages is.

    :ivar connections: those that stand; each is an ``HTTPChannel``.
    """

    def __init__(self, resource: Resource) -> None:
        """:param resource: its factory has the limits, the clock and the journal."""
        self._resource = resource
        self.connections: set[Any] = set()

    @property
    def limits(self) -> Limits:
        """The factory's."""
        return self._resource.factory.limits

    @property
    def clock(self) -> IReactorTime:
        """The factory's."""
        return self._resource.factory.clock

    def watch(self, channel: Any) -> None:
        """
        A page is asked for on this connection. HTTP/2's are not watched: theirs is no channel of
        one connection.
        """
        known = channel in self.connections or isinstance(
            holderOf(channel.transport), HixieServerProtocol
        )
        if known or not isinstance(channel, HTTPChannel):
            return
        lost: Callable[[Failure], None] = channel.connectionLost

        def connectionLost(reason: Failure = connectionDone) -> None:
            self.forget(channel)
            lost(reason)

        channel.connectionLost = connectionLost  # type: ignore[method-assign]
        if not self.connections:
            watch(self)
        self.connections.add(channel)

    def forget(self, channel: Any) -> None:
        """It has ended, or is no channel of the Site's any more."""
        self.connections.discard(channel)
        if not self.connections:
            unwatch(self)

    def stalled(self, connection: Any, waiting: int) -> None:
        """See :class:`txhixie.progress.Group`."""
        transport = connection.transport
        journal = self._resource.factory.journal
        journal.stalled(transport.getPeer(), self.limits.stall_timeout, waiting)
        transport.abortConnection()


def holderOf(transport: Any) -> Any:
    """The protocol that a transport delivers to: ours, where a Site stands behind our own port."""
    return getattr(transport, "wrappedProtocol", None) or getattr(transport, "protocol", None)
