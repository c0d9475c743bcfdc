"""One connection from its first byte to its last, in memory: behaviour that both sides share."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone, ConnectionLost

from support import applications, frame_writer, handshake_bytes, memory_connection
from support.applications import Applications, Recorder, Source, closed, echo, fails
from support.dialect_marks import SIDES, both, each, hixie, modern
from support.dialect_names import CLOSING, MODERN, OLDEST, code_of
from support.frame_writer import FrameWriter, text
from support.frames import MASK
from support.held_bytes import kept
from support.log_recorder import Log
from support.memory_connection import ServerEnd, opened
from support.private_state import conversation_of
from txhixie import AbruptClose, Agreement, CleanClose, Limits, Offer, UnsupportedByDialect
from txhixie.sansio.quirks import hint_about
from txhixie.sansio.wire.frame import Side

# Messages.


@both
@each
def test_text_is_sent_in_both_directions(dialect: str, side: str) -> None:
    end, _ = opened(dialect, echo(), side)
    end.receive(end.peer.text("Grüße"))
    assert end.wire.written == end.own.text("Grüße")
    end.done()


@pytest.mark.parametrize("dialect", CLOSING)
def test_a_producer_that_raises_while_a_close_is_answered_is_logged(dialect: str, log: Log) -> None:
    class Raising(Source):
        def pauseProducing(self) -> None:
            raise RuntimeError("no")

    end, application = opened(dialect)
    application.transport.attachProducer(Raising())
    end.wire._limit = 1  # private: Output has one limit, of 64 KiB, which no option sets
    end.receive(end.peer.close())
    assert [str(error) for error in log.tracebacks()] == ["no"]
    assert end.wire.written == end.own.close()
    assert "abort" not in end.wire.endings


@both
@each
def test_a_read_without_bytes_changes_nothing(dialect: str, side: str) -> None:
    end, application = opened(dialect, echo(), side)
    end.protocol.dataReceived(b"")
    assert end.wire.written == b""
    end.receive(end.peer.text("still open"))
    assert application.messages == ["still open"]
    end.done()


@both
@each
def test_binary_is_sent_in_both_directions_once_the_peer_has_sent_some(
    dialect: str, side: str
) -> None:
    end, _ = opened(dialect, echo(), side)
    end.receive(end.peer.binary(b"\x00\xff"))
    assert end.wire.written == end.own.binary(b"\x00\xff")
    end.done()


@pytest.mark.parametrize("dialect", ["hixie-75", "hixie-76"])
def test_binary_is_not_sent_where_the_dialect_would_lose_it(dialect: str) -> None:
    end, application = opened(dialect)
    with pytest.raises(UnsupportedByDialect):
        application.transport.sendBytesMessage(b"x")
    application.transport.sendTextMessage("still open")
    assert end.wire.written == end.own.text("still open")
    end.done()


@pytest.mark.parametrize("dialect", ["hixie-75", "hixie-76"])
def test_binary_is_sent_if_the_factory_allows_it(dialect: str) -> None:
    end, application = opened(dialect, binary="send")
    application.transport.sendBytesMessage(b"x")
    assert end.wire.written == b"\x80\x01x"
    end.done()


@hixie
def test_no_ping_is_sent_in_a_dialect_without_pings(dialect: str) -> None:
    end, application = opened(dialect)
    with pytest.raises(UnsupportedByDialect):
        application.transport.ping()
    assert end.wire.written == b""
    end.done()


@both
@each
def test_a_lone_surrogate_reaches_the_caller_and_changes_nothing(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    with pytest.raises(UnicodeEncodeError):
        application.transport.sendTextMessage("\ud800")
    application.transport.sendTextMessage("fine")
    assert end.wire.written == end.own.text("fine")
    end.done()


@both
@each
def test_a_reply_that_cannot_be_sent_is_an_error_of_its_caller(dialect: str, side: str) -> None:
    errors = []
    wrongs: list[Any] = ["\ud800", b"bytes", ["list"], 5, None]

    def reply(app: Recorder) -> None:
        for wrong in wrongs:
            with pytest.raises((UnicodeEncodeError, TypeError)) as raised:
                app.transport.sendTextMessage(wrong)
            errors.append(raised.type)
        app.transport.sendTextMessage("fine")

    end, _ = opened(dialect, Recorder(text=reply), side)
    end.receive(end.peer.text("?"))
    assert errors == [UnicodeEncodeError, TypeError, TypeError, TypeError, TypeError]
    assert end.wire.written == end.own.text("fine")
    end.done()


@both
@each
def test_the_replies_of_one_read_leave_in_one_write(dialect: str, side: str) -> None:
    end, _ = opened(dialect, echo(), side)
    end.receive(end.peer.text("a") + end.peer.text("b") + end.peer.text("c"))
    assert end.wire.writes == [end.own.text("a") + end.own.text("b") + end.own.text("c")]
    end.done()


@each
def test_a_message_sent_outside_a_read_leaves_at_once(dialect: str) -> None:
    end, application = opened(dialect)
    application.transport.sendTextMessage("now")
    assert end.wire.writes == [end.own.text("now")]
    end.done()


def test_replies_beyond_64_KiB_do_not_wait_for_the_end_of_the_read() -> None:
    """A transport can then report back-pressure before all replies have been written."""
    end, _ = opened("hixie-75", Recorder(text=lambda a: a.transport.sendTextMessage("x" * 40_000)))
    end.receive(end.peer.text("?") * 4)
    assert [len(data) for data in end.wire.writes] == [80_004, 80_004]
    end.done()


def test_a_message_sent_during_a_write_is_not_lost() -> None:
    """A transport may pause its producer inside ``write``; the application may send in answer to
    that."""

    class Complaining(Source):
        def pauseProducing(self) -> None:
            application.transport.sendTextMessage("slow down")

    def write(data: bytes) -> None:
        wire_write(data)
        end.wire.producer.pauseProducing()

    end, application = opened("hixie-75", echo())
    application.transport.attachProducer(Complaining())
    wire_write, end.wire.write = end.wire.write, write
    end.receive(end.peer.text("a"))
    assert end.wire.written == end.own.text("a") + end.own.text("slow down")
    end.done()


@given(st.lists(st.text(), max_size=8), st.integers(1, 40))
def test_messages_arrive_whole_in_pieces_of_any_size(messages: list[str], size: int) -> None:
    for side in SIDES:
        end, application = opened("hixie-76", side=side)
        if messages:
            end.receive(b"".join(map(text, messages)), size)
        assert application.messages == messages
        end.done()


@each
def test_small_messages_do_not_wait_for_each_other(dialect: str) -> None:
    end, _ = opened(dialect, Recorder(finished=lambda a: a.transport.sendTextMessage("hello")))
    assert end.wire.calls[0] == ("no delay", True)
    assert end.wire.written.endswith(end.own.text("hello"))
    end.done()


# How it ends.


@both
@each
def test_a_connection_is_closed_in_the_way_of_its_dialect(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    application.transport.sendTextMessage("last")
    application.transport.loseConnection(4000, "enough")
    assert end.wire.written == end.own.text("last") + end.own.close(4000, "enough")
    if dialect in CLOSING:
        assert end.wire.endings == []
        end.receive(end.peer.close(4000, "enough"))
        # After both close frames nothing more will come; but the server ends the TCP connection.
        waits = dialect in MODERN and side == Side.CLIENT
        assert end.wire.endings == ([] if waits else ["lose"])
    else:
        assert end.wire.endings == ["lose write"]
    end.lose()
    reason = closed(application)
    assert isinstance(reason, CleanClose)
    said = (4000, "enough") if dialect in MODERN else (1005, "")
    assert reason.ended == (*said, "us", True)
    end.done()


@both
@pytest.mark.parametrize("dialect", CLOSING)
def test_the_peer_closes_with_its_close_frame(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    end.receive(end.peer.text("last") + end.peer.close() + end.peer.text("too late"))
    assert end.wire.written == end.own.close()
    end.lose()
    assert application.messages == ["last"]
    assert closed(application).ended == (code_of(dialect), "", "peer", True)
    assert isinstance(application.lost, ConnectionDone)
    end.done()


@both
@pytest.mark.parametrize("dialect", OLDEST)
def test_the_peer_closes_by_ending_the_connection(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    end.lose()
    reason = closed(application)
    assert isinstance(reason, CleanClose)
    assert (reason.code, reason.reason) == (1005, "")
    end.done()


@both
@pytest.mark.parametrize("dialect", CLOSING)
def test_a_connection_that_ends_without_a_close_frame_is_not_a_clean_close(
    dialect: str, side: str
) -> None:
    end, application = opened(dialect, side=side)
    end.lose()
    reason = closed(application)
    assert isinstance(reason, AbruptClose)
    assert isinstance(reason, ConnectionLost)
    assert reason.code == 1006
    end.done()


@both
@each
def test_a_reset_is_not_a_clean_close_in_any_dialect(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    end.reset()
    assert isinstance(closed(application), AbruptClose)
    assert closed(application).ended == (1006, "", "peer", False)
    end.done()


@both
@pytest.mark.parametrize("dialect", CLOSING)
def test_a_reset_after_both_close_frames_leaves_the_close_clean(dialect: str, side: str) -> None:
    """A peer that closes its socket before it reads our close frame resets the connection."""
    end, application = opened(dialect, side=side)
    end.receive(end.peer.close())
    end.reset()
    assert isinstance(closed(application), CleanClose)
    end.done()


@both
@each
def test_an_abort_is_an_unclean_close_of_our_side(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    application.transport.abortConnection()
    assert end.wire.endings == ["abort"]
    end.lose()
    reason = closed(application)
    assert isinstance(reason, AbruptClose)
    assert (reason.code, reason.ended.who) == (1006, "us")
    end.done()


@both
@each
def test_an_abort_during_a_close_makes_it_unclean(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    application.transport.loseConnection()
    application.transport.abortConnection()
    end.lose()
    assert isinstance(closed(application), AbruptClose)
    end.done()


@both
@modern
@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "bye"), (3999, "ü" * 61), (None, "")]
)
def test_the_peers_close_is_answered_with_the_same_code_and_reported(
    dialect: str, side: str, code: int | None, reason: str
) -> None:
    end, application = opened(dialect, side=side)
    end.receive(end.peer.text("last") + end.peer.close(code, reason) + end.peer.text("too late"))
    assert end.wire.written == end.own.close(code, reason)
    assert application.messages == ["last"]
    end.lose()
    assert isinstance(closed(application), CleanClose)
    assert closed(application).ended == (code or 1005, reason, "peer", True)
    end.done()


@both
@modern
def test_when_both_close_at_once_each_side_reports_its_own_code(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    application.transport.loseConnection(4001, "ours")
    end.wire.taken()
    end.receive(end.peer.text("too late") + end.peer.close(4002, "theirs"))
    assert end.wire.written == b""
    assert end.wire.endings == ([] if side == Side.CLIENT else ["lose"])
    end.lose()
    assert application.messages == []
    assert closed(application).ended == (4001, "ours", "us", True)
    end.done()


@modern
def test_a_client_waits_a_bounded_time_for_its_server_to_end_TCP(dialect: str) -> None:
    end, application = opened(dialect, side=Side.CLIENT)
    end.receive(end.peer.close())
    limits = Limits()
    end.clock.advance(limits.close_timeout - 0.1)
    assert end.wire.endings == []
    end.clock.advance(0.2)
    assert end.wire.endings == ["lose"]
    end.lose()
    assert isinstance(closed(application), CleanClose)
    end.done()


# Protocol errors.

OURS_TO_SAY = {
    "an unknown opcode": (1002, "unknown opcode 0x3"),
    "a reserved bit": (1002, "reserved bits must be 0"),
    "half a code": (1002, "close frame payload of 1 byte"),
    "text that is none": (1007, "invalid UTF-8 in a text message"),
    "too long": (1009, "message too big"),
    "too many fragments": (1009, "message too big"),
}


def violation(peer: frame_writer.FrameWriter, what: str) -> bytes:
    """The bytes of a protocol error in this dialect."""
    if what == "too many fragments":
        more = peer.frame(0, b"x", final=False)
        return peer.frame(1, b"x", final=False) + more * 3
    return {
        "an unknown opcode": peer.frame(3),
        "a reserved bit": peer.frame(1, b"x", reserved=0x20),
        "half a code": peer.frame(8, b"\x03"),
        "text that is none": peer.frame(1, b"\xff"),
        "too long": peer.frame(1, b"x" * 1001),
    }[what]


@both
@modern
@pytest.mark.parametrize("what", OURS_TO_SAY)
def test_a_protocol_error_is_named_to_the_peer_and_to_the_application(
    dialect: str, side: str, what: str, log: Log
) -> None:
    code, reason = OURS_TO_SAY[what]
    limits = Limits(message_size=1000, fragments=3)
    end, application = opened(dialect, side=side, limits=limits)
    end.receive(end.peer.text("good") + violation(end.peer, what) + end.peer.text("not heard"))
    if (dialect, what) == ("hybi-07", "text that is none"):
        assert application.messages == ["good", "\ufffd", "not heard"]
        end.done()
        return
    assert application.messages == ["good"]
    assert end.wire.written == end.own.close(code, reason)
    assert end.wire.endings == ["lose write"]
    end.lose()
    assert isinstance(closed(application), AbruptClose)
    who = "us" if code == 1009 else "peer"
    name = {"too long": "message_size", "too many fragments": "fragments"}.get(what)
    ended = closed(application).ended
    assert (ended.code, ended.who, ended.clean) == (code, who, False)
    if name is None:
        assert ended.reason == reason
    else:  # the local error names the side and the limit
        assert f" exceeds our limit of {getattr(limits, name):,} (Limits.{name}, " in ended.reason
    (line,) = log.lines()
    assert line.startswith("ended connection=1 ")
    hint = hint_about(reason) if side == Side.SERVER else None  # the word that lets it in
    logged = ended.reason if hint is None else f"{ended.reason}; {hint}"
    assert f' code={code} reason="{logged}" by={who} ' in line
    end.done()


# Pings of the peer's.


@both
@modern
def test_pings_are_answered_in_order_and_are_no_events_of_the_application(
    dialect: str, side: str
) -> None:
    end, application = opened(dialect, echo(), side)
    peer, own = end.peer, end.own
    end.receive(peer.frame(9, b"1") + peer.text("a") + peer.frame(9, b"2"))
    assert end.wire.writes == [own.frame(10, b"1") + own.text("a") + own.frame(10, b"2")]
    assert application.told == ["started", "finished", "text"]
    end.done()


@both
@modern
def test_while_full_only_the_latest_pong_is_kept(dialect: str, side: str) -> None:
    end, _ = opened(dialect, side=side)
    end.wire.producer.pauseProducing()
    for number in range(1000):
        end.receive(end.peer.frame(9, b"%d" % number))
    assert end.wire.written == b""
    end.wire.producer.resumeProducing()
    assert end.wire.written == end.own.frame(10, b"999")
    end.wire.producer.pauseProducing()
    end.wire.producer.resumeProducing()
    assert end.wire.written == end.own.frame(10, b"999")
    end.done()


@both
@modern
def test_a_flood_of_pings_fills_nothing(dialect: str, side: str) -> None:
    """A transport pauses its producer inside ``write``, once its buffer has 64 KiB."""
    end, _ = opened(dialect, side=side)
    wire_write = end.wire.write

    def write(data: bytes) -> None:
        wire_write(data)
        if len(end.wire.written) > 65_536:
            end.wire.producer.pauseProducing()

    end.wire.write = write
    flood = end.peer.frame(9, b"x" * 125) * 500
    for _ in range(40):  # 2.5 MB
        end.receive(flood)
        end.clock.advance(0)  # one read each reactor turn
    assert 65_536 < len(end.wire.written) < 3 * 65_536
    assert kept(conversation_of(end.protocol)) < 2000
    end.done()


@both
@pytest.mark.parametrize("dialect", CLOSING)
def test_a_peer_that_never_answers_our_close_is_disconnected_after_a_timeout(
    dialect: str, side: str
) -> None:
    end, application = opened(dialect, side=side)
    application.transport.loseConnection()
    end.clock.advance(2.9)
    assert end.wire.endings == []
    end.clock.advance(0.2)
    # Not an abort: that would throw away what a slow peer has not read yet.
    assert end.wire.endings == ["lose"]
    end.lose()
    assert isinstance(closed(application), AbruptClose)
    end.done()


@both
@each
def test_a_connection_that_the_peer_does_not_end_is_aborted(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    application.transport.loseConnection()
    limits = Limits()
    end.clock.advance(limits.close_timeout + 1)
    end.clock.advance(limits.drain_timeout + 1)
    assert end.wire.endings[-1] == "abort"
    end.done()


@both
@pytest.mark.parametrize("dialect", CLOSING)
def test_an_answer_in_the_reactor_turn_of_the_deadline_is_in_time(dialect: str, side: str) -> None:
    """After a reactor turn that blocked, timers run before reads."""
    end, application = opened(dialect, side=side)
    application.transport.loseConnection()
    end.clock.callLater(3.0, end.receive, end.peer.close())
    end.clock.advance(30)
    if dialect not in MODERN or side == Side.SERVER:  # else it is the server's part
        assert end.wire.endings == ["lose"]
    end.lose()
    assert isinstance(closed(application), CleanClose)
    end.done()


@both
@pytest.mark.parametrize("dialect", ["hixie-54", "hixie-75"])
def test_a_message_over_the_limit_ends_the_connection(dialect: str, side: str, log: Log) -> None:
    end, application = opened(dialect, side=side, limits=Limits(message_size=10))
    end.receive(b"\x00" + b"x" * 11)
    assert end.wire.endings == ["lose write"]
    end.lose()
    assert isinstance(closed(application), AbruptClose)
    assert closed(application).ended[::2] == (1009, "us")
    assert application.messages == []
    end.done()


@hixie
@pytest.mark.parametrize("bad", [b"\x01x\xff", b"\x81\x01x", b"\xff\x01x", b"\x80" + b"\xff" * 10])
def test_a_server_ends_at_a_broken_frame(dialect: str, bad: bytes, log: Log) -> None:
    end, application = opened(dialect)
    end.receive(end.peer.text("good") + bad + end.peer.text("not any more"))
    assert application.messages == ["good"]
    assert end.wire.written == b""
    assert end.wire.endings == ["lose write"]
    end.lose()
    assert isinstance(closed(application), AbruptClose)
    assert len([line for line in log.lines() if "ended" in line]) == 1
    end.done()


@each
def test_a_broken_frame_on_one_connection_does_not_affect_the_others(
    dialect: str, log: Log
) -> None:
    end = memory_connection.ServerEnd(Applications())
    other = memory_connection.End(end.factory.buildProtocol(None), end.clock)
    for each_end in (end, other):
        each_end.receive(handshake_bytes.whole_request(dialect))
        each_end.wire.taken()
    other.receive(other.peer.broken())
    assert other.wire.endings == ["lose write"]
    other.lose()
    end.receive(end.peer.text("well"))
    assert end.wire.written == end.own.text("well")
    end.done()


# Applications that raise.


@both
@each
@pytest.mark.parametrize("kind", ["finished", "text", "bytes"])
def test_an_error_raised_by_an_application_ends_its_connection(
    dialect: str, side: str, kind: str, log: Log
) -> None:
    end, application = opened(dialect, Recorder(**{kind: fails}), side)
    peer = end.peer
    messages = {"finished": b"", "text": peer.text("a") * 2, "bytes": peer.binary(b"a") * 2}
    if messages[kind]:
        end.receive(messages[kind])
    assert application.told.count(kind) == 1
    assert [type(error) for error in log.tracebacks()] == [applications.Broken]
    if dialect in MODERN:
        assert end.wire.written.endswith(end.own.close(1011, "the application failed"))
    assert end.wire.endings == ["lose write"]
    end.lose()
    assert closed(application).ended == (1011, "the application failed", "us", False)
    end.done()


@both
@each
def test_an_error_raised_in_connectionLost_is_logged_and_has_no_other_effect(
    dialect: str, side: str, log: Log
) -> None:
    end, application = opened(dialect, Recorder(lost=fails), side)
    end.lose()
    assert [type(error) for error in log.tracebacks()] == [applications.Broken]
    assert application.told.count("lost") == 1
    end.done()


@both
@each
def test_an_application_may_raise_after_it_has_closed(dialect: str, side: str, log: Log) -> None:
    def closes_and_fails(application: Recorder) -> None:
        application.transport.loseConnection()
        fails(application)

    end, application = opened(dialect, Recorder(text=closes_and_fails), side)
    end.receive(end.peer.text("a") * 2)
    assert len(log.tracebacks()) == 1
    assert application.messages == ["a"]
    assert end.wire.endings == ["lose write"]
    end.done()


# Applications that call every method from every event.


@both
@each
def test_a_reply_leaves_before_the_close_that_follows_it(dialect: str, side: str) -> None:
    def replies_and_closes(application: Recorder) -> None:
        application.transport.sendTextMessage("bye")
        application.transport.loseConnection()

    end, _ = opened(dialect, Recorder(text=replies_and_closes), side)
    end.receive(end.peer.text("a"))
    if dialect in CLOSING:
        assert end.wire.calls == [("write", end.own.text("bye") + end.own.close())]
    else:
        assert end.wire.calls == [("write", end.own.text("bye")), ("lose write",)]
    end.done()


@both
@each
def test_an_abort_discards_data_that_was_not_sent_yet(dialect: str, side: str) -> None:
    def replies_and_aborts(application: Recorder) -> None:
        application.transport.sendTextMessage("bye")
        application.transport.abortConnection()

    end, _ = opened(dialect, Recorder(text=replies_and_aborts), side)
    end.receive(end.peer.text("a"))
    assert end.wire.calls == [("abort",)]
    end.done()


@both
@each
def test_after_a_close_inside_a_message_event_nothing_is_delivered(dialect: str, side: str) -> None:
    end, application = opened(dialect, Recorder(text=lambda a: a.transport.loseConnection()), side)
    end.receive(end.peer.text("a") + end.peer.text("b"))
    end.receive(end.peer.text("c"))
    end.lose()
    assert application.told == ["started", "finished", "text", "lost"]
    end.done()


@both
@each
def test_after_an_abort_inside_a_message_event_nothing_is_delivered(
    dialect: str, side: str
) -> None:
    end, application = opened(dialect, Recorder(text=lambda a: a.transport.abortConnection()), side)
    end.receive(end.peer.text("a") + end.peer.text("b"))
    end.receive(end.peer.text("c"))
    end.lose()
    assert application.told == ["started", "finished", "text", "lost"]
    end.done()


@both
@each
@pytest.mark.parametrize("how", ["loseConnection", "abortConnection"])
def test_a_connection_may_end_inside_its_opening_event(dialect: str, side: str, how: str) -> None:
    def ends(application: Recorder) -> None:
        application.transport.sendTextMessage("bye")
        getattr(application.transport, how)()

    end, application = opened(dialect, Recorder(finished=ends), side)
    end.receive(end.peer.text("not heard"))
    assert end.own.text("bye") in end.wire.written or how == "abortConnection"
    assert len(end.wire.endings) == (how == "abortConnection" or dialect not in CLOSING)
    end.lose()
    assert application.told == ["started", "finished", "lost"]
    end.done()


@both
@each
@pytest.mark.parametrize("how", ["loseConnection", "abortConnection"])
def test_a_connection_may_end_before_it_opens(dialect: str, side: str, how: str, log: Log) -> None:
    application = Recorder(started=lambda a: getattr(a.transport, how)())
    applications = Applications(lambda: application)
    if side == Side.SERVER:
        end: memory_connection.End = memory_connection.ServerEnd(applications)
        end.receive(handshake_bytes.whole_request(dialect))
        assert end.wire.written == b""
    else:
        client = memory_connection.ClientEnd(applications, dialect=dialect)
        end = client
        assert client.request == b""
        client.request = handshake_bytes.whole_request(dialect)
        client.receive(client.answer())
    assert end.wire.endings == ["abort" if how == "abortConnection" else "lose write"]
    end.lose()
    assert application.told == ["started", "lost"]
    assert isinstance(application.lost, AbruptClose)
    assert application.lost.ended.who == "us"
    end.done()


# The write buffer.


@both
@each
def test_a_close_while_the_write_buffer_is_full_waits_until_it_is_not(
    dialect: str, side: str
) -> None:
    end, application = opened(dialect, side=side)
    end.wire.producer.pauseProducing()
    application.transport.sendTextMessage("much")
    application.transport.loseConnection()
    if dialect in CLOSING:
        end.receive(end.peer.close())
    assert end.wire.endings == []
    assert end.wire.producer is not None
    end.wire.producer.resumeProducing()
    if dialect in MODERN and side == Side.CLIENT:
        assert end.wire.endings == []  # it is the server's part
    else:
        assert end.wire.endings == ["lose write"]
        assert end.wire.producer is None
    end.lose()
    assert isinstance(closed(application), CleanClose)
    end.done()


@both
@each
def test_a_peer_that_is_still_reading_gets_more_time_up_to_a_bound(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side)
    limits = Limits()
    end.wire.producer.pauseProducing()
    application.transport.loseConnection()
    end.clock.advance(limits.close_timeout + 0.1)
    assert end.wire.endings == []
    end.clock.advance(limits.drain_timeout - 1)
    assert end.wire.endings == []
    end.clock.advance(2)
    assert end.wire.endings == ["abort"]
    end.done()


def test_a_socket_error_is_reported_as_any_other_lost_connection() -> None:
    end, application = opened("hixie-76")
    end.lose(OSError(errno.ETIMEDOUT, "timed out"))
    assert isinstance(closed(application), AbruptClose)
    end.done()


@each
def test_a_conversation_can_be_adopted(dialect: str) -> None:
    """A program that made the handshake itself, on a stream of HTTP/2 for example, starts with
    the conversation."""
    end = ServerEnd(Applications())
    app = echo()
    client = FrameWriter(dialect, MASK if dialect in MODERN else None)
    offer = Offer(dialect, "/demo", "example.com")
    end.protocol.adopt(app, offer, Agreement("chat"), client.text("early"))
    assert app.told == ["started", "finished", "text"]
    assert app.transport.agreement == Agreement("chat")
    assert end.wire.written == end.own.text("early"), "not a byte of a handshake"
    end.receive(client.text("more"))
    assert app.messages == ["early", "more"]
    end.done()
