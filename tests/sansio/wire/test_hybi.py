"""The framing of hybi-07 to RFC 6455: every header, every length, every mask, in any pieces."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterable
from itertools import islice
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import Chunks, byte_by_byte, every_way, same_every_way
from support.frames import MASK, NO_CODE, modern_frame, peer_frame, peer_key, unframed
from support.held_bytes import kept
from support.peer_errors import assert_raises
from txhixie.errors import FrameError, InvalidUTF8, MessageTooBig, UsageError
from txhixie.sansio.dialects import named
from txhixie.sansio.limits import Limits
from txhixie.sansio.wire.frame import Close, Frame, Opcode, Side
from txhixie.sansio.wire.hybi import HybiFraming, cut, sendable
from txhixie.sansio.wire.mask_keys import random_bytes
from txhixie.testing.strategies import deliveries

LIMIT = 100_000
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10
CONTROL = (Opcode.CLOSE, Opcode.PING, Opcode.PONG)
DATA = (Opcode.CONTINUATION, Opcode.TEXT, Opcode.BINARY)
UNKNOWN = (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)
NAMES = ("hybi-07", "hybi-08", "rfc6455")

Whole = tuple[int, bytes, bool, int]

both_sides = pytest.mark.parametrize("side", [Side.CLIENT, Side.SERVER])
every_name = pytest.mark.parametrize("name", NAMES)


def codec(side: str = Side.SERVER, *, limit: int = LIMIT, **kind: Any) -> HybiFraming:
    """A framing, of RFC 6455 unless told otherwise."""
    return HybiFraming(side, limit, **kind)


def of(name: str, side: str, *, reserved: int = 0, limit: int = LIMIT) -> HybiFraming:
    """The framing of a dialect."""
    limits = Limits(message_size=limit)
    framing = named(name).framing(side, limits, False, reserved, Random(6455).randbytes)
    assert isinstance(framing, HybiFraming)
    return framing


def joined(frames: Iterable[Frame]) -> list[Whole]:
    """Frames with their pieces put together, as far as they came whole; pieces must fit."""
    found: list[Whole] = []
    inside = False
    for opcode, payload, final, reserved, whole in frames:
        assert type(payload) is bytes
        if inside:
            assert (opcode, reserved) == (Opcode.CONTINUATION, 0)
            first, before, was_final, bits = found[-1]
            assert final == was_final
            found[-1] = (first, before + payload, final, bits)
        else:
            found.append((opcode, payload, final, reserved))
        assert whole or opcode not in CONTROL
        inside = not whole
    return found[:-1] if inside else found


def read(framing: HybiFraming, chunks: Iterable[bytes]) -> list[Whole]:
    """All the frames of a delivery."""
    frames: list[Frame] = []
    for chunk in chunks:
        framing.feed(chunk)
        frames.extend(framing.frames())
    return joined(frames)


def frames_of(data: bytes, name: str = "rfc6455", side: str = Side.SERVER, **kind: Any) -> Any:
    """The frames that a new framing reads, for any cuts of the reads, and with a frame behind
    them."""
    hello = peer_frame(side, Opcode.TEXT, b"Hello")
    found = same_every_way(lambda chunks: read(of(name, side, **kind), chunks), data, hello)
    assert found[-1] == (Opcode.TEXT, b"Hello", True, 0)
    return found[:-1]


def assert_fails(
    data: bytes,
    match: str,
    error: type[FrameError] = FrameError,
    name: str = "rfc6455",
    side: str = Side.SERVER,
    **kind: Any,
) -> None:
    """Assert that a new framing fails with this error, for any cuts of the reads."""
    for chunks in every_way(data):
        assert_raises(error, read, of(name, side, **kind), chunks, match=f"^{match}$")


# Reading.


@every_name
@both_sides
@pytest.mark.parametrize("opcode", [*DATA, *CONTROL])
@pytest.mark.parametrize("payload", [b"", b"H", b"Hello", b"\x00\xff" * 62, b"\x81\x85" + MASK])
def test_a_frame_is_what_its_header_says(name: str, side: str, opcode: int, payload: bytes) -> None:
    """In every dialect, masked by clients and plain from servers, and the next begins behind it."""
    data = peer_frame(side, opcode, payload)
    assert frames_of(data, name, side) == [(opcode, payload, True, 0)]


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 124, 125, 126, 127, 128, 255, 256, 1000])
@pytest.mark.parametrize("size_16", [65534, 65535, 65536, 65537])
@both_sides
def test_lengths_are_read_at_every_boundary(side: str, size: int, size_16: int) -> None:
    """Of 7, 16 and 64 bits, one after the other."""
    payloads = [b"a" * size, b"b" * size_16]
    data = b"".join(peer_frame(side, Opcode.BINARY, payload) for payload in payloads)
    expected = [(Opcode.BINARY, payload, True, 0) for payload in payloads]
    assert read(of("rfc6455", side), [data]) == expected


@both_sides
@pytest.mark.parametrize("size", [125, 126, 65535, 65536])
def test_lengths_are_read_however_they_come(side: str, size: int) -> None:
    """A header may be cut between any two of its bytes."""
    payload = Random(size).randbytes(size)
    data = peer_frame(side, Opcode.BINARY, payload)
    assert frames_of(data, side=side) == [(Opcode.BINARY, payload, True, 0)]


@every_name
@both_sides
@pytest.mark.parametrize("opcode", [*DATA, Opcode.PING])
@pytest.mark.parametrize("size", [1 << 63, (1 << 63) + 5, (1 << 64) - 1])
def test_a_length_has_no_top_bit(name: str, side: str, opcode: int, size: int) -> None:
    """No reader may take the length for a negative number (section 5.2)."""
    data = modern_frame(opcode, size=size, form=8, key=peer_key(side))
    assert_fails(
        data, "the most significant bit of a 64-bit payload length must be 0", name=name, side=side
    )


NOT_MINIMAL = [(0, 2), (5, 2), (125, 2), (0, 8), (125, 8), (126, 8), (65535, 8)]


@every_name
@both_sides
@pytest.mark.parametrize(("size", "form"), NOT_MINIMAL)
def test_a_length_may_have_more_bytes_than_it_needs(
    side: str, name: str, size: int, form: int
) -> None:
    """RFC 6455 forbids it to senders and asks no receiver to mind; websocket-client 0.7 to 0.12
    writes 125 so."""
    data = modern_frame(Opcode.BINARY, b"x" * size, form=form, key=peer_key(side))
    assert frames_of(data, name, side) == [(Opcode.BINARY, b"x" * size, True, 0)]


@both_sides
@pytest.mark.parametrize(("size", "form"), [(0, 2), (125, 2), (5, 8)])
def test_the_length_of_a_control_frame_may_have_a_longer_form(
    side: str, size: int, form: int
) -> None:
    """The payload has the bound, not the form of its length."""
    data = modern_frame(Opcode.PING, b"x" * size, form=form, key=peer_key(side))
    assert frames_of(data, side=side) == [(Opcode.PING, b"x" * size, True, 0)]
    long = modern_frame(Opcode.PING, b"x" * 126, form=form or 2, key=peer_key(side))
    assert_fails(long, "control frame payload longer than 125 bytes", side=side)


@every_name
@both_sides
@pytest.mark.parametrize("opcode", UNKNOWN)
@pytest.mark.parametrize("final", [True, False])
def test_an_unknown_opcode_is_refused(name: str, side: str, opcode: int, final: bool) -> None:
    """At its header: its payload is not waited for."""
    data = modern_frame(opcode, size=5, final=final, key=peer_key(side))
    assert_fails(data, f"unknown opcode 0x{opcode:x}", name=name, side=side)


@every_name
@both_sides
@pytest.mark.parametrize("opcode", DATA)
@pytest.mark.parametrize("bits", range(0x10, 0x80, 0x10))
def test_a_reserved_bit_is_refused(name: str, side: str, opcode: int, bits: int) -> None:
    """All seven combinations of the three, where no extension has taken one."""
    data = modern_frame(opcode, size=5, reserved=bits, key=peer_key(side))
    reason = "reserved bits must be 0"
    assert_fails(data, reason, name=name, side=side)


@both_sides
@pytest.mark.parametrize("bit", [RSV1, RSV2, RSV3])
def test_a_bit_that_an_extension_has_taken_is_handed_up(side: str, bit: int) -> None:
    """And no other."""
    data = peer_frame(side, Opcode.TEXT, b"x", reserved=bit)
    assert frames_of(data, side=side, reserved=bit) == [(Opcode.TEXT, b"x", True, bit)]
    for other in {RSV1, RSV2, RSV3} - {bit}:
        for bits in (other, other | bit):
            data = peer_frame(side, Opcode.TEXT, b"x", reserved=bits)
            reason = "reserved bits must be 0"
            assert_fails(data, reason, side=side, reserved=bit)


@every_name
@both_sides
@pytest.mark.parametrize("opcode", CONTROL)
@pytest.mark.parametrize("bits", range(0x10, 0x80, 0x10))
@pytest.mark.parametrize("taken", [0, 0x70])
def test_control_frames_have_no_reserved_bits(
    name: str, side: str, opcode: int, bits: int, taken: int
) -> None:
    """Extensions take reserved bits for messages only."""
    data = modern_frame(opcode, reserved=bits, key=peer_key(side))
    reason = "reserved bits of a control frame must be 0"
    assert_fails(data, reason, name=name, side=side, reserved=taken)


@every_name
@both_sides
@pytest.mark.parametrize("opcode", CONTROL)
def test_control_frames_have_no_fragments(name: str, side: str, opcode: int) -> None:
    """Each is whole (section 5.5)."""
    data = modern_frame(opcode, size=5, final=False, key=peer_key(side))
    assert_fails(data, "fragmented control frame", name=name, side=side)


@every_name
@both_sides
@pytest.mark.parametrize("opcode", CONTROL)
@pytest.mark.parametrize(("size", "form"), [(126, 2), (65535, 2), (65536, 8), (1 << 62, 8)])
def test_control_frames_have_125_bytes_at_most(
    name: str, side: str, opcode: int, size: int, form: int
) -> None:
    """One more is refused before any of it has come."""
    data = modern_frame(opcode, size=size, form=form, key=peer_key(side))
    assert_fails(data, "control frame payload longer than 125 bytes", name=name, side=side)


# Masks.


@pytest.mark.parametrize("name", ["hybi-08", "rfc6455"])
@pytest.mark.parametrize("size", [0, 5, 126, 65536])
@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.CONTINUATION, Opcode.PING])
def test_a_client_frame_without_a_mask_and_a_server_frame_with_one_are_refused(
    name: str, size: int, opcode: int
) -> None:
    """A client's frame without a mask and a server's with one are refused, at the header."""
    if opcode == Opcode.PING and size > 125:
        size = 125
    plain = modern_frame(opcode, size=size)
    assert_fails(plain, "client frames must be masked", name=name, side=Side.SERVER)
    masked = modern_frame(opcode, size=size, key=MASK)
    assert_fails(masked, "server frames must not be masked", name=name, side=Side.CLIENT)


@both_sides
@pytest.mark.parametrize("size", [0, 5, 125, 126, 65535, 65536])
def test_in_hybi_07_either_side_may_mask(side: str, size: int) -> None:
    """The rule was hardened in draft 15."""
    payload = Random(7).randbytes(size)
    for key in (None, MASK):
        data = modern_frame(Opcode.BINARY, payload, key=key)
        assert frames_of(data, "hybi-07", side) == [(Opcode.BINARY, payload, True, 0)]


@pytest.mark.parametrize("key", [bytes(4), b"\xff" * 4, b"\x00\x00\x00\x01", b"\r\n\r\n", MASK])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9, 511, 512, 513])
def test_any_four_bytes_are_a_mask(key: bytes, size: int) -> None:
    """Zeros too."""
    payload = Random(size).randbytes(size)
    data = modern_frame(Opcode.BINARY, payload, key=key)
    assert frames_of(data) == [(Opcode.BINARY, payload, True, 0)]


@given(st.data(), st.binary(min_size=4, max_size=4), st.integers(1, 3000))
def test_a_mask_goes_on_from_piece_to_piece(data: st.DataObject, key: bytes, size: int) -> None:
    """Wherever a payload is cut, its next byte meets the next byte of the key."""
    payload = Random(size).randbytes(size)
    chunks = data.draw(deliveries(modern_frame(Opcode.BINARY, payload, key=key)))
    assert read(codec(), chunks) == [(Opcode.BINARY, payload, True, 0)]


# Frames that are still arriving.


@both_sides
def test_a_long_frame_is_read_in_pieces(side: str) -> None:
    """The first piece has the opcode and the bits, the others are continuations, and the last one
    is final."""
    data = peer_frame(side, Opcode.TEXT, b"abcdefgh", final=False, reserved=RSV1)
    head = len(data) - 8
    framing = of("rfc6455", side, reserved=RSV1)
    found: list[Frame] = []
    for start, end in ((0, head), (head, head + 2), (0, 0), (head + 2, head + 7), (head + 7, 99)):
        framing.feed(data[start:end])
        found += framing.frames()
    assert found == [
        (Opcode.TEXT, b"ab", False, RSV1, False),
        (Opcode.CONTINUATION, b"cdefg", False, 0, False),
        (Opcode.CONTINUATION, b"h", False, 0, True),
    ]


@both_sides
def test_a_frame_that_is_here_whole_is_handed_up_whole(side: str) -> None:
    """Also behind the last piece of another."""
    framing = of("rfc6455", side)
    first = peer_frame(side, Opcode.BINARY, b"abc")
    framing.feed(first[:-1])
    assert [frame[1] for frame in framing.frames()] == [b"ab"]
    framing.feed(first[-1:] + peer_frame(side, Opcode.BINARY, b"xyz") * 2)
    assert list(framing.frames()) == [
        (Opcode.CONTINUATION, b"c", True, 0, True),
        (Opcode.BINARY, b"xyz", True, 0, True),
        (Opcode.BINARY, b"xyz", True, 0, True),
    ]


@both_sides
@pytest.mark.parametrize("opcode", CONTROL)
def test_a_control_frame_is_never_in_pieces(side: str, opcode: int) -> None:
    """The whole frame is awaited: its payload has 125 bytes at most."""
    framing = of("rfc6455", side)
    data = peer_frame(side, opcode, b"x" * 125)
    for byte in byte_by_byte(data[:-1]):
        framing.feed(byte)
        assert list(framing.frames()) == []
    assert kept(framing) == len(data) - 1
    framing.feed(data[-1:])
    assert list(framing.frames()) == [(opcode, b"x" * 125, True, 0, True)]
    assert kept(framing) == 0


@both_sides
def test_the_rest_of_a_header_is_waited_for(side: str) -> None:
    """Nothing whole, nothing wrong, and no piece of nothing."""
    data = peer_frame(side, Opcode.BINARY, b"x" * 65536)
    head = len(data) - 65536
    for count in range(head + 1):
        framing = of("rfc6455", side)
        for byte in byte_by_byte(data[:count]):
            framing.feed(byte)
            assert list(framing.frames()) == []
        assert kept(framing) <= count


# Limits.


@every_name
@both_sides
@pytest.mark.parametrize("limit", [0, 1, 125, 126, 300, 65535, 65536])
def test_a_payload_has_so_many_bytes_and_no_more(name: str, side: str, limit: int) -> None:
    """The limit itself is read; one more is refused at the header, before any of it comes."""
    exactly = peer_frame(side, Opcode.BINARY, b"x" * limit)
    assert read(of(name, side, limit=limit), [exactly])[0][1] == b"x" * limit
    more = modern_frame(Opcode.BINARY, size=limit + 1, key=peer_key(side))
    reason = f"frame of {limit + 1:,} bytes exceeds our limit of {limit:,}"
    assert_fails(more, reason, MessageTooBig, name, side, limit=limit)
    with_payload = peer_frame(side, Opcode.BINARY, b"x" * (limit + 1))
    assert_raises(MessageTooBig, read, of(name, side, limit=limit), [with_payload], match=reason)


@both_sides
@pytest.mark.parametrize("size", [1 << 31, 1 << 32, (1 << 63) - 1])
def test_a_giant_length_is_refused_before_anything_of_it_comes(side: str, size: int) -> None:
    """No sign overflows, nothing is waited for and nothing set aside."""
    data = modern_frame(Opcode.BINARY, size=size, key=peer_key(side))
    reason = f"frame of {size:,} bytes exceeds our limit of {LIMIT:,}"
    assert_fails(data, reason, MessageTooBig, side=side)


@both_sides
def test_after_a_complete_read_nothing_is_kept(side: str) -> None:
    """Neither the read, nor what was in it; of an unfinished header, only its bytes."""
    hello = peer_frame(side, Opcode.TEXT, b"Hello")
    long = peer_frame(side, Opcode.BINARY, b"x" * 300)
    for data, left in (
        (hello, 0),
        (hello * 9, 0),
        (hello + long[:-1], 0),
        (hello * 99 + b"\x81", 1),
    ):
        framing = of("rfc6455", side)
        chunk = bytes(bytearray(data))
        before = sys.getrefcount(chunk)
        framing.feed(chunk)
        assert sys.getrefcount(chunk) > before
        assert list(framing.frames())
        assert sys.getrefcount(chunk) == before
        assert kept(framing) - len(peer_key(side) or b"") <= left


def test_an_endless_frame_is_never_kept() -> None:
    """Pieces are the caller's; between reads the framing holds its mask and nothing else."""
    framing = codec(limit=1 << 40)
    for chunk in (modern_frame(Opcode.BINARY, size=1 << 40, key=MASK), *[b"x" * 4096] * 99):
        framing.feed(chunk)
        assert len(list(framing.frames())) <= 1
        assert kept(framing) <= 4


