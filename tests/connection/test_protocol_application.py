"""The calls of an application on its connection, before, during and after the conversation: in
memory, both sides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone, ConnectionLost

from support import applications, dialect_names, log_recorder
from support.applications import Applications, Recorder, Source, closed, echo
from support.dialect_marks import both, each, hixie, modern
from support.dialect_names import MODERN
from support.handshake_bytes import KEY3, request
from support.log_recorder import Log
from support.memory_connection import ClientEnd, End, ServerEnd, opened
from txhixie import CleanClose, Limits, NotOpen, UsageError
from txhixie.sansio.closing import Ended
from txhixie.sansio.wire.frame import Side

# Before the connection is open, and after its end.


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


def sends_all(transport: Any) -> None:
    transport.sendTextMessage("x")
    transport.sendTextMessage("\ud800")
    transport.sendBytesMessage(b"x")
    transport.ping()
    transport.ping(bytes(1000))
    transport.pong(b"x")


@both
@each
def test_sends_do_nothing_once_a_close_has_begun(dialect: str, side: str) -> None:
    """Twisted's transports behave so too: the peer may close while the application is sending."""
    end, application = opened(dialect, side=side)
    application.transport.loseConnection()
    end.wire.taken()
    assert not application.transport.isOpen
    sends_all(application.transport)
    assert end.wire.written == b""
    end.done()


