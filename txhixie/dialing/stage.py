"""One stage of the way to a server: what is waited for in it, and no longer than it may take."""

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

    :ivar address: what was being connected to; ``None`` where that is not known.
    :ivar stage: what was waited for then, a key of :data:`txhixie.errors.STAGES`.
    """

    def __init__(self, address: IAddress | None, stage: str) -> None:
        super().__init__(address)  # type: ignore[no-untyped-call]
        self.stage = stage

    def __str__(self) -> str:
        where = "" if self.address is None else f" to {self.address}"
        return f"connecting{where} was cancelled at the stage {self.stage}"

    def __reduce__(self) -> tuple[object, ...]:
        return reduced(self)


CANCELLED: Final = (CancelledError, ConnectingCancelledError)
"""What a cancelled Deferred fails with: any, and that of an endpoint, which is no branch of the
other."""


def abandonable(deferred: Deferred[T], address: IAddress | None, stage: str = "tcp") -> Deferred[T]:
    """
    The same Deferred, of an endpoint's attempt: when it is cancelled it fails with
    :class:`Abandoned`, as Twisted's endpoints fail with a ``ConnectingCancelledError``.

    :param address: what is connected to; ``None`` to leave what an endpoint below has said.
    :param stage: a key of :data:`txhixie.errors.STAGES`, where what failed below names none.
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
    An errback of whatever is no endpoint, and waits for one: a cancelled attempt is a
    ``CancelledError``, as with every other Deferred.
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
    The same Deferred, bounded: when the time is up, what it waits for is cancelled.

    :param stage: a key of :data:`txhixie.errors.STAGES`.
    :param address: of what is connected to.
    :return: ``deferred``; it may now also fail with :class:`txhixie.errors.ConnectTimeout`, and
        with
        :class:`Abandoned` when somebody else cancels it.
    """
    return abandonable(deferred, address, stage).addTimeout(
        seconds, clock, lambda _, seconds: Failure(ConnectTimeout(stage, seconds))
    )


def notConnected(where: str, error: ConnectError) -> ConnectFailed:
    """
    There is no TCP connection, in words.

    :param where: to what.
    :param error: Twisted's, which becomes the cause.
    """
    words = filter(None, (f"no connection to {where}", system_words(error)))
    return ConnectFailed.of(": ".join(words), error)
