"""What an application may ask of its connection, and when: in memory, either side."""

from __future__ import annotations

import pytest

from support.connection import (
    HIXIE,
    KEY3,
    MODERN,
    NAMES,
    Applications,
    ClientEnd,
    End,
    Recorder,
    ServerEnd,
    Source,
    closed,
    echo,
    opened,
    request,
)
from txhixie import (
    CleanClose,
    NotOpen,
    UsageError,
)
from txhixie.wire.frame import Side

SIDES = (Side.SERVER, Side.CLIENT)
both = pytest.mark.parametrize("side", SIDES)
each = pytest.mark.parametrize("dialect", NAMES)
hixie = pytest.mark.parametrize("dialect", HIXIE)
modern = pytest.mark.parametrize("dialect", MODERN)


# Before it is open and after.


@both
@each
def test_nothing_can_be_sent_before_it_is_open(dialect: str, side: str) -> None:
    refused: list[str] = []

    def tries(application: Recorder) -> None:
        transport = application.transport
        with pytest.raises(NotOpen):
            transport.sendTextMessage("x")
        with pytest.raises(NotOpen):
            transport.sendBytesMessage(b"x")
        with pytest.raises(NotOpen):
            transport.ping()
        refused.append("all")

    end, _ = opened(dialect, Recorder(started=tries), side)
    assert refused == ["all"]
    end.done()


@both
@each
def test_nothing_can_be_sent_once_the_end_has_begun(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    application.transport.loseConnection()
    end.wire.taken()
    with pytest.raises(NotOpen):
        application.transport.sendTextMessage("x")
    with pytest.raises(NotOpen):
        application.transport.sendBytesMessage(b"x")
    with pytest.raises(NotOpen):
        application.transport.ping()
    assert end.wire.written == b""
    end.done()


@both
@each
def test_nothing_can_be_sent_after_an_abort(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    application.transport.abortConnection()
    with pytest.raises(NotOpen):
        application.transport.sendTextMessage("x")
    end.done()


@both
@each
def test_nothing_can_be_sent_when_it_is_over(dialect: str, side: str) -> None:
    raised: list[type] = []

    def sends(application: Recorder) -> None:
        try:
            application.transport.sendTextMessage("x")
        except NotOpen as error:
            raised.append(type(error))

    end, _ = opened(dialect, Recorder(lost=sends), side)
    end.lose()
    assert raised == [NotOpen]
    end.done()


@both
@each
def test_everything_can_be_called_when_it_is_over(dialect: str, side: str) -> None:
    def everything(application: Recorder) -> None:
        transport = application.transport
        transport.pauseProducing()
        transport.resumeProducing()
        transport.detachProducer()
        transport.loseConnection()
        transport.abortConnection()
        transport.getPeer()
        transport.getHost()
        assert not transport.full

    end, application = opened(dialect, Recorder(lost=everything), side)
    end.lose()
    everything(application)
    end.done()


# Closing.


@both
@each
def test_closing_twice_is_closing_once(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    application.transport.loseConnection()
    calls = list(end.wire.calls)
    application.transport.loseConnection(1001)
    assert end.wire.calls == calls
    end.done()


@both
@modern
@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65536, 10**6])
def test_a_code_that_is_never_sent_reaches_the_caller_and_changes_nothing(
    dialect: str, side: str, code: int
) -> None:
    end, application = opened(dialect, side=side)
    application.transport.pauseProducing()
    end.receive(end.peer.text("still here"))
    end.wire.calls.clear()
    with pytest.raises(UsageError, match=f"^{code} is no code"):
        application.transport.loseConnection(code, "why")
    assert end.wire.calls == []
    application.transport.sendTextMessage("so are we")
    assert end.wire.written == end.own.text("so are we")
    application.transport.resumeProducing()
    assert application.messages == ["still here"]
    end.done()


@both
@modern
@pytest.mark.parametrize("code", [1000, 1001, 1003, 1008, 1010, 1011, 1014, 3000, 4999])
def test_a_code_that_may_be_sent_is(dialect: str, side: str, code: int) -> None:
    end, application = opened(dialect, side=side)
    application.transport.loseConnection(code)
    assert end.wire.written == end.own.close(code)
    end.receive(end.peer.close(code))
    end.lose()
    assert closed(application).ended == (code, "", "us", True)
    end.done()


@hixie
def test_where_there_are_no_codes_any_will_do(dialect: str) -> None:
    end, application = opened(dialect)
    application.transport.loseConnection(1006)
    assert end.wire.written == end.own.close()
    end.done()


@both
@modern
@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        ("x" * 123, "x" * 123),
        ("x" * 200, "x" * 123),
        ("ü" * 100, "ü" * 61),
        ("\U0001f600" * 99, "\U0001f600" * 30),
    ],
)
def test_of_a_long_reason_123_bytes_are_sent_and_no_half_character(
    dialect: str, side: str, reason: str, sent: str
) -> None:
    end, application = opened(dialect, side=side)
    application.transport.loseConnection(4000, reason)
    assert end.wire.written == end.own.close(4000, sent)
    assert len(end.wire.written) <= (127 if side == Side.SERVER else 131)
    end.done()


# Pausing.


@both
@each
def test_a_pause_takes_effect_after_the_message_in_hand(dialect: str, side: str) -> None:
    end, application = opened(dialect, Recorder(text=lambda a: a.transport.pauseProducing()), side)
    end.receive(end.peer.text("a") + end.peer.text("b") + end.peer.text("c"))
    assert application.messages == ["a"]
    assert end.wire.paused
    application.transport.resumeProducing()
    assert application.messages == ["a", "b"]
    assert end.wire.paused
    application.transport.resumeProducing()
    application.transport.resumeProducing()
    assert application.messages == ["a", "b", "c"]
    assert not end.wire.paused
    end.done()