@both
@modern
def test_sends_do_nothing_once_the_peer_has_closed(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    end.receive(end.peer.close())
    end.wire.taken()
    assert not application.transport.isOpen
    sends_all(application.transport)
    assert end.wire.written == b""
    end.done()


@both
@each
def test_sends_do_nothing_after_an_abort(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    application.transport.abortConnection()
    end.wire.taken()
    sends_all(application.transport)
    assert end.wire.written == b""
    end.done()


@both
@each
def test_sends_do_nothing_after_the_end(dialect: str, side: str) -> None:
    end, application = opened(dialect, Recorder(lost=lambda a: sends_all(a.transport)), side)
    end.lose()
    sends_all(application.transport)
    assert end.wire.written == b""
    end.done()


class Listener(Recorder):
    """An application that implements ``CloseListener``."""

    def closeStarted(self, ended: Ended) -> None:
        assert not self.transport.isOpen
        self._note("closing", ended)


HOW: dict[str, tuple[Callable[[Any, Any], object], str, int]] = {
    "ours": (lambda end, app: app.transport.loseConnection(1001, "enough"), "us", 1001),
    "a failure of ours": (lambda end, app: app.transport.failConnection(1011, "x"), "us", 1011),
    "an abort": (lambda end, app: app.transport.abortConnection(), "us", 1006),
    "the peer's": (lambda end, app: end.receive(end.peer.close(1001, "bye")), "peer", 1001),
    "a broken rule": (lambda end, app: end.receive(end.peer.broken()), "peer", 1002),
    "a reset": (lambda end, app: end.lose(ConnectionLost()), "peer", 1006),
}


@both
@modern
@pytest.mark.parametrize("how", HOW)
def test_closeStarted_is_called_once_when_a_close_begins(dialect: str, side: str, how: str) -> None:
    act, who, code = HOW[how]
    end, listener = opened(dialect, Listener(), side)
    act(end, listener)
    ((_, ended),) = [event for event in listener.events if event[0] == "closing"]
    assert (ended.who, ended.code) == (who, code)
    if not end.wire.dead:
        end.lose()
    assert listener.told[-2:] == ["closing", "lost"]
    end.done()


def test_an_error_raised_in_closeStarted_is_logged_and_has_no_other_effect(
    log: log_recorder.Log,
) -> None:
    class Raises(Recorder):
        def closeStarted(self, ended: Ended) -> None:
            raise applications.Broken

    end, application = opened("rfc6455", Raises())
    end.receive(end.peer.close())
    assert end.wire.written == end.own.close()
    end.lose()
    assert isinstance(closed(application), CleanClose)
    assert [type(error) for error in log.tracebacks()] == [applications.Broken]
    end.done()


def test_closing_in_closeStarted_changes_nothing() -> None:
    class Ends(Listener):
        def closeStarted(self, ended: Ended) -> None:
            super().closeStarted(ended)
            self.transport.loseConnection(4000)
            self.transport.failConnection()
            self.transport.sendTextMessage("x")

    end, application = opened("rfc6455", Ends())
    end.receive(end.peer.close(1001))
    assert end.wire.written == end.own.close(1001)
    end.lose()
    assert closed(application).ended == (1001, "", "peer", True)
    end.done()


@both
@each
def test_every_method_may_be_called_after_the_end(dialect: str, side: str) -> None:
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
def test_a_second_close_changes_nothing(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    application.transport.loseConnection()
    calls = list(end.wire.calls)
    application.transport.loseConnection(1001)
    assert end.wire.calls == calls
    end.done()


@both
@modern
@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65536, 10**6])
def test_an_invalid_close_code_raises_in_the_caller_and_changes_nothing(
    dialect: str, side: str, code: int
) -> None:
    end, application = opened(dialect, side=side)
    application.transport.pauseProducing()
    end.receive(end.peer.text("still here"))
    end.wire.calls.clear()
    with pytest.raises(UsageError, match=f"^close code {code} cannot be sent"):
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
def test_a_valid_close_code_is_sent(dialect: str, side: str, code: int) -> None:
    end, application = opened(dialect, side=side)
    application.transport.loseConnection(code)
    assert end.wire.written == end.own.close(code)
    end.receive(end.peer.close(code))
    end.lose()
    assert closed(application).ended == (code, "", "us", True)
    end.done()


@hixie
def test_in_a_dialect_without_close_codes_any_code_is_accepted(dialect: str) -> None:
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
def test_a_pause_takes_effect_after_the_current_message(dialect: str, side: str) -> None:
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
def test_messages_received_while_paused_are_kept_in_order(dialect: str, side: str) -> None:
    """TLS delivers data after a pause that it had read before."""
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
def test_pausing_and_resuming_inside_a_message_event_changes_nothing(
    dialect: str, side: str
) -> None:
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
def test_a_resume_inside_a_message_event_does_not_deliver_inside_it(
    dialect: str, side: str
) -> None:
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
def test_the_replies_to_messages_held_back_by_a_pause_leave_in_one_write(
    dialect: str, side: str
) -> None:
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
    """A connection that is paused from the start still opens; only its messages are not
    delivered."""
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
def test_a_close_while_paused_still_reads_the_peers_close_frame(dialect: str, side: str) -> None:
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
def test_a_pause_after_a_close_does_not_keep_the_peers_close_frame_unread(
    dialect: str, side: str
) -> None:
    end, application = opened(dialect, side=side)
    application.transport.loseConnection()
    application.transport.pauseProducing()
    assert not end.wire.paused
    end.done()


@both
@each
def test_messages_received_before_the_end_are_delivered_before_it(dialect: str, side: str) -> None:
    """Messages are delivered as fast as the application takes them, even one at a time."""
    end, application = opened(dialect, Recorder(text=lambda a: a.transport.pauseProducing()), side)
    end.receive(end.peer.text("a") + end.peer.text("b") + end.peer.text("c") + end.peer.close())
    end.lose()
    assert application.messages == ["a"]
    assert not application.transport.isOpen
    sends_all(application.transport)
    application.transport.resumeProducing()
    assert application.messages == ["a", "b"]
    assert "lost" not in application.told
    application.transport.resumeProducing()
    application.transport.resumeProducing()
    assert application.messages == ["a", "b", "c"]
    assert isinstance(closed(application), CleanClose)
    assert not end.factory.connections
    end.done()


def ends_of(log: Log) -> int:
    """The number of ends in the log."""
    return len([line for line in log.lines() if line.startswith("ended ")])


@both
@each
def test_an_application_that_takes_one_message_at_a_time_gets_all_before_the_end(
    dialect: str, side: str, log: Log
) -> None:
    """It pauses in each message event, and resumes there since its work is done at once."""

    def takes(application: Recorder) -> None:
        application.transport.pauseProducing()
        if application.messages != ["a"]:
            application.transport.resumeProducing()
            application.events.append(("taken",))

    end, application = opened(dialect, Recorder(text=takes), side, logConnections=True)
    end.receive(end.peer.text("a", "b", "c", "d"))
    end.lose(ConnectionLost())
    assert application.messages == ["a"]
    application.transport.resumeProducing()
    assert application.messages == ["a", "b", "c", "d"]
    told = [name for name, *_ in application.events]
    assert told[told.index("text") :] == ["text", *["text", "taken"] * 3, "lost"]
    assert ends_of(log) == 1
    assert not end.factory.connections
    end.done()


@both
@each
def test_a_connection_that_is_lost_inside_a_message_event_has_its_other_messages_first(
    dialect: str, side: str, log: Log
) -> None:
    """An application that runs the reactor inside the event can cause that."""

    def loses(application: Recorder) -> None:
        if application.messages == ["a"]:
            end.lose(ConnectionLost())

    end, application = opened(dialect, Recorder(text=loses), side, logConnections=True)
    end.receive(end.peer.text("a", "b", "c"))
    end.clock.advance(0)
    assert application.told[-4:] == ["text", "text", "text", "lost"]
    assert application.messages == ["a", "b", "c"]
    assert ends_of(log) == 1
    assert not end.factory.connections
    end.done()


@pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit])
@pytest.mark.parametrize("how", ["resumed", "next turn"])
def test_a_connection_ends_after_a_BaseException_of_its_application(
    how: str, error: type[BaseException]
) -> None:
    """Within dataReceived the reactor ends it; elsewhere nobody would read it again."""

    def leaves(application: Recorder) -> None:
        if application.messages[-1] == "b" * 100:
            raise error

    end, application = opened("rfc6455", Recorder(text=leaves), limits=Limits(turn_size=150))
    if how == "resumed":
        application.transport.pauseProducing()
    end.receive(end.peer.text("a" * 100, "b" * 100, "c" * 100))
    with pytest.raises(error):
        if how == "resumed":
            application.transport.resumeProducing()
        for _ in range(3):
            end.clock.advance(0)
    assert end.wire.endings == ["abort"]
    end.lose(ConnectionLost())
    end.clock.advance(0)
    assert application.told[-1] == "lost"
    assert "c" * 100 not in application.messages
    assert not end.factory.connections
    end.done()


