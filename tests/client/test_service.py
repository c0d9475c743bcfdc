"""The reconnecting service: when and whether it tries again, with a clock and random numbers of
the test's, and over sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from support import applications
from support.applications import Answering, Applications, Broken, Recorder
from support.log_recorder import Log
from support.network import Network
from support.waiting import asynchronous, reactor, until, within
from txhixie import (
    AbruptClose,
    Backoff,
    Channel,
    CleanClose,
    ConnectFailed,
    HandshakeRefused,
    Refusal,
    WebSocketClientService,
    serve,
)
from txhixie.sansio.closing import Ended


class Transport:
    """The transport of an open conversation, which ends when it is closed."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.lost = 0

    def loseConnection(self) -> None:
        self.lost += 1
        if self.lost == 1:
            self.attempt.end(1000, who="us")


class Attempt:
    """One attempt to connect, as the endpoint sees it."""

    def __init__(self, headers: Any, application: Any) -> None:
        self.headers = headers
        self.application = application
        self.cancelled = False
        self.deferred: Deferred[Any] = Deferred(self.cancel)
        self.transport = Transport(self)

    def cancel(self, deferred: Deferred[Any]) -> None:
        self.cancelled = True

    def open(self) -> None:
        self.application.negotiationStarted(self.transport)
        self.application.negotiationFinished()
        self.deferred.callback(self.application)

    def fail(self, error: Exception | None = None) -> None:
        self.deferred.errback(error or ConnectFailed("nobody there"))

    def end(self, code: int = 1006, who: str = "peer") -> None:
        kind = AbruptClose if code == 1006 else CleanClose
        ended = Ended(code, "", who, kind is CleanClose)
        self.application.connectionLost(Failure(kind(ended)))


class Watched:
    """A service whose attempts are ended by the test, and whose random numbers are in the middle
    of their range."""

    def __init__(self, make: Any = Recorder, **options: Any) -> None:
        self.clock = Clock()
        self.attempts: list[Attempt] = []
        self.applications = Applications(make)
        self.service = WebSocketClientService(
            self.connector,
            "ws://user:secret@example.com/x?token=secret",
            self.applications,
            clock=cast("Any", self.clock),
            backoff=Backoff(random=lambda: 0.5),
            **options,
        )
        self.service.startService()

    def connector(self, headers: Any) -> Any:
        watched = self

        class Connecting:
            def connectApplication(self, application: Any) -> Deferred[Any]:
                watched.attempts.append(Attempt(headers, application))
                return watched.attempts[-1].deferred

        return Connecting()

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]

    def waits(self) -> float:
        """The seconds until the next attempt, which is then started."""
        before = len(self.attempts)
        (call,) = self.clock.getDelayedCalls()
        delay = call.getTime() - self.clock.seconds()
        self.clock.advance(delay)
        assert len(self.attempts) == before + 1
        return delay


