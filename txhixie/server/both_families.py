"""An endpoint that listens on one TCP port for IPv4 and IPv6."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, execute, gatherResults
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from .family_factory import FamilyFactory
from .listen_queue import BACKLOG

_NAMES: Final = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}

_WITHOUT: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
"""Errors of a system without one family of addresses: missing in its kernel, or turned off."""


@implementer(IStreamServerEndpoint)
class BothFamiliesEndpoint:
    """
    An endpoint with two sockets on one port, one for IPv4 and one for IPv6.

    One IPv6 socket could accept both (depending on ``net.ipv6.bindv6only``), but would show every
    IPv4 client as ``::ffff:192.0.2.1``. On a machine without IPv6, or without IPv4, there is one
    socket.
    """

    def __init__(
        self, reactor: Any, port: int, bound: Callable[[int, int], socket.socket] | None = None
    ) -> None:
        """
        :param reactor: the reactor.
        :param port: the port; 0 for a port that the system chooses, the same for both families.
        :param bound: takes a family and a port and returns a listening socket; by default
            :func:`boundSocket`.
        """
        self._reactor = reactor
        self._port = port
        self._bound = bound or boundSocket

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen on the port.

        :param protocolFactory: the factory of the connections.
        :return: a Deferred that fires with the listening port, and fails with ``CannotListenError``
            if the port is in use in either family.
        """
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        sockets = self._sockets()
        try:
            ports: list[IListeningPort] = [
                self._reactor.adoptStreamPort(
                    each.fileno(), each.family, FamilyFactory(factory, _NAMES[each.family])
                )
                for each in sockets
            ]
        finally:
            for each in sockets:
                each.close()  # the reactor has duplicated the socket
        return ports[0] if len(ports) == 1 else Ports(ports)

    def _sockets(self) -> list[socket.socket]:
        """
        Return a listening socket for each family that the machine has.

        :raises CannotListenError: if one of these cannot be made; then all are closed.
        """
        sockets: list[socket.socket] = []
        port, last = self._port, socket.AF_INET6
        for family in (socket.AF_INET, last):
            try:
                sockets.append(self._bound(family, port))
            except OSError as error:
                if error.errno in _WITHOUT and (sockets or family != last):
                    continue
                for each in sockets:
                    each.close()
                raise CannotListenError("", port, error) from None
            port = sockets[0].getsockname()[1]
        return sockets


def boundSocket(family: int, port: int) -> socket.socket:
    """
    Return a socket that listens on all addresses of one family.

    :raises OSError: if the system refuses.
    """
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))  # noqa: S104  (wanted)
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


@implementer(IListeningPort)
class Ports:
    """The listening ports of both families, as one ``IListeningPort``."""

    def __init__(self, ports: list[IListeningPort]) -> None:
        self._ports = ports

    def startListening(self) -> None:
        """Do nothing: both ports are listening already."""

    def stopListening(self) -> Deferred[None]:
        """
        Stop listening on both ports.

        :return: a Deferred that fires when both ports have stopped.
        """
        stopping = [port.stopListening() for port in self._ports]
        waiting = gatherResults([each for each in stopping if each is not None])
        return waiting.addCallback(lambda _: None)

    def getHost(self) -> IAddress:
        """Return the address of the IPv4 port."""
        return self._ports[0].getHost()
