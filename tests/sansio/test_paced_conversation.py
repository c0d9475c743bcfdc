"""Messages and bytes a second of one connection: in memory, both sides, with a clock of the
test's."""

from __future__ import annotations

import zlib
from itertools import pairwise
from typing import Any, Final

import pytest

from support.applications import Recorder, closed
from support.dialect_marks import modern
from support.frame_writer import FrameWriter
from support.frames import MASK
from support.handshake_bytes import whole_request
from support.memory_connection import ServerEnd, opened
from txhixie import Agreement, CleanClose, Limits, Offer
from txhixie.sansio.dialects import DIALECTS
from txhixie.sansio.wire.frame import Opcode, Side
from txhixie.testing import Applications

both = pytest.mark.parametrize("side", [Side.SERVER, Side.CLIENT])
every = pytest.mark.parametrize("dialect", [dialect.name for dialect in DIALECTS])

TEN: Final = Limits(messages_per_second=10, ping_interval=None)
NO_PINGS: Final = Limits(ping_interval=None)


def counted(end: Any, application: Recorder, seconds: float, step: float = 0.05) -> list[int]:
    """The number of messages that the application has, now and after each step of the clock."""
    counts = [len(application.messages)]
    for _ in range(round(seconds / step)):
        end.clock.advance(step)
        counts.append(len(application.messages))
    return counts


@both
@every
def test_one_read_delivers_the_messages_of_one_second_and_then_the_rate(
    dialect: str, side: str
) -> None:
    end, application = opened(dialect, side=side, limits=TEN)
    sent = [str(number) for number in range(10_000)]
    end.receive(end.peer.text(*sent))
    assert len(application.messages) == 10
    assert end.wire.paused
    counts = counted(end, application, 10)
    assert 105 <= counts[-1] <= 111
    assert max(after - before for before, after in pairwise(counts)) <= 2
    assert application.messages == sent[: counts[-1]]
    assert end.wire.paused
    end.protocol.abortConnection()
    end.done()


@both
@every
def test_a_slower_peer_is_not_paused(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side, limits=TEN)
    for number in range(100):
        end.receive(end.peer.text(str(number)))
        assert len(application.messages) == number + 1
        end.clock.advance(0.11)
    assert ("pause",) not in end.wire.calls
    end.done()


@both
@every
def test_reading_goes_on_once_the_rate_allows_it(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side, limits=TEN)
    end.receive(end.peer.text(*["x"] * 12))
    assert end.wire.paused
    end.clock.advance(1)
    assert len(application.messages) == 12
    assert not end.wire.paused
    end.receive(end.peer.text("y"))
    assert application.messages[-1] == "y"
    end.done()


@both
@every
def test_bytes_are_paced_in_the_middle_of_a_message(dialect: str, side: str) -> None:
    """A message of ten seconds takes ten seconds; the transport is paused meanwhile."""
    limits = Limits(bytes_per_second=1000, ping_interval=None)
    end, application = opened(dialect, side=side, limits=limits)
    message = end.peer.text("x" * 10_000)
    for start in range(0, len(message), 500):
        while end.wire.paused:
            end.clock.advance(0.1)
        end.receive(message[start : start + 500])
    assert application.messages == ["x" * 10_000]
    assert 8 <= end.clock.seconds() <= 10
    end.done()


@both
@modern
def test_pings_and_fragments_count_like_messages(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side, limits=TEN)
    end.receive(end.peer.frame(Opcode.PING, b"x") * 1000)
    pong = end.own.frame(Opcode.PONG, b"x")
    assert end.wire.taken() == pong * 10
    end.clock.advance(100)
    assert 10 <= end.wire.taken().count(pong) <= 20
    end.protocol.abortConnection()
    end.done()

    end, application = opened(dialect, side=side, limits=TEN)
    end.receive(
        end.peer.frame(Opcode.TEXT, b"a", final=False)
        + end.peer.frame(Opcode.CONTINUATION, b"b", final=False) * 18
        + end.peer.frame(Opcode.CONTINUATION, b"c")
    )
    assert application.messages == []
    counted(end, application, 1.2)
    assert application.messages == ["a" + "b" * 18 + "c"]
    end.done()


def deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_compressed_messages_count_as_inflated_too() -> None:
    application = Recorder()
    limits = Limits(bytes_per_second=10_000, ping_interval=None)
    end = ServerEnd(Applications(lambda: application), limits=limits)
    end.receive(whole_request("rfc6455", "Sec-WebSocket-Extensions: permessage-deflate"))
    frame = end.peer.frame(Opcode.TEXT, deflated(b"x" * 5000), reserved=0x40)
    end.receive(frame * 20)
    assert 2 <= len(application.messages) <= 3
    counted(end, application, 5)
    assert 10 <= len(application.messages) <= 13
    end.protocol.abortConnection()
    end.done()


@both
@every
def test_our_close_does_not_wait_for_the_rate(dialect: str, side: str) -> None:
    """Messages are discarded then, up to the peer's close frame."""
    end, application = opened(dialect, side=side, limits=TEN)
    end.receive(end.peer.text(*["x"] * 1000))
    assert end.wire.paused
    end.protocol.loseConnection()
    assert not end.wire.paused
    end.receive(end.peer.text("y") + end.peer.close())
    end.lose()
    assert closed(application) is application.lost
    assert isinstance(application.lost, CleanClose)
    assert len(application.messages) == 10
    end.done()


