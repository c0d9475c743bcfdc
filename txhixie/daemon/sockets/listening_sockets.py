"""The daemon's listening sockets, which outlive a reload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from .replaceable_factory import ReplaceableFactory

Place: TypeAlias = tuple[object, ...]
"""Where a socket listens: its kind, its address, and a number that counts equal ones from 1."""


INHERITED: Final = ("inherited", "adopted")
"""Kinds of sockets that systemd has opened."""


@dataclass(frozen=True, slots=True)
class Kept:
    """
    A listening socket.

    :ivar port: Twisted's port of the socket.
    :ivar factory: gets the socket's connections; ``None`` where the endpoint has listened
        without the reactor that the endpoint was given.
    """

    port: IListeningPort
    factory: ReplaceableFactory | None = None


class ListeningSockets:
    """
    The sockets that listen now.

    :ivar reactor: listens.
    :ivar kept: the sockets, by their places.
    :ivar closing: fires when the sockets that :meth:`replace` closes are closed. It never fails.
    :ivar systemd: file descriptors that systemd has passed, each with the family of its addresses,
        by the endpoint descriptions.
    """

    _log = Logger()

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.kept: dict[Place, Kept] = {}
        self.closing: Deferred[Any] = succeed(None)
        self.systemd: dict[str, tuple[int, int]] = {}

    def open(
        self, place: Place, factory: ReplaceableFactory, listen: Callable[[Any], IListeningPort]
    ) -> IListeningPort:
        """
        Open the socket of a place.

        :param factory: gets the connections.
        :param listen: opens a socket for a factory.
        """
        return listen(factory)

    def filenoOf(self, place: Place) -> int | None:
        """
        Return the file descriptor of the socket of a place; ``None`` if it is not open.

        :raises OSError: if the socket cannot be opened by this process.
        """
        kept: Any = self.kept.get(place)
        return None if kept is None else int(kept.port.fileno())

    def replace(self, kept: dict[Place, Kept]) -> int:
        """
        Have these sockets, and close all others.

        :return: how many were closed.
        """
        before, self.kept = self.kept, kept
        gone = [each for place, each in before.items() if kept.get(place) is not each]
        self.closing = self.close(gone)
        return len(gone)

    def close(self, sockets: list[Kept]) -> Deferred[Any]:
        """
        Close sockets.

        :return: fires when they are closed. It never fails: an error is in the log.
        """
        closing = [maybeDeferred(each.port.stopListening) for each in sockets]
        for each in closing:
            each.addErrback(lambda failure: self._log.failure("closing a port failed", failure))
        return DeferredList(closing)

    def closeInherited(self) -> Deferred[Any]:
        """
        Close the sockets that systemd keeps open: their next clients wait for the next process.

        :return: as for :meth:`close`.
        """
        inherited = [place for place in self.kept if place[0] in INHERITED]
        return self.close([self.kept.pop(place) for place in inherited])

    def closeAll(self) -> Deferred[Any]:
        """
        Close all sockets.

        :return: as for :meth:`close`.
        """
        kept, self.kept = self.kept, {}
        return self.close(list(kept.values()))
