"""A conversation that is awaited: in memory, both sides."""

from __future__ import annotations

from gc import collect as collect_garbage
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from support import dialect_names, log_recorder
from support.dialect_names import CLOSING, HIXIE, MODERN, NAMES
from support.held_bytes import kept
from support.private_state import application_of
from txhixie import (
    AbruptClose,
    CleanClose,
    ConversationEnded,
    Limits,
    NotOpen,
    UnsupportedByDialect,
    UsageError,
)
from txhixie.channel.channel import Channel, ChannelApplication
from txhixie.testing import Applications, Pair, Recorder

every = pytest.mark.parametrize("dialect", NAMES)


class Talk:
    """
    A channel in memory, and its peer.

    :ivar channel: the client's.
    :ivar peer: the server's application.
    """

    def __init__(
        self, dialect: str = "rfc6455", highWater: int = 64 * 1024, limits: Limits = Limits()
    ) -> None:
        application = ChannelApplication(highWater)
        peers = Applications(Recorder)
        self.pair = Pair.new(peers, application, dialect=dialect, binary="send", limits=limits)
        self.peer: Any = peers.made[0]
        self.channel = Channel(application)

    def pump(self) -> None:
        self.pair.pump()

    def settle(self) -> None:
        """Until the last timeout has passed."""
        self.pair.advance(10)


def outcome(deferred: Deferred[Any]) -> Any:
    """What a Deferred has fired with, an exception being one; ``...`` if it has not."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    if not results:
        return ...
    return getattr(results[0], "value", results[0])


def run(coroutine: Any) -> Deferred[Any]:
    return Deferred.fromCoroutine(coroutine)


async def collect(channel: Channel, messages: list[str | bytes]) -> str:
    async for message in channel:
        messages.append(message)  # noqa: PERF401 (what came before an error counts)
    return "done"


@every
def test_messages_go_both_ways(dialect: str) -> None:
    talk = Talk(dialect)
    assert outcome(talk.channel.send("Grüße")) is None
    assert outcome(talk.channel.send(b"\x00\xff")) is None
    assert outcome(talk.channel.send(bytearray(b"a"))) is None
    assert outcome(talk.channel.send(memoryview(b"b"))) is None
    talk.pump()
    assert talk.peer.messages == ["Grüße", b"\x00\xff", b"a", b"b"]
    receiving = talk.channel.receive()
    talk.peer.transport.sendTextMessage("one")
    talk.peer.transport.sendBytesMessage(b"two")
    talk.pump()
    assert outcome(receiving) == "one"
    assert outcome(talk.channel.receive()) == b"two"


def test_only_messages_are_sent() -> None:
    with pytest.raises(TypeError, match="a message: expected str or bytes, not "):
        Talk().channel.send(3)  # type: ignore[arg-type]


@every
def test_iteration_ends_with_an_orderly_close(dialect: str) -> None:
    talk = Talk(dialect)
    messages: list[str | bytes] = []
    reading = run(collect(talk.channel, messages))
    talk.peer.transport.sendTextMessage("one")
    talk.peer.transport.sendTextMessage("two")
    talk.peer.transport.loseConnection()
    talk.pump()
    talk.settle()
    assert messages == ["one", "two"]
    assert outcome(reading) == "done"
    assert isinstance(outcome(talk.channel.receive()), CleanClose)
    assert talk.channel.ended == (dialect_names.code_of(dialect), "", "peer", True)


@pytest.mark.parametrize("dialect", CLOSING)
def test_iteration_raises_after_the_last_message_at_any_other_end(dialect: str) -> None:
    talk = Talk(dialect)
    talk.peer.transport.sendTextMessage("one")
    talk.pump()
    talk.pair.client.reset()
    messages: list[str | bytes] = []
    assert isinstance(outcome(run(collect(talk.channel, messages))), AbruptClose)
    assert messages == ["one"]


def test_a_clean_close_that_says_what_went_wrong_is_no_orderly_end() -> None:
    """A loop that ended by it would take what it has for all there is."""
    talk = Talk()
    talk.peer.transport.loseConnection(1011, "out of memory")
    talk.pump()
    talk.settle()
    error = outcome(run(collect(talk.channel, [])))
    assert type(error) is AbruptClose
    assert (error.code, error.reason) == (1011, "out of memory")


def test_each_waiting_call_fails_with_an_error_object_of_its_own() -> None:
    """A shared one would gather everybody's traceback."""
    talk = Talk()
    talk.pair.client.reset()
    first, second = (outcome(talk.channel.receive()) for _ in range(2))
    assert first is not second
    assert first.ended == second.ended


