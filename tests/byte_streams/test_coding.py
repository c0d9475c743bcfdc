"""Codings of a byte stream as messages: the stream arrives unchanged for any cuts, and other
messages are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import same_every_way
from txhixie.byte_streams.coding import (
    CODINGS,
    LONGEST_LINE,
    MOST_BYTES,
    Base64,
    Binary,
    Coding,
    CrLfLines,
    LineCoding,
    Text,
)
from txhixie.errors import FrameError, InvalidUTF8, MessageTooBig, UnsupportedData
from txhixie.testing.strategies import deliveries

every_coding = pytest.mark.parametrize("name", CODINGS)
cut_anywhere = st.binary(max_size=300).flatmap(deliveries)
line = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)


def encoded(coding: Coding, chunks: list[bytes]) -> list[str | bytes]:
    """All messages of a stream."""
    return [message for chunk in chunks for message in coding.encode(chunk)] + coding.finish()


@every_coding
def test_a_coding_is_found_by_its_name_and_made_for_one_connection(name: str) -> None:
    """The decoder's state of one stream must not reach another."""
    assert CODINGS[name]().name == name
    assert CODINGS[name]() is not CODINGS[name]()


@given(st.sampled_from([Binary, Base64]), cut_anywhere)
def test_any_bytes_arrive_unchanged(make: Callable[[], Coding], chunks: list[bytes]) -> None:
    """The stream may be cut anywhere: each message of base64 is complete in itself."""
    messages = encoded(make(), chunks)
    assert b"".join(map(make().decode, messages)) == b"".join(chunks)
    assert len(messages) == len([chunk for chunk in chunks if chunk])


@given(st.lists(line), st.data())
def test_lines_arrive_unchanged(lines: list[str], data: st.DataObject) -> None:
    """Each line is a message, wherever the stream was cut, even inside a character."""
    stream = "".join(f"{line}\n" for line in lines).encode()
    messages = encoded(LineCoding(), data.draw(deliveries(stream)))
    assert messages == lines
    assert b"".join(map(LineCoding().decode, messages)) == stream


@given(st.lists(line), st.data())
def test_lines_that_end_in_cr_lf_arrive_unchanged(lines: list[str], data: st.DataObject) -> None:
    """The CR and the LF may come in two pieces."""
    stream = "".join(f"{line}\r\n" for line in lines).encode()
    messages = encoded(CrLfLines(), data.draw(deliveries(stream)))
    assert messages == lines
    assert b"".join(map(CrLfLines().decode, messages)) == stream


@given(st.binary(max_size=100).flatmap(lambda data: st.tuples(st.just(data), deliveries(data))))
def test_lines_of_anything_are_text(case: tuple[bytes, list[bytes]]) -> None:
    """The text does not depend on the cuts."""
    stream, chunks = case
    assert encoded(LineCoding(), chunks) == encoded(LineCoding(), [stream])


@given(st.binary(max_size=100).flatmap(lambda data: st.tuples(st.just(data), deliveries(data))))
def test_anything_is_text(case: tuple[bytes, list[bytes]]) -> None:
    """The text is that of decoding the whole stream: no character is split."""
    stream, chunks = case
    messages = encoded(Text(), chunks)
    assert "".join(cast("list[str]", messages)) == stream.decode(errors="replace")
    assert "" not in messages


def test_a_prompt_is_text_at_once() -> None:
    coding = Text()
    assert coding.encode(b"login: ") == ["login: "]
    assert coding.encode("Prê".encode()[:-1]) == ["Pr"]
    assert coding.encode("ê".encode()[1:]) == ["ê"]
    assert not coding.replaced
    assert coding.encode(b"21 \xb0C") == ["21 \ufffdC"]
    assert coding.replaced
    assert coding.decode("a\r\nb") == b"a\r\nb"


def test_text_is_in_messages_that_peers_take() -> None:
    messages = Text().encode(("\U0001f600" * 40_000).encode())
    assert "".join(cast("list[str]", messages)) == "\U0001f600" * 40_000
    assert all(len(cast("str", message).encode()) <= 64 * 1024 for message in messages)


