"""One stage of connecting to a server: its timeout, its cancellation, and their errors."""

from __future__ import annotations

from typing import Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.python.failure import Failure

from ..display import system_words
from ..sansio.errors import reduced
from .errors import ConnectFailed, ConnectTimeout

T = TypeVar("T")


class Abandoned(ConnectingCancelledError):
    """
    An attempt to connect was cancelled.

    :ivar address: the address of the attempt; ``None`` where it is not known.
    :ivar stage: the stage that was cancelled, a key of :data:`txhixie.errors.STAGES`.
    """

    def __init__(self, address: IAddress | None, stage: str) -> None:
        super().__init__(address)  # type: ignore[no-untyped-call]  # Twisted has no annotations here
        self.stage = stage

    def __str__(self) -> str:
        where = "" if self.address is None else f" to {self.address}"
        return f"connecting{where} was cancelled at the stage {self.stage}"

    def __reduce__(self) -> tuple[object, ...]:
        return reduced(self)


CANCELLED: Final = (CancelledError, ConnectingCancelledError)
"""The errors of a cancelled Deferred: of any Deferred, and of an endpoint's. Neither is a subclass
of the other."""


def abandonable(deferred: Deferred[T], address: IAddress | None, stage: str = "tcp") -> Deferred[T]:
    """
    Make the Deferred of an endpoint fail with :class:`Abandoned` when it is cancelled, as Twisted's
    endpoints fail with a ``ConnectingCancelledError``.

    :param address: the address of the attempt; ``None`` to keep the address that the endpoint below
        has put into its error.
    :param stage: a key of :data:`txhixie.errors.STAGES`, for an error from below without a stage.
    :return: the same Deferred.
    """

    def abandoned(failure: Failure) -> Failure:
        error = failure.value
        if not isinstance(error, CANCELLED):
            return failure
        where = getattr(error, "address", None) if address is None else address
        return Failure(Abandoned(where, getattr(error, "stage", stage)))

    return deferred.addErrback(abandoned)


def cancelled(failure: Failure) -> Failure:
    """
    Convert an endpoint's ``ConnectingCancelledError`` to ``CancelledError``: an errback for the
    Deferreds that are not an endpoint's but wait for one.
    """
    error = failure.value
    if not isinstance(error, ConnectingCancelledError):
        return failure
    ours = CancelledError()
    ours.__cause__ = error
    return Failure(ours)


def bounded(
    deferred: Deferred[T],
    stage: str,
    seconds: float,
    clock: IReactorTime,
    address: IAddress | None = None,
) -> Deferred[T]:
    """
    Cancel a stage's Deferred when its timeout is over.

    :param stage: a key of :data:`txhixie.errors.STAGES`.
    :param seconds: the timeout.
    :param address: the address of the attempt.
    :return: ``deferred``, which can now also fail with :class:`txhixie.errors.ConnectTimeout`, and
        with :class:`Abandoned` when the caller cancels it.
    """
    return abandonable(deferred, address, stage).addTimeout(
        seconds, clock, lambda _, seconds: Failure(ConnectTimeout(stage, seconds))
    )


def notConnected(where: str, error: ConnectError) -> ConnectFailed:
    """
    Make the error for a TCP connection that failed.

    :param where: the name of the peer: a host and port, or a noun such as "the server".
    :param error: Twisted's error, which becomes the cause.
    """
    words = filter(None, (f"no connection to {where}", system_words(error)))
    return ConnectFailed.of(": ".join(words), error)
