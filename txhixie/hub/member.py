"""A member of a topic: the application of one connection to the hub."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from ..bus.bus import MOST_MESSAGES, MOST_TOPIC_BYTES, Past
from ..interfaces import WebSocketTransport
from ..sansio.prepared_message import SLOW, WAITING, PreparedMessage
from ..sansio.wire.frame import CloseCode
from .delivery import Delivered
from .joining import Joining
from .objects import members_object, missed_object, skipped_object
from .topic import Topic

_MAY_NOT: Final = "publishing is not allowed"


@implementer(IPushProducer)
class Member:
    """
    Application that takes part in one topic.

    Until the earlier messages have been sent, new messages wait behind them: at most as many as a
    history has. Of those that exceed this bound, the oldest are skipped.

    :ivar backlog: messages that have to be sent before new ones; ``None`` without any.
    :ivar skipped: number of messages that the member was not sent, and that it does not know of.
    :ivar joining: how the member takes part in the topic.
    :ivar transport: connection of the member.
    """

    __slots__ = (
        "_isFull",
        "_isWaiting",
        "_owesMembers",
        "_size",
        "_toldMembers",
        "_topic",
        "backlog",
        "joining",
        "skipped",
        "transport",
    )

    def __init__(self, topic: Topic, joining: Joining) -> None:
        """
        :param topic: the topic.
        :param joining: how the member takes part in it.
        """
        self._topic = topic
        self.joining = joining
        self.transport: Any = None
        self.backlog: deque[Delivered] | None = deque()
        self._size = 0  # bytes of the messages in the backlog
        self._isFull = False
        self._isWaiting = False  # whether the newest message waits until the buffer has drained
        self.skipped = 0
        self._owesMembers = False  # whether the number of members was not sent
        self._toldMembers = 0  # the last number of members that was sent

    @property
    def wantsPresence(self) -> bool:
        """Whether the member gets the number of members."""
        return self.joining.presence

    @property
    def heldBytes(self) -> int:
        """
        Number of bytes that wait for the member, for the ceiling of all connections.

        Members may share the messages that wait, and each counts all of them: which bytes the end
        of one connection frees depends on the other members, and on whether the history still has
        the message. So the ceiling is reached early and not late: 800 members that do not read
        their history of 256 KiB count as 200 MiB, where their write buffers and one history are 50
        MiB.
        """
        return self._size

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """Register this application as the producer that a full transport pauses."""
        self.transport = transport
        transport.attachProducer(self)

    def negotiationFinished(self) -> None:
        """Join the topic, and ask for its earlier messages."""
        topic, joining = self._topic, self.joining
        topic.join(self)
        if joining.history or joining.since is not None:
            topic.since(joining.since).addCallback(self._begin)
        else:
            self._begin(Past((), True))

    def _begin(self, past: Past) -> None:
        """Send the earlier messages, before those that were published meanwhile."""
        if self.transport is None or (waiting := self.backlog) is None:
            return
        messages = past.messages
        if self.joining.since is None or not past.is_whole:
            messages = messages[-self.joining.history :] if self.joining.history else ()
        if not past.is_whole and self.joining.as_objects:
            self._send(missed_object())
        known = {message.position for message in past.messages}
        if waiting and waiting[0].message.position in known:
            self.skipped = 0  # those that exceeded the bound are among the earlier messages
        new = [each for each in waiting if each.message.position not in known]
        self.backlog, self._size = deque(), 0
        for each in (*map(Delivered, messages), *new):
            self._put(self.backlog, each)
        if self.wantsPresence:
            self.tellMembers()
        self._sendBacklog()

    def _put(self, backlog: deque[Delivered], delivered: Delivered) -> Callable[[], None] | None:
        """
        Add a message to the backlog, and skip the oldest ones that exceed its bounds.

        :return: as :meth:`hear`.
        """
        backlog.append(delivered)
        self._size += len(delivered.message.payload)
        close = None
        while len(backlog) > MOST_MESSAGES or self._size > MOST_TOPIC_BYTES:
            oldest = backlog.popleft()
            self._size -= len(oldest.message.payload)
            close = self._skip(oldest) or close
        return close

    def _skip(self, oldest: Delivered) -> Callable[[], None] | None:
        """Skip the oldest message of the backlog, as the write buffer is full; see :meth:`hear`."""
        if not self._isFull:  # the earlier messages have not come yet, or there are too many
            self.skipped += 1
            return None
        # With "newest" too: what waits in the backlog is newer.
        slow = "close" if self.joining.slow == "close" else "skip"
        return self.missed(self.transport.sendPrepared(self._form(oldest), slow))

    def _form(self, delivered: Delivered) -> PreparedMessage:
        return delivered.object if self.joining.as_objects else delivered.plain

    def _sendBacklog(self) -> None:
        backlog = self.backlog
        while backlog and not self._isFull:
            delivered = backlog.popleft()
            self._size -= len(delivered.message.payload)
            self.hear(delivered, isFromBacklog=True)
        if not backlog:
            self.backlog = None

    def hear(self, delivered: Delivered, isFromBacklog: bool = False) -> Callable[[], None] | None:
        """
        Send a new message of the topic, unless earlier messages have to be sent first.

        :param isFromBacklog: whether the message is the next one of the backlog. One method for
            both, since each call that a message takes is made for each of 5,000 members.
        :return: a function that closes the connection of a slow member, to be called when all other
            members have the message; usually ``None``.
        """
        if self.backlog is not None and not isFromBacklog:
            return self._put(self.backlog, delivered)
        if self.skipped and not self._isFull:
            self._tellSkipped()
        joining = self.joining
        message = delivered.object if joining.as_objects else delivered.plain
        outcome = self.transport.sendPrepared(message, joining.slow)
        return self.missed(outcome) if outcome else None

    def missed(self, outcome: int) -> Callable[[], None] | None:
        """Count a message that was not sent; see :meth:`hear`."""
        if outcome == SLOW:
            close: Callable[[], None] = self.transport.closeSlow
            return close
        if outcome == WAITING and not self._isWaiting:
            self._isWaiting = True
        else:
            self.skipped += 1
        return None

    def _tellSkipped(self) -> None:
        if not self.joining.as_objects or self._send(skipped_object(self.skipped)):
            self.skipped = 0

    def tellMembers(self) -> None:
        """Tell the member how many members the topic has, unless it knows."""
        members = self._topic.members
        self._owesMembers = members != self._toldMembers and not self._send(members_object(members))
        if not self._owesMembers:
            self._toldMembers = members

    def _send(self, text: str) -> bool:
        """Send an object of the hub itself; return whether it was sent."""
        return not self.transport.sendPrepared(PreparedMessage(text), "skip")

    def textMessageReceived(self, message: str) -> None:
        """Publish a text message to the topic."""
        self._publish(message.encode(), True)

    def bytesMessageReceived(self, data: bytes) -> None:
        """Publish a binary message to the topic."""
        self._publish(bytes(data), False)

    def _publish(self, payload: bytes, isText: bool) -> None:
        if self.joining.may_publish:
            self._topic.publish(payload, isText, self)
        else:
            self.transport.loseConnection(CloseCode.POLICY_VIOLATION, _MAY_NOT)

    def pongReceived(self, payload: bytes) -> None:
        """Ignore a pong: this application sends no pings."""

    def connectionLost(self, reason: Failure) -> None:
        """Leave the topic."""
        self.backlog = None
        self._size = 0
        self._topic.leave(self)

    def pauseProducing(self) -> None:
        """Stop sending the backlog: the write buffer is full."""
        self._isFull = True

    def newestFollows(self) -> None:
        """Tell the member of messages that the newest one has replaced, before it is sent."""
        self._isFull = self._isWaiting = False
        if self.skipped:
            self._tellSkipped()

    def resumeProducing(self) -> None:
        """Send the backlog: the write buffer has room."""
        self._isFull = self._isWaiting = False
        if self.backlog is not None:
            self._sendBacklog()
        elif self.skipped:
            self._tellSkipped()
        if self._owesMembers and not self._isFull:
            self.tellMembers()

    def stopProducing(self) -> None:
        """Do nothing: ``connectionLost`` follows."""
