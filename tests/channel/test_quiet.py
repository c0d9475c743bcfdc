"""Deferreds whose failure is not logged unless a program waits for it."""

from __future__ import annotations

import gc

from support.log_recorder import Log
from txhixie.channel.quiet import QuietDeferred, failed


def test_a_failure_without_a_waiting_caller_is_not_logged(log: Log) -> None:
    deferred: QuietDeferred[None] = QuietDeferred()
    deferred.errback(ValueError("nobody waits"))
    del deferred
    gc.collect()
    assert log.tracebacks() == []


def test_a_failure_that_a_callback_did_not_handle_is_logged(log: Log) -> None:
    deferred: QuietDeferred[None] = QuietDeferred()
    deferred.addCallback(lambda result: result)
    deferred.errback(ValueError("not handled"))
    del deferred
    gc.collect()
    assert [str(error) for error in log.tracebacks()] == ["not handled"]


def test_an_errback_that_is_added_late_gets_the_failure() -> None:
    caught: list[object] = []
    failed(ValueError("late")).addErrback(lambda failure: caught.append(failure.value))
    assert [str(error) for error in caught] == ["late"]


def test_a_failed_deferred_takes_the_exception_that_is_being_handled() -> None:
    caught: list[object] = []
    try:
        raise KeyError("handled now")
    except KeyError:
        deferred = failed()
    deferred.addErrback(lambda failure: caught.append(failure.type))
    assert caught == [KeyError]
