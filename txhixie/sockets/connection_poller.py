"""One epoll for all open TCP connections of a reactor.

Twisted's reactors make a log context for each event of each connection, which is a third of the CPU
time of a small message (``log_context.py``). A `ConnectionPoller` is one reader of the reactor. The
file descriptor of that reader is an epoll of its own, which is readable when one of the connections
in it has an event. The reactor makes one log context for a turn, and the poller calls all
connections that are ready.

The transports and the reactor are Twisted's own. A transport is moved with its first message.
From then on the poller is the reactor of the transport, and passes on all that is not about events
of file descriptors. A transport is moved back when TLS starts on it. Only Linux has epoll;
elsewhere nothing is moved.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from weakref import ReferenceType, WeakValueDictionary, ref

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableDescriptor, IReactorFDSet, IReadDescriptor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python import context, log
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from .log_context import LogContext, prefix_of
from .socket_calls import READ_SIZE, receive

_HAS_EPOLL: Final = hasattr(select, "epoll")
_IN: Final[int] = getattr(select, "EPOLLIN", 0)
_OUT: Final[int] = getattr(select, "EPOLLOUT", 0)
_ENDED: Final[int] = getattr(select, "EPOLLHUP", 0) | getattr(select, "EPOLLERR", 0)


def moveToPoller(transport: Any) -> None:
    """
    Move a transport to the poller of its reactor.

    The transport stays in its reactor where there is no epoll, where no file descriptor is left for
    one, where the reactor has no events of file descriptors, and if it does not read 64 KiB at a
    time: see :func:`moveFromPoller`.

    :param transport: a ``tcp.Server`` or ``tcp.Client`` of Twisted, which is connected, reads, and
        has no bytes to write.
    """
    reactor = transport.reactor
    if not _HAS_EPOLL or isinstance(reactor, ConnectionPoller):
        return
    try:
        poller = _POLLERS.get(reactor)
        if poller is None:
            if not IReactorFDSet.providedBy(reactor):
                return
            poller = _POLLERS[reactor] = ConnectionPoller(reactor)
        if transport.bufferSize == READ_SIZE:
            poller.take(transport)
    except OSError:  # EMFILE, or ENOSPC of epoll_ctl
        return


def moveFromPoller(transport: Any) -> None:
    """
    Move a transport back to its reactor, if it is in a poller.

    A connection with large messages has few events for its bytes, and each of them costs a second
    call of epoll: an echo of 1 MiB takes a tenth less CPU time in the reactor.

    :param transport: a ``tcp.Server`` or ``tcp.Client`` of Twisted.
    """
    if isinstance(transport.reactor, ConnectionPoller):
        transport.reactor.giveBack(transport)


@implementer(IReadDescriptor)
class _Entrance:
    """
    The reader of the reactor through which it calls a poller.

    Only the reactor has a reference to an entrance. So the poller learns of the reactor's
    ``removeAll``, which ``trial`` calls after the tests of a class.
    """

    def __init__(self, poller: ConnectionPoller) -> None:
        self._poller = poller
        # A reactor calls these in each turn; as attributes they cost no further Python call.
        self.fileno = poller.epollFileno
        self.doRead = poller.dispatch
        self.logPrefix = "-".__str__  # the prefix outside of a connection

    @property
    def connections(self) -> list[Any]:
        """The connections that read or write, for a test that counts the readers of a reactor."""
        return self._poller.connections

    def connectionLost(self, reason: Failure) -> None:
        """End all connections: the reactor has stopped."""
        self._poller.end(reason)

    def __repr__(self) -> str:
        """Return the connections, which ``trial`` shows if a test did not close them."""
        return ", ".join(map(repr, self.connections))


class ConnectionPoller:
    """
    The moved connections of one reactor, and the reactor of these.

    A poller lives as long as it has connections, and is in the reactor while one of these reads or
    writes.
    """

    def __init__(self, reactor: Any) -> None:
        """
        :param reactor: provides ``IReactorFDSet``.
        :raises OSError: if the process has no file descriptor left.
        """
        self._reactor = reactor
        self._epoll = select.epoll()
        self._readers: dict[int, Any] = {}
        self._writers: dict[int, Any] = {}
        self._entrance: ReferenceType[_Entrance] | None = None
        self._called: Any = None  # the connection that is called now
        self._logContext = LogContext(lambda: prefix_of(self._called))
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        """Return what the reactor has besides the events of file descriptors."""
        return getattr(self._reactor, name)

    @property
    def connections(self) -> list[Any]:
        """The connections that read or write."""
        return list({**self._writers, **self._readers}.values())

    @property
    def epollFileno(self) -> Callable[[], int]:
        """Returns the descriptor of the epoll."""
        return self._epoll.fileno

    @property
    def dispatch(self) -> Callable[[], None]:
        """Calls the connections that are ready."""
        return partial(context.call, {log.ILogContext: self._logContext}, self._callAll)

    def take(self, transport: Any) -> None:
        """
        Move a transport from the reactor to this poller.

        :raises OSError: if the kernel has no room in the epoll; the transport was not moved.
        """
        self._add(transport, self._readers, self._writers, _IN)
        self._reactor.removeReader(transport)
        transport.reactor = self

    def giveBack(self, transport: Any) -> None:
        """Move a transport back to the reactor."""
        fd = transport.fileno()
        isRead, isWritten = (each.get(fd) is transport for each in (self._readers, self._writers))
        self.removeReader(transport)
        self.removeWriter(transport)
        transport.reactor = self._reactor
        if isRead:
            self._reactor.addReader(transport)
        if isWritten:
            self._reactor.addWriter(transport)

    # The methods of IReactorFDSet, which transports call. The reactor itself has all others. An
    # application may give these methods descriptors of its own, which belong to the reactor.

    def _isMoved(self, one: Any) -> bool:
        return getattr(one, "reactor", None) is self

    def addReader(self, reader: Any) -> None:
        """See ``IReactorFDSet``."""
        if self._isMoved(reader):
            self._add(reader, self._readers, self._writers, _IN)
        else:
            self._reactor.addReader(reader)

    def addWriter(self, writer: Any) -> None:
        """See ``IReactorFDSet``."""
        if self._isMoved(writer):
            if not writer.TLS:
                self._add(writer, self._writers, self._readers, _OUT)
                return
            # startTLS was called, and TLS writes for the first time.
            self.giveBack(writer)
        self._reactor.addWriter(writer)

    def removeReader(self, reader: Any) -> None:
        """See ``IReactorFDSet``."""
        if self._isMoved(reader):
            self._remove(reader, self._readers, self._writers, _OUT)
        else:
            self._reactor.removeReader(reader)

    def removeWriter(self, writer: Any) -> None:
        """See ``IReactorFDSet``."""
        if self._isMoved(writer):
            self._remove(writer, self._writers, self._readers, _IN)
        else:
            self._reactor.removeWriter(writer)

    def _add(self, one: Any, these: dict[int, Any], others: dict[int, Any], event: int) -> None:
        fd = one.fileno()
        if fd in these:
            return
        self._enter()
        try:
            if fd in others:
                self._epoll.modify(fd, _IN | _OUT)
            else:
                self._epoll.register(fd, event)
        except OSError:
            self._leaveIfEmpty()
            raise
        these[fd] = one

    def _remove(self, one: Any, these: dict[int, Any], others: dict[int, Any], other: int) -> None:
        fd = one.fileno()
        if fd == -1:  # closed by the application; the kernel has removed it
            fd = next((each for each, there in these.items() if there is one), -1)
            others.pop(fd, None)
        elif these.get(fd) is one:
            if fd in others:
                self._epoll.modify(fd, other)
            else:
                self._epoll.unregister(fd)
        else:
            return
        these.pop(fd, None)
        self._leaveIfEmpty()

    def _enter(self) -> None:
        """Be in the reactor; forget the connections that ``removeAll`` has removed from it."""
        if self._entrance is not None:
            if self._entrance() is not None:
                return
            self._forget()
        entrance = _Entrance(self)
        self._reactor.addReader(entrance)
        self._entrance = ref(entrance)

    def _leaveIfEmpty(self) -> None:
        if self._readers or self._writers or self._entrance is None:
            return
        entrance, self._entrance = self._entrance(), None
        if entrance is not None:
            self._reactor.removeReader(entrance)

    def _forget(self) -> None:
        for fd in {**self._readers, **self._writers}:
            try:
                self._epoll.unregister(fd)
            except OSError:  # closed meanwhile
                continue
        self._readers.clear()
        self._writers.clear()
        self._entrance = None

    # The calls of the reactor.

    def _callAll(self) -> None:
        readers = self._readers
        try:
            for fd, event in self._epoll.poll(0, len(readers) + len(self._writers) or 1):
                if event != _IN:
                    self._callOne(fd, event)
                elif (transport := readers.get(fd)) is not None:
                    # The usual case of _callOne(), without its call. A connection that another one
                    # has paused meanwhile is no longer among the readers.
                    self._called = transport
                    why: Any = None
                    try:
                        # This is doRead(), in C.
                        if data := receive(fd):
                            transport.protocol.dataReceived(data)
                        elif data is not None:
                            why = CONNECTION_LOST if data is False else CONNECTION_DONE
                    except BaseException as error:
                        log.err()
                        why = error
                    if why:
                        self._disconnect(transport, why, True)
        finally:
            self._called = None

    def _callOne(self, fd: int, event: int) -> None:
        """Call a connection as Twisted's reactors do."""
        transport = self._readers.get(fd) or self._writers.get(fd)
        if transport is None:
            return
        self._called = transport
        why: Any = None
        inRead = False
        if event & _ENDED and not event & _IN:
            inRead = fd in self._readers
            why = CONNECTION_DONE if inRead else CONNECTION_LOST
        else:
            try:
                if event & _IN and fd in self._readers:
                    why, inRead = transport.doRead(), True
                if not why and event & _OUT and fd in self._writers:
                    why, inRead = transport.doWrite(), False
            except BaseException as error:
                log.err()
                why = error
        if why:
            self._disconnect(transport, why, inRead)

    def _disconnect(self, transport: Any, why: Any, inRead: bool) -> None:
        """End a connection, or its receiving half, as Twisted's reactors do."""
        try:
            self.removeReader(transport)
            isDone = type(why) is ConnectionDone
            if inRead and isDone and IHalfCloseableDescriptor.providedBy(transport):
                transport.readConnectionLost(Failure(why))
            else:
                self.removeWriter(transport)
                transport.connectionLost(Failure(why))
        except BaseException:
            log.err()  # otherwise the reactor would end the poller, with all connections

    def end(self, reason: Failure) -> None:
        """
        End all connections: the reactor has stopped, and does so with its own.

        :param reason: the reason for each connection.
        """
        connections = self.connections
        self._forget()
        for each in connections:
            log.callWithLogger(each, each.connectionLost, reason)

    def forked(self) -> None:
        """
        Release the connections in a child process.

        The epoll is shared with the parent process: the child would remove connections of the
        parent.
        """
        self._epoll.close()
        self._epoll = select.epoll()
        self._readers.clear()
        self._writers.clear()


_POLLERS: Final[WeakValueDictionary[Any, ConnectionPoller]] = WeakValueDictionary()
"""The poller of each reactor that has one."""


def _forked() -> None:
    """Have a child process make pollers of its own."""
    for poller in [*_POLLERS.values()]:
        poller.forked()
    _POLLERS.clear()


if _HAS_EPOLL:
    os.register_at_fork(after_in_child=_forked)
