"""The ledger of all workers: limits in all and for an address, answers that are late or lost."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from support.applications import Answering, Recorder
from support.daemon import PATIENCE
from support.network import Network, Place
from support.raw_peer import Raw
from support.waiting import asynchronous, reactor, until
from txhixie import Accepted, Admission, Offer, Refusal
from txhixie.bus.local import LocalBus
from txhixie.daemon.dispatch import (
    Guarded,
    PageSite,
    RoutedApplications,
    RoutedPages,
    RoutedServerFactory,
)
from txhixie.daemon.routes import Route, Routes
from txhixie.daemon.workers.ledger import (
    LEDGER_TIMEOUT,
    MOST_ASKED,
    TOPIC_TIMEOUT,
    Ledger,
    SharedLedger,
    TopicLedger,
    countWorker,
    shareLedger,
)
from txhixie.daemon.workers.link import adoptLink, linkPair
from txhixie.hub.hub import Hub
from txhixie.hub.service import HubService
from txhixie.sansio.http.trusted import TrustedNetworks
from txhixie.server.admission import BY_ADDRESS, IN_ALL
from txhixie.server.proxy_protocol import ProxyProtocolFactory

HOST = "192.0.2.1"


class Worker:
    """
    A worker with its link, with two directions, which a test can stop.

    :ivar up: packets to the parent.
    :ivar down: packets to the worker.
    """

    def __init__(self, parent: Ledger, clock: Clock, workers: int = 2, **timeout: float) -> None:
        self.up: list[bytes] = []
        self.down: list[bytes] = []
        self.hasRoomUp = self.hasRoomDown = True
        self.ledger = SharedLedger(self._send, clock, workers, **timeout)
        self.counted = parent.join(self._answer)

    def _send(self, packet: bytes) -> bool:
        if self.hasRoomUp:
            self.up.append(packet)
        return self.hasRoomUp

    def _answer(self, packet: bytes) -> bool:
        if self.hasRoomDown:
            self.down.append(packet)
        return self.hasRoomDown

    def carry(self) -> None:
        """Carry the packets of both directions, until no packet is left."""
        while self.up or self.down:
            up, self.up = self.up, []
            for packet in up:
                self.counted.received(packet)
            down, self.down = self.down, []
            for packet in down:
                self.ledger.received(packet)

    def asks(
        self, who: object, address: str = "", most: int | None = None, ofAddress: int | None = None
    ) -> list[Any]:
        """Ask about a connection; the list gets the verdict."""
        verdicts: list[Any] = []
        self.ledger.ask(who, address, most, ofAddress, verdicts.append)
        return verdicts

    def asked(self, who: object, *limits: Any) -> Any:
        """Ask about a connection, and return the verdict after an answer of the parent."""
        verdicts = self.asks(who, *limits)
        self.carry()
        (verdict,) = verdicts
        return verdict


def both() -> tuple[Ledger, Clock, Worker, Worker]:
    """Two workers of one parent."""
    parent, clock = Ledger(), Clock()
    return parent, clock, Worker(parent, clock), Worker(parent, clock)


def test_a_limit_in_all_is_that_of_all_workers() -> None:
    parent, _, first, second = both()
    assert [first.asked(number, "", 3) for number in range(2)] == [None, None]
    assert second.asked("a", "", 3) is None
    assert second.asked("b", "", 3) == IN_ALL
    assert first.asked("c", "", 3) == IN_ALL
    assert parent.total == 3
    first.ledger.leave(0)
    first.carry()
    assert second.asked("b", "", 3) is None
    assert (len(first.ledger), len(second.ledger), parent.total) == (1, 2, 3)


def test_a_limit_for_an_address_is_that_of_all_workers() -> None:
    parent, _, first, second = both()
    assert first.asked("a", HOST, None, 1) is None
    assert second.asked("b", HOST, 10, 1) == BY_ADDRESS
    assert second.asked("c", "192.0.2.2", 10, 1) is None
    assert second.asked("d", "", 10, 1) is None, "a client without an address"
    assert (parent.total, parent.of(HOST)) == (3, 1)
    first.ledger.leave("a")
    first.carry()
    assert parent.of(HOST) == 0


def test_the_connections_of_a_dead_worker_are_given_back() -> None:
    parent, clock, first, second = both()
    assert first.asked("a", HOST, 2, 1) is None
    assert second.asked("b", "", 2) is None
    first.counted.left()
    assert (parent.total, parent.of(HOST)) == (1, 0)
    assert Worker(parent, clock).asked("c", HOST, 2, 1) is None


def test_without_an_answer_a_worker_decides_by_its_share_and_the_ledger_is_set_right() -> None:
    parent, clock, first, second = both()
    verdicts = [first.asks(number, HOST, 4, 10) for number in range(3)]
    assert verdicts == [[], [], []]
    clock.advance(LEDGER_TIMEOUT)
    assert verdicts == [[None], [None], [IN_ALL]], "2 of 4 connections are the share of a worker"
    first.carry()
    assert (parent.total, parent.of(HOST)) == (2, 2), "the third is given back"
    assert second.asked("a", HOST, 4, 10) is None
    clock.advance(LEDGER_TIMEOUT)
    assert not clock.getDelayedCalls()


def test_a_late_refusal_does_not_end_a_connection_that_was_accepted() -> None:
    parent, clock, first, second = both()
    assert second.asked("a", HOST, 1, 1) is None
    verdict = first.asks("b", HOST, 1, 1)
    clock.advance(LEDGER_TIMEOUT)
    assert verdict == [None], "the share of a worker is at least 1"
    first.carry()
    assert (verdict, parent.total, parent.of(HOST)) == ([None], 2, 2)
    assert second.asked("c", HOST, 2, 10) == IN_ALL


def test_a_connection_that_ends_before_the_answer_is_given_back() -> None:
    parent, clock, first, _ = both()
    undecided = first.asks("a", HOST, 4, 4)
    first.ledger.leave("a")
    late = first.asks("b", HOST, 4, 4)
    clock.advance(LEDGER_TIMEOUT)
    first.ledger.leave("b")
    first.carry()
    assert (undecided, late) == ([], [None])
    assert (parent.total, parent.of(HOST), len(first.ledger)) == (0, 0, 0)


def test_an_answer_that_has_no_room_counts_nothing() -> None:
    parent, clock, first, _ = both()
    first.hasRoomDown = False
    verdict = first.asks("a", HOST, 4, 4)
    first.carry()
    assert (verdict, parent.total) == ([], 0)
    clock.advance(LEDGER_TIMEOUT)
    first.hasRoomDown = True
    assert verdict == [None]
    assert first.asked("b", HOST, 4, 4) is None
    assert (parent.total, len(first.ledger)) == (2, 2)


def test_changes_that_have_no_room_are_sent_later() -> None:
    parent, clock, first, _ = both()
    assert first.asked("a", HOST, 9, 9) is None
    first.hasRoomUp = False
    assert first.asks("b", HOST, 9, 9) == [None], "by its share, at once"
    first.ledger.leave("a")
    first.ledger.leave("b")
    first.hasRoomUp = True
    clock.advance(1)
    first.carry()
    assert parent.total == 0
    assert not clock.getDelayedCalls()


def test_a_parent_that_does_not_read_is_asked_a_bounded_number_of_times() -> None:
    _, clock, first, _ = both()
    for number in range(MOST_ASKED + 10):
        first.asks(number, "", 10_000)
    assert len(first.up) == MOST_ASKED + 10, "the changes of those that were not asked for"
    assert len(first.ledger) == 10
    clock.advance(LEDGER_TIMEOUT)
    assert len(first.ledger) == MOST_ASKED + 10


def test_without_the_parent_a_worker_has_its_share() -> None:
    _, clock, first, _ = both()
    verdict = first.asks("a", HOST, 4, 4)
    first.ledger.lost()
    assert verdict == [None]
    assert [first.asks(number, HOST, 4, 4) for number in range(2)] == [[None], [BY_ADDRESS]]
    first.ledger.leave("a")
    assert first.asks("b", HOST, 4, 4) == [None]
    assert not clock.getDelayedCalls()


def test_connections_before_a_limit_are_taken_and_given_back() -> None:
    parent, _, first, _ = both()
    first.ledger.take("a", "")
    first.ledger.take("a", "")
    first.carry()
    assert parent.total == 1
    first.ledger.take("a", HOST)
    first.carry()
    assert (parent.total, parent.of(HOST)) == (1, 1)
    first.asked("b", HOST, 9, 9)
    first.ledger.clear()
    first.carry()
    assert (parent.total, parent.of(HOST)) == (0, 0)


def test_a_connection_whose_request_shows_an_address_is_asked_about_once_more() -> None:
    parent, _, first, second = both()
    assert first.asked("proxied", "", 9, 1) is None
    assert first.asked("proxied", HOST, 9, 1) is None
    assert first.asked("proxied", HOST, 9, 1) is None
    assert (parent.total, parent.of(HOST), parent.of("")) == (1, 1, 0)
    assert second.asked("other", "", 9, 1) is None
    assert second.asked("other", HOST, 9, 1) == BY_ADDRESS
    second.ledger.leave("other")
    first.ledger.leave("proxied")
    first.carry()
    second.carry()
    assert parent.total == 0


def test_an_admission_refuses_with_the_limit_of_all_workers() -> None:
    _, _, first, second = both()
    limits = Admission(connections=2, connections_per_address=1)
    limits.ledger = first.ledger
    heard: list[Refusal | None] = []
    for transport, client in ((1, HOST), (2, HOST), (3, "192.0.2.2"), (4, "192.0.2.3")):
        limits.enter(transport, client)
        limits.confirm(transport, heard.append)
        first.carry()
    refusals = [each for each in heard if each is not None]
    assert [each is None for each in heard] == [True, False, True, False]
    assert [each.status for each in refusals] == [429, 503]
    assert [each.cause for each in refusals] == ["connections-per-address", "connections"]
    limits.leave(1)
    first.carry()
    assert second.asked("a", HOST, 2, 1) is None
    limits.change(Admission())
    limits.confirm(9, heard.append)
    assert heard[-1] is None
    first.carry()
    assert second.asked("b", "", 2) is None


def test_rates_are_divided() -> None:
    limits = Admission(connections=5, new_connections=9, new_connections_per_address=1)
    limits.divide_rates(4)
    assert (limits.connections, limits.new_connections) == (5, 2)
    assert limits.new_connections_per_address == 1


@asynchronous
async def test_the_ledger_works_over_a_link() -> None:
    parent = Ledger()
    here, other = linkPair(reactor)
    there = adoptLink(reactor, other.detach())
    countWorker(here, parent)
    ledger = shareLedger(there, reactor, 2)
    verdicts: list[Any] = []
    ledger.ask("a", HOST, 9, 9, verdicts.append)
    await until(lambda: verdicts and parent.total == 1)
    assert verdicts == [None]
    there.close()
    await until(lambda: not here.connected and not there.connected)
    assert parent.total == 0
    ledger.ask("b", HOST, 9, 9, verdicts.append)
    assert verdicts == [None, None]


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


PAGE = b"GET /page/ HTTP/1.1\r\nHost: example.com\r\n\r\n"


class Page(Resource):
    """A page."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return b"a page"


