"""The framing of the Hixie drafts: every frame whole or in pieces, every limit before it costs."""

from __future__ import annotations

import sys
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import Chunks, byte_by_byte, every_way, same_every_way
from support.frames import NO_CODE, read_frames, whole_frames
from support.held_bytes import kept
from support.peer_errors import assert_raises
from support.vectors import Item, padded, vectors
from txhixie.errors import FrameError, MessageTooBig, UnsupportedByDialect
from txhixie.sansio.wire.frame import Close, Frame, Opcode, Side
from txhixie.sansio.wire.hixie import HixieFraming, encode_length
from txhixie.testing.strategies import deliveries

LIMIT = 1000
HELLO = b"\x00Hello\xff"
READ_HELLO = (Opcode.TEXT, b"Hello")


def codec(
    side: str = Side.SERVER,
    *,
    limit: int = LIMIT,
    closes: bool = True,
    has_binary: bool = False,
) -> HixieFraming:
    """A framing, of hixie-76 unless told otherwise."""
    return HixieFraming(side, limit, closes=closes, has_binary=has_binary)


def frames_of(data: bytes, tail: bytes = b"", **kind: Any) -> list[tuple[int, bytes]]:
    """The frames that a new framing reads, for any cuts of the reads."""
    return same_every_way(lambda chunks: read_frames(codec(**kind), chunks), data, tail)


def assert_fails(data: bytes, error: type[FrameError] = FrameError, **kind: Any) -> None:
    """Assert that a new framing fails with this error, for any cuts of the reads."""
    for chunks in every_way(data):
        assert_raises(error, read_frames, codec(**kind), chunks)


# Reading.


@pytest.mark.parametrize("payload", [b"", b"Hello", b"\x00\x80\x00", b"\xfe", "日本".encode()])
@pytest.mark.parametrize("side", [Side.CLIENT, Side.SERVER])
def test_text_is_what_stands_between_00_and_ff(side: str, payload: bytes) -> None:
    """Any byte but 0xFF is data, a NUL too, and the next frame begins right after."""
    data = b"\x00" + payload + b"\xff"
    assert frames_of(data, HELLO, side=side) == [(Opcode.TEXT, payload), READ_HELLO]


@pytest.mark.parametrize("payload", [b"", b"x", b"\xff\x00\xff", b"\x00" * 127, b"\xff" * 128])
@pytest.mark.parametrize("side", [Side.CLIENT, Side.SERVER])
@pytest.mark.parametrize("closes", [False, True])
def test_binary_is_as_long_as_it_says(side: str, closes: bool, payload: bytes) -> None:
    """0x80 frames with any payload are read in all three dialects, on both sides."""
    data = b"\x80" + encode_length(len(payload)) + payload
    expected = [(Opcode.BINARY, payload), READ_HELLO]
    assert frames_of(data, HELLO, side=side, closes=closes) == expected


@pytest.mark.parametrize("padding", range(10))
def test_leading_zeros_of_a_length_mean_nothing(padding: int) -> None:
    """No draft asks for the shortest form; up to ten bytes are read."""
    data = b"\x80" + b"\x80" * padding + b"\x05" + b"hello"
    assert frames_of(data, HELLO) == [(Opcode.BINARY, b"hello"), READ_HELLO]


@pytest.mark.parametrize("close", [b"\xff\x00", b"\xff\x80\x00", b"\xff" + b"\x80" * 9 + b"\x00"])
@pytest.mark.parametrize("side", [Side.CLIENT, Side.SERVER])
def test_ff_and_a_length_of_nothing_closes_hixie_76(side: str, close: bytes) -> None:
    """However the nothing is written."""
    assert frames_of(close, side=side) == [(Opcode.CLOSE, b"")]


@pytest.mark.parametrize("kind", [0x01, 0x66, 0x7F, 0x81, 0xFE, 0xFF])
def test_a_server_fails_at_a_frame_it_does_not_know(kind: int) -> None:
    """At its first byte: what it would hold is not waited for."""
    assert_fails(bytes([kind]), closes=False)
    assert_fails(b"\x80\x01x\x00y\xff" + bytes([kind]), closes=False)


