"""A worker of the daemon: it listens on the sockets of its parent, which tells it what to do."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ..daemon import Daemon
from ..errors import CannotStart
from ..listener import ListeningService
from ..options import Said
from .connection_counts import ConnectionCounts
from .heartbeats import Heartbeats
from .link import Kind, WorkerLink
from .orders import Mistake, Order, Serve, Told, TraceOrder, WorkerState, decode_told, encode_told
from .share import Share
from .worker_sockets import WorkerSockets

CLOSE_TIMEOUT: float = 1.0
"""Seconds until connections are closed although another worker still has the ports open."""


class Worker:
    """
    A worker process.

    :ivar status: exit status of the process.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, link: WorkerLink, number: int, workers: int, node: str
    ) -> None:
        """
        :param reactor: stopped when the worker has ended.
        :param link: the link to the parent.
        :param number: number of the worker, from 1.
        :param workers: number of all workers.
        :param node: name of the process for the numbers of members.
        """
        self.status = 0
        self._reactor = reactor
        self._link = link
        self._number = number
        self._workers = workers
        self._share = Share(link, reactor, number, workers, node)
        self._said: Mapping[str, Sequence[Said]] = {}
        self._service: ListeningService | None = None
        self._sockets: WorkerSockets | None = None
        self._waiting: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._isStopping = False
        Heartbeats(link, reactor)
        link.handle(Kind.STATE, self._received)
        link.whenLost(self._lost)

    def _tell(self, told: Told) -> None:
        self._link.send(Kind.STATE, encode_told(told))

    def _received(self, packet: bytes) -> None:
        told = decode_told(packet)
        if isinstance(told, Serve):
            self._serve(told)
        elif isinstance(told, TraceOrder):
            if self._service is not None:
                self._service.trace(told.is_on)
        elif told is Order.STOP:
            self._stop()
        elif told is Order.ABORT:
            if self._service is not None:
                self._service.abortAll()
        elif told is Order.CLOSED:
            self._allClosed()

    # Serving.

    def _serve(self, serve: Serve) -> None:
        memory, *filenos = self._link.takeDescriptors(1 + len(serve.places))
        self._said = serve.said
        if self._sockets is None:
            counts = ConnectionCounts(memory, self._workers, self._number)
            self._sockets = WorkerSockets(self._reactor, counts, self._closed)
        else:
            os.close(memory)
        passed = dict(zip(serve.places, filenos, strict=True))
        self._sockets.replacePassed(passed, serve.systemd)
        if self._service is None:
            self._start(serve, self._sockets)
        else:
            self._service.reload()

    def _start(self, serve: Serve, sockets: WorkerSockets) -> None:
        with suppress(OSError):  # the error about a relative path then says which file is missing
            os.chdir(serve.directory)
        try:
            daemon = Daemon(self._reactor, serve.said, sockets, share=self._share)
            service = daemon.service(lambda: self._said)
            sockets.counts.begin()
            service.startService()
        except CannotStart as error:
            self._fail(str(error))
            return
        except Exception:
            self._log.failure("internal error, please report it: a worker cannot start")
            self._fail("hixie: internal error, see the log")
            return
        self._service = service
        if serve.is_traced is not None:
            service.trace(serve.is_traced)
        self._tell(WorkerState.SERVING)

    def _fail(self, mistake: str) -> None:
        """End with status 1, when the parent has the mistake."""
        self.status = 1
        self._tell(Mistake(mistake))
        self._link.close()

    # Stopping.

    def _stop(self) -> None:
        if self._isStopping:
            return
        self._isStopping = True
        stopped = succeed(None) if self._service is None else self._service.stopService()
        stopped.addErrback(lambda failure: self._log.failure("stopping failed", failure))
        stopped.addCallback(lambda _: self._end())

    def _end(self) -> None:
        self._reactor.callLater(0, self._reactor.stop)

    def _closed(self) -> Deferred[None]:
        """Tell the parent that the ports are closed, and wait for the other workers."""
        if self._waiting is None:
            self._waiting = Deferred()
            self._tell(WorkerState.CLOSED)
            self._timer = self._reactor.callLater(CLOSE_TIMEOUT, self._allClosed)
            if not self._link.connected:
                self._allClosed()
        waiting: Deferred[None] = Deferred()
        self._waiting.addCallback(lambda _: waiting.callback(None))
        return waiting

    def _allClosed(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._waiting is not None and not self._waiting.called:
            self._waiting.callback(None)

    def _lost(self) -> None:
        """Free the ports at once, and end: the parent has ended, and may be started again."""
        if self._sockets is not None:
            self._sockets.closeAll()
        self._allClosed()
        self._stop()
