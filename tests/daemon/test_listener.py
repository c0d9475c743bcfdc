"""The listening service with an endpoint that is slow or fails, and with a refused file limit.

The start and the end of a whole daemon are tested in ``test_tap.py``.
"""

from __future__ import annotations

import resource
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError

from support import log_recorder
from txhixie import HixieServerFactory, testing
from txhixie.daemon.errors import CannotStart
from txhixie.daemon.listener import ListeningService, Serving
from txhixie.daemon.sockets.listening_sockets import ListeningSockets
from txhixie.daemon.sockets.socket_change import SocketChange
from txhixie.running import raiseFileLimit


class Slow:
    """An endpoint whose ``listen`` completes when the test fires its Deferred."""

    def __init__(self) -> None:
        self.listening: Deferred[Any] = Deferred()

    def listen(self, factory: object) -> Deferred[Any]:
        return self.listening


class Port:
    stopped = False

    def stopListening(self) -> None:
        self.stopped = True


class Stoppable:
    """A reactor that records whether it was stopped."""

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


def test_a_slow_endpoint_listens_until_the_service_is_stopped() -> None:
    endpoint, port = Slow(), Port()
    listening = service(Stoppable(), endpoint)
    listening.startService()
    endpoint.listening.callback(port)
    assert not port.stopped
    listening.stopService()
    assert port.stopped


def test_an_endpoint_that_fails_at_once_is_an_error_at_the_start() -> None:
    endpoint = Slow()
    endpoint.listening.errback(NO)
    with pytest.raises(CannotStart, match=f"^{LINE}$"):
        service(Stoppable(), endpoint).startService()


def test_an_endpoint_that_fails_later_stops_the_daemon_with_a_log_line(
    log: log_recorder.Log,
) -> None:
    """The daemon listens on all endpoints or on none: an operator may not notice that one port is
    missing."""
    endpoint, reactor = Slow(), Stoppable()
    service(reactor, endpoint).startService()
    endpoint.listening.errback(NO)
    assert log.lines() == [LINE]
    assert reactor.stopped


def test_an_endpoint_that_listens_after_the_end_is_closed(log: log_recorder.Log) -> None:
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
def test_a_file_limit_that_cannot_be_raised_is_no_error(error: Exception) -> None:
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