# Pausing.


def stream(side: str) -> bytes:
    """Frames of all kinds."""
    return b"".join(
        [
            peer_frame(side, Opcode.TEXT, b"Hello"),
            peer_frame(side, Opcode.TEXT, b""),
            peer_frame(side, Opcode.TEXT, b"a", final=False),
            peer_frame(side, Opcode.PING, b"ping"),
            peer_frame(side, Opcode.CONTINUATION, b"y" * 200),
            peer_frame(side, Opcode.BINARY, bytes(range(50))),
            peer_frame(side, Opcode.CLOSE, b"\x03\xe8"),
        ]
    )


IN_STREAM: list[Whole] = [
    (Opcode.TEXT, b"Hello", True, 0),
    (Opcode.TEXT, b"", True, 0),
    (Opcode.TEXT, b"a", False, 0),
    (Opcode.PING, b"ping", True, 0),
    (Opcode.CONTINUATION, b"y" * 200, True, 0),
    (Opcode.BINARY, bytes(range(50)), True, 0),
    (Opcode.CLOSE, b"\x03\xe8", True, 0),
]


@both_sides
@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 1000])
@pytest.mark.parametrize("at_once", [0, 1, 2, 3])
def test_a_caller_may_stop_after_any_frame_and_feed_on(side: str, size: int, at_once: int) -> None:
    """A paused caller gets every frame later, in order and once, with any reads in between."""
    framing, data = of("rfc6455", side), stream(side)
    found: list[Frame] = []
    for start in range(0, len(data), size):
        framing.feed(data[start : start + size])
        found += islice(framing.frames(), at_once)
    found += framing.frames()
    assert joined(found) == IN_STREAM
    assert list(framing.frames()) == []


