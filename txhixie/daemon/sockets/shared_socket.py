"""Listening sockets that several processes have."""

from __future__ import annotations

import socket


class SharedSocket(socket.socket):
    """A socket that another process has, too: ``shutdown`` would end it there as well."""

    __slots__ = ()

    def shutdown(self, how: int, /) -> None:
        """Do nothing: the other process goes on listening."""


class InheritedSocket(SharedSocket):
    """A socket of which another process has the address, the mode and the queue."""

    __slots__ = ()

    def bind(self, address: object, /) -> None:
        """Do nothing: the socket is bound."""

    def listen(self, backlog: int = 0, /) -> None:
        """Do nothing: the socket listens, with the queue of the other process."""
