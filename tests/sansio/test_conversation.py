"""Conversations of both sides in the Hixie dialects, and in a scripted dialect: messages, frames
and the close. For the modern dialects see ``test_conversation_hybi.py``."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import Chunks, byte_by_byte, every_way, same_every_way
from support.conversation_driver import LIMITS, PART, PATIENCE, ConversationDriver
from support.frames import NO_CODE
from support.vectors import VECTORS, Item, padded
from txhixie.errors import FrameError, MessageTooBig, UnsupportedByDialect
from txhixie.sansio.closing import Ended
from txhixie.sansio.conversation import Conversation
from txhixie.sansio.dialects import DIALECTS, named
from txhixie.sansio.limits import Limits
from txhixie.sansio.prepared_message import PreparedMessage
from txhixie.sansio.wire.frame import Close, CloseCode, Frame, Messages, Opcode, Side
from txhixie.testing.strategies import deliveries

HELLO = b"\x00Hello\xff"
HEARD_HELLO = (Opcode.TEXT, "Hello")
CLOSE = b"\xff\x00"

both_sides = pytest.mark.parametrize("side", [Side.CLIENT, Side.SERVER])
HIXIE = ["hixie-54", "hixie-75", "hixie-76"]
every_hixie = pytest.mark.parametrize("name", HIXIE)
without_close = pytest.mark.parametrize("name", ["hixie-54", "hixie-75"])


# The vectors.


def expected_events(item: Item, name: str, side: str) -> list[list[object]] | None:
    """
    The events that a vector expects, without those that an application never sees.

    Our servers read ``seed`` and, in hixie-76, ``strict76``, but 0x80 is binary and ``FF 80 00``
    closes; our clients read ``client75`` and ``client76``, with binary in place of what is skipped.
    """
    expect = item["expect"]
    if side == Side.CLIENT:
        found = expect.get("client76" if name == "hixie-76" else "client75")
        binary = iter([event for event in expect.get("seed", ()) if event[0].startswith("binary")])
        delivered = [next(binary) if event == ["skip", 0x80] else event for event in found or ()]
        return None if found is None else [e for e in delivered if e[0] not in ("skip", "error")]
    if name != "hixie-76" or item["hex"].startswith("80"):
        found = expect.get("seed")
    else:
        found = [["close"]] if item["id"] == "f-close-nonminimal" else expect.get("strict76")
    return found  # type: ignore[no-any-return]  # json.loads returns Any


def events_of(name: str, side: str, chunks: Chunks) -> list[list[object]]:
    """The events of a delivery, with the names that the vectors use."""
    talk = ConversationDriver(name, side).receive(*chunks)
    events: list[list[object]] = []
    for opcode, message in talk.heard:
        if isinstance(message, str):
            assert opcode == Opcode.TEXT
            events.append(["text", message])
        elif len(message) > 64:
            events.append(["binary-len", len(message)])
        else:
            events.append(["binary", message.hex()])
    if (ended := talk.conversation.ended) is not None:
        fate = {
            NO_CODE: "close",
            CloseCode.PROTOCOL_ERROR: "fail",
            CloseCode.MESSAGE_TOO_BIG: "too-big",
        }
        events.append([fate[ended.code]])
    return events


READ = [
    pytest.param(padded(item), name, side, expected, id=f"{item['id']}-{name}-{side}")
    for item in VECTORS["hixie_frames"]
    for name in HIXIE
    for side in (Side.CLIENT, Side.SERVER)
    if (expected := expected_events(item, name, side)) is not None
]


@pytest.mark.parametrize(("data", "name", "side", "expected"), READ)
def test_frames_are_read_as_in_the_vectors(
    data: bytes, name: str, side: str, expected: list[list[object]]
) -> None:
    """A vector is read whole, byte by byte, and with another message behind it."""
    tail, after = HELLO, list(expected)
    if after == [["more"]]:
        tail, after = b"", []
    elif after and after[-1][0] == "fail":
        after[-1] = ["too-big" if after[-1][1] == "too-big" else "fail"]
    elif after[-1:] != [["close"]]:
        after.append(["text", "Hello"])
    assert same_every_way(lambda chunks: events_of(name, side, chunks), data, tail) == after


# Messages.


@every_hixie
@both_sides
def test_messages_are_heard_as_they_come(name: str, side: str) -> None:
    """Text arrives as text, binary as bytes, and both are counted, however the reads are cut."""
    data = HELLO + b"\x80\x02\xff\x00" + b"\x00\xff" + "\x00日本\xff".encode()[:-2] + b"\xff"
    for chunks in every_way(data, HELLO):
        talk = ConversationDriver(name, side).receive(*chunks)
        assert talk.heard == [
            HEARD_HELLO,
            (Opcode.BINARY, b"\xff\x00"),
            (Opcode.TEXT, ""),
            (Opcode.TEXT, "日本"),
            HEARD_HELLO,
        ]
        assert talk.conversation.received == 5
        talk.assert_open()


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"a\xc3(b", "a\ufffd(b"),
        (b"\xed\xa0\x80", "\ufffd" * 3),
        (b"\xe6\x97", "\ufffd"),
        (b"\xfe", "\ufffd"),
        (b"\xc0\x80", "\ufffd" * 2),
        (b"\xf4\x90\x80\x80", "\ufffd" * 4),
        (b"\xef\xbb\xbfA", "\ufeffA"),
    ],
)
@every_hixie
@both_sides
def test_bad_utf_8_is_replaced(name: str, side: str, raw: bytes, text: str) -> None:
    """The drafts require it of clients; a byte-order mark is text. Bad UTF-8 does not end the
    connection."""
    for chunks in every_way(b"\x00" + raw + b"\xff", HELLO):
        talk = ConversationDriver(name, side).receive(*chunks)
        assert talk.heard == [(Opcode.TEXT, text), HEARD_HELLO]
        talk.assert_open()


def test_a_dialect_that_does_not_replace_fails_on_bad_utf_8() -> None:
    """The failure has code 1007, whether the message comes in one piece or in many; earlier
    messages are delivered."""
    strict = replace(named("hixie-76"), replaces=False)
    for chunks in every_way(HELLO + b"\x00a\xc3(b\xff"):
        talk = ConversationDriver(strict).receive(*chunks)
        assert talk.heard == [HEARD_HELLO]
        talk.assert_ended(
            CloseCode.INVALID_FRAME_PAYLOAD_DATA, "invalid UTF-8 in a text message", "peer", False
        )


@every_hixie
@both_sides
def test_messages_are_sent(name: str, side: str) -> None:
    """Each message is one frame, is written at once, and is counted."""
    talk = ConversationDriver(name, side)
    talk.conversation.send_text("Hé")
    talk.conversation.send_text("")
    assert talk.effects.taken() == [("write", b"\x00H\xc3\xa9\xff"), ("write", b"\x00\xff")]
    assert talk.conversation.sent == 2


@every_hixie
def test_a_lone_surrogate_is_not_sent(name: str) -> None:
    """UTF-8 cannot encode a surrogate; nothing is written and nothing is counted."""
    talk = ConversationDriver(name)
    with pytest.raises(UnicodeEncodeError):
        talk.conversation.send_text("a\ud800")
    talk.assert_open()
    assert talk.conversation.sent == 0


@both_sides
def test_the_dialect_of_the_slides_carries_binary(side: str) -> None:
    """Binary is allowed from the first message on."""
    talk = ConversationDriver("hixie-54", side)
    talk.conversation.send_bytes(b"\xff\x00")
    assert talk.effects.taken() == [("write", b"\x80\x02\xff\x00")]
    assert talk.conversation.sent == 1


@pytest.mark.parametrize("name", ["hixie-75", "hixie-76"])
@both_sides
def test_binary_is_not_sent_where_the_dialect_would_lose_it(name: str, side: str) -> None:
    """Browsers drop binary frames silently; a refused send changes nothing."""
    talk = ConversationDriver(name, side).receive(HELLO)
    with pytest.raises(UnsupportedByDialect, match="drop binary messages"):
        talk.conversation.send_bytes(b"x")
    talk.assert_open()
    assert talk.conversation.sent == 0
    talk.conversation.send_text("still here")
    assert talk.effects.written == b"\x00still here\xff"


@pytest.mark.parametrize("name", ["hixie-75", "hixie-76"])
@both_sides
def test_binary_is_sent_to_a_peer_that_sent_it_and_on_demand(name: str, side: str) -> None:
    """Netty reads the binary that it writes; an application may set that binary is sent
    always."""
    answered = ConversationDriver(name, side).receive(b"\x80\x01x")
    told = ConversationDriver(name, side, binary=True)
    for talk in (answered, told):
        talk.conversation.send_bytes(b"yz")
        assert talk.effects.taken() == [("write", b"\x80\x02yz")]


@every_hixie
@both_sides
def test_a_ping_is_not_sent_in_a_dialect_without_pings(name: str, side: str) -> None:
    """The peer could not answer it; nothing is written."""
    talk = ConversationDriver(name, side, binary=True)
    with pytest.raises(UnsupportedByDialect, match=f"{name} has no ping frames"):
        talk.conversation.ping(b"")
    talk.assert_open()


# Limits.


@every_hixie
@both_sides
@pytest.mark.parametrize("frame", [b"\x00%b\xff", b"\x80\x83\x68%b"])
def test_a_message_has_so_many_bytes_and_no_more(name: str, side: str, frame: bytes) -> None:
    """A larger message fails the connection as soon as the limit is exceeded, however the reads
    are cut."""
    payload = b"x" * (3 * 128 + 0x68)
    data = frame % payload
    talk = ConversationDriver(name, side, replace(LIMITS, message_size=len(payload))).receive(data)
    assert len(talk.heard) == 1
    for chunks in every_way(data, HELLO):
        talk = ConversationDriver(
            name, side, replace(LIMITS, message_size=len(payload) - 1)
        ).receive(*chunks)
        assert talk.heard == []
        ended = talk.conversation.ended
        assert ended is not None
        assert (ended.code, ended.who, ended.clean) == (CloseCode.MESSAGE_TOO_BIG, "us", False)
        assert talk.effects.events == [("timeout", PATIENCE), ("drop", False)]


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_a_message_in_tiny_pieces_costs_what_it_weighs(size: int) -> None:
    """A peer that sends each letter in a packet of its own fills no more memory than another:
    a thousand connections with a message of 1 MiB each are 1 GiB, not thirty."""
    talk = ConversationDriver("hixie-76").receive(b"\x00")
    total = 50_000
    tracemalloc.start()
    try:
        for _ in range(total // size):
            talk.receive(bytes(bytearray(b"x" * size)))
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 1.5 * total
    talk.receive(b"\xff")
    assert talk.heard == [(Opcode.TEXT, "x" * (total // size * size))]


# Pausing.


STREAM = HELLO + b"\x80\x01a" + b"\x00" + b"y" * 30 + b"\xff" + HELLO + CLOSE + b"\x00after\xff"
IN_STREAM = [HEARD_HELLO, (Opcode.BINARY, b"a"), (Opcode.TEXT, "y" * 30), HEARD_HELLO]


@pytest.mark.parametrize("size", [1, 3, 10, 100])
@both_sides
def test_a_caller_may_stop_after_any_message(side: str, size: int) -> None:
    """Messages that were not asked for are delivered later, in order and once, and then the
    close."""
    talk = ConversationDriver("hixie-76", side)
    for start in range(0, len(STREAM), size):
        talk.conversation.feed(STREAM[start : start + size])
        if (event := next(talk.conversation.events(), None)) is not None:
            talk.heard.append(event)
    for _ in IN_STREAM:
        talk.heard += [event for event in [next(talk.conversation.events(), None)] if event]
    talk.receive(b"")
    assert talk.heard == IN_STREAM
    assert talk.conversation.received == len(IN_STREAM)
    talk.assert_ended(NO_CODE, "", "peer", True)


# The end, in hixie-76.


@both_sides
def test_the_peers_close_is_answered(side: str) -> None:
    """The answer has the same two bytes; later data of the peer is discarded. In hixie-76 servers
    wait for the client to end the connection, so neither side waits for the other."""
    for chunks in every_way(HELLO + CLOSE, HELLO + b"\x66 not a frame"):
        talk = ConversationDriver("hixie-76", side).receive(*chunks)
        assert talk.heard == [HEARD_HELLO]
        assert talk.effects.events == [("write", CLOSE), PART, ("timeout", PATIENCE)]
        talk.assert_ended(NO_CODE, "", "peer", True)
        talk.assert_refuses_to_send()
        assert talk.conversation.lost() == Ended(NO_CODE, "", "peer", True)
        assert talk.effects.taken() == [("timeout", None)]


@both_sides
def test_our_close_waits_for_the_peers(side: str) -> None:
    """Messages that arrive before the answer are discarded, and the answer makes the close
    clean."""
    for chunks in every_way(HELLO + b"\x80\x02ab" + CLOSE, HELLO):
        talk = ConversationDriver("hixie-76", side)
        talk.conversation.close(CloseCode.GOING_AWAY, "stays here")
        assert talk.effects.taken() == [("write", CLOSE), ("timeout", PATIENCE)]
        talk.assert_ended(NO_CODE, "", "us", False)
        talk.assert_refuses_to_send()
        assert talk.receive(*chunks).heard == []
        assert talk.effects.taken() == [("timeout", PATIENCE), PART]
        talk.assert_ended(NO_CODE, "", "us", True)
        assert talk.conversation.received == 0


@both_sides
def test_a_peer_that_does_not_answer_our_close_is_dropped(side: str) -> None:
    """Eventlet, gevent and txWS never answer: the close timeout drops the connection, and the
    close is not clean."""
    talk = ConversationDriver("hixie-76", side)
    talk.conversation.close()
    talk.effects.taken()
    talk.conversation.late()
    assert talk.effects.taken() == [("drop", True)]
    assert talk.conversation.lost() == Ended(NO_CODE, "", "us", False)
    assert talk.effects.taken() == [("timeout", None)]


@both_sides
def test_a_connection_that_ends_without_a_close_ended_abnormally(side: str) -> None:
    """PhantomJS ends its connections so; the log has one line for it."""
    talk = ConversationDriver("hixie-76", side).receive(HELLO)
    assert talk.conversation.lost() == Ended(CloseCode.ABNORMAL_CLOSURE, "", "peer", False)
    talk.assert_refuses_to_send()
    assert talk.effects.events == []


def test_both_may_close_at_once() -> None:
    """Each side takes the other's close frame for the answer to its own."""
    ends = [ConversationDriver("hixie-76", side) for side in (Side.CLIENT, Side.SERVER)]
    for talk in ends:
        talk.conversation.close()
        talk.receive(CLOSE)
        talk.assert_ended(NO_CODE, "", "us", True)
        assert talk.effects.written == CLOSE


