"""Framing with quirks: frames without a deviation are read as by the strict framing.

``tests/server/test_protocol_quirks.py`` has the frames of real devices.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.frame_writer import FrameWriter
from support.frames import MASK
from txhixie.errors import FrameError
from txhixie.sansio.wire.frame import CLOSE, TEXT, CloseCode, Frame, Side
from txhixie.sansio.wire.hybi import ServerFraming
from txhixie.sansio.wire.lenient import LenientFraming
from txhixie.testing.strategies import deliveries

OF_FRAMES: Final = ("stray", "masks", "goodbyes")
WRITER: Final = FrameWriter("rfc6455", MASK)
texts = st.lists(st.text(max_size=200), min_size=1, max_size=8)


def lenient(*quirks: str) -> LenientFraming:
    framing = LenientFraming(Side.SERVER, 1 << 20)
    framing.accept(quirks)
    return framing


def frames(framing: ServerFraming, chunks: Iterable[bytes]) -> list[Frame]:
    found: list[Frame] = []
    for chunk in chunks:
        framing.feed(chunk)
        found += framing.frames()
    return found


def joined(found: list[Frame]) -> bytes:
    return b"|".join(payload + (b"." if whole else b"") for _, payload, _, _, whole in found)


@given(texts.flatmap(lambda sent: deliveries(b"".join(map(WRITER.text, sent)))), st.data())
def test_valid_frames_are_read_as_by_the_strict_framing(
    chunks: list[bytes], data: st.DataObject
) -> None:
    quirks = data.draw(st.sets(st.sampled_from(OF_FRAMES)))
    strict = frames(ServerFraming(Side.SERVER, 1 << 20), chunks)
    assert frames(lenient(*quirks), chunks) == strict


@given(st.data())
def test_stray_bytes_are_dropped_in_every_cutting(data: st.DataObject) -> None:
    stray = data.draw(st.sampled_from([b"\0", b"\r\n"]))
    chunks = data.draw(deliveries(stray + WRITER.text("hello")))
    found = frames(lenient("stray"), chunks)
    assert b"".join(payload for _, payload, *_ in found) == b"hello"


def test_stray_bytes_are_dropped_once_and_only_at_the_beginning() -> None:
    framing = lenient("stray")
    assert joined(frames(framing, [b"\0" + WRITER.text("a")])) == b"a."
    with pytest.raises(FrameError, match="unknown opcode 0xd"):
        frames(framing, [b"\r\n" + WRITER.text("b")])


@pytest.mark.parametrize("payload", [b"", b"\x57", b"We", b"\x03\xed", b"\x03\xe8\xff"])
def test_any_payload_of_a_close_frame_is_a_close_without_a_code(payload: bytes) -> None:
    assert lenient("goodbyes").read_close(payload).code == CloseCode.NO_STATUS_RCVD
    valid = lenient("goodbyes").read_close(b"\x03\xe8bye")
    assert (valid.code, valid.reason) == (1000, "bye")


def test_a_goodbye_needs_no_mask_and_ends_what_is_read() -> None:
    assert frames(lenient("goodbyes"), [b"\x87\x00after"]) == [(CLOSE, b"", True, 0, True)]
    assert frames(lenient("goodbyes"), [b"\x88\x00"]) == [(CLOSE, b"", True, 0, True)]
    with pytest.raises(FrameError, match="client frames must be masked"):
        frames(lenient("goodbyes"), [b"\x81\x01a"])


def test_frames_without_a_mask_are_read_beside_masked_ones() -> None:
    found = frames(lenient("masks"), [b"\x81\x01a" + WRITER.text("b") + b"\x81\x01c"])
    assert found == [(TEXT, payload, True, 0, True) for payload in (b"a", b"b", b"c")]
