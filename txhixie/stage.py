"""One stage of the way to a server: what is waited for in it, and no longer than it may take."""

from __future__ import annotations

import os
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from .errors import LateAnswer, NotConnected, reduced

T = TypeVar("T")


class Abandoned(CancelledError):
    """
    Whoever asked has cancelled.

    :ivar stage: what was waited for then, a key of :data:`txhixie.errors.STAGES`.
    """

    def __init__(self, stage: str) -> None:
        super().__init__()
        self.stage = stage

    def __reduce__(self) -> tuple[object, ...]:
        return reduced(self)


def staged(deferred: Deferred[T], stage: str) -> Deferred[T]:
    """
    The same Deferred, which fails with :class:`Abandoned` when it is cancelled.

    :param stage: a key of :data:`txhixie.errors.STAGES`.
    """

    def abandoned(failure: Failure) -> Failure:
        if failure.check(CancelledError, ConnectingCancelledError) is None:
            return failure
        return Failure(Abandoned(stage))

    return deferred.addErrback(abandoned)


def bounded(deferred: Deferred[T], stage: str, seconds: float, clock: IReactorTime) -> Deferred[T]:
    """
    The same Deferred, bounded: when the time is up, what it waits for is cancelled.

    :param stage: a key of :data:`txhixie.errors.STAGES`.
    :return: ``deferred``; it may now also fail with :class:`txhixie.errors.LateAnswer`, and with
        :class:`Abandoned` when somebody else cancels it.
    """
    return staged(deferred, stage).addTimeout(
        seconds, clock, lambda _, seconds: Failure(LateAnswer(stage, seconds))
    )


def notConnected(where: str, error: ConnectError) -> NotConnected:
    """
    There is no TCP connection, in words.

    :param where: to what.
    :param error: Twisted's, which becomes the cause.
    """
    ours = NotConnected(": ".join(filter(None, (f"no connection to {where}", systemWords(error)))))
    ours.__cause__ = error
    return ours


def systemWords(error: Exception) -> str:
    """What the operating system has said; empty if it was not asked. Twisted's errors say it with a
    number and a name around it."""
    number = getattr(error, "osError", None)
    return os.strerror(number) if isinstance(number, int) else ""
