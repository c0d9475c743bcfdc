"""Connections of a Site over which pages are sent, watched for stalled clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from ..connection.log import ConnectionLog, Logged
from ..connection.progress import Watched
from ..sansio.http.head import NOTHING_ASKED
from .http_bounds import askedBy, holderOf, numberOf
from .protocol import HixieServerProtocol


class Channels:
    """
    Connections of a Site with a request for a page.

    If a client does not read its download, its connection is aborted after
    ``Limits.stall_timeout``, as for a client that does not read its messages.

    :ivar connections: the connections that have not ended; each is an ``HTTPChannel``.
    """

    def __init__(
        self, seconds: float, clock: Callable[[], IReactorTime], log: ConnectionLog
    ) -> None:
        """
        :param seconds: the timeout: ``Limits.stall_timeout``.
        :param clock: returns the clock.
        :param log: the log, which gets a line for each aborted connection.
        """
        self._seconds = seconds
        self._log = log
        self._watched: Watched[Any] = Watched(seconds, clock, self._stalled)
        self.connections = self._watched.connections

    def watch(self, channel: Any) -> None:
        """
        Watch the connection of a request for a page.

        Connections of HTTP/2 are not watched, since the channel of such a request is a stream.

        :param channel: the channel of the request.
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

        channel.connectionLost = connectionLost  # type: ignore[method-assign]  # replaces a method of this one object
        self._watched.add(channel)

    def forget(self, channel: Any) -> None:
        """Stop watching a connection, which has ended or has become a WebSocket connection."""
        self._watched.discard(channel)

    def _stalled(self, channel: Any, waiting: int) -> None:
        transport = channel.transport
        number, asked = numberOf(channel, self._log), NOTHING_ASKED
        if channel.requests:
            asked = askedBy(channel.requests[-1], channel.requests[-1].uri)
        self._log.stalled(Logged(number, transport.getPeer(), asked), self._seconds, waiting)
        transport.abortConnection()
