"""x-webkit-deflate-frame: frame by frame, as Safari 6 and 7 ask for it."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.peer_errors import assert_raises
from support.private_state import zlib_streams
from txhixie.errors import BadCompression, InvalidHandshake, MessageTooBig
from txhixie.sansio.extensions.deflate import TAIL
from txhixie.sansio.extensions.deflate_frame import NAME, RSV1, DeflateFrame, FrameTransform
from txhixie.sansio.http.parameters import Parameters, read_list
from txhixie.sansio.wire.frame import Opcode

ROOM = 1 << 20
FRESH: Parameters = (("no_context_takeover", None),)
KEEPS = DeflateFrame(takeover=True)
JSON = b'{"name": "value", "number": 12345, "list": [1, 2, 3]}, ' * 40


def parameters(text: str) -> Parameters:
    """Parameters as they are written in the header field."""
    [(_, found)] = read_list([f"{NAME}; {text}" if text else NAME])
    return found


def pair(client: DeflateFrame, server: DeflateFrame) -> tuple[FrameTransform, FrameTransform]:
    """The transforms of both sides, for an agreement of these two configurations."""
    accepted = server.accept(client.offers())
    assert accepted is not None
    assert isinstance(accepted.transform, FrameTransform)
    return client.agree(accepted.parameters), accepted.transform


def hears(transform: FrameTransform, payload: bytes, reserved: int = RSV1) -> bytes:
    """The payload of a message in one frame, inflated."""
    return transform.decode(Opcode.TEXT, payload, True, reserved, True, ROOM)


@pytest.mark.parametrize(("ours", "said"), [(DeflateFrame(), FRESH), (KEEPS, ())])
def test_each_side_limits_the_other_sides_frames(ours: DeflateFrame, said: Parameters) -> None:
    """The parameters are the same in an offer and in a response, for any wish of the other
    side."""
    assert ours.offers() == said
    for wish in ("", "no_context_takeover", "max_window_bits=9", "max_window_bits=15"):
        accepted = ours.accept(parameters(wish))
        assert accepted is not None
        assert accepted.parameters == said
        assert isinstance(ours.agree(parameters(wish)), FrameTransform)


@pytest.mark.parametrize(
    "wish",
    [
        "unknown",
        "no_context_takeover=1",
        "max_window_bits",
        *(f"max_window_bits={bits}" for bits in ("0", "7", "8", "16", "09", "+9", "x")),
        "client_max_window_bits",
        "server_no_context_takeover",
        "no_context_takeover; no_context_takeover",
        "max_window_bits=9; max_window_bits=9",
        "max_window_bits=9; max_window_bits=15",
    ],
)
@pytest.mark.parametrize("ours", [DeflateFrame(), KEEPS])
def test_an_invalid_parameter_is_declined_or_refused(ours: DeflateFrame, wish: str) -> None:
    """By a server and by a client; a window of eight bits too, which zlib has not."""
    assert ours.accept(parameters(wish)) is None
    reason = f"^extension: {NAME} with invalid parameters$"
    assert_raises(InvalidHandshake, ours.agree, parameters(wish), match=reason)


@pytest.mark.parametrize("kind", [{"level": 0}, {"level": 10}, {"memory": 0}, {"memory": 10}])
def test_an_invalid_preference_is_refused(kind: dict[str, int]) -> None:
    """When the program starts, and not at the first connection."""
    with pytest.raises(ValueError, match="expected 1 to 9"):
        # Which keyword it is, only the case knows.
        DeflateFrame(**kind)  # type: ignore[arg-type]  # the options come from a dictionary, and are checked when the test runs


@pytest.mark.parametrize("bits", range(9, 16))
def test_the_other_sides_window_limit_is_kept(bits: int) -> None:
    """The peer's decompressor has a window of that size and no larger."""
    accepted = KEEPS.accept(parameters(f"max_window_bits={bits}"))
    assert accepted is not None
    reader = zlib.decompressobj(-bits)
    for _ in range(3):
        sent, reserved = accepted.transform.encode(JSON * 20, compress=True)
        assert reserved == RSV1
        assert reader.decompress(sent + TAIL) == JSON * 20


