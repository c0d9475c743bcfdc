"""Waiting in tests that run on the reactor: bounded waits, never a fixed time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, cast

import pytest_twisted
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IReactorTime,
)
from twisted.internet.task import deferLater

P = ParamSpec("P")


T = TypeVar("T")


reactor: Any = installed_reactor


PATIENCE = 10.0
"""Seconds any wait of a test lasts at most: nothing here takes one, but machines are busy."""


def asynchronous(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, Any]:
    """Decorate a test that awaits Deferreds; the function of pytest-twisted has no types."""
    return cast("Callable[P, Any]", pytest_twisted.ensureDeferred(test))


def within(deferred: Deferred[T], seconds: float = PATIENCE) -> Deferred[T]:
    """Wait for a Deferred with a timeout: fails with a TimeoutError."""
    return deferred.addTimeout(seconds, cast("IReactorTime", reactor))


async def turn(seconds: float = 0.0) -> None:
    """Let the reactor run."""
    await deferLater(reactor, seconds)


async def until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until a condition is true, with a timeout."""
    deadline = reactor.seconds() + seconds
    while not true():
        assert reactor.seconds() < deadline, f"it did not become true in {seconds} seconds"
        await turn(0.002)
