"""A bus of several processes in memory, for tests with a clock."""

from __future__ import annotations

from itertools import count
from typing import Final

from twisted.internet.defer import Deferred, succeed

from txhixie.bus.bus import BusMessage, Past, Receive


class SharedBus:
    """
    One of several processes on a bus.

    :ivar up: whether the bus reaches the others; the test changes it.
    :ivar published: topics and payloads of what this process has published.
    """

    reach = None
    isShared = True
    historySize = 0

    def __init__(self, others: list[SharedBus]) -> None:
        """:param others: the processes on the bus, to which this one is added."""
        self.up = True
        self.published: list[tuple[str, bytes]] = []
        self.subscribers: dict[str, Receive] = {}
        self._all: Final = others
        self._numbers = count(1)
        others.append(self)

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> Deferred[None]:
        """Leave the bus."""
        self.up = False
        self._all.remove(self)
        return succeed(None)

    def subscribe(self, topic: str, receive: Receive, history: bool) -> Deferred[None]:
        """Subscribe to a topic."""
        self.subscribers[topic] = receive
        return succeed(None)

    def unsubscribe(self, topic: str) -> None:
        """End a subscription."""
        self.subscribers.pop(topic, None)

    def publish(
        self, topic: str, payload: bytes, is_text: bool, publisher: object = None
    ) -> Deferred[str]:
        """Deliver a message at once."""
        self.published.append((topic, payload))
        message = BusMessage(f"{next(self._numbers)}", is_text, payload)
        for each in self._all:
            if each is self or (each.up and self.up):
                receive = each.subscribers.get(topic)
                if receive is not None:
                    receive(message, publisher if each is self else None)
        return succeed(message.position)

    def since(self, topic: str, position: str | None) -> Deferred[Past]:
        """Return nothing: the bus keeps no history."""
        return succeed(Past((), position is None))
