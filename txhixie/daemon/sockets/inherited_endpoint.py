"""An endpoint of a listening socket that was passed in, as for ``systemd:``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, execute, fail
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import implementer


@implementer(IStreamServerEndpoint)
class InheritedEndpoint:
    """
    Listens on an inherited file descriptor, and leaves that descriptor open.

    Twisted's ``AdoptedStreamServerEndpoint`` closes the descriptor once it listens. After a reload
    the same description names the same number, which would by then be another file's.
    """

    def __init__(
        self, reactor: Any, fileno: int, family: int, announce: Callable[[int], object]
    ) -> None:
        """
        :param family: of the addresses, such as ``socket.AF_INET``.
        :param announce: is called with the descriptor before the reactor adopts it.
        """
        self._reactor = reactor
        self._fileno = fileno
        self._family = family
        self._announce = announce

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen.

        :return: fires with the port. Fails with ``OSError`` for what is no socket that listens.
        """
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        self._announce(self._fileno)
        port: IListeningPort = self._reactor.adoptStreamPort(self._fileno, self._family, factory)
        return port


@implementer(IStreamServerEndpoint)
class MissingEndpoint:
    """
    Endpoint of a socket that systemd did not pass.

    ``ExecStartPre=`` and ``ExecReload=`` of a unit get no sockets, so that ``--check`` must accept
    the description; an error is raised only by ``listen``.
    """

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Do not listen.

        :return: fails with ``OSError``.
        """
        return fail(
            OSError(
                "systemd did not pass this socket; start the socket unit, and compare its "
                "FileDescriptorName="
            )
        )
