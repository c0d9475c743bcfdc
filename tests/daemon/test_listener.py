"""The service that listens, where an endpoint takes its time or a system says no.

How it starts, fails and ends as a daemon is in ``test_tap.py``.
"""

from __future__ import annotations

import resource
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError

from support import log_recorder
from txhixie import HixieServerFactory, testing
from txhixie.daemon.listener import CannotStart, ListeningService, Serving
from txhixie.daemon.listening_sockets import ListeningSockets
from txhixie.daemon.socket_change import SocketChange
from txhixie.running import raiseFileLimit


class Slow:
    """An endpoint that answers when it is told to, as one does that first asks somebody else."""

    def __init__(self) -> None:
        self.listening: Deferred[Any] = Deferred()

    def listen(self, factory: object) -> Deferred[Any]:
        return self.listening


class Port:
    stopped = False

    def stopListening(self) -> None:
        self.stopped = True


class Stoppable:
    """A reactor, as far as it can be stopped."""

    stopped = False

    def stop(self) -> None:
        self.stopped = True


def service(reactor: Any, endpoint: Any) -> ListeningService:
    factory = HixieServerFactory(testing.Applications())
    sockets = ListeningSockets(reactor)
    serving = Serving([("--port slow:", endpoint)], factory, [], SocketChange(sockets))
    return ListeningService(reactor, sockets, serving, lambda: serving)


NO = CannotListenError("", 80, OSError(13, "Permission denied"))
LINE = "hixie: --port slow:: cannot listen: Permission denied"


def test_an_endpoint_may_take_its_time() -> None:
    endpoint, port = Slow(), Port()
    listening = service(Stoppable(), endpoint)
    listening.startService()
    endpoint.listening.callback(port)
    assert not port.stopped
    listening.stopService()
    assert port.stopped


def test_one_that_fails_at_once_is_a_mistake_of_the_operators() -> None:
    endpoint = Slow()
    endpoint.listening.errback(NO)
    with pytest.raises(CannotStart, match=f"^{LINE}$"):
        service(Stoppable(), endpoint).startService()


def test_one_that_fails_later_ends_everything_with_the_same_line(log: log_recorder.Log) -> None:
    """On all of them or on none: nobody would notice a port that is not there."""
    endpoint, reactor = Slow(), Stoppable()
    service(reactor, endpoint).startService()
    endpoint.listening.errback(NO)
    assert log.lines() == [LINE]
    assert reactor.stopped


def test_one_that_answers_after_the_end_is_not_left_listening(log: log_recorder.Log) -> None:
    for late in (Port(), NO):
        endpoint, reactor = Slow(), Stoppable()
        listening = service(reactor, endpoint)
        listening.startService()
        listening.stopService()
        if isinstance(late, Port):
            endpoint.listening.callback(late)
            assert late.stopped
        else:
            endpoint.listening.errback(late)
            assert log.lines() == []
            assert not reactor.stopped


@pytest.mark.parametrize("error", [ValueError("current limit exceeds maximum limit"), OSError()])
def test_a_limit_that_is_not_granted_is_done_without(error: Exception) -> None:
    asked: list[tuple[int, int]] = []

    class System:
        RLIMIT_NOFILE = resource.RLIMIT_NOFILE

        def getrlimit(self, which: int) -> tuple[int, int]:
            return 256, resource.RLIM_INFINITY

        def setrlimit(self, which: int, limits: tuple[int, int]) -> None:
            asked.append(limits)
            raise error

    raiseFileLimit(System())
    assert asked == [(resource.RLIM_INFINITY, resource.RLIM_INFINITY)]
