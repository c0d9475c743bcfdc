"""The bus of many machines: a NATS server, through nats-py and the asyncio reactor.

A topic is a subject of plain NATS, which keeps no message: each process keeps the history of its
topics itself. Two processes see the messages of two publishers in different orders, so a position
is known to the process that has given it, and to no other.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import Deferred, succeed

from .bus import MOST_MESSAGE_BYTES, BusMessage, Past, Receive
from .envelope import enclosed, opened
from .failures import subscriberFailed
from .history import History
from .nats_connection import NatsConnection
from .reach import Reach
from .server_url import ServerURL

_UNSAFE: Final = re.compile(
    r"[\x00-\x20\x7f%*>]"  # white space ends a subject, and the others are wildcards
    r"|^\.|\.(?=\.)|\.$"  # no part between two dots is empty
    r"|^[$_]"  # subjects of the server, such as $JS.API, and of answers to questions, _INBOX
)


def natsSubject(topic: str) -> str:
    """Return the subject of a topic: its name, with ``%XX`` for what a subject may not have."""
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", topic) or "%"


@dataclass
class _Topic:
    """
    A topic.

    :ivar receive: gets each message.
    :ivar history: whether its messages are kept.
    :ivar subscribed: fires when the server has confirmed the subscription.
    :ivar since: number of the last message before the confirmation; ``None`` without one. What
        others published before is not known.
    """

    receive: Receive
    history: bool
    subscribed: Deferred[None] = field(default_factory=Deferred)
    since: int | None = None


class NatsBus:
    """
    Bus on a NATS server.

    :ivar reach: state of the connection to the server, and counters.
    """

    isShared = True

    def __init__(
        self,
        reactor: Any,
        url: ServerURL,
        node: str | None = None,
        history: History | None = None,
        most: int = MOST_MESSAGE_BYTES,
    ) -> None:
        """
        :param reactor: the asyncio reactor.
        :param url: the server.
        :param node: name of this process, in ASCII without blanks, unique on the server; by
            default a random one.
        :param history: the last messages of topics with a history; by default with the bounds of
            ``bus/bus.py``.
        :param most: most bytes of a message of the server; longer ones are dropped and counted.
        :raises ValueError: "expected ..." for another reactor, and for CA certificates that cannot
            be read.
        """
        if not isinstance(reactor, AsyncioSelectorReactor):
            how = "start the daemon with twistd --reactor=asyncio hixie"
            raise ValueError(  # noqa: TRY004  (an error of the operator)
                f"expected the asyncio reactor, which nats-py needs; {how}"
            )
        self.reach = Reach(f"{url.scheme}://{url.netloc}")
        self._node = node or secrets.token_hex(6)
        self._sender = self._node.encode("ascii")
        self._most = most
        self._number = 0
        self._history = History() if history is None else history
        self._topics: dict[str, _Topic] = {}
        self._isStopped = False
        self._server = NatsConnection(reactor, url, self.reach.reached, self._lost, self.reach)

    @property
    def historySize(self) -> int:
        """Number of bytes of the earlier messages."""
        return self._history.size

    @property
    def up(self) -> bool:
        """Whether the server has confirmed all subscriptions."""
        return self._server.isReady

    def start(self) -> None:
        """Connect to the server."""
        self._server.start()

    def stop(self) -> Deferred[None]:
        """End the connection; each Deferred of a method fires before the one of this method."""
        self._isStopped = True

        def finish(_: object) -> None:
            for topic in tuple(self._topics):
                self.unsubscribe(topic)

        return self._server.stop().addCallback(finish)

    def _lost(self, reason: str) -> None:
        for topic in self._topics.values():
            topic.since = None
        if not self._isStopped:
            self.reach.gone(reason)

    # Subscriptions.

    def subscribe(self, topic: str, receive: Receive, history: bool) -> Deferred[None]:
        """Subscribe to a topic, as :meth:`txhixie.bus.bus.Bus.subscribe` describes."""
        self._settle(topic)
        subscribing = self._topics[topic] = _Topic(receive, history)

        def received(data: bytes) -> None:
            self._received(topic, data)

        def confirmed() -> None:
            subscribing.since = self._number
            if not subscribing.subscribed.called:
                subscribing.subscribed.callback(None)

        self._server.subscribe(natsSubject(topic), received, confirmed)
        return subscribing.subscribed

    def _settle(self, topic: str) -> None:
        """Fire the Deferred of an earlier subscription."""
        earlier = self._topics.pop(topic, None)
        if earlier is not None and not earlier.subscribed.called:
            earlier.subscribed.callback(None)

    def unsubscribe(self, topic: str) -> None:
        """End the subscription to a topic, and forget its history."""
        if topic in self._topics:
            self._settle(topic)
            self._history.forget(topic)
            self._server.unsubscribe(natsSubject(topic))

    def _received(self, topic: str, data: bytes) -> None:
        published = opened(data, self._position, self._most)
        if published is None:
            self.reach.strange += 1
            return
        node, message = published
        if node == self._sender:
            return
        if node is not None:
            message = message._replace(position=self._position())
        self._deliver(topic, message, None)

    def _deliver(self, topic: str, message: BusMessage, publisher: object) -> None:
        subscribed = self._topics.get(topic)
        if subscribed is None:
            return
        if subscribed.history:
            self._history.add(topic, message)
        try:
            subscribed.receive(message, publisher)
        except Exception:
            subscriberFailed(topic)

    # Messages.

    def publish(
        self, topic: str, payload: bytes, is_text: bool, publisher: object = None
    ) -> Deferred[str]:
        """
        Publish a message, and deliver it to the subscriber of this process at once.

        :return: has fired with the position of the message in this process.
        """
        message = BusMessage(self._position(), is_text, payload)
        if not self._server.publish(natsSubject(topic), enclosed(self._sender, message)):
            self.reach.lost += 1
        self._deliver(topic, message, publisher)
        return succeed(message.position)

    def _position(self) -> str:
        self._number += 1
        return f"{self._node}-{self._number}"

    def since(self, topic: str, position: str | None) -> Deferred[Past]:
        """
        Return the messages that this process has kept of a topic after a position.

        They are not all messages if the position is of another process, or if the server has not
        confirmed the subscription since that message.
        """
        past = self._history.since(topic, position)
        if position is not None and past.is_whole:
            past = past._replace(is_whole=self._heardAllSince(topic, position))
        return succeed(past)

    def _heardAllSince(self, topic: str, position: str) -> bool:
        """Whether no message after a position of this process was missed."""
        subscribed = self._topics.get(topic)
        since = None if subscribed is None else subscribed.since
        return since is not None and int(position.rpartition("-")[2]) > since
