"""Presence: the number of members of a topic at all processes on a bus."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ..bus.bus import MOST_MESSAGE_BYTES, Bus, BusMessage
from .member_counts import MemberCounts
from .presence_report import (
    COUNT_BYTES,
    HEAD_BYTES,
    PRESENCE_TOPIC,
    Count,
    PresenceReport,
    decode_report,
)

REPEAT_SECONDS: Final = 10.0
"""Seconds after which a process repeats its counts: a message of a bus may be lost."""

_INTERVAL: Final = 1.0
"""Least seconds between two times when a process reports."""

_MOST_INTERVAL: Final = 10.0

_MOST_REPORTING: Final = 50
"""Processes that report once a second. With more processes each reports less often, so that all of
them together publish about 50 reports a second, which all of them get."""

_MOST_COUNTS: Final = 100
"""Most counts of one report."""


class CountedTopic(Protocol):
    """A topic of this process, as the presence sees it."""

    @property
    def key(self) -> str:
        """Key of the topic in reports."""
        ...

    def __len__(self) -> int:
        """Return the number of members in this process."""
        ...

    @property
    def isWatched(self) -> bool:
        """Whether a member asks for the number of all members."""
        ...

    def othersChanged(self) -> None:
        """Take another number of members at other processes."""


class Presence:
    """
    The members of topics at all processes on a bus.

    The processes report their numbers to each other by messages of a hidden topic, and only for
    topics with a member, of any process, that asks for the number. Such numbers are repeated every
    10 seconds, and are valid for 30 seconds. While the bus is down, there are no other processes.
    """

    _log = Logger()

    def __init__(
        self, bus: Bus, clock: Any, node: str, mostBytes: int = MOST_MESSAGE_BYTES
    ) -> None:
        """
        :param bus: the bus.
        :param clock: the reactor.
        :param node: name of this process, unique on the bus, in ASCII.
        :param mostBytes: most bytes of a message of the bus.
        """
        self._bus = bus
        self._clock = clock
        self._node = node
        self._most = max(1, min(_MOST_COUNTS, (mostBytes - HEAD_BYTES) // COUNT_BYTES))
        self._topics: dict[str, CountedTopic] = {}  # those with members in this process, by key
        self._counts = MemberCounts()
        self._reported: dict[str, None] = {}  # topics of which others know members here
        self._due: dict[str, None] = {}  # topics to report
        self._isSubscribed = False
        self._isHearing = False  # whether the subscription is confirmed
        self._wasUp = True
        self._wasUnreadable = False
        self._last = float("-inf")  # when the last report was published
        self._repeatsAt = float("-inf")
        self._timer: IDelayedCall | None = None

    def othersOf(self, key: str) -> int:
        """Return the number of members of a topic at other processes; 0 while the bus is down."""
        return self._counts.members_of(key) if self._bus.up else 0

    def changed(self, topic: CountedTopic) -> None:
        """Take a change of the members of a topic of this process, or of those that ask."""
        if not self._bus.isShared:
            return
        key = topic.key
        if len(topic):
            self._topics[key] = topic
            self._subscribe()
        else:
            self._topics.pop(key, None)
        if topic.isWatched or key in self._reported or self._counts.is_watched(key):
            self._report(key)

    def stop(self) -> None:
        """Tell the other processes that this one has no members any more."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if not self._isSubscribed:
            return
        if self._reported and self._bus.up:
            self._publish(PresenceReport(self._node, None))
        self._bus.unsubscribe(PRESENCE_TOPIC)
        self._isSubscribed = self._isHearing = False
        for state in (self._topics, self._due, self._reported):
            state.clear()
        self._counts.clear()

    # The bus.

    def _subscribe(self) -> None:
        """Hear the other processes, from the first member of any topic on."""
        if self._isSubscribed:
            return
        self._isSubscribed = True

        def subscribed(_: object) -> None:
            # Not before: an answer to the first report would be lost.
            self._isHearing = True
            self._begin()
            if self._due:
                self._plan()

        subscribing = self._bus.subscribe(PRESENCE_TOPIC, self._receive, False)
        subscribing.addCallback(subscribed).addErrback(self._failed)

    def _failed(self, failure: Any) -> None:
        self._log.failure("the bus failed for numbers of members", failure)

    def _receive(self, message: BusMessage, publisher: object) -> None:
        if publisher is self or not self._isSubscribed:
            return
        try:
            report = decode_report(message.payload)
        except ValueError as error:
            if not self._wasUnreadable:
                self._wasUnreadable = True
                self._log.warn(
                    "the bus has messages of another program in the topic {topic!r}, which are"
                    " ignored: {error}",
                    topic=PRESENCE_TOPIC,
                    error=error,
                )
            return
        if report.node == self._node:
            return
        if report.counts == ():
            self._repeat()
            self._plan()
        changes = self._counts.take(report, self._clock.seconds())
        self._tell(changes.counted)
        for key in changes.asked:
            if key in self._topics:
                self._report(key)
        if self._timer is None:
            self._timer = self._clock.callLater(self._interval, self._tick)

    def _publish(self, report: PresenceReport) -> None:
        published = self._bus.publish(PRESENCE_TOPIC, report.encode(), True, self)
        published.addErrback(self._failed)

    # Reports.

    @property
    def _interval(self) -> float:
        return min(_MOST_INTERVAL, max(_INTERVAL, self._counts.nodes / _MOST_REPORTING))

    def _report(self, key: str) -> None:
        self._due[key] = None
        if self._isHearing:
            self._plan()

    def _plan(self) -> None:
        """Report as soon as the interval since the last time has passed."""
        now = self._clock.seconds()
        delay = max(0.0, self._last + self._interval - now)
        if self._timer is None:
            self._timer = self._clock.callLater(delay, self._tick)
        elif self._timer.getTime() > now + delay:
            self._timer.reset(delay)

    def _tick(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        self._lookAtBus()
        self._tell(self._counts.expire(now))
        if now >= self._repeatsAt:
            self._repeatsAt = now + REPEAT_SECONDS
            self._repeat()
        if self._due and self._wasUp:
            self._last = now
            self._publishDue()
        if self._due or self._reported or len(self._counts):
            self._timer = self._clock.callLater(self._interval, self._tick)

    def _lookAtBus(self) -> None:
        """Begin anew after an outage of the bus: the other processes do so, too."""
        isUp = self._bus.up
        if isUp == self._wasUp:
            return
        self._wasUp = isUp
        if isUp:
            self._begin()
        else:
            self._tell(self._counts.clear())

    def _begin(self) -> None:
        """Have the other processes repeat their reports: the reports until now were not heard."""
        if self._bus.up:
            self._publish(PresenceReport(self._node, ()))
        self._repeat()

    def _repeat(self) -> None:
        self._due.update(self._reported)

    def _publishDue(self) -> None:
        due, self._due = self._due, {}
        counts = [count for key in due if (count := self._countOf(key)) is not None]
        for start in range(0, len(counts), self._most):
            self._publish(PresenceReport(self._node, tuple(counts[start : start + self._most])))

    def _countOf(self, key: str) -> Count | None:
        """Return the count of a topic to report, unless no process asks for it."""
        topic = self._topics.get(key)
        count = Count(key, 0, False) if topic is None else Count(key, len(topic), topic.isWatched)
        wasReported = key in self._reported
        if count.members and (count.is_watched or self._counts.is_watched(key)):
            self._reported[key] = None
            return count
        self._reported.pop(key, None)
        # Once more, for the others to know that no member here asks, or that none is left.
        return count if wasReported else None

    def _tell(self, keys: Iterable[str]) -> None:
        for key in keys:
            if (topic := self._topics.get(key)) is not None:
                topic.othersChanged()