def test_a_second_close_sends_nothing() -> None:
    """The code and the reason of the first close stand."""
    talk = ConversationDriver("hixie-76")
    talk.conversation.close()
    talk.effects.taken()
    talk.conversation.close(CloseCode.GOING_AWAY)
    assert talk.effects.events == []
    talk.assert_ended(NO_CODE, "", "us", False)


def test_a_peer_that_breaks_the_rules_while_closing_is_dropped() -> None:
    """The peer's close is not awaited any longer; the facts of the close stay those of our
    side."""
    talk = ConversationDriver("hixie-76")
    talk.conversation.close()
    talk.effects.taken()
    talk.receive(HELLO + b"\x66")
    assert talk.effects.taken() == [("timeout", PATIENCE), ("drop", False)]
    talk.receive(CLOSE)
    talk.assert_ended(NO_CODE, "", "us", False)
    assert talk.effects.events == []


# The end, before hixie-76.


@without_close
@both_sides
def test_where_there_is_no_close_the_connection_is_ended(name: str, side: str) -> None:
    """Ending the connection is the close of these dialects; nothing is written, and later data is
    discarded."""
    talk = ConversationDriver(name, side)
    talk.conversation.close(CloseCode.GOING_AWAY, "stays here")
    assert talk.effects.taken() == [("timeout", PATIENCE), ("drop", False)]
    talk.assert_ended(NO_CODE, "", "us", True)
    assert talk.receive(HELLO + b"\x66" + CLOSE).heard == []
    talk.assert_refuses_to_send()
    talk.conversation.late()
    assert talk.effects.taken() == [("drop", True)]
    assert talk.conversation.lost() == Ended(NO_CODE, "", "us", True)