@both
@each
def test_an_application_may_resume_in_its_connectionLost(dialect: str, side: str, log: Log) -> None:
    def resumes(application: Recorder) -> None:
        application.transport.resumeProducing()

    options = {"limits": Limits(drain_timeout=7), "logConnections": True}
    end, application = opened(dialect, Recorder(lost=resumes), side, **options)
    application.transport.pauseProducing()
    end.receive(end.peer.text("a"))
    end.lose(ConnectionLost())
    end.clock.advance(7.1)
    assert application.told.count("lost") == 1
    assert ends_of(log) == 1
    assert not end.factory.connections
    end.done()


@both
@each
@pytest.mark.parametrize("orderly", [True, False])
def test_messages_that_are_not_taken_after_the_end_are_dropped(
    dialect: str, side: str, orderly: bool
) -> None:
    limits = Limits(drain_timeout=7)
    end, application = opened(dialect, side=side, limits=limits)
    application.transport.pauseProducing()
    end.receive(end.peer.text("a" * 50) + end.peer.text("b" * 50))
    end.lose(ConnectionDone() if orderly else ConnectionLost())
    end.clock.advance(6.9)
    assert "lost" not in application.told
    end.clock.advance(0.2)
    assert application.messages == []
    code, reason, who, clean = closed(application).ended
    assert (code, who, clean) == (1006, "peer", False)
    size = len(end.peer.text("a" * 50) + end.peer.text("b" * 50))
    dropped = int(reason.partition(" ")[0].replace(",", ""))
    assert 100 <= dropped <= size
    assert "Limits.drain_timeout" in reason
    assert not end.factory.connections
    application.transport.resumeProducing()
    assert application.told[-1] == "lost"
    end.done()


@both
@each
@pytest.mark.parametrize("rest", ["nothing", "half a text", "a close", "a broken frame"])
def test_a_lost_connection_ends_at_once_when_a_paused_application_has_no_message_left(
    dialect: str, side: str, rest: str
) -> None:
    end, application = opened(dialect, side=side)
    application.transport.pauseProducing()
    peer = end.peer
    end.receive(
        {
            "nothing": b"",
            "half a text": peer.text("h" * 20)[:12],
            "a close": peer.close(1000),
            "a broken frame": peer.broken(),
        }[rest]
    )
    end.lose(ConnectionLost())
    assert application.messages == []
    close = closed(application)
    assert close.code == {
        "a close": dialect_names.code_of(dialect) if peer.close() else 1006,
        "a broken frame": 1002 if side == Side.SERVER or dialect in MODERN else 1006,
    }.get(rest, 1006)
    end.done()


@both
@each
@pytest.mark.parametrize("how", ["loseConnection", "failConnection", "abortConnection"])
def test_closing_a_lost_connection_drops_its_remaining_messages(
    dialect: str, side: str, how: str
) -> None:
    end, application = opened(dialect, side=side)
    application.transport.pauseProducing()
    end.receive(end.peer.text("a"))
    end.lose(ConnectionLost())
    getattr(application.transport, how)()
    assert "lost" not in application.told  # not inside the call
    end.clock.advance(0)
    assert application.messages == []
    assert closed(application).code == 1006
    end.done()


def test_closing_all_connections_does_not_wait_for_remaining_messages_of_lost_ones() -> None:
    end, application = opened("rfc6455")
    application.transport.pauseProducing()
    end.receive(end.peer.text("a"))
    end.lose(ConnectionLost())
    done = end.factory.closeAll()
    end.clock.advance(0)
    assert done.called
    closed(application)
    end.done()


@both
@each
def test_after_an_abort_messages_held_back_are_not_delivered(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    application.transport.pauseProducing()
    end.receive(end.peer.text("a"))
    application.transport.abortConnection()
    end.lose()
    assert application.told == ["started", "finished", "lost"]
    end.done()


# The write buffer and back-pressure.


@both
@each
def test_back_pressure_of_the_transport_is_visible(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    assert not application.transport.full
    end.wire.producer.pauseProducing()
    assert application.transport.full
    end.wire.producer.resumeProducing()
    assert not application.transport.full
    end.done()


@both
@each
def test_an_attached_producer_is_paused_resumed_and_stopped_at_the_end(
    dialect: str, side: str
) -> None:
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
