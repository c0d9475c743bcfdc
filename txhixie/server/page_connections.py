"""Connections of a Site that serve pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from ..connection.log import ConnectionLog, Logged
from ..connection.progress import Watched
from .protocol import HixieServerProtocol


class Channels:
    """
    A Site's connections that have asked for a page here: a client that does not read its download
    is ended after ``stall_timeout``, as one that does not read its messages is.

    :ivar connections: those that stand; each is an ``HTTPChannel``.
    """

    def __init__(
        self, seconds: float, clock: Callable[[], IReactorTime], log: ConnectionLog
    ) -> None:
        """
        :param seconds: how long a client may make no progress: ``Limits.stall_timeout``.
        :param clock: returns the clock that measures it.
        :param log: gets a line for each that is ended.
        """
        self._seconds = seconds
        self._log = log
        self._watched: Watched[Any] = Watched(seconds, clock, self._stalled)
        self.connections = self._watched.connections

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
        self._watched.add(channel)

    def forget(self, channel: Any) -> None:
        """Watch a connection no more: it has ended, or is no channel of the Site's any more."""
        self._watched.discard(channel)

    def _stalled(self, channel: Any, waiting: int) -> None:
        transport = channel.transport
        self._log.stalled(Logged(None, transport.getPeer()), self._seconds, waiting)
        transport.abortConnection()


def holderOf(transport: Any) -> Any:
    """The protocol that a transport delivers to: ours, where a Site stands behind our own port."""
    return getattr(transport, "wrappedProtocol", None) or getattr(transport, "protocol", None)
