"""A listening UNIX socket that another process has opened, such as systemd.

Twisted's ``adoptStreamPort`` treats the file of such a socket as its own (up to Twisted 26.10). It
sets the mode of the file to 666: only the owner may do this, and ``SocketMode=`` of the socket unit
is lost. When it stops, it removes the file, and shuts the socket down for systemd as well: the unit
receives no further client.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.fdesc import setNonBlocking
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from .shared_socket import InheritedSocket


def adopted(reactor: Any, fileno: int, family: int, factory: IProtocolFactory) -> IListeningPort:
    """
    Listen on an inherited socket, which stays as it is.

    :param fileno: the descriptor, which stays open.
    :param family: of the addresses, such as ``socket.AF_INET``.
    :raises OSError: for a descriptor that is not open.
    """
    setNonBlocking(fileno)
    if family != socket.AF_UNIX:
        port: IListeningPort = reactor.adoptStreamPort(fileno, family, factory)
        return port
    inherited = InheritedSocket(fileno=os.dup(fileno))
    inherited.setblocking(False)
    from twisted.internet import unix

    class Port(unix.Port):
        """A port without a file of its own: the name is that of an abstract socket."""

        def createInternetSocket(self) -> socket.socket:
            """Return the inherited socket."""
            return inherited

    name = inherited.getsockname()
    address = os.fsencode(name) if isinstance(name, str) else name
    listening: Any = Port(b"\0" + address.lstrip(b"\0"), factory, reactor=reactor)
    listening.startListening()
    return listening  # type: ignore[no-any-return]  # the reactor's method has no return type
