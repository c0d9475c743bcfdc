"""The bytes that one turn of the reactor inflates and delivers on one connection: in memory, both
sides."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from itertools import chain
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

from support.applications import Applications, Recorder, closed
from support.dialect_marks import modern
from support.handshake_bytes import whole_request
from support.memory_connection import ClientEnd, End, ServerEnd
from support.private_state import conversation_of
from txhixie import CleanClose, Limits
from txhixie.errors import InvalidHandshake
from txhixie.sansio.extensions.extension import Agreed, Transform
from txhixie.sansio.extensions.permessage_deflate import PermessageDeflate
from txhixie.sansio.http.parameters import Parameters
from txhixie.sansio.wire.frame import Opcode, Side

MEBI: Final = 1024 * 1024
RSV1: Final = 0x40
OFFERED: Final = "Sec-WebSocket-Extensions: permessage-deflate"

both = pytest.mark.parametrize("side", [Side.SERVER, Side.CLIENT])


class Turns(Clock):
    """A clock with separate turns: each turn takes a little time."""

    TIME: Final = 1 / 1024

    def callLater(
        self,
        delay: float,
        callable: Callable[..., object],  # noqa: A002 (Twisted's name)
        *args: object,
        **kw: object,
    ) -> IDelayedCall:
        return super().callLater(delay or self.TIME, callable, *args, **kw)

    def turn(self) -> bool:
        """
        Run the next turn.

        :return: whether a call was due in this turn.
        """
        due = self.seconds() + self.TIME
        waits = any(call.getTime() <= due for call in self.getDelayedCalls())
        self.advance(self.TIME)
        return waits


def opened(side: str, application: Recorder, dialect: str = "rfc6455", **options: Any) -> End:
    """Open a connection with permessage-deflate."""
    options.setdefault("clock", Turns())
    applications = Applications(lambda: application)
    if side == Side.SERVER:
        end: End = ServerEnd(applications, **options)
        end.receive(whole_request(dialect, OFFERED))
    else:
        client = ClientEnd(applications, dialect=dialect, **options)
        client.receive(client.answer(OFFERED))
        end = client
    assert application.told == ["started", "finished"]
    end.wire.calls.clear()
    return end


def deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def bomb(end: End, data: bytes) -> bytes:
    """A compressed message as a frame of the peer."""
    return end.peer.frame(Opcode.BINARY, deflated(data), reserved=RSV1)


def turns(end: End, application: Recorder) -> list[list[int]]:
    """The sizes of the messages that are delivered in each turn, beginning with the turn of the
    read."""
    clock: Any = end.clock
    seen: list[list[int]] = []
    told = 0
    while True:
        sizes = [len(message) for message in application.messages[told:]]
        told += len(sizes)
        seen.append(sizes)
        if not clock.turn():
            return seen


@both
@modern
def test_a_read_of_bombs_is_delivered_one_in_a_turn(dialect: str, side: str) -> None:
    application = Recorder()
    end = opened(side, application, dialect)
    data = [bytes([number]) * MEBI for number in range(20)]
    end.receive(b"".join(bomb(end, each) for each in data))
    assert turns(end, application) == [[MEBI]] * 20
    assert application.messages == data
    assert not end.wire.paused
    end.done()


@both
@pytest.mark.parametrize(
    ("size", "count", "most"),
    [(100_000, 53, 10), (600_000, 7, 1), (349_525, 11, 3), (70_000, 40, 14)],
)
def test_a_turn_delivers_as_many_messages_as_turn_size_allows(
    side: str, size: int, count: int, most: int
) -> None:
    application = Recorder()
    end = opened(side, application)
    end.receive(bomb(end, bytes(size)) * count)
    seen = turns(end, application)
    assert [*chain(*seen)] == [size] * count
    assert max(map(len, seen)) == most
    assert all(sum(sizes) <= MEBI for sizes in seen)
    # Each turn delivers at least half of turn_size.
    assert len(seen) <= 2 + 2 * size * count // MEBI
    end.done()


@both
def test_a_larger_message_has_its_turn_alone(side: str) -> None:
    application = Recorder()
    end = opened(side, application, limits=Limits(message_size=4 * MEBI, turn_size=MEBI))
    end.receive((end.peer.text("x") + bomb(end, bytes(3 * MEBI))) * 3)
    seen = turns(end, application)
    assert [sizes for sizes in seen if sizes] == [[1], [3 * MEBI]] * 3
    end.done()


@both
def test_other_frames_between_bombs_keep_their_order(side: str) -> None:
    """Plain messages, pings, fragments, and the peer's close frame at the end."""
    application = Recorder()
    end = opened(side, application)
    peer = end.peer
    large = deflated(bytes(MEBI))
    end.receive(
        bomb(end, b"a" * MEBI)
        + peer.text("b")
        + peer.frame(Opcode.PING, b"1")
        + bomb(end, b"c" * MEBI)
        + peer.frame(Opcode.BINARY, large[:300], reserved=RSV1, final=False)
        + peer.frame(Opcode.PING, b"2")
        + peer.frame(Opcode.CONTINUATION, large[300:])
        + peer.text("d")
        + peer.close(4000)
    )
    assert end.wire.written == b""
    turns(end, application)
    assert application.messages == [b"a" * MEBI, "b", b"c" * MEBI, bytes(MEBI), "d"]
    own = end.own
    assert end.wire.written == (
        own.frame(Opcode.PONG, b"1") + own.frame(Opcode.PONG, b"2") + own.close(4000)
    )
    end.lose()
    assert isinstance(closed(application), CleanClose)
    end.done()


