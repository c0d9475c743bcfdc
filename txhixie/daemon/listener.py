"""The service that listens on all its endpoints, and closes all connections when it stops."""

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
    """
    Configuration error that keeps the daemon from starting.

    The text of the error is shown to the operator as one line, without a traceback.
    """


class ListeningService(Service):
    """
    Service that listens with one factory on several endpoints.

    When the service stops, it closes every connection as its dialect requires, and waits for the
    end of the connections, at most for the factory's ``stop_timeout``. A second SIGTERM or SIGINT
    aborts all connections at once.
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
        Make a service that does not listen yet.

        :param reactor: stopped when an endpoint fails to listen after the service has started.
        :param endpoints: pairs of the option that gave an endpoint (``--port 8080``), and the
            endpoint.
        :param factory: factory of the server protocols.
        :param sessions: sessions of gateways with their backends, which are closed too.
        :param listens: called for each endpoint once it listens, with the listening port and the
            option that gave the endpoint.
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
        Listen on all endpoints, while the process may still listen on ports below 1024.

        :raises CannotStart: if an endpoint cannot listen. When the Deferred of an endpoint fails
            later, the log has the error line, and the reactor is stopped.
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
                # The log has the whole line: the standard error of a daemon is closed by now, and
                # twistd cuts the text that it passes on to the shell after 100 characters. The
                # level is error, since Twisted writes critical events to standard error before a
                # log has begun, and the line would be there twice.
                self._log.error("{mistake}", mistake=mistake)
                raise CannotStart(mistake)

    def _listens(self, port: IListeningPort, name: str) -> object:
        if self._started:
            self._ports.append(port)
            if self._tell is not None:
                self._tell(port, name)
            return None
        return port.stopListening()  # the service was stopped before the endpoint could listen

    def _cannotListen(self, failure: Failure, name: str) -> None:
        if self._started:
            self._log.critical("{mistake}", mistake=_mistake(name, failure))
            self._reactor.stop()

    def startService(self) -> None:
        """Listen, unless ``privilegedStartService`` was called: ``twist`` does not call it."""
        self.privilegedStartService()
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[object]:
        """
        Stop listening and close all connections.

        :return: fires when the last connection has ended and each backend has received the data of
            its client. Connections that are left after the factory's ``stop_timeout`` are aborted.
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