@both_sides
def test_one_caller_may_go_on_with_an_iterator_that_was_fed_meanwhile(side: str) -> None:
    """An application that resumes from within a delivery is served by the same loop."""
    framing = of("rfc6455", side)
    framing.feed(stream(side)[:9])
    frames = framing.frames()
    found = [next(frames)]
    framing.feed(stream(side)[9:])
    found += frames
    assert joined(found)[-1] == IN_STREAM[-1]


# Writing.


@every_name
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 65537])
def test_a_server_writes_a_header_and_the_payload(name: str, size: int) -> None:
    """In the fewest bytes, without a mask."""
    payload = b"x" * size
    written = of(name, Side.SERVER).encode(Opcode.BINARY, payload)
    assert written == modern_frame(Opcode.BINARY, payload)
    assert len(written) - size == (2 if size < 126 else 4 if size < 65536 else 10)


@every_name
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 511, 512, 65535, 65536, 65537])
def test_a_client_writes_a_header_a_fresh_mask_and_the_payload(name: str, size: int) -> None:
    """The mask is the next four bytes of its entropy, each time."""
    payload = Random(size).randbytes(size)
    framing, keys = of(name, Side.CLIENT), Random(6455)
    for _ in range(3):
        written = framing.encode(Opcode.BINARY, payload)
        assert written == modern_frame(Opcode.BINARY, payload, key=keys.randbytes(4))


