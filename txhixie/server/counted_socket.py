"""Counting of the connections of a server by their sockets, each until the socket is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.python.failure import Failure

from ..connection.acknowledged import lowest
from .admission import Admission


class _Departure:
    """
    Replacement of the method ``connectionLost`` of one transport, for its one call.

    Every connection ends by this call. The protocol's own method is not enough, since TLS, HTTP/2
    and a WebSocket connection replace the protocol, and a wrapper around the protocol would cost a
    call for every read.
    """

    __slots__ = ("_replaced", "_transport", "admission")

    def __init__(
        self, admission: Admission, transport: Any, replaced: Callable[[Failure], None] | None
    ) -> None:
        self.admission = admission
        self._transport = transport
        self._replaced = replaced

    def __call__(self, reason: Failure) -> None:
        """Count the connection no more, and end the transport."""
        transport = self._transport
        if self._replaced is None:
            del transport.connectionLost  # the method of the class is visible again
        else:
            transport.connectionLost = self._replaced
        self.admission.leave(transport)
        transport.connectionLost(reason)


def leaveWithSocket(admission: Admission, transport: Any) -> None:
    """
    Have a counted connection leave when its socket is closed.

    A transport without a socket, such as that of a test, is not counted.

    :param admission: counts the connection.
    :param transport: the lowest transport of the connection.
    """
    if not hasattr(transport, "connectionLost"):
        admission.leave(transport)
        return
    replaced = vars(transport).get("connectionLost")
    if not isinstance(replaced, _Departure) or replaced.admission is not admission:
        transport.connectionLost = _Departure(admission, transport, replaced)


def countSocket(protocol: Any, admission: Admission, client: str | None) -> None:
    """
    Count a connection of a ``Site`` from its beginning until its socket is closed.

    :param protocol: the protocol of the connection, which is not connected yet.
    :param admission: counts the connection.
    :param client: the address of the client.
    """
    connect: Callable[[Any], None] = protocol.makeConnection

    def makeConnection(transport: Any) -> None:
        below = lowest(transport)
        admission.enter(below, client)
        leaveWithSocket(admission, below)
        connect(transport)

    protocol.makeConnection = makeConnection
