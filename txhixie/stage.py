"""One stage of the way to a server: what is waited for in it, and no longer than it may take."""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from .errors import LateAnswer

T = TypeVar("T")


def bounded(deferred: Deferred[T], stage: str, seconds: float, clock: IReactorTime) -> Deferred[T]:
    """
    The same Deferred, bounded: when the time is up, what it waits for is cancelled.

    :param stage: a key of :data:`txhixie.errors.STAGES`.
    :return: ``deferred``; it may now also fail with :class:`txhixie.errors.LateAnswer`.
    """
    return deferred.addTimeout(
        seconds, clock, lambda _, seconds: Failure(LateAnswer(stage, seconds))
    )
