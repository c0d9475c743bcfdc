"""Messages in fragments: the framing by itself."""

from __future__ import annotations

from typing import Final

import pytest

from txhixie.sansio.wire.fragmented import LEAST_FRAGMENT, FragmentedFraming
from txhixie.sansio.wire.frame import BINARY, CONTINUATION, PING, TEXT, Close, Side
from txhixie.sansio.wire.hybi import HybiFraming, ServerFraming

MOST: Final = 125


def framing(side: str = Side.SERVER, most: int = MOST) -> FragmentedFraming:
    made = ServerFraming(side, 1 << 20) if side == Side.SERVER else HybiFraming(side, 1 << 20)
    return FragmentedFraming(made, most)


def test_a_control_frame_is_no_longer_than_the_least_fragment() -> None:
    assert LEAST_FRAGMENT == 125
    assert framing(most=10).encode(PING, bytes(125)) == b"\x89\x7d" + bytes(125)
    assert framing(most=10).encode_close(Close(1000, "bye")) == b"\x88\x05\x03\xe8bye"


@pytest.mark.parametrize("size", [0, 1, MOST])
def test_a_short_message_is_one_frame(size: int) -> None:
    assert framing().encode(TEXT, bytes(size)) == bytes((0x81, size)) + bytes(size)


def test_a_long_message_is_cut_at_the_greatest_size() -> None:
    """RFC 6455 section 5.4: the opcode is in the first fragment, the FIN bit in the last."""
    expected = b"\x02\x7d" + b"a" * 125 + b"\x00\x7d" + b"a" * 125 + b"\x80\x01a"
    assert framing().encode(BINARY, b"a" * 251) == expected
    assert b"".join(framing().encode_parts(BINARY, b"a" * 251)) == expected


def test_reserved_bits_are_those_of_the_first_fragment() -> None:
    """RFC 7692 section 6.1."""
    data = framing().encode(TEXT, b"a" * 200, True, 0x40)
    assert (data[0], data[127]) == (0x41, 0x80)


def test_a_fragment_of_a_message_stays_one() -> None:
    data = framing().encode(TEXT, b"a" * 200, False)
    assert (data[0], data[127]) == (0x01, 0x00)
    assert b"".join(framing().encode_parts(TEXT, b"a" * 10, False)) == b"\x01\x0a" + b"a" * 10


def test_fragments_are_shared_by_codecs_of_the_same_size() -> None:
    """A broadcast message is encoded once for all codecs with one name."""
    names = {framing(most=most).encoding(TEXT) for most in (125, 125, 126)}
    assert len({*names, ServerFraming(Side.SERVER, 1).encoding(TEXT)}) == 3
    assert framing(Side.CLIENT).encoding(TEXT) == ""


def test_what_is_received_is_not_changed() -> None:
    """The frames of a client of this kind are those that a server of this kind reads."""
    sender, receiver = framing(Side.CLIENT), framing()
    receiver.feed(sender.encode(TEXT, b"a" * 130))
    assert receiver.waiting == 130 + 2 * 6
    ahead = list(receiver.ahead())
    assert list(receiver.frames()) == ahead
    assert [(opcode, len(payload), final) for opcode, payload, final, *_ in ahead] == [
        (TEXT, 125, False),
        (CONTINUATION, 5, True),
    ]
    assert receiver.has_binary
    assert receiver.read_close(b"\x03\xe8bye") == Close(1000, "bye")
    receiver.feed(b"\x81")
    receiver.release()
    assert receiver.waiting == 0
