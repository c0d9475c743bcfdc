"""A client and a server in memory, for tests of applications."""

from __future__ import annotations

import pytest
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock

from support.applications import Source
from support.dialect_marks import each
from support.dialect_names import code_of
from txhixie import AbruptClose, CleanClose, HixieClientFactory, HixieServerFactory, Limits, Refusal
from txhixie.interfaces import Accepted
from txhixie.sansio.extensions.deflate_frame import DeflateFrame
from txhixie.sansio.extensions.permessage_deflate import PermessageDeflate
from txhixie.testing import Applications, Pair, Recorder, echo
from txhixie.web import ByRequest


def talking(dialect: str = "rfc6455", **options: object) -> tuple[Pair, Recorder, Recorder]:
    """A pair, and its applications: the server's one echoes."""
    servers, client = Applications(echo), Recorder()
    pair = Pair.new(servers, client, dialect=dialect, **options)  # type: ignore[arg-type]  # the options come from a dictionary, and are checked when the test runs
    return pair, servers.made[0], client


# The pair.


@each
def test_a_pair_is_open_and_exchanges_messages_when_it_is_pumped(dialect: str) -> None:
    pair, server, client = talking(dialect)
    assert client.told == server.told == ["started", "finished"]
    client.transport.sendTextMessage("hello")
    assert server.messages == []
    pair.pump()
    assert server.messages == client.messages == ["hello"]
    assert client.transport.offer.dialect == dialect
    pair.done()


@each
def test_a_pair_closes_in_the_way_of_its_dialect(dialect: str) -> None:
    pair, server, client = talking(dialect)
    client.transport.loseConnection(1000, "bye")
    pair.pump()
    for application in (server, client):
        assert isinstance(application.lost, CleanClose)
        assert application.lost.code == code_of(dialect)
    pair.done()


@each
def test_a_server_may_close_too(dialect: str) -> None:
    pair, server, client = talking(dialect)
    server.transport.sendTextMessage("last words")
    server.transport.loseConnection()
    pair.pump()
    assert client.messages == ["last words"]
    assert isinstance(client.lost, CleanClose)
    pair.advance(10)
    assert server.lost is not None
    pair.done()


def test_an_abort_is_an_unclean_close_for_both() -> None:
    pair, server, client = talking()
    server.transport.sendTextMessage("never heard")
    server.transport.abortConnection()
    pair.pump()
    assert client.messages == []
    assert isinstance(client.lost, AbruptClose)
    assert isinstance(server.lost, AbruptClose)
    pair.done()


@pytest.mark.parametrize(
    ("extension", "name"),
    [(PermessageDeflate(), "permessage-deflate"), (DeflateFrame(), "x-webkit-deflate-frame")],
)
def test_a_pair_accepts_any_extensions(extension: PermessageDeflate, name: str) -> None:
    pair, server, client = talking(serverExtensions=[extension], clientExtensions=[extension])
    agreement = server.transport.agreement
    assert agreement is not None
    assert [extension for extension, _ in agreement.extensions] == [name]
    pair.toServer.carried.clear()
    client.transport.sendTextMessage("again and again and " * 50)
    pair.pump()
    assert server.messages == client.messages == ["again and again and " * 50]
    assert len(pair.toServer.carried) < 200
    pair.done()


def test_a_pair_sends_the_given_handshake_options() -> None:
    class Chooses:
        def buildProtocol(self, offer: object) -> Accepted:
            self.offer = offer
            return Accepted(Recorder(), "chat", ((b"X-Ours", b"1"),))

    client = Recorder()
    pair = Pair.new(
        Chooses(),
        client,
        url="ws://example.com/room?a=1",
        origin="http://example.com",
        subprotocols=["superchat", "chat"],
        headers=((b"Cookie", b"a=b"),),
    )
    offer, agreement = pair.server.protocol.offer, client.transport.agreement
    assert (offer.target, offer.origin) == ("/room?a=1", "http://example.com")
    assert offer.header("cookie") == "a=b"
    assert agreement is not None
    assert agreement.subprotocol == "chat"
    pair.done()


def test_time_passes_when_the_test_advances_the_clock() -> None:
    pair, server, client = talking(limits=Limits(ping_interval=20, ping_timeout=20))
    pair.toServer.paused = True
    for _ in range(6):
        pair.advance(10)
    assert isinstance(server.lost, AbruptClose)
    assert client.lost is not None
    pair.done()


