"""The last messages of each topic, within bounds for a topic and for all topics together."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

from .bus import MOST_HISTORY_BYTES, MOST_MESSAGES, MOST_TOPIC_BYTES, BusMessage, Past


class _Kept:
    """The kept messages of one topic."""

    __slots__ = ("before", "messages", "size")

    def __init__(self) -> None:
        self.messages: deque[BusMessage] = deque()
        self.size = 0
        self.before: str | None = None  # position of the message before the kept ones

    def drop_first(self) -> int:
        """Drop the oldest message; return its size."""
        dropped = self.messages.popleft()
        self.before = dropped.position
        self.size -= len(dropped.payload)
        return len(dropped.payload)


_NOTHING: Final = _Kept()


class History:
    """
    The last messages of each topic.

    Beyond the bound for all topics, the topic with the oldest last message loses all its messages
    first.

    :ivar size: number of bytes of all messages.
    """

    def __init__(
        self,
        messages: int = MOST_MESSAGES,
        topic_bytes: int = MOST_TOPIC_BYTES,
        all_bytes: int = MOST_HISTORY_BYTES,
    ) -> None:
        """
        :param messages: most messages of a topic.
        :param topic_bytes: most bytes of the messages of a topic; a longer message is not kept.
        :param all_bytes: most bytes of all messages.
        """
        self._most = messages
        self._most_topic = topic_bytes
        self._most_all = all_bytes
        self._topics: OrderedDict[str, _Kept] = OrderedDict()  # the latest message's topic last
        self.size = 0

    def add(self, topic: str, message: BusMessage) -> None:
        """Keep a message, and drop those that exceed a bound."""
        kept = self._topics.setdefault(topic, _Kept())
        self._topics.move_to_end(topic)
        kept.messages.append(message)
        kept.size += len(message.payload)
        self.size += len(message.payload)
        while len(kept.messages) > self._most or kept.size > self._most_topic:
            self.size -= kept.drop_first()
        while self.size > self._most_all:
            self.forget(next(iter(self._topics)))

    def since(self, topic: str, position: str | None) -> Past:
        """
        Return the messages of a topic after a position.

        :param position: position of the last known message; ``None`` for all kept messages.
        :return: the messages; all kept messages if the position is not among them.
        """
        kept = self._topics.get(topic, _NOTHING)
        messages = tuple(kept.messages)
        if position is None or position == kept.before:
            return Past(messages, True)
        for number, message in enumerate(messages, 1):
            if message.position == position:
                return Past(messages[number:], True)
        return Past(messages, False)

    def forget(self, topic: str) -> None:
        """Drop all messages of a topic."""
        if (kept := self._topics.pop(topic, None)) is not None:
            self.size -= kept.size
