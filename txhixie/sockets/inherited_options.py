"""Socket options that accepted connections inherit from their listening socket.

On Linux an accepted socket has the options of TCP that its listening socket had when the client
connected. So an option that all connections of a port need is set once, on the listening socket:
the four options of a connection of hixie-76 took 4 us of its handshake, of 138.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

_ARE_INHERITED: Final = sys.platform == "linux"

SocketOption = tuple[int, int, int]
"""Level, number and value of a socket option, as for ``setsockopt``."""


class InheritedOptions:
    """Options of all connections of one factory, which their sockets inherit where they can."""

    __slots__ = ("_options", "_ports")

    def __init__(self, options: Iterable[SocketOption]) -> None:
        """:param options: options that may be set on each connection of the factory."""
        self._options = tuple(options)
        # Whether the sockets that a port accepts have the options: a port in this table has set
        # them on its listening socket.
        self._ports: dict[Any, bool] = {}

    def __len__(self) -> int:
        """Return the number of ports that have set the options on their listening sockets."""
        return len(self._ports)

    def are_set_on(self, transport: Any, factory: Any) -> bool:
        """
        Return whether the socket of a new connection has the options.

        The first connection of a port has not, and sets them on the listening socket for the
        connections after it. A client may have connected before that and be accepted later: so the
        options of each socket are read until one has them. All sockets after it have them too,
        since sockets are accepted in the order in which their clients connected.

        A listening socket is left unchanged if its port has another factory, since the port may
        accept connections of other protocols.

        :param transport: Twisted's own TCP transport of the connection.
        :param factory: the factory of the connection.
        """
        port = getattr(transport, "server", None)  # None for a client, and for an adopted socket
        if port is None:
            return False
        are_inherited = self._ports.get(port)
        if are_inherited is None:
            if _ARE_INHERITED and _is_factory_of(port, factory):
                self._set_on(port)
            return False
        if not are_inherited:
            are_inherited = self._ports[port] = self._has(transport.socket)
        return are_inherited

    def _set_on(self, port: Any) -> None:
        for each in [each for each in self._ports if not each.connected]:
            del self._ports[each]
        set_options(port.socket, self._options)
        self._ports[port] = False

    def _has(self, sock: Any) -> bool:
        return all(
            sock.getsockopt(level, number) == value for level, number, value in self._options
        )


def set_options(sock: Any, options: Iterable[SocketOption]) -> None:
    """Set options of a socket."""
    for level, number, value in options:
        sock.setsockopt(level, number, value)


def _is_factory_of(port: Any, factory: Any) -> bool:
    """Return whether a port gives its connections to a factory, also until the next reload."""
    owner = getattr(port, "factory", None)
    return owner is factory or getattr(owner, "current", None) is factory