def test_what_is_not_taken_is_bounded_by_not_reading() -> None:
    talk = Talk(highWater=1000)
    for number in range(100):
        talk.peer.transport.sendTextMessage(f"{number:0100}")
        talk.pump()
    assert talk.pair.client.wire.paused
    assert kept(application_of(talk.channel).inbox) < 1200
    messages: list[str | bytes] = []
    reading = run(collect(talk.channel, messages))
    talk.pump()
    assert not talk.pair.client.wire.paused
    assert messages == [f"{number:0100}" for number in range(100)]
    assert outcome(reading) is ...


def test_concurrent_receives_are_an_error_at_once() -> None:
    talk = Talk()
    first = talk.channel.receive()
    assert isinstance(outcome(talk.channel.receive()), UsageError)
    assert isinstance(outcome(run(collect(talk.channel, []))), UsageError)
    talk.peer.transport.sendTextMessage("one")
    talk.pump()
    assert outcome(first) == "one"


def test_a_cancelled_receive_takes_nothing() -> None:
    talk = Talk()
    reading = run(collect(talk.channel, []))
    reading.cancel()
    assert isinstance(outcome(reading), CancelledError)
    talk.peer.transport.sendTextMessage("one")
    talk.pump()
    assert outcome(talk.channel.receive()) == "one"


def test_sends_wait_while_the_transport_is_full() -> None:
    talk = Talk()
    full = talk.pair.client.wire.producer
    full.pauseProducing()
    sends = [talk.channel.send(str(number)) for number in range(4)]
    sends[2].cancel()
    talk.pump()
    assert talk.peer.messages == []
    assert [outcome(send) for send in (sends[0], sends[1], sends[3])] == [...] * 3
    assert isinstance(outcome(sends[2]), CancelledError)
    full.resumeProducing()
    talk.pump()
    assert talk.peer.messages == ["0", "1", "3"]


def test_a_send_that_waits_hears_of_the_end() -> None:
    talk = Talk()
    talk.pair.client.wire.producer.pauseProducing()
    waiting = talk.channel.send("never")
    talk.pair.client.reset()
    assert isinstance(outcome(waiting), NotOpen)
    assert isinstance(outcome(talk.channel.send("late")), NotOpen)


def test_errors_of_a_send_are_its_Deferreds() -> None:
    talk = Talk()
    assert isinstance(outcome(talk.channel.send("\ud800")), UnicodeEncodeError)
    talk.channel.close()
    assert isinstance(outcome(talk.channel.send("late")), NotOpen)


@pytest.mark.parametrize("dialect", MODERN)
def test_a_ping_waits_for_its_answer(dialect: str) -> None:
    talk = Talk(dialect)
    first, second = talk.channel.ping(), talk.channel.ping()
    assert outcome(first) is ...
    talk.pump()
    assert outcome(first) is outcome(second) is None


def test_an_answer_to_a_later_ping_answers_those_before_it() -> None:
    """RFC 6455 section 5.5.3 lets a peer answer the latest only."""
    talk = Talk()
    talk.pair.toServer.paused = True
    pings = [talk.channel.ping() for _ in range(3)]
    application_of(talk.channel).pongReceived(b"channel 2")
    assert [outcome(ping) for ping in pings] == [None, None, ...]
    application_of(talk.channel).pongReceived(b"unasked")
    assert outcome(pings[2]) is ...


