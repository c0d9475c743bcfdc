"""A topic of the hub: its members, and its subscription to the bus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ..bus.bus import UNKNOWN, Bus, BusMessage, Past
from ..connection.protocol import HixieProtocol
from ..connection.writer import READS
from .delivery import Delivered
from .joining import Joining
from .presence import Presence
from .presence_report import topic_key

PRESENCE_INTERVAL: Final = 1.0
"""Least seconds between two messages about the number of members: when 5,000 members join within
a second, each of them gets one such message and not 5,000."""

SUBSCRIBE_TIMEOUT: Final = 1.0
"""Most seconds that clients wait for the bus to confirm the subscription to their topic."""


class TopicMember(Protocol):
    """
    A member, as its topic sees it.

    :ivar backlog: messages that have to be sent before new ones; ``None`` without any.
    :ivar skipped: number of messages that the member was not sent, and that it does not know of.
    :ivar joining: how the member takes part in the topic.
    :ivar transport: connection of the member.
    """

    backlog: Any
    skipped: int
    joining: Joining
    transport: Any

    @property
    def wantsPresence(self) -> bool:
        """Whether the member gets the number of members."""
        ...

    def hear(self, delivered: Delivered) -> Callable[[], None] | None:
        """Send a message; return a function that closes the connection of a slow member."""

    def missed(self, outcome: int) -> Callable[[], None] | None:
        """Count a message that was not sent; see :meth:`hear`."""

    def tellMembers(self) -> None:
        """Tell the member how many members the topic has."""


class Topic:
    """
    A topic and its members.

    :ivar name: name of the topic.
    :ivar key: key of the topic in reports of the presence.
    """

    _log = Logger()

    def __init__(
        self,
        name: str,
        bus: Bus,
        presence: Presence,
        clock: Any,
        emptied: Callable[[Topic], object],
        history: bool,
    ) -> None:
        """
        :param name: name of the topic.
        :param bus: the bus that carries the messages.
        :param presence: the members at other processes.
        :param clock: the reactor.
        :param emptied: called when no member is left.
        :param history: whether the bus keeps the last messages.
        """
        self.name = name
        self.key = topic_key(name)
        self._bus = bus
        self._presence = presence
        self._clock = clock
        self._emptied = emptied
        self._members: dict[TopicMember, None] = {}
        self._telling: IDelayedCall | None = None
        self._watching = 0  # members that are told the number of members
        self._hasHistory = history
        self._subscribing: Deferred[None] | None = None  # not confirmed by the bus
        self._waiting: list[Deferred[None]] = []  # clients that wait for it
        self._timeout: IDelayedCall | None = None
        self._subscribe()

    def __len__(self) -> int:
        """Return the number of members in this process."""
        return len(self._members)

    @property
    def members(self) -> int:
        """Number of members at all processes on the bus."""
        return len(self._members) + self._presence.othersOf(self.key)

    @property
    def isWatched(self) -> bool:
        """Whether a member of this process asks for the number of members."""
        return self._watching > 0

    @property
    def isAwaited(self) -> bool:
        """Whether clients wait for the subscription."""
        return bool(self._waiting)

    def _subscribe(self) -> None:
        subscribing = self._bus.subscribe(self.name, self._receive, self._hasHistory)
        self._subscribing = subscribing
        subscribing.addErrback(self._failed).addCallback(self._subscribed, subscribing)

    def _subscribed(self, result: object, subscribing: Deferred[None]) -> None:
        if subscribing is self._subscribing:  # not an earlier one without history
            self._stopWaiting()

    def whenSubscribed(self) -> Deferred[None] | None:
        """
        Wait until the bus delivers the messages of other processes.

        A client that is a member before that would miss what they publish in the meantime.

        :return: fires with ``None`` when the bus has confirmed the subscription, at the latest
            after :data:`SUBSCRIBE_TIMEOUT`; ``None`` if there is nothing to wait for: the bus has
            confirmed it, or does not reach other processes.
        """
        if self._subscribing is None or not self._bus.up:
            return None
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        if self._timeout is None:
            self._timeout = self._clock.callLater(SUBSCRIBE_TIMEOUT, self._stopWaiting)
        return waiting

    def _stopWaiting(self) -> None:
        timeout, self._timeout = self._timeout, None
        if timeout is not None and timeout.active():
            timeout.cancel()
        self._subscribing = None  # also after the timeout: later clients do not wait
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)
        if waiting and not self._members:
            self._emptied(self)  # all waiting clients have disconnected

    def keepHistory(self) -> None:
        """Let the bus keep the last messages from now on, unless the bus keeps them already."""
        if not self._hasHistory:
            self._hasHistory = True
            self._subscribe()

    def join(self, member: TopicMember) -> None:
        """Add a member."""
        self._members[member] = None
        self._watching += member.wantsPresence
        self._changed()

    def leave(self, member: TopicMember) -> None:
        """Remove a member, which may have left before."""
        if member not in self._members:
            return
        del self._members[member]
        self._watching -= member.wantsPresence
        self._changed()
        if not self._members:
            self._emptied(self)

    def since(self, position: str | None) -> Deferred[Past]:
        """Ask the bus for earlier messages; not all are known if the bus fails."""

        def unknown(failure: Any) -> Past:
            self._failed(failure)
            return UNKNOWN

        return self._bus.since(self.name, position).addErrback(unknown)

    def publish(self, payload: bytes, isText: bool, publisher: object = None) -> Deferred[Any]:
        """
        Publish a message to all members but the publisher.

        :return: fires with the position of the message; ``None`` if the bus failed, which is
            logged.
        """
        published: Deferred[Any] = self._bus.publish(self.name, payload, isText, publisher)
        return published.addErrback(self._failed)

    def _failed(self, failure: Any) -> None:
        self._log.failure("the bus failed for topic {topic}", failure, topic=self.name)

    def _receive(self, message: BusMessage, publisher: object) -> None:
        if not self._members:
            return  # a third of what a message of a bus costs in such a topic
        delivered = Delivered(message)
        usual, others = self._grouped(publisher)
        closing: list[Callable[[], None]] = []
        READS.depth += 1  # what "with READS" does, without its calls: 0.4 us of a message
        try:
            for (as_objects, slow), members in usual.items():
                form = delivered.object if as_objects else delivered.plain
                connections = [each.transport for each in members]
                try:
                    missed = HixieProtocol.sendToAll(connections, form, slow)
                    closes = [members[index].missed(why) for index, why in missed.items()]
                    closing += filter(None, closes)
                except Exception:
                    self._memberFailed()
            for each in others:
                try:
                    if (close := each.hear(delivered)) is not None:
                        closing.append(close)
                except Exception:
                    self._memberFailed()
        finally:
            READS.depth -= 1
            if READS.joined:
                READS.flush()
        # After all others have the message, as in a broadcast.
        for close in closing:
            close()

    def _grouped(
        self, publisher: object
    ) -> tuple[dict[tuple[bool, str], list[TopicMember]], list[TopicMember]]:
        """
        Return the members that a message is for.

        :return: those with nothing to be sent before, by the form of the message and by what
            happens if they are slow; and all others.
        """
        usual: dict[tuple[bool, str], list[TopicMember]] = {}
        others: list[TopicMember] = []
        for each in self._members:
            if each is publisher:
                continue
            if each.backlog is None and not each.skipped:
                joining = each.joining
                group = joining.as_objects, joining.slow
                try:
                    usual[group].append(each)
                except KeyError:
                    usual[group] = [each]
            else:
                others.append(each)
        return usual, others

    def _memberFailed(self) -> None:
        what = "internal error, please report it: a member of topic {topic} raised"
        self._log.failure(what, topic=self.name)

    def _changed(self) -> None:
        self._presence.changed(self)
        self.othersChanged()

    def othersChanged(self) -> None:
        """Send the number of all members, a second later, to the members that ask."""
        if not self._watching:
            self._stopTelling()
        elif self._telling is None:
            self._telling = self._clock.callLater(PRESENCE_INTERVAL, self._tellMembers)

    def _tellMembers(self) -> None:
        self._telling = None
        for member in tuple(self._members):
            if member.wantsPresence:
                try:
                    member.tellMembers()
                except Exception:
                    self._memberFailed()

    def _stopTelling(self) -> None:
        telling, self._telling = self._telling, None
        if telling is not None and telling.active():
            telling.cancel()

    def end(self) -> None:
        """End the subscription."""
        self._stopTelling()
        self._stopWaiting()
        self._bus.unsubscribe(self.name)
