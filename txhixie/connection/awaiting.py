"""Notes for errors of a coroutine that awaits the wrong kind of object: Deferred or Future.

A coroutine is run by Twisted or by an asyncio Task: Twisted accepts only Deferreds, and a Task only
Futures. asyncio's error names neither the cause nor the remedy, so a note (PEP 678) is added to
the error.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")

IN_A_TASK: Final = (
    "This coroutine is run by an asyncio Task, which cannot await a Deferred. "
    "With the asyncio reactor, convert each Deferred: await channel.receive().asFuture(loop); "
    "or let Twisted run the coroutine: await Deferred.fromCoroutine(talk()).asFuture(loop). "
    "A program without the asyncio reactor begins with "
    "react(lambda reactor: Deferred.fromCoroutine(main())) in place of asyncio.run(main())."
)
IN_TWISTED: Final = (
    "This coroutine is run by Twisted and not by an asyncio Task. "
    "For a pause, await twisted.internet.task.deferLater(reactor, 1). "
    "With the asyncio reactor (begin the program with "
    "twisted.internet.asyncioreactor.install(), before the reactor is imported), "
    "run the asyncio awaitable in a Task of its own: "
    "await Deferred.fromFuture(asyncio.ensure_future(asyncio.sleep(1)))."
)

_BAD_YIELD: Final = "Task got bad yield"
_FROM_C: Final = ("no running event loop", "await wasn't used with future")
"""Texts of errors of asyncio's C accelerator, which adds no frame to a traceback."""


class Awaited(Deferred[T]):
    """
    A Deferred that explains the error when an asyncio Task awaits it.

    The Deferred is cancelled then, since no other code waits for its result.
    """

    def __await__(self) -> Generator[Any, Any, T]:
        try:
            return (yield from super().__await__())
        except RuntimeError as error:
            if _isBadYield(error):
                explain(error)
                self.cancel()
                self.addErrback(lambda _: None)
            raise


def awaited(deferred: Deferred[T]) -> Awaited[T]:
    """
    Return an :class:`Awaited` that fires with the result of a Deferred.

    Cancelling the returned Deferred cancels ``deferred``.
    """
    wrapped: Awaited[T] = Awaited(lambda _: deferred.cancel())

    def tell(result: T | Failure) -> None:
        # ``wrapped`` fails at once when it is cancelled; ``deferred`` may fail later.
        if not wrapped.called:
            wrapped.callback(result)

    deferred.addBoth(tell)
    return wrapped


def explain(error: BaseException | None) -> str | None:
    """
    Add a note to an error that asyncio raises for a wrong awaitable: cause and remedy.

    :return: the note; ``None`` for any other error.
    """
    # AttributeError: asyncio.Queue calls create_future() of a loop that is None.
    if not isinstance(error, RuntimeError | AttributeError):
        return None
    if _isBadYield(error):
        note = IN_A_TASK
    elif str(error) in _FROM_C or _raisedByAsyncio(error):
        note = IN_TWISTED
    else:
        return None
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
    return note


def _isBadYield(error: BaseException) -> bool:
    return str(error).startswith(_BAD_YIELD)


def _raisedByAsyncio(error: BaseException) -> bool:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return False
    module = traceback.tb_frame.f_globals.get("__name__", "")
    return str(module).partition(".")[0] == "asyncio"
