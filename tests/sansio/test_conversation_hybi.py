"""Conversations of both sides in hybi-07, version 8 and RFC 6455: sections 1 to 10 of the
Autobahn testsuite, and each protocol error with its close code and reason."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import Chunks, byte_by_byte, every_way
from support.conversation_driver import LIMITS, PART, PATIENCE, ConversationDriver
from support.dialect_marks import both
from support.frames import MASK, NO_CODE, modern_frame, peer_frame, peer_frames, peer_key, unframed
from support.held_bytes import kept
from support.utf8 import BAD, GOOD, certain
from support.vectors import Item, is_spoken, padded, vectors
from txhixie.errors import UnsupportedByDialect, UsageError
from txhixie.sansio.closing import Ended
from txhixie.sansio.conversation import Conversation
from txhixie.sansio.limits import Limits
from txhixie.sansio.wire.frame import CloseCode, Opcode, Side
from txhixie.testing.strategies import deliveries

TEXT, BINARY, CONTINUATION = Opcode.TEXT, Opcode.BINARY, Opcode.CONTINUATION
CLOSE, PING, PONG = Opcode.CLOSE, Opcode.PING, Opcode.PONG
SIDES: Final = (Side.CLIENT, Side.SERVER)
NAMES: Final = ("hybi-07", "hybi-08", "rfc6455")
STRICT: Final = ("hybi-08", "rfc6455")
BAD_UTF8: Final = "invalid UTF-8 in a text message"

every_name = pytest.mark.parametrize("name", NAMES)
strict_names = pytest.mark.parametrize("name", STRICT)


def said_close(code: int, reason: str = "") -> bytes:
    """The payload of a close frame."""
    return struct.pack(">H", code) + reason.encode()


def last(side: str) -> list[tuple[str, object]]:
    """The calls to the Port after both close frames: the server ends the connection, the client
    waits."""
    return [("timeout", PATIENCE), *([PART] if side == Side.SERVER else [])]


def answered(side: str) -> list[tuple[str, object]]:
    """The calls to the Port after a close of the peer's was answered: a connection that ends with
    the answer needs no timeout."""
    return last(side)[::-1]


# The vectors.


def spoken(item: Item) -> bool:
    """Whether the dialect is of the family that a vector's frames belong to."""
    return is_spoken({"dialect": item["family"]})


@vectors("hybi_frames", spoken)
def test_frames_are_read_as_in_the_vectors(item: Item) -> None:
    """The receiving side reads messages, pongs to its pings, the close, or the failure with its
    code; whole, byte by byte, and with another message behind."""
    side = Side.CLIENT if item["direction"] == "s2c" else Side.SERVER
    expect = [event for event in item["expect"] if event[0] not in ("close", "fail", "ping")]
    ends = [event for event in item["expect"] if event[0] in ("close", "fail")]
    for chunks in every_way(padded(item), peer_frame(side, TEXT, b"behind")):
        talk = ConversationDriver(item["family"], side).receive(*chunks)
        heard = [
            ["pong", message.hex()]
            if opcode == PONG and isinstance(message, bytes)
            else ["text", message]
            if opcode == TEXT
            else ["binary-len", len(message)]
            for opcode, message in talk.heard
        ]
        assert heard == (expect if ends else [*expect, ["text", "behind"]])
        pings = [bytes.fromhex(event[1]) for event in item["expect"] if event[0] == "ping"]
        assert [payload for opcode, payload in talk.said if opcode == PONG] == pings
        if not ends:
            assert talk.conversation.ended is None
        elif ends[0][0] == "close":
            _, code, reason = ends[0]
            talk.assert_ended(code, reason, "peer", True)
        else:
            ended = talk.conversation.ended
            assert ended is not None
            talk.assert_failed(ends[0][2] if len(ends[0]) > 2 else 1002, ended.reason)


# 1: messages.

SIZES: Final = [0, 1, 124, 125, 126, 127, 128, 65535, 65536]


@every_name
@both
@pytest.mark.parametrize("size", SIZES)
def test_messages_are_heard_as_they_come(name: str, side: str, size: int) -> None:
    """Text arrives as text, binary as bytes, at the lengths where the header changes, however the
    reads are cut."""
    payload = Random(size).randbytes(size)
    text = "*" * size
    data = peer_frame(side, TEXT, text.encode()) + peer_frame(side, BINARY, payload)
    for chunks in (
        [data],
        [data[:1], data[1:]],
        [data[:size], data[size:]],
        [data[start : start + 997] for start in range(0, len(data), 997)],
        byte_by_byte(data) if size < 1000 else [data],
    ):
        talk = ConversationDriver(name, side).receive(*chunks)
        assert talk.heard == [(TEXT, text), (BINARY, payload)]
        assert talk.conversation.received == 2
        talk.assert_open()