@without_close
@both_sides
def test_where_there_is_no_close_the_peer_ends_the_connection(name: str, side: str) -> None:
    """Between two frames that close is clean; inside a frame it is not."""
    talk = ConversationDriver(name, side).receive(HELLO)
    assert talk.conversation.lost() == Ended(NO_CODE, "", "peer", True)
    for part in (b"\x00Hel", b"\x80\x05Hel"):
        talk = ConversationDriver(name, side).receive(HELLO, part)
        assert talk.conversation.lost() == Ended(CloseCode.ABNORMAL_CLOSURE, "", "peer", False)


@without_close
def test_before_hixie_76_ff_00_is_an_unknown_frame(name: str) -> None:
    """A server fails the connection; a client ignores the frame."""
    ConversationDriver(name).receive(CLOSE).assert_ended(
        CloseCode.PROTOCOL_ERROR, "unknown frame type 0xff", "peer", False
    )
    assert ConversationDriver(name, Side.CLIENT).receive(CLOSE + HELLO).heard == [HEARD_HELLO]


# Failing.


@every_hixie
def test_a_protocol_error_ends_the_connection_without_a_close_frame(name: str) -> None:
    """No Hixie dialect has close codes; messages before the error are delivered, those after it
    are not."""
    for chunks in every_way(HELLO + b"\x66", HELLO + CLOSE):
        talk = ConversationDriver(name).receive(*chunks)
        assert talk.heard == [HEARD_HELLO]
        assert talk.effects.taken() == [("timeout", PATIENCE), ("drop", False)]
        reason = "unknown frame type 0x66"
        talk.assert_ended(CloseCode.PROTOCOL_ERROR, reason, "peer", False)
        talk.assert_refuses_to_send()
        assert talk.conversation.lost().code == CloseCode.PROTOCOL_ERROR


