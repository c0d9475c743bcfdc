"""The topics with a history of a Redis bus: one capped stream for each topic.

A position is the stream's id of a message, which is the same in all processes. A process delivers
the messages of a stream in the order of the stream, its own ones too: otherwise a client that has
the position of a message may lack an earlier message of another process, and would never get it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from typing import Any, Final, NamedTuple

import txredisapi
from twisted.internet.defer import Deferred, succeed

from .bus import (
    MOST_MESSAGE_BYTES,
    MOST_MESSAGES,
    MOST_TOPIC_BYTES,
    UNKNOWN,
    BusMessage,
    Past,
    Receive,
)
from .envelope import Published, opened
from .failures import subscriberFailed
from .paced_work import PacedWork
from .reach import Reach
from .redis_connection import REPLY_SECONDS, RedisConnection

WAIT_SECONDS: Final = 1.0
"""Seconds until a message that the server does not acknowledge is delivered in this process."""

_TICK_SECONDS: Final = WAIT_SECONDS / 4
"""Seconds between two looks for such messages. They wait for a number of looks, between which the
process reads replies: a process that sends 100 messages to 1,000 members reads nothing for
seconds, and a message that is delivered before the reader has it is out of the stream's order."""

_ACKNOWLEDGED_SECONDS: Final = REPLY_SECONDS
"""Seconds until a message that the server has acknowledged is delivered in this process, although
the reader does not get it: the server has dropped it before."""

_FIELD: Final = b"m"
"""Field of a stream's entry that has the message."""

_STREAM_MESSAGES: Final = 10 * MOST_MESSAGES
"""Messages of a topic that the server keeps, more than a history has: a process that reads slowly
for a moment would otherwise lose the messages of a burst."""

_FIRST_MESSAGES: Final = 8
"""Messages of the first question for a history: 100 could have 100 MiB, for a history of 256
KiB."""

_BLOCK_MILLISECONDS: Final = 5000
_AGAIN_SECONDS: Final = 1.0
_KEPT_SECONDS: Final = 24 * 3600
"""Seconds after which the server drops a stream without new messages, at the latest an hour
more."""

_END_OF_STREAM: Final = b"""
local found = redis.call(ARGV[1], KEYS[1], ARGV[2], ARGV[3], 'COUNT', 1)
return found[1] and found[1][1] or '0-0'
"""
"""A script that returns the id of the last or the first entry of a stream. XREVRANGE itself would
send the entry, too, which may have hundreds of megabytes; so would XINFO STREAM."""

_RENEW_SECONDS: Final = 3600.0
_BEGINNING: Final = b"0-0"

Send = Callable[..., Deferred[Any]]


class _HistoryQuestion:
    """
    A caller that has asked for the history.

    :ivar answered: fires with the history; with ``None`` where the server did not answer.
    :ivar early: positions of messages of this process that the subscriber got in the meantime,
        before they have come back from the server. The history has them by another position.
    """

    def __init__(self) -> None:
        self.answered: Deferred[list[_HistoryEntry] | None] = Deferred()
        self.early: set[str] = set()


@dataclass
class _Stream:
    """
    A topic.

    :ivar topic: name of the topic.
    :ivar receive: gets each message.
    :ivar found: fires when the end of the stream was looked up.
    :ivar last: id of the last entry that was delivered; ``None`` before it was looked up.
    :ivar renewed: when the time to live of the stream was set.
    :ivar asking: whether the history was asked for.
    :ivar isTooLong: whether a reply with the history was too long. It is not asked for again: each
        client that joins would end the connection.
    :ivar waiting: callers that get the history of the next question. One answer serves many: of
        5,000 members that join at once, each would otherwise ask for 256 KiB.
    :ivar asked: all callers that have no answer yet.
    """

    topic: str
    receive: Receive
    found: Deferred[None] = field(default_factory=Deferred)
    last: bytes | None = None
    renewed: float | None = None
    asking: bool = False
    isTooLong: bool = False
    waiting: list[_HistoryQuestion] = field(default_factory=list)
    asked: dict[_HistoryQuestion, None] = field(default_factory=dict)

    def getsEarly(self, position: str) -> None:
        """Take a message that the subscriber gets now, and that the history will have."""
        for each in self.asked:
            each.early.add(position)


class _HistoryEntry(NamedTuple):
    """
    An entry of a history.

    :ivar message: the message, with the id of the entry.
    :ivar own: position that this process has given to its message; ``None`` for a message of
        another process.
    """

    message: BusMessage
    own: str | None