@pytest.mark.parametrize("client_keeps", [True, False])
@pytest.mark.parametrize("server_keeps", [True, False])
def test_either_side_can_forbid_takeover_both_ways(client_keeps: bool, server_keeps: bool) -> None:
    """A side that does not want it neither does it nor has it done."""
    client, server = pair(DeflateFrame(takeover=client_keeps), DeflateFrame(takeover=server_keeps))
    for writer, reader in ((client, server), (server, client)):
        first, second = (writer.encode(JSON, compress=True)[0] for _ in range(2))
        assert (len(second) < len(first) / 2) == (client_keeps and server_keeps)
        assert [hears(reader, message) for message in (first, second)] == [JSON, JSON]


def test_without_takeover_nothing_is_kept() -> None:
    """On either side, in either direction."""
    for one in pair(DeflateFrame(), DeflateFrame()):
        assert hears(one, one.encode(JSON, compress=True)[0]) == JSON
        assert zlib_streams(one) == (False, False)


def test_messages_below_the_threshold_are_sent_plain() -> None:
    """Unless their sender says otherwise."""
    transform, _ = pair(DeflateFrame(threshold=20), DeflateFrame())
    assert transform.encode(b"a" * 19, None) == (b"a" * 19, 0)
    assert transform.encode(b"a" * 20, None)[1] == RSV1
    assert transform.encode(b"a" * 19, compress=True)[1] == RSV1
    assert transform.encode(b"a" * 20, compress=False) == (b"a" * 20, 0)


def test_each_frame_has_its_own_compression_bit() -> None:
    """Compressed and uncompressed frames make one message, as first frames and continuations, in
    pieces and with control frames in between."""
    transform, _ = pair(KEEPS, KEEPS)
    hello, he, plain = b"\xf2H\xcd\xc9\xc9\x07\x00", b"\xf2\x48\xcd\x01\x00", b"lo"
    frames = [
        (Opcode.TEXT, he, False, RSV1, True, b"Hel"),
        (Opcode.CONTINUATION, plain, False, 0, True, plain),
        (Opcode.CONTINUATION, b"\xf2H", False, RSV1, False, None),
        (Opcode.CONTINUATION, hello[2:], False, 0, True, None),
        (Opcode.CONTINUATION, plain[:1], True, 0, False, plain[:1]),
        (Opcode.CONTINUATION, plain[1:], True, 0, True, plain[1:]),
    ]
    found = b""
    for opcode, payload, final, reserved, whole, expected in frames:
        part = transform.decode(opcode, payload, final, reserved, whole, ROOM)
        assert expected in (None, part)
        found += part
    assert found == b"HelloHellolo"


def test_garbage_and_bombs_are_named_errors() -> None:
    """In any frame of a message."""
    transform, _ = pair(KEEPS, KEEPS)
    transform.decode(Opcode.TEXT, b"plain", False, 0, True, ROOM)
    bad = (Opcode.CONTINUATION, b"\xff\xff", True, RSV1, True, ROOM)
    assert_raises(BadCompression, transform.decode, *bad)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = compressor.compress(bytes(1 << 20)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    transform, _ = pair(KEEPS, KEEPS)
    big = (Opcode.TEXT, bomb[:-4], True, RSV1, True, 1 << 19)
    assert_raises(MessageTooBig, transform.decode, *big)
    transform, _ = pair(KEEPS, KEEPS)
    takes_the_tail = (Opcode.TEXT, b"\x00\x09\x00\xf6\xffHello", True, RSV1, True, 8)
    assert_raises(MessageTooBig, transform.decode, *takes_the_tail)


preferences = st.builds(
    DeflateFrame,
    st.booleans(),
    st.sampled_from([1, 9]),
    st.integers(1, 9),
    st.sampled_from([0, 10, 300]),
)
messages = st.binary(max_size=400) | st.text(max_size=300).map(str.encode) | st.just(JSON)


@given(
    preferences,
    preferences,
    st.lists(st.tuples(messages, st.sampled_from([None, True, False])), max_size=6),
)
def test_any_two_preferences_agree_and_then_understand_each_other(
    ours: DeflateFrame, theirs: DeflateFrame, said: list[tuple[bytes, bool | None]]
) -> None:
    """In both directions, with compressed and uncompressed messages."""
    client, server = pair(ours, theirs)
    for writer, reader in ((client, server), (server, client)):
        for payload, compress in said:
            sent, bits = writer.encode(payload, compress)
            assert hears(reader, sent, bits) == payload
