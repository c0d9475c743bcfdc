"""Assembly of a message from its parts: UTF-8 fails at its first wrong byte, limits hold, memory
is bounded."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import byte_by_byte
from support.conversation_driver import exceeding
from support.held_bytes import kept
from support.peer_errors import assert_raises
from support.utf8 import BAD, GOOD, certain, first_wrong
from txhixie.errors import InvalidUTF8, MessageTooBig
from txhixie.sansio.assembly import Assembly
from txhixie.sansio.limits import Limits
from txhixie.sansio.wire.frame import Opcode
from txhixie.testing.strategies import deliveries

LIMITS = Limits()


def assembled(
    parts: Iterable[bytes], opcode: int = Opcode.TEXT, *, replaces: bool = False
) -> str | bytes:
    """The message of these parts, each a frame."""
    assembly = Assembly(opcode, LIMITS, replaces)
    for part in parts:
        assembly.add(part, whole=True)
    return assembly.message()


@pytest.mark.parametrize("data", GOOD)
def test_text_is_the_same_however_it_is_cut(data: bytes) -> None:
    """A cut may be inside a character."""
    for parts in ([data], byte_by_byte(data), [b"", data[:1], b"", data[1:], b""]):
        assert assembled(parts) == data.decode()
        assert assembled(parts, Opcode.BINARY) == data


@pytest.mark.parametrize("data", BAD)
def test_text_that_cannot_be_fails_at_its_first_wrong_byte(data: bytes) -> None:
    """The end of the message may never come; only a character that is cut short waits for more
    bytes."""
    wrong = certain(data)
    assembly = Assembly(Opcode.TEXT, LIMITS, replaces=False)
    reason = "^invalid UTF-8 in a text message$"
    for byte in byte_by_byte(data[:wrong]):
        assembly.add(byte, whole=False)
    if wrong < len(data):
        assert_raises(InvalidUTF8, assembly.add, data[wrong : wrong + 1], False, match=reason)
    else:
        assert_raises(InvalidUTF8, assembly.message, match=reason)


@pytest.mark.parametrize("data", BAD)
def test_text_that_is_not_utf_8_is_replaced_in_a_dialect_that_replaces_it(data: bytes) -> None:
    """The replaced text is the same however the message is cut."""
    expected = data.decode("utf-8", "replace")
    assert "\ufffd" in expected
    for parts in ([data], byte_by_byte(data), [data[:1], data[1:]]):
        assert assembled(parts, replaces=True) == expected


@pytest.mark.parametrize("data", BAD)
def test_binary_is_any_bytes(data: bytes) -> None:
    """Binary payloads are not validated."""
    assert assembled(byte_by_byte(data), Opcode.BINARY) == data


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
@pytest.mark.parametrize("size", [1, 7, 10])
def test_a_message_has_so_many_bytes_and_no_more(opcode: int, size: int) -> None:
    """A message of exactly the limit is accepted; the part that exceeds the limit is refused
    before it is kept."""
    assembly = Assembly(opcode, replace(LIMITS, message_size=10), replaces=False)
    for start in range(0, 10, size):
        assembly.add(b"x" * min(size, 10 - start), whole=False)
    assert assembly.room == 0
    assembly.add(b"", whole=True)
    before = kept(assembly)
    reason = f"^{exceeding('message', 10)}$"
    assert_raises(MessageTooBig, assembly.add, b"y" * 1000, True, match=reason)
    assert kept(assembly) == before
    assert assembly.message() in ("x" * 10, b"x" * 10)


def test_the_limit_counts_bytes_and_not_characters() -> None:
    """Memory is used by bytes, not by characters."""
    assembly = Assembly(Opcode.TEXT, replace(LIMITS, message_size=6), replaces=False)
    assembly.add("日日".encode(), whole=False)
    assert_raises(MessageTooBig, assembly.add, b"x", False)


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
def test_a_message_has_so_many_fragments_and_no_more(opcode: int) -> None:
    """Empty fragments count too, since they never reach the size limit; pieces of one frame are
    not fragments."""
    assembly = Assembly(opcode, replace(LIMITS, fragments=3), replaces=False)
    for whole in (False, True, False, False, True, True, False):
        assembly.add(b"", whole)
    reason = f"^{exceeding('message', 3, 'fragments')}$"
    assert_raises(MessageTooBig, assembly.add, b"", True, match=reason)


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
@pytest.mark.parametrize("part", ["x", "xy", "日", "😀", "x" * 1000])
@pytest.mark.parametrize("replaces", [True, False])
def test_a_message_in_parts_costs_what_it_weighs(opcode: int, part: str, replaces: bool) -> None:
    """A thousand connections with a message of 1 MiB each are 1 GiB, not thirty."""
    encoded = part.encode()
    count = 60_000 // len(encoded)
    tracemalloc.start()
    try:
        assembly = Assembly(opcode, LIMITS, replaces)
        for _ in range(count):
            assembly.add(bytes(bytearray(encoded)), whole=False)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 1.3 * 60_000
    assert assembly.message() == (part if opcode == Opcode.TEXT else encoded) * count


@given(st.data(), st.text(max_size=50).map(str.encode) | st.binary(max_size=20), st.booleans())
def test_any_text_is_read_or_refused_as_a_whole_would_be(
    data: st.DataObject, text: bytes, replaces: bool
) -> None:
    """The message may be cut anywhere."""
    parts = data.draw(deliveries(text))
    if replaces or first_wrong(text) is None:
        errors = "replace" if replaces else "strict"
        assert assembled(parts, replaces=replaces) == text.decode("utf-8", errors)
    else:
        assert_raises(InvalidUTF8, assembled, parts)