@pytest.mark.parametrize("data", [b"\xff\x01", b"\xff\x80\x01", b"\xff\xff"])
def test_a_server_of_hixie_76_fails_at_a_close_frame_with_a_payload(data: bytes) -> None:
    """The server fails at the first bit of the length: the payload is not awaited."""
    assert_fails(data)


@pytest.mark.parametrize(
    "unknown",
    [b"\x01skip\xff", b"\x7f\xff", b"\x81\x03\xff\x00\xff", b"\xfe\x00", b"\xff\x02\x00\xff"],
)
@pytest.mark.parametrize("closes", [False, True])
def test_a_client_reads_over_a_frame_it_does_not_know(closes: bool, unknown: bytes) -> None:
    """The drafts tell clients to, so that servers can be newer."""
    data = HELLO + unknown + HELLO
    assert frames_of(data, HELLO, side=Side.CLIENT, closes=closes) == [READ_HELLO] * 3


def test_before_hixie_76_a_client_reads_over_ff_00() -> None:
    """There it is one more unknown frame, without content."""
    assert frames_of(b"\xff\x00", HELLO, side=Side.CLIENT, closes=False) == [READ_HELLO]


@pytest.mark.parametrize(
    "data", [b"\x00", b"\x00Hel", b"\x80", b"\x80\x81", b"\x80\x05hell", b"\xff"]
)
def test_the_rest_of_a_frame_is_waited_for(data: bytes) -> None:
    """Nothing whole, nothing wrong."""
    assert frames_of(data) == []


def test_a_long_frame_is_read_in_pieces() -> None:
    """The first piece has the opcode, the others are continuations, and the last one is final."""
    framing = codec()
    found: list[Frame] = []
    for chunk in (b"\x00ab", b"cd", b"", b"\xff\x80\x03x", b"yz"):
        framing.feed(chunk)
        found += framing.frames()
    assert found == [
        (Opcode.TEXT, b"ab", False, 0, False),
        (Opcode.CONTINUATION, b"cd", False, 0, False),
        (Opcode.CONTINUATION, b"", True, 0, True),
        (Opcode.BINARY, b"x", False, 0, False),
        (Opcode.CONTINUATION, b"yz", True, 0, True),
    ]


# Limits.


@pytest.mark.parametrize("side", [Side.CLIENT, Side.SERVER])
def test_a_payload_of_exactly_the_limit_is_read(side: str) -> None:
    """The limit is what a payload may have."""
    payload = b"x" * LIMIT
    assert frames_of(b"\x00" + payload + b"\xff", HELLO, side=side)[0][1] == payload
    sized = b"\x80" + encode_length(LIMIT) + payload
    assert frames_of(sized, HELLO, side=side) == [(Opcode.BINARY, payload), READ_HELLO]


@pytest.mark.parametrize("side", [Side.CLIENT, Side.SERVER])
def test_text_of_one_byte_more_is_too_big(side: str) -> None:
    """With its end in sight or not."""
    text = b"\x00" + b"x" * (LIMIT + 1)
    assert_fails(text, MessageTooBig, side=side)
    assert_fails(text + b"\xff", MessageTooBig, side=side)


@pytest.mark.parametrize("side", [Side.CLIENT, Side.SERVER])
@pytest.mark.parametrize("length", [LIMIT + 1, 1 << 31, 1 << 32, 1 << 63, (1 << 70) - 1])
def test_a_giant_length_is_refused_before_anything_of_it_comes(side: str, length: int) -> None:
    """No sign overflows, nothing is waited for and nothing set aside."""
    assert_fails(b"\x80" + encode_length(length), MessageTooBig, side=side)


@pytest.mark.parametrize("side", [Side.CLIENT, Side.SERVER])
@pytest.mark.parametrize("kind", [b"\x80", b"\xff"])
def test_a_length_that_does_not_end_is_refused(side: str, kind: bytes) -> None:
    """Ten bytes of zeros are read, and no eleventh is waited for."""
    assert frames_of(kind + b"\x80" * 9, side=side) == []
    assert_fails(kind + b"\x80" * 10, MessageTooBig, side=side)


@pytest.mark.parametrize("kind", [b"\x01", b"\x81\x87\x69"])
def test_a_client_does_not_read_over_more_than_the_limit(kind: bytes) -> None:
    """An unknown frame may cost as much time as a known one, and no more."""
    assert_fails(kind + b"x" * (LIMIT + 1), MessageTooBig, side=Side.CLIENT)


