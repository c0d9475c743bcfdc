"""Compressed conversations: both sides in every configuration, and a malicious peer."""

from __future__ import annotations

import tracemalloc
import zlib
from dataclasses import replace
from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import byte_by_byte, every_way
from support.conversation_driver import LIMITS, ConversationDriver
from support.dialect_marks import both
from support.frames import modern_frame, peer_frame, peer_key, unframed
from support.held_bytes import kept
from support.private_state import zlib_streams
from support.vectors import Item, vectors
from txhixie.sansio.extensions.deflate import TAIL
from txhixie.sansio.extensions.deflate_frame import DeflateFrame
from txhixie.sansio.extensions.extension import Extension, Transform
from txhixie.sansio.extensions.permessage_deflate import PermessageDeflate
from txhixie.sansio.wire.frame import Opcode, Side
from txhixie.testing.strategies import deliveries

RSV1 = 0x40
TEXT, BINARY, CONTINUATION = Opcode.TEXT, Opcode.BINARY, Opcode.CONTINUATION
SIDES = (Side.CLIENT, Side.SERVER)
KEEPS = PermessageDeflate(server_takeover=True, client_takeover=True)
FRAMES = DeflateFrame(takeover=True)
HELLO = b"\xf2H\xcd\xc9\xc9\x07\x00"
JSON = '{"name": "välue", "number": 12345, "list": [1, 2, 3]}, ' * 40
NOISE = Random(7692).randbytes(600)

every_keeper = pytest.mark.parametrize("ours", [KEEPS, FRAMES], ids=["message", "frame"])


def transforms(client: Extension, server: Extension) -> dict[str, Transform]:
    """The transforms of both sides, for an agreement of these two configurations."""
    accepted = server.accept(client.offers())
    assert accepted is not None
    return {Side.CLIENT: client.agree(accepted.parameters), Side.SERVER: accepted.transform}


def talking(side: str, ours: Extension = KEEPS, **limits: int) -> ConversationDriver:
    """One side of a compressed conversation."""
    transform = transforms(ours, ours)[side]
    return ConversationDriver("rfc6455", side, replace(LIMITS, **limits), transform=transform)


