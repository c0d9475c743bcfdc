"""Masking, in C and in Python: both give the same results."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.c_extension import WAYS, compiled, every_way
from txhixie.sansio.wire import mask as module

KEY: Final = b"\x37\xfa\x21\x3d"


def mask_in(way: str) -> Callable[[Any, Any], bytes]:
    """``mask`` in C, in Python, or the one that the package uses."""
    if way == "c":
        return compiled().mask  # type: ignore[no-any-return]  # the compiled module is imported by name, as Any
    return module.mask_in_python if way == "python" else module.mask


def by_the_rfc(data: bytes, key: bytes) -> bytes:
    """Section 5.3: octet i of the one, XOR octet i modulo 4 of the other."""
    return bytes(byte ^ key[index % 4] for index, byte in enumerate(data))


def pattern(size: int) -> bytes:
    """Bytes no two neighbouring words of which are alike."""
    return bytes(index * 31 + index // 251 & 0xFF for index in range(size))


@every_way
def test_the_example_of_the_rfc(way: str) -> None:
    """``Hello`` of section 5.7, both ways."""
    assert mask_in(way)(b"Hello", KEY) == b"\x7f\x9f\x4d\x51\x58"
    assert mask_in(way)(b"\x7f\x9f\x4d\x51\x58", KEY) == b"Hello"
    framed = b"\x81\x85" + KEY + b"\x7f\x9f\x4d\x51\x58\x81"
    assert module.unmask_in_python(framed, 6, 11) == b"Hello"


@every_way
@pytest.mark.parametrize("sizes", [range(70), range(500, 530), range(1020, 1030), [65535, 65543]])
def test_every_size_is_masked_alike(way: str, sizes: range) -> None:
    """Around words of four and eight bytes, and around where Python changes its way."""
    for size in sizes:
        data = pattern(size)
        assert mask_in(way)(data, KEY) == by_the_rfc(data, KEY)
        for before in (4, 5, 11):
            framed = bytes(before - 4) + KEY + data + b"behind"
            unmasked = module.unmask_in_python(framed, before, before + size)
            assert unmasked == by_the_rfc(data, KEY)


@given(
    st.binary(max_size=40) | st.integers(0, 1100).map(pattern),
    st.binary(min_size=4, max_size=4),
    st.sampled_from(WAYS),
)
def test_any_data_and_key_are_masked_as_the_rfc_says(data: bytes, key: bytes, way: str) -> None:
    """And masking twice is not masking."""
    masked = mask_in(way)(data, key)
    assert type(masked) is bytes
    assert masked == by_the_rfc(data, key)
    assert mask_in(way)(masked, key) == data
    assert module.unmask_in_python(key + masked, 4, 4 + len(data)) == data


@every_way
@pytest.mark.parametrize("size", [0, 7, 64, 511, 512, 600])
def test_any_buffer_will_do(way: str, size: int) -> None:
    """Views that begin anywhere too: a framing masks what it has not copied."""
    data = pattern(size + 3)
    for start in range(4):
        view = memoryview(data)[start : start + size]
        assert mask_in(way)(view, KEY) == by_the_rfc(bytes(view), KEY)
    expected = by_the_rfc(data, KEY)
    for buffer in (bytearray(data), memoryview(bytearray(data))):
        assert mask_in(way)(buffer, KEY) == expected
        assert bytes(buffer) == data
    assert mask_in(way)(data, bytearray(KEY)) == expected


@every_way
@pytest.mark.parametrize("key", [b"", b"a", b"abc", b"abcde", b"abcdefgh"])
@pytest.mark.parametrize("size", [0, 1, 600])
def test_a_key_has_four_bytes(way: str, key: bytes, size: int) -> None:
    """No other is stretched or cut."""
    with pytest.raises(ValueError, match=r"^a masking key has 4 bytes$"):
        mask_in(way)(bytes(size), key)


@every_way
@pytest.mark.parametrize("arguments", [("text", KEY), (b"", "text"), (None, KEY), (b"x", None)])
def test_an_object_without_bytes_is_not_masked(way: str, arguments: tuple[Any, Any]) -> None:
    """Such an object is a caller's mistake, and raises an error."""
    with pytest.raises((TypeError, ValueError)):
        mask_in(way)(*arguments)


@pytest.mark.parametrize("span", [(3, 5), (0, 0), (-1, 5), (5, 4), (4, 11), (11, 11), (-9, -1)])
def test_a_payload_lies_inside_its_data(span: tuple[int, int]) -> None:
    """With its key before it; nothing is read that is not there."""
    with pytest.raises(ValueError, match=r"^no masking key and payload at this position$"):
        module.unmask_in_python(bytes(10), *span)


@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_the_c_function_counts_its_arguments(count: int) -> None:
    with pytest.raises(TypeError):
        compiled().mask(*[b"abcd"] * count)


def test_c_keeps_neither_arguments_nor_results() -> None:
    """Not when it fails either: a leak of a reference is a leak of a message."""
    data, key = bytes(bytearray(1000)), bytes(bytearray(4))
    before = sys.getrefcount(data), sys.getrefcount(key)
    for _ in itertools.repeat(None, 50):
        compiled().mask(data, key)
        with pytest.raises(ValueError, match=r"has 4 bytes"):
            compiled().mask(data, data)
    assert (sys.getrefcount(data), sys.getrefcount(key)) == before