@both_sides
@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_a_frame_in_parts_is_the_same_frame(side: str, size: int) -> None:
    payload = Random(size).randbytes(size)
    parts = of("rfc6455", side).encode_parts(Opcode.BINARY, payload, False, RSV1)
    whole = of("rfc6455", side).encode(Opcode.BINARY, payload, False, RSV1)
    assert b"".join(parts) == whole
    if side == Side.SERVER:
        assert parts[-1] is payload, "it was copied"


def test_masks_come_from_the_systems_entropy() -> None:
    """One masking key must not reveal the next (section 5.3)."""
    framing = codec(Side.CLIENT)
    assert framing._entropy is random_bytes  # private: no output shows where keys are from
    assert random_bytes._source is secrets.token_bytes  # private: the same
    keys = {framing.encode(Opcode.TEXT, b"")[2:6] for _ in range(50)}
    assert len(keys) == 50


@both_sides
@pytest.mark.parametrize("opcode", [*DATA, *CONTROL])
@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("bits", [0, RSV1, RSV2, RSV3])
def test_any_frame_is_written(side: str, opcode: int, final: bool, bits: int) -> None:
    """Fragments and bits too."""
    written = of("rfc6455", side).encode(opcode, b"xyz", final, bits)
    assert unframed(written) == [(opcode, b"xyz", final, bits)]
    assert bool(written[1] & 0x80) == (side == Side.CLIENT)


