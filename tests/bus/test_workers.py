"""The bus of workers: buffers that are full, a worker that ends, and a parent that ends.

``test_battery.py`` has what it has in common with other buses.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from support.bus_subscriber import Subscriber
from txhixie.bus.bus import BusMessage, Past
from txhixie.bus.relay import HISTORY_AGE, RelayedWorker, TopicRelay
from txhixie.bus.workers import (
    LINK_LOOK_INTERVAL,
    MOST_SECONDS,
    MOST_UNANSWERED,
    SILENT_LOOKS,
    WorkersBus,
)


class Parent:
    """A parent with workers, in one process and with a clock of the test."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.relay = TopicRelay(self.clock, lambda: 2.0)

    def worker(self, name: str = "w") -> Worker:
        """Return a new worker."""
        return Worker(self, name)


class Worker:
    """
    A worker with its link, with two directions, which a test can stop.

    :ivar up: packets to the parent.
    :ivar down: packets to the worker.
    """

    def __init__(self, parent: Parent, name: str) -> None:
        self.up: list[bytes] = []
        self.down: list[bytes] = []
        self.hasRoomUp = self.hasRoomDown = True
        self.hasRoomForMessages = True
        self.bus = WorkersBus(self._send, parent.clock, lambda: 3.0, name)
        self.relayed: RelayedWorker = parent.relay.join(self._answer)

    def _send(self, packet: bytes, isMessage: bool) -> bool:
        if self.hasRoomUp:
            self.up.append(packet)
        return self.hasRoomUp

    def _answer(self, packet: bytes, isMessage: bool) -> bool:
        hasRoom = self.hasRoomDown and (self.hasRoomForMessages or not isMessage)
        if hasRoom:
            self.down.append(packet)
        return hasRoom

    def carry(self) -> None:
        """Carry the packets of both directions, until no packet is left."""
        while self.up or self.down:
            up, self.up = self.up, []
            for packet in up:
                self.relayed.received(packet)
            down, self.down = self.down, []
            for packet in down:
                self.bus.received(packet)

    def subscribe(self, topic: str = "room", history: bool = True) -> Subscriber:
        """Subscribe to a topic."""
        heard = Subscriber()
        fired(self.bus.subscribe(topic, heard, history), self)
        return heard

    def publish(self, payload: bytes) -> str:
        """Publish a text, and return its position."""
        position: str = fired(self.bus.publish("room", payload, True), self)
        return position

    def since(self, position: str | None) -> Past:
        """Ask for earlier messages."""
        past: Past = fired(self.bus.since("room", position), self)
        return past


def fired(deferred: Any, worker: Worker) -> Any:
    """The result of a Deferred that fires when the packets are carried."""
    results: list[Any] = []
    deferred.addCallback(results.append)
    worker.carry()
    (result,) = results
    return result


def test_messages_have_the_same_order_at_each_worker() -> None:
    parent = Parent()
    first, second = parent.worker(), parent.worker()
    heard = [first.subscribe(), second.subscribe()]
    first.bus.publish("room", b"of the first", True)
    second.bus.publish("room", b"of the second", True)
    second.carry()
    first.carry()
    second.carry()
    assert heard[0].heard == heard[1].heard
    assert heard[0].payloads == [b"of the second", b"of the first"]


def test_a_worker_that_does_not_read_loses_messages_and_nobody_else_does() -> None:
    parent = Parent()
    first, second = parent.worker(), parent.worker()
    heard = [first.subscribe(), second.subscribe()]
    second.hasRoomForMessages = False
    first.publish(b"one")
    second.carry()
    second.hasRoomForMessages = True
    last = first.publish(b"two")
    second.carry()
    assert heard[0].payloads == [b"one", b"two"]
    assert heard[1].payloads == [b"two"]
    assert [each.payload for each in second.since(None).messages] == [b"one", b"two"]
    assert second.since(last) == Past((), True)


def test_a_parent_that_does_not_read_takes_nothing_from_the_members_of_a_worker() -> None:
    parent = Parent()
    worker = parent.worker("w7")
    heard = worker.subscribe()
    worker.hasRoomUp = False
    assert worker.publish(b"alone") == "w7.3000-1"
    assert worker.bus.missed == 1
    worker.hasRoomUp = True
    assert worker.publish(b"with the others") == "2000-1"
    assert heard.payloads == [b"alone", b"with the others"]
    assert worker.since("w7.3000-1").is_whole is False


def test_messages_stay_in_order_when_the_buffer_fills_in_between() -> None:
    parent = Parent()
    worker = parent.worker()
    heard = worker.subscribe()
    worker.bus.publish("room", b"one", True)
    worker.hasRoomUp = False
    worker.bus.publish("room", b"two", True)
    worker.hasRoomUp = True
    worker.bus.publish("room", b"three", True)
    worker.carry()
    assert heard.payloads == [b"one", b"two", b"three"]


