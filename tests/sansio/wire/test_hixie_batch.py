"""Text frames of the Hixie drafts, in C and in Python: both give the same results."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.c_extension import WAYS, compiled, every_way
from txhixie.sansio.wire import hixie_batch as module
from txhixie.sansio.wire.frame import TEXT, Frame

LIMIT = 70_000
SIZES = [0, 1, 2, 126, 4096, 65535, LIMIT]


def read_texts(way: str) -> Any:
    """The function in C, in Python, or the one that the package uses."""
    if way == "c":
        return compiled().read_texts
    return module.read_texts_in_python if way == "python" else module.read_texts


def framed(*payloads: bytes) -> bytes:
    """Texts as frames on the wire."""
    return b"".join(b"\x00%b\xff" % payload for payload in payloads)


def frames(*payloads: bytes) -> list[Frame]:
    """Texts as frames that were read."""
    return [(TEXT, payload, True, 0, True) for payload in payloads]


@every_way
def test_all_that_stand_in_a_read_are_taken(way: str) -> None:
    payloads = [b"\x00\x80x"[: size % 3] + b"x" * (size - size % 3) for size in SIZES]
    data = framed(*payloads)
    assert read_texts(way)(data, 0, LIMIT) == (frames(*payloads), len(data))
    assert read_texts(way)(b"xx" + data, 2, LIMIT) == (frames(*payloads), len(data) + 2)
    assert read_texts(way)(data, len(data), LIMIT) == ([], len(data))


@every_way
@pytest.mark.parametrize("rest", [b"\x00", b"\x00abc", b"\xff\x00", b"\x80\x01a\xff", b"\x01a\xff"])
def test_what_is_none_or_not_whole_is_left(way: str, rest: bytes) -> None:
    data = framed(b"a", b"", b"b") + rest
    assert read_texts(way)(data, 0, LIMIT) == (frames(b"a", b"", b"b"), 8)
    assert read_texts(way)(rest, 0, LIMIT) == ([], 0)


@every_way
def test_one_that_is_too_long_is_left(way: str) -> None:
    data = framed(b"abc", b"abcd", b"e")
    assert read_texts(way)(data, 0, 3) == (frames(b"abc"), 5)
    assert read_texts(way)(data, 0, 4) == (frames(b"abc", b"abcd", b"e"), len(data))


@every_way
def test_only_some_are_taken_at_once(way: str) -> None:
    """A caller that pauses after the first frame keeps all of them waiting."""
    found, position = read_texts(way)(framed(b"") * 1000, 0, LIMIT)
    assert len(found) == 64
    assert position == 128


@given(st.data(), st.sampled_from(WAYS))
def test_all_ways_read_the_same(data: st.DataObject, way: str) -> None:
    wire = data.draw(st.lists(st.sampled_from([b"\x00", b"\xff", b"a", b"\x80", b"\xff\x00"])))
    joined, limit = b"".join(wire), data.draw(st.integers(0, 4))
    position = data.draw(st.integers(0, len(joined)))
    expected = module.read_texts_in_python(joined, position, limit)
    assert read_texts(way)(joined, position, limit) == expected


def test_the_c_function_checks_its_arguments() -> None:
    """CPython calls the function without a tuple; the function must not read beyond its
    arguments."""
    for arguments in ((), (b"",), (b"", 0), (b"", 0, 1, 1), (bytearray(9), 0, 1), (b"", "0", 1)):
        with pytest.raises(TypeError):
            compiled().read_texts(*arguments)
    for position in (-1, 3, 1 << 70):
        with pytest.raises((ValueError, OverflowError)):
            compiled().read_texts(b"ab", position, LIMIT)


def test_c_keeps_neither_arguments_nor_results() -> None:
    """A leak of a reference is a leak of a message."""
    data = framed(bytes(1000)) * 3
    (frame, *_), _ = compiled().read_texts(data, 0, LIMIT)
    counts = sys.getrefcount(frame), sys.getrefcount(frame[1])
    assert counts == (2, 2)
    before = sys.getrefcount(data)
    for _ in range(50):
        compiled().read_texts(data, 0, LIMIT)
    assert sys.getrefcount(data) == before
