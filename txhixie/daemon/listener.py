"""The service that listens: on all its endpoints or on none, and to the end of each connection."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..connection.protocol import HixieFactory
from ..gateway.session import Sessions
from ..running import raiseFileLimit, whyNot
from ..server.accepting import foldAcceptLines
from ..server.second_signal import SECOND_SIGNAL


class CannotStart(Exception):
    """A mistake of the operator's: its text is the line he is shown, without a traceback."""


class ListeningService(Service):
    """
    Listens with one factory on some endpoints.

    Stopping closes every connection its dialect's way and waits until they have ended, for no
    longer than the factory's ``stop_timeout``; a second SIGTERM or SIGINT ends them at once.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        endpoints: Sequence[tuple[str, IStreamServerEndpoint]],
        factory: HixieFactory,
        sessions: Sequence[Sessions] = (),
        listens: Callable[[IListeningPort, str], object] | None = None,
    ) -> None:
        """
        :param reactor: is stopped when an endpoint that takes its time fails in the end.
        :param endpoints: each with where the operator said it (``--port 8080``).
        :param sessions: what the factory's clients have on its way to somebody else.
        :param listens: is called with each port once it listens, and with where the operator said
            it.
        """
        self._reactor = reactor
        self._endpoints = endpoints
        self._factory = factory
        self._sessions = sessions
        self._tell = listens
        self._ports: list[IListeningPort] = []
        self._started = False

    def privilegedStartService(self) -> None:
        """
        Listen, while ports below 1024 may be had.

        :raises CannotStart: when one cannot be. An endpoint may also say so later: then that line
            is in the log, and everything ends.
        """
        if self._started:
            return
        self._started = True
        raiseFileLimit()
        foldAcceptLines(self._reactor)
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        for name, endpoint in self._endpoints:
            listening = endpoint.listen(self._factory).addCallback(self._listens, name)
            if not listening.called:
                listening.addErrback(self._cannotListen, name)
                continue
            problem: list[Failure] = []
            listening.addErrback(problem.append)
            if problem:
                mistake = _mistake(name, problem[0])
                # A daemon's standard error is closed by now, and twistd cuts what it hands on to
                # the shell after 100 characters: the log has the whole line. Before a log has begun
                # Twisted writes what is critical to standard error, where it would be twice.
                self._log.error("{mistake}", mistake=mistake)
                raise CannotStart(mistake)

    def _listens(self, port: IListeningPort, name: str) -> object:
        if self._started:
            self._ports.append(port)
            if self._tell is not None:
                self._tell(port, name)
            return None
        return port.stopListening()  # too late: nobody waits for it any more

    def _cannotListen(self, failure: Failure, name: str) -> None:
        if self._started:
            self._log.critical("{mistake}", mistake=_mistake(name, failure))
            self._reactor.stop()

    def startService(self) -> None:
        """Listen, if that has not been done yet: ``twist`` has no privileges to give up."""
        self.privilegedStartService()
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[object]:
        """
        Listen no more and close what is open.

        :return: fires when the last connection has ended, and each backend has what its client had
            sent; what is left after the factory's ``stop_timeout`` is aborted.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        self._started = False
        ports, self._ports = self._ports, []
        stopping = [port.stopListening() for port in ports]
        waiting = [deferred for deferred in stopping if deferred is not None]
        leave = SECOND_SIGNAL.listen(self._reactor, self._abortAll)
        timer = self._factory.clock.callLater(self._factory.limits.stop_timeout, self._abortAll)
        closed = DeferredList([*waiting, self._factory.closeAll()])
        closed.addCallback(lambda _: DeferredList([each.drained() for each in self._sessions]))

        def finish(result: object) -> object:
            leave()
            if timer.active():
                timer.cancel()
            return result

        return closed.addBoth(finish)

    def _abortAll(self) -> None:
        self._factory.abortAll()
        for each in self._sessions:
            each.abortAll()


def showMistakes() -> None:
    """
    Show a :class:`CannotStart` as its one line on standard error, and leave every other exception
    to Python. It has to travel as an exception: so ``twistd`` removes its pid file, and hands the
    text on from the daemon to the shell that started it.
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
