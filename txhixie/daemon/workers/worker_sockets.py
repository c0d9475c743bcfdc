"""Listening sockets of a worker, which its parent has opened."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from ..sockets.listening_sockets import ListeningSockets, Place
from ..sockets.replaceable_factory import ReplaceableFactory
from .connection_counts import ConnectionCounts
from .shared_port import sharedPort


class WorkerSockets(ListeningSockets):
    """
    The sockets from which a worker accepts.

    :ivar counts: the connections of all workers.
    """

    def __init__(
        self, reactor: Any, counts: ConnectionCounts, closed: Callable[[], Deferred[None]]
    ) -> None:
        """
        :param reactor: the reactor.
        :param counts: the connections of all workers.
        :param closed: called when all sockets of this process are closed; fires when they are
            closed in all processes.
        """
        super().__init__(reactor)
        self.counts = counts
        self._closed = closed
        self._passed: Mapping[Place, int] = {}

    def replacePassed(
        self, passed: Mapping[Place, int], systemd: Mapping[str, tuple[int, int]]
    ) -> None:
        """
        Take the sockets that the parent has now.

        :param passed: file descriptors by the places of the sockets. They are closed by the next
            call of this method.
        :param systemd: see :attr:`ListeningSockets.systemd`.
        """
        before, self._passed = self._passed, passed
        for fileno in before.values():
            os.close(fileno)
        self.systemd = dict(systemd)

    def open(
        self, place: Place, factory: ReplaceableFactory, listen: Callable[[Any], IListeningPort]
    ) -> IListeningPort:
        """Listen on the socket of the parent."""
        fileno = self._passed.get(place)
        if fileno is None:
            error = OSError("the parent process did not pass this socket")
            raise CannotListenError("", None, error)
        return sharedPort(self.reactor, fileno, factory, self.counts)

    def filenoOf(self, place: Place) -> int | None:
        """
        Return the file descriptor of the socket of a place.

        :raises OSError: if the parent has no such socket, as on a machine without IPv6.
        """
        fileno = self._passed.get(place)
        if fileno is None:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return fileno

    def closeAll(self) -> Deferred[Any]:
        """Close all sockets; fires when the other processes have closed them, too."""
        self.replacePassed({}, {})
        return super().closeAll().addCallback(lambda _: self._closed())
