"""The relay: the part of the bus of workers that is in the parent process."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall

from .bus import BusMessage
from .history import History
from .packets import Packet, Verb, decode_packet, encode_messages
from .workers import SendPacket

HISTORY_AGE: Final = 600.0
"""Seconds for which the history of a topic is kept after the death of the only worker that had
members of the topic: they come back to another worker, or to the next one."""


class RelayedWorker:
    """One worker of a relay."""

    def __init__(self, relay: TopicRelay, send: SendPacket) -> None:
        """
        :param relay: the relay.
        :param send: sends a packet to the worker, if there is room.
        """
        self._relay = relay
        self._topics: dict[str, None] = {}
        self.send = send

    def received(self, data: bytes) -> None:
        """Handle a packet of the worker."""
        packet = decode_packet(data)
        relay, topic = self._relay, packet.topic
        if packet.verb == Verb.SUBSCRIBE:
            self._topics[topic] = None
            relay.subscribe(topic, self, packet.flag)
            self._answer(packet)
        elif packet.verb == Verb.UNSUBSCRIBE:
            if topic in self._topics:
                del self._topics[topic]
                relay.unsubscribe(topic, self)
        elif packet.verb == Verb.PUBLISH:
            position = relay.publish(topic, self, packet.flag, packet.body)
            self._answer(packet, position.encode())
        elif packet.verb == Verb.SINCE:
            past = relay.history.since(topic, packet.body.decode() if packet.flag else None)
            self._answer(packet, encode_messages(past.messages), past.is_whole)

    def _answer(self, packet: Packet, body: bytes = b"", flag: bool = False) -> None:
        answer = Packet(Verb.ANSWER, flag, packet.number, body=body)
        self.send(answer.encode(), packet.verb == Verb.SINCE)

    def left(self) -> None:
        """End the subscriptions of the worker, which has ended; histories are kept for a while."""
        topics, self._topics = self._topics, {}
        self._relay.left(self, topics)


class TopicRelay:
    """
    Passes messages from each worker on to the others, and keeps the histories of the topics.

    :ivar history: the last messages of the topics that have a history.
    """

    def __init__(
        self, clock: Any, now: Callable[[], float], history: History | None = None
    ) -> None:
        """
        :param clock: the reactor.
        :param now: returns seconds since 1970; called once.
        :param history: the attribute; by default with the bounds of ``bus/bus.py``.
        """
        self.history = History() if history is None else history
        self._clock = clock
        self._start = int(now() * 1000)
        self._numbers = count(1)
        self._topics: dict[str, dict[RelayedWorker, bool]] = {}
        self._forgetting: dict[IDelayedCall, None] = {}

    def join(self, send: SendPacket) -> RelayedWorker:
        """
        Add a worker.

        :param send: sends a packet to the worker, if there is room.
        :return: the worker; its methods take its packets and its end.
        """
        return RelayedWorker(self, send)

    def subscribe(self, topic: str, worker: RelayedWorker, history: bool) -> None:
        """Pass the messages of a topic on to a worker."""
        self._topics.setdefault(topic, {})[worker] = history

    def unsubscribe(self, topic: str, worker: RelayedWorker) -> None:
        """Pass them on no more; forget the history of a topic that no worker has."""
        if self._remove(topic, worker):
            self.history.forget(topic)

    def publish(self, topic: str, publisher: RelayedWorker, isText: bool, payload: bytes) -> str:
        """Pass a message on to all workers that have the topic, but the publisher."""
        position = f"{self._start}-{next(self._numbers)}"
        message = BusMessage(position, isText, payload)
        workers = self._topics.get(topic, {})
        if any(workers.values()):
            self.history.add(topic, message)
        others = [each for each in workers if each is not publisher]
        if others:
            data = Packet(Verb.MESSAGE, topic=topic, body=encode_messages((message,))).encode()
            for each in others:
                each.send(data, True)
        return position

    def left(self, worker: RelayedWorker, topics: dict[str, None]) -> None:
        """End the subscriptions of a worker that has ended."""
        orphans = [topic for topic in topics if self._remove(topic, worker)]
        if not orphans:
            return

        def forget() -> None:
            del self._forgetting[later]
            for topic in orphans:
                if topic not in self._topics:
                    self.history.forget(topic)

        later: IDelayedCall = self._clock.callLater(HISTORY_AGE, forget)
        self._forgetting[later] = None

    def _remove(self, topic: str, worker: RelayedWorker) -> bool:
        """Remove a subscription; return whether no worker has the topic any more."""
        workers = self._topics[topic]
        workers.pop(worker, None)
        if not workers:
            del self._topics[topic]
        return not workers

    def stop(self) -> None:
        """Stop the timers."""
        for each in self._forgetting:
            each.cancel()
        self._forgetting.clear()
