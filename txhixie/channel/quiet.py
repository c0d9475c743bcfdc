"""Deferreds that log no failure if the caller ignores them."""

from __future__ import annotations

from typing import Any, TypeVar

from twisted.python.failure import Failure

from ..connection.awaiting import Awaited

T = TypeVar("T")


class QuietDeferred(Awaited[T]):
    """
    Deferred that does not log "Unhandled error in Deferred" if it has no callback when it fails.

    A Deferred that is awaited, or that has a callback, passes its failure on as usual.
    """

    def errback(self, fail: Failure | BaseException | None = None) -> None:
        """Fail the Deferred, as ``twisted.internet.defer.Deferred.errback`` does."""
        # ``_debugInfo`` logs the failure when the garbage collector finds the Deferred. Twisted has
        # no public name for it, nor for ``_callbacks`` (``callbacks`` is deprecated since 25.5).
        awaited = bool(self._callbacks)
        super().errback(fail)
        if not awaited and self._debugInfo is not None:
            self._debugInfo.failResult = None


def failed(error: BaseException | None = None) -> QuietDeferred[Any]:
    """
    Return a quiet Deferred that has failed.

    :param error: the error of the failure; by default the exception that is being handled.
    """
    deferred: QuietDeferred[Any] = QuietDeferred()
    deferred.errback(error)
    return deferred