async def served(net: Network, parent: Ledger, behindProxy: bool = False, **limits: Any) -> Place:
    """
    Listen as a worker; by default the limit is two connections of all workers.

    :param behindProxy: whether clients send a header of the PROXY protocol.
    """
    here, other = linkPair(reactor)
    there = adoptLink(reactor, other.detach())
    countWorker(here, parent)
    routes: Routes[Any] = Routes()
    routes.add(Route(None, "/", None), Guarded(Answering(lambda offer: Accepted(Recorder()))))
    pages: Routes[Any] = Routes()
    page = Page()  # type: ignore[no-untyped-call]
    pages.add(Route(None, "/page", None), Guarded(page))
    admission = Admission(**limits or {"connections": 2})
    admission.ledger = shareLedger(there, reactor, 2, PATIENCE)
    factory = RoutedServerFactory(
        RoutedApplications(routes),
        admission=admission,
        elsewhere=PageSite(RoutedPages(pages)),
        trustForwarded=["127.0.0.1"],
    )
    if behindProxy:
        return await net.listen(ProxyProtocolFactory(factory, TrustedNetworks(["127.0.0.1"])))
    return await net.listen(factory)


async def answered(net: Network, place: Place, request: bytes) -> tuple[Raw, int]:
    """Send a request; return the connection, and the status of the response."""
    raw = await net.raw(place)
    raw.send(request)
    await raw.reads(b"\r\n\r\n")
    return raw, int(raw.data.split()[1])


