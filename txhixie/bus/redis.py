"""The bus of many machines: a Redis or Valkey server, through txredisapi and hiredis.

A topic without a history is a channel of pub/sub, and its messages are delivered in this process at
once. A topic with a history is a capped stream (``bus/redis_streams.py``).
"""

from __future__ import annotations

import secrets
from itertools import count
from typing import Any, Final

import txredisapi
from twisted.internet.defer import Deferred, DeferredList, succeed

from .bus import MOST_MESSAGE_BYTES, BusMessage, Past, Receive
from .envelope import echo_of, enclosed, opened
from .failures import subscriberFailed
from .reach import Reach
from .redis_address import RedisAddress
from .redis_connection import RedisCommands, RedisConnection, RedisSubscriber
from .redis_streams import RedisStreams

MOST_UNSENT: Final = 4 * 1024 * 1024
"""Most bytes of messages that the server has not acknowledged; further messages are delivered in
this process only."""


class RedisBus:
    """
    Bus on a Redis or Valkey server.

    :ivar reach: state of the connection to the server, and counters.
    """

    isShared = True
    historySize = 0  # the server keeps the earlier messages

    def __init__(
        self,
        reactor: Any,
        address: RedisAddress,
        node: str | None = None,
        most: int = MOST_MESSAGE_BYTES,
    ) -> None:
        """
        :param reactor: the reactor.
        :param address: the server.
        :param node: name of this process, in ASCII without blanks, unique on the server; by
            default a random one.
        :param most: most bytes of a message of the server; longer ones are dropped and counted.
        """
        self.reach = Reach(str(address))
        self._node = node or secrets.token_hex(6)
        self._sender = self._node.encode("ascii")
        self._echo = echo_of(self._sender)
        self._most = most
        self._numbers = count(1)
        self._unsent = 0
        self._isStopped = False
        self._channels: dict[bytes, Receive] = {}
        self._subscribing: dict[str, Deferred[None]] = {}
        make = (RedisCommands, RedisSubscriber, RedisCommands)
        ready = (self._beginStreams, self._subscribeAll, self._readStreams)
        self._connections = [
            RedisConnection(reactor, address, one, then, self._gone)
            for one, then in zip(make, ready, strict=True)
        ]
        self._commands, self._subscriber, self._reader = self._connections
        self._streams = RedisStreams(
            reactor, self._node, self._commands, self._reader, self.reach, most
        )
        self._reader.whenTooLong = self._streams.skip
        self._commands.whenTooLong = self._streams.giveUpHistories

    @property
    def up(self) -> bool:
        """
        Whether all connections to the server can be used.

        A connection that is being aborted, because of a reply that is too long, cannot.
        """
        return self.reach.up is True and self._isConnected

    @property
    def _isConnected(self) -> bool:
        return all(each.protocol is not None for each in self._connections)

    def start(self) -> None:
        """Connect to the server."""
        for each in self._connections:
            each.start()

    def stop(self) -> Deferred[None]:
        """End the connections; each Deferred of a method fires before the one of this method."""
        self._isStopped = True
        stopped = DeferredList([each.stop() for each in self._connections])

        def finish(_: object) -> None:
            self._streams.stop()
            for topic in tuple(self._subscribing):
                self._subscribing.pop(topic).callback(None)

        return stopped.addCallback(finish)

    def _changed(self) -> None:
        for each in self._connections:
            each.hurry()
        if self._isConnected and not self._isStopped:
            self.reach.reached()

    def _gone(self, reason: str) -> None:
        if not self._isStopped:
            self.reach.gone(reason)
            self._streams.askHistories()

    def _beginStreams(self) -> None:
        self._streams.begin()
        self._changed()

    def _readStreams(self) -> None:
        self._streams.readAgain()
        self._changed()

    # Subscriptions.

    def subscribe(self, topic: str, receive: Receive, history: bool) -> Deferred[None]:
        """Subscribe to a topic, as :meth:`txhixie.bus.bus.Bus.subscribe` describes."""
        if history:
            return self._streams.subscribe(topic, receive)
        self._channels[_channel(topic)] = receive
        subscribed: Deferred[None] = Deferred()
        self._subscribing[topic] = subscribed
        if self._subscriber.protocol is not None:
            self._subscribeTo(topic)
        return subscribed

    def unsubscribe(self, topic: str) -> None:
        """End the subscription to a topic; the server keeps the history of a topic that has one."""
        self._streams.unsubscribe(topic)
        if self._channels.pop(_channel(topic), None) is None:
            return
        if (waiting := self._subscribing.pop(topic, None)) is not None:
            waiting.callback(None)
        if self._subscriber.protocol is not None:
            self._ask(self._subscriber, "UNSUBSCRIBE", _channel(topic))

    def _subscribeAll(self) -> None:
        self._subscriber.protocol.heard = self.heard
        for channel in self._channels:
            self._subscribeTo(_topic(channel))
        self._changed()

    def _subscribeTo(self, topic: str) -> None:
        # One command for each topic: the server answers each topic of a command, and txredisapi
        # expects one answer.
        self._ask(self._subscriber, "SUBSCRIBE", _channel(topic)).addCallback(
            lambda reply: self._subscribed(topic, reply)
        )

    def _subscribed(self, topic: str, reply: object) -> None:
        if reply is not None and (waiting := self._subscribing.pop(topic, None)) is not None:
            waiting.callback(None)

    def _ask(self, connection: RedisConnection, *words: object) -> Deferred[Any]:
        """Send a command; fires with the reply, or with ``None`` after a failure."""
        asked: Deferred[Any] = connection.protocol.execute_command(*words)
        return asked.addErrback(self._failed)

    def _failed(self, failure: Any) -> None:
        if failure.check(txredisapi.ConnectionError) is None:
            self.reach.failed("the server of the bus refused a command", failure)

    def heard(self, channel: bytes, data: bytes) -> None:
        """Handle a message of a channel."""
        # In a flood each microsecond here is a third of the message's cost: own messages, which
        # were delivered before, are not parsed, and no function is called that can be avoided.
        if data.startswith(self._echo):
            return
        published = opened(data, self._position, self._most)
        if published is None:
            self.reach.strange += 1
            return
        if (receive := self._channels.get(channel)) is None:
            return
        try:
            receive(published[1], None)
        except Exception:
            subscriberFailed(_topic(channel))

    # Messages.

    def publish(
        self, topic: str, payload: bytes, is_text: bool, publisher: object = None
    ) -> Deferred[str]:
        """
        Publish a message, as :meth:`txhixie.bus.bus.Bus.publish` describes.

        Without the server, the message is delivered to the subscriber of this process.
        """
        message = BusMessage(self._position(), is_text, payload)
        hasRoom = self._unsent + len(payload) <= MOST_UNSENT
        isSent = hasRoom and self._commands.protocol is not None
        if not isSent:
            self.reach.lost += 1
        if topic in self._streams:
            return self._streams.publish(topic, message, publisher, self._sent if isSent else None)
        if isSent:
            self._sent(message, "PUBLISH", _channel(topic)).addErrback(self._lost)
        if (receive := self._channels.get(_channel(topic))) is not None:
            _give(topic, receive, message, publisher)
        return succeed(message.position)

    def _position(self) -> str:
        return f"{self._node}-{next(self._numbers)}"

    def _sent(self, message: BusMessage, *words: object) -> Deferred[Any]:
        """Send a message as the last word of a command; fails as txredisapi does."""
        size = len(message.payload)
        self._unsent += size
        data = enclosed(self._sender, message)
        asked: Deferred[Any] = self._commands.protocol.execute_command(*words, data)

        def done(result: object) -> object:
            self._unsent -= size
            return result

        return asked.addBoth(done)

    def _lost(self, failure: Any) -> None:
        self.reach.lost += 1
        self._failed(failure)

    def since(self, topic: str, position: str | None) -> Deferred[Past]:
        """Return messages of the stream of a topic after a position."""
        if topic in self._streams:
            return self._streams.since(topic, position)
        return succeed(Past((), position is None))


def _channel(topic: str) -> bytes:
    return topic.encode("utf-8", "surrogatepass")  # as the other buses do


def _topic(channel: bytes) -> str:
    return channel.decode("utf-8", "surrogatepass")


def _give(topic: str, receive: Receive, message: BusMessage, publisher: object) -> None:
    try:
        receive(message, publisher)
    except Exception:
        subscriberFailed(topic)
