"""Headers of frames, from frames of every length and in every cutting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.frame_writer import FrameWriter
from support.frames import MASK
from txhixie.cli.devices.frame_headers import FrameHeader, FrameHeaders
from txhixie.testing.strategies import deliveries

SIZES = st.sampled_from([0, 1, 125, 126, 127, 65535, 65536])


@given(st.data(), st.lists(SIZES, min_size=1, max_size=4), st.booleans())
def test_each_frame_has_a_header(data: st.DataObject, sizes: list[int], masked: bool) -> None:
    writer = FrameWriter("rfc6455", MASK if masked else None)
    sent = b"".join(writer.text("x" * size) for size in sizes)
    reader = FrameHeaders()
    found = [header for chunk in data.draw(deliveries(sent)) for header in reader.read(chunk)]
    assert [(header.size, header.masked, header.is_long) for header in found] == [
        (size, masked, False) for size in sizes
    ]


@pytest.mark.parametrize("stray", [b"\0", b"\r\n"])
def test_stray_bytes_behind_the_request_are_left_out(stray: bytes) -> None:
    found = list(FrameHeaders().read(stray + b"\x81\x05hello\x89\x00"))
    assert [header.data for header in found] == [b"\x81\x05", b"\x89\x00"]


def test_a_length_in_more_bytes_than_needed_is_noticed() -> None:
    found = list(FrameHeaders().read(b"\x81\x7e\x00\x7d" + b"x" * 125 + b"\x82\x7f" + bytes(8)))
    assert found == [
        FrameHeader(b"\x81\x7e\x00\x7d", 125, False, True),
        FrameHeader(b"\x82\x7f" + bytes(8), 0, False, True),
    ]


def test_a_continuation_frame_is_no_stray_byte() -> None:
    found = list(FrameHeaders().read(b"\x01\x01a\x00\x01b\x80\x01c"))
    assert [header.data[0] for header in found] == [0x01, 0x00, 0x80]