@pytest.mark.parametrize("side", [Side.CLIENT, Side.SERVER])
def test_written_frames_are_bytes(side: str) -> None:
    """A transport accepts nothing else, for any type of the application's payload."""
    for payload in (b"abc", bytearray(b"abc"), memoryview(b"abc")):
        framing = of("rfc6455", side)
        written = framing.encode(Opcode.BINARY, payload)  # type: ignore[arg-type]  # only bytes are declared
        assert type(written) is bytes
        assert unframed(written) == [(Opcode.BINARY, b"abc", True, 0)]
        parts = framing.encode_parts(Opcode.BINARY, payload)  # type: ignore[arg-type]  # only bytes are declared
        assert {type(part) for part in parts} == {bytes}


def test_there_is_binary_in_all_of_them() -> None:
    """Unlike in the Hixie dialects."""
    assert all(of(name, Side.SERVER).has_binary for name in NAMES)


# Closes.

SENT = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
NEVER_SENT = [0, 1, 999, 1004, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


@pytest.mark.parametrize("code", SENT)
@pytest.mark.parametrize("name", NAMES)
def test_a_valid_close_code_is_sent_and_read(name: str, code: int) -> None:
    """The valid codes are those of RFC 6455 section 7.4 and its registry."""
    framing = of(name, Side.SERVER)
    payload = code.to_bytes(2, "big") + b"bye"
    assert framing.encode_close(Close(code, "bye")) == modern_frame(Opcode.CLOSE, payload)
    assert framing.read_close(payload) == Close(code, "bye")
    assert framing.read_close(payload[:2]) == Close(code, "")


@pytest.mark.parametrize("code", [*NEVER_SENT, -1, 65536])
@every_name
def test_a_close_code_that_must_not_be_sent_is_not_sent(name: str, code: int) -> None:
    """The error is the caller's mistake."""
    with pytest.raises(UsageError, match=f"^close code {code} cannot be sent;"):
        of(name, Side.SERVER).encode_close(Close(code))


@pytest.mark.parametrize("code", [*NEVER_SENT, 1005])
def test_a_close_code_that_must_not_be_sent_is_refused(code: int) -> None:
    """The RFC demands it; in the drafts before it, any code of the peer is reported."""
    payload = code.to_bytes(2, "big")
    error = f"^invalid close code {code}$"
    assert_raises(FrameError, of("rfc6455", Side.SERVER).read_close, payload, match=error)
    for name in ("hybi-07", "hybi-08"):
        assert of(name, Side.SERVER).read_close(payload) == Close(code)


def test_every_code_is_either_sent_or_not() -> None:
    """All 65536 of them."""
    expected = {*range(1000, 1015), *range(3000, 5000)} - {1004, 1005, 1006}
    assert {code for code in range(65536) if sendable(code)} == expected


@both_sides
def test_a_close_frame_without_a_code_is_empty(side: str) -> None:
    """Code 1005 means a close frame without a code, which has no place for a reason."""
    framing = of("rfc6455", side)
    assert unframed(framing.encode_close(Close(NO_CODE, "x"))) == [(Opcode.CLOSE, b"", True, 0)]
    assert framing.read_close(b"") == Close(NO_CODE)


@every_name
def test_half_a_code_is_none(name: str) -> None:
    """One byte is refused by all of them."""
    close = of(name, Side.SERVER).read_close
    assert_raises(FrameError, close, b"\x03", match="^close frame payload of 1 byte$")


@every_name
@pytest.mark.parametrize("reason", [b"\xc3(", b"\xed\xa0\x80", b"ok\xff", b"\xe6\x97", b"\xc0\x80"])
def test_a_reason_is_utf_8(name: str, reason: bytes) -> None:
    """Else it fails with the code of bad text."""
    close = of(name, Side.SERVER).read_close
    assert_raises(
        InvalidUTF8, close, b"\x03\xe8" + reason, match="^invalid UTF-8 in a close reason$"
    )


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        ("", b""),
        ("x" * 123, b"x" * 123),
        ("x" * 124, b"x" * 123),
        ("x" * 122 + "é", b"x" * 122),
        ("x" * 121 + "é", b"x" * 121 + "é".encode()),
        ("x" * 121 + "日", b"x" * 121),
        ("x" * 120 + "日", b"x" * 120 + "日".encode()),
        ("x" * 120 + "😀", b"x" * 120),
        ("x" * 119 + "😀", b"x" * 119 + "😀".encode()),
        ("日" * 41, "日".encode() * 41),
        ("日" * 42, "日".encode() * 41),
        ("a\ud800b", b"a?b"),
    ],
)
@both_sides
def test_a_reason_is_cut_at_123_bytes_where_a_character_ends(
    side: str, reason: str, sent: bytes
) -> None:
    """A control frame has 125; and what is cut can be read by the other side."""
    assert cut(reason) == sent
    [(opcode, payload, _, _)] = unframed(of("rfc6455", side).encode_close(Close(1000, reason)))
    assert (opcode, payload) == (Opcode.CLOSE, b"\x03\xe8" + sent)
    assert of("rfc6455", side).read_close(payload) == Close(1000, sent.decode())