def deflated(data: bytes, *, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
    """The payload of a message as zlib compresses it."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    made = compressor.compress(data) + compressor.flush(flush)
    return made.removesuffix(TAIL) if flush == zlib.Z_SYNC_FLUSH else made + b"\x00"


def fragments(
    side: str, parts: list[bytes], opcode: int = TEXT, *, each: bool = False
) -> list[bytes]:
    """A compressed message in these fragments: the RSV1 bit is on the first, or on each."""
    last = len(parts) - 1
    return [
        peer_frame(
            side,
            CONTINUATION if index else opcode,
            part,
            final=index == last,
            reserved=RSV1 if each or not index else 0,
        )
        for index, part in enumerate(parts)
    ]


# The vectors.


def assert_heard(item: Item, ours: Extension) -> None:
    """A client reads the texts of a vector, whole and byte by byte, and so does a server."""
    texts = item["text"] if isinstance(item["text"], list) else [item["text"]]
    for chunks in every_way(bytes.fromhex(item["hex"]), peer_frame(Side.CLIENT, TEXT, b"behind")):
        talk = talking(Side.CLIENT, ours).receive(*chunks)
        assert [message for _, message in talk.heard] == [*texts, "behind"]
        talk.assert_open()
    masked = b"".join(
        peer_frame(Side.SERVER, opcode, payload, final=final, reserved=reserved)
        for opcode, payload, final, reserved in unframed(bytes.fromhex(item["hex"]))
    )
    for chunks in every_way(masked):
        talk = talking(Side.SERVER, ours).receive(*chunks)
        assert [message for _, message in talk.heard] == texts


@vectors("deflate")
def test_messages_are_inflated_as_in_the_vectors(item: Item) -> None:
    """The examples of RFC 7692 and of Jetty's tests."""
    assert_heard(item, KEEPS)


@vectors("deflate_frame")
def test_frames_are_inflated_as_in_the_vectors(item: Item) -> None:
    """Each frame is compressed by itself, with one window for all."""
    assert_heard(item, FRAMES)


# Reading.


@both
@every_keeper
def test_compressed_fragments_have_control_frames_between_them(side: str, ours: Extension) -> None:
    """Control frames are uncompressed and do not disturb the inflater; nor do uncompressed
    messages."""
    each = isinstance(ours, DeflateFrame)
    first, second = (deflated(b"Hel"), deflated(b"lo")) if each else (HELLO[:3], HELLO[3:])
    parts = fragments(side, [first, second], each=each)
    data = parts[0] + peer_frame(side, Opcode.PING, b"p") + parts[1] + peer_frame(side, TEXT, b"x")
    for chunks in every_way(data, parts[0] + parts[1]):
        talk = talking(side, ours).receive(*chunks)
        assert talk.heard == [(TEXT, "Hello"), (TEXT, "x"), (TEXT, "Hello")]
        assert talk.said == [(Opcode.PONG, b"p")]


@both
@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("first", [RSV1, 0])
def test_the_bit_on_a_continuation_is_a_violation(side: str, final: bool, first: int) -> None:
    """Whether its message is compressed or not (RFC 7692 section 6.1)."""
    data = peer_frame(side, BINARY, HELLO[:3], final=False, reserved=first)
    bad = peer_frame(side, CONTINUATION, b"", final=final, reserved=RSV1)
    for chunks in every_way(data + bad):
        talking(side).receive(*chunks).assert_failed(1002, "RSV1 must be 0 in a continuation frame")


@both
@every_keeper
@pytest.mark.parametrize(
    ("opcode", "bits", "reason"),
    [
        (TEXT, 0x20, "reserved bits must be 0"),
        (TEXT, 0x50, "reserved bits must be 0"),
        (BINARY, 0x70, "reserved bits must be 0"),
        (Opcode.PING, RSV1, "reserved bits of a control frame must be 0"),
        (Opcode.PONG, RSV1, "reserved bits of a control frame must be 0"),
        (Opcode.CLOSE, RSV1, "reserved bits of a control frame must be 0"),
        (CONTINUATION, RSV1, "unexpected continuation frame"),
    ],
)
def test_other_reserved_bits_and_the_bit_on_control_frames_are_violations(
    side: str, ours: Extension, opcode: int, bits: int, reason: str
) -> None:
    """The extension takes one reserved bit, on data frames only."""
    for chunks in every_way(peer_frame(side, opcode, b"", reserved=bits)):
        talking(side, ours).receive(*chunks).assert_failed(1002, reason)


@both
@pytest.mark.parametrize("name", ["hybi-07", "hybi-08", "rfc6455"])
def test_without_an_extension_the_bit_is_a_violation(side: str, name: str) -> None:
    """No extension has given the bit a meaning."""
    talk = ConversationDriver(name, side).receive(peer_frame(side, TEXT, HELLO, reserved=RSV1))
    talk.assert_failed(1002, "reserved bits must be 0")


@both
@every_keeper
@pytest.mark.parametrize("garbage", [b"\xff" * 9, b"\x06", b"Hello, plain text", NOISE])
def test_garbage_is_1007(side: str, ours: Extension, garbage: bytes) -> None:
    """The data comes in one frame or byte by byte; zlib's error is part of the close reason."""
    for chunks in every_way(peer_frame(side, BINARY, garbage, reserved=RSV1)):
        talk = talking(side, ours).receive(*chunks)
        ended = talk.conversation.ended
        assert ended is not None
        assert ended.reason.startswith("invalid compressed data: ")
        talk.assert_failed(1007, ended.reason)
        assert talk.heard == []


@both
@every_keeper
@pytest.mark.parametrize("bad", [b"\xc3(", b"\xed\xa0\x80", b"\xe6\x97", b"ok \xff"])
def test_inflated_text_is_validated_as_utf_8(side: str, ours: Extension, bad: bytes) -> None:
    """Wrong UTF-8 fails before the end of the message, as in an uncompressed one."""
    data = peer_frame(side, TEXT, deflated(bad), reserved=RSV1)
    for chunks in every_way(data):
        talking(side, ours).receive(*chunks).assert_failed(1007, "invalid UTF-8 in a text message")
    whole = deflated(b"\xff" + Random(1).randbytes(9000))
    long = peer_frame(side, TEXT, whole, reserved=RSV1)
    talking(side, ours).receive(long[:-1000]).assert_failed(1007, "invalid UTF-8 in a text message")


@both
@every_keeper
def test_a_last_deflate_block_is_followed_by_others(side: str, ours: Extension) -> None:
    """The next block is in the same message, or in the next one."""
    data = peer_frame(side, TEXT, deflated(b"Hello", flush=zlib.Z_FINISH), reserved=RSV1)
    after = peer_frame(side, TEXT, deflated(b"after"), reserved=RSV1)
    for chunks in every_way(data, after):
        talk = talking(side, ours).receive(*chunks)
        assert talk.heard == [(TEXT, "Hello"), (TEXT, "after")]


# Bombs.


@both
@every_keeper
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_the_limit_is_of_the_inflated_size(side: str, ours: Extension, opcode: int) -> None:
    """A message of exactly the limit is accepted; one more byte is too big."""
    for size, good in ((10_000, True), (10_001, False)):
        data = peer_frame(side, opcode, deflated(b"x" * size), reserved=RSV1)
        for chunks in every_way(data):
            talk = talking(side, ours, message_size=10_000).receive(*chunks)
            if good:
                assert [len(message) for _, message in talk.heard] == [size]
            else:
                assert talk.heard == []
                talk.assert_too_big("message", 10_000)


@both
@pytest.mark.parametrize("size", [100, 5000, 70_000])
def test_a_decompression_bomb_is_stopped_before_it_is_kept(side: str, size: int) -> None:
    """A message that inflates a thousandfold, in fragments and pieces of any size, never takes
    more memory than the message limit."""
    bomb = deflated(bytes(64 << 20))
    assert len(bomb) * 900 < 64 << 20
    parts = [bomb[start : start + size] for start in range(0, len(bomb), size)]
    wire = b"".join(fragments(side, parts, BINARY))
    talk = talking(side, message_size=500_000)
    tracemalloc.start()
    try:
        talk.receive(*[wire[start : start + 999] for start in range(0, len(wire), 999)])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    talk.assert_too_big("message", 500_000)
    assert most < 4 * 500_000


@both
@every_keeper
def test_a_bomb_across_fragments_is_stopped_where_it_exceeds_the_limit(
    side: str, ours: Extension
) -> None:
    """Compressed fragments, uncompressed ones and pings between them: all data counts
    together."""
    each = isinstance(ours, DeflateFrame)
    limit = 10_000
    if each:
        parts = [deflated(bytes(4000))] * 3
    else:
        whole = deflated(bytes(12_000))
        parts = [whole[:-6], whole[-6:-3], whole[-3:]]
    wire = fragments(side, parts, BINARY, each=each)
    data = peer_frame(side, Opcode.PING).join(wire)
    for chunks in every_way(data):
        talk = talking(side, ours, message_size=limit).receive(*chunks)
        assert talk.heard == []
        talk.assert_too_big("message", 10_000)


@both
def test_uncompressed_frames_of_a_compressed_message_count_too(side: str) -> None:
    """deflate-frame may mix compressed and uncompressed frames."""
    data = fragments(side, [deflated(bytes(9000)), b""], BINARY)[0]
    data += peer_frame(side, CONTINUATION, bytes(1001))
    for chunks in every_way(data):
        talk = talking(side, FRAMES, message_size=10_000).receive(*chunks)
        talk.assert_too_big("message", 10_000)


@both
@every_keeper
def test_a_compressed_frame_has_a_limit_on_the_wire_too(side: str, ours: Extension) -> None:
    """The frame is refused at its header."""
    header = modern_frame(TEXT, size=301, reserved=RSV1, key=peer_key(side))
    talk = talking(side, ours, message_size=1000, frame_size=300).receive(header)
    talk.assert_too_big("frame", 300, "frame_size")


@both
@pytest.mark.parametrize("memory", [1, 8])
@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_an_incompressible_message_may_grow_by_compression(
    side: str, memory: int, size: int
) -> None:
    """A message of exactly the limit is accepted, in one frame and in two; an uncompressed frame
    has its usual limit, and a compressed one is refused at its header too."""
    noise = Random(size).randbytes(size)
    ours = replace(KEEPS, memory=memory)
    other = Side.CLIENT if side == Side.SERVER else Side.SERVER
    writer = ConversationDriver("rfc6455", other, transform=transforms(ours, ours)[other])
    writer.conversation.send_bytes(noise, True)
    [(_, payload, _, reserved)] = unframed(writer.effects.written)
    assert (reserved, len(payload) > size) == (RSV1, True)
    for parts in ([payload], [b"", payload]):
        wire = b"".join(fragments(side, parts, BINARY))
        assert talking(side, message_size=size).receive(wire).heard == [(BINARY, noise)]
    plain = talking(side, message_size=size).receive(peer_frame(side, BINARY, bytes(size + 1)))
    plain.assert_too_big("frame", size)
    most = replace(LIMITS, message_size=size).largest_transformed_frame
    header = modern_frame(BINARY, size=most + 1, reserved=RSV1, key=peer_key(side))
    for chunks in every_way(header):
        talk = talking(side, message_size=size).receive(*chunks)
        talk.assert_too_big("frame", most)


@both
def test_fragments_of_a_compressed_message_are_counted(side: str) -> None:
    """Empty fragments, which inflate to nothing, count too."""
    data = b"".join(fragments(side, [HELLO, b"", b"", b""]))
    for chunks in every_way(data):
        talk = talking(side, fragments=3).receive(*chunks)
        talk.assert_too_big("message", 3, "fragments")


# What is kept.


@both
@pytest.mark.parametrize("ours", [PermessageDeflate(), DeflateFrame()], ids=["message", "frame"])
def test_an_idle_connection_without_takeover_keeps_nothing(side: str, ours: Extension) -> None:
    """Neither sent nor received data stays in memory."""
    talk = talking(side, ours)
    before = kept(talk.conversation)
    wire = peer_frame(side, TEXT, deflated(JSON.encode()), reserved=RSV1)
    talk.receive(*byte_by_byte(wire))
    talk.conversation.send_text(JSON, True)
    assert talk.heard == [(TEXT, JSON)]
    [(_, payload, _, reserved)] = unframed(talk.effects.written)
    assert reserved == RSV1
    assert zlib.decompressobj(-15).decompress(payload + TAIL) == JSON.encode()
    talk.effects.taken()
    assert kept(talk.conversation) - before <= 4
    transform = talk.conversation._transform  # private: a conversation keeps its own
    assert zlib_streams(transform) == (False, False)


# Writing.


@both
@every_keeper
def test_each_message_may_be_compressed_or_not(side: str, ours: Extension) -> None:
    """The sender decides, or else the size of the message. Messages are counted in either
    case."""
    talk = talking(side, ours)
    for compress in (None, True, False):
        talk.conversation.send_text("short", compress)
        talk.conversation.send_bytes(JSON.encode(), compress)
    bits = [reserved for _, _, _, reserved in unframed(talk.effects.written)]
    assert bits == [0, RSV1, RSV1, RSV1, 0, 0]
    assert talk.conversation.sent == 6


@both
@every_keeper
def test_control_frames_are_never_compressed(side: str, ours: Extension) -> None:
    """Pings, pongs and close frames stay uncompressed."""
    talk = talking(side, ours)
    talk.conversation.ping(b"x" * 125)
    talk.receive(peer_frame(side, Opcode.PING, b"y" * 125))
    talk.conversation.close(1000, "z" * 123)
    assert [reserved for _, _, _, reserved in unframed(talk.effects.written)] == [0, 0, 0]
    assert [len(payload) for _, payload in talk.said] == [125, 125, 125]


# Any two sides.


def assert_understood(
    client: Extension, server: Extension, messages: list[tuple[str | bytes, bool | None]]
) -> None:
    """Each message of either side arrives at the other one, in one read and byte by byte."""
    for split in (lambda wire: [wire], byte_by_byte):
        ends = transforms(client, server)
        talks = {side: ConversationDriver("rfc6455", side, transform=ends[side]) for side in SIDES}
        for one, other in (SIDES, SIDES[::-1]):
            for message, compress in messages:
                if isinstance(message, str):
                    talks[one].conversation.send_text(message, compress)
                else:
                    talks[one].conversation.send_bytes(message, compress)
            talks[other].receive(*split(talks[one].effects.written))
            heard = [message for _, message in talks[other].heard]
            assert heard == [message for message, _ in messages]
            assert talks[other].conversation.ended is None


SAID: list[tuple[str | bytes, bool | None]] = [
    *(
        (message, compress)
        for compress in (None, True, False)
        for message in ("", "é", JSON, NOISE)
    ),
    (b"", True),
    ("", True),
    (bytes(70_000), True),
    (JSON, True),
    (NOISE, True),
]


@pytest.mark.parametrize("bits", [(15, 15), (9, 9), (9, 15), (15, 8), (12, 10)])
@pytest.mark.parametrize("takeovers", list(product([True, False], repeat=2)))
@pytest.mark.parametrize(("level", "memory", "threshold"), [(1, 8, 256), (9, 1, 0)])
def test_both_sides_understand_each_other_in_every_configuration(
    bits: tuple[int, int], takeovers: tuple[bool, bool], level: int, memory: int, threshold: int
) -> None:
    """The client, the server, or both ask for the parameters."""
    ours = PermessageDeflate(*takeovers, *bits, level, memory, threshold)
    for client, server in ((ours, KEEPS), (KEEPS, ours), (ours, ours), (ours, PermessageDeflate())):
        assert_understood(client, server, SAID)


@pytest.mark.parametrize("takeovers", list(product([True, False], repeat=2)))
@pytest.mark.parametrize(("level", "memory", "threshold"), [(1, 8, 256), (9, 1, 0)])
def test_both_sides_understand_each_other_frame_by_frame(
    takeovers: tuple[bool, bool], level: int, memory: int, threshold: int
) -> None:
    """Context takeover is on for either side, for both and for none."""
    client, server = (DeflateFrame(keeps, level, memory, threshold) for keeps in takeovers)
    assert_understood(client, server, SAID)


messages = st.lists(
    st.tuples(
        st.text(max_size=60) | st.binary(max_size=60) | st.sampled_from([JSON, NOISE, bytes(999)]),
        st.sampled_from([None, True, False]),
    ),
    max_size=5,
)
preferences = st.builds(
    PermessageDeflate,
    st.booleans(),
    st.booleans(),
    st.integers(9, 15),
    st.integers(8, 15),
    st.sampled_from([1, 9]),
    st.sampled_from([1, 8]),
    st.sampled_from([0, 100]),
)


@given(st.data(), preferences, preferences, messages, st.sampled_from(SIDES))
def test_messages_are_heard_in_any_fragments_and_under_any_split(
    data: st.DataObject,
    client: PermessageDeflate,
    server: PermessageDeflate,
    said: list[tuple[str | bytes, bool | None]],
    side: str,
) -> None:
    """A proxy may cut a message anywhere: the bit stays on the first fragment."""
    ends = transforms(client, server)
    other = Side.CLIENT if side == Side.SERVER else Side.SERVER
    writer = ConversationDriver("rfc6455", other, transform=ends[other])
    for message, compress in said:
        if isinstance(message, str):
            writer.conversation.send_text(message, compress)
        else:
            writer.conversation.send_bytes(message, compress)
    wire = b""
    for opcode, payload, _, reserved in unframed(writer.effects.written):
        parts = data.draw(deliveries(payload))
        wire += b"".join(
            peer_frame(
                side,
                CONTINUATION if index else opcode,
                part,
                final=index == len(parts) - 1,
                reserved=0 if index else reserved,
            )
            for index, part in enumerate(parts)
        )
    reader = ConversationDriver("rfc6455", side, transform=ends[side]).receive(
        *data.draw(deliveries(wire))
    )
    assert [message for _, message in reader.heard] == [message for message, _ in said]
    reader.assert_open()


headers = st.builds(
    modern_frame,
    st.sampled_from([0, 0, 1, 2, 9]),
    st.sampled_from([b"", HELLO, HELLO[:3], HELLO[3:], b"\x00", b"x", b"\xff", b"\x03\x00"]),
    final=st.booleans(),
    reserved=st.sampled_from([0, RSV1, RSV1, 0x20]),
)


@given(
    st.data(),
    st.lists(headers, max_size=8).map(b"".join),
    st.sampled_from([KEEPS, PermessageDeflate(), FRAMES, DeflateFrame()]),
)
def test_any_frames_are_messages_or_a_close(
    data: st.DataObject, garbage: bytes, ours: Extension
) -> None:
    """No frames raise an error, no message exceeds the limit, and the cuts of the reads make no
    difference."""

    def judge(chunks: list[bytes]) -> tuple[object, ...]:
        talk = talking(Side.CLIENT, ours, message_size=16).receive(*chunks)
        assert all(len(message) <= 16 for _, message in talk.heard)
        return talk.heard, talk.said, talk.conversation.ended

    whole = judge([garbage])
    assert judge(byte_by_byte(garbage)) == whole
    assert judge(data.draw(deliveries(garbage))) == whole
