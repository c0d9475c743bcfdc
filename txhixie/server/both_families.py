"""A TCP port of both families of addresses, IPv4 and IPv6."""

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

from .listen_queue import BACKLOG

_WITHOUT: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
"""What a machine says that has no such addresses: none in its kernel, or switched off."""


@implementer(IStreamServerEndpoint)
class BothFamiliesEndpoint:
    """
    Listens on one port for IPv4 and for IPv6, with a socket each.

    One socket of IPv6 could take both, and would show every client of IPv4 as ``::ffff:192.0.2.1``,
    where the system lets it (``net.ipv6.bindv6only``). A machine without IPv6, or without IPv4, has
    one socket.
    """

    def __init__(
        self, reactor: Any, port: int, bound: Callable[[int, int], socket.socket] | None = None
    ) -> None:
        """
        :param port: 0 for one that the system chooses, which is then the same in both.
        :param bound: makes the listening socket of a family and a port; by default
            :func:`boundSocket`.
        """
        self._reactor = reactor
        self._port = port
        self._bound = bound or boundSocket

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen.

        :return: fires with the port. Fails with ``CannotListenError`` where it is taken, in either
            family.
        """
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        sockets = self._sockets()
        try:
            ports: list[IListeningPort] = [
                self._reactor.adoptStreamPort(each.fileno(), each.family, factory)
                for each in sockets
            ]
        finally:
            for each in sockets:
                each.close()  # the reactor has made one of its own of each
        return ports[0] if len(ports) == 1 else Ports(ports)

    def _sockets(self) -> list[socket.socket]:
        """One of each family that the machine has, or none at all."""
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
    A socket that listens on every address of one family, and of that one alone.

    :raises OSError: as the system says.
    """
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))  # noqa: S104  (as asked)
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


@implementer(IListeningPort)
class Ports:
    """Two ports that are one to whoever listens."""

    def __init__(self, ports: list[IListeningPort]) -> None:
        self._ports = ports

    def startListening(self) -> None:
        """They listen already."""

    def stopListening(self) -> Deferred[None]:
        """
        Listen no more.

        :return: fires when neither does.
        """
        stopping = [port.stopListening() for port in self._ports]
        waiting = gatherResults([each for each in stopping if each is not None])
        return waiting.addCallback(lambda _: None)

    def getHost(self) -> IAddress:
        """The address of IPv4."""
        return self._ports[0].getHost()
