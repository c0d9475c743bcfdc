"""A member of a topic that counts the members, for tests."""

from __future__ import annotations

from typing import Any

from txhixie.hub.joining import Joining
from txhixie.hub.topic import Topic


class CountedMember:
    """
    A member of a topic, which keeps the numbers of members that it gets.

    :ivar told: the numbers.
    """

    def __init__(self, topic: Topic, wantsPresence: bool) -> None:
        self.wantsPresence = wantsPresence
        self.told: list[int] = []
        self.backlog, self.skipped = (), 0
        self.joining, self.transport = Joining(presence=wantsPresence), None
        self._topic = topic
        topic.join(self)

    def hear(self, delivered: Any) -> None:
        """Fail: no member gets a report."""
        raise AssertionError(delivered.message)

    def missed(self, outcome: int) -> None:
        """Fail: nothing is sent to this member."""
        raise AssertionError(outcome)

    def tellMembers(self) -> None:
        """Keep the number of members."""
        self.told.append(self._topic.members)

    def leave(self) -> None:
        """Leave the topic."""
        self._topic.leave(self)