@every_hixie
@both_sides
def test_our_own_failure_ends_the_connection(name: str, side: str) -> None:
    """The failure counts as our side's; once a close has begun, a failure changes none of its
    facts."""
    talk = ConversationDriver(name, side)
    talk.conversation.fail_here("the application failed")
    talk.assert_ended(CloseCode.INTERNAL_ERROR, "the application failed", "us", False)
    assert talk.effects.taken() == [("timeout", PATIENCE), ("drop", False)]
    talk.conversation.fail(FrameError("too late"))
    talk.conversation.close()
    talk.assert_ended(CloseCode.INTERNAL_ERROR, "the application failed", "us", False)
    assert talk.effects.events == []


@every_hixie
@both_sides
def test_after_an_abort_nothing_is_sent_or_delivered(name: str, side: str) -> None:
    """The caller of abort ends the connection itself; the close is not clean."""
    talk = ConversationDriver(name, side)
    talk.conversation.abort()
    assert talk.receive(HELLO + CLOSE).heard == []
    assert talk.conversation.lost() == Ended(CloseCode.ABNORMAL_CLOSURE, "aborted", "us", False)
    assert talk.effects.events == []
    talk.assert_refuses_to_send()


def test_an_abort_during_a_close_keeps_the_facts() -> None:
    """All facts but one: the close is not clean."""
    talk = ConversationDriver("hixie-75")
    talk.conversation.close()
    talk.conversation.abort()
    assert talk.conversation.lost() == Ended(NO_CODE, "", "us", False)