def test_a_pair_that_exchanges_messages_without_end_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # private: a million reads would take most of a minute
    monkeypatch.setattr("txhixie.testing.pair._MOST_READS", 100)
    pair = Pair.new(Applications(echo), echo())
    pair.client.protocol.sendTextMessage("ball")
    with pytest.raises(RuntimeError):
        pair.pump()
    pair.client.protocol.abortConnection()
    pair.pump()
    pair.done()


def test_a_pair_is_made_from_any_two_factories() -> None:
    clock, servers, clients = Clock(), Applications(echo), Applications(Recorder)
    pair = Pair(
        HixieServerFactory(servers, dialects=["rfc6455"], clock=clock),
        HixieClientFactory("ws://example.com/", clients, dialect="hixie-75", clock=clock),
        clock,
    )
    assert servers.made == []
    pair.pump()
    assert servers.made == []
    assert bytes(pair.toClient.carried).startswith(b"HTTP/1.1 426 ")
    pair.advance(10)
    pair.done()


# The offer that an application gets.


def test_a_pair_uses_the_clock_it_is_given() -> None:
    clock = Clock()
    pair = Pair.new(Applications(), clock=clock)
    assert pair.clock is clock
    assert pair.server.protocol.factory.clock is clock
    assert pair.client.protocol.factory.clock is clock


def test_an_offer_has_the_request_it_is_given() -> None:
    """A request as under a Site, for an application that reads a session or an address."""
    request = object()
    servers = Applications(Recorder)
    Pair.new(servers, request=request)
    assert servers.asked[0].request is request
    Pair.new(servers)
    assert servers.asked[1].request is None
    asked: list[object] = []

    class Builds:
        def buildProtocol(self, request: object) -> Recorder:
            asked.append(request)
            return Recorder()

    Pair.new(ByRequest(Builds()), request=request)
    assert asked == [request]


@each
def test_a_pair_raises_the_refusal_of_the_server(dialect: str) -> None:
    class Refuses:
        def buildProtocol(self, offer: object) -> Refusal:
            return Refusal(401, "who is it?\n", {"WWW-Authenticate": "Basic"})

    pair = Pair.new(Refuses(), dialect=dialect)
    assert pair.refused is not None
    assert (pair.refused.status, pair.refused.body) == (401, b"who is it?\n")
    assert (b"www-authenticate", b"Basic") in pair.refused.headers
    pair.advance(10)
    pair.done()


def test_an_open_pair_has_no_refusal() -> None:
    assert Pair.new(Applications()).refused is None


# Network faults.


@each
def test_delivery_byte_by_byte_makes_the_same_conversation(dialect: str) -> None:
    servers, client = Applications(echo), Recorder()
    clock = Clock()
    pair = Pair(
        HixieServerFactory(servers, clock=clock),
        HixieClientFactory(
            "ws://example.com/", Applications(lambda: client), dialect=dialect, clock=clock
        ),
        clock,
    )
    pair.toServer.piece = pair.toClient.piece = 1
    pair.pump()
    client.transport.sendTextMessage("hello")
    pair.pump()
    assert client.messages == ["hello"]
    pair.done()


@each
def test_a_cable_that_is_cut_breaks_the_connection_for_both(dialect: str) -> None:
    pair, server, client = talking(dialect)
    before = len(pair.toServer.carried)
    pair.toServer.cut = 3
    client.transport.sendTextMessage("hello")
    pair.pump()
    assert len(pair.toServer.carried) == before + 3
    assert server.messages == []
    for application in (server, client):
        assert isinstance(application.lost, AbruptClose)
        assert isinstance(application.lost, ConnectionLost)
    pair.done()


def test_data_held_by_a_paused_cable_arrives_later() -> None:
    pair, server, client = talking()
    pair.toServer.paused = True
    client.transport.sendTextMessage("a")
    client.transport.loseConnection()
    pair.pump()
    assert server.told == ["started", "finished"]
    pair.toServer.paused = False
    pair.pump()
    assert server.messages == ["a"]
    assert isinstance(server.lost, CleanClose)
    pair.done()


def test_a_peer_that_does_not_read_makes_the_other_wait() -> None:
    """The producer of the sender is paused, as with a real transport."""
    pair, server, client = talking()
    client.transport.pauseProducing()
    producer = Source()
    server.transport.attachProducer(producer)
    server.transport.sendTextMessage("x" * 70000, compress=False)
    pair.pump()
    assert (producer.told, server.transport.full) == (["pause"], True)
    client.transport.resumeProducing()
    pair.pump()
    assert (producer.told, server.transport.full) == (["pause", "resume"], False)
    assert client.messages == ["x" * 70000]
    pair.done()
