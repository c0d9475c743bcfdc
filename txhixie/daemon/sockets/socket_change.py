"""One change of the daemon's listening sockets: which stay, which are new, which close.

Endpoints listen as at the start, by a reactor that finds the socket again where one listens there
already. Everything about a port can so be read anew, TLS and its certificates included, and the
socket stays open: no client is refused in between.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from zope.interface import directlyProvides, providedBy

from ...server.both_families import boundSocket
from .inherited_port import adopted
from .listening_sockets import Kept, ListeningSockets, Place
from .replaceable_factory import ReplaceableFactory


class Counts(NamedTuple):
    """How many listening sockets were kept, opened and closed."""

    kept: int
    opened: int
    closed: int


class SocketChange:
    """
    A reactor to listen with. What it is asked for counts from :meth:`commit` on; until then each
    socket that listened before serves as it did.
    """

    def __init__(self, sockets: ListeningSockets) -> None:
        """:param sockets: those that listen now."""
        self._sockets = sockets
        self._reactor = sockets.reactor
        self._counts: Counter[Place] = Counter()
        self._announced: dict[int, Place] = {}
        self._wanted: dict[Place, Kept] = {}
        self._opened: list[Kept] = []
        self._replacing: list[tuple[ReplaceableFactory, IProtocolFactory]] = []
        self._adjusting: list[tuple[Callable[[Any], object], IListeningPort]] = []
        self._expected = 0
        directlyProvides(self, providedBy(self._reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    # What an endpoint calls.

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """See ``IReactorTCP``."""
        return self._listen(
            self._place("tcp", interface, port),
            factory,
            lambda kept: self._reactor.listenTCP(port, kept, backlog, interface),
            lambda kept: kept.socket.listen(backlog),
        )

    def listenSSL(
        self,
        port: int,
        factory: IProtocolFactory,
        contextFactory: Any,
        backlog: int = 50,
        interface: str = "",
    ) -> IListeningPort:
        """See ``IReactorSSL``. TLS is above the socket, so that it can be replaced."""
        from twisted.protocols.tls import (
            TLSMemoryBIOFactory,
        )  # imports OpenSSL, which plain TCP does without

        tls = TLSMemoryBIOFactory(contextFactory, isClient=False, wrappedFactory=factory)
        return self.listenTCP(port, tls, backlog, interface)

    def listenUNIX(
        self,
        address: str,
        factory: IProtocolFactory,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> IListeningPort:
        """See ``IReactorUNIX``."""

        def adjust(kept: Any) -> None:
            kept.socket.listen(backlog)
            Path(address).chmod(mode)

        return self._listen(
            self._place("unix", address),
            factory,
            lambda kept: self._reactor.listenUNIX(address, kept, backlog, mode, wantPID),
            adjust,
        )

    def adoptStreamPort(
        self, fileno: int, family: int, factory: IProtocolFactory
    ) -> IListeningPort:
        """
        See ``IReactorSocket``.

        :raises CannotListenError: for a descriptor of which :meth:`announce` was not told, where
            one listens already: the endpoint would close a descriptor that may be another file's.
        """
        place = self._announced.pop(fileno, None)
        if place is None:
            place = self._place("adopted", fileno)
            if place in self._sockets.kept:
                error = OSError("a restart is needed to change this port")
                raise CannotListenError("", fileno, error)
        return self._listen(
            place, factory, lambda kept: adopted(self._reactor, fileno, family, kept)
        )

    def announce(self, fileno: int) -> None:
        """Say that a descriptor was inherited, and stays open after it was adopted."""
        self._announced[fileno] = self._place("inherited", fileno)

    def bound(self, family: int, port: int) -> socket.socket:
        """
        A socket that listens on every address of one family: the one of before, or a new one.

        :raises OSError: as the system says.
        """
        place = self._place("every address", family, port)
        fileno = self._sockets.filenoOf(place)
        if fileno is None:
            found = boundSocket(family, port)
        else:
            # Not the socket's dup(), which would have the one that listens block in accept().
            found = socket.socket(fileno=os.dup(fileno))
        self._announced[found.fileno()] = place
        return found

    def _place(self, *place: object) -> Place:
        self._counts[place] += 1
        return (*place, self._counts[place])

    def _listen(
        self,
        place: Place,
        factory: IProtocolFactory,
        listen: Callable[[Any], IListeningPort],
        adjust: Callable[[Any], object] | None = None,
    ) -> IListeningPort:
        """
        :param listen: opens a socket for a factory.
        :param adjust: what has to be done with the port of a socket that stays.
        """
        kept = self._sockets.kept.get(place)
        if kept is None or kept.factory is None:
            replaceable = ReplaceableFactory(factory)
            kept = Kept(self._sockets.open(place, replaceable, listen), replaceable)
            self._opened.append(kept)
        else:
            self._replacing.append((kept.factory, factory))
            if adjust is not None:
                self._adjusting.append((adjust, kept.port))
        self._wanted[place] = kept
        return kept.port

    # What the service calls.

    def listens(self, port: IListeningPort) -> None:
        """
        An endpoint listens. One that did not ask this reactor has a port that is closed at the next
        change, after another one was opened.

        :param port: what the endpoint's ``listen`` fired with.
        """
        if len(self._wanted) == self._expected:
            kept = Kept(port)
            self._wanted["other", object()] = kept
            self._opened.append(kept)
        self._expected = len(self._wanted)

    def commit(self) -> Counts:
        """
        Carry the change out.

        :return: what has become of the sockets.
        """
        for replaceable, factory in self._replacing:
            replaceable.replace(factory)
        for adjust, port in self._adjusting:
            with suppress(OSError):  # the file of a UNIX socket may have been removed
                adjust(port)
        opened = len(self._opened)
        closed = self._sockets.replace(self._wanted)
        return Counts(len(self._wanted) - opened, opened, closed)

    def abandon(self) -> Deferred[Any]:
        """
        Close what was opened, and change nothing.

        :return: fires when it is closed. It never fails.
        """
        return self._sockets.close(self._opened)
