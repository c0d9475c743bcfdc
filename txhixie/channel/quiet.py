"""Deferreds that may be left alone: for whoever sends and does not wait."""

from __future__ import annotations

from typing import Any, TypeVar

from twisted.python.failure import Failure

from ..connection.awaiting import Awaited

T = TypeVar("T")


class QuietDeferred(Awaited[T]):
    """
    A Deferred whose failure is not logged as "Unhandled error in Deferred" if nobody has awaited it
    or added a callback to it. Whoever has is told of the failure as usual, and has to handle it.
    """

    def errback(self, fail: Failure | BaseException | None = None) -> None:
        """Fail; see ``Deferred.errback``."""
        # The list, and Twisted's note to itself for when the garbage collector comes: there is no
        # public way (``callbacks`` is deprecated since 25.5).
        awaited = bool(self._callbacks)
        super().errback(fail)
        if not awaited and self._debugInfo is not None:
            self._debugInfo.failResult = None


def failed(error: BaseException | None = None) -> QuietDeferred[Any]:
    """
    One that has failed.

    :param error: with what; by default the exception that is being handled.
    """
    deferred: QuietDeferred[Any] = QuietDeferred()
    deferred.errback(error)
    return deferred