def outcome(deferred: Deferred[Any]) -> Any:
    """The result of a Deferred, an exception being one; ``...`` if it has not fired."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    return getattr(results[0], "value", results[0]) if results else ...


# Delays.


def test_the_first_wait_is_random_up_to_five_seconds_and_the_others_double() -> None:
    """RFC 6455 section 7.2.3."""
    watched = Watched()
    waits = []
    for _ in range(7):
        watched.last.fail()
        waits.append(watched.waits())
    assert waits == [2.5, 7.5, 15.0, 30.0, 45.0, 45.0, 45.0]


def test_after_a_conversation_that_lasted_the_delays_start_anew() -> None:
    watched = Watched()
    watched.last.fail()
    watched.waits()
    watched.last.open()
    watched.clock.advance(60)
    watched.last.end()
    assert watched.waits() == 2.5


def test_the_time_to_connect_does_not_count_as_conversation() -> None:
    """A server that delays its response for a minute, and then closes, must not reset the
    delay."""
    watched = Watched()
    watched.last.fail()
    watched.waits()
    watched.clock.advance(60)
    watched.last.open()
    watched.clock.advance(59)
    watched.last.end()
    assert watched.waits() == 7.5


def test_a_conversation_that_ends_at_once_does_not_reset_the_delay() -> None:
    """Otherwise a client that is disconnected after each handshake would reconnect every few
    seconds without end."""
    watched = Watched()
    waits = []
    for _ in range(3):
        watched.last.open()
        watched.last.end(1008)
        waits.append(watched.waits())
    assert waits == [2.5, 7.5, 15.0]


@pytest.mark.parametrize(("code", "wait"), [(1012, 17.5), (1013, 45.0), (1001, 2.5), (1006, 2.5)])
def test_a_close_code_may_ask_for_another_delay(code: int, wait: float) -> None:
    watched = Watched()
    watched.last.open()
    watched.last.end(code)
    assert watched.waits() == wait


# Policies.


def test_a_policy_may_set_the_delay() -> None:
    def policy(error: Exception) -> bool | float:
        return 7.0 if isinstance(error, CleanClose) and error.code == 4000 else True

    watched = Watched(policy=policy)
    watched.last.open()
    watched.last.end(4000)
    assert watched.waits() == 7.0
    watched.last.fail()
    assert watched.waits() != 7.0


def test_a_policy_may_end_the_attempts() -> None:
    """Callers that wait for a conversation then fail with the reason."""
    seen: list[Exception] = []

    def policy(error: Exception) -> bool:
        seen.append(error)
        return not (isinstance(error, CleanClose) and error.code == 1000)

    watched = Watched(policy=policy)
    watched.last.fail()
    watched.waits()
    watched.last.open()
    watched.last.end(1000)
    waiting = watched.service.whenConnected()
    after = watched.service.whenConnected()
    watched.clock.pump([0] * 3)
    after_all = watched.service.whenConnected()
    watched.clock.advance(0)
    for deferred in (waiting, after, after_all):
        assert outcome(deferred) is watched.service.gaveUp is seen[-1]
    assert isinstance(seen[0], ConnectFailed)
    assert not watched.clock.getDelayedCalls()
    assert not watched.service.running
    assert outcome(cast("Any", watched.service.stopService())) is None


def test_a_policy_gets_the_error_of_an_attempt() -> None:
    watched = Watched(policy=lambda error: not isinstance(error, HandshakeRefused))
    watched.last.fail(HandshakeRefused(401))
    watched.clock.advance(0)
    assert isinstance(watched.service.gaveUp, HandshakeRefused)
    assert not watched.clock.getDelayedCalls()


def test_a_stopped_service_can_be_started_again() -> None:
    watched = Watched(policy=lambda error: False)
    watched.last.fail()
    watched.clock.advance(0)
    watched.service.startService()
    assert watched.service.gaveUp is None
    assert len(watched.attempts) == 2
    waiting = watched.service.whenConnected()
    watched.last.open()
    watched.clock.advance(0)
    assert outcome(waiting) is watched.applications.made[1]


@pytest.mark.parametrize("answer", [Broken("policy"), None, "soon"])
def test_an_error_of_a_policy_is_logged_and_the_default_delay_is_used(
    log: Log, answer: Any
) -> None:
    """Otherwise the service would not notice the end, and could not be stopped."""

    def policy(error: Exception) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    watched = Watched(policy=policy)
    watched.last.fail(ConnectFailed("nobody there"))
    assert watched.waits() == 2.5
    watched.last.open()
    watched.last.end()
    assert watched.applications.made[1].told == ["started", "finished", "lost"]
    assert watched.waits() == 7.5
    assert outcome(cast("Any", watched.service.stopService())) is None
    assert len(log.tracebacks()) == 2


def test_a_negative_delay_of_a_policy_is_zero() -> None:
    watched = Watched(policy=lambda error: -1.0)
    watched.last.fail()
    assert watched.waits() == 0


# Headers.


def test_headers_are_fresh_at_each_attempt() -> None:
    count = iter(range(10))
    watched = Watched(freshHeaders=lambda: ((b"X-Count", b"%d" % next(count)),))
    watched.last.fail()
    watched.waits()
    assert [attempt.headers for attempt in watched.attempts] == [
        ((b"X-Count", b"0"),),
        ((b"X-Count", b"1"),),
    ]


def test_a_function_of_headers_may_be_asynchronous_and_may_fail() -> None:
    tokens: list[Deferred[Any]] = []

    def fresh() -> Deferred[Any]:
        tokens.append(Deferred())
        return tokens[-1]

    watched = Watched(freshHeaders=fresh)
    assert not watched.attempts
    tokens[0].errback(Broken("no token"))
    watched.clock.advance(2.5)
    assert not watched.attempts
    tokens[1].callback(((b"Authorization", b"Bearer x"),))
    assert watched.last.headers == ((b"Authorization", b"Bearer x"),)


# Events of the application.


def test_an_application_has_its_conversation_and_its_end() -> None:
    watched = Watched()
    waiting = watched.service.whenConnected()
    watched.last.open()
    watched.clock.advance(0)
    watched.last.application.textMessageReceived("x")
    watched.last.application.bytesMessageReceived(b"y")
    watched.last.application.pongReceived(b"z")
    watched.last.end()
    (application,) = watched.applications.made
    assert outcome(waiting) is application
    assert watched.applications.asked == ["ws://example.com/x?token=secret"]
    assert application.told == ["started", "finished", "text", "bytes", "pong", "lost"]


def test_an_application_may_have_the_optional_interfaces() -> None:
    """The application gets pings if it implements their method, and methods may be assigned on
    the instance."""
    heard: list[Any] = []

    class Listening(Recorder):
        def pingReceived(self, payload: bytes) -> None:
            heard.append(payload)

    watched = Watched(make=Listening)
    watched.last.open()
    watched.applications.made[0].textMessageReceived = heard.append
    watched.last.application.textMessageReceived("x")
    watched.last.application.pingReceived(b"y")
    assert heard == ["x", b"y"]
    assert not hasattr(Watched().last.application, "pingReceived")


def test_a_failed_handshake_is_one_event_of_its_application() -> None:
    watched = Watched()
    watched.last.application.negotiationStarted(watched.last.transport)
    watched.last.end()
    watched.last.fail()
    assert watched.applications.made[0].told == ["started", "lost"]
    assert watched.waits() == 2.5


def test_a_wait_for_a_connection_may_have_a_limit_of_attempts() -> None:
    watched = Watched()
    waiting = watched.service.whenConnected(failAfterFailures=2)
    watched.last.fail()
    assert not waiting.called
    watched.waits()
    watched.last.fail()
    watched.clock.advance(0)
    assert isinstance(outcome(waiting), ConnectFailed)


@pytest.mark.parametrize("when", ["connecting", "waiting", "open"])
def test_stopping_ends_the_service_in_every_state(when: str) -> None:
    watched = Watched()
    waiting = None
    if when == "waiting":
        watched.last.fail()
    if when == "open":
        watched.last.open()
    else:
        waiting = watched.service.whenConnected()
    stopped = watched.service.stopService()
    assert outcome(stopped) is None
    assert watched.last.cancelled == (when == "connecting")
    assert watched.last.transport.lost == (when == "open")
    watched.clock.advance(0)
    assert not watched.clock.getDelayedCalls()
    if waiting is not None:
        assert isinstance(outcome(waiting), CancelledError)
    assert watched.service.gaveUp is None


def test_no_line_of_the_log_has_a_password(log: Log) -> None:
    watched = Watched(policy=lambda error: False)
    watched.last.fail()
    watched.clock.advance(0)
    text = " ".join(str(event) for event in log.events)
    assert 'failed url="ws://example.com/x?token=..." reason="nobody there"' in log.lines()
    assert "secret" not in text


# Over sockets.


def say(application: Recorder, words: str) -> None:
    application.transport.sendTextMessage(words)


async def stop(service: WebSocketClientService) -> None:
    await within(service.stopService())


@asynchronous
async def test_a_service_reconnects_to_a_real_server(net: Network) -> None:
    offers: list[Any] = []

    def answer(offer: Any) -> Any:
        offers.append(offer)
        return Recorder(text=lambda app: app.transport.abortConnection())

    place = await net.serve(Answering(answer))
    clients = Applications(Recorder)
    service = WebSocketClientService.new(
        reactor,
        place.url(),
        clients,
        headers=((b"X-Own", b"always"),),
        freshHeaders=lambda: succeed(((b"X-Count", b"%d" % len(offers)),)),
        backoff=Backoff(first=0.01),
        anyPort=True,
    )
    service.startService()
    first = await within(service.whenConnected())
    first.transport.sendTextMessage("leave me")
    await until(lambda: first.lost)
    second = await within(service.whenConnected())
    assert second is not first
    assert [offer.header("X-Count") for offer in offers] == ["0", "1"]
    assert [offer.header("X-Own") for offer in offers] == ["always", "always"]
    await stop(service)
    await until(lambda: second.lost)
    assert isinstance(second.lost, CleanClose)
    await until(lambda: not place.factory.connections)


@pytest.mark.parametrize("when", ["started", "finished", "text"])
@asynchronous
async def test_an_application_may_stop_the_service_in_any_event(when: str, net: Network) -> None:
    """Also in an event before the service knows that it is connected."""
    place = await net.serve(Applications(lambda: Recorder(finished=lambda app: say(app, "go"))))
    stopped: list[Deferred[Any]] = []
    service: WebSocketClientService

    def stops(application: Recorder) -> None:
        stopped.append(cast("Deferred[Any]", service.stopService()))

    clients = Applications(lambda: Recorder(**{when: stops}))
    service = WebSocketClientService.new(reactor, place.url(), clients, anyPort=True)
    service.startService()
    await until(lambda: stopped)
    await within(stopped[0])
    (application,) = clients.made
    await until(lambda: application.lost)
    assert application.told.count("lost") == 1
    await until(lambda: not place.factory.connections)


@asynchronous
async def test_a_service_retries_a_server_that_refuses(net: Network) -> None:
    answers: list[Callable[[], Any]] = [lambda: Refusal(503), Recorder]
    place = await net.serve(Answering(lambda offer: answers.pop(0)()))
    service = WebSocketClientService.new(
        reactor, place.url(), Applications(Recorder), backoff=Backoff(first=0.01), anyPort=True
    )
    service.startService()
    assert (await within(service.whenConnected())).told == ["started", "finished"]
    await stop(service)


@asynchronous
async def test_a_coroutine_function_may_run_for_each_conversation(net: Network) -> None:
    """The coroutine does not reconnect itself."""
    got: list[str | bytes] = []

    async def asks(channel: Channel) -> None:
        await channel.send(f"{len(got)}")
        got.append(await channel.receive())

    place = await net.serve(Applications(applications.echo))
    service = WebSocketClientService.new(
        reactor, place.url(), serve(asks), backoff=Backoff(first=0.01), anyPort=True
    )
    service.startService()
    await until(lambda: len(got) >= 3)
    await stop(service)
    assert got[:3] == ["0", "1", "2"]


def test_an_option_that_no_attempt_can_use_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="scheme"):
        WebSocketClientService.new(reactor, "gopher://a/", Applications(Recorder))