async def accepted(net: Network, place: Place) -> Raw:
    """Send a handshake, which is accepted."""
    raw, status = await answered(net, place, HANDSHAKE)
    assert status == 101
    return raw


@asynchronous
async def test_handshakes_at_two_workers_have_one_limit(net: Network) -> None:
    parent = Ledger()
    first, second = [await served(net, parent) for _ in range(2)]
    await accepted(net, first)
    leaving = await accepted(net, second)
    await until(lambda: parent.total == 2)
    refused = await net.raw(first)
    refused.send(HANDSHAKE)
    await refused.ends()
    assert refused.data.startswith(b"HTTP/1.1 503 ")
    leaving.transport.loseConnection()
    await until(lambda: parent.total == 1)
    await accepted(net, second)
    await until(lambda: parent.total == 2)


@asynchronous
async def test_pages_and_unfinished_handshakes_have_the_limit_of_the_handshakes(
    net: Network,
) -> None:
    parent = Ledger()
    first, second = [await served(net, parent) for _ in range(2)]
    silent = [await net.raw(place) for place in (first, second)]
    await until(lambda: parent.total == 2)
    for place in (first, second):
        for request in (PAGE, HANDSHAKE):
            _, status = await answered(net, place, request)
            assert status == 503
    silent[0].transport.loseConnection()
    await until(lambda: parent.total == 1)
    raw, status = await answered(net, second, PAGE)
    assert status == 200
    await raw.ends()
    await until(lambda: parent.total == 1)
    await accepted(net, first)


