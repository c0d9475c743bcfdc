"""Whole messages, in C and in Python: both give the same results."""

from __future__ import annotations

import sys
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.c_extension import compiled, every_way
from support.frames import modern_frame
from txhixie.sansio.wire import message_batch as module
from txhixie.sansio.wire.frame import BINARY, CONTINUATION, PING, TEXT

LIMIT = 70_000
KEY = b"\x37\xfa\x21\x3d"
SIZES = [0, 1, 125, 126, 16383, 16384, 16385, 65535, 65536]
TEXTS = ["", "a", "\0", "é" * 62, "é" * 63, "日本" * 3000, "x" * 16384, "€" * 22000, "\U0001f600"]

either = pytest.mark.parametrize("masked", [True, False])


def twin(way: str, name: str) -> Any:
    """A function in C, in Python, or the one that the package uses."""
    if way == "c":
        return getattr(compiled(), name)
    return getattr(module, f"{name}_in_python" if way == "python" else name)


def framed(payload: bytes, masked: bool, opcode: int = TEXT, final: bool = True) -> bytes:
    """A frame as a client or a server sends it."""
    key = Random(payload).randbytes(4) if masked else None
    return modern_frame(opcode, payload, final=final, key=key)


def read(way: str, data: bytes, masked: bool, position: int = 0, limit: int = LIMIT) -> Any:
    """All whole messages from a position on, their end, and the bytes of their payloads."""
    found: list[str | bytes] = []
    total = 0
    while True:
        batch = twin(way, "read_messages")(limit, masked, data, position, 64)
        messages, position, size = batch
        total += size
        if not messages:
            return found, position, total
        found += messages


@every_way
@either
def test_each_message_of_a_read_is_text_or_bytes(way: str, masked: bool) -> None:
    messages: list[str | bytes] = [*TEXTS, *(Random(size).randbytes(size) for size in SIZES)]
    Random(5).shuffle(messages)
    payloads = [each.encode() if isinstance(each, str) else each for each in messages]
    frames = [
        framed(payload, masked, TEXT if isinstance(each, str) else BINARY)
        for each, payload in zip(messages, payloads, strict=True)
    ]
    data = b"".join(frames)
    size = sum(map(len, payloads))
    assert read(way, data, masked) == (messages, len(data), size)
    assert read(way, b"xx" + data + b"\x81", masked, 2) == (messages, len(data) + 2, size)


@every_way
@either
@pytest.mark.parametrize("before", [0, 1, 70])
@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda masked: framed(b"a", masked, PING), id="ping"),
        pytest.param(lambda masked: framed(b"a", masked, TEXT, False), id="first fragment of text"),
        pytest.param(lambda masked: framed(b"a", masked, BINARY, False), id="first fragment"),
        pytest.param(lambda masked: framed(b"a", masked, CONTINUATION), id="last fragment"),
        pytest.param(lambda masked: b"\xc1" + framed(b"a", masked)[1:], id="reserved bit"),
        pytest.param(lambda masked: framed(b"abcdef", not masked), id="other mask"),
        pytest.param(lambda masked: framed(b"a\xff", masked), id="invalid UTF-8"),
        pytest.param(lambda masked: framed(b"\xed\xa0\x80", masked), id="surrogate"),
        pytest.param(lambda masked: framed(b"a" * 20_000 + b"\xc3", masked), id="cut character"),
        pytest.param(lambda masked: framed(bytes(LIMIT + 1), masked), id="too large"),
        pytest.param(lambda masked: framed(bytes(300), masked)[:-1], id="incomplete"),
    ],
)
def test_whatever_is_not_a_whole_message_stops_the_batch(
    way: str, masked: bool, before: int, other: Any
) -> None:
    data = framed(b"Hello", masked) * before
    found = read(way, data + other(masked) + framed(b"behind", masked), masked)
    assert found == (["Hello"] * before, len(data), 5 * before)


@every_way
@either
@pytest.mark.parametrize("most", [0, 1, 2, 3, 63, 64])
def test_no_more_messages_are_read_than_asked_for(way: str, masked: bool, most: int) -> None:
    """Of frames of one size, which Python unmasks together, and of mixed ones."""
    for payloads in ([b"ab"] * 100, [bytes([65]) * (index % 5) for index in range(100)]):
        frames = [framed(payload, masked) for payload in payloads]
        found = twin(way, "read_messages")(LIMIT, masked, b"".join(frames), 0, most)
        texts = [payload.decode() for payload in payloads[:most]]
        assert found == (texts, len(b"".join(frames[:most])), len("".join(texts)))


