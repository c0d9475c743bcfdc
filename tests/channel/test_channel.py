"""Channels, with which a program awaits messages: in memory, both sides."""

from __future__ import annotations

from gc import collect as collect_garbage
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from support import dialect_names, log_recorder
from support.dialect_marks import each, hixie, modern
from support.dialect_names import CLOSING, MODERN
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
        """Advance the clock past the last timeout."""
        self.pair.advance(10)


def outcome(deferred: Deferred[Any]) -> Any:
    """The result of a Deferred, an exception being one; ``...`` if it has not fired."""
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


@each
def test_messages_are_sent_in_both_directions(dialect: str) -> None:
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


def test_only_text_and_bytes_are_sent() -> None:
    with pytest.raises(TypeError, match="a message: expected str or bytes, not "):
        Talk().channel.send(3)  # type: ignore[arg-type]  # the test passes a wrong type


@each
def test_iteration_ends_with_a_clean_close(dialect: str) -> None:
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
def test_iteration_raises_after_the_last_message_at_any_other_close(dialect: str) -> None:
    talk = Talk(dialect)
    talk.peer.transport.sendTextMessage("one")
    talk.pump()
    talk.pair.client.reset()
    messages: list[str | bytes] = []
    assert isinstance(outcome(run(collect(talk.channel, messages))), AbruptClose)
    assert messages == ["one"]


def test_a_clean_close_with_an_error_code_raises_in_an_iteration() -> None:
    """A loop that simply ended would take the messages so far for all of them."""
    talk = Talk()
    talk.peer.transport.loseConnection(1011, "out of memory")
    talk.pump()
    talk.settle()
    error = outcome(run(collect(talk.channel, [])))
    assert type(error) is AbruptClose
    assert (error.code, error.reason) == (1011, "out of memory")


def test_each_waiting_call_fails_with_an_error_object_of_its_own() -> None:
    """A shared error would collect the tracebacks of all calls."""
    talk = Talk()
    talk.pair.client.reset()
    first, second = (outcome(talk.channel.receive()) for _ in range(2))
    assert first is not second
    assert first.ended == second.ended


def test_messages_that_are_not_received_are_bounded_by_back_pressure() -> None:
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


def test_a_waiting_send_fails_when_the_connection_ends() -> None:
    talk = Talk()
    talk.pair.client.wire.producer.pauseProducing()
    waiting = talk.channel.send("never")
    talk.pair.client.reset()
    assert isinstance(outcome(waiting), NotOpen)
    assert isinstance(outcome(talk.channel.send("late")), NotOpen)


def test_the_errors_of_a_send_are_those_of_its_Deferred() -> None:
    talk = Talk()
    assert isinstance(outcome(talk.channel.send("\ud800")), UnicodeEncodeError)
    talk.channel.close()
    assert isinstance(outcome(talk.channel.send("late")), NotOpen)


@modern
def test_a_ping_waits_for_its_pong(dialect: str) -> None:
    talk = Talk(dialect)
    first, second = talk.channel.ping(), talk.channel.ping()
    assert outcome(first) is ...
    talk.pump()
    assert outcome(first) is outcome(second) is None


def test_a_pong_to_a_later_ping_answers_the_earlier_ones() -> None:
    """RFC 6455 section 5.5.3 lets a peer answer the latest ping only."""
    talk = Talk()
    talk.pair.toServer.paused = True
    pings = [talk.channel.ping() for _ in range(3)]
    application_of(talk.channel).pongReceived(b"channel 2")
    assert [outcome(ping) for ping in pings] == [None, None, ...]
    application_of(talk.channel).pongReceived(b"unasked")
    assert outcome(pings[2]) is ...


def test_a_ping_may_be_cancelled_and_fails_when_the_connection_ends() -> None:
    talk = Talk()
    talk.pair.toServer.paused = True
    cancelled, waiting = talk.channel.ping(), talk.channel.ping()
    cancelled.cancel()
    assert isinstance(outcome(cancelled), CancelledError)
    talk.pair.client.reset()
    assert isinstance(outcome(waiting), NotOpen)
    assert isinstance(outcome(talk.channel.ping()), NotOpen)


@hixie
def test_in_a_dialect_without_pings_ping_raises(dialect: str) -> None:
    assert isinstance(outcome(Talk(dialect).channel.ping()), UnsupportedByDialect)


@each
def test_close_waits_for_the_end_of_the_connection(dialect: str) -> None:
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


def test_cancelling_the_wait_for_the_end_does_not_cancel_the_close() -> None:
    talk = Talk()
    closing, ending = talk.channel.close(), talk.channel.whenEnded()
    closing.cancel()
    assert isinstance(outcome(closing), CancelledError)
    talk.pump()
    talk.settle()
    assert outcome(ending) == (1000, "", "us", True)
    assert outcome(talk.channel.whenEnded()) == (1000, "", "us", True)


def test_an_invalid_close_code_closes_nothing() -> None:
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


def test_a_channel_shows_the_agreement() -> None:
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


# Sends that are not awaited, and sends after the close.


def test_every_send_and_ping_after_a_close_has_begun_fails_with_its_code_and_reason() -> None:
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
def test_a_channel_has_its_close_code_when_a_send_fails(how: str) -> None:
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


def test_after_a_loss_sends_fail_at_once_and_earlier_messages_can_still_be_received() -> None:
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
    """The errors logged for failed Deferreds, once they are garbage-collected."""
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
    """A Deferred with a callback is the program's to handle, whether the callback was added
    before the end or after."""
    talk = Talk()
    talk.pair.client.wire.producer.pauseProducing()
    talk.channel.send("waits").addCallback(lambda _: None)
    talk.pair.client.reset()
    talk.channel.send("late").addCallback(lambda _: None)
    collect_garbage()
    errors = log.tracebacks()
    assert [type(error) for error in errors] == [ConversationEnded] * 2


def test_sends_that_are_not_awaited_are_bounded_and_their_size_is_known(
    log: log_recorder.Log,
) -> None:
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


def test_cancelled_sends_are_not_counted() -> None:
    talk = Talk(limits=Limits(unsent_size=1_000_000))
    talk.pair.client.wire.producer.pauseProducing()
    for _ in range(100):
        waiting = talk.channel.send(bytes(50_000))
        waiting.addErrback(lambda _: None)
        waiting.cancel()
    assert talk.channel.ended is None
    assert application_of(talk.channel).outbox.size == 0