def test_endless_text_is_never_kept() -> None:
    """Pieces are the caller's; between reads the framing itself holds none of it."""
    framing = codec(limit=1 << 20)
    for chunk in (b"\x00", *[b"x" * 4096] * 100):
        framing.feed(chunk)
        assert len(list(framing.frames())) <= 1
        assert kept(framing) == 0


@pytest.mark.parametrize("data", [HELLO, HELLO * 3, b"\x80\x02xy", b"\x00partial", b"\x80\x05part"])
def test_an_idle_framing_holds_on_to_no_chunk(data: bytes) -> None:
    """A thousand idle connections do not keep a thousand reads of 64 KiB alive."""
    framing = codec()
    chunk = data + b""
    before = sys.getrefcount(chunk)
    framing.feed(chunk)
    assert sys.getrefcount(chunk) > before
    assert list(framing.frames())
    assert sys.getrefcount(chunk) == before
    assert kept(framing) == 0


def test_of_a_header_that_has_not_come_whole_only_its_bytes_are_kept() -> None:
    """Not the read in which it began."""
    framing = codec()
    framing.feed(HELLO * 1000 + b"\x80\x81")
    assert len(list(framing.frames())) == 1000
    assert kept(framing) == 2


# Pausing.


STREAM = HELLO + b"\x00\xff" + b"\x80\x03abc" + b"\x80\x00" + b"\x00" + b"y" * 50 + b"\xff" + HELLO
IN_STREAM = read_frames(codec(), [STREAM])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 1000])
@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_a_caller_may_stop_after_any_frame_and_feed_on(size: int, at_once: int) -> None:
    """A paused caller gets every frame later, in order and once, with any reads in between."""
    framing = codec()
    found: list[Frame] = []
    for start in range(0, len(STREAM), size):
        framing.feed(STREAM[start : start + size])
        found += islice(framing.frames(), at_once)
    found += framing.frames()
    assert whole_frames(found) == IN_STREAM


def test_one_caller_may_go_on_with_an_iterator_that_was_fed_meanwhile() -> None:
    """An application that resumes from within a delivery is served by the same loop."""
    framing = codec()
    framing.feed(HELLO)
    frames = framing.frames()
    found = [next(frames)]
    framing.feed(STREAM)
    found += frames
    assert whole_frames(found) == [READ_HELLO, *IN_STREAM]


def test_frames_that_are_not_taken_wait() -> None:
    """Bytes fed while delivery is paused are only appended to the buffer."""
    framing = codec()
    for byte in byte_by_byte(STREAM):
        framing.feed(byte)
    assert whole_frames(framing.frames()) == IN_STREAM
    assert list(framing.frames()) == []


# Writing.


def test_text_is_written_between_00_and_ff() -> None:
    """By either side, in each of the drafts."""
    assert codec().encode(Opcode.TEXT, b"Hello, WebSocket") == b"\x00Hello, WebSocket\xff"


def test_binary_is_written_where_it_is_not_lost() -> None:
    """``80 10`` and sixteen bytes, as on the slides."""
    framing = codec(has_binary=True)
    written = framing.encode(Opcode.BINARY, b"Hello, WebSocket")
    assert written == b"\x80\x10Hello, WebSocket"


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
@pytest.mark.parametrize("size", [0, 127, 128, 100_000])
def test_a_frame_in_parts_is_the_same_frame(opcode: int, size: int) -> None:
    framing, payload = codec(has_binary=True), b"x" * size
    parts = framing.encode_parts(opcode, payload)
    assert b"".join(parts) == framing.encode(opcode, payload)
    assert parts[1] is payload, "it was copied"


def test_binary_is_not_written_to_a_peer_that_would_lose_it() -> None:
    """The error has the reason; the frame is not half written."""
    with pytest.raises(UnsupportedByDialect, match="drop binary messages"):
        codec().encode(Opcode.BINARY, b"x")


@pytest.mark.parametrize("side", [Side.CLIENT, Side.SERVER])
def test_a_peer_that_sends_binary_may_be_sent_binary(side: str) -> None:
    """Netty reads what it writes. A text or a skipped frame proves nothing."""
    framing = codec(side)
    assert read_frames(framing, [HELLO]) == [READ_HELLO]
    assert not framing.has_binary
    assert read_frames(framing, [b"\x80\x00"]) == [(Opcode.BINARY, b"")]
    assert framing.encode(Opcode.BINARY, b"x") == b"\x80\x01x"


