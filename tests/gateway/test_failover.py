"""Several backends of one route: which one a client gets, and how long a backend is left alone."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet import error as failures
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock

from support.applications import Answering, Applications, Recorder
from support.gateway_setup import QUICK, met
from support.handshake_bytes import status_of, whole_request
from support.log_recorder import Log
from support.network import Network, Place
from support.raw_peer import Raw
from support.waiting import asynchronous, reactor, until, within
from txhixie import Accepted, Limits, Offer, Refusal
from txhixie.gateway import GatewayService
from txhixie.gateway.failover import Failover
from txhixie.gateway.outage import REST_SECONDS
from txhixie.gateway.relay_service import RelayService
from txhixie.interfaces import Decision

REFUSED = failures.ConnectionRefusedError(111, "refused")
ASKED = Offer("rfc6455", "/", "localhost")
TIMEOUT = 12.0


class Scripted(RelayService):
    """A relay that keeps the time it was given, and whose decisions a test makes."""

    def __init__(self, clock: Clock, name: str) -> None:
        super().__init__(clock, f"tcp:{name}:1", Limits(), None)
        self.asked: list[tuple[float, Deferred[Decision]]] = []

    def reach(self, offer: Offer, seconds: float) -> Deferred[Decision]:
        decision: Deferred[Decision] = Deferred()
        self.asked.append((seconds, decision))
        return decision

    @property
    def given(self) -> list[float]:
        return [seconds for seconds, _ in self.asked]

    def fails(self) -> None:
        self.asked[-1][1].callback(self.outages.failed(REFUSED))

    def accepts(self) -> None:
        self.outages.served()
        self.asked[-1][1].callback(Accepted(Recorder()))

    def answers(self, status: int) -> None:
        self.outages.refused(status)
        self.asked[-1][1].callback(
            Refusal(status, why="the backend refused the handshake: no", cause="backend")
        )


class Several:
    """A failover with scripted backends and a clock."""

    def __init__(self, *names: str) -> None:
        self.clock = Clock()
        self.relays = [Scripted(self.clock, name) for name in names]
        self._failover = Failover(self.relays, self.clock, TIMEOUT)

    def client(self) -> list[Any]:
        """Let a client ask; the list gets its decision."""
        decided: list[Any] = []
        self._failover.buildProtocol(ASKED).addCallback(decided.append)
        return decided

    @property
    def tries(self) -> list[int]:
        """How often each backend was tried."""
        return [len(relay.asked) for relay in self.relays]


def test_a_client_gets_the_first_backend_as_long_as_it_does_not_fail() -> None:
    several = Several("one", "two")
    first, _ = several.relays
    decided = several.client()
    first.accepts()
    assert isinstance(decided[0], Accepted)
    assert several.tries == [1, 0]


def test_a_backend_that_failed_is_left_alone_for_a_while(log: Log) -> None:
    """The first client after this time tries it, and all clients return to it once it is up."""
    several = Several("one", "two")
    first, second = several.relays
    several.client()
    first.fails()
    second.accepts()
    assert several.tries == [1, 1]
    several.clock.advance(REST_SECONDS - 1)
    several.client()
    second.accepts()
    assert several.tries == [1, 2]
    several.clock.advance(1)
    several.client()
    first.accepts()
    several.client()
    assert several.tries == [3, 2]
    assert log.lines() == [
        'backend-down backend=tcp:one:1 reason="Connection refused"',
        "backend-up backend=tcp:one:1",
    ]


def test_one_client_at_a_time_tries_a_backend_that_is_down() -> None:
    """The others do not wait for a backend that may not answer."""
    several = Several("one", "two")
    first, second = several.relays
    several.client()
    first.fails()
    second.accepts()
    several.clock.advance(REST_SECONDS)
    several.client()
    assert several.tries == [2, 1]
    several.client()
    second.accepts()
    assert several.tries == [2, 2]


def test_a_backend_that_fails_again_and_again_has_one_line_a_minute(log: Log) -> None:
    several = Several("one", "two")
    first, second = several.relays
    for _ in range(5):
        several.client()
        first.fails()
        second.accepts()
        several.clock.advance(REST_SECONDS)
    assert log.lines() == ['backend-down backend=tcp:one:1 reason="Connection refused"']


def test_all_backends_are_tried_if_all_have_failed_a_short_time_ago() -> None:
    several = Several("one", "two")
    first, second = several.relays
    for _ in range(2):
        decided = several.client()
        first.fails()
        second.fails()
        assert decided[0].status == 502
    several.client()
    first.accepts()
    assert several.tries == [3, 2]


def test_the_backends_share_the_connect_timeout() -> None:
    """A backend that does not answer leaves time for the others, and all end in time."""
    several = Several("one", "two", "three")
    for relay in several.relays:
        if relay is several.relays[0]:
            several.client()
        several.clock.advance(relay.given[0])
        relay.fails()
    assert [relay.given for relay in several.relays] == [[4], [4], [4]]
    assert several.clock.seconds() == TIMEOUT


def test_a_backend_gets_the_time_that_the_one_before_has_left() -> None:
    several = Several("one", "two")
    first, second = several.relays
    several.client()
    several.clock.advance(2)
    first.fails()
    assert (first.given, second.given) == ([TIMEOUT / 2], [TIMEOUT - 2])


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_backend_that_answers_with_an_error_of_its_own_has_failed(log: Log, status: int) -> None:
    """Such as a reverse proxy in front of a backend that is down. The log has one line, and the
    backend is left alone."""
    several = Several("one", "two")
    first, second = several.relays
    for _ in range(2):
        decided = several.client()
        if several.tries[0] == several.tries[1] + 1:
            first.answers(status)
        second.accepts()
        assert isinstance(decided[0], Accepted)
    assert several.tries == [1, 2]
    reason = f"the backend refused the handshake: no (status {status})"
    assert log.lines() == [f'backend-down backend=tcp:one:1 reason="{reason}"']


@pytest.mark.parametrize("status", [302, 401, 403, 404, 429])
def test_a_refusal_of_the_client_is_the_answer(log: Log, status: int) -> None:
    """No other backend is asked, and the backend is not down."""
    several = Several("one", "two")
    decided = several.client()
    several.relays[0].answers(status)
    assert decided[0].status == status
    assert several.tries == [1, 0]
    assert log.lines() == []


def test_a_client_gets_the_refusal_of_the_last_backend() -> None:
    several = Several("one", "two")
    first, second = several.relays
    decided = several.client()
    first.fails()
    second.answers(503)
    assert (decided[0].status, decided[0].logged) == (503, False)


def test_a_client_that_leaves_ends_the_attempt_and_no_other_backend_is_tried() -> None:
    several = Several("one", "two")
    clock = several.clock
    failed: list[Any] = []
    failover = Failover(several.relays, clock, TIMEOUT)
    asking = failover.buildProtocol(ASKED).addErrback(failed.append)
    asking.cancel()
    assert failed[0].check(CancelledError)
    assert several.tries == [1, 0]


def test_an_internal_error_is_no_failure_of_a_backend() -> None:
    several = Several("one", "two")
    failed: list[Any] = []
    failover = Failover(several.relays, several.clock, TIMEOUT)
    failover.buildProtocol(ASKED).addErrback(failed.append)
    several.relays[0].asked[0][1].errback(KeyError("x"))
    assert failed[0].check(KeyError)
    assert several.tries == [1, 0]


# Real sockets.


async def nobody(net: Network) -> str:
    """The URL of a port that refuses connections."""
    place = await net.serve(Applications(Recorder))
    url = f"ws://127.0.0.1:{place.port}"
    await within(place.listening.stopListening())
    return url


async def silent(net: Network) -> str:
    """The URL of a port that accepts connections and never answers."""
    factory: Any = Factory.forProtocol(Raw)
    place = await net.listen(factory)
    return f"ws://127.0.0.1:{place.port}"


async def unverified(net: Network) -> str:
    """The URL of a TLS server whose certificate is not trusted."""
    return (await net.serve(Applications(Recorder), "tls", origins=["*"])).url("")


async def closing(net: Network) -> str:
    """The URL of a reverse proxy whose backend is down."""
    place = await net.serve(Answering(lambda offer: Refusal(502, "bad gateway")), origins=["*"])
    return place.url("")


async def other(net: Network) -> str:
    """The URL of a server of another protocol, which speaks first."""

    class Server(Raw):
        def connectionMade(self) -> None:
            self.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    factory: Any = Factory.forProtocol(Server)
    return f"ws://127.0.0.1:{(await net.listen(factory)).port}"


def failover(*urls: str, timeout: float = 10.0) -> Failover:
    relays = [GatewayService(reactor, url, limits=QUICK) for url in urls]
    return Failover(relays, reactor, timeout)


@pytest.mark.parametrize("broken", [nobody, silent, unverified, closing, other])
@asynchronous
async def test_a_client_reaches_the_second_backend_if_the_first_is_down(
    net: Network, log: Log, broken: Any
) -> None:
    back = await net.serve(Applications(Recorder), origins=["*"], limits=QUICK)
    url = await broken(net)
    service = failover(url, back.url(""), timeout=1.0 if broken is silent else 10.0)
    place = await net.serve(service, origins=["*"], limits=QUICK)
    made = back.factory.applications.made
    for _ in range(2):
        client = await met(net, place)
        client.transport.sendTextMessage("hello")
        await until(lambda: made and made[-1].messages == ["hello"])
        made.clear()
    lines = [line for line in log.lines() if line.startswith("backend-")]
    assert len(lines) == 1
    assert lines[0].startswith("backend-down ")


async def status(net: Network, place: Place) -> int:
    raw = await net.raw(place)
    raw.send(whole_request("rfc6455"))
    await raw.ends()
    return status_of(bytes(raw.data))


@asynchronous
async def test_a_client_is_refused_when_all_backends_are_down(net: Network) -> None:
    """The status is that of the last one, and all waits together end within the timeout."""
    service = failover(await silent(net), await silent(net), await nobody(net), timeout=1.5)
    place = await net.serve(service, origins=["*"])
    assert await status(net, place) == 502
    service = failover(await nobody(net), await silent(net), timeout=0.4)
    assert await status(net, await net.serve(service, origins=["*"])) == 504
