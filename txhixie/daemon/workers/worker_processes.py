"""The worker processes of a daemon, in their parent: started, started again, reloaded, stopped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import time
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger, LogLevel

from ...bus.relay import TopicRelay
from ...connection.log import Uncut, writeLine
from ..exit_status import end_with
from ..options import Said
from .bus_link import relay_over
from .connection_counts import ConnectionCounts
from .heartbeats import HANG_SECONDS, HangWatch
from .ledger import Ledger, TopicLedger, countWorker
from .link import Kind
from .orders import Mistake, Order, Serve, Told, TraceOrder, WorkerState
from .parent_sockets import ParentSockets
from .restarts import MOST_DEATHS, WITHIN, Restarts
from .shared_failures import FailureRelay, relay_failures
from .surveys import SurveyRelay, relaySurveys
from .worker_process import WorkerProcess

_HANGS: Final = f"no heartbeat for {HANG_SECONDS:g} seconds"
"""Reason why a worker is killed."""

_KILL_AFTER: Final = 5.0
"""Seconds from the order to abort all connections until a worker is killed."""


class WorkerProcesses:
    """
    The workers of a daemon.

    :ivar serving: fires when all workers listen, for the first time.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        count: int,
        sockets: ParentSockets,
        directory: str,
        endWith: Callable[[int], object] = end_with,
    ) -> None:
        """
        :param reactor: the reactor; stopped when a worker cannot be started.
        :param count: number of workers.
        :param sockets: the listening sockets.
        :param directory: working directory of the start.
        :param endWith: sets the exit status of this process.
        """
        self.serving: Deferred[None] = Deferred()
        self._reactor = reactor
        self._count = count
        self._sockets = sockets
        self._directory = directory
        self._endWith = endWith
        self._relay = TopicRelay(reactor, time)
        self._ledger = Ledger()
        self._topics = TopicLedger()
        self._failures = FailureRelay()
        self._surveys = SurveyRelay(lambda: self._relay.history.size)
        self._restarts = Restarts()
        self._hangWatch = HangWatch(reactor)
        self._counts: ConnectionCounts | None = None
        self._said: Mapping[str, Sequence[Said]] = {}
        self._isTraced: bool | None = None
        self._running: dict[int, WorkerProcess] = {}
        self._starting: dict[int, IDelayedCall] = {}
        self._hasServed = False
        self._hasFailed = False
        self._closing: Deferred[Any] | None = None
        self._stopped: Deferred[None] | None = None
        self._killing: IDelayedCall | None = None

    @property
    def connections(self) -> int:
        """Number of open connections of all workers."""
        return 0 if self._counts is None else self._counts.total

    def serve(self, said: Mapping[str, Sequence[Said]]) -> None:
        """
        Have all workers serve by these options; start the workers when the reactor runs.

        :param said: the options, which the parent has used itself.
        """
        self._said = said
        for worker in self._running.values():
            self._order(worker)
        if self._counts is None:
            self._counts = ConnectionCounts.make(self._count)
            # twistd has changed to another user by then, and has become a daemon.
            self._reactor.callWhenRunning(self._startAll)

    def trace(self, isOn: bool) -> None:
        """Turn the trace on or off."""
        self._isTraced = isOn
        for worker in self._running.values():
            worker.tell(TraceOrder(isOn))

    # Starting.

    def _startAll(self) -> None:
        for number in range(1, self._count + 1):
            if self._stopped is None and not self._hasFailed:
                self._start(number)

    def _start(self, number: int) -> None:
        self._starting.pop(number, None)
        try:
            worker = WorkerProcess(self._reactor, number, self._count, self._told, self._ended)
        except OSError as error:
            self._cannotStart(number, f"cannot start {sys.executable}: {error.strerror or error}")
            return
        self._running[number] = worker
        relay_over(worker.link, self._relay, worker.node)
        countWorker(worker.link, self._ledger)
        countWorker(worker.link, self._topics, Kind.TOPICS)
        relay_failures(worker.link, self._failures)
        relaySurveys(worker.link, self._surveys, number)
        self._hangWatch.join(worker.link, partial(worker.kill, _HANGS))
        self._order(worker)
        writeLine(self._log, "worker-started", worker=number, process=worker.pid)

    def _cannotStart(self, number: int, why: str) -> None:
        if self._hasServed:
            self._died(number, why)
        else:
            self._fail(f"hixie: workers: {why}")

    def _order(self, worker: WorkerProcess) -> None:
        assert self._counts is not None
        passed, systemd = self._sockets.passed(), self._sockets.systemd
        serve = Serve(self._directory, self._said, tuple(passed), systemd, self._isTraced)
        worker.tell(serve, (self._counts.descriptor, *passed.values()))

    def _told(self, worker: WorkerProcess, told: Told) -> None:
        if told is WorkerState.SERVING:
            self._hasServed = True
            serving = [each for each in self._running.values() if each.isServing]
            if len(serving) == self._count and not self.serving.called:
                self.serving.callback(None)
        elif told is WorkerState.CLOSED:
            self._closePorts()
        elif isinstance(told, Mistake):
            if self._hasServed:
                self._log.error("{mistake}", mistake=told.text)
            else:
                self._fail(told.text)

    # The end of a worker.

    def _ended(self, worker: WorkerProcess, reason: str) -> None:
        del self._running[worker.number]
        assert self._counts is not None
        self._counts.remove(worker.number)
        if self._stopped is None:
            self._died(worker.number, reason)
        else:
            self._closePorts()

    def _died(self, number: int, reason: str) -> None:
        delay = self._restarts.died(self._reactor.seconds())
        level = LogLevel.warn
        writeLine(self._log, "worker-ended", level, worker=number, reason=reason, seconds=delay)
        if delay is None:
            self._fail(f"hixie: {MOST_DEATHS} workers ended within {WITHIN:g} seconds")
        else:
            self._starting[number] = self._reactor.callLater(delay, self._start, number)

    def _fail(self, mistake: str) -> None:
        """End the daemon with status 1; a second worker may fail meanwhile."""
        if not self._hasFailed and self._stopped is None:
            self._hasFailed = True
            self._log.critical("{mistake}", mistake=Uncut(mistake))
            self._endWith(1)
            self._reactor.stop()

    # Stopping.

    def stop(self) -> Deferred[None]:
        """
        Stop all workers, and close the ports as soon as all workers have closed theirs.

        :return: fires when all workers have ended and all ports are closed.
        """
        assert self._stopped is None
        self._stopped = Deferred()
        for each in self._starting.values():
            each.cancel()
        self._starting.clear()
        self._relay.stop()
        self._hangWatch.stop()
        for worker in self._running.values():
            worker.tell(Order.STOP)
        self._closePorts()
        return self._stopped

    def _closePorts(self) -> None:
        if self._stopped is None or not all(each.hasClosed for each in self._running.values()):
            return
        if self._closing is None:
            # The workers wait for this: a client of a closed connection connects again at once.
            self._closing = self._sockets.closeAll()
            self._closing.addCallback(lambda _: self._tellClosed())
        if not self._running:
            self._closing.addCallback(lambda _: self._finish())

    def _tellClosed(self) -> None:
        for worker in self._running.values():
            worker.tell(Order.CLOSED)

    def _finish(self) -> None:
        if self._killing is not None and self._killing.active():
            self._killing.cancel()
        if self._stopped is not None and not self._stopped.called:
            self._stopped.callback(None)

    def abort(self) -> None:
        """Abort all connections, and kill workers that have not ended 5 seconds after that."""
        for worker in self._running.values():
            worker.tell(Order.ABORT)
        if self._killing is None:
            self._killing = self._reactor.callLater(_KILL_AFTER, self._kill)

    def _kill(self) -> None:
        for worker in self._running.values():
            worker.kill()