@every_hixie
@both_sides
def test_a_lost_connection_is_not_asked_for_anything(name: str, side: str) -> None:
    """No timeout is left running and no connection is dropped, even with unread data."""
    for left in (HELLO + b"\x66", b"\x66", CLOSE, b"\x80" * 20):
        talk = ConversationDriver(name, side)
        talk.conversation.feed(left)
        ended = talk.conversation.lost()
        assert talk.receive(b"", HELLO, left).heard == []
        talk.conversation.close()
        talk.conversation.late()
        assert talk.conversation.lost() == ended
        assert talk.effects.events == []
        talk = ConversationDriver(name, side)
        talk.conversation.close()
        talk.conversation.feed(left)
        ended = talk.conversation.lost()
        talk.effects.taken()
        assert talk.receive(b"", HELLO, left).heard == []
        assert talk.conversation.lost() == ended
        assert talk.effects.events == []


def test_a_timeout_that_was_not_set_ends_nothing() -> None:
    """A timeout that fires after the conversation has ended does no harm."""
    talk = ConversationDriver("hixie-76")
    talk.conversation.late()
    talk.assert_open()
    assert talk.receive(HELLO).heard == [HEARD_HELLO]


def test_an_application_may_close_during_a_delivery() -> None:
    """The rest of the delivery is discarded."""
    talk = ConversationDriver("hixie-76")
    talk.conversation.feed(HELLO * 3 + CLOSE)
    for event in talk.conversation.events():
        talk.heard.append(event)
        talk.conversation.close()
    assert talk.heard == [HEARD_HELLO]
    assert talk.effects.written == CLOSE
    talk.assert_ended(NO_CODE, "", "us", True)


