"""Messages that wait: for somebody to take them, or for room on the way out. One connection's.

Both boxes are bounded by telling whoever fills them to pause, and neither ever drops a message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from ..sansio.errors import UsageError
from ..sansio.limits import MOST
from .quiet import QuietDeferred, failed

Message: TypeAlias = "str | bytes"

HIGH_WATER: Final = 64 * 1024
"""Bytes that may wait to be taken: one full read of Twisted's, which is what a pause leaves unread
in any case."""

_COST: Final = 64
"""Bytes that a message costs besides its own: empty ones must not be free."""


class Inbox:
    """What has come and was not taken yet."""

    def __init__(
        self, pause: Callable[[], None], resume: Callable[[], None], highWater: int
    ) -> None:
        """
        :param pause: called when as much waits as may.
        :param resume: called when half of that is left.
        :param highWater: bytes that may wait; a last message comes on top.
        """
        self._pause = pause
        self._resume = resume
        self._highWater = highWater
        self._messages: deque[Message] = deque()
        self._size = 0
        self._paused = False
        self._taker: Deferred[Message] | None = None
        self._end: Callable[[], Exception] | None = None

    def put(self, message: Message) -> None:
        """One more has come."""
        taker, self._taker = self._taker, None
        if taker is not None:
            taker.callback(message)
            return
        self._messages.append(message)
        self._size += len(message) + _COST
        if self._size >= self._highWater and not self._paused:
            self._paused = True
            self._pause()

    def get(self) -> Deferred[Message]:
        """
        :return: fires with the next message. Fails with what :meth:`end` was given, after the last
            of them, and with a :class:`txhixie.errors.UsageError` while somebody else waits.
            Cancelled, it takes none.
        """
        if self._taker is not None:
            return failed(UsageError("somebody is waiting for the next message already"))
        if self._messages:
            return succeed(self._take())
        if self._end is not None:
            return failed(self._end())
        taker: Deferred[Message] = QuietDeferred(self._forget)
        self._taker = taker
        return taker

    def _take(self) -> Message:
        message = self._messages.popleft()
        self._size -= len(message) + _COST
        if self._paused and self._size <= self._highWater // 2:
            self._paused = False
            self._resume()
        return message

    def _forget(self, taker: Deferred[Message]) -> None:
        if self._taker is taker:
            self._taker = None

    def end(self, make: Callable[[], Exception]) -> None:
        """
        No more will come.

        :param make: makes what whoever asks for more is told.
        """
        self._end = make
        taker, self._taker = self._taker, None
        if taker is not None:
            taker.errback(make())


@implementer(IPushProducer)
class Outbox:
    """
    What waits for the transport to have room, in its order. The transport's producer.

    :ivar size: bytes that wait.
    """

    def __init__(
        self,
        send: Callable[[Message], None],
        most: int = MOST,
        overflowed: Callable[[int], None] | None = None,
    ) -> None:
        """
        :param send: sends one message; what it raises is the news of whoever put it here.
        :param most: bytes that may wait.
        :param overflowed: called when more do, with how many; it calls :meth:`end`.
        """
        self._send = send
        self._most = most
        self._overflowed = overflowed
        self._waiting: deque[tuple[Deferred[None], Message]] = deque()
        self._full = False
        self._end: Callable[[], Exception] | None = None
        self.size = 0

    def put(self, message: Message) -> Deferred[None]:
        """
        Send a message when there is room.

        :return: fires with ``None`` once it was handed to the transport. Fails with what sending it
            raised, and with what :meth:`end` was given when the conversation ended first.
            Cancelled, it is not sent.
        """
        if self._end is not None:
            return failed(self._end())
        deferred: Deferred[None] = QuietDeferred(self._forget)
        if not self._full and not self._waiting:
            self._hand(deferred, message)
            return deferred
        self._waiting.append((deferred, message))
        self.size += weight(message)
        if self.size > self._most and self._overflowed is not None:
            self._overflowed(self.size)
        return deferred

    def _hand(self, deferred: Deferred[None], message: Message) -> None:
        """Send a message, and say what became of it."""
        try:
            self._send(message)
        except Exception:
            deferred.errback()
        else:
            if self._end is None:
                deferred.callback(None)
            else:  # it was one too many
                deferred.errback(self._end())

    def _forget(self, deferred: Deferred[None]) -> None:
        given_up = next((entry for entry in self._waiting if entry[0] is deferred), None)
        if given_up is not None:
            self._waiting.remove(given_up)
            self.size -= weight(given_up[1])

    def pauseProducing(self) -> None:
        """The transport is full."""
        self._full = True

    def resumeProducing(self) -> None:
        """There is room again."""
        self._full = False
        while self._waiting and not self._full:
            deferred, message = self._waiting.popleft()
            self.size -= weight(message)
            self._hand(deferred, message)

    def end(self, make: Callable[[], Exception]) -> None:
        """
        The end has begun: nothing that waits will be sent.

        :param make: makes what whoever waits, or sends later, is told.
        """
        if self._end is not None:
            return
        self._end = make
        waiting, self._waiting = self._waiting, deque()
        self.size = 0
        for deferred, _ in waiting:
            deferred.errback(make())

    def stopProducing(self) -> None:
        """
        The connection has ended. :meth:`end` tells how: TCP's transport stops its producer before
        it tells its protocol, and whoever waits here would learn of an end without a code.
        """


def weight(message: Message) -> int:
    """Bytes of a message on the wire, without its frame; empty ones must not be free."""
    if isinstance(message, bytes) or message.isascii():
        return len(message) + _COST
    return len(message.encode("utf-8", "surrogatepass")) + _COST
