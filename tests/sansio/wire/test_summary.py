"""Summaries of frames: all kinds, in pieces of any size, and bytes that are no frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.dialect_names import MODERN, NAMES
from support.frame_writer import FrameWriter
from support.frames import MASK
from txhixie.sansio.wire.summary import MOST_PAYLOAD, FrameSummary, HixieSummaries, HybiSummaries


def reader_of(dialect: str) -> HybiSummaries | HixieSummaries:
    """A new reader of the frames of a dialect."""
    return HybiSummaries() if dialect in MODERN else HixieSummaries()


def summaries(dialect: str, *pieces: bytes) -> list[FrameSummary]:
    """The frames in some pieces."""
    reader = reader_of(dialect)
    return [frame for piece in pieces for frame in reader.read(piece)]


@pytest.mark.parametrize("key", [None, MASK])
@pytest.mark.parametrize("dialect", NAMES)
@pytest.mark.parametrize("size", [0, 1, 64, 65, 125, 126, 70_000])
def test_a_text_has_its_length_and_its_first_bytes(
    dialect: str, key: bytes | None, size: int
) -> None:
    data = FrameWriter(dialect, key).text("x" * size)
    (found,) = summaries(dialect, data)
    assert (found.name, found.length) == ("text", size)
    assert found.payload == b"x" * min(size, MOST_PAYLOAD)
    if dialect in MODERN:
        assert (found.final, found.masked, found.compressed) == (True, key is not None, False)
    else:
        assert (found.final, found.masked, found.compressed) == (None, None, None)


def test_flags_and_unknown_opcodes_are_shown_as_sent() -> None:
    found = summaries("rfc6455", b"\x41\x01a\x80\x01b\x8f\x00\x88\x02\x03\xe8\x89\x00\x8a\x00")
    assert [(each.name, each.final, each.compressed) for each in found] == [
        ("text", False, True),
        ("continuation", True, False),
        ("opcode-15", True, False),
        ("close", True, False),
        ("ping", True, False),
        ("pong", True, False),
    ]


def test_the_types_of_the_hixie_dialects_are_shown_as_sent() -> None:
    found = summaries("hixie-76", b"\x00a\xff\x80\x81\x00" + bytes(128) + b"\xff\x00\x05b\xff")
    assert [(each.name, each.length) for each in found] == [
        ("text", 1),
        ("binary", 128),
        ("close", 0),
        ("type-05", 1),
    ]


def test_a_length_without_end_stops_the_reader() -> None:
    reader = HixieSummaries()
    assert list(reader.read(b"\x80" + b"\xff" * 10_000)) == []
    assert list(reader.read(b"\x00a\xff")) == []


@given(st.data(), st.sampled_from(NAMES), st.lists(st.text(max_size=80), max_size=4))
def test_frames_in_pieces_are_the_same_as_whole_ones(
    data: st.DataObject, dialect: str, texts: list[str]
) -> None:
    writer = FrameWriter(dialect, MASK if data.draw(st.booleans()) else None)
    sent = b"".join(map(writer.text, texts))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=6)))
    pieces = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    found = summaries(dialect, *pieces)
    assert found == summaries(dialect, sent)
    assert [each.payload for each in found] == [text.encode()[:MOST_PAYLOAD] for text in texts]


@given(st.sampled_from(NAMES), st.lists(st.binary(max_size=100), max_size=5))
def test_any_bytes_are_read_with_few_of_them_kept(dialect: str, pieces: list[bytes]) -> None:
    for found in summaries(dialect, *pieces):
        assert len(found.payload) <= MOST_PAYLOAD