@both
@each
def test_what_comes_while_paused_is_kept_in_its_order(dialect: str, side: str) -> None:
    """TLS delivers after a pause what it had read before (trap 14)."""
    end, application = opened(dialect, side=side)
    application.transport.pauseProducing()
    last = end.peer.text("cd")
    end.receive(end.peer.text("a", "b") + last[:-2], 2)
    assert application.messages == []
    application.transport.resumeProducing()
    assert application.messages == ["a", "b"]
    end.receive(last[-2:])
    assert application.messages == ["a", "b", "cd"]
    end.done()


@both
@each
def test_pausing_and_resuming_inside_a_message_changes_nothing(dialect: str, side: str) -> None:
    def hesitates(application: Recorder) -> None:
        application.transport.pauseProducing()
        application.transport.resumeProducing()

    end, application = opened(dialect, Recorder(text=hesitates), side)
    end.receive(end.peer.text("a") + end.peer.text("b") + end.peer.text("c"))
    assert application.messages == ["a", "b", "c"]
    assert not end.wire.paused
    end.done()


@both
@each
def test_a_resume_inside_a_message_does_not_deliver_inside_it(dialect: str, side: str) -> None:
    story: list[str] = []

    def hesitates(application: Recorder) -> None:
        story.append("in")
        application.transport.pauseProducing()
        application.transport.resumeProducing()
        story.append("out")

    end, _ = opened(dialect, Recorder(text=hesitates), side)
    end.receive(end.peer.text("a") + end.peer.text("b"))
    assert story == ["in", "out"] * 2
    end.done()


@both
@each
def test_pause_and_resume_are_idempotent(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    application.transport.resumeProducing()
    application.transport.pauseProducing()
    application.transport.pauseProducing()
    application.transport.resumeProducing()
    application.transport.resumeProducing()
    assert end.wire.calls == [("pause",), ("resume",)]
    end.done()


@both
@each
def test_the_replies_to_what_was_held_back_leave_in_one_write(dialect: str, side: str) -> None:
    end, application = opened(dialect, echo(), side)
    application.transport.pauseProducing()
    end.receive(end.peer.text("a") + end.peer.text("b"))
    application.transport.resumeProducing()
    assert end.wire.writes == [end.own.text("a") + end.own.text("b")]
    end.done()


@both
@each
@pytest.mark.parametrize("kind", ["started", "finished"])
def test_a_pause_before_the_first_message_holds_it_back(dialect: str, side: str, kind: str) -> None:
    """Paused from the start it opens all the same: nothing is delivered, that is all."""
    application = Recorder(**{kind: lambda a: a.transport.pauseProducing()})
    if side == Side.SERVER:
        end: End = ServerEnd(Applications(lambda: application))
        end.receive(request(dialect))
        assert not end.wire.paused or dialect != "hixie-76"
        end.receive(KEY3 if dialect == "hixie-76" else end.peer.text("a"))
        end.receive(end.peer.text("b"))
    else:
        client = ClientEnd(Applications(lambda: application), dialect=dialect)
        end = client
        assert not end.wire.paused
        client.receive(client.answer() + end.peer.text("a") + end.peer.text("b"))
    assert application.told == ["started", "finished"]
    assert end.wire.paused
    application.transport.resumeProducing()
    assert application.messages[-1] == "b"
    assert not end.wire.paused
    end.done()


@both
@each
def test_closing_while_paused_still_hears_the_peer(dialect: str, side: str) -> None:
    end, application = opened(dialect, Recorder(text=lambda a: a.transport.pauseProducing()), side)
    end.receive(end.peer.text("a") + end.peer.text("b") + end.peer.close())
    application.transport.loseConnection()
    assert application.messages == ["a"]
    assert not end.wire.paused
    end.lose()
    assert isinstance(closed(application), CleanClose)
    end.done()


@both
@each
def test_a_pause_after_closing_does_not_keep_us_from_hearing_the_peer(
    dialect: str, side: str
) -> None:
    end, application = opened(dialect, side=side)
    application.transport.loseConnection()
    application.transport.pauseProducing()
    assert not end.wire.paused
    end.done()


@both
@each
def test_what_was_received_before_the_end_is_delivered_before_it(dialect: str, side: str) -> None:
    """Also to an application that takes one message at a time."""
    end, application = opened(dialect, Recorder(text=lambda a: a.transport.pauseProducing()), side)
    end.receive(end.peer.text("a") + end.peer.text("b") + end.peer.text("c") + end.peer.close())
    end.lose()
    assert application.messages == ["a", "b", "c"]
    assert isinstance(closed(application), CleanClose)
    end.done()


@both
@each
def test_after_an_abort_what_was_held_back_is_not_delivered(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    application.transport.pauseProducing()
    end.receive(end.peer.text("a"))
    application.transport.abortConnection()
    end.lose()
    assert application.told == ["started", "finished", "lost"]
    end.done()


# The way out.


@both
@each
def test_a_full_transport_shows(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    assert not application.transport.full
    end.wire.producer.pauseProducing()
    assert application.transport.full
    end.wire.producer.resumeProducing()
    assert not application.transport.full
    end.done()


@both
@each
def test_an_attached_producer_is_told_and_in_the_end_stopped(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    source = Source()
    application.transport.attachProducer(source)
    end.wire.producer.pauseProducing()
    end.wire.producer.pauseProducing()
    end.wire.producer.resumeProducing()
    assert source.told == ["pause", "resume"]
    end.lose()
    assert source.told == ["pause", "resume", "stop"]
    end.done()
