"""Clients of a hub, in all dialects: what each hears, its history, its positions, its bounds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from support.applications import Recorder, closed
from support.dialect_names import NAMES
from txhixie import Accepted, Offer, Refusal
from txhixie.bus.bus import MOST_MESSAGES, Bus
from txhixie.bus.local import LocalBus
from txhixie.bus.workers import LINK_LOOK_INTERVAL, SILENT_LOOKS, WorkersBus
from txhixie.hub.hub import Hub
from txhixie.hub.objects import SUBPROTOCOL
from txhixie.hub.presence_report import PRESENCE_TOPIC
from txhixie.hub.publishers import Publishers
from txhixie.hub.service import HubService
from txhixie.hub.topic import SUBSCRIBE_TIMEOUT
from txhixie.testing import Pair

BIG = "x" * 70_000
"""More than the write buffer of a transport in memory: its connection is slow afterwards."""


class Room:
    """A hub with clients in memory."""

    def __init__(
        self,
        topic: str = "room",
        busOf: Callable[[Clock], Bus] = lambda _: LocalBus(lambda: 1.0),
        **options: Any,
    ) -> None:
        self.clock = Clock()
        self.hub = Hub(busOf(self.clock), self.clock)
        self.topic = topic
        self.service = self.also(**options)
        self.pairs: list[Pair] = []

    def also(self, **options: Any) -> HubService:
        """Another route to the same topic."""
        return HubService(self.hub, self.topic, **options)

    def join(
        self,
        dialect: str = "rfc6455",
        url: str = "ws://example.com/",
        service: HubService | Identified | None = None,
        **options: Any,
    ) -> tuple[Pair, Recorder]:
        """A client that has joined."""
        client = Recorder()
        pair = Pair.new(
            service or self.service,
            client,
            dialect=dialect,
            url=url,
            clock=self.clock,
            serverExtensions=(),
            **options,
        )
        self.pairs.append(pair)
        self.pump()
        return pair, client

    def joinWithObjects(self, query: str = "") -> tuple[Pair, Recorder]:
        """A client that has joined with JSON objects."""
        return self.join(url=f"ws://example.com/{query}", subprotocols=[SUBPROTOCOL])

    def pump(self) -> None:
        """Deliver all bytes."""
        for _ in range(3):
            for pair in self.pairs:
                pair.pump()

    def say(self, client: Recorder, message: str | bytes) -> None:
        """Let a client publish a message."""
        if isinstance(message, str):
            client.transport.sendTextMessage(message)
        else:
            client.transport.sendBytesMessage(message)
        self.pump()

    def sayUnread(self, slow: Pair, client: Recorder, *messages: str) -> None:
        """Let a client publish messages while another one does not read, which then reads."""
        slow.toClient.paused = True
        for message in messages:
            self.say(client, message)
        slow.toClient.paused = False
        self.pump()


def objects(client: Recorder) -> list[Any]:
    """The JSON objects that a client has got."""
    return [json.loads(message) for message in client.messages]


def texts(client: Recorder) -> list[Any]:
    """The texts of the JSON objects that a client has got, and other objects as they are."""
    return [each.get("text", each) for each in objects(client)]


def test_each_member_gets_the_messages_of_all_others_and_not_its_own() -> None:
    room = Room()
    clients = [room.join(dialect)[1] for dialect in NAMES]
    for number, client in enumerate(clients):
        room.say(client, f"from {number}")
    for number, client in enumerate(clients):
        others = [f"from {other}" for other in range(len(NAMES)) if other != number]
        assert client.messages == others


def test_members_of_another_topic_hear_nothing() -> None:
    room = Room("{path}")
    _, one = room.join(url="ws://example.com/one")
    _, same = room.join(url="ws://example.com/one/")
    _, two = room.join(url="ws://example.com/two")
    room.say(one, "hello")
    assert same.messages == ["hello"]
    assert two.messages == []
    assert len(room.hub) == 2


def test_a_binary_message_is_skipped_for_dialects_that_lose_it() -> None:
    room = Room()
    clients = {dialect: room.join(dialect)[1] for dialect in NAMES}
    _, publisher = room.join()
    room.say(publisher, b"\x00\xff")
    room.say(publisher, "text")
    for dialect, client in clients.items():
        loses = dialect in ("hixie-75", "hixie-76")
        assert client.messages == (["text"] if loses else [b"\x00\xff", "text"])


@pytest.mark.parametrize("dialect", NAMES)
def test_a_new_member_gets_the_last_messages(dialect: str) -> None:
    room = Room(history=3)
    _, publisher = room.join()
    for number in range(5):
        room.say(publisher, str(number))
    _, client = room.join(dialect)
    assert client.messages == ["2", "3", "4"]
    room.say(publisher, "5")
    assert client.messages == ["2", "3", "4", "5"]


def test_a_long_history_waits_for_a_client_that_does_not_read() -> None:
    """100 messages of 2,000 bytes are more than the write buffer has room for."""
    room = Room(history=MOST_MESSAGES)
    _, publisher = room.join()
    for number in range(MOST_MESSAGES):
        room.say(publisher, f"{number} {'x' * 2000}")
    client = Recorder()
    pair = Pair.new(room.service, client, clock=room.clock)
    room.pairs.append(pair)
    room.sayUnread(pair, publisher, "new")
    numbers = [message.split()[0] for message in client.messages]
    assert numbers == [*map(str, range(MOST_MESSAGES)), "new"][-len(numbers) :]
    assert len(numbers) >= MOST_MESSAGES


def test_with_the_subprotocol_each_message_is_an_object_with_its_position() -> None:
    room = Room()
    _, client = room.joinWithObjects()
    assert client.transport.agreement is not None
    assert client.transport.agreement.subprotocol == SUBPROTOCOL
    _, publisher = room.join()
    room.say(publisher, "grüße")
    room.say(publisher, b"\x00\xff")
    assert objects(client) == [
        {"position": "1000-1", "text": "grüße"},
        {"position": "1000-2", "bytes": "AP8="},
    ]


def test_a_client_that_comes_back_gets_what_it_missed() -> None:
    room = Room(history=10)
    _, publisher = room.join()
    for number in range(4):
        room.say(publisher, str(number))
    _, client = room.joinWithObjects("?since=1000-2")
    assert [each["text"] for each in objects(client)] == ["2", "3"]
    _, client = room.joinWithObjects("?since=1000-4")
    assert objects(client) == []


def test_a_client_with_an_unknown_position_is_told_that_it_missed_messages() -> None:
    room = Room(history=2)
    _, publisher = room.join()
    for number in range(4):
        room.say(publisher, str(number))
    for unknown in ("999-1", "", "x"):
        _, client = room.joinWithObjects(f"?since={unknown}")
        assert objects(client) == [
            {"missed": True},
            {"position": "1000-3", "text": "2"},
            {"position": "1000-4", "text": "3"},
        ]


def silentParent(clock: Clock) -> Bus:
    """The bus of a worker whose parent does not answer."""
    return WorkersBus(lambda packet, isMessage: True, clock, lambda: 1.0)


@pytest.mark.parametrize("query", ["", "?since=1000-4"])
def test_a_client_whose_history_cannot_be_read_is_told_that_it_may_have_missed_messages(
    query: str,
) -> None:
    room = Room(busOf=silentParent, history=2)
    _, plain = room.join()
    _, client = room.joinWithObjects(query)
    room.clock.advance(SUBSCRIBE_TIMEOUT)  # the bus does not confirm the subscription either
    room.pump()
    room.clock.pump([LINK_LOOK_INTERVAL] * SILENT_LOOKS)
    room.pump()
    assert (plain.messages, objects(client)) == ([], [{"missed": True}])
    room.say(plain, "hello")
    room.clock.pump([LINK_LOOK_INTERVAL] * SILENT_LOOKS)
    room.pump()
    assert [each.get("text") for each in objects(client)] == [None, "hello"]
    room.say(client, "welcome")
    room.clock.pump([LINK_LOOK_INTERVAL] * SILENT_LOOKS)
    room.pump()
    assert plain.messages == ["welcome"]


def test_a_client_is_accepted_when_it_has_waited_a_second_for_the_subscription() -> None:
    room = Room(busOf=silentParent)
    _, client = room.join()
    assert client.told == ["started"]
    room.clock.advance(SUBSCRIBE_TIMEOUT)
    room.pump()
    assert client.told == ["started", "finished"]


def test_a_client_that_asks_is_told_the_number_of_members_at_most_once_a_second() -> None:
    room = Room()
    _, client = room.joinWithObjects("?presence")
    _, quiet = room.joinWithObjects()
    assert objects(client) == [{"members": 1}]
    pairs = [room.join()[0] for _ in range(5)]
    assert objects(client) == [{"members": 1}]
    room.clock.advance(1.0)
    room.pump()
    assert objects(client) == [{"members": 1}, {"members": 7}]
    pairs[0].client.protocol.loseConnection()
    room.pump()
    room.clock.advance(1.0)
    room.pump()
    assert objects(client)[2:] == [{"members": 6}]
    assert objects(quiet) == []


def test_a_number_of_members_that_is_the_same_again_is_not_told_twice() -> None:
    room = Room()
    _, client = room.joinWithObjects("?presence")
    room.clock.advance(1.0)
    room.pump()
    pair, _ = room.join()
    pair.client.protocol.loseConnection()
    room.pump()
    room.clock.advance(1.0)
    room.pump()
    assert objects(client) == [{"members": 1}]


def test_a_slow_member_is_told_the_number_of_members_when_it_reads_again() -> None:
    room = Room()
    pair, client = room.joinWithObjects("?presence")
    _, publisher = room.join()
    pair.toClient.paused = True
    room.say(publisher, BIG)
    room.clock.advance(1.0)
    pair.toClient.paused = False
    room.pump()
    assert objects(client)[-1] == {"members": 2}


def test_no_timer_is_left_when_the_clients_that_asked_have_left() -> None:
    room = Room(topicAge=5)
    pair, _ = room.joinWithObjects("?presence")
    pair.client.protocol.loseConnection()
    room.pump()
    room.clock.advance(30)
    assert len(room.hub) == 0
    assert room.clock.getDelayedCalls() == []


def test_a_slow_member_skips_messages_and_is_told_how_many() -> None:
    room = Room()
    pair, client = room.joinWithObjects()
    _, other = room.join()
    _, publisher = room.join()
    pair.toClient.paused = True
    for message in (BIG, *"01234"):
        room.say(publisher, message)
    assert other.messages[1:] == ["0", "1", "2", "3", "4"]
    pair.toClient.paused = False
    room.pump()
    room.say(publisher, "after")
    assert texts(client) == [BIG, {"skipped": 5}, "after"]


def test_a_slow_member_gets_the_newest_message() -> None:
    room = Room(slow="newest")
    pair, client = room.join()
    _, publisher = room.join()
    room.sayUnread(pair, publisher, BIG, *"01234")
    assert client.messages == [BIG, "4"]


def test_a_slow_member_is_closed_with_1013() -> None:
    room = Room(slow="close")
    pair, client = room.join()
    _, other = room.join()
    _, publisher = room.join()
    room.sayUnread(pair, publisher, BIG, "next")
    assert other.messages == [BIG, "next"]
    assert client.messages == [BIG]
    assert closed(client).code == 1013


def test_a_member_that_may_not_publish_is_closed_with_1008() -> None:
    room = Room(publishers=Publishers(["nobody"]))
    _, client = room.join()
    _, other = room.join()
    room.say(client, "hello")
    assert closed(client).code == 1008
    assert closed(client).reason == "publishing is not allowed"
    assert other.messages == []


class Identified:
    """A hub on a route that has identified the client as a user."""

    def __init__(self, service: HubService, user: str) -> None:
        self._service = service
        self._user = user

    def buildProtocol(self, offer: Offer) -> Accepted | Refusal | Deferred[Accepted | Refusal]:
        """Let the client join under its name."""
        return self._service.buildProtocol(replace(offer, user=self._user))


@pytest.mark.parametrize("dialect", NAMES)
def test_of_two_users_the_one_who_is_named_publishes(dialect: str) -> None:
    room = Room(publishers=Publishers(["alice", "10.0.0.0/8"]))
    _, alice = room.join(dialect, service=Identified(room.service, "alice"))
    _, bob = room.join(dialect, service=Identified(room.service, "bob"))
    _, other = room.join()
    room.say(alice, "from alice")
    room.say(bob, "from bob")
    assert bob.messages == other.messages == ["from alice"]
    assert alice.transport.isOpen
    assert not bob.transport.isOpen


def test_beyond_the_largest_number_of_topics_a_client_is_refused() -> None:
    room = Room("{path}", mostTopics=2, topicAge=10)
    first, _ = room.join(url="ws://example.com/one")
    room.join(url="ws://example.com/two")
    third, _ = room.join(url="ws://example.com/three")
    assert third.refused is not None
    assert third.refused.status == 503
    room.join(url="ws://example.com/one")
    first.client.protocol.loseConnection()
    room.pump()
    assert len(room.hub) == 2


def test_a_topic_without_members_goes_after_its_age_with_its_history() -> None:
    room = Room(history=5, topicAge=10)
    pair, client = room.join()
    room.say(client, "hello")
    pair.client.protocol.loseConnection()
    room.pump()
    room.clock.advance(9)
    pair, client = room.join()
    assert client.messages == ["hello"]
    room.clock.advance(60)
    assert len(room.hub) == 1
    pair.client.protocol.loseConnection()
    room.pump()
    room.clock.advance(11)
    assert len(room.hub) == 0
    assert room.hub.bus.history.size == 0  # type: ignore[attr-defined]  # the bus of the test is a LocalBus, which has a history
    _, client = room.join()
    assert client.messages == []


@pytest.mark.parametrize("path", ["/", "/%00", "/" + "x" * 201, "/%ff%0a"])
def test_a_path_that_names_no_topic_is_refused(path: str) -> None:
    room = Room("{path}")
    pair, _ = room.join(url=f"ws://example.com{path}")
    assert pair.refused is not None
    assert pair.refused.status == 404
    assert len(room.hub) == 0


@pytest.mark.parametrize("path", [f"/{quote(PRESENCE_TOPIC)}", f"/{PRESENCE_TOPIC}"])
def test_the_topic_by_which_processes_count_members_can_neither_be_joined_nor_published_to(
    path: str,
) -> None:
    room = Room("{path}")
    assert isinstance(room.service.publish(path, b'["worker-1",null]', True), Refusal)
    offer = Offer("rfc6455", path, "example.com")
    refused = room.service.buildProtocol(offer)
    assert isinstance(refused, Refusal)
    assert refused.status == 404
    assert len(room.hub) == 0


def test_a_message_from_outside_reaches_all_members() -> None:
    room = Room("{path}", history=1)
    _, client = room.join(url="ws://example.com/news")
    results: list[Any] = []
    published = room.service.publish("/news", b"hello", True)
    assert not isinstance(published, Refusal)
    published.addCallback(results.append)
    room.pump()
    assert results == ["1000-1"]
    assert client.messages == ["hello"]


def test_with_newest_a_member_is_told_of_skipped_messages_before_the_newest_one() -> None:
    room = Room(slow="newest")
    pair, client = room.joinWithObjects()
    _, publisher = room.join()
    room.sayUnread(pair, publisher, BIG, *"01234")
    assert texts(client) == [BIG, {"skipped": 4}, "4"]
    room.say(publisher, "after")
    assert texts(client)[3:] == ["after"]


def test_messages_behind_a_large_newest_one_are_not_counted_as_skipped_if_they_are_sent() -> None:
    """The newest message fills the write buffer anew, and one more message waits."""
    room = Room(slow="newest")
    pair, client = room.joinWithObjects()
    _, publisher = room.join()
    pair.toClient.paused = True
    room.say(publisher, BIG)
    room.say(publisher, f"1 {BIG}")
    pair.toClient.paused = False
    while not client.messages:
        assert pair.toClient.deliver()
    room.sayUnread(pair, publisher, "2")
    assert [each.get("text", each)[:3] for each in objects(client)] == ["xxx", "1 x", "2"]


def test_a_client_that_comes_back_gets_its_own_messages_again() -> None:
    room = Room(history=10)
    _, client = room.joinWithObjects()
    room.say(client, "mine")
    assert objects(client) == []
    _, again = room.joinWithObjects("?since=1000-0")
    assert texts(again) == [{"missed": True}, "mine"]
    room.say(again, "mine too")
    _, again = room.joinWithObjects("?since=1000-1")
    assert [each["text"] for each in objects(again)] == ["mine too"]


def test_members_that_do_not_read_their_history_count_its_bytes_each() -> None:
    """So the ceiling of all connections is reached early: the messages are in memory once."""
    room = Room(history=MOST_MESSAGES)
    _, publisher = room.join()
    for number in range(MOST_MESSAGES):
        room.say(publisher, f"{number} {'x' * 2000}")
    pairs = [stalled(room)[0] for _ in range(3)]
    waiting = [pair.server.protocol.holding.waiting for pair in pairs]
    assert waiting == 3 * waiting[:1]
    assert sum(waiting) > MOST_MESSAGES * 2010


def test_a_newest_message_that_fills_the_write_buffer_loses_no_count_of_skipped_ones() -> None:
    room = Room(slow="newest")
    pair, client = room.joinWithObjects()
    _, publisher = room.join()
    pair.toClient.paused = True
    room.say(publisher, BIG)
    for number in range(5):
        room.say(publisher, f"{number} {BIG}")
    pair.toClient.paused = False
    room.pump()
    room.say(publisher, "after")
    assert sorted(map(str, texts(client))) == sorted([BIG, f"4 {BIG}", "{'skipped': 4}", "after"])


def test_a_member_that_stalls_at_its_history_is_told_and_counted() -> None:
    """It has joined, reads nothing, and more messages come than wait for one member."""
    room = Room(history=MOST_MESSAGES)
    _, publisher = room.join()
    for number in range(MOST_MESSAGES):
        room.say(publisher, f"{number} {'x' * 2000}")
    pair, client = stalled(room)
    for number in range(MOST_MESSAGES):
        room.say(publisher, f"{100 + number} {'x' * 2000}")
    client.transport.resumeProducing()
    room.pump()
    got = objects(client)
    skipped = sum(each.get("skipped", 0) for each in got)
    assert skipped > 0
    assert sum("text" in each for each in got) + skipped == 2 * MOST_MESSAGES
    counters = pair.server.protocol.factory.counters
    assert counters.skipped["full"] == skipped


def test_with_close_a_member_that_stalls_at_its_history_is_closed_before_a_gap() -> None:
    room = Room(history=MOST_MESSAGES, slow="close")
    _, publisher = room.join()
    for number in range(MOST_MESSAGES):
        room.say(publisher, f"{number} {'x' * 2000}")
    _, client = stalled(room)
    for number in range(MOST_MESSAGES):
        room.say(publisher, f"{100 + number} {'x' * 2000}")
    client.transport.resumeProducing()
    room.pump()
    assert closed(client).code == 1013
    numbers = [int(each["text"].split()[0]) for each in objects(client)]
    assert numbers == list(range(len(numbers)))


class Stalled(Recorder):
    """An application that stops reading when the handshake is complete."""

    def negotiationFinished(self) -> None:
        super().negotiationFinished()
        self.transport.pauseProducing()


def stalled(room: Room) -> tuple[Pair, Recorder]:
    """A client that joins with JSON objects, and does not read its history."""
    client = Stalled()
    pair = Pair.new(
        room.service, client, clock=room.clock, subprotocols=[SUBPROTOCOL], serverExtensions=()
    )
    room.pairs.append(pair)
    return pair, client


def test_a_route_with_history_keeps_the_messages_of_a_topic_that_had_none() -> None:
    """A reload has added ``history``, and the members of before stay."""
    room = Room()
    _, publisher = room.join()
    service = room.also(history=5)
    room.join(service=service)
    room.say(publisher, "hello")
    _, client = room.join(service=service)
    assert client.messages == ["hello"]


def test_a_client_that_has_all_messages_but_those_of_the_history_has_missed_nothing() -> None:
    """Its last message is the one before the history: too old, or too large to be kept."""
    room = Room(history=MOST_MESSAGES)
    _, publisher = room.join()
    for number in range(MOST_MESSAGES + 1):
        room.say(publisher, str(number))
    _, client = room.joinWithObjects("?since=1000-1")
    assert [each["text"] for each in objects(client)] == [*map(str, range(1, MOST_MESSAGES + 1))]
    room.say(publisher, "x" * 300_000)
    room.say(publisher, "after")
    _, client = room.joinWithObjects(f"?since=1000-{MOST_MESSAGES + 2}")
    assert [each["text"] for each in objects(client)] == ["after"]
