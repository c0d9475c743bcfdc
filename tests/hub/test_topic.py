"""A topic: members that raise, clients that wait for the subscription.

``test_service.py`` has what clients of a topic get.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from support.log_recorder import Log
from support.shared_bus import SharedBus
from txhixie.bus.bus import Receive
from txhixie.bus.local import LocalBus
from txhixie.hub.delivery import Delivered
from txhixie.hub.hub import Hub
from txhixie.hub.joining import Joining
from txhixie.hub.topic import SUBSCRIBE_TIMEOUT, Topic


class Member:
    """A member that keeps what it gets, and raises if the test sets this."""

    wantsPresence = True

    def __init__(self, raises: bool) -> None:
        self.heard: list[bytes] = []
        self.told = 0
        self.backlog, self.skipped = (), 0
        self.joining, self.transport = Joining(presence=True), None
        self._raises = raises

    def hear(self, delivered: Delivered) -> Callable[[], None] | None:
        """Keep a message."""
        self.heard.append(delivered.message.payload)
        self._fail()
        return None

    def missed(self, outcome: int) -> None:
        """Fail: nothing is sent to this member."""
        raise AssertionError(outcome)

    def tellMembers(self) -> None:
        """Count a number of members."""
        self.told += 1
        self._fail()

    def _fail(self) -> None:
        if self._raises:
            raise RuntimeError("a defect of a member")


def test_a_member_that_raises_costs_the_others_nothing(log: Log) -> None:
    clock = Clock()
    topic = Hub(LocalBus(lambda: 1.0), clock).topic("room", 60.0, False)
    members = [Member(False), Member(True), Member(False)]
    for each in members:
        topic.join(each)
    published: list[str] = []
    for payload in (b"1", b"2"):
        topic.publish(payload, True).addCallback(published.append)
    clock.advance(1.0)
    assert [each.heard for each in members] == [[b"1", b"2"]] * 3
    assert [each.told for each in members] == [1, 1, 1]
    assert len(published) == 2
    assert [type(each) for each in log.tracebacks()] == [RuntimeError] * 3


class RemoteBus(SharedBus):
    """
    A bus that confirms a subscription when the test does.

    :ivar subscribing: the subscriptions, the latest last.
    """

    def __init__(self) -> None:
        super().__init__([])
        self.subscribing: list[Deferred[None]] = []

    def subscribe(self, topic: str, receive: Receive, history: bool) -> Deferred[None]:
        """Subscribe to a topic."""
        super().subscribe(topic, receive, history)
        self.subscribing.append(Deferred())
        return self.subscribing[-1]


class Remote:
    """
    A topic on such a bus, and the clients that wait.

    :ivar entered: numbers of the clients that wait no longer.
    """

    def __init__(self, age: float = 60.0) -> None:
        self.clock, self.bus = Clock(), RemoteBus()
        self.hub = Hub(self.bus, self.clock)
        self.age = age
        self.topic = self.find()
        self.entered: list[int] = []

    def find(self, history: bool = False) -> Topic:
        """The topic of the hub."""
        return self.hub.topic("room", self.age, history)

    def ask(self, number: int) -> Deferred[None] | None:
        """Let a client ask whether it has to wait."""
        waiting = self.topic.whenSubscribed()
        if waiting is not None:
            waiting.addCallback(lambda _: self.entered.append(number))
        return waiting


def test_clients_wait_until_the_bus_has_confirmed_the_subscription_of_their_topic() -> None:
    remote = Remote()
    remote.ask(1)
    remote.clock.advance(SUBSCRIBE_TIMEOUT / 2)
    remote.ask(2)
    assert remote.entered == []
    remote.bus.subscribing[0].callback(None)
    assert remote.entered == [1, 2]
    assert remote.ask(3) is None


def test_clients_wait_for_the_subscription_with_a_history_that_follows_one_without() -> None:
    remote = Remote()
    remote.ask(1)
    remote.find(history=True)
    without, withHistory = remote.bus.subscribing
    without.callback(None)
    assert remote.entered == []
    withHistory.callback(None)
    assert remote.entered == [1]


def test_clients_do_not_wait_longer_than_the_timeout_and_later_ones_not_at_all() -> None:
    remote = Remote()
    remote.ask(1)
    remote.clock.advance(SUBSCRIBE_TIMEOUT)
    assert remote.entered == [1]
    assert remote.ask(2) is None
    remote.bus.subscribing[0].callback(None)
    assert remote.entered == [1]


def test_clients_do_not_wait_for_a_bus_that_is_down() -> None:
    remote = Remote()
    remote.bus.up = False
    assert remote.ask(1) is None


def test_clients_do_not_wait_when_the_subscription_has_failed(log: Log) -> None:
    remote = Remote()
    remote.ask(1)
    remote.bus.subscribing[0].errback(RuntimeError("a defect of a bus"))
    assert remote.entered == [1]
    assert [type(each) for each in log.tracebacks()] == [RuntimeError]


def test_a_client_that_has_left_while_it_waited_does_not_disturb_the_others() -> None:
    remote = Remote()
    leaving = remote.ask(1)
    assert leaving is not None
    leaving.addErrback(lambda _: None)
    remote.ask(2)
    leaving.cancel()
    remote.bus.subscribing[0].callback(None)
    assert remote.entered == [2]


def test_a_topic_stays_while_clients_wait_and_goes_its_age_after_they_have_left() -> None:
    remote = Remote(age=SUBSCRIBE_TIMEOUT / 4)
    remote.ask(1)
    remote.clock.advance(SUBSCRIBE_TIMEOUT / 2)
    assert remote.find() is remote.topic
    remote.bus.subscribing[0].callback(None)
    remote.clock.advance(SUBSCRIBE_TIMEOUT / 4)
    assert "room" not in remote.hub
    assert remote.clock.getDelayedCalls() == []


def test_the_end_of_the_hub_ends_the_wait() -> None:
    remote = Remote()
    remote.ask(1)
    remote.hub.stop()
    assert remote.entered == [1]
    assert remote.clock.getDelayedCalls() == []