def test_a_frame_that_is_read_over_does_not_show_that_binary_is_read() -> None:
    """Only 0x80 is binary."""
    framing = codec(Side.CLIENT)
    assert read_frames(framing, [b"\x81\x01x", b"\xfe\x00"]) == []
    assert not framing.has_binary


@pytest.mark.parametrize("opcode", [Opcode.CONTINUATION, Opcode.CLOSE, Opcode.PING, Opcode.PONG])
def test_there_are_no_other_frames_to_write(opcode: int) -> None:
    """Neither pings nor fragments; the close has a way of its own."""
    with pytest.raises(UnsupportedByDialect):
        codec(has_binary=True).encode(opcode, b"")


def test_only_hixie_76_has_a_close_frame_to_write() -> None:
    """The close frame has neither code nor reason; in older drafts the end of the connection is
    the close."""
    assert codec().encode_close(Close(1000, "bye")) == b"\xff\x00"
    assert codec(closes=False).encode_close(Close(1000, "bye")) == b""


def test_a_close_frame_has_no_code() -> None:
    """The peer's close frame has no code, so none is reported."""
    assert codec().read_close(b"") == Close(NO_CODE)


@pytest.mark.parametrize(
    ("length", "written"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "8100"),
        (16383, "ff7f"),
        (16384, "818000"),
        (2097151, "ffff7f"),
        (2097152, "81808000"),
    ],
)
def test_lengths_are_groups_of_seven_bits(length: int, written: str) -> None:
    """The most significant first, bit 7 on all but the last."""
    assert encode_length(length).hex() == written


@vectors("hixie_frames", lambda item: item["id"].startswith("f-varint"))
def test_lengths_are_written_as_in_the_vectors(item: Item) -> None:
    """At and above 2^21 too, where Netty's encoder goes wrong."""
    written = codec(has_binary=True).encode(Opcode.BINARY, b"x" * item["length"])
    assert written == padded(item)


# Properties.


contents = st.tuples(st.just(Opcode.TEXT), st.text(max_size=200).map(str.encode)) | st.tuples(
    st.just(Opcode.BINARY), st.binary(max_size=200)
)


@given(st.data(), st.lists(contents, max_size=6), st.booleans())
def test_what_is_encoded_is_decoded_under_any_split(
    data: st.DataObject, messages: list[tuple[int, bytes]], closes: bool
) -> None:
    """Both sides write alike, and a reader does not depend on where a read ends."""
    writer = codec(has_binary=True, closes=closes)
    written = b"".join(writer.encode(opcode, payload) for opcode, payload in messages)
    chunks = data.draw(deliveries(written))
    for side in (Side.CLIENT, Side.SERVER):
        assert read_frames(codec(side, closes=closes), chunks) == messages


bits = st.sampled_from([b"\x00", b"\xff", b"\x80", b"\xff\x00", b"\x80\x02", b"\x81\x01", b"\x01"])


@given(
    st.data(),
    st.lists(bits | st.binary(max_size=30), max_size=12).map(b"".join),
    st.sampled_from([Side.CLIENT, Side.SERVER]),
    st.booleans(),
)
def test_any_bytes_are_frames_or_a_named_error(
    data: st.DataObject, garbage: bytes, side: str, closes: bool
) -> None:
    """Never another exception; no payload over the limit; nothing kept but an unfinished header;
    and where a read ends makes no difference to what is whole or to what fails."""

    def judge(chunks: Chunks) -> tuple[list[tuple[int, bytes]], type[FrameError] | None]:
        framing = codec(side, limit=16, closes=closes)
        found: list[Frame] = []
        try:
            for chunk in chunks:
                framing.feed(chunk)
                found += framing.frames()
                assert kept(framing) <= 11
        except FrameError as error:
            return whole_frames(found), type(error)
        return whole_frames(found), None

    whole = judge([garbage])
    assert all(len(payload) <= 16 for _, payload in whole[0])
    assert judge(data.draw(deliveries(garbage))) == whole
    assert judge(byte_by_byte(garbage)) == whole
