"""Listening sockets of a daemon with workers: the parent opens them, the workers accept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IListeningPort

from ..sockets.listening_sockets import ListeningSockets, Place
from ..sockets.replaceable_factory import ReplaceableFactory
from ..sockets.shared_socket import SharedSocket


class ParentSockets(ListeningSockets):
    """Sockets of which this process accepts no connection."""

    def open(
        self, place: Place, factory: ReplaceableFactory, listen: Callable[[Any], IListeningPort]
    ) -> IListeningPort:
        """Open the socket of a place, and have only the workers accept."""
        port: Any = super().open(place, factory, listen)
        port.stopReading()
        # Twisted shuts a socket down before it closes it, and the workers would read errors.
        port.socket = SharedSocket(fileno=port.socket.detach())
        port.fileno = port.socket.fileno
        return port  # type: ignore[no-any-return]  # the reactor's method has no return type

    def passed(self) -> dict[Place, int]:
        """Return the file descriptors for the workers."""
        return {place: fileno for place in self.kept if (fileno := self.filenoOf(place))}