# Fragments, close codes and pings, in a scripted framing without bytes.


class Script:
    """A framing that yields the frames of a script, and writes a close frame as text."""

    has_binary = True

    def __init__(self, *frames: Frame) -> None:
        self._frames = list(frames)

    def feed(self, data: bytes) -> None:
        """Do nothing: all frames are there from the beginning."""

    def frames(self) -> Iterator[Frame]:
        """Yield the next frames of the script."""
        while self._frames:
            yield self._frames.pop(0)

    def ahead(self) -> Iterator[Frame]:
        """Ignore the bytes that come ahead of the frames."""
        return iter(())

    def release(self) -> None: ...

    @property
    def is_between_frames(self) -> bool:
        """Each frame is whole."""
        return True

    @property
    def waiting(self) -> int:
        """No frame is waiting: the script's frames have no bytes."""
        return 0

    @property
    def missing(self) -> tuple[int, bytes]:
        """No frame is incomplete."""
        return 0, b""

    def advance(self, count: int) -> tuple[bool, bool]:
        """Not called, as long as nothing is missing."""
        raise NotImplementedError

    def encoding(self, opcode: int) -> str:
        """The name of the class."""
        return "script"

    def encode(self, opcode: int, payload: bytes, final: bool = True, reserved: int = 0) -> bytes:
        """The opcode and the payload."""
        return b"%x:%b" % (opcode, payload)

    def encode_text(self, text: str) -> bytes:
        """The opcode of text and the text."""
        return self.encode(Opcode.TEXT, text.encode())

    def messages(self, data: bytes, position: int, most: int) -> Messages:
        """No messages: the script has frames only."""
        return [], position, 0

    def restore(self, data: bytes, position: int) -> None:
        """Buffer nothing: the script has no bytes."""

    def encode_parts(
        self, opcode: int, payload: bytes, final: bool = True, reserved: int = 0
    ) -> tuple[bytes, ...]:
        """The opcode and the joined payload."""
        return b"%x:" % opcode, payload

    def encode_close(self, close: Close) -> bytes:
        """The close code as text."""
        return b"close:%d" % close.code

    def read_close(self, payload: bytes) -> Close:
        """The close code out of the text."""
        return Close(int(payload), "read")


