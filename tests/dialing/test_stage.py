"""The stages of an attempt to connect: each has a timeout, and is cancelled as Twisted's are."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from txhixie.dialing.stage import Abandoned, abandonable, bounded, cancelled, notConnected
from txhixie.errors import ConnectTimeout

ADDRESS = IPv4Address("TCP", "192.0.2.1", 80)


def failure_of(deferred: Deferred[Any]) -> Any:
    """The exception that a Deferred has failed with."""
    caught: list[Failure] = []
    deferred.addErrback(caught.append)
    assert len(caught) == 1
    return caught[0].value


def test_a_stage_that_ends_in_time_keeps_its_result() -> None:
    clock, waiting, results = Clock(), Deferred[str](), list[str]()
    bounded(waiting, "tcp", 3, clock).addCallback(results.append)
    waiting.callback("connected")
    assert results == ["connected"]
    assert clock.getDelayedCalls() == []


def test_a_stage_that_takes_too_long_fails_with_its_name_and_seconds() -> None:
    clock = Clock()
    waiting = bounded(Deferred[None](), "proxy", 3, clock)
    clock.advance(3)
    found = failure_of(waiting)
    assert isinstance(found, ConnectTimeout)
    assert found.stage == "proxy"
    assert "answer from the proxy" in str(found)


def test_a_cancelled_stage_fails_as_Twisteds_endpoints_do() -> None:
    clock = Clock()
    waiting = bounded(Deferred[None](), "tls", 3, clock, ADDRESS)
    waiting.cancel()
    found = failure_of(waiting)
    assert isinstance(found, ConnectingCancelledError)
    assert isinstance(found, Abandoned)
    assert (found.address, found.stage) == (ADDRESS, "tls")
    assert "at the stage tls" in str(found)
    assert clock.getDelayedCalls() == []


def test_the_stage_and_address_of_an_endpoint_below_are_kept() -> None:
    below = abandonable(Deferred[None](), ADDRESS, "lookup")
    waiting = abandonable(below, None, "tls")
    waiting.cancel()
    found = failure_of(waiting)
    assert (found.address, found.stage) == (ADDRESS, "lookup")


def test_any_other_failure_is_passed_on() -> None:
    waiting = abandonable(Deferred[None](), ADDRESS)
    waiting.errback(ValueError("not cancelled"))
    assert str(failure_of(waiting)) == "not cancelled"


@pytest.mark.parametrize("cause", [Abandoned(ADDRESS, "tcp"), ConnectingCancelledError(ADDRESS)])
def test_an_errback_turns_a_cancelled_attempt_into_a_CancelledError(cause: Exception) -> None:
    waiting: Deferred[None] = Deferred()
    waiting.addErrback(cancelled)
    waiting.errback(cause)
    found = failure_of(waiting)
    assert type(found) is CancelledError
    assert found.__cause__ is cause


def test_a_failed_connect_names_its_address_and_has_the_words_of_the_system() -> None:
    below = error.ConnectionRefusedError(errno.ECONNREFUSED)
    failed = notConnected("192.0.2.1:80", below)
    assert str(failed) == "no connection to 192.0.2.1:80: Connection refused"
    assert (failed.__cause__, failed.osError) == (below, errno.ECONNREFUSED)
