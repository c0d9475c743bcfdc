"""Uncompressed frames, in C and in Python: both give the same results."""

from __future__ import annotations

import sys
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.c_extension import WAYS, compiled, every_way
from support.frames import modern_frame
from txhixie.sansio.wire import hybi_batch as module
from txhixie.sansio.wire.frame import BINARY, CLOSE, CONTINUATION, PING, TEXT, Frame, Side
from txhixie.sansio.wire.hybi import HybiFraming

LIMIT = 70_000
KEY = b"\x37\xfa\x21\x3d"
SIZES = [0, 1, 3, 4, 5, 124, 125, 126, 127, 128, 129, 511, 512, 513, 4096, 65535, 65536]

either = pytest.mark.parametrize("masked", [True, False])


def twin(way: str, name: str) -> Any:
    """A function in C, in Python, or the one that the package uses."""
    if way == "c":
        return getattr(compiled(), name)
    return getattr(module, f"{name}_in_python" if way == "python" else name)


def read(way: str, data: bytes, masked: bool, position: int = 0, limit: int = LIMIT) -> Any:
    """All plain frames from a position on, in as many calls as it takes, and where they end."""
    found: list[Frame] = []
    while True:
        frames, position = twin(way, "read_plain")(data, position, limit, masked)
        if not frames:
            return found, position
        found += frames


def framed(payload: bytes, masked: bool, opcode: int = TEXT, final: bool = True) -> bytes:
    """A frame as a client or a server sends it."""
    key = Random(payload).randbytes(4) if masked else None
    return modern_frame(opcode, payload, final=final, key=key)


@every_way
@either
def test_all_that_stand_in_a_read_are_taken(way: str, masked: bool) -> None:
    """Of every size, beside each other: the key of each is its own."""
    payloads = [Random(size).randbytes(size) for size in (*SIZES, *reversed(SIZES))]
    data = b"".join(framed(payload, masked, BINARY) for payload in payloads)
    expected = [(BINARY, payload, True, 0, True) for payload in payloads]
    assert read(way, data, masked) == (expected, len(data))
    assert read(way, b"xx" + data + b"\x81", masked, position=2) == (expected, len(data) + 2)


@every_way
@either
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 125, 126, 127, 511])
@pytest.mark.parametrize("count", [2, 3, 63, 64, 65])
def test_frames_of_one_size_are_taken_each_by_itself(
    way: str, masked: bool, size: int, count: int
) -> None:
    """Any number of frames, with any bytes behind them, and with a different frame among them."""
    payloads = [Random(number).randbytes(size) for number in range(count)]
    run = b"".join(framed(payload, masked) for payload in payloads)
    expected = [(TEXT, payload, True, 0, True) for payload in payloads]
    other, last = framed(bytes(size), masked, BINARY), (BINARY, bytes(size), True, 0, True)
    assert read(way, run, masked) == (expected, len(run))
    assert read(way, run + run[:1], masked) == (expected, len(run))
    assert read(way, run + other + run, masked)[0] == [*expected, last, *expected]


@every_way
@either
@pytest.mark.parametrize("opcode", [CONTINUATION, TEXT, BINARY])
@pytest.mark.parametrize("final", [True, False])
def test_a_frame_says_what_its_first_byte_does(
    way: str, masked: bool, opcode: int, final: bool
) -> None:
    """In plain values, of which there is one each."""
    data = framed(b"Hello", masked, opcode, final)
    (frame,), _ = read(way, data, masked)
    assert frame == (opcode, b"Hello", final, 0, True)
    assert [type(part) for part in frame] == [int, bytes, bool, int, bool]


@every_way
@either
@pytest.mark.parametrize("before", [0, 1, 70])
@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda masked: framed(b"a", masked, CLOSE), id="close"),
        pytest.param(lambda masked: framed(b"a", masked, PING), id="ping"),
        pytest.param(lambda masked: framed(b"a", masked, 3), id="unknown opcode"),
        pytest.param(lambda masked: b"\xc1" + framed(b"a", masked)[1:], id="reserved bit"),
        pytest.param(lambda masked: framed(b"abcdef", not masked), id="other mask"),
        pytest.param(lambda masked: framed(bytes(300), masked)[:-1], id="not whole"),
        pytest.param(lambda masked: framed(bytes(126), masked)[:3], id="half a length"),
        pytest.param(lambda masked: framed(b"", masked)[:1], id="half a header"),
        pytest.param(
            lambda masked: b"\x82" + (b"\xff" if masked else b"\x7f") + bytes(7) + b"\xff" * 300,
            id="length of 64 bits that needs 16",
        ),
        pytest.param(
            lambda masked: b"\x82" + (b"\xff" if masked else b"\x7f") + b"\xff" * 300,
            id="length of 64 bits with its most significant bit",
        ),
        pytest.param(
            lambda masked: framed(bytes(65536), masked)[:7], id="half a length of 64 bits"
        ),
        pytest.param(lambda masked: framed(bytes(65536), masked)[:-1], id="long, not whole"),
        pytest.param(
            lambda masked: b"\x81" + (b"\xfe\0\x05" + KEY if masked else b"\x7e\0\x05") + b"Hello",
            id="length in more bytes than it needs",
        ),
    ],
)
def test_what_is_otherwise_is_left(way: str, masked: bool, before: int, other: Any) -> None:
    """Where it stands, and the frames before it are not lost."""
    data = framed(b"Hello", masked) * before
    frames, position = read(way, data + other(masked), masked)
    assert frames == [(TEXT, b"Hello", True, 0, True)] * before
    assert position == len(data)


