"""Connections of a Site that serve pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from ..connection.log import ConnectionLog
from ..connection.progress import unwatch, watch
from ..sansio.limits import Limits
from .protocol import HixieServerProtocol


class PageOwner(Protocol):
    """Whose pages they are: a :class:`txhixie.HixieServerFactory`, or a ``HixieSite``."""

    limits: Limits
    journal: ConnectionLog

    @property
    def clock(self) -> IReactorTime:
        """Measures the timeout."""
        ...


class Channels:
    """
    A Site's connections that have asked for a page here: a client that does not read its download
    is ended after ``stall_timeout``, as one that does not read its messages is.

    :ivar connections: those that stand; each is an ``HTTPChannel``.
    """

    def __init__(self, owner: PageOwner) -> None:
        """:param owner: has the limits, the clock and the journal."""
        self._owner = owner
        self.connections: set[Any] = set()

    @property
    def limits(self) -> Limits:
        """The owner's."""
        return self._owner.limits

    @property
    def clock(self) -> IReactorTime:
        """The owner's."""
        return self._owner.clock

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
        """See :class:`txhixie.connection.progress.Group`."""
        transport = connection.transport
        self._owner.journal.stalled(transport.getPeer(), self.limits.stall_timeout, waiting)
        transport.abortConnection()


def holderOf(transport: Any) -> Any:
    """The protocol that a transport delivers to: ours, where a Site stands behind our own port."""
    return getattr(transport, "wrappedProtocol", None) or getattr(transport, "protocol", None)