@every_name
@both
@pytest.mark.parametrize("size", SIZES)
def test_messages_are_sent(name: str, side: str, size: int) -> None:
    """Each message is one frame, is written at once, is masked by clients, and is counted."""
    talk = ConversationDriver(name, side)
    payload = Random(size).randbytes(size)
    talk.conversation.send_text("é" * (size // 2))
    talk.conversation.send_bytes(payload)
    assert len(talk.effects.events) == 2
    assert talk.said == [(TEXT, ("é" * (size // 2)).encode()), (BINARY, payload)]
    assert talk.conversation.sent == 2
    masked = {bool(what[1] & 0x80) for _, what in talk.effects.events if isinstance(what, bytes)}
    assert masked == {side == Side.CLIENT}


@every_name
def test_a_lone_surrogate_is_not_sent(name: str) -> None:
    """UTF-8 cannot encode a surrogate; nothing is written and nothing is counted."""
    talk = ConversationDriver(name)
    with pytest.raises(UnicodeEncodeError):
        talk.conversation.send_text("a\ud800")
    talk.assert_open()
    assert talk.conversation.sent == 0


# 2: pings and pongs.


@every_name
@both
@pytest.mark.parametrize("payload", [b"", b"Hello", b"\x00\xff\xfe\xfd", b"\xfe" * 125])
def test_a_ping_is_answered_with_its_own_payload(name: str, side: str, payload: bytes) -> None:
    """The pong is sent at once; the application gets no event."""
    for chunks in every_way(peer_frame(side, PING, payload), peer_frame(side, TEXT, b"x")):
        talk = ConversationDriver(name, side).receive(*chunks)
        assert talk.said == [(PONG, payload)]
        assert talk.heard == [(TEXT, "x")]
        assert talk.conversation.received == 1
        assert talk.conversation.ended is None


@every_name
@both
def test_each_of_many_pings_is_answered(name: str, side: str) -> None:
    """The pongs have the order of the pings."""
    payloads = [b"payload-%d" % number for number in range(10)]
    data = b"".join(peer_frame(side, PING, payload) for payload in payloads)
    for chunks in every_way(data):
        talk = ConversationDriver(name, side).receive(*chunks)
        assert talk.said == [(PONG, payload) for payload in payloads]


@every_name
@both
def test_a_pong_is_an_event_and_not_answered(name: str, side: str) -> None:
    """Unsolicited pongs too; a pong is not counted as a message."""
    data = peer_frame(side, PONG, b"unsolicited") + peer_frame(side, PONG)
    for chunks in every_way(data, peer_frame(side, PING, b"p")):
        talk = ConversationDriver(name, side).receive(*chunks)
        assert talk.heard == [(PONG, b"unsolicited"), (PONG, b"")]
        assert talk.said == [(PONG, b"p")]
        assert talk.conversation.received == 0


@both
def test_while_the_write_buffer_is_full_only_the_latest_pong_waits(side: str) -> None:
    """A peer that sends pings and does not read cannot fill the memory (RFC 6455 section
    5.5.3)."""
    talk = ConversationDriver("rfc6455", side)
    talk.effects.full = True
    for number in range(100):
        talk.receive(peer_frame(side, PING, b"%d" % number))
    assert talk.effects.events == []
    # private: of the pongs that wait, only the last is kept
    assert kept(talk.conversation._pong) == 2
    talk.effects.full = False
    talk.conversation.drained()
    assert talk.said == [(PONG, b"99")]
    talk.conversation.drained()
    assert len(talk.said) == 1
    talk.receive(peer_frame(side, PING, b"next"))
    assert talk.said == [(PONG, b"99"), (PONG, b"next")]


@both
def test_a_waiting_pong_is_not_sent_after_a_close_frame(side: str) -> None:
    """No frame is sent after a close frame (section 5.5.1)."""
    for end in (Conversation.close, lambda conversation: conversation.fail_here("x")):
        talk = ConversationDriver("rfc6455", side)
        talk.effects.full = True
        talk.receive(peer_frame(side, PING, b"late"))
        end(talk.conversation)
        talk.effects.full = False
        talk.conversation.drained()
        assert [opcode for opcode, _ in talk.said] == [CLOSE]


@both
@pytest.mark.parametrize("payload", [b"", b"x" * 125])
def test_a_ping_is_sent(side: str, payload: bytes) -> None:
    """A ping is not counted as a message."""
    talk = ConversationDriver("rfc6455", side)
    talk.conversation.ping(payload)
    assert talk.said == [(PING, payload)]
    assert talk.conversation.sent == 0
    assert talk.conversation.has_pings


@both
def test_a_ping_of_more_than_125_bytes_is_not_sent(side: str) -> None:
    """The peer would have to fail the connection."""
    talk = ConversationDriver("rfc6455", side)
    with pytest.raises(UnsupportedByDialect, match="at most 125 bytes"):
        talk.conversation.ping(b"x" * 126)
    talk.assert_open()


# 3, 4 and all other protocol errors: each has its close code and its reason.

Violation = tuple[Callable[[str], bytes], int, str]


def raw(opcode: int, **kind: int | bool) -> Callable[[str], bytes]:
    """A frame's header, as a peer of a side would write it."""

    def write(side: str) -> bytes:
        return modern_frame(opcode, key=peer_key(side), **kind)  # type: ignore[arg-type]  # the options come from a dictionary, and are checked when the test runs

    return write


def frames(*parts: tuple[int, bytes, bool]) -> Callable[[str], bytes]:
    """Whole frames: opcode, payload, and whether they are final."""

    def write(side: str) -> bytes:
        return b"".join(peer_frame(side, op, payload, final=end) for op, payload, end in parts)

    return write


BIT = "reserved bits must be 0"
CONTROL_BIT = "reserved bits of a control frame must be 0"
LONG = "control frame payload longer than 125 bytes"
CONTROL_PART = "fragmented control frame"
NOTHING = "unexpected continuation frame"
INSIDE = "expected a continuation frame"
HALF = "close frame payload of 1 byte"
BAD_REASON = "invalid UTF-8 in a close reason"
TOP = "the most significant bit of a 64-bit payload length must be 0"
START = (TEXT, b"start", False)

VIOLATIONS: Final[dict[str, Violation]] = {
    **{
        f"rsv-{bits:x}": (raw(TEXT, size=5, reserved=bits), 1002, BIT)
        for bits in range(0x10, 0x80, 0x10)
    },
    **{f"rsv-{op}": (raw(op, reserved=0x40), 1002, CONTROL_BIT) for op in (CLOSE, PING, PONG)},
    "rsv-continuation": (lambda side: frames(START)(side) + raw(0, reserved=64)(side), 1002, BIT),
    **{
        f"opcode-{op}": (raw(op, size=3), 1002, f"unknown opcode 0x{op:x}")
        for op in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
    **{f"long-{op}": (raw(op, size=126), 1002, LONG) for op in (CLOSE, PING, PONG)},
    **{f"part-{op}": (raw(op, final=False), 1002, CONTROL_PART) for op in (CLOSE, PING, PONG)},
    "part-in-message": (frames(START, (PING, b"", False)), 1002, CONTROL_PART),
    "continuation": (frames((CONTINUATION, b"x", True)), 1002, NOTHING),
    "continuation-open": (frames((CONTINUATION, b"x", False)), 1002, NOTHING),
    "continuation-after": (frames(START, (0, b"", True), (0, b"x", True)), 1002, NOTHING),
    "continuation-empty": (frames((CONTINUATION, b"", True)), 1002, NOTHING),
    "text-inside": (frames(START, (TEXT, b"x", True)), 1002, INSIDE),
    "text-inside-open": (frames(START, (TEXT, b"x", False)), 1002, INSIDE),
    "binary-inside": (frames(START, (0, b"x", False), (BINARY, b"x", True)), 1002, INSIDE),
    "empty-inside": (frames(START, (BINARY, b"", True)), 1002, INSIDE),
    "top-bit": (raw(BINARY, size=1 << 63, form=8), 1002, TOP),
    "half-a-code": (frames((CLOSE, b"\x03", True)), 1002, HALF),
    "reason-utf-8": (frames((CLOSE, b"\x03\xe8\xc3(", True)), 1007, BAD_REASON),
    "reason-cut": (frames((CLOSE, b"\x03\xe8" + "日".encode()[:2], True)), 1007, BAD_REASON),
    "reason-surrogate": (frames((CLOSE, b"\x03\xe8\xed\xa0\x80", True)), 1007, BAD_REASON),
}
every_violation = pytest.mark.parametrize("violation", VIOLATIONS)


@every_name
@both
@every_violation
def test_every_violation_has_its_code_and_its_reason(name: str, side: str, violation: str) -> None:
    """The close frame and the facts have both; earlier messages are delivered, later ones are
    not, and the cuts of the reads make no difference."""
    write, code, reason = VIOLATIONS[violation]
    hello, behind = peer_frame(side, TEXT, b"Hello"), peer_frame(side, PING, b"behind")
    before = ["Hello", "start"] if violation == "continuation-after" else ["Hello"]
    for chunks in every_way(hello + write(side), behind):
        talk = ConversationDriver(name, side).receive(*chunks)
        assert [message for _, message in talk.heard] == before
        talk.assert_failed(code, reason)
        assert talk.said == [(CLOSE, said_close(code, reason))]
    assert talk.conversation.lost() == Ended(code, reason, "peer", False)
    talk.assert_refuses_to_send()


NEVER_SENT: Final = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


@both
@pytest.mark.parametrize("code", NEVER_SENT)
def test_a_close_code_that_must_not_be_sent_is_a_violation(side: str, code: int) -> None:
    """RFC 6455 section 7.4 lists these codes."""
    for chunks in every_way(peer_frame(side, CLOSE, said_close(code))):
        talk = ConversationDriver("rfc6455", side).receive(*chunks)
        talk.assert_failed(1002, f"invalid close code {code}")


@both
@pytest.mark.parametrize("code", NEVER_SENT)
@pytest.mark.parametrize("name", ["hybi-07", "hybi-08"])
def test_before_the_rfc_any_close_code_is_accepted_and_a_reserved_one_is_not_repeated(
    side: str, code: int, name: str
) -> None:
    """The peer's code is reported; the answering close frame has no code."""
    talk = ConversationDriver(name, side).receive(peer_frame(side, CLOSE, said_close(code, "old")))
    talk.assert_ended(code, "old", "peer", True)
    assert talk.said == [(CLOSE, b"")]
    assert talk.effects.events[1:] == answered(side)


@both
@pytest.mark.parametrize(("size", "form"), [(5, 2), (125, 2), (126, 8), (65535, 8)])
def test_a_length_in_more_bytes_than_necessary_is_accepted(side: str, size: int, form: int) -> None:
    """RFC 6455 section 5.2 forbids such a length to senders only."""
    data = modern_frame(BINARY, bytes(size), form=form, key=peer_key(side))
    for name in ("hybi-07", "hybi-08", "rfc6455"):
        assert ConversationDriver(name, side).receive(data).heard == [(BINARY, bytes(size))]


@strict_names
@pytest.mark.parametrize("opcode", [TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE])
def test_a_missing_mask_and_a_forbidden_mask_are_violations(name: str, opcode: int) -> None:
    """In hybi-07 neither is a violation, on either side."""
    plain, masked = modern_frame(opcode, b""), modern_frame(opcode, b"", key=MASK)
    server = ConversationDriver(name, Side.SERVER).receive(plain)
    server.assert_failed(1002, "client frames must be masked")
    client = ConversationDriver(name, Side.CLIENT).receive(masked)
    client.assert_failed(1002, "server frames must not be masked")
    if opcode != CONTINUATION:
        for side, data in ((Side.SERVER, plain), (Side.CLIENT, masked)):
            ended = ConversationDriver("hybi-07", side).receive(data).conversation.ended
            assert ended == (Ended(NO_CODE, "", "peer", True) if opcode == CLOSE else None)


@both
@every_violation
def test_a_violation_after_our_close_frame_ends_the_connection(side: str, violation: str) -> None:
    """No second close frame is sent; the close stays our side's. Only a wrong header or close
    frame counts then: messages are discarded."""
    write, _, reason = VIOLATIONS[violation]
    talk = ConversationDriver("rfc6455", side)
    talk.conversation.close(1001, "bye")
    talk.effects.taken()
    talk.receive(write(side))
    if reason in (NOTHING, INSIDE):
        assert talk.effects.taken() == []
        talk.receive(peer_frame(side, CLOSE, said_close(1001)))
        talk.assert_ended(1001, "bye", "us", True)
    else:
        assert talk.effects.taken() == [("timeout", PATIENCE), ("drop", False)]
        talk.assert_ended(1001, "bye", "us", False)


# 5: fragments.


@every_name
@both
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize(
    "parts",
    [
        [b"", b""],
        [b"", b"", b""],
        [b"a", b"b"],
        [b"", b"middle", b""],
        [b"fragment1", b"fragment2"],
        [b"f"] * 50,
        [b"x" * 125, b"y" * 126, b"z" * 65536],
    ],
)
def test_fragments_are_one_message(name: str, side: str, opcode: int, parts: list[bytes]) -> None:
    """Empty fragments too, however the reads are cut."""
    whole = b"".join(parts)
    expected = (opcode, whole.decode() if opcode == TEXT else whole)
    data = peer_frames(side, parts, opcode)
    for chunks in every_way(data, peer_frame(side, TEXT, b"next")):
        talk = ConversationDriver(name, side).receive(*chunks)
        assert talk.heard == [expected, (TEXT, "next")]
        assert talk.conversation.received == 2
        talk.assert_open()


@every_name
@both
def test_control_frames_come_between_fragments(name: str, side: str) -> None:
    """Pings are answered and pongs are reported before the message is complete; the message is
    not disturbed."""
    data = b"".join(
        [
            peer_frame(side, TEXT, "日".encode()[:1], final=False),
            peer_frame(side, PING, b"first"),
            peer_frame(side, CONTINUATION, "日".encode()[1:2], final=False),
            peer_frame(side, PONG, b"pong"),
            peer_frame(side, PING, b"second"),
        ]
    )
    end = peer_frame(side, CONTINUATION, "日".encode()[2:])
    for chunks in every_way(data):
        talk = ConversationDriver(name, side).receive(*chunks)
        assert talk.said == [(PONG, b"first"), (PONG, b"second")]
        assert talk.heard == [(PONG, b"pong")]
        assert talk.receive(end).heard == [(PONG, b"pong"), (TEXT, "日")]


@every_name
@both
def test_a_close_frame_between_fragments_ends_the_conversation(name: str, side: str) -> None:
    """The incomplete message is not delivered."""
    data = peer_frame(side, TEXT, b"a", final=False) + peer_frame(side, CLOSE, said_close(1000))
    for chunks in every_way(data, peer_frame(side, CONTINUATION, b"b")):
        talk = ConversationDriver(name, side).receive(*chunks)
        assert talk.heard == []
        talk.assert_ended(1000, "", "peer", True)


# 6: UTF-8.


@every_name
@both
@pytest.mark.parametrize("data", GOOD)
def test_text_is_decoded_as_utf_8(name: str, side: str, data: bytes) -> None:
    """The text comes in one frame, in fragments of single bytes, and in a frame that arrives byte
    by byte."""
    for written in (peer_frame(side, TEXT, data), peer_frames(side, [*byte_by_byte(data), b""])):
        for chunks in every_way(written):
            talk = ConversationDriver(name, side).receive(*chunks)
            assert talk.heard == [(TEXT, data.decode())]
            talk.assert_open()


@strict_names
@both
@pytest.mark.parametrize("data", BAD)
def test_text_that_is_not_utf_8_fails(name: str, side: str, data: bytes) -> None:
    """The close code is 1007, in one frame, in fragments, and in a frame that arrives byte by
    byte."""
    for written in (peer_frame(side, TEXT, data), peer_frames(side, [*byte_by_byte(data), b""])):
        for chunks in every_way(peer_frame(side, TEXT, b"ok") + written):
            talk = ConversationDriver(name, side).receive(*chunks)
            assert talk.heard == [(TEXT, "ok")]
            talk.assert_failed(1007, BAD_UTF8)
            assert talk.conversation.received == 1


@strict_names
@both
@pytest.mark.parametrize("data", [data for data in BAD if certain(data) < len(data)])
def test_text_fails_at_its_first_wrong_byte(name: str, side: str, data: bytes) -> None:
    """The byte may be inside a fragment, at its end, or in a frame that is still arriving:
    neither the rest of the frame nor that of the message is awaited."""
    wrong = certain(data)
    long = peer_frame(side, TEXT, data + b"x" * 200)
    arriving = [long[: len(long) - 200 - len(data) + wrong], long[-200 - len(data) + wrong :][:1]]
    fragments = [
        peer_frames(side, [*byte_by_byte(data[:wrong]), b"more"])[
            : -len(peer_frame(side, 0, b"more"))
        ],
        peer_frame(side, CONTINUATION if wrong else TEXT, data[wrong : wrong + 1], final=False),
    ]
    for before, at in (arriving, fragments):
        talk = ConversationDriver(name, side).receive(*byte_by_byte(before))
        talk.assert_open()
        talk.receive(at).assert_failed(1007, BAD_UTF8)


@both
@pytest.mark.parametrize("data", BAD)
def test_hybi_07_replaces_what_is_not_utf_8(side: str, data: bytes) -> None:
    """The replaced text is the same however it arrives; close code 1007 came with draft 10."""
    for written in (peer_frame(side, TEXT, data), peer_frames(side, [*byte_by_byte(data), b""])):
        for chunks in every_way(written):
            talk = ConversationDriver("hybi-07", side).receive(*chunks)
            assert talk.heard == [(TEXT, data.decode("utf-8", "replace"))]
            talk.assert_open()


@every_name
@pytest.mark.parametrize("data", BAD)
def test_binary_is_any_bytes(name: str, data: bytes) -> None:
    """Binary arrives whole and in fragments."""
    for written in (peer_frame("server", BINARY, data), peer_frames("server", [data, b""], BINARY)):
        assert ConversationDriver(name).receive(written).heard == [(BINARY, data)]


# 7: closing.

SENT: Final = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]


@every_name
@both
@pytest.mark.parametrize("code", SENT)
@pytest.mark.parametrize("reason", ["", "bye", "é" * 61, "x" * 123])
def test_the_peers_close_frame_is_answered_with_the_same_code(
    name: str, side: str, code: int, reason: str
) -> None:
    """One answer is sent; a server then ends the connection, a client waits for the server to end
    it."""
    talk = ConversationDriver(name, side).receive(peer_frame(side, CLOSE, said_close(code, reason)))
    assert talk.said == [(CLOSE, said_close(code, reason))]
    assert talk.effects.events[1:] == answered(side)
    talk.assert_ended(code, reason, "peer", True)
    talk.assert_refuses_to_send()
    assert talk.conversation.lost() == Ended(code, reason, "peer", True)
    assert talk.effects.taken() == [("timeout", None)]


@every_name
@both
def test_a_close_without_a_code_is_answered_without_one(name: str, side: str) -> None:
    """The close is reported as 1005, which is never on the wire."""
    for chunks in every_way(peer_frame(side, CLOSE)):
        talk = ConversationDriver(name, side).receive(*chunks)
        assert talk.said == [(CLOSE, b"")]
        talk.assert_ended(NO_CODE, "", "peer", True)


@every_name
@both
@pytest.mark.parametrize(
    "after",
    [
        (TEXT, b"after", True),
        (PING, b"after", True),
        (CLOSE, said_close(1001), True),
        (CONTINUATION, b"", True),
        (3, b"", True),
        (TEXT, b"\xff", True),
    ],
)
def test_frames_after_a_close_frame_are_ignored(
    name: str, side: str, after: tuple[int, bytes, bool]
) -> None:
    """All kinds of frames are ignored (section 5.5.1)."""
    behind = frames(after)(side)
    for chunks in every_way(peer_frame(side, CLOSE, said_close(1000)), behind + b"\xff" * 20):
        talk = ConversationDriver(name, side).receive(*chunks)
        assert talk.heard == []
        assert talk.said == [(CLOSE, said_close(1000))]
        assert talk.effects.events[1:] == answered(side)
        talk.assert_ended(1000, "", "peer", True)
        assert kept(talk.conversation.framing) <= len(b"".join(chunks))


@every_name
@both
@pytest.mark.parametrize("answer", [said_close(3000, "bye"), said_close(1000), b""])
def test_our_close_waits_for_the_peers_close_frame(name: str, side: str, answer: bytes) -> None:
    """Messages that arrive meanwhile are discarded, pings are not answered, and the reported
    close code is ours, not the peer's."""
    under_way = peer_frame(side, TEXT, b"x", final=False) + peer_frame(side, PING, b"p")
    for chunks in every_way(under_way + peer_frame(side, CLOSE, answer), b"behind"):
        talk = ConversationDriver(name, side)
        talk.conversation.close(3000, "bye")
        assert talk.said == [(CLOSE, said_close(3000, "bye"))]
        assert talk.effects.taken()[1:] == [("timeout", PATIENCE)]
        talk.assert_ended(3000, "bye", "us", False)
        talk.assert_refuses_to_send()
        assert talk.receive(*chunks).heard == []
        assert talk.effects.taken() == last(side)
        talk.assert_ended(3000, "bye", "us", True)


@every_name
def test_both_may_close_at_once(name: str) -> None:
    """Each side takes the other's close frame for the answer to its own, and sends no more; the
    server ends the connection first, and both closes are clean."""
    ends = {side: ConversationDriver(name, side) for side in SIDES}
    for side, code in ((Side.CLIENT, 1000), (Side.SERVER, 1001)):
        ends[side].conversation.close(code, f"said the {side}")
    written = {side: talk.effects.written for side, talk in ends.items()}
    ends[Side.CLIENT].receive(written[Side.SERVER])
    ends[Side.SERVER].receive(written[Side.CLIENT])
    for side, code in ((Side.CLIENT, 1000), (Side.SERVER, 1001)):
        assert len(ends[side].said) == 1
        assert ends[side].effects.events[2:] == last(side)
        ends[side].assert_ended(code, f"said the {side}", "us", True)


@every_name
@both
def test_a_peer_that_does_not_answer_our_close_is_dropped(name: str, side: str) -> None:
    """The close timeout drops the connection, and the close is not clean."""
    talk = ConversationDriver(name, side)
    talk.conversation.close(1001)
    talk.effects.taken()
    talk.conversation.late()
    assert talk.effects.taken() == [("drop", True)]
    assert talk.conversation.lost() == Ended(1001, "", "us", False)


@every_name
def test_a_server_that_does_not_end_the_connection_is_dropped_by_its_client(name: str) -> None:
    """The server had its time after both close frames; the close was clean all the same."""
    talk = ConversationDriver(name, Side.CLIENT).receive(
        peer_frame(Side.CLIENT, CLOSE, said_close(1000))
    )
    talk.effects.taken()
    talk.conversation.late()
    assert talk.effects.taken() == [("drop", True)]
    assert talk.conversation.lost() == Ended(1000, "", "peer", True)


@every_name
@both
@pytest.mark.parametrize("begun", [False, True])
def test_a_connection_that_ends_without_a_close_ended_abnormally(
    name: str, side: str, begun: bool
) -> None:
    """The code is 1006, between messages and inside one; nothing is written."""
    talk = ConversationDriver(name, side)
    if begun:
        talk.receive(peer_frame(side, TEXT, b"a", final=False))
    assert talk.conversation.lost() == Ended(CloseCode.ABNORMAL_CLOSURE, "", "peer", False)
    talk.assert_refuses_to_send()
    assert talk.effects.events == []


@every_name
@both
@pytest.mark.parametrize("code", SENT)
def test_a_valid_close_code_is_sent(name: str, side: str, code: int) -> None:
    """The reason is sent with it."""
    talk = ConversationDriver(name, side)
    talk.conversation.close(code, "wörds")
    assert talk.said == [(CLOSE, said_close(code, "wörds"))]
    talk.assert_ended(code, "wörds", "us", False)


@every_name
@both
@pytest.mark.parametrize("code", [code for code in NEVER_SENT if code != NO_CODE] + [-1, 65536])
def test_a_close_code_that_must_not_be_sent_changes_nothing(
    name: str, side: str, code: int
) -> None:
    """The caller gets an error, and may continue or close with another code."""
    talk = ConversationDriver(name, side)
    with pytest.raises(UsageError, match=f"^close code {code} cannot be sent;"):
        talk.conversation.close(code)
    with pytest.raises(UsageError, match=f"^close code {code} cannot be sent;"):
        talk.conversation.fail_here("why", code)
    talk.assert_open()
    talk.conversation.send_text("still here")
    talk.conversation.close()
    assert talk.said == [(TEXT, b"still here"), (CLOSE, said_close(1000))]


@every_name
def test_a_close_may_have_no_code(name: str) -> None:
    """Code 1005 asks for an empty close frame."""
    talk = ConversationDriver(name)
    talk.conversation.close(NO_CODE)
    assert talk.said == [(CLOSE, b"")]
    talk.assert_ended(NO_CODE, "", "us", False)


@both
@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        ("x" * 200, b"x" * 123),
        ("é" * 62, "é".encode() * 61),
        ("x" + "日" * 41, b"x" + "日".encode() * 40),
    ],
)
def test_a_long_reason_is_cut_where_a_character_ends(side: str, reason: str, sent: bytes) -> None:
    """A close frame has at most 125 bytes of payload; the reason of a failure is cut too."""
    talk = ConversationDriver("rfc6455", side)
    talk.conversation.close(1000, reason)
    assert talk.said == [(CLOSE, said_close(1000) + sent)]
    talk = ConversationDriver("rfc6455", side)
    talk.conversation.fail_here(reason)
    assert talk.said == [(CLOSE, said_close(1011) + sent)]


@every_name
@both
def test_our_own_failure_is_1011(name: str, side: str) -> None:
    """The failure counts as our side's; no answer is awaited, and later data is discarded."""
    talk = ConversationDriver(name, side)
    talk.conversation.fail_here("the application failed")
    talk.assert_ended(1011, "the application failed", "us", False)
    assert talk.said == [(CLOSE, said_close(1011, "the application failed"))]
    assert talk.effects.events[1:] == [("timeout", PATIENCE), ("drop", False)]
    assert talk.receive(peer_frame(side, TEXT, b"x"), peer_frame(side, CLOSE)).heard == []
    assert len(talk.effects.events) == 3


@every_name
def test_an_application_may_close_during_a_delivery(name: str) -> None:
    """The rest of the delivery is discarded, up to the peer's close frame."""
    talk = ConversationDriver(name)
    hello = peer_frame(Side.SERVER, TEXT, b"Hello")
    talk.conversation.feed(hello * 3 + peer_frame(Side.SERVER, CLOSE, said_close(1000)) + hello)
    for event in talk.conversation.events():
        talk.heard.append(event)
        talk.conversation.close()
    assert talk.heard == [(TEXT, "Hello")]
    assert talk.said == [(CLOSE, said_close(1000))]
    talk.assert_ended(1000, "", "us", True)


# 9: limits.


@every_name
@both
def test_a_frame_is_too_big_at_its_header(name: str, side: str) -> None:
    """The frame is refused before any of its payload has arrived."""
    limits = replace(LIMITS, message_size=1000, frame_size=300)
    good = ConversationDriver(name, side, limits).receive(peer_frame(side, BINARY, bytes(300)))
    assert good.heard == [(BINARY, bytes(300))]
    for chunks in every_way(modern_frame(BINARY, size=301, key=peer_key(side))):
        talk = ConversationDriver(name, side, limits).receive(*chunks)
        talk.assert_too_big("frame", 300, "frame_size")


@every_name
@both
@pytest.mark.parametrize("frame_size", [None, 1000])
def test_a_message_in_one_frame_is_too_big_whole_and_in_pieces(
    name: str, side: str, frame_size: int | None
) -> None:
    """The limit of the message holds, even where a frame may be larger."""
    limits = replace(LIMITS, message_size=100, frame_size=frame_size)
    assert (
        ConversationDriver(name, side, limits).receive(peer_frame(side, BINARY, bytes(100))).heard
    )
    for chunks in every_way(peer_frame(side, BINARY, bytes(101))):
        talk = ConversationDriver(name, side, limits).receive(*chunks)
        assert talk.heard == []
        talk.assert_too_big("frame", 100)


@every_name
@both
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_in_fragments_is_too_big(name: str, side: str, opcode: int) -> None:
    """The limit is exceeded by the sum of the fragments, also with pings in between."""
    limits = replace(LIMITS, message_size=1000)
    parts = [b"x" * 400, b"y" * 600]
    assert (
        len(ConversationDriver(name, side, limits).receive(peer_frames(side, parts, opcode)).heard)
        == 1
    )
    data = peer_frame(side, opcode, parts[0], final=False) + peer_frame(side, PING)
    for chunks in every_way(data + peer_frame(side, CONTINUATION, parts[1] + b"z", final=False)):
        talk = ConversationDriver(name, side, limits).receive(*chunks)
        assert talk.heard == []
        talk.assert_too_big("message", 1000)


@every_name
@both
def test_a_message_has_so_many_fragments_and_no_more(name: str, side: str) -> None:
    """Empty fragments count too; the count starts again with the next message, and excludes
    control frames."""
    limits = replace(LIMITS, fragments=4)
    data = peer_frames(side, [b"a", b"", b"", b"b"])
    pings = peer_frame(side, PING) * 5
    talk = ConversationDriver(name, side, limits).receive(data, data[:-1], data[-1:] + pings)
    assert talk.heard == [(TEXT, "ab")] * 2
    for chunks in every_way(data + peer_frames(side, [b"", b"", b"", b"", b""])):
        talk = ConversationDriver(name, side, limits).receive(*chunks)
        assert talk.heard == [(TEXT, "ab")]
        talk.assert_too_big("message", 4, "fragments")


def test_the_default_limits_hold() -> None:
    """The limits are 1 MiB per message and 4096 fragments."""
    exactly = peer_frame(Side.CLIENT, BINARY, bytes(1 << 20))
    assert ConversationDriver("rfc6455", Side.CLIENT, Limits()).receive(exactly).heard == [
        (BINARY, bytes(1 << 20))
    ]
    more = modern_frame(BINARY, size=(1 << 20) + 1)
    ConversationDriver("rfc6455", Side.CLIENT, Limits()).receive(more).assert_too_big(
        "frame", 1 << 20
    )
    parts = [b"x"] * 4096
    data = peer_frames(Side.CLIENT, parts)
    assert ConversationDriver("rfc6455", Side.CLIENT, Limits()).receive(data).heard == [
        (TEXT, "x" * 4096)
    ]
    ConversationDriver("rfc6455", Side.CLIENT, Limits()).receive(
        peer_frames(Side.CLIENT, [*parts, b"x"])
    ).assert_too_big("message", 4096, "fragments")


@both
@pytest.mark.parametrize(("size", "count"), [(64, 4096), (1024, 1024), (65536, 16)])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_large_message_comes_in_many_fragments(
    side: str, size: int, count: int, opcode: int
) -> None:
    """The reads have the sizes of a network's."""
    data = peer_frames(side, [b"*" * size] * count, opcode)
    talk = ConversationDriver("rfc6455", side)
    talk.receive(*[data[start : start + 65536] for start in range(0, len(data), 65536)])
    assert talk.heard == [(opcode, "*" * size * count if opcode == TEXT else b"*" * size * count)]


@both
def test_after_a_message_nothing_is_kept(side: str) -> None:
    """Neither payload bytes nor the state of the fragments stays in memory."""
    talk = ConversationDriver("rfc6455", side)
    before = kept(talk.conversation)
    data = peer_frames(side, [b"x" * 5000] * 3) + peer_frame(side, BINARY, b"y" * 5000)
    talk.receive(*[data[start : start + 700] for start in range(0, len(data), 700)])
    assert len(talk.heard) == 2
    assert kept(talk.conversation) - before <= len(MASK)


# Pausing.


@pytest.mark.parametrize("size", [1, 3, 10, 1000])
@both
def test_a_caller_may_stop_after_any_message(side: str, size: int) -> None:
    """Messages that were not asked for are delivered later, in order and once, and then the
    close."""
    hello = peer_frame(side, TEXT, b"Hello")
    data = b"".join(
        [
            hello,
            peer_frames(side, [b"a", b"b"]),
            peer_frame(side, PONG, b"p"),
            hello,
            peer_frame(side, CLOSE, said_close(1000)),
            hello,
        ]
    )
    expected = [(TEXT, "Hello"), (TEXT, "ab"), (PONG, b"p"), (TEXT, "Hello")]
    talk = ConversationDriver("rfc6455", side)
    for start in range(0, len(data), size):
        talk.conversation.feed(data[start : start + size])
        talk.heard += [event for event in [next(talk.conversation.events(), None)] if event]
    for _ in expected:
        talk.heard += [event for event in [next(talk.conversation.events(), None)] if event]
    talk.receive(b"")
    assert talk.heard == expected
    talk.assert_ended(1000, "", "peer", True)


# Any two sides, any bytes.


pieces = st.lists(st.text(max_size=30) | st.binary(max_size=30), max_size=5)


@given(st.data(), st.sampled_from(NAMES), pieces, st.sampled_from([None, 1000, 3000]))
def test_two_sides_understand_each_other_under_any_split(
    data: st.DataObject, name: str, messages: list[str | bytes], code: int | None
) -> None:
    """Messages are sent whole or in fragments cut anywhere, with pings between them, and then the
    close."""
    for side in SIDES:
        other = Side.CLIENT if side == Side.SERVER else Side.SERVER
        writer = ConversationDriver(name, other)
        for message in messages:
            if isinstance(message, str):
                writer.conversation.send_text(message)
            else:
                writer.conversation.send_bytes(message)
            writer.conversation.ping(b"?")
        if code is not None:
            writer.conversation.close(code, "bye")
        written = b"".join(
            peer_frames(side, data.draw(deliveries(payload)), opcode)
            if opcode in (TEXT, BINARY)
            else peer_frame(side, opcode, payload)
            for opcode, payload in writer.said
        )
        for wire in (writer.effects.written, written):
            reader = ConversationDriver(name, side).receive(*data.draw(deliveries(wire)))
            assert [message for _, message in reader.heard] == messages
            pongs = [payload for opcode, payload in reader.said if opcode == PONG]
            assert pongs == [b"?"] * len(messages)
            ended = None if code is None else Ended(code, "bye", "peer", True)
            assert reader.conversation.ended == ended


acts: dict[str, Callable[[Conversation], None]] = {
    "close": Conversation.close,
    "fail": lambda conversation: conversation.fail_here("x"),
    "abort": Conversation.abort,
    "nothing": lambda conversation: None,
}
headers = st.builds(
    modern_frame,
    st.sampled_from([0, 0, 1, 1, 2, 3, 8, 9, 10]),
    st.sampled_from([b"", b"x", b"\xe6\x97", b"\xa5", b"\x03\xe8", b"\xed\xa0", b"x" * 17]),
    final=st.booleans(),
    reserved=st.sampled_from([0, 0, 0, 0, 0x40]),
    key=st.sampled_from([None, MASK]),
)


@given(
    st.data(),
    st.sampled_from(NAMES),
    st.sampled_from(SIDES),
    st.lists(headers | st.binary(max_size=9), max_size=8).map(b"".join),
    st.sampled_from(sorted(acts)),
)
def test_any_bytes_are_messages_or_a_close(
    data: st.DataObject, name: str, side: str, garbage: bytes, act: str
) -> None:
    """No bytes and no cuts of the reads raise an error; after the close no event is delivered;
    and at most one close frame is sent, as the last frame."""

    def judge(chunks: Chunks) -> tuple[object, ...]:
        talk = ConversationDriver(name, side, replace(LIMITS, message_size=16))
        talk.receive(*chunks)
        acts[act](talk.conversation)
        heard, received = list(talk.heard), talk.conversation.received
        if talk.conversation.ended is not None:
            assert talk.receive(peer_frame(side, TEXT, b"x")).heard == heard
        opcodes = [opcode for opcode, _, _, _ in unframed(talk.effects.written)]
        assert CLOSE not in opcodes[:-1]
        assert talk.conversation.lost() == talk.conversation.ended
        assert [what for what, _ in talk.effects.events].count("drop") <= 1
        return heard, received, talk.said, talk.conversation.ended

    whole = judge([garbage])
    assert judge(byte_by_byte(garbage)) == whole
    assert judge(data.draw(deliveries(garbage))) == whole