@every_way
@either
@pytest.mark.parametrize("size", [1, 125, 126, 600])
def test_the_limit_is_checked_before_the_payload(way: str, masked: bool, size: int) -> None:
    """A frame of one byte more is left to the framing, which raises the error."""
    data = framed(b"a", masked) + framed(bytes(size), masked)
    assert len(read(way, data, masked, limit=size)[0]) == 2
    assert len(read(way, data, masked, limit=size - 1)[0]) == (0 if size == 1 else 1)


@every_way
@either
def test_only_some_are_taken_at_once(way: str, masked: bool) -> None:
    """A caller that pauses after the first frame keeps all of them waiting."""
    data = framed(b"", masked) * 1000
    frames, position = twin(way, "read_plain")(data, 0, LIMIT, masked)
    assert len(frames) == 64
    assert position == len(data) * 64 // 1000


@given(st.data(), st.booleans(), st.sampled_from(WAYS))
def test_all_implementations_read_the_same_frames(
    data: st.DataObject, masked: bool, way: str
) -> None:
    """For any bytes, the result is that of the framing that reads one header after the other."""
    first = st.sampled_from([0x81, 0x82, 0x80, 0x01, 0x02, 0x00, 0x89, 0xC1, 0x83])
    payload = st.binary(max_size=40) | st.integers(100, 600).map(bytes)
    parts = data.draw(st.lists(st.tuples(first, payload, st.integers(0, 99)), max_size=12))
    wire = b""
    for byte, content, chance in parts:
        frame = framed(content, masked if chance else not masked)
        wire += bytes((byte,)) + frame[1:]
    wire = wire[: data.draw(st.integers(0, len(wire)))]
    limit = data.draw(st.sampled_from([10, 300, LIMIT]))
    found = read(way, wire, masked, limit=limit)
    assert found == one_by_one(wire, masked, limit)


def one_by_one(data: bytes, masked: bool, limit: int) -> tuple[list[Frame], int]:
    """The frames as the framing reads them one by one, as far as they are plain."""
    framing = HybiFraming(Side.SERVER if masked else Side.CLIENT, limit)
    frames: list[Frame] = []
    position = 0
    while position < len(data) and data[position] & 0x7F <= BINARY:
        try:
            frame = framing.begin(data, position, len(data))
        except Exception:
            break
        if frame is None:
            break
        frames.append(frame)
        position = framing._position  # private: where the batch ends
    return frames, position


@every_way
@pytest.mark.parametrize("size", [*SIZES, 70_000])
def test_a_frame_is_written_as_it_is_read(way: str, size: int) -> None:
    """Without a mask, its length in as few bytes as it needs."""
    payload = Random(size).randbytes(size)
    write = twin(way, "write_plain")
    assert write(TEXT, payload) == modern_frame(TEXT, payload)
    assert write(BINARY, payload, False) == modern_frame(BINARY, payload, final=False)
    assert write(TEXT, payload, True, 0x40) == b"\xc1" + modern_frame(TEXT, payload)[1:]
    assert write(TEXT, bytearray(payload)) == modern_frame(TEXT, payload)
    assert type(write(TEXT, payload)) is bytes


@every_way
@pytest.mark.parametrize("payload", ["text", None, 5])
def test_an_object_without_bytes_is_not_written(way: str, payload: Any) -> None:
    """Such an object is a caller's mistake, and raises an error."""
    with pytest.raises(TypeError):
        twin(way, "write_plain")(TEXT, payload)


def test_the_c_functions_check_their_arguments() -> None:
    """CPython calls the functions without a tuple; they must not read beyond their arguments."""
    for arguments in ((), (b"",), (b"", 0, 1), (b"", 0, 1, True, 1), (bytearray(9), 0, 1, True)):
        with pytest.raises(TypeError):
            compiled().read_plain(*arguments)
    for position in (-1, 3, 1 << 70):
        with pytest.raises((ValueError, OverflowError)):
            compiled().read_plain(b"ab", position, LIMIT, True)
    for written in ((), (1,), (1, b"", True, 0, 0), (1, b"", True, 0, b"", b""), ("1", b"")):
        with pytest.raises(TypeError):
            compiled().write_plain(*written)


@either
def test_c_keeps_neither_arguments_nor_results(masked: bool) -> None:
    """A leak of a reference is a leak of a message."""
    data = framed(bytes(1000), masked) * 3
    (frame, *_), _ = compiled().read_plain(data, 0, LIMIT, masked)
    counts = sys.getrefcount(frame), sys.getrefcount(frame[1])
    assert counts == (2, 2)
    before = sys.getrefcount(data)
    for _ in range(50):
        compiled().write_plain(TEXT, data)
        compiled().read_plain(data, 0, LIMIT, masked)
    assert sys.getrefcount(data) == before