def test_a_ping_may_be_cancelled_and_hears_of_the_end() -> None:
    talk = Talk()
    talk.pair.toServer.paused = True
    cancelled, waiting = talk.channel.ping(), talk.channel.ping()
    cancelled.cancel()
    assert isinstance(outcome(cancelled), CancelledError)
    talk.pair.client.reset()
    assert isinstance(outcome(waiting), NotOpen)
    assert isinstance(outcome(talk.channel.ping()), NotOpen)


@pytest.mark.parametrize("dialect", HIXIE)
def test_where_there_are_no_pings_that_is_said(dialect: str) -> None:
    assert isinstance(outcome(Talk(dialect).channel.ping()), UnsupportedByDialect)


@every
def test_closing_waits_for_the_end(dialect: str) -> None:
    talk = Talk(dialect)
    talk.peer.transport.sendTextMessage("before")
    talk.pump()
    closing = talk.channel.close(4001, "enough")
    assert outcome(closing) is ...
    talk.pump()
    talk.settle()
    assert outcome(closing) is None
    assert outcome(talk.channel.close()) is None
    if dialect in MODERN:
        assert (talk.peer.lost.code, talk.peer.lost.reason) == (4001, "enough")
    assert outcome(talk.channel.receive()) == "before"
    assert isinstance(outcome(talk.channel.receive()), CleanClose)


def test_giving_up_the_wait_for_the_end_takes_no_close_back() -> None:
    talk = Talk()
    closing, ending = talk.channel.close(), talk.channel.whenEnded()
    closing.cancel()
    assert isinstance(outcome(closing), CancelledError)
    talk.pump()
    talk.settle()
    assert outcome(ending) == (1000, "", "us", True)
    assert outcome(talk.channel.whenEnded()) == (1000, "", "us", True)


def test_a_code_that_is_never_sent_closes_nothing() -> None:
    talk = Talk()
    with pytest.raises(UsageError):
        talk.channel.close(1006)
    assert talk.channel.ended is None
    talk.channel.send("still open")
    talk.pump()
    assert talk.peer.messages == ["still open"]


def test_an_abort_ends_at_once() -> None:
    talk = Talk()
    talk.channel.abort()
    talk.pump()
    assert isinstance(outcome(talk.channel.receive()), AbruptClose)
    assert isinstance(talk.peer.lost, AbruptClose)
    talk.channel.abort()


def test_a_channel_says_what_was_agreed() -> None:
    application = ChannelApplication()
    pair = Pair.new(
        Applications(Recorder), application, url="ws://example.com/a?b", subprotocols=["c"]
    )
    channel = Channel(application)
    assert channel.offer.target == "/a?b"
    assert channel.offer.subprotocols == ("c",)
    assert channel.subprotocol is None
    assert [name for name, _ in channel.agreement.extensions] == ["permessage-deflate"]
    assert channel.latency is None
    assert channel.getPeer() == pair.client.wire.getPeer()
    assert channel.getHost() == pair.client.wire.getHost()


# Sends that nobody awaits, and those after the end.


def test_every_send_and_ping_after_the_end_has_begun_fails_with_its_code_and_reason() -> None:
    talk = Talk()
    talk.pair.client.wire.producer.pauseProducing()
    waiting = talk.channel.send("never")
    ping = talk.channel.ping()
    told: list[Any] = []
    for deferred in (waiting, ping):
        deferred.addErrback(lambda failure: told.append((failure.value, talk.channel.ended)))
    talk.peer.transport.loseConnection(4001, "enough")
    talk.pair.toClient.carry()
    assert [(error.code, error.reason) for error, _ in told] == [(4001, "enough")] * 2
    assert [ended for _, ended in told] == [(4001, "enough", "peer", True)] * 2
    for late in ("x", b"x", "\ud800"):
        error = outcome(talk.channel.send(late))
        assert type(error) is ConversationEnded
        assert str(error) == "the conversation has ended with 4001: enough"
    assert type(outcome(talk.channel.ping())) is ConversationEnded
    assert outcome(talk.channel.whenEnded()) is ...
    talk.settle()
    assert outcome(talk.channel.whenEnded()) == (4001, "enough", "peer", True)
    error = outcome(talk.channel.send("x"))
    assert (error.code, error.reason) == (4001, "enough")


