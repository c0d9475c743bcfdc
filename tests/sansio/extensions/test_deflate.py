"""Raw DEFLATE, bounded on the way in: against zlib itself, bombs, garbage and what is kept."""

from __future__ import annotations

import tracemalloc
import zlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.held_bytes import kept
from support.peer_errors import assert_raises
from support.private_state import has_stream
from txhixie.errors import BadCompression, MessageTooBig
from txhixie.sansio.extensions.deflate import TAIL, Deflater, Inflater
from txhixie.testing.strategies import deliveries

ROOM = 1 << 20
TEXT = b"Hello, WebSocket! " * 400
NOISE = Random(7692).randbytes(5000)
SAMPLES = [b"", b"x", b"Hello", TEXT, NOISE, TEXT + NOISE, b"a" * 4096, b"a" * 4097, bytes(100_000)]


def deflater(bits: int = 15, *, level: int = 6, memory: int = 8, takeover: bool) -> Deflater:
    """The compressor of one connection."""
    return Deflater(bits, level, memory, takeover)


def inflated(inflater: Inflater, data: bytes, room: int = ROOM) -> bytes:
    """The payload of a whole message."""
    found = inflater.inflate(data, room)
    return found + inflater.finish(room - len(found))


def by_zlib(
    data: bytes, *, bits: int = 15, level: int = 6, flush: int = zlib.Z_SYNC_FLUSH
) -> bytes:
    """A message compressed by zlib."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -bits)
    deflated = compressor.compress(data) + compressor.flush(flush)
    return deflated.removesuffix(TAIL) if flush == zlib.Z_SYNC_FLUSH else deflated + b"\x00"


def read_by_zlib(messages: list[bytes], *, bits: int, takeover: bool) -> list[bytes]:
    """A payload of the package, decompressed by zlib."""
    found = []
    reader = zlib.decompressobj(-bits)
    for message in messages:
        if not takeover:
            reader = zlib.decompressobj(-bits)
        found.append(reader.decompress(message + TAIL))
        assert not reader.unused_data
    return found


# Compression.


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("level", [1, 6, 9])
@pytest.mark.parametrize("memory", [1, 5, 8, 9])
def test_what_is_deflated_with_takeover_is_read_by_zlib(bits: int, level: int, memory: int) -> None:
    """Also with a window of exactly the agreed bits, over many messages, empty ones in between."""
    ours = deflater(bits, level=level, memory=memory, takeover=True)
    messages = [ours.deflate(sample) for sample in SAMPLES * 2]
    whole = [message for message in messages if message is not None]
    assert read_by_zlib(whole, bits=bits, takeover=True) == SAMPLES * 2


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("memory", [1, 5, 9])
def test_what_is_deflated_without_takeover_is_read_by_zlib_each_by_itself(
    bits: int, memory: int
) -> None:
    """A message that would not shrink is left uncompressed."""
    ours = deflater(bits, memory=memory, takeover=False)
    for sample in SAMPLES:
        message = ours.deflate(sample)
        if message is None:
            assert len(by_zlib(sample, bits=bits)) >= len(sample)
        else:
            assert len(message) < len(sample)
            assert read_by_zlib([message], bits=bits, takeover=False) == [sample]


def test_later_messages_refer_to_earlier_ones_with_takeover_alone() -> None:
    """A repeated message costs a few bytes with takeover, and its first size without."""
    sample = Random(1).randbytes(300).hex().encode()
    with_takeover, without = deflater(takeover=True), deflater(takeover=False)
    first, again = with_takeover.deflate(sample), with_takeover.deflate(sample)
    assert first is not None
    assert again is not None
    assert len(again) < len(first) / 10
    assert without.deflate(sample) == without.deflate(sample)


def test_with_takeover_a_message_is_sent_compressed_even_if_it_grows() -> None:
    """The compressor has taken it in: the peer's has to as well."""
    assert deflater(takeover=True).deflate(NOISE) is not None
    assert deflater(takeover=False).deflate(NOISE) is None
    assert deflater(takeover=False).deflate(b"") is None


def test_empty_messages_are_one_byte_each_time() -> None:
    """RFC 7692 section 7.2.3.6; a second flush in a row must not give nothing at all."""
    ours = deflater(takeover=True)
    assert [ours.deflate(data) for data in (b"", b"", b"x")][:2] == [b"\x00", b"\x00"]
    assert ours.deflate(b"") == b"\x00"