@pytest.mark.parametrize(
    ("make", "stream", "messages"),
    [
        (Binary, b"\0\xff", [b"\0\xff"]),
        (Base64, b"\0\xff", ["AP8="]),
        (LineCoding, b"a\n\r\nb\r", ["a", "\r", "b\r"]),
        (CrLfLines, b"a\r\n\r\nb\nc\r", ["a", "", "b", "c\r"]),
        (LineCoding, b"", []),
        (LineCoding, b"\n", [""]),
    ],
)
def test_a_stream_is_encoded_as_these_messages(
    make: Callable[[], Coding], stream: bytes, messages: list[str | bytes]
) -> None:
    """The expected messages are written out, not computed by the coding."""
    assert encoded(make(), [stream]) == messages
    if make in (LineCoding, CrLfLines):
        assert same_every_way(lambda chunks: encoded(make(), chunks), stream) == messages


@every_coding
def test_an_empty_write_makes_no_message(name: str) -> None:
    """An empty message would still be a message."""
    assert encoded(CODINGS[name](), [b"", b""]) == []


@pytest.mark.parametrize("make", [Binary, Base64])
def test_a_long_piece_is_several_messages(make: Callable[[], Coding]) -> None:
    """No message exceeds the limit of old peers."""
    data = bytes(range(256)) * 1024 + b"!"
    messages = make().encode(data)
    pieces = [make().decode(message) for message in messages]
    assert [len(piece) for piece in pieces] == [MOST_BYTES] * 4 + [1]
    assert b"".join(pieces) == data


@pytest.mark.parametrize(
    ("make", "message", "error"),
    [
        (Binary, "text", UnsupportedData),
        (Base64, b"AP8=", UnsupportedData),
        (Base64, "AP8", InvalidUTF8),
        (Base64, "AP8=\n", InvalidUTF8),
        (Base64, "AP8=AP8=", InvalidUTF8),
        (Base64, "A P8=", InvalidUTF8),
        (Base64, "AP-_", InvalidUTF8),
        (Base64, "\u00e4P8=", InvalidUTF8),
        (LineCoding, b"line", UnsupportedData),
        (Text, b"line", UnsupportedData),
        (LineCoding, "two\nlines", InvalidUTF8),
        (CrLfLines, "two\rlines", InvalidUTF8),
        (CrLfLines, "two\nlines", InvalidUTF8),
        (LineCoding, "x" * (LONGEST_LINE + 1), MessageTooBig),
    ],
)
def test_a_message_that_is_not_of_the_coding_is_refused(
    make: Callable[[], Coding], message: str | bytes, error: type[FrameError]
) -> None:
    """The error has the close code for the sender."""
    with pytest.raises(error):
        make().decode(message)


def test_an_empty_message_of_base64_is_no_byte() -> None:
    """Every message of base64 is complete in itself."""
    assert Base64().decode("") == b""


@pytest.mark.parametrize(
    ("stream", "lines"),
    [
        (b"a\n\xff\n", ["a", "\ufffd"]),
        (b"\xed\xa0\x80\n", ["\ufffd" * 3]),
        (b"\xc3", ["\ufffd"]),
    ],
)
def test_lines_that_are_not_utf_8_are_decoded_with_replacement(
    stream: bytes, lines: list[str]
) -> None:
    """Latin-1 of a serial port, a surrogate, and half a character at the end: one such byte does
    not end a console."""
    coding = LineCoding()
    assert encoded(coding, [stream]) == lines
    assert coding.replaced


def test_a_line_that_does_not_end_is_bounded() -> None:
    """A peer cannot fill more memory than this with one line."""
    coding = LineCoding(longest=10)
    assert coding.encode(b"12345") == []
    assert coding.encode(b"67890") == []
    with pytest.raises(MessageTooBig):
        coding.encode(b"1")
    assert coding.encode(b"\n") == ["1234567890"]


def test_a_line_that_ends_has_the_same_bound() -> None:
    """Even if the whole line comes at once, and after other lines."""
    with pytest.raises(MessageTooBig):
        LineCoding(longest=3).encode(b"1234\n")
    with pytest.raises(MessageTooBig):
        LineCoding(longest=3).encode(b"1\n1234\n")
