"""Socket options that accepted connections inherit from their listening socket.

On Linux an accepted socket has the options of TCP that its listening socket had when the client
connected. So an option that all connections of a port need is set once, on the listening socket:
the four options of a connection of hixie-76 took 4 us of its handshake, of 138.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

_ARE_INHERITED: Final = sys.platform == "linux"

SocketOption: TypeAlias = tuple[int, int, int]
"""Level, number and value of a socket option, as for ``setsockopt``."""


class InheritedOptions:
    """Options of all connections of one factory, which their sockets inherit where they can."""

    __slots__ = ("_listening", "_options")

    def __init__(self, options: Iterable[SocketOption]) -> None:
        """:param options: options that may be set on each connection of the factory."""
        self._options = tuple(options)
        # The listening sockets that have the options, and whether a socket that was accepted there
        # has them. By socket and not by port: a port that listens again has another socket.
        self._listening: dict[Any, bool] = {}

    def __len__(self) -> int:
        """Return the number of listening sockets that have the options."""
        return len(self._listening)

    def are_set_on(self, transport: Any, factory: Any) -> bool:
        """
        Return whether the socket of a new connection has the options.

        The socket of a port's first connection does not have them. The call for it sets them on the
        listening socket, for later connections. A client that connected before that is accepted
        afterwards, without the options. So the options of each socket are read until one socket
        has them. All later sockets have them too, since sockets are accepted in the order in which
        their clients connected.

        A listening socket is left unchanged if its port has another factory, since the port may
        accept connections of other protocols.

        :param transport: Twisted's own TCP transport of the connection.
        :param factory: the factory of the connection.
        """
        # A client has no port, and neither has a connection that Twisted has adopted.
        listening = getattr(getattr(transport, "server", None), "socket", None)
        if listening is None:
            return False
        are_inherited = self._listening.get(listening)
        if are_inherited is None:
            if _ARE_INHERITED and _is_factory_of(transport.server, factory):
                self._set_on(listening)
            return False
        if not are_inherited:
            are_inherited = self._listening[listening] = self._has(transport.socket)
        return are_inherited

    def _set_on(self, listening: Any) -> None:
        for closed in [each for each in self._listening if each.fileno() < 0]:
            del self._listening[closed]
        set_options(listening, self._options)
        self._listening[listening] = False

    def _has(self, sock: Any) -> bool:
        options = self._options
        return all(sock.getsockopt(level, number) == value for level, number, value in options)


def set_options(sock: Any, options: Iterable[SocketOption]) -> None:
    """Set options of a socket."""
    for level, number, value in options:
        sock.setsockopt(level, number, value)


def _is_factory_of(port: Any, factory: Any) -> bool:
    """Return whether a port gives its connections to a factory, also until the next reload."""
    owner = getattr(port, "factory", None)
    return owner is factory or getattr(owner, "current", None) is factory
