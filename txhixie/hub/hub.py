"""The hub: all topics of a process."""

from __future__ import annotations

import secrets
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from ..bus.bus import MOST_MESSAGE_BYTES, Bus
from ..server.admission import WholeLedger
from .presence import Presence
from .topic import Topic


class Hub:
    """
    All topics of a process, on one bus.

    :ivar bus: the bus.
    :ivar ledger: the topics of several processes, which have one limit; ``None`` without any.
    """

    ledger: WholeLedger | None = None

    def __init__(
        self, bus: Bus, clock: Any, node: str | None = None, mostBytes: int = MOST_MESSAGE_BYTES
    ) -> None:
        """
        :param bus: the bus.
        :param clock: the reactor.
        :param node: name of this process for the numbers of members, in ASCII, unique on the bus;
            by default a random one.
        :param mostBytes: most bytes of a message of the bus.
        """
        self.bus = bus
        self._clock = clock
        self._presence = Presence(bus, clock, node or secrets.token_hex(6), mostBytes)
        self._topics: dict[str, Topic] = {}
        self._ending: dict[str, IDelayedCall] = {}  # topics without members
        self._ages: dict[str, float] = {}
        self._asking: dict[str, list[Deferred[bool]]] = {}  # topics that have not begun

    def __len__(self) -> int:
        return len(self._topics)

    @property
    def members(self) -> int:
        """Number of members of all topics in this process."""
        return sum(map(len, self._topics.values()))

    def __contains__(self, name: str) -> bool:
        return name in self._topics

    def mayBegin(self, name: str, most: int) -> bool | Deferred[bool]:
        """
        Whether a topic exists or may begin.

        :param name: name of the topic.
        :param most: most topics, of all processes with the same :attr:`ledger`.
        """
        if name in self._topics:
            return True
        if self.ledger is None:
            return len(self._topics) < most
        asked: Deferred[bool] = Deferred()
        asking = self._asking.setdefault(name, [])
        asking.append(asked)
        if len(asking) == 1:
            self.ledger.ask(name, name, most, None, lambda option: self._decided(name, option))
        return asked

    def _decided(self, name: str, option: str | None) -> None:
        for asked in self._asking.pop(name):
            asked.callback(option is None)
        if name not in self._topics and self.ledger is not None:
            self.ledger.leave(name)  # the clients have left meanwhile

    def topic(self, name: str, age: float, history: bool) -> Topic:
        """
        Return a topic, which is made if it does not exist.

        A topic without members ends after its age, too.

        :param name: name of the topic.
        :param age: seconds after which the topic goes when it has no members.
        :param history: whether the bus keeps the last messages of the topic from now on. A route
            without a history changes nothing: another route to the topic may have one.
        """
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = self._make(name, history)
        elif history:
            topic.keepHistory()
        self._ages[name] = age
        if not len(topic):
            self._emptied(topic)
        return topic

    def _make(self, name: str, history: bool) -> Topic:
        return Topic(name, self.bus, self._presence, self._clock, self._emptied, history)

    def _emptied(self, topic: Topic) -> None:
        name = topic.name
        if self._topics.get(name) is not topic:
            return  # the hub has stopped
        if (ending := self._ending.get(name)) is not None:
            ending.reset(self._ages[name])
        else:
            self._ending[name] = self._clock.callLater(self._ages[name], self._end, topic)

    def _end(self, topic: Topic) -> None:
        del self._ending[topic.name]
        if not len(topic) and not topic.isAwaited:
            del self._topics[topic.name], self._ages[topic.name]
            topic.end()
            if self.ledger is not None:
                self.ledger.leave(topic.name)

    def start(self) -> None:
        """Connect the bus."""
        self.bus.start()

    def stop(self) -> Deferred[None]:
        """End all topics, and then the bus; fires with ``None`` in the end."""
        self._presence.stop()
        for ending in self._ending.values():
            if ending.active():
                ending.cancel()
        topics, self._topics = self._topics, {}
        self._ending.clear()
        self._ages.clear()
        for topic in topics.values():
            topic.end()
        return self.bus.stop()