@given(st.text(max_size=200))
def test_any_reason_is_cut_to_what_can_be_read(reason: str) -> None:
    """The longest beginning of it that fits."""
    sent = cut(reason).decode()
    assert reason.startswith(sent)
    assert len(sent.encode()) <= 123
    assert sent == reason or len(reason[: len(sent) + 1].encode()) > 123


# Properties.


sizes = st.integers(0, 140) | st.sampled_from([511, 512, 513, 65535, 65536])
payloads = st.binary(max_size=60) | sizes.map(lambda size: Random(size).randbytes(size))
whole_frames = st.tuples(
    st.sampled_from(DATA), payloads, st.booleans(), st.sampled_from([0, RSV1])
) | st.tuples(st.sampled_from(CONTROL), st.binary(max_size=125), st.just(True), st.just(0))


@given(
    st.data(),
    st.lists(whole_frames, max_size=6),
    st.sampled_from(NAMES),
    st.sampled_from([Side.CLIENT, Side.SERVER]),
)
def test_what_one_side_encodes_the_other_decodes_under_any_split(
    data: st.DataObject, frames: list[Whole], name: str, side: str
) -> None:
    """And neither holds anything afterwards."""
    writer = of(name, side)
    written = b"".join(
        writer.encode(opcode, payload, final, bits) for opcode, payload, final, bits in frames
    )
    assert unframed(written) == frames
    other = Side.CLIENT if side == Side.SERVER else Side.SERVER
    reader = of(name, other, reserved=RSV1)
    assert read(reader, data.draw(deliveries(written))) == frames
    assert kept(reader) <= 4