@dataclass
class _Own:
    """
    A message of this process that has not come back yet.

    :ivar tick: number of the last look before the message was sent.
    :ivar isAdded: whether the server has acknowledged the message, so that the reader gets it.
    :ivar isLost: whether the server has not taken the message. It is delivered after those before
        it, which may still come back: a publisher's messages stay in order.
    """

    topic: str
    message: BusMessage
    publisher: object
    delivered: Deferred[str]
    tick: int
    isAdded: bool = False
    isLost: bool = False


class RedisStreams:
    """The streams that a process reads and writes."""

    def __init__(
        self,
        clock: Any,
        node: str,
        commands: RedisConnection,
        reader: RedisConnection,
        reach: Reach,
        most: int = MOST_MESSAGE_BYTES,
    ) -> None:
        """
        :param clock: the reactor.
        :param node: name of this process.
        :param commands: connection for commands that do not block.
        :param reader: connection for the command that waits for new entries.
        :param reach: counters.
        :param most: most bytes of a message.
        """
        self._clock = clock
        self._sender = node.encode("ascii")
        self._commands = commands
        self._reader = reader
        self._reach = reach
        self._most = most
        self._streams: dict[str, _Stream] = {}
        self._own: dict[str, _Own] = {}  # by the local position, the oldest first
        self._ticks = 0
        self._topicsWithLost: set[str] = set()
        self._timer: Any = None
        self._again: Any = None
        self._first: Any = None
        self._unread: deque[tuple[_Stream, bytes, list[bytes]]] = deque()  # stream, id and fields
        self._paced = PacedWork(clock, self._deliverUnread)
        # The reader waits for entries of the topics that it knew when it began to wait. An entry of
        # this stream ends the wait. CLIENT UNBLOCK could come before the wait has begun.
        self._bell = f"txhixie:topics:{node}"
        self._rung = _BEGINNING

    def __contains__(self, topic: str) -> bool:
        return topic in self._streams

    def subscribe(self, topic: str, receive: Receive) -> Deferred[None]:
        """Read a stream from its end."""
        stream = self._streams[topic] = _Stream(topic, receive)
        if self._commands.protocol is not None:
            self._find(topic)
        return stream.found

    def unsubscribe(self, topic: str) -> None:
        """Read a stream no longer."""
        stream = self._streams.pop(topic, None)
        if stream is None:
            return
        self._settleAll(topic, stream)
        self._answer(stream, [])
        if not stream.found.called:
            stream.found.callback(None)

    def stop(self) -> None:
        """Read no stream, so that each Deferred fires."""
        self._paced.finish()
        for topic in tuple(self._streams):
            self.unsubscribe(topic)
        for timer in (self._timer, self._again, self._first):
            if timer is not None and timer.active():
                timer.cancel()

    # Reading.

    def begin(self) -> None:
        """Look up the ends of the streams, before the histories: commands can be sent."""
        for topic, stream in self._streams.items():
            if stream.last is None:
                self._find(topic)
        self.askHistories()

    def _find(self, topic: str) -> None:
        """Look up the end of a stream."""
        stream = self._streams[topic]

        def found(entry: bytes) -> None:
            self._found(topic, stream, entry)

        def failed(failure: Any) -> None:
            if failure.check(txredisapi.ConnectionError) is None and not stream.found.called:
                stream.found.errback(failure)

        self._endOf(topic, "XREVRANGE", "+", "-").addCallbacks(found, failed)

    def _endOf(self, topic: str, command: str, first: str, last: str) -> Deferred[Any]:
        """Ask for the id of the last or the first entry of a stream; ``0-0`` for an empty one."""
        return self._command("EVAL", _END_OF_STREAM, 1, topic.encode(), command, first, last)

    def _found(self, topic: str, stream: _Stream, last: bytes) -> None:
        """Read a stream from an entry on, unless it is read already."""
        if self._streams.get(topic) is stream and stream.last is None:
            stream.last = last
            self._ring()
            if not stream.found.called:
                stream.found.callback(None)

    def _ring(self) -> None:
        ring = self._command("XADD", self._bell, "MAXLEN", 1, "*", _FIELD, b"")
        ring.addErrback(lambda _: None)  # without a connection the reader begins anew
        self._command("EXPIRE", self._bell, 60).addErrback(lambda _: None)

    def read(self) -> None:
        """Wait for further entries of all streams."""
        if self._commands.protocol is not None:
            for topic, stream in self._streams.items():
                if stream.last is None and not stream.found.called:
                    self._find(topic)
        if (protocol := self._reader.protocol) is None:
            return
        known = {
            topic: stream.last for topic, stream in self._streams.items() if stream.last is not None
        }
        keys = [self._bell, *known]
        waited: Deferred[Any] = protocol.execute_command(
            *("XREAD", "BLOCK", _BLOCK_MILLISECONDS, "COUNT", MOST_MESSAGES, "STREAMS"),
            *(key.encode() for key in keys),
            *(self._rung, *known.values()),
        )
        waited.addCallbacks(self._got, self._notRead)
        waited.addErrback(self._internal)

    def readAgain(self) -> None:
        """Read on where the connection of the reader has ended before: it can be used again."""
        for own in self._own.values():
            own.isAdded = False  # the server may have lost it
        if not self._paced.isLeft:  # otherwise it reads on after the entries that it has
            self.read()

    def _got(self, streams: list[Any] | None) -> None:
        for key, entries in streams or ():
            topic = key.decode()
            if topic == self._bell:
                self._rung = entries[-1][0]
            elif (stream := self._streams.get(topic)) is not None:
                if len(entries) == MOST_MESSAGES:
                    self._lookForGap(topic, stream, entries[0][0])
                self._unread += [(stream, *entry) for entry in entries]
        self._paced.go()

    def _deliverUnread(self, until: float) -> bool:
        """Deliver entries until a time, and then read on; return whether some are left."""
        while self._unread:
            stream, entry, fields = self._unread.popleft()
            if self._streams.get(stream.topic) is stream:
                stream.last = entry
                self._deliver(stream, self._read(entry, fields))
            if self._unread and self._clock.seconds() >= until:
                return True
        self.read()
        return False

    def _lookForGap(self, topic: str, stream: _Stream, first: bytes) -> None:
        """
        Count a gap if the server has dropped entries that were not read.

        :param first: the id of the first entry that was read after ``stream.last``. If it is the
            oldest of the stream, those before were dropped.
        """
        if stream.last == _BEGINNING:
            return

        def found(entry: bytes) -> None:
            if entry == _BEGINNING or _number(entry) >= _number(first):
                self._reach.gaps += 1

        oldest = self._endOf(topic, "XRANGE", "-", "+")
        oldest.addCallback(found).addErrback(lambda _: None)

    def skip(self) -> None:
        """Go on at the ends of the streams: the entries before are too long for one reply."""
        self._reach.gaps += 1
        self._lookUpAgain()

    def giveUpHistories(self) -> None:
        """Ask no more for the histories that were asked for: one of them is too long."""
        for stream in self._streams.values():
            stream.isTooLong = stream.isTooLong or stream.asking

    def _notRead(self, failure: Any) -> None:
        """Read again later, without the keys that are no streams any more."""
        if failure.check(txredisapi.ConnectionError) is not None:
            return
        self._reach.failed("the server of the bus refused to read streams", failure)
        self._lookUpAgain()
        self._again = self._clock.callLater(_AGAIN_SECONDS, self.read)

    def _lookUpAgain(self) -> None:
        """Let the next reading look up the ends of the streams."""
        for stream in self._streams.values():
            stream.last = None
            if stream.found.called:
                stream.found = Deferred()
                stream.found.addErrback(lambda _: None)

    def _internal(self, failure: Any) -> None:
        self._reach.failed("internal error, please report it: streams", failure)

    def _read(self, entry: bytes, fields: list[bytes]) -> Published | None:
        """Read an entry; ``None`` for one without a message."""
        values = dict(zip(fields[::2], fields[1::2], strict=False))
        position = partial(entry.decode, "ascii")
        published = opened(values[_FIELD], position, self._most) if _FIELD in values else None
        if published is None:
            self._reach.strange += 1
        return published

    def _deliver(self, stream: _Stream, published: Published | None) -> None:
        if published is None or stream.last is None:
            return
        position = stream.last.decode("ascii")
        node, message = published
        if node == self._sender:
            if message.position in self._own:
                self._settle(message.position, position, stream)
                if stream.topic in self._topicsWithLost:
                    self._settleLost(stream.topic)
            return
        self._give(stream, message._replace(position=position), None)

    def _give(self, stream: _Stream, message: BusMessage, publisher: object) -> None:
        try:
            stream.receive(message, publisher)
        except Exception:
            subscriberFailed(stream.topic)

    # Publishing.

    def publish(
        self, topic: str, message: BusMessage, publisher: object, send: Send | None
    ) -> Deferred[str]:
        """
        Add a message to a stream, and deliver it when it comes back.

        :param topic: a topic with a subscription.
        :param message: the message, with a position of this process.
        :param send: sends a message as the last word of a command; ``None`` to deliver the message
            in this process only.
        :return: fires with the position of the message, when the message was delivered in this
            process. If the message does not come back, this position is not known to the server.
        """
        stream, position = self._streams[topic], message.position
        isRead = stream.last is not None and self._reader.protocol is not None
        if send is not None:
            key = topic.encode()
            sent = send(message, "XADD", key, "MAXLEN", "~", _STREAM_MESSAGES, "*", _FIELD)
            sent.addCallbacks(
                lambda _: self._added(position), lambda failure: self._notAdded(position, failure)
            )
            self._keep(key, stream)
        if send is None or not isRead:
            self._settleAll(topic)  # the order of a publisher's messages
            if send is not None:
                stream.getsEarly(position)
            self._give(stream, message, publisher)
            return succeed(position)
        delivered: Deferred[str] = Deferred()
        self._own[position] = _Own(topic, message, publisher, delivered, self._ticks)
        if self._timer is None:
            self._timer = self._clock.callLater(_TICK_SECONDS, self._sweep)
        return delivered

    def _keep(self, key: bytes, stream: _Stream) -> None:
        now = self._clock.seconds()
        if stream.renewed is None or now - stream.renewed > _RENEW_SECONDS:
            stream.renewed = now
            self._command("EXPIRE", key, _KEPT_SECONDS).addErrback(lambda _: None)

    def _added(self, position: str) -> None:
        if (own := self._own.get(position)) is not None:
            own.isAdded = True

    def _notAdded(self, position: str, failure: Any) -> None:
        self._reach.lost += 1
        if failure.check(txredisapi.ConnectionError) is None:
            self._reach.failed("the server of the bus refused a message", failure)
        if (own := self._own.get(position)) is not None:
            own.isLost = True
            self._topicsWithLost.add(own.topic)
            self._settleLost(own.topic)

    def _settleLost(self, topic: str) -> None:
        """Deliver the lost messages of a topic, up to one that may still come back."""
        for position, own in tuple(self._own.items()):
            if own.topic == topic:
                if not own.isLost:
                    return
                self._settle(position, None)
        self._topicsWithLost.discard(topic)

    def _settle(self, position: str, entry: str | None, stream: _Stream | None = None) -> None:
        """Deliver a message of this process, with the stream's id if it has one."""
        own = self._own.pop(position, None)
        if own is None:
            return
        message = own.message if entry is None else own.message._replace(position=entry)
        stream = stream or self._streams.get(own.topic)
        if stream is not None:
            if entry is None:
                stream.getsEarly(position)
            self._give(stream, message, own.publisher)
        own.delivered.callback(message.position)

    def _settleAll(self, topic: str, stream: _Stream | None = None) -> None:
        """Deliver the messages of a topic that did not come back."""
        for position, own in tuple(self._own.items()):
            if own.topic == topic:
                self._settle(position, None, stream)

    def _sweep(self) -> None:
        """Deliver the messages that did not come back in time."""
        self._timer = None
        self._ticks += not self._unread  # which may have the messages
        late = self._sentBefore(WAIT_SECONDS)
        if self._reader.protocol is not None and all(own.isAdded for own in late.values()):
            late = self._sentBefore(_ACKNOWLEDGED_SECONDS)
        for position in late:
            self._settle(position, None)
        for topic in tuple(self._topicsWithLost):
            self._settleLost(topic)
        if self._own and self._timer is None:
            self._timer = self._clock.callLater(_TICK_SECONDS, self._sweep)

    def _sentBefore(self, seconds: float) -> dict[str, _Own]:
        """The messages that wait for so long, the oldest first."""
        last = self._ticks - seconds / _TICK_SECONDS
        return dict(takewhile(lambda item: item[1].tick < last, self._own.items()))

    # The history.

    def since(self, topic: str, position: str | None) -> Deferred[Past]:
        """Return the last messages of a stream after a position; without the server, none."""
        stream = self._streams[topic]
        if stream.isTooLong:
            return succeed(UNKNOWN)
        asked = _HistoryQuestion()
        stream.waiting.append(asked)
        stream.asked[asked] = None
        if self._commands.protocol is None and self._reach.up is None:
            # A worker that was started again has clients before its first connection: these get
            # what they ask for.
            if self._first is None:
                self._first = self._clock.callLater(WAIT_SECONDS, self.askHistories)
        elif not stream.asking:
            self._askHistory(topic, stream)

        def answer(entries: list[_HistoryEntry] | None) -> Past:
            del stream.asked[asked]
            if entries is None:
                return UNKNOWN
            past = _past([each.message for each in entries], position)
            first = {
                each.message.position
                for each in entries
                if self._isDelivered(stream, each) and each.own not in asked.early
            }
            messages = [each for each in past.messages if each.position in first]
            return past._replace(messages=tuple(messages))

        return asked.answered.addCallback(answer)

    def _isDelivered(self, stream: _Stream, entry: _HistoryEntry) -> bool:
        """
        Whether the subscriber has got the message of an entry; otherwise it will get it.

        The entries come by two connections: a history may have a message before the reader has it,
        and a client that joins would get it twice.
        """
        if entry.own is not None:
            return entry.own not in self._own
        position = entry.message.position.encode()
        return stream.last is None or _number(position) <= _number(stream.last)

    def askHistories(self) -> None:
        """Ask for the histories for which the first connection was waited for."""
        for topic, stream in tuple(self._streams.items()):
            if stream.waiting and not stream.asking:
                self._askHistory(topic, stream)

    def _askHistory(self, topic: str, stream: _Stream) -> None:
        waiting, stream.waiting, stream.asking = stream.waiting, [], True

        def done(messages: Any) -> None:
            stream.asking = False
            found: list[_HistoryEntry] | None = messages if isinstance(messages, list) else None
            if found:
                # The members have these messages, and those after them come from the reader.
                self._found(topic, stream, found[-1].message.position.encode())
            if stream.waiting:
                self._askHistory(topic, stream)
            for each in waiting:
                each.answered.callback(found)

        asked = Deferred.fromCoroutine(self._newest(topic.encode()))
        asked.addBoth(done).addErrback(self._internal)

    async def _newest(self, key: bytes) -> list[_HistoryEntry]:
        """Read the newest messages of a stream, within the bounds; return the oldest first."""
        messages: list[_HistoryEntry] = []
        end, count, size, seen = b"+", _FIRST_MESSAGES, 0, 0
        while seen < MOST_MESSAGES:
            entries = await self._command("XREVRANGE", key, end, "-", "COUNT", count)
            for entry, fields in entries:
                published = self._read(entry, fields)
                if published is not None:
                    node, read = published
                    message = read._replace(position=entry.decode("ascii"))
                    size += len(message.payload)
                    if size > MOST_TOPIC_BYTES:
                        return messages[::-1]
                    own = read.position if node == self._sender else None
                    messages.append(_HistoryEntry(message, own))
            seen += len(entries)
            if len(entries) < count:
                break
            end = b"(" + entries[-1][0]
            # As many as have room if they are as long as those before, so that a reply is short.
            room = (MOST_TOPIC_BYTES - size) * seen // max(1, size)
            count = max(1, min(MOST_MESSAGES - seen, room + 1))
        return messages[::-1]

    def _answer(self, stream: _Stream, messages: list[_HistoryEntry]) -> None:
        waiting, stream.waiting = stream.waiting, []
        for each in waiting:
            each.answered.callback(messages)

    def _command(self, *words: object) -> Deferred[Any]:
        """Send a command; fails as txredisapi does, also without a connection."""
        if (protocol := self._commands.protocol) is None:
            failed: Deferred[Any] = Deferred()
            failed.errback(txredisapi.ConnectionError("Not connected"))
            return failed
        asked: Deferred[Any] = protocol.execute_command(*words)
        return asked


def _number(entry: bytes) -> tuple[int, ...]:
    """The id of an entry as numbers, which have its order."""
    return tuple(map(int, entry.split(b"-")))


def _past(messages: list[BusMessage], position: str | None) -> Past:
    """Return the messages after a position; all messages if the position is not among them."""
    if position is None:
        return Past(tuple(messages), True)
    for number, message in enumerate(messages, 1):
        if message.position == position:
            return Past(tuple(messages[number:]), True)
    return Past(tuple(messages), False)
