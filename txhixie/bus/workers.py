"""The bus of several worker processes of one machine, which talk through their parent.

The parent gives each message its position, and passes the messages of a topic on in one order.
A worker delivers a message of its own when the parent has told the position: otherwise the members
of two workers would see two messages in different orders, and a member that comes back to another
worker would get a message twice, or not at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any, Final, NamedTuple, TypeAlias

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from .bus import UNKNOWN, BusMessage, Past, Receive
from .failures import subscriberFailed
from .packets import Packet, Verb, decode_messages, decode_packet

LINK_LOOK_INTERVAL: Final = 1.0
SILENT_LOOKS: Final = 5
"""Number of looks without a packet of the parent after which a question has no answer: the parent
passes packets on and does nothing else. There is a look in each ``LINK_LOOK_INTERVAL`` seconds.

Looks are counted, and not seconds. Twisted calls timers before it reads: in a worker that was busy
for longer than a timeout, the timeout would end a question although its answer has arrived."""

MOST_SECONDS: Final = 60.0
"""Most seconds for an answer while other packets of the parent arrive."""

MOST_UNANSWERED: Final = 4 * 1024 * 1024
"""Most bytes of messages that wait for a position from the parent."""

_QUESTION: Final = 256
"""Bytes that a question without a payload counts as."""

SendPacket: TypeAlias = Callable[[bytes, bool], bool]
"""Function that sends a packet to the other process: ``send(packet, isMessage)``. It returns
whether there was room. Packets that are no messages have some room that messages do not use."""


class _Question(NamedTuple):
    """
    A packet to the parent that waits for its answer.

    :ivar number: number of the packet.
    :ivar looks: number of looks of the bus before the question.
    :ivar endsAt: time at which the question ends in any case.
    :ivar size: number of bytes that the question holds.
    :ivar answered: called with the answer.
    :ivar givenUp: called without an answer: a buffer was full, or the parent has ended.
    """

    number: int
    looks: int
    endsAt: float
    size: int
    answered: Callable[[Packet], object]
    givenUp: Callable[[], object]


class WorkersBus:
    """
    Bus of one worker process. Messages of other workers come through the parent process.

    :ivar up: whether the parent is there. Without it, the members of this worker still get each
        other's messages, without a history.
    :ivar missed: messages that other workers may have missed, since the parent did not read or
        answer.
    """

    reach = None
    isShared = True
    historySize = 0  # the parent keeps the earlier messages

    def __init__(
        self, send: SendPacket, clock: Any, now: Callable[[], float], name: str = "w"
    ) -> None:
        """
        :param send: sends a packet to the parent.
        :param clock: the reactor.
        :param now: returns seconds since 1970; called once.
        :param name: name of the worker, for positions of messages that the parent does not have.
        """
        self.up = True
        self.missed = 0
        self._send = send
        self._clock = clock
        self._start = f"{name}.{int(now() * 1000)}"
        self._own = count(1)
        self._numbers = count(1)
        self._subscribers: dict[str, tuple[Receive, bool]] = {}
        self._questions: deque[_Question] = deque()  # in the order of their answers
        self._size = 0
        self._asked: dict[tuple[str, str | None], list[Deferred[Past]]] = {}
        self._timer: IDelayedCall | None = None
        self._looks = 0
        self._lastHeard = 0  # number of looks before the last packet of the parent

    # The interface of a bus.

    def subscribe(self, topic: str, receive: Receive, history: bool) -> Deferred[None]:
        """Subscribe to a topic, as :meth:`txhixie.bus.bus.Bus.subscribe` describes."""
        self._subscribers[topic] = (receive, history)
        subscribed: Deferred[None] = Deferred()
        self._subscribe(topic, subscribed)
        return subscribed

    def _subscribe(self, topic: str, subscribed: Deferred[None]) -> None:
        """Ask until the parent has answered, or the subscription or the bus has ended."""
        if not self.up or topic not in self._subscribers:
            subscribed.callback(None)
            return

        def again() -> None:
            self._subscribe(topic, subscribed)

        _, history = self._subscribers[topic]
        packet = Packet(Verb.SUBSCRIBE, history, next(self._numbers), topic)
        self._send(packet.encode(), False)
        self._wait(packet.number, _QUESTION, lambda _: subscribed.callback(None), again)

    def unsubscribe(self, topic: str) -> None:
        """End the subscription of this worker; the parent forgets the history after the last."""
        if self._subscribers.pop(topic, None) is not None:
            self._send(Packet(Verb.UNSUBSCRIBE, topic=topic).encode(), False)

    def publish(
        self, topic: str, payload: bytes, is_text: bool, publisher: object = None
    ) -> Deferred[str]:
        """
        Publish a message, which this worker delivers when the parent has told its position.

        Without an answer of the parent, the message is delivered in this worker.
        """
        published: Deferred[str] = Deferred()

        def deliver(position: str) -> None:
            self._deliver(topic, BusMessage(position, is_text, payload), publisher)
            published.callback(position)

        def alone() -> None:
            self.missed += self.up
            deliver(f"{self._start}-{next(self._own)}")

        size = _QUESTION + len(payload)
        packet = Packet(Verb.PUBLISH, is_text, next(self._numbers), topic, payload)
        if self.up and self._hasRoom(size) and self._send(packet.encode(), True):
            self._wait(packet.number, size, lambda answer: deliver(answer.body.decode()), alone)
        else:
            self._giveUp(packet.number)  # earlier messages are delivered before this one
            alone()
        return published

    def since(self, topic: str, position: str | None) -> Deferred[Past]:
        """
        Ask for earlier messages.

        The members that ask for the same messages before the answer has come share it: after the
        death of a worker, thousands come back at once. The messages that are not in the answer come
        after it.
        """
        if not self.up:
            return succeed(UNKNOWN)
        asked: Deferred[Past] = Deferred()
        key = (topic, position)
        if (others := self._asked.get(key)) is not None:
            others.append(asked)
            return asked
        self._asked[key] = [asked]

        def answer(past: Past) -> None:
            for each in self._asked.pop(key):
                each.callback(past)

        body = b"" if position is None else position.encode("utf-8", "replace")
        packet = Packet(Verb.SINCE, position is not None, next(self._numbers), topic, body)
        self._send(packet.encode(), False)
        self._wait(
            packet.number,
            _QUESTION,
            lambda packet: answer(Past(decode_messages(packet.body), packet.flag)),
            lambda: answer(UNKNOWN),
        )
        return asked

    def start(self) -> None:
        """Do nothing: the link to the parent exists."""

    def stop(self) -> Deferred[None]:
        """End the bus: questions without an answer are given up."""
        self.up = False
        self._giveUp(next(self._numbers))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return succeed(None)

    # The link to the parent.

    def received(self, data: bytes) -> None:
        """Handle a packet of the parent."""
        self._lastHeard = self._looks
        packet = decode_packet(data)
        if packet.verb == Verb.MESSAGE:
            (message,) = decode_messages(packet.body)
            self._deliver(packet.topic, message, None)
        elif packet.verb == Verb.ANSWER:
            # The parent answers in the order of the questions: earlier ones have lost their answer.
            self._giveUp(packet.number)
            if self._questions and self._questions[0].number == packet.number:
                self._next().answered(packet)

    def lost(self) -> None:
        """End the bus: the parent has ended. The worker ends, too, and writes the log line."""
        self.stop()

    def _deliver(self, topic: str, message: BusMessage, publisher: object) -> None:
        subscriber = self._subscribers.get(topic)
        if subscriber is not None:
            try:
                subscriber[0](message, publisher)
            except Exception:
                subscriberFailed(topic)
        elif publisher is None and self.up:
            # The end of the subscription was lost, or is on its way.
            self._send(Packet(Verb.UNSUBSCRIBE, topic=topic).encode(), False)

    # Questions.

    def _hasRoom(self, size: int) -> bool:
        return not self._questions or self._size + size <= MOST_UNANSWERED

    def _wait(
        self,
        number: int,
        size: int,
        answered: Callable[[Packet], object],
        givenUp: Callable[[], object],
    ) -> None:
        endsAt = self._clock.seconds() + MOST_SECONDS
        self._questions.append(_Question(number, self._looks, endsAt, size, answered, givenUp))
        self._size += size
        self._lookLater()

    def _next(self) -> _Question:
        question = self._questions.popleft()
        self._size -= question.size
        return question

    def _giveUp(self, number: int) -> None:
        """Give up the questions before a number."""
        while self._questions and self._questions[0].number < number:
            self._next().givenUp()

    def _lookLater(self) -> None:
        if self._questions and self._timer is None:
            self._timer = self._clock.callLater(LINK_LOOK_INTERVAL, self._look)

    def _look(self) -> None:
        """Give up the questions that have waited too long."""
        self._timer = None
        self._looks += 1
        while self._questions and self._isOver(self._questions[0]):
            self._next().givenUp()
        self._lookLater()

    def _isOver(self, question: _Question) -> bool:
        silent = self._looks - max(question.looks, self._lastHeard)
        return silent >= SILENT_LOOKS or question.endsAt <= self._clock.seconds()