def test_without_takeover_no_compressor_is_kept() -> None:
    """An idle connection has none; with takeover it is what was agreed."""
    with_takeover, without = deflater(takeover=True), deflater(takeover=False)
    for ours in (with_takeover, without):
        ours.deflate(TEXT)
    assert not has_stream(without)
    assert has_stream(with_takeover)


# Decompression.


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("takeover", [True, False])
def test_what_zlib_deflates_is_inflated(bits: int, level: int, takeover: bool) -> None:
    """Stored blocks too, and with windows of every size."""
    inflater = Inflater(bits, takeover)
    for sample in SAMPLES * 2:
        assert inflated(inflater, by_zlib(sample, bits=bits, level=level)) == sample


@pytest.mark.parametrize("bits", range(8, 15))
def test_a_peer_that_refers_further_back_than_was_agreed_is_refused(bits: int) -> None:
    """The bytes referred to were not kept, and are not invented."""
    far = Random(bits).randbytes((512 << max(bits - 9, 0)) + 300)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    first, second = (
        (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
        for data in (far, far[:200])
    )
    assert len(second) < 20
    narrow, wide = Inflater(bits, takeover=True), Inflater(15, takeover=True)
    assert inflated(narrow, first) == inflated(wide, first) == far
    assert inflated(wide, second) == far[:200]
    reason = "^invalid compressed data: .*too far back"
    assert_raises(BadCompression, inflated, narrow, second, match=reason)


def test_a_window_of_eight_bits_is_read() -> None:
    """zlib has no window so small, but one of nine bits covers its references."""
    inflater = Inflater(8, takeover=True)
    assert inflated(inflater, by_zlib(TEXT, bits=9)) == TEXT


@pytest.mark.parametrize("bits", range(9, 16))
def test_messages_may_refer_to_earlier_ones(bits: int) -> None:
    """Over pieces of any size."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -bits)
    inflater = Inflater(bits, takeover=True)
    for sample in SAMPLES:
        data = compressor.compress(sample) + compressor.flush(zlib.Z_SYNC_FLUSH)
        data = data.removesuffix(TAIL)
        found = b"".join(inflater.inflate(data[i : i + 7], ROOM) for i in range(0, len(data), 7))
        assert found + inflater.finish(ROOM) == sample


def test_without_takeover_a_reference_to_an_earlier_message_is_refused() -> None:
    """The peer has said that there would be none; nothing of it was kept."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    first, second = (
        (compressor.compress(TEXT) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
        for _ in range(2)
    )
    inflater = Inflater(15, takeover=False)
    assert inflated(inflater, first) == TEXT
    assert_raises(BadCompression, inflated, inflater, second, match="^invalid compressed data")


@pytest.mark.parametrize("takeover", [True, False])
def test_a_block_that_says_it_is_the_last_is_not(takeover: bool) -> None:
    """RFC 7692 section 7.2.3.4; other blocks and other messages come behind it."""
    inflater = Inflater(15, takeover)
    last = by_zlib(b"Hello", flush=zlib.Z_FINISH)
    for data, found in [
        (last, b"Hello"),
        (last[:-1] + by_zlib(TEXT), b"Hello" + TEXT),
        (last[:-1] * 3 + b"\x00", b"Hello" * 3),
        (by_zlib(b"after"), b"after"),
    ]:
        assert inflated(inflater, data) == found


@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_last_block_may_be_cut_anywhere(takeover: bool, size: int) -> None:
    """Its end and the beginning of the next in one piece or in two."""
    data = by_zlib(b"Hello", flush=zlib.Z_FINISH)[:-1] * 2 + by_zlib(b"!")
    inflater = Inflater(15, takeover)
    found = b"".join(inflater.inflate(data[i : i + size], ROOM) for i in range(0, len(data), size))
    assert found + inflater.finish(ROOM) == b"HelloHello!"


@pytest.mark.parametrize(
    "garbage",
    [b"\xff" * 10, b"\x07", b"\x06" * 9, b"\x00\x05\x00\x00\x00Hello", b"Hello, plain text", NOISE],
)
@pytest.mark.parametrize("takeover", [True, False])
def test_data_that_is_not_deflate_is_refused(garbage: bytes, takeover: bool) -> None:
    """An unknown kind of block, lengths that contradict each other, text: never zlib.error."""
    for inflater in (Inflater(15, takeover), Inflater(9, takeover)):
        assert_raises(
            BadCompression, inflated, inflater, garbage, match="^invalid compressed data: "
        )


# Bombs.


@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("room", [0, 1, 17, 4096, 65536])
def test_a_message_of_exactly_the_room_is_inflated_and_no_more(takeover: bool, room: int) -> None:
    """The limit itself, and one byte above it."""
    assert inflated(Inflater(15, takeover), by_zlib(bytes(room)), room) == bytes(room)
    reason = "^inflated message too big$"
    data = by_zlib(bytes(room + 1))
    assert_raises(MessageTooBig, inflated, Inflater(15, takeover), data, room, match=reason)


def test_a_bomb_is_stopped_before_it_is_kept() -> None:
    """A thousand to one, in one piece or in many: no more is made than there is room for."""
    bomb = by_zlib(bytes(64 << 20), level=9)
    assert len(bomb) < 70_000
    room = 100_000
    for size in (len(bomb), 1000, 1):
        inflater = Inflater(15, takeover=True)
        tracemalloc.start()
        try:
            with pytest.raises(MessageTooBig):
                inflate_in_pieces(inflater, bomb, size, room)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 4 * room


def inflate_in_pieces(inflater: Inflater, data: bytes, size: int, room: int) -> int:
    """Inflate, and throw away what comes of it."""
    for start in range(0, len(data), size):
        room -= len(inflater.inflate(data[start : start + size], room))
    return room


def test_a_bomb_in_last_blocks_is_stopped_too() -> None:
    """A new beginning does not begin the count anew."""
    block = by_zlib(bytes(60_000), flush=zlib.Z_FINISH)[:-1]
    assert len(Inflater(15, takeover=False).inflate(block * 2, 120_000)) == 120_000
    assert_raises(MessageTooBig, Inflater(15, takeover=False).inflate, block * 3, 120_000)


def test_what_the_end_releases_counts() -> None:
    """A stored block that is cut short takes the tail, which is added to every message, for four
    bytes of its own."""
    data = b"\x00\x09\x00\xf6\xffHello"
    assert inflated(Inflater(15, takeover=False), data, 9) == b"Hello" + TAIL
    for room in range(5, 9):
        assert_raises(MessageTooBig, inflated, Inflater(15, takeover=False), data, room)


def test_after_a_message_without_takeover_nothing_is_kept() -> None:
    """Neither an inflater nor a byte; with takeover it is what was agreed."""
    with_takeover, without = Inflater(15, takeover=True), Inflater(15, takeover=False)
    for inflater in (with_takeover, without):
        assert not has_stream(inflater)
        assert inflated(inflater, by_zlib(TEXT)) == TEXT
        assert kept(inflater) == 0
    assert not has_stream(without)
    assert has_stream(with_takeover)


# Properties.


messages = st.lists(
    st.binary(max_size=300) | st.text(max_size=200).map(str.encode) | st.sampled_from(SAMPLES[3:6]),
    min_size=1,
    max_size=5,
)


@given(st.data(), messages, st.integers(9, 15), st.booleans(), st.sampled_from([1, 6, 9]))
def test_what_is_deflated_is_inflated_under_any_split(
    data: st.DataObject, samples: list[bytes], bits: int, takeover: bool, level: int
) -> None:
    """The messages may have any content."""
    ours = deflater(bits, level=level, takeover=takeover)
    inflater = Inflater(bits, takeover)
    for sample in samples:
        message = ours.deflate(sample)
        if message is not None:
            pieces = data.draw(deliveries(message))
            found = b"".join(inflater.inflate(piece, ROOM) for piece in pieces)
            assert found + inflater.finish(ROOM) == sample


@given(st.data(), st.binary(max_size=60), st.booleans())
def test_any_bytes_are_inflated_or_a_named_error(
    data: st.DataObject, garbage: bytes, takeover: bool
) -> None:
    """Never zlib.error, never more than the room, and the same however they are cut."""

    def judge(pieces: list[bytes]) -> object:
        inflater = Inflater(15, takeover)
        found, room = b"", 50
        try:
            for piece in pieces:
                part = inflater.inflate(piece, room)
                found += part
                room -= len(part)
                assert room >= 0
            found += inflater.finish(room)
        except (BadCompression, MessageTooBig) as error:
            return type(error)
        return found

    assert judge([garbage]) == judge(data.draw(deliveries(garbage)))


def test_blocks_that_all_call_themselves_the_last_are_stopped() -> None:
    """Each costs an inflater and a copy of what is left: the square of their number."""
    few, many = b"\x03\x00" * 100, b"\x03\x00" * 101
    assert Inflater(15, takeover=True).inflate(few, 10) == b""
    with pytest.raises(BadCompression, match="too many"):
        Inflater(15, takeover=True).inflate(many, 10)
