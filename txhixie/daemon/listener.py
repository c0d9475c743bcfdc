"""The service that listens on all its endpoints, reloads at SIGHUP, and closes all connections when
it stops.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from ..connection.log import Uncut, writeLine
from ..gateway.session import Sessions
from ..running import raiseFileLimit, whyNot
from ..server.accepting import foldAcceptLines
from ..server.factory import HixieServerFactory
from ..server.second_signal import SECOND_SIGNAL
from .certificate_expiry import CertificateExpiry
from .certificate_watch import RETRY_SECONDS, CertificateWatch
from .errors import CannotStart, HalfRenewed
from .hangup import Hangup
from .notifier import Notifier
from .pool_threads import PoolThreads
from .signal_call import SignalCall
from .sockets.listening_sockets import ListeningSockets
from .sockets.socket_change import Counts, SocketChange

if TYPE_CHECKING:
    from ..hub.hub import Hub
    from ..server.tls.certificates import FiledCertificate
    from .options import Said
    from .workers.worker_processes import WorkerProcesses


_LAST_PAGES: Final = 1.0
"""Seconds for the last responses of a stopping daemon, such as those to a load balancer."""


@dataclass(frozen=True, slots=True)
class Serving:
    """
    A factory and its endpoints, made by one reading of the options.

    :ivar endpoints: each with where the operator said it (``--port 8080``).
    :ivar factory: the factory that the endpoints listen with.
    :ivar sessions: connections of the factory's clients to backends.
    :ivar sockets: the change of the listening sockets that the endpoints make.
    :ivar said: the options.
    :ivar files: files and directories that the endpoints have read.
    :ivar certificates: the certificates in them.
    :ivar drain: called when the daemon stops: gives new connections to another factory, until those
        of before have ended, and returns this factory. ``None``: the ports are closed first.
    :ivar renewed: makes the same with endpoints that read the files again; raises
        :class:`CannotStart` for a mistake in a file.
    """

    endpoints: Sequence[tuple[str, IStreamServerEndpoint]]
    factory: HixieServerFactory
    sessions: Sequence[Sessions]
    sockets: SocketChange
    said: Mapping[str, Sequence[Said]] = field(default_factory=dict)
    files: Sequence[Path] = ()
    certificates: Sequence[FiledCertificate] = ()
    renewed: Callable[[], Serving] | None = None
    drain: Callable[[], HixieServerFactory] | None = None

    @property
    def hasConnections(self) -> bool:
        """Whether a client or a backend of the factory is connected."""
        return bool(self.factory.connections) or any(each.hasBackends for each in self.sessions)

    def abortAll(self) -> None:
        """End every connection at once."""
        self.factory.abortAll()
        for each in self.sessions:
            each.abortAll()


class ListeningService(Service):
    """
    Service that listens with one factory on several endpoints, and with others after a reload.

    SIGHUP reads the options again. A connection stays with the factory that it began with, and so
    with the routes and limits of that factory, until the connection ends.

    When the service stops, it closes every connection as its dialect requires, and waits for the
    end of the connections, at most for the factory's ``stop_timeout``. A second SIGTERM or SIGINT
    aborts all connections at once.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        sockets: ListeningSockets,
        serving: Serving,
        read: Callable[[], Serving],
        listens: Callable[[IListeningPort, str], object] | None = None,
        hub: Hub | None = None,
        workers: WorkerProcesses | None = None,
    ) -> None:
        """
        Make a service that does not listen yet.

        :param reactor: stopped when an endpoint fails to listen after the service has started.
        :param sockets: the listening sockets; none yet.
        :param serving: the factory and its endpoints.
        :param read: reads the options again; raises :class:`CannotStart` for a mistake in them.
        :param listens: called at the start for each endpoint once it listens, with the listening
            port and the option that gave the endpoint.
        :param hub: the hub; its bus connects while the service runs.
        :param workers: processes that accept the connections; ``None``: this process does.
        """
        self._workers = workers
        self._hub = hub
        self._reactor = reactor
        self._sockets = sockets
        self._serving = serving
        self._before: list[Serving] = []  # earlier ones with connections
        self._read = read
        self._tell = listens
        self._hangup = Hangup(reactor, self.reload)
        self._traceSignal = SignalCall(reactor, signal.SIGUSR2, self._trace)
        self._notifier = Notifier(reactor)
        self._threads = PoolThreads(reactor)
        self._watch = CertificateWatch(reactor, self._renew)
        self._expiry = CertificateExpiry(reactor)
        self._waiting: Callable[[], Serving] | None = None  # a reload that waits for a key
        self._started = False
        self._isChanging = False
        self._asked = False

    def privilegedStartService(self) -> None:
        """
        Listen on all endpoints, while the process may still listen on ports below 1024.

        :raises CannotStart: if an endpoint cannot listen. When the Deferred of an endpoint fails
            later, the log has the error line, and the reactor is stopped.
        """
        if self._started:
            return
        self._started = True
        self._notifier.begin()
        raiseFileLimit()
        self._threads.begin()
        if self._hub is not None:
            self._hub.start()
        foldAcceptLines(self._reactor, self._serving.factory.counters)
        super().privilegedStartService()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self._hangup.listen()
        self._traceSignal.listen()
        self._isChanging = True
        starting = ensureDeferred(self._listen(self._serving, self._tell))
        if not starting.called:
            starting.addErrback(self._cannotStart)
        problem: list[Failure] = []
        starting.addCallbacks(lambda _: self._startedListening(), problem.append)
        if problem:
            self._hangup.leave()
            self._traceSignal.leave()
            self._notifier.close()
            # The log has the whole line: the standard error of a daemon is closed by now, and
            # twistd cuts the text that it passes on to the shell after 100 characters. The level is
            # error, since Twisted writes critical events to standard error before a log has begun,
            # and the line would be there twice.
            self._log.error("{mistake}", mistake=str(problem[0].value))
            problem[0].raiseException()

    def _startedListening(self) -> None:
        if self._started:
            self._look(self._serving)
            if self._workers is None:
                self._notifier.started(self._listensOn)
            else:
                self._workers.serving.addCallback(lambda _: self._ready(self._listensOn))
        self._changed()

    @property
    def _listensOn(self) -> str:
        count = len(self._serving.endpoints)
        return f"listening on {count} port{'s' if count > 1 else ''}"

    def _ready(self, status: str) -> None:
        if self._started:
            self._notifier.ready(status)

    def _cannotStart(self, failure: Failure) -> None:
        if self._started:
            self._log.critical("{mistake}", mistake=str(failure.value))
            self._reactor.stop()

    def startService(self) -> None:
        """Listen, unless ``privilegedStartService`` was called: ``twist`` does not call it."""
        self.privilegedStartService()
        super().startService()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        if self._workers is not None:
            self._workers.serve(self._serving.said)

    async def _listen(
        self, serving: Serving, tell: Callable[[IListeningPort, str], object] | None = None
    ) -> Counts:
        """
        Listen on all endpoints, or on none.

        :return: what has become of the sockets.
        :raises CannotStart: for the first that cannot be listened on; nothing has changed then.
        """
        sockets = serving.sockets
        for name, endpoint in serving.endpoints:
            try:
                port = await endpoint.listen(serving.factory)
            except Exception:
                sockets.abandon()
                if serving.factory is not self._serving.factory:
                    serving.factory.closeAll()
                raise CannotStart(_mistake(name, Failure())) from None
            sockets.listens(port)
            if not self._started:
                sockets.abandon()  # the service was stopped meanwhile
                raise CannotStart("hixie: stopped")
            if tell is not None:
                tell(port, name)
        return sockets.commit()

    # Reloading.

    def reload(self) -> None:
        """
        Read the options anew, and serve what they say: a line of the log tells how that ended.

        During a reload, it is done once more after that, however often this is called.
        """
        self._asked = True
        if self._started and not self._isChanging:
            self._isChanging = True
            ensureDeferred(self._reload()).addBoth(lambda _: self._changed())

    def _changed(self) -> None:
        """A change of the sockets is through."""
        self._isChanging = False
        if self._asked:
            self.reload()

    async def _reload(self) -> None:
        """
        Read the options again for a SIGHUP.

        A certificate that does not fit its key is tried again, as after a change of the files: a
        program that renews certificates may send the signal between its two writes.
        """
        self._asked = False
        self._notifier.reloading()
        problem = await self._change(self._read, True, self._wait)
        if problem is not None:
            self._ready(f"not reloaded: {problem}")

    def _wait(self, reason: Uncut) -> None:
        if self._waiting is None:
            seconds = round(RETRY_SECONDS)
            writeLine(self._log, "reload-waits", LogLevel.warn, reason=reason, seconds=seconds)
        self._waiting = self._read
        self._watch.retry()

    def _look(self, serving: Serving) -> None:
        """Watch the files and the dates of the certificates that are in use."""
        self._waiting = None
        self._watch.watch(serving.files)
        self._expiry.watch(serving.certificates)

    def _renew(self, isLast: bool) -> bool:
        """
        Read the certificates again, and with them the options that a SIGHUP asked for.

        :param isLast: whether a mistake has its line in the log.
        :return: whether the certificates can be used. During a reload they are not looked at.
        """
        read = self._waiting or self._serving.renewed
        if self._isChanging or read is None:
            return False
        self._isChanging = True
        before = self._serving
        ensureDeferred(self._change(read, isLast)).addBoth(lambda _: self._changed())
        if isLast:
            self._waiting = None
        return self._serving is not before

    async def _change(
        self,
        read: Callable[[], Serving],
        tells: bool,
        wait: Callable[[Uncut], object] | None = None,
    ) -> str | None:
        """
        Serve what the options or the certificates say now.

        :param tells: whether a mistake has its line in the log.
        :param wait: is called for a certificate that does not fit its key, in place of that line.
        :return: the mistake; ``None`` without one.
        """
        try:
            serving = read()
            counts = await self._listen(serving)
        except CannotStart as error:
            reason = Uncut(str(error).removeprefix("hixie: "))
            if self._started and wait is not None and isinstance(error, HalfRenewed):
                wait(reason)
            elif self._started and tells:
                writeLine(self._log, "not-reloaded", LogLevel.error, reason=reason)
            return reason
        except Exception:
            self._log.failure("internal error, please report it: the reload failed")
            return "internal error, see the log"
        else:
            self._replace(serving)
            # Twisted closes a port in the next turn of the reactor. A reader of the line may listen
            # on the port at once, or expect that no client can connect.
            self._sockets.closing.addCallback(lambda _: self._tellReloaded(counts))
            return None

    def _tellReloaded(self, counts: Counts) -> None:
        writeLine(
            self._log, "reloaded", kept=counts.kept, opened=counts.opened, closed=counts.closed
        )
        if self._started:
            self._ready(f"reloaded, {self._listensOn}")

    def _replace(self, serving: Serving) -> None:
        before, self._serving = self._serving, serving
        self._look(serving)
        if self._workers is not None:
            self._workers.serve(serving.said)
        if serving.factory is before.factory:
            return
        # Also those before the last one: their connections would keep a ceiling of held bytes that
        # was removed, or have none.
        for each in (before, *self._before):
            serving.factory.succeed(each.factory)
        for each in (*self._before, before):
            each.factory.enterAll()
        self._before = [each for each in (*self._before, before) if each.hasConnections]

    def trace(self, isOn: bool) -> None:
        """Turn the trace on or off, for all connections."""
        for each in (*self._before, self._serving):
            each.factory.trace(isOn)
        if self._workers is not None:
            self._workers.trace(isOn)

    def _trace(self) -> None:
        if (tracer := self._serving.factory.tracer) is None:
            return
        isOn = not tracer.isOn
        self.trace(isOn)
        writeLine(self._log, "trace", reason=f"turned {'on' if isOn else 'off'} by SIGUSR2")

    # Stopping.

    def stopService(self) -> Deferred[object]:
        """
        Stop listening and close all connections.

        :return: fires when the last connection has ended and each backend has received the data of
            its client. Connections that are left after the factory's ``stop_timeout`` are aborted.
        """
        super().stopService()  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self._started = False
        self._watch.stop()
        self._expiry.stop()
        everything = [*self._before, self._serving]
        leave = SECOND_SIGNAL.listen(self._reactor, self.abortAll)
        factory, now = self._serving.factory, self._serving.factory.limits
        for each in self._before:  # all connections have the timeouts of the last reload
            each.factory.limits = replace(
                each.factory.limits, stop_timeout=now.stop_timeout, stop_spread=now.stop_spread
            )
        timer = factory.clock.callLater(now.stop_timeout, self.abortAll)
        count = sum(len(each.factory.connections) for each in everything)
        if self._workers is not None:
            count = self._workers.connections
        what = f"closing {count} connection{'' if count == 1 else 's'}"
        self._notifier.stopping(now.stop_timeout, f"{what}, for at most {now.stop_timeout:g} s")
        sessions = [session for each in everything for session in each.sessions]
        draining = None if self._serving.drain is None else self._serving.drain()
        # The ports are closed first, or have another factory: a client that receives 1001 may
        # connect again at once, and the kernel would accept that connection and then reset it.
        sockets = self._sockets
        if self._workers is not None:
            closed: Deferred[Any] = self._workers.stop()
        else:
            closed = sockets.closeAll() if draining is None else sockets.closeInherited()
        closed.addCallback(lambda _: DeferredList([each.factory.closeAll() for each in everything]))
        closed.addCallback(lambda _: DeferredList([each.drained() for each in sessions]))
        if draining is not None:
            closed.addCallback(lambda _: sockets.closeAll())
            closed.addCallback(lambda _: draining.closeAll(timeout=_LAST_PAGES, spread=0.0))

        if (hub := self._hub) is not None:
            closed.addBoth(lambda _: hub.stop())

        def finish(result: object) -> object:
            self._hangup.leave()
            self._traceSignal.leave()
            self._notifier.close()
            self._threads.giveUp()
            leave()
            if timer.active():
                timer.cancel()
            return result

        return closed.addBoth(finish)

    def abortAll(self) -> None:
        """End every connection at once."""
        for each in (*self._before, self._serving):
            each.abortAll()
        if self._workers is not None:
            self._workers.abort()


def showMistakes() -> None:
    """
    Show an uncaught :class:`CannotStart` as one line on standard error, without a traceback.

    The error has to be an exception that ``twistd`` sees: ``twistd`` then removes its pid file, and
    the daemon process passes the text on to the shell that started it. Other exceptions are shown
    by Python.
    """
    before = sys.excepthook

    def show(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, CannotStart):
            print(error, file=sys.__stderr__)
        else:
            before(kind, error, traceback)

    sys.excepthook = show


def _mistake(name: str, failure: Failure) -> str:
    return f"hixie: {name}: cannot listen: {whyNot(failure)}"