@both
@every
def test_a_close_in_the_middle_of_a_paced_read_ends_the_connection(dialect: str, side: str) -> None:
    """The application closes in a message, and the peer's close frame is in the same read."""
    end, application = opened(dialect, side=side, limits=TEN)
    application.does["text"] = lambda app: app.transport.loseConnection()
    end.receive(end.peer.text(*["x"] * 1000) + end.peer.close())
    assert not end.wire.paused
    assert len(application.messages) == 1
    end.lose()
    assert isinstance(application.lost, CleanClose)
    end.done()


@both
@every
def test_the_close_of_the_peer_comes_after_its_messages(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side, limits=TEN)
    end.receive(end.peer.text(*["x"] * 25) + end.peer.close())
    assert len(application.messages) == 10
    counted(end, application, 2)
    end.lose()
    assert isinstance(application.lost, CleanClose)
    assert len(application.messages) == 25
    end.done()


@both
@every
def test_the_messages_of_a_lost_connection_come_at_the_rate_and_then_its_end(
    dialect: str, side: str
) -> None:
    end, application = opened(dialect, side=side, limits=TEN)
    end.receive(end.peer.text(*["x"] * 25))
    end.lose()
    assert len(application.messages) == 10
    assert "lost" not in application.told
    counted(end, application, 2)
    assert len(application.messages) == 25
    assert closed(application) is not None
    end.done()


@both
@every
def test_a_lost_connection_without_messages_ends_at_once(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side, limits=TEN)
    end.receive(end.peer.text(*["x"] * 10))
    assert end.wire.paused
    end.lose()
    assert closed(application) is not None
    end.done()


@both
@every
def test_an_abort_during_the_pause_ends_at_once(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side, limits=TEN)
    end.receive(end.peer.text(*["x"] * 1000))
    end.protocol.abortConnection()
    end.lose()
    assert closed(application) is not None
    assert len(application.messages) == 10
    end.done()


@both
def test_a_failure_during_the_pause_reads_the_rest_of_the_peer(side: str) -> None:
    end, application = opened("rfc6455", side=side, limits=TEN)
    end.receive(end.peer.text(*["x"] * 1000))
    end.protocol.failConnection(1011, "defect")
    assert not end.wire.paused
    end.lose()
    assert len(application.messages) == 10
    end.done()


@both
@modern
def test_a_paused_connection_is_not_silent(dialect: str, side: str) -> None:
    """No ping is sent, since a pong would not be read."""
    end, application = opened(dialect, side=side, limits=Limits(messages_per_second=0.01))
    end.receive(end.peer.text("x", "y"))
    counted(end, application, 90, step=1)
    assert end.wire.endings == []
    assert application.messages == ["x"]
    assert end.wire.taken() == b""
    end.lose()
    end.protocol.abortConnection()
    end.clock.advance(0)
    end.done()


@both
@every
def test_a_paused_connection_does_not_count_as_stalled(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side, limits=Limits(messages_per_second=0.01))
    end.receive(end.peer.text("x", "y"))
    end.protocol.stalled(5)
    assert end.wire.endings == []
    counted(end, application, 110, step=1)
    assert application.messages == ["x", "y"]
    end.protocol.abortConnection()
    end.done()


@both
@every
def test_the_application_and_the_rate_may_both_pause(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side, limits=TEN)
    end.receive(end.peer.text(*["x"] * 1000))
    end.protocol.pauseProducing()
    counted(end, application, 3)
    assert len(application.messages) == 10
    end.protocol.resumeProducing()
    assert len(application.messages) == 20
    end.protocol.pauseProducing()
    end.protocol.resumeProducing()
    counted(end, application, 1)
    assert 28 <= len(application.messages) <= 31
    end.protocol.abortConnection()
    end.done()


@both
@every
def test_pausing_after_each_message_does_not_change_the_rate(dialect: str, side: str) -> None:
    end, application = opened(dialect, side=side, limits=TEN)

    def pauses(app: Recorder) -> None:
        app.transport.pauseProducing()

    application.does["text"] = pauses
    end.receive(end.peer.text(*["x"] * 1000))
    for _ in range(50):
        end.protocol.resumeProducing()
    assert len(application.messages) == 10
    end.protocol.abortConnection()
    end.done()


def test_without_a_rate_a_connection_has_the_usual_conversation() -> None:
    end, application = opened("rfc6455", limits=NO_PINGS)
    end.receive(end.peer.text(*["x"] * 5000))
    assert len(application.messages) == 5000
    assert ("pause",) not in end.wire.calls
    end.done()


def test_a_conversation_over_a_handshake_of_the_programs_own_is_paced() -> None:
    """As a stream of HTTP/2 is (RFC 8441)."""
    application = Recorder()
    end = ServerEnd(Applications(Recorder), limits=TEN)
    rest = FrameWriter("rfc6455", MASK).text(*["x"] * 30)
    offer = Offer("rfc6455", "/", "example.com")
    end.protocol.adopt(application, offer, Agreement(), rest)
    assert len(application.messages) == 10
    counted(end, application, 3)
    assert len(application.messages) == 30
    end.done()