@asynchronous
async def test_a_client_behind_a_proxy_has_its_limit_at_all_workers(net: Network) -> None:
    parent = Ledger()
    first, second = [await served(net, parent, connections_per_address=1) for _ in range(2)]
    field = b"\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
    handshake, page = (each.replace(b"\r\n\r\n", field) for each in (HANDSHAKE, PAGE))
    _, status = await answered(net, first, handshake)
    assert (status, parent.total, parent.of(HOST)) == (101, 1, 1)
    for request in (handshake, page):
        _, status = await answered(net, second, request)
        assert status == 429
    _, status = await answered(net, second, handshake.replace(b"192.0.2.1", b"192.0.2.2"))
    assert (status, parent.of("192.0.2.2")) == (101, 1)
    await until(lambda: parent.total == 2)


@asynchronous
async def test_a_client_with_a_PROXY_header_counts_before_and_after_it(net: Network) -> None:
    parent = Ledger()
    options: dict[str, Any] = {"behindProxy": True, "connections": 9, "connections_per_address": 1}
    first, second = [await served(net, parent, **options) for _ in range(2)]
    silent = await net.raw(first)
    await until(lambda: parent.total == 1 and parent.of("") == 1)
    header = b"PROXY TCP4 192.0.2.1 192.0.2.9 5000 80\r\n"
    silent.send(header)
    await until(lambda: parent.of(HOST) == 1)
    assert (parent.total, parent.of("")) == (1, 0)
    _, status = await answered(net, second, header + HANDSHAKE)
    assert status == 429
    silent.send(HANDSHAKE)
    await silent.reads(b"\r\n\r\n")
    assert silent.data.startswith(b"HTTP/1.1 101 ")
    silent.transport.loseConnection()
    await until(lambda: parent.total == 0)
    _, status = await answered(net, second, header + HANDSHAKE)
    assert status == 101