headers = st.builds(
    modern_frame,
    st.integers(0, 15),
    st.binary(max_size=20),
    final=st.booleans(),
    reserved=st.sampled_from([0, 0, 0, RSV1, RSV2]),
    key=st.sampled_from([None, MASK]),
    form=st.sampled_from([None, None, 2, 8]),
)


@given(
    st.data(),
    st.lists(headers | st.binary(max_size=12), max_size=8).map(b"".join),
    st.sampled_from(NAMES),
    st.sampled_from([Side.CLIENT, Side.SERVER]),
    st.sampled_from([0, RSV1]),
)
def test_any_bytes_are_frames_or_a_named_error(
    data: st.DataObject, garbage: bytes, name: str, side: str, taken: int
) -> None:
    """Never another exception; no payload over the limit; nothing kept but a header or an
    unfinished control frame; and where a read ends makes no difference."""

    def judge(chunks: Chunks) -> tuple[list[Whole], tuple[object, ...]]:
        framing = of(name, side, reserved=taken, limit=16)
        found: list[Frame] = []
        try:
            for chunk in chunks:
                framing.feed(chunk)
                found += framing.frames()
                assert kept(framing) <= 14 + 125
        except FrameError as error:
            return joined(found), (type(error), str(error))
        return joined(found), ()

    whole = judge([garbage])
    for opcode, payload, final, bits in whole[0]:
        assert len(payload) <= 16
        assert bits & ~taken == 0
        assert opcode in DATA or (final and not bits)
    assert judge(data.draw(deliveries(garbage))) == whole
    assert judge(byte_by_byte(garbage)) == whole
