"""A survey of many connections, in several turns of the reactor."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from support.frames import MASK, modern_frame
from support.handshake_bytes import whole_request
from txhixie import testing
from txhixie.daemon.dispatch import Guarded, RoutedApplications, RoutedServerFactory
from txhixie.daemon.routes import Route, Routes
from txhixie.daemon.status.survey import Survey, Surveyor
from txhixie.sansio.wire.frame import Opcode
from txhixie.testing.end import End


class Server:
    """A routed factory with connections in memory."""

    def __init__(self) -> None:
        routes: Routes[Any] = Routes()
        for path in ("/", "/chat"):
            routes.add(Route(None, path), Guarded(testing.Applications(testing.echo)))
        self.clock = Clock()
        self.factory = RoutedServerFactory(RoutedApplications(routes), clock=self.clock)
        self.surveyor = Surveyor(self.factory)

    def open(self, target: str = "/") -> End[Any]:
        end = End(self.factory.buildProtocol(None), self.clock)
        end.receive(whole_request("rfc6455", target=target))
        return end

    def begin(self, address: str = "") -> list[Survey]:
        found: list[Survey] = []
        self.surveyor.survey(address).addCallback(found.append)
        return found

    def survey(self) -> Survey:
        self.clock.advance(2)
        found = self.begin()
        while not found:
            self.clock.advance(0)
        return found[0]


def says(end: End[Any], message: str = "hello") -> None:
    end.receive(modern_frame(Opcode.TEXT, message.encode("ascii"), key=MASK))


def test_every_connection_is_counted_once() -> None:
    server = Server()
    ends = [server.open("/chat" if number % 3 == 0 else f"/{number}") for number in range(450)]
    for end in ends:
        says(end)
    survey = server.survey()
    assert survey.states == {"open": 450}
    assert survey.open == {("rfc6455", "/chat"): 150, ("rfc6455", "/"): 300}
    assert (survey.received, survey.sent) == (450, 450)
    (only,) = survey.addresses.values()
    assert (only.connections, only.received, only.sent) == (450, 450, 450)


def test_a_hundred_connections_are_listed_the_newest_first() -> None:
    server = Server()
    for _ in range(250):
        server.open()
    listed = server.survey().listed()
    assert [row["connection"] for row in listed] == list(range(250, 150, -1))


def test_viewers_of_the_same_second_share_a_survey() -> None:
    server = Server()
    server.open()
    first, second = server.begin(), server.begin()
    while not first:
        server.clock.advance(0)
    assert first[0] is second[0]
    server.clock.advance(0.5)
    assert server.begin() == first
    assert server.survey() is not first[0]


def test_surveys_by_address_are_made_one_after_the_other() -> None:
    """Requests with many addresses at once would otherwise fill the turns of the reactor."""
    server = Server()
    server.open()
    first, again, second = (server.begin(f"192.0.2.{number}") for number in (1, 1, 2))
    server.open()
    while not second:
        server.clock.advance(0)
    assert first[0] is again[0]
    assert (first[0].states, second[0].states) == ({"open": 1}, {"open": 2})
    assert server.begin("192.0.2.1") == first
    for number in range(3, 20):
        server.begin(f"192.0.2.{number}")
        server.clock.advance(0)
    latest = server.begin("192.0.2.1")
    while not latest:
        server.clock.advance(0)
    assert latest != first


def test_the_number_of_messages_never_decreases_while_conversations_end() -> None:
    """A counter that decreases would be a restart for Prometheus."""
    server = Server()
    ends = [server.open() for _ in range(400)]
    for end in ends:
        says(end)
    before = server.survey()
    found = server.begin()
    for end in ends:
        says(end)
        end.receive(modern_frame(Opcode.CLOSE, b"\x03\xe8", key=MASK))
        end.lose()
    while not found:
        server.clock.advance(0)
    after = server.survey()
    assert before.received == 400
    assert before.received <= found[0].received <= after.received == 800


def test_a_connection_before_its_handshake_and_one_in_its_close_have_states_of_their_own() -> None:
    server = Server()
    End(server.factory.buildProtocol(None), server.clock).receive(b"GET / HTTP/1.1\r\n")
    closing = server.open()
    closing.protocol.loseConnection()
    assert server.survey().states == {"opening": 1, "closing": 1}