class Topics:
    """Two workers with a hub each, whose topics have one limit."""

    def __init__(self, most: int) -> None:
        parent = TopicLedger()
        self.clock = Clock()
        self.workers = [Worker(parent, self.clock, timeout=TOPIC_TIMEOUT) for _ in range(2)]
        self.services: list[HubService] = []
        self.hubs: list[Hub] = []
        for worker in self.workers:
            hub = Hub(LocalBus(lambda: 1.0), self.clock)
            hub.ledger = worker.ledger
            self.hubs.append(hub)
            self.services.append(HubService(hub, "{path}", mostTopics=most, topicAge=10))

    def asks(self, worker: int, topic: str) -> list[Any]:
        """Let a client ask for a topic; the list gets the decision."""
        offer = Offer("rfc6455", f"/{topic}", "example.com")
        decisions: list[Any] = []
        maybeDeferred(self.services[worker].buildProtocol, offer).addCallback(decisions.append)
        return decisions

    def joins(self, worker: int, topic: str) -> bool:
        """Let a client ask for a topic, and return whether it gets it."""
        decisions = self.asks(worker, topic)
        self.carry()
        (decision,) = decisions
        return not isinstance(decision, Refusal)

    def carry(self) -> None:
        """Carry the packets of both workers."""
        for worker in self.workers:
            worker.carry()


def test_a_limit_of_topics_is_that_of_all_workers() -> None:
    topics = Topics(2)
    assert topics.joins(0, "a")
    assert topics.joins(1, "a"), "a topic of two workers is one topic"
    assert topics.joins(1, "b")
    assert [topics.joins(worker, "c") for worker in (0, 1)] == [False, False]
    assert [topics.joins(worker, "b") for worker in (0, 1)] == [True, True]
    topics.clock.advance(11)  # no member has joined
    assert [len(hub) for hub in topics.hubs] == [0, 0]
    topics.carry()
    assert [topics.joins(worker, "c") for worker in (0, 1)] == [True, True]


def test_the_topics_of_a_worker_that_was_killed_are_counted_no_more() -> None:
    topics = Topics(1)
    assert topics.joins(0, "a")
    topics.workers[0].counted.left()
    assert topics.joins(1, "b")


def test_without_an_answer_a_worker_has_its_share_of_the_topics() -> None:
    topics = Topics(4)
    decisions = [topics.asks(0, f"topic {number}") for number in range(4)]
    assert decisions == [[]] * 4
    topics.clock.advance(TOPIC_TIMEOUT)
    refused = [isinstance(each, Refusal) for (each,) in decisions]
    assert refused == [False, False, True, True]
    topics.carry()
    assert topics.joins(1, "two more")
    assert topics.joins(1, "and the last")
    assert not topics.joins(0, "one too many")


def test_clients_that_ask_for_the_same_new_topic_get_the_same_decision() -> None:
    topics = Topics(1)
    asked = [topics.asks(0, "a"), topics.asks(0, "a")]
    topics.carry()
    assert [isinstance(each, Accepted) for (each,) in asked] == [True, True]
    asked = [topics.asks(1, "b"), topics.asks(1, "b")]
    topics.carry()
    assert [each.status for (each,) in asked] == [503, 503]
    assert "max-topics" in asked[0][0].why


def test_a_topic_whose_client_has_left_meanwhile_is_not_counted() -> None:
    topics = Topics(1)
    asked = topics.services[0].buildProtocol(Offer("rfc6455", "/a", "example.com"))
    assert isinstance(asked, Deferred)
    asked.addErrback(lambda _: None)
    asked.cancel()
    topics.carry()
    assert len(topics.hubs[0]) == 0
    assert topics.joins(1, "b")


def test_a_message_from_outside_for_one_topic_too_many_is_refused() -> None:
    topics = Topics(1)
    assert topics.joins(0, "a")
    results: list[Any] = []
    for topic in ("a", "b"):
        published = topics.services[1].publish(f"/{topic}", b"hello", True)
        assert isinstance(published, Deferred)
        published.addCallback(results.append)
        topics.carry()
    position, refusal = results
    assert isinstance(position, str)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 503
