"""The inbox and the outbox of one channel: messages to be taken, and messages to be sent.

The inbox is bounded by back-pressure on the peer, the outbox by an abort of the connection. Neither
of them drops a message.
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
from ..sansio.prepared_message import PreparedMessage
from .quiet import QuietDeferred, failed

Message: TypeAlias = "str | bytes"

HIGH_WATER: Final = 64 * 1024
"""Default high-water mark of an inbox in bytes: one full read of Twisted, since a transport that is
paused during a read still delivers all of this read."""

_COST: Final = 64
"""Bytes that each message counts besides its payload, so that empty messages are bounded too."""


class Inbox:
    """
    Received messages that the application has not taken.

    :ivar size: bytes of the messages that wait, and 64 for each message.
    """

    def __init__(
        self, pause: Callable[[], None], resume: Callable[[], None], highWater: int
    ) -> None:
        """
        :param pause: called when the messages that wait reach ``highWater``; pauses the transport.
        :param resume: called when half of ``highWater`` is left; resumes the transport.
        :param highWater: most bytes that may wait; the message that exceeds the mark is kept too.
        """
        self._pause = pause
        self._resume = resume
        self._highWater = highWater
        self._messages: deque[Message] = deque()
        self.size = 0
        self._paused = False
        self._taker: Deferred[Message] | None = None
        self._end: Callable[[], Exception] | None = None

    def put(self, message: Message) -> None:
        """Add a received message, or give the message to the receive that waits."""
        taker, self._taker = self._taker, None
        if taker is not None:
            taker.callback(message)
            return
        self._messages.append(message)
        self.size += len(message) + _COST
        if self.size >= self._highWater and not self._paused:
            self._paused = True
            self._pause()

    def get(self) -> Deferred[Message]:
        """
        Take the next message.

        :return: fires with the next message. After the last message the Deferred fails with the
            error of :meth:`end`; it fails with a :class:`txhixie.errors.UsageError` while another
            ``get()`` waits. A cancelled Deferred takes no message.
        """
        if self._taker is not None:
            return failed(
                UsageError("another receive() waits for the next message; await that one first")
            )
        if self._messages:
            return succeed(self._take())
        if self._end is not None:
            return failed(self._end())
        taker: Deferred[Message] = QuietDeferred(self._forget)
        self._taker = taker
        return taker

    def _take(self) -> Message:
        message = self._messages.popleft()
        self.size -= len(message) + _COST
        if self._paused and self.size <= self._highWater // 2:
            self._paused = False
            self._resume()
        return message

    def _forget(self, taker: Deferred[Message]) -> None:
        if self._taker is taker:
            self._taker = None

    def end(self, make: Callable[[], Exception]) -> None:
        """
        Record that no more messages will be received.

        :param make: returns a new error for each :meth:`get` after the last message.
        """
        self._end = make
        taker, self._taker = self._taker, None
        if taker is not None:
            taker.errback(make())


@implementer(IPushProducer)
class Outbox:
    """
    Messages that wait for room in the write buffer, in order; the producer of the transport.

    :ivar size: bytes of the messages that wait.
    :ivar hasLostNewest: whether the conversation has ended before the message of :meth:`keep` was
        sent.
    """

    def __init__(
        self,
        send: Callable[[Message | PreparedMessage], None],
        most: int = MOST,
        overflowed: Callable[[int], None] | None = None,
    ) -> None:
        """
        :param send: sends one message; an error of ``send`` fails the Deferred of the message.
        :param most: most bytes that may wait.
        :param overflowed: called with the number of bytes when more than ``most`` wait; the
            function has to call :meth:`end`.
        """
        self._send = send
        self._most = most
        self._overflowed = overflowed
        self._waiting: deque[tuple[Deferred[None], Message | PreparedMessage]] = deque()
        self._kept: Deferred[None] | None = None
        self._full = False
        self.hasLostNewest = False
        self._end: Callable[[], Exception] | None = None
        self.size = 0

    def put(self, message: Message | PreparedMessage) -> Deferred[None]:
        """
        Send a message when the write buffer has room.

        :return: fires with ``None`` once the message was given to the transport. Fails with the
            error that sending the message raised, and with the error of :meth:`end` when the
            conversation ended first. A message is not sent if its Deferred was cancelled.
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

    def keep(self, message: PreparedMessage) -> bool:
        """
        Let one message of broadcasts wait, the newest, behind all messages that wait.

        :return: whether the message replaces the one of an earlier call.
        """
        kept = self._kept
        isReplaced = kept is not None and not kept.called
        if kept is not None:
            kept.cancel()
        self._kept = self.put(message)
        return isReplaced

    def _hand(self, deferred: Deferred[None], message: Message | PreparedMessage) -> None:
        """Send a message, and fire its Deferred."""
        try:
            self._send(message)
        except Exception:
            deferred.errback()
        else:
            if self._end is None:
                deferred.callback(None)
            else:  # the message overflowed the transport, which aborted the connection
                deferred.errback(self._end())

    def _forget(self, deferred: Deferred[None]) -> None:
        given_up = next((entry for entry in self._waiting if entry[0] is deferred), None)
        if given_up is not None:
            self._waiting.remove(given_up)
            self.size -= weight(given_up[1])

    def pauseProducing(self) -> None:
        """Keep messages from now on: the write buffer of the transport is full."""
        self._full = True

    def resumeProducing(self) -> None:
        """Send the messages that wait: the write buffer of the transport has room again."""
        self._full = False
        while self._waiting and not self._full:
            deferred, message = self._waiting.popleft()
            self.size -= weight(message)
            self._hand(deferred, message)

    def end(self, make: Callable[[], Exception]) -> None:
        """
        Fail all messages that wait: the close has begun, and they cannot be sent.

        :param make: returns a new error for each message that waits or is sent later.
        """
        if self._end is not None:
            return
        self._end = make
        self.hasLostNewest = self._kept is not None and not self._kept.called
        waiting, self._waiting = self._waiting, deque()
        self.size = 0
        for deferred, _ in waiting:
            deferred.errback(make())

    def stopProducing(self) -> None:
        """
        Do nothing, since :meth:`end` fails the messages that wait.

        Twisted's TCP transport calls ``stopProducing`` before ``connectionLost``, when the close
        code of the conversation is not known yet.
        """


def weight(message: Message | PreparedMessage) -> int:
    """
    Return the bytes of a message's payload, and a fixed cost.

    Because of the fixed cost the number of empty messages is bounded too.
    """
    if isinstance(message, PreparedMessage):
        return message.size + _COST
    if isinstance(message, bytes) or message.isascii():
        return len(message) + _COST
    return len(message.encode("utf-8", "surrogatepass")) + _COST