@both
def test_the_transport_is_paused_until_all_bombs_are_delivered(side: str) -> None:
    application = Recorder()
    end = opened(side, application)
    end.receive(bomb(end, bytes(MEBI)) * 3)
    assert end.wire.paused
    clock: Any = end.clock
    assert clock.turn()
    assert end.wire.paused
    assert clock.turn()
    assert not end.wire.paused
    end.done()


@both
def test_bytes_that_TLS_delivers_while_paused_wait_for_later_turns(side: str) -> None:
    """TLS delivers the bytes that it has decrypted, in several pieces in one turn."""
    application = Recorder()
    end = opened(side, application)
    data = bomb(end, bytes(MEBI)) * 6
    end.receive(data, len(data) // 5)
    assert turns(end, application) == [[MEBI]] * 6
    end.done()


@both
def test_several_reads_in_one_turn_share_the_turn_size(side: str) -> None:
    """The pieces of TLS, each smaller than turn_size."""
    application = Recorder()
    end = opened(side, application)
    for _ in range(6):
        end.receive(bomb(end, bytes(400_000)))
    assert turns(end, application) == [[400_000] * 2] * 3
    end.done()


@both
def test_resuming_at_once_delivers_no_more_than_turn_size(side: str) -> None:
    """The application resumes as one does that awaits each message and gets the next one in the
    same turn."""
    application = Recorder(bytes=lambda app: app.transport.pauseProducing())
    end = opened(side, application)
    end.receive(bomb(end, bytes(300_000)) * 9)
    for _ in range(20):
        application.transport.resumeProducing()
    assert len(application.messages) == 3
    clock: Any = end.clock
    assert clock.turn()
    assert len(application.messages) == 4
    for _ in range(20):
        application.transport.resumeProducing()
    assert len(application.messages) == 6
    end.lose()
    end.clock.advance(100)
    end.done()


@both
def test_a_pause_holds_back_the_messages_of_the_next_turn(side: str) -> None:
    application = Recorder()
    end = opened(side, application)
    end.receive(bomb(end, bytes(MEBI)) * 3)
    application.transport.pauseProducing()
    assert turns(end, application) == [[MEBI], []]
    assert end.wire.paused
    application.transport.resumeProducing()
    assert end.wire.paused
    assert turns(end, application)[1:] == [[MEBI]]
    assert not end.wire.paused
    end.done()


@both
@pytest.mark.parametrize("how", ["loseConnection", "failConnection", "abortConnection"])
def test_an_application_that_closes_in_a_turn_gets_no_more_messages(side: str, how: str) -> None:
    application = Recorder()
    end = opened(side, application)
    end.receive(bomb(end, bytes(MEBI)) * 3 + end.peer.close(1000))
    getattr(application.transport, how)()
    turns(end, application)
    assert len(application.messages) == 1
    assert not end.wire.paused
    if how == "loseConnection":  # the peer's close frame was found behind the skipped messages
        assert application.transport.isOpen is False
        assert conversation_of(end.protocol).ended.clean
    end.lose()
    assert application.told.count("lost") == 1
    end.done()


@both
def test_messages_waiting_when_the_connection_is_lost_are_delivered_turn_by_turn(side: str) -> None:
    application = Recorder()
    end = opened(side, application)
    end.receive(bomb(end, bytes(MEBI)) * 5)
    end.lose(ConnectionLost())
    assert application.told[-1] == "bytes"
    assert turns(end, application) == [[MEBI]] * 5
    assert closed(application).code == 1006
    end.done()


@both
def test_a_bomb_that_is_too_big_closes_with_1009_after_the_others(side: str) -> None:
    application = Recorder()
    end = opened(side, application)
    end.receive(bomb(end, bytes(MEBI)) * 2 + bomb(end, bytes(MEBI + 1)) + end.peer.text("late"))
    assert [*chain(*turns(end, application))] == [MEBI, MEBI]
    assert conversation_of(end.protocol).ended.code == 1009
    end.lose()
    end.done()


# Extensions of a user's own.


class Counted:
    """A transform that counts the bytes that each call of another transform inflates."""

    def __init__(self, inner: Transform) -> None:
        self._inner = inner
        self.reserved = inner.reserved
        self.made: list[int] = []

    def encode(self, payload: bytes, compress: bool | None) -> tuple[bytes, int]:
        return self._inner.encode(payload, compress)

    def decode(self, *args: Any) -> bytes:
        made = self._inner.decode(*args)
        self.made.append(len(made))
        return made


class Counting(PermessageDeflate):
    """An extension whose transforms a test can inspect."""

    def __init__(self) -> None:
        super().__init__(server_takeover=True)
        self.__dict__["all"] = []

    def _kept(self, transform: Any) -> Any:
        self.__dict__["all"].append(counted := Counted(transform))
        return counted

    def accept(self, parameters: Parameters) -> Agreed | None:
        taken = super().accept(parameters)
        return taken and taken._replace(transform=self._kept(taken.transform))

    def agree(self, parameters: Parameters) -> Any:
        return self._kept(super().agree(parameters))


@both
@pytest.mark.parametrize("size", [MEBI, 900_000, 300_000, 5_000, 600_001])
def test_no_turn_inflates_more_than_turn_size(side: str, size: int) -> None:
    """Not even bytes that a later turn delivers: a message is inflated up to the remaining
    turn_size."""
    application, extension = Recorder(), Counting()
    end = opened(side, application, extensions=[extension])
    (transform,) = extension.__dict__["all"]
    clock: Any = end.clock
    count = 5 * MEBI // size
    end.receive(bomb(end, bytes(size)) * count)
    rounds = 0
    while True:
        assert 0 < sum(transform.made) <= MEBI
        transform.made.clear()
        rounds += 1
        if not clock.turn() or not transform.made:
            break
    assert [len(message) for message in application.messages] == [size] * count
    assert 5 <= rounds <= 11
    end.done()


class Doubling:
    """An extension that makes one message of many bytes from each byte, without a bound."""

    name = "x-many"

    def offers(self) -> Parameters:
        return ()

    def accept(self, parameters: Parameters) -> Agreed | None:
        return Agreed((), Many())

    def agree(self, parameters: Parameters) -> Any:
        if parameters:
            raise InvalidHandshake("extension", "x-many has no parameters")
        return Many()


class Many:
    reserved = RSV1

    def __init__(self) -> None:
        self.parts = b""

    def encode(self, payload: bytes, compress: bool | None) -> tuple[bytes, int]:
        return payload, 0

    def decode(
        self, opcode: int, payload: bytes, final: bool, reserved: int, whole: bool, room: int
    ) -> bytes:
        self.parts += payload
        if not (final and whole):
            return b""
        size, self.parts = int(self.parts), b""
        return bytes(size)


def test_messages_of_a_users_extension_are_delivered_in_turns_too() -> None:
    application = Recorder()
    end = ServerEnd(Applications(lambda: application), extensions=[Doubling()], clock=Turns())
    end.receive(whole_request("rfc6455", "Sec-WebSocket-Extensions: x-many"))
    sizes = [MEBI, 1, MEBI - 1, MEBI, 700_000, 700_000, 300_000]
    end.receive(
        b"".join(end.peer.frame(Opcode.BINARY, b"%d" % size, reserved=RSV1) for size in sizes)
    )
    seen = turns(end, application)
    assert [*chain(*seen)] == sizes
    assert all(sum(each) <= MEBI for each in seen)
    end.done()


# For all sizes of messages and turns, no message is lost, doubled or changed.

messages = st.lists(
    st.tuples(
        st.binary(max_size=60) | st.text(max_size=30),
        st.integers(1, 900),
        st.booleans(),
        st.integers(1, 4),
    ),
    max_size=12,
)


def framed(end: End, message: bytes | str, compress: bool, fragments: int) -> bytes:
    """A message in a number of fragments."""
    data = message if isinstance(message, bytes) else message.encode()
    payload = deflated(data) if compress else data
    opcode = Opcode.BINARY if isinstance(message, bytes) else Opcode.TEXT
    step = len(payload) // fragments + 1
    parts = [payload[at : at + step] for at in range(0, max(1, len(payload)), step)]
    frame: Callable[..., bytes] = end.peer.frame
    return b"".join(
        frame(
            Opcode.CONTINUATION if index else opcode,
            part,
            final=index == len(parts) - 1,
            reserved=RSV1 if compress and not index else 0,
        )
        for index, part in enumerate(parts)
    )


@settings(max_examples=150, deadline=None)
@given(messages, st.integers(0, 60_000), st.integers(1, 5000), st.booleans())
def test_messages_arrive_in_order_for_every_turn_size(
    said: list[tuple[bytes | str, int, bool, int]], size: int, piece: int, pausing: bool
) -> None:
    hesitates: Any = {"bytes": lambda a: a.transport.pauseProducing()} if pausing else {}
    application = Recorder(**hesitates)
    end = opened(Side.SERVER, application, limits=Limits(turn_size=size))
    whole = [(message * times, compress, parts) for message, times, compress, parts in said]
    end.receive(b"".join(framed(end, *each) for each in whole), piece)
    clock: Any = end.clock
    for _ in range(100_000):
        if not clock.turn() and not end.wire.paused:
            break
        application.transport.resumeProducing()
    assert application.messages == [message for message, _, _ in whole]
    end.done()


@both
def test_messages_that_inflate_to_nothing_count_towards_turn_size(side: str) -> None:
    """One read may have 37,000 such messages."""
    application = Recorder()
    end = opened(side, application)
    end.receive(end.peer.frame(Opcode.BINARY, b"\x00", reserved=RSV1) * 5000)
    seen = turns(end, application)
    assert sum(map(len, seen)) == 5000
    assert max(map(len, seen)) <= 1024
    end.done()


# Frames with little or no payload.


MOST_FRAMES: Final = 8192


def small(kind: str, end: End) -> bytes:
    """A frame of one kind, as the peer sends it."""
    peer = end.peer
    return {
        "ping": lambda: peer.frame(Opcode.PING, b""),
        "pong": lambda: peer.frame(Opcode.PONG, b""),
        "empty text": lambda: peer.text(""),
        "empty binary": lambda: peer.binary(b""),
        "fragment": lambda: (
            peer.frame(Opcode.TEXT, b"", final=False) + peer.frame(Opcode.CONTINUATION, b"")
        ),
    }[kind]()


class Work:
    """The progress of a conversation in each turn, seen from its remaining bytes."""

    def __init__(self, end: End) -> None:
        self._end = end

    def left(self) -> int:
        """The number of bytes that wait for the next turn."""
        conversation: Any = conversation_of(self._end.protocol)
        return int(conversation.framing.waiting)


@both
@pytest.mark.parametrize("kind", ["ping", "pong", "empty text", "empty binary", "fragment"])
def test_a_turn_has_a_bounded_number_of_frames(side: str, kind: str) -> None:
    """A read of 256 KiB may have 43,000 pings, which blocked all other connections for 50 ms."""
    end = opened(side, Recorder())
    frame = small(kind, end)
    count = 50_000
    end.receive(frame * count)
    turned, work = 0, Work(end)
    before = work.left()
    assert before >= len(frame) * (count - MOST_FRAMES - 64)
    clock: Any = end.clock
    while clock.turn():
        after = work.left()
        assert before - after <= len(frame) * (MOST_FRAMES + 64)
        before, turned = after, turned + 1
    assert before == 0
    assert turned >= count // MOST_FRAMES
    assert not end.wire.paused
    end.done()


@pytest.mark.parametrize(
    ("dialect", "frame"),
    [
        *(("hixie-75", b"\x00\xff"), ("hixie-76", b"\x00\xff"), ("hixie-76", b"\x80\x00")),
        *(("hixie-75", b"\x01\xff"), ("hixie-76", b"\x01\xff"), ("hixie-75", b"\xff\x00")),
    ],
)
def test_a_turn_has_a_bounded_number_of_frames_of_the_older_dialects(
    dialect: str, frame: bytes
) -> None:
    """Frames that a client skips count, too."""
    application = Recorder()
    clock: Any = Turns()
    end = ClientEnd(Applications(lambda: application), dialect=dialect, clock=clock)
    end.receive(end.answer())
    end.receive(frame * 50_000 + b"\x00last\xff")
    assert Work(end).left() >= len(frame) * (50_000 - MOST_FRAMES - 64)
    while clock.turn():
        pass
    assert application.messages[-1] == "last"
    end.done()


@both
def test_frames_skipped_after_our_close_are_bounded_in_each_turn(side: str) -> None:
    application = Recorder()
    end = opened(side, application)
    application.transport.loseConnection()
    end.receive(end.peer.text("") * 50_000 + end.peer.close(1000))
    assert Work(end).left() >= 2 * (50_000 - MOST_FRAMES - 64)
    clock: Any = end.clock
    while Work(end).left() and clock.turn():
        pass
    end.lose()
    assert isinstance(closed(application), CleanClose)


@both
@pytest.mark.parametrize("turn_size", [0, 1, 127, 128, 300])
def test_a_turn_takes_at_least_one_frame(side: str, turn_size: int) -> None:
    application = Recorder()
    end = opened(side, application, limits=Limits(turn_size=turn_size))
    peer = end.peer
    end.receive(
        (peer.frame(Opcode.PING, b"") + peer.text("a") + small("fragment", end)) * 5
        + peer.close(1000)
    )
    clock: Any = end.clock
    while clock.turn():
        pass
    assert application.messages == ["a", ""] * 5
    end.done()