def test_messages_whose_position_is_not_known_yet_are_bounded() -> None:
    parent = Parent()
    worker = parent.worker()
    heard = worker.subscribe()
    for _ in range(5):
        worker.bus.publish("room", bytes(MOST_UNANSWERED // 4), True)
    assert len(heard.heard) == worker.bus.missed == 4
    worker.carry()
    assert len(heard.heard) == 5, (
        "the last one has its position, and a late answer delivers no message twice"
    )


def test_an_answer_that_was_lost_is_known_by_the_next_answer() -> None:
    parent = Parent()
    worker = parent.worker("w7")
    heard = worker.subscribe()
    first = worker.bus.publish("room", b"one", True)
    worker.hasRoomDown = False
    worker.carry()
    worker.hasRoomDown = True
    assert not first.called
    second = worker.publish(b"two")
    assert [message.position for message in heard.heard] == ["w7.3000-1", second]
    assert heard.payloads == [b"one", b"two"]


def test_each_question_ends_without_an_answer() -> None:
    parent = Parent()
    worker = parent.worker("w7")
    heard = worker.subscribe()
    published = worker.bus.publish("room", b"one", True)
    asked = [worker.bus.since("room", position) for position in ("2000-1", "2000-1", None)]
    parent.clock.pump([LINK_LOOK_INTERVAL] * (SILENT_LOOKS - 1))
    assert not published.called
    parent.clock.advance(LINK_LOOK_INTERVAL)
    assert heard.payloads == [b"one"]
    results: list[Past] = []
    for each in asked:
        each.addCallback(results.append)
    assert results == [Past((), False)] * 3
    assert not parent.clock.getDelayedCalls()
    worker.carry()
    assert heard.payloads == [b"one"]


def test_a_worker_that_is_busy_for_longer_than_the_time_for_an_answer_reads_the_answer() -> None:
    """Twisted calls the timer first, and then reads."""
    parent = Parent()
    worker = parent.worker()
    heard = worker.subscribe()
    published = worker.bus.publish("room", b"one", True)
    parent.clock.advance(2 * SILENT_LOOKS * LINK_LOOK_INTERVAL)
    worker.carry()
    assert fired(published, worker) == heard.heard[0].position == "2000-1"


def test_packets_before_the_answer_are_no_silence_for_a_minute_at_most() -> None:
    parent = Parent()
    worker, other = parent.worker("w7"), parent.worker()
    heard = worker.subscribe()
    published = worker.bus.publish("room", b"one", True)
    worker.up.clear()  # the parent never gets the question
    seconds = 0.0
    while seconds < MOST_SECONDS:
        assert not published.called
        other.publish(b"another")
        worker.carry()
        parent.clock.advance(LINK_LOOK_INTERVAL)
        seconds += LINK_LOOK_INTERVAL
    assert heard.payloads[-1] == b"one"


def test_a_subscription_is_asked_for_until_the_parent_answers() -> None:
    parent = Parent()
    worker = parent.worker()
    worker.hasRoomUp = False
    heard = Subscriber()
    subscribed = worker.bus.subscribe("room", heard, False)
    parent.clock.pump([LINK_LOOK_INTERVAL] * SILENT_LOOKS)
    assert not subscribed.called
    worker.hasRoomUp = True
    parent.clock.pump([LINK_LOOK_INTERVAL] * SILENT_LOOKS)
    worker.carry()
    assert subscribed.called
    other = parent.worker()
    other.subscribe()
    other.publish(b"hello")
    worker.carry()
    assert heard.payloads == [b"hello"]


def test_an_end_of_a_subscription_that_was_lost_is_told_again() -> None:
    parent = Parent()
    first, second = parent.worker(), parent.worker()
    first.subscribe()
    second.subscribe()
    second.hasRoomUp = False
    second.bus.unsubscribe("room")
    second.hasRoomUp = True
    first.publish(b"one")
    second.carry()
    first.publish(b"two")
    assert second.down == []


def test_members_that_come_back_at_once_share_an_answer() -> None:
    parent = Parent()
    worker = parent.worker()
    worker.subscribe()
    position = worker.publish(b"one")
    worker.publish(b"two")
    asked = [worker.bus.since("room", position) for _ in range(1_000)]
    assert len(worker.up) == 1
    worker.carry()
    results: list[Past] = []
    for each in asked:
        each.addCallback(results.append)
    expected = Past((BusMessage("2000-2", True, b"two"),), True)
    assert results == [expected] * 1_000


def test_a_history_outlives_the_only_worker_of_its_topic() -> None:
    parent = Parent()
    first = parent.worker()
    first.subscribe()
    known = first.publish(b"one")
    first.publish(b"two")
    first.relayed.left()
    again = parent.worker()
    again.subscribe()
    past = again.since(known)
    assert ([each.payload for each in past.messages], past.is_whole) == ([b"two"], True)
    parent.clock.advance(HISTORY_AGE)
    assert again.since(known).is_whole
    again.bus.unsubscribe("room")
    again.carry()
    assert parent.relay.history.size == 0


def test_a_history_is_forgotten_when_no_worker_comes_back_to_it() -> None:
    parent = Parent()
    worker = parent.worker()
    worker.subscribe()
    worker.publish(b"one")
    worker.relayed.left()
    parent.clock.advance(HISTORY_AGE - 1)
    assert parent.relay.history.size == 3
    parent.clock.advance(1)
    assert parent.relay.history.size == 0
    assert not parent.clock.getDelayedCalls()


def test_a_worker_that_ended_gets_nothing() -> None:
    parent = Parent()
    first, second = parent.worker(), parent.worker()
    heard = first.subscribe()
    second.subscribe()
    second.relayed.left()
    first.publish(b"one")
    assert second.down == []
    assert heard.payloads == [b"one"]
    parent.relay.stop()
    assert not parent.clock.getDelayedCalls() or first.bus.up


def test_without_the_parent_the_members_of_a_worker_still_hear_each_other() -> None:
    parent = Parent()
    worker = parent.worker("w7")
    heard = worker.subscribe()
    pending = worker.bus.publish("room", b"one", True)
    asked = worker.bus.since("room", None)
    worker.bus.lost()
    worker.bus.lost()
    assert not worker.bus.up
    assert (pending.called, asked.called) == (True, True)
    assert worker.publish(b"two") == "w7.3000-2"
    assert worker.since(None) == Past((), False)
    assert worker.since("2000-1") == Past((), False)
    worker.subscribe("another")
    assert heard.payloads == [b"one", b"two"]
    assert not parent.clock.getDelayedCalls()