def scripted(
    *frames: Frame, side: str = Side.SERVER, limits: Limits = LIMITS
) -> ConversationDriver:
    """A conversation in a dialect with codes, pings and fragments, which has heard these frames."""
    row = replace(
        DIALECTS[-1],
        name="scripted",
        framing=lambda side, limits, binary, reserved, entropy: Script(*frames),
        has_close=True,
        has_codes=True,
        has_pings=True,
        replaces=False,
    )
    return ConversationDriver(row, side, limits).receive(b"")


def text(payload: bytes, *, first: bool = True, final: bool = True, whole: bool = True) -> Frame:
    """A text frame, a piece of one, or a fragment."""
    return (Opcode.TEXT if first else Opcode.CONTINUATION, payload, final, 0, whole)


def test_fragments_are_one_message() -> None:
    """Pieces of fragments too, and a character that is cut in two."""
    talk = scripted(
        text(b"a\xe6\x97", final=False),
        text(b"\xa5", first=False, final=False),
        text(b"", first=False, final=True, whole=False),
        text(b"z", first=False),
        text(b"next"),
    )
    assert talk.heard == [(Opcode.TEXT, "a日z"), (Opcode.TEXT, "next")]
    assert talk.conversation.received == 2
    talk.assert_open()


def test_a_continuation_without_a_first_fragment_is_a_protocol_error() -> None:
    """A continuation may come first of all, or after a complete message."""
    nothing = [text(b"x", first=False)], [text(b"x", first=False, final=False)]
    for frames in (*nothing, [text(b"a"), text(b"x", first=False)]):
        talk = scripted(*frames)
        ended = talk.conversation.ended
        assert ended is not None
        assert (ended.code, ended.who) == (CloseCode.PROTOCOL_ERROR, "peer")
        assert talk.effects.written == b"close:1002"


def test_the_sizes_of_fragments_are_added() -> None:
    """The limit is that of the message, however small its fragments are."""
    limits = replace(LIMITS, message_size=10)
    frames = [text(b"x" * 5, final=False), text(b"x" * 5, first=False, final=False)]
    assert scripted(*frames, limits=limits).conversation.ended is None
    talk = scripted(*frames, text(b"x", first=False), limits=limits)
    assert talk.heard == []
    assert talk.effects.events == [
        ("write", b"close:1009"),
        ("timeout", PATIENCE),
        ("drop", False),
    ]


def test_a_new_message_between_fragments_is_a_protocol_error() -> None:
    """A continuation was due: half a message is not discarded for a new one."""
    for frame in (text(b"x"), text(b"x", final=False), (Opcode.BINARY, b"x", True, 0, True)):
        talk = scripted(text(b"a", final=False), frame)
        assert talk.heard == []
        assert talk.effects.written == b"close:1002"


@both_sides
def test_a_close_with_a_code_is_answered_with_it(side: str) -> None:
    """A server then ends the connection; a client waits for the server to end it."""
    talk = scripted((Opcode.CLOSE, b"1001", True, 0, True), text(b"after"), side=side)
    first = [] if side == Side.CLIENT else [PART]
    assert talk.effects.events == [("write", b"close:1001"), *first, ("timeout", PATIENCE)]
    talk.assert_ended(1001, "read", "peer", True)
    assert talk.heard == []


def test_a_close_frame_may_come_between_fragments() -> None:
    """The message stays incomplete and is not delivered."""
    talk = scripted(text(b"a", final=False), (Opcode.CLOSE, b"1000", True, 0, True))
    talk.assert_ended(1000, "read", "peer", True)
    assert talk.heard == []


