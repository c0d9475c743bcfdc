"""Interface of a bus, which passes messages of topics on to subscribers.

A bus promises to deliver each message at most once, and the messages of one publisher to one topic
in their order. It promises nothing about the order of two publishers, and loses messages while it
is not up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, TypeAlias

from twisted.internet.defer import Deferred

from ..sansio.limits import Limits
from .reach import Reach

MOST_MESSAGES: Final = 100
"""Most messages of a topic that a history keeps."""

MOST_TOPIC_BYTES: Final = 256 * 1024
"""Most bytes of the messages of a topic that a history keeps."""

MOST_HISTORY_BYTES: Final = 64 * 1024 * 1024
"""Most bytes of the messages of all topics that a history keeps."""


MOST_MESSAGE_BYTES: Final = Limits().message_size
"""Most bytes of a message of a server, unless ``--max-message-size`` says otherwise."""


class BusMessage(NamedTuple):
    """
    A message of a topic.

    :ivar position: position of the message in its topic, a text that only the bus understands:
        unique in the topic, also after a restart of the process.
    :ivar is_text: whether the message is text.
    :ivar payload: the payload, in UTF-8 for text.
    """

    position: str
    is_text: bool
    payload: bytes


class Past(NamedTuple):
    """
    Earlier messages of a topic.

    :ivar messages: the messages, the oldest first.
    :ivar is_whole: whether these are all messages after the position that was asked for. ``False``
        also for a position that the bus does not know, and where the bus could not ask.
    """

    messages: tuple[BusMessage, ...]
    is_whole: bool


UNKNOWN: Final = Past((), False)
"""The answer to a question about earlier messages that has failed."""


Receive: TypeAlias = Callable[[BusMessage, object], object]
"""Function that gets each message of a topic, and the publisher: the object that was passed to
``publish`` in this process, or ``None`` for a message from another process."""


class Bus(Protocol):
    """Passes messages of topics on to their subscribers, in one process or in several."""

    @property
    def reach(self) -> Reach | None:
        """State of the connection to the server of the bus; ``None`` for a bus without one."""
        ...

    @property
    def isShared(self) -> bool:
        """Whether other processes may be on the bus."""
        ...

    @property
    def historySize(self) -> int:
        """Number of bytes of the earlier messages that are kept in this process."""
        ...

    @property
    def up(self) -> bool:
        """Whether the bus reaches all its subscribers; otherwise those of this process only."""
        ...

    def start(self) -> None:
        """Connect to other processes, if the bus does."""
        ...

    def stop(self) -> Deferred[None]:
        """End all connections; fires with ``None`` in the end."""
        ...

    def subscribe(self, topic: str, receive: Receive, history: bool) -> Deferred[None]:
        """
        Subscribe to a topic; a topic has at most one subscriber in a process.

        :param topic: name of the topic.
        :param receive: gets each message of the topic.
        :param history: whether the bus keeps the last messages of the topic, for :meth:`since`.
        :return: fires with ``None`` when messages of other processes are delivered, too.
        """
        ...

    def unsubscribe(self, topic: str) -> None:
        """End the subscription to a topic, and forget its history in this process."""
        ...

    def publish(
        self, topic: str, payload: bytes, is_text: bool, publisher: object = None
    ) -> Deferred[str]:
        """
        Publish a message.

        :param topic: name of the topic.
        :param payload: the payload, in UTF-8 for text.
        :param is_text: whether the message is text.
        :param publisher: passed to the subscriber of this process, which can leave the publisher
            out.
        :return: fires with the position of the message.
        """
        ...

    def since(self, topic: str, position: str | None) -> Deferred[Past]:
        """
        Ask for earlier messages of a topic that has a history.

        The answer has only messages that the subscriber was given; it is given all others later, so
        that a client that joins before it asks gets each message once.

        :param position: position of the last message that is known; ``None`` for all that the
            history has.
        """
        ...
