"""Queue of password checks, of which two run at once in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ...server.admission import part_of

AT_ONCE: Final = 2
"""Checks that run at the same time. A check takes a processor for 2 ms (the cost 5 of ``htpasswd
-B``) to seconds, and the reactor needs one as well."""

MOST_WAITING: Final = 256
"""Most checks that wait. At 50 ms each (cost 10) the last waits 6 s, less than the timeout of the
decision about a handshake."""

MOST_OF_ONE: Final = 32
"""Most checks of one address that wait, so that one client does not fill the queue."""


@dataclass(slots=True, eq=False)
class _Waiting:
    client: str
    begin: Callable[[], Any]
    answer: Deferred[Any] = field(init=False)


class PasswordChecks:
    """
    Runs checks in the order in which they come; the number of waiting checks is bounded.

    :ivar processes: number of processes that have the limits together, each an equal part of them.
    """

    processes = 1

    def __init__(self) -> None:
        self._running = 0
        self._waiting: deque[_Waiting] = deque()

    def hasRoom(self, client: str) -> bool:
        """
        Whether one more check may begin or wait.

        :param client: the client's address, or its network.
        """
        if self._mayBegin:
            return True
        own = sum(each.client == client for each in self._waiting)
        return len(self._waiting) < self.part(MOST_WAITING) and own < self.part(MOST_OF_ONE)

    def part(self, most: int) -> int:
        """Return the part of a limit that this process has."""
        return part_of(most, self.processes)

    @property
    def _mayBegin(self) -> bool:
        return self._running < self.part(AT_ONCE)

    def run(self, client: str, begin: Callable[[], Any]) -> Deferred[Any]:
        """
        Run a check, now or when the checks before it have ended.

        :param client: the client's address, or its network.
        :param begin: starts the check; returns its result, or a Deferred of a thread.
        :return: fires with the result. A check that waits is removed by ``cancel()``. A check that
            runs goes on in its thread, and no other check begins for it.
        """
        check = _Waiting(client, begin)
        check.answer = Deferred(lambda _: self._cancelled(check))
        self._waiting.append(check)
        self._startNext()
        return check.answer

    def _cancelled(self, check: _Waiting) -> None:
        if check in self._waiting:
            self._waiting.remove(check)

    def _startNext(self) -> None:
        while self._waiting and self._mayBegin:
            check = self._waiting.popleft()
            try:
                result = check.begin()
            except Exception:
                result = Failure()
            if isinstance(result, Deferred):
                self._running += 1
                result.addBoth(self._ended, check.answer)
            else:
                check.answer.callback(result)

    def _ended(self, result: Any, answer: Deferred[Any]) -> None:
        self._running -= 1
        if not answer.called:  # it was cancelled
            answer.callback(result)
        self._startNext()


CHECKS: Final = PasswordChecks()
"""The queue of the process: a thread that checks a password goes on during a reload."""
