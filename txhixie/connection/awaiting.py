"""Deferreds that are awaited, and what asyncio's errors mean where Twisted and asyncio meet.

A coroutine is run by Twisted or by an asyncio Task, and each takes awaitables of its own kind only.
asyncio's errors say so in words that name neither the cause nor the cure; a note (PEP 678) does.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")

IN_A_TASK: Final = (
    "This coroutine is run by an asyncio Task, which does not know Deferreds. "
    "Await each as a Future, under the asyncio reactor: await channel.receive().asFuture(loop); "
    "or have Twisted run the coroutine: await Deferred.fromCoroutine(talk()).asFuture(loop). "
    "A program without the asyncio reactor begins with "
    "react(lambda reactor: Deferred.fromCoroutine(main())) in place of asyncio.run(main())."
)
IN_TWISTED: Final = (
    "This coroutine is run by Twisted and not by an asyncio Task. "
    "Give what asyncio waits for a Task of its own, under the asyncio reactor: "
    "await Deferred.fromFuture(asyncio.ensure_future(asyncio.sleep(1)))."
)

_BAD_YIELD: Final = "Task got bad yield"
_FROM_C: Final = ("no running event loop", "await wasn't used with future")
"""Texts of asyncio's accelerator, which has no frame in a traceback."""


class Awaited(Deferred[T]):
    """
    A Deferred whose ``await`` in an asyncio Task says which line to write instead. It is cancelled
    then: nobody else waits for it.
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
    """The same result as an :class:`Awaited`; cancelling it cancels ``deferred``."""
    wrapped: Awaited[T] = Awaited(lambda _: deferred.cancel())

    def tell(result: T | Failure) -> None:
        # Where ``deferred`` tells of its cancelling later, ``wrapped`` has told of it at once.
        if not wrapped.called:
            wrapped.callback(result)

    deferred.addBoth(tell)
    return wrapped


def explain(error: BaseException | None) -> str | None:
    """
    Add a note to an error of asyncio's that only says that a coroutine is run by somebody else.

    :return: the note; ``None`` for any other error.
    """
    if not isinstance(error, RuntimeError | AttributeError):  # a queue asks None for a Future
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