def test_in_a_dialect_with_close_codes_a_close_and_a_failure_name_their_reason() -> None:
    talk = scripted()
    talk.conversation.close(3000, "bye")
    talk.assert_ended(3000, "bye", "us", False)
    assert talk.effects.taken() == [("write", b"close:3000"), ("timeout", PATIENCE)]
    talk = scripted()
    talk.conversation.fail(MessageTooBig("a message"))
    talk.assert_ended(CloseCode.MESSAGE_TOO_BIG, "a message", "us", False)
    assert talk.effects.written == b"close:1009"


def test_a_ping_is_sent_in_a_dialect_with_pings() -> None:
    """A ping is not counted as a message."""
    talk = scripted()
    talk.conversation.ping(b"x")
    assert talk.effects.taken() == [("write", b"9:x")]
    assert talk.conversation.sent == 0


# Any bytes.


acts: dict[str, Callable[[Conversation], None]] = {
    "close": Conversation.close,
    "fail": lambda conversation: conversation.fail_here("x"),
    "abort": Conversation.abort,
    "nothing": lambda conversation: None,
}
bits = st.sampled_from([HELLO, CLOSE, b"\x80\x01x", b"\x80", b"\x00", b"\xff", b"\x66", b"\xc3"])


@given(
    st.data(),
    st.sampled_from(HIXIE),
    st.sampled_from([Side.CLIENT, Side.SERVER]),
    st.lists(bits | st.binary(max_size=20), max_size=10).map(b"".join),
    st.sampled_from(sorted(acts)),
)
def test_any_bytes_are_messages_or_a_close(
    data: st.DataObject, name: str, side: str, garbage: bytes, act: str
) -> None:
    """No bytes and no cuts of the reads raise an error; after the close no event is delivered,
    and the connection is dropped once."""

    def judge(chunks: Chunks) -> tuple[object, ...]:
        talk = ConversationDriver(name, side, replace(LIMITS, message_size=16))
        talk.receive(*chunks)
        acts[act](talk.conversation)
        heard = list(talk.heard)
        if talk.conversation.ended is not None:
            assert talk.receive(HELLO).heard == heard
        assert talk.conversation.lost() == talk.conversation.ended
        assert [what for what, _ in talk.effects.events].count("drop") <= 1
        return heard, talk.conversation.ended

    whole = judge([garbage])
    assert judge(byte_by_byte(garbage)) == whole
    assert judge(data.draw(deliveries(garbage))) == whole


@pytest.mark.parametrize("size", [3, 20_000, 70_000])
@pytest.mark.parametrize("name", ["hixie-76", "rfc6455"])
def test_a_message_counts_as_sent_if_a_producer_raises_within_the_write(
    name: str, size: int
) -> None:
    """The write buffer has the message; a message that cannot be encoded is not written."""
    driver = ConversationDriver(name)
    conversation = driver.conversation
    write = driver.effects.write

    def writing(data: bytes, *more: bytes) -> None:
        write(data, *more)
        raise RuntimeError("the producer cannot pause")

    driver.effects.write = writing  # type: ignore[method-assign]  # the port of the test
    sends: list[Callable[[], object]] = [
        lambda: conversation.send_text("x" * size),
        lambda: conversation.send_prepared(PreparedMessage("x" * size)),
        lambda: conversation.send_prepared(PreparedMessage("x" * size)),
    ]
    if name == "rfc6455":
        sends.append(lambda: conversation.send_bytes(b"x" * size))
    else:
        with pytest.raises(UnsupportedByDialect):
            conversation.send_bytes(b"x" * size)
    with pytest.raises(UnicodeEncodeError):
        conversation.send_text("\ud800" * size)
    assert conversation.sent == 0
    for count, send in enumerate(sends, 1):
        with pytest.raises(RuntimeError, match="cannot pause"):
            send()
        assert conversation.sent == count
