"""Ports of a worker: several processes accept from one socket, so that each has its share.

The system wakes any of the processes that wait for a socket: one of two workers got up to 673 of
1,000 connections to a UNIX socket, and a worker that is busy gets few. With a socket for each
worker (``SO_REUSEPORT``), the connections in the queue of a worker that ends are lost. With the
rule here, each of two workers had 484 to 516 of 1,000 connections, over TCP and UNIX sockets.
"""

from __future__ import annotations

import os
import socket
from typing import Any, Final

from twisted.internet import tcp, unix
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IProtocolFactory
from twisted.python.failure import Failure

from ...connection.writer import addDirect
from ..sockets.shared_socket import InheritedSocket
from .connection_counts import ConnectionCounts

PAUSE: Final = 0.005
"""Seconds in which a worker with many connections leaves new ones to the other workers."""


class _Counted:
    """A connection that is counted until its socket is closed."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._port.counts.enter()

    @property
    def _port(self) -> Any:
        connection: Any = self
        return connection.server

    def connectionLost(self, reason: Failure) -> None:
        """End the connection; Twisted may call this method twice."""
        if hasattr(self, "socket"):
            self._port.counts.leave()
        super().connectionLost(reason)  # type: ignore[misc]  # a method of Twisted's port, which this class is mixed into


class _TCPConnection(_Counted, tcp.Server):
    """A connection of a TCP port."""


addDirect(_TCPConnection)


class _UNIXConnection(_Counted, unix.Server):
    """A connection of a UNIX port."""


class _Balanced:
    """
    A port that accepts one connection in a turn of the reactor, and none if there are many.

    :ivar counts: the connections of all workers.
    """

    reactor: Any

    def __init__(self, inherited: socket.socket, counts: ConnectionCounts, *rest: Any) -> None:
        super().__init__(*rest)
        self.counts = counts
        self.numberAccepts = 1
        self._inherited = inherited
        self._pause: IDelayedCall | None = None

    def createInternetSocket(self) -> socket.socket:
        """Return the inherited socket."""
        return self._inherited

    def doRead(self) -> None:
        """Accept a connection, or leave it to another worker for a moment."""
        if not self.counts.has_many:
            self._accept()
        else:
            self._port.stopReading()
            self._pause = self.reactor.callLater(PAUSE, self._acceptLate)

    def _acceptLate(self) -> None:
        self._pause = None
        self._accept()  # no other worker did, or there are more
        if not self._port.disconnecting:
            self._port.startReading()

    def _accept(self) -> None:
        self.numberAccepts = 1
        super().doRead()  # type: ignore[misc]  # a method of Twisted's port, which this class is mixed into

    def stopListening(self) -> Any:
        """Accept no connection any more."""
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.cancel()
        return super().stopListening()  # type: ignore[misc]  # a method of Twisted's port, which this class is mixed into

    @property
    def _port(self) -> Any:
        return self


class _TCPPort(_Balanced, tcp.Port):  # type: ignore[misc]  # the return type of stopListening differs from that of tcp.Port
    """A TCP port."""

    transport: type[tcp.Server] = _TCPConnection


class _UNIXPort(_Balanced, unix.Port):  # type: ignore[misc]  # the return type of stopListening differs from that of unix.Port
    """A UNIX port without a file of its own: the name is that of an abstract socket."""

    transport = _UNIXConnection


def sharedPort(
    reactor: Any, fileno: int, factory: IProtocolFactory, counts: ConnectionCounts
) -> IListeningPort:
    """
    Listen on a socket that the parent has opened.

    :param reactor: the reactor.
    :param fileno: the file descriptor, which stays open.
    :param factory: gets the connections.
    :param counts: the connections of all workers.
    :raises OSError: for a descriptor that is no socket.
    """
    inherited = InheritedSocket(fileno=os.dup(fileno))
    inherited.setblocking(False)
    name = inherited.getsockname()
    port: Any
    if inherited.family == socket.AF_UNIX:
        address = os.fsencode(name) if isinstance(name, str) else name
        arguments = (b"\0" + address.lstrip(b"\0"), factory, 50, 0o666, reactor)
        port = _UNIXPort(inherited, counts, *arguments)
    else:
        port = _TCPPort(inherited, counts, name[1], factory, 50, name[0], reactor)
    port.startListening()
    return port  # type: ignore[no-any-return]  # the reactor's method has no return type
