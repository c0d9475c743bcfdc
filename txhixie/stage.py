"""One stage of the way to a server: what is waited for in it, and no longer than it may take."""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from .errors import LateAnswer

T = TypeVar("T")


class Abandoned(CancelledError):
    """
    Whoever asked has cancelled.

    :ivar stage: what was waited for then, a key of :data:`txhixie.errors.STAGES`.
    """

    def __init__(self, stage: str) -> None:
        super().__init__()
        self.stage = stage


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