@pytest.mark.parametrize("how", ["close", "abort", "reset"])
def test_a_channel_knows_its_end_when_a_send_fails(how: str) -> None:
    talk = Talk()
    if how == "reset":
        talk.pair.client.reset()
    else:
        getattr(talk.channel, how)()
    for deferred in (talk.channel.send("late"), talk.channel.ping()):
        error = outcome(deferred)
        assert talk.channel.ended is not None
        assert (error.code, error.reason) == talk.channel.ended[:2]
    assert outcome(talk.channel.send("late")).code == (1000 if how == "close" else 1006)


def test_after_a_loss_sends_fail_at_once_and_what_came_before_can_still_be_received() -> None:
    talk = Talk(highWater=100)
    for number in range(5):
        talk.peer.transport.sendTextMessage(f"{number:0200}")
    talk.pump()
    talk.pair.client.reset()
    assert isinstance(outcome(talk.channel.send("late")), ConversationEnded)
    assert outcome(talk.channel.whenEnded()) is ...
    messages: list[str | bytes] = []
    reading = run(collect(talk.channel, messages))
    assert [int(message) for message in messages] == list(range(5))
    assert isinstance(outcome(reading), AbruptClose)
    assert outcome(talk.channel.whenEnded()).code == 1006


def unhandled(log: log_recorder.Log) -> list[str]:
    """What is logged of Deferreds that failed, once they are forgotten."""
    collect_garbage()
    said = [str(event.get("log_format")) for event in log.events]
    return [line for line in said if "Unhandled" in line] + [*map(str, log.tracebacks())]


def test_a_failed_send_that_is_not_awaited_is_not_logged(log: log_recorder.Log) -> None:
    talk = Talk()
    talk.channel.send("\ud800")
    talk.pair.client.wire.producer.pauseProducing()
    talk.channel.send("waits")
    talk.channel.ping()
    talk.channel.receive()
    talk.channel.receive()
    talk.pair.client.reset()
    talk.channel.send("late")
    talk.channel.ping()
    talk.channel.receive()
    talk.channel.close()
    assert unhandled(log) == []


def test_a_failed_send_with_a_callback_and_no_errback_is_logged(log: log_recorder.Log) -> None:
    """It is theirs then, whether it was added before the end or after."""
    talk = Talk()
    talk.pair.client.wire.producer.pauseProducing()
    talk.channel.send("waits").addCallback(lambda _: None)
    talk.pair.client.reset()
    talk.channel.send("late").addCallback(lambda _: None)
    collect_garbage()
    errors = log.tracebacks()
    assert [type(error) for error in errors] == [ConversationEnded] * 2


def test_what_waits_unawaited_is_bounded_and_tells_how_much_it_is(log: log_recorder.Log) -> None:
    talk = Talk(limits=Limits(unsent_size=1_000_000))
    talk.pair.client.wire.producer.pauseProducing()
    assert talk.channel.full
    before = talk.channel.unsent
    sent = 0
    while talk.channel.ended is None and sent < 100:
        talk.channel.send("ü" * 25_000)
        sent += 1
        if talk.channel.ended is None:
            assert talk.channel.unsent - before >= sent * 50_000 or before > 2**60
    assert sent == 20
    assert talk.channel.ended is not None
    code, reason, who, clean = talk.channel.ended
    assert (code, who, clean) == (1006, "us", False)
    assert "exceeds our limit of 1,000,000 (Limits.unsent_size)" in reason
    assert application_of(talk.channel).outbox.size == 0
    talk.pump()
    assert isinstance(outcome(talk.channel.receive()), AbruptClose)
    assert unhandled(log) == []


def test_sends_that_are_given_up_count_no_more() -> None:
    talk = Talk(limits=Limits(unsent_size=1_000_000))
    talk.pair.client.wire.producer.pauseProducing()
    for _ in range(100):
        waiting = talk.channel.send(bytes(50_000))
        waiting.addErrback(lambda _: None)
        waiting.cancel()
    assert talk.channel.ended is None
    assert application_of(talk.channel).outbox.size == 0