@every_way
def test_texts_of_hixie_are_read(way: str) -> None:
    data = b"".join(b"\x00%b\xff" % text.encode() for text in TEXTS)
    size = sum(len(text.encode()) for text in TEXTS)
    reader = twin(way, "read_text_messages")
    assert reader(LIMIT, data, 0, 64) == (TEXTS, len(data), size)
    assert reader(LIMIT, b"xx" + data + b"\x00a", 2, 64) == (TEXTS, len(data) + 2, size)
    assert reader(LIMIT, b"\x00a\xff" * 70, 3, 64) == (["a"] * 64, 3 + 64 * 3, 64)
    assert reader(LIMIT, b"\x00a\xff" * 70, 3, 2) == (["a"] * 2, 9, 2)
    for other in (b"\x00ab\xff", b"\x80\x01a", b"\xff\x00", b"\x00a", b"", b"\x00\xc3\xff"):
        assert reader(1, b"\x00a\xff" + other, 0, 64) == (["a"], 3, 1)


@given(st.data(), st.booleans())
def test_both_read_the_same_messages(data: st.DataObject, masked: bool) -> None:
    """Any bytes, cut anywhere."""
    first = st.sampled_from([0x81, 0x81, 0x82, 0x80, 0x01, 0x02, 0x00, 0x89, 0xC1, 0x83])
    payload = (
        st.text(max_size=40).map(str.encode)
        | st.binary(max_size=40)
        | st.integers(100, 600).map(bytes)
    )
    parts = data.draw(st.lists(st.tuples(first, payload, st.integers(0, 99)), max_size=12))
    wire = b"".join(
        bytes((byte,)) + framed(content, masked if chance else not masked)[1:]
        for byte, content, chance in parts
    )
    wire = wire[: data.draw(st.integers(0, len(wire)))]
    limit, most = data.draw(st.sampled_from([10, 300, LIMIT])), data.draw(st.integers(0, 64))
    arguments = limit, masked, wire, 0, most
    expected = module.read_messages_in_python(*arguments)
    assert compiled().read_messages(*arguments) == expected
    texts = limit, wire, data.draw(st.integers(0, len(wire))), most
    assert compiled().read_text_messages(*texts) == module.read_text_messages_in_python(*texts)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_written_in_one_call(text: str) -> None:
    payload = text.encode()
    assert module.write_text(text) == modern_frame(TEXT, payload)
    assert module.write_hixie_text(text) == b"\x00%b\xff" % payload


def test_what_is_not_text_is_not_written() -> None:
    write: Any
    for write in (module.write_text, module.write_hixie_text):
        for other in (b"bytes", None, 5, [1]):
            with pytest.raises(TypeError):
                write(other)
        with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
            write("\ud800")


def test_the_c_functions_check_their_arguments() -> None:
    """CPython calls the functions without a tuple; they must not read beyond their arguments."""
    c = compiled()
    wrong: list[tuple[Any, ...]] = [(), (1,), (1, True, b""), (1, True, b"", 0, 1, 1)]
    for arguments in [*wrong, (1, True, b"", 0), (1, True, bytearray(9), 0, 1)]:
        with pytest.raises(TypeError):
            c.read_messages(*arguments)
    for arguments in [*wrong, (1, b"", 0, 1, 1), (1, bytearray(9), 0, 1), (1, b"", "", 1)]:
        with pytest.raises(TypeError):
            c.read_text_messages(*arguments)
    for position in (-1, 3, 1 << 70):
        with pytest.raises((ValueError, OverflowError)):
            c.read_messages(LIMIT, True, b"ab", position, 64)
        with pytest.raises((ValueError, OverflowError)):
            c.read_text_messages(LIMIT, b"ab", position, 64)
    for key in (b"", b"abc", b"abcde"):
        with pytest.raises(ValueError, match="4 bytes"):
            c.write_plain(TEXT, b"a", True, 0, key)


@either
def test_c_keeps_neither_arguments_nor_results(masked: bool) -> None:
    """A leak of a reference is a leak of a message."""
    data = framed(bytes(1000), masked, BINARY) + framed(bytes(20_000), masked) + framed(b"", masked)
    messages, _, _ = compiled().read_messages(LIMIT, masked, data, 0, 64)
    message = messages.pop()
    message = messages.pop()
    assert sys.getrefcount(message) == 2
    before = sys.getrefcount(data)
    for _ in range(50):
        compiled().read_messages(LIMIT, masked, data + framed(b"\xff", masked), 0, 64)
        compiled().read_messages(LIMIT, masked, data, 0, 64)
        compiled().read_text_messages(LIMIT, data, 0, 64)
    assert sys.getrefcount(data) == before
    assert sys.getrefcount(message) == 2
