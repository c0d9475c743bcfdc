"""permessage-deflate: every parameter, on both sides, and what each of them does to messages."""

from __future__ import annotations

import zlib
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.peer_errors import assert_raises
from support.private_state import zlib_streams
from txhixie.errors import BadCompression, FrameError, InvalidHandshake, MessageTooBig
from txhixie.sansio.extensions.deflate import TAIL
from txhixie.sansio.extensions.permessage_deflate import (
    NAME,
    RSV1,
    MessageTransform,
    PermessageDeflate,
)
from txhixie.sansio.http.parameters import Parameters, read_list, write_list
from txhixie.sansio.wire.frame import Opcode

SERVER_FRESH, CLIENT_FRESH = "server_no_context_takeover", "client_no_context_takeover"
SERVER_BITS, CLIENT_BITS = "server_max_window_bits", "client_max_window_bits"
FRESH = f"{SERVER_FRESH}; {CLIENT_FRESH}"
KEEPS = PermessageDeflate(server_takeover=True, client_takeover=True)
ROOM = 1 << 20
JSON = b'{"name": "value", "number": 12345, "list": [1, 2, 3]}, ' * 40


def parameters(text: str) -> Parameters:
    """Parameters as they are written in the header field."""
    [(_, found)] = read_list([f"{NAME}; {text}" if text else NAME])
    return found


def written(found: Parameters) -> str:
    """The parameters with the roles of client and server exchanged."""
    return write_list([(NAME, found)]).removeprefix(NAME).removeprefix("; ")


def answered(ours: PermessageDeflate, offer: str) -> str | None:
    """The response of a server to an offer; ``None`` when the server declines."""
    accepted = ours.accept(parameters(offer))
    return None if accepted is None else written(accepted.parameters)


def says(transform: MessageTransform, payload: bytes, compress: bool | None = None) -> bytes:
    """The frame payload of a message, whose frame has the RSV1 bit if it is compressed."""
    sent, bits = transform.encode(payload, compress)
    assert bits in (0, RSV1)
    if not bits:
        assert sent == payload
    return sent


def hears(
    transform: MessageTransform, payload: bytes, reserved: int = RSV1, room: int = ROOM
) -> bytes:
    """The payload of a message in one frame, inflated."""
    return transform.decode(Opcode.TEXT, payload, True, reserved, True, room)


# What a client offers.


@pytest.mark.parametrize(
    ("ours", "offer"),
    [
        (PermessageDeflate(), f"{FRESH}; {CLIENT_BITS}"),
        (KEEPS, CLIENT_BITS),
        (PermessageDeflate(server_takeover=True), f"{CLIENT_FRESH}; {CLIENT_BITS}"),
        (PermessageDeflate(client_takeover=True), f"{SERVER_FRESH}; {CLIENT_BITS}"),
        (PermessageDeflate(server_bits=9), f"{FRESH}; {SERVER_BITS}=9; {CLIENT_BITS}"),
        (PermessageDeflate(client_bits=8), f"{FRESH}; {CLIENT_BITS}=8"),
        (
            PermessageDeflate(server_bits=12, client_bits=11),
            f"{FRESH}; {SERVER_BITS}=12; {CLIENT_BITS}=11",
        ),
    ],
)
def test_a_client_offers_what_it_prefers(ours: PermessageDeflate, offer: str) -> None:
    """And always says that its window may be limited: it costs nothing."""
    assert written(ours.offers()) == offer


@pytest.mark.parametrize(
    "kind",
    [
        {"server_bits": 8},
        {"server_bits": 16},
        {"client_bits": 7},
        {"client_bits": 16},
        {"level": 0},
        {"level": 10},
        {"memory": 0},
        {"memory": 10},
    ],
)
def test_an_invalid_preference_is_refused(kind: dict[str, int]) -> None:
    """When the program starts, and not at the first connection."""
    with pytest.raises(ValueError, match=r"expected .*[189] to "):
        # Which keyword it is, only the case knows.
        PermessageDeflate(**kind)  # type: ignore[arg-type]  # the options come from a dictionary, and are checked when the test runs


def test_defaults_keep_nothing_of_an_idle_connection() -> None:
    """On either side."""
    ours = PermessageDeflate()
    assert (ours.server_takeover, ours.client_takeover) == (False, False)


# What a server answers.


@pytest.mark.parametrize(
    ("ours", "offer", "answer"),
    [
        (PermessageDeflate(), "", CLIENT_FRESH),
        (PermessageDeflate(), CLIENT_BITS, CLIENT_FRESH),
        (PermessageDeflate(), f"{CLIENT_BITS}=10", f"{CLIENT_FRESH}; {CLIENT_BITS}=10"),
        (PermessageDeflate(), f"{CLIENT_BITS}=8", f"{CLIENT_FRESH}; {CLIENT_BITS}=8"),
        (PermessageDeflate(), f"{CLIENT_BITS}=15", CLIENT_FRESH),
        (PermessageDeflate(), f'{CLIENT_BITS}="10"', f"{CLIENT_FRESH}; {CLIENT_BITS}=10"),
        (KEEPS, "", ""),
        (KEEPS, CLIENT_BITS, ""),
        (KEEPS, SERVER_FRESH, SERVER_FRESH),
        (KEEPS, CLIENT_FRESH, CLIENT_FRESH),
        (KEEPS, f"{CLIENT_FRESH}; {SERVER_FRESH}", FRESH),
        (KEEPS, f"{SERVER_BITS}=9", f"{SERVER_BITS}=9"),
        (KEEPS, f"{SERVER_BITS}=14", f"{SERVER_BITS}=14"),
        (KEEPS, f"{SERVER_BITS}=15", f"{SERVER_BITS}=15"),
        (KEEPS, f"{SERVER_BITS}=8", None),
        (PermessageDeflate(server_bits=10), f"{SERVER_BITS}=9", f"{CLIENT_FRESH}; {SERVER_BITS}=9"),
        (
            PermessageDeflate(server_bits=10),
            f"{SERVER_BITS}=12",
            f"{CLIENT_FRESH}; {SERVER_BITS}=10",
        ),
        (PermessageDeflate(server_bits=10), "", CLIENT_FRESH),
        (PermessageDeflate(client_bits=10), "", CLIENT_FRESH),
        (PermessageDeflate(client_bits=10), CLIENT_BITS, f"{CLIENT_FRESH}; {CLIENT_BITS}=10"),
        (PermessageDeflate(client_bits=10), f"{CLIENT_BITS}=9", f"{CLIENT_FRESH}; {CLIENT_BITS}=9"),
        (
            PermessageDeflate(client_bits=10),
            f"{CLIENT_BITS}=12",
            f"{CLIENT_FRESH}; {CLIENT_BITS}=10",
        ),
    ],
)
def test_a_server_answers_what_will_hold(
    ours: PermessageDeflate, offer: str, answer: str | None
) -> None:
    """The smaller of both windows, and no takeover that either does not want; a client that did
    not say that its window may be limited is not told to."""
    assert answered(ours, offer) == answer


BAD_BITS = ["7", "16", "0", "08", "010", "015", "+9", "-9", "1_0", "9.0", "x", "99999999999", "1e1"]
NOT_PARAMETERS = [
    *(f"{name}={bits}" for name, bits in product((SERVER_BITS, CLIENT_BITS), BAD_BITS)),
    *(f"{name}={value}" for name, value in product((SERVER_FRESH, CLIENT_FRESH), ("1", "true"))),
    *(f"{name}; {name}" for name in (SERVER_FRESH, CLIENT_FRESH)),
    *(f"{name}=10; {name}=10" for name in (SERVER_BITS, CLIENT_BITS)),
    *(f"{name}=10; {name}=11" for name in (SERVER_BITS, CLIENT_BITS)),
    f"{CLIENT_BITS}=10; {CLIENT_BITS}",
    "unknown",
    "unknown=1",
    "Server_No_Context_Takeover",
    "no_context_takeover",
    "max_window_bits=10",
    f"{FRESH}; unknown",
    SERVER_BITS,
]
"""Unknown parameters, invalid values and repeated parameters, for either side."""


@pytest.mark.parametrize("offer", [*NOT_PARAMETERS, f"{CLIENT_BITS}; {CLIENT_BITS}"])
@pytest.mark.parametrize("ours", [PermessageDeflate(), KEEPS])
def test_a_server_declines_an_invalid_offer(ours: PermessageDeflate, offer: str) -> None:
    """RFC 7692 section 7.1: it may have been meant for a later version."""
    assert answered(ours, offer) is None


# What a client makes of the answer.


@pytest.mark.parametrize("answer", [*NOT_PARAMETERS, CLIENT_BITS])
@pytest.mark.parametrize("ours", [PermessageDeflate(), KEEPS])
def test_a_client_refuses_an_invalid_response(ours: PermessageDeflate, answer: str) -> None:
    """A window without a size is an offer's alone."""
    reason = f"^extension: {NAME} with invalid parameters$"
    assert_raises(InvalidHandshake, ours.agree, parameters(answer), match=reason)


@pytest.mark.parametrize(
    ("ours", "answer", "reason"),
    [
        (PermessageDeflate(), "", f"without the requested {SERVER_FRESH}"),
        (PermessageDeflate(), CLIENT_FRESH, f"without the requested {SERVER_FRESH}"),
        (
            PermessageDeflate(server_bits=10),
            SERVER_FRESH,
            "with server_max_window_bits larger than requested",
        ),
        (
            PermessageDeflate(server_bits=10),
            f"{SERVER_FRESH}; {SERVER_BITS}=11",
            "with server_max_window_bits larger than requested",
        ),
    ],
)
def test_a_client_refuses_a_response_to_something_else(
    ours: PermessageDeflate, answer: str, reason: str
) -> None:
    """The client's decompressor has the window that it offered."""
    match = f"^extension: {NAME} {reason}$"
    assert_raises(InvalidHandshake, ours.agree, parameters(answer), match=match)


@pytest.mark.parametrize("fresh", [SERVER_FRESH, f"{SERVER_FRESH}; {CLIENT_FRESH}"])
@pytest.mark.parametrize("server_bits", ["", *(f"; {SERVER_BITS}={bits}" for bits in range(8, 16))])
@pytest.mark.parametrize("client_bits", ["", *(f"; {CLIENT_BITS}={bits}" for bits in range(8, 16))])
@pytest.mark.parametrize("ours", [PermessageDeflate(), KEEPS])
def test_a_client_accepts_any_valid_response_to_its_offer(
    ours: PermessageDeflate, fresh: str, server_bits: str, client_bits: str
) -> None:
    """Then it reads windows up to the server's, and writes none above its own."""
    transform = ours.agree(parameters(fresh + server_bits + client_bits))
    sent = says(transform, JSON, True)
    bits = int(client_bits[-2:].strip("=")) if client_bits else 15
    if bits == 8:
        assert sent == JSON
    else:
        assert zlib.decompressobj(-bits).decompress(sent + TAIL) == JSON
    window = max(9, int(server_bits[-2:].strip("=")) if server_bits else 15)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -window)
    data = compressor.compress(JSON) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert hears(transform, data[:-4]) == JSON


# Eight bits.


def test_a_server_does_not_promise_a_window_that_zlib_does_not_have() -> None:
    """The server declines; the client's own window may have eight bits, since nine cover it."""
    assert answered(KEEPS, f"{SERVER_BITS}=8") is None
    accepted = KEEPS.accept(parameters(f"{CLIENT_BITS}=8"))
    assert accepted is not None
    compressor = zlib.compressobj(9, zlib.DEFLATED, -9)
    data = compressor.compress(JSON) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert hears(accepted.transform, data[:-4]) == JSON  # type: ignore[arg-type]  # the transform of permessage-deflate is a MessageTransform


@pytest.mark.parametrize(
    ("ours", "answer"),
    [
        (PermessageDeflate(client_bits=8), f"{FRESH}; {CLIENT_BITS}=8"),
        (PermessageDeflate(client_bits=8), FRESH),
        (PermessageDeflate(), f"{FRESH}; {CLIENT_BITS}=8"),
    ],
)
def test_a_client_with_a_window_of_eight_bits_sends_uncompressed(
    ours: PermessageDeflate, answer: str
) -> None:
    """Either side may ask for that window; compressed messages are still read."""
    transform = ours.agree(parameters(answer))
    assert transform.encode(JSON, compress=True) == (JSON, 0)
    assert hears(transform, b"\xf2H\xcd\xc9\xc9\x07\x00") == b"Hello"


# Takeover.


def pair(
    client: PermessageDeflate, server: PermessageDeflate
) -> tuple[MessageTransform, MessageTransform]:
    """Both ends of what these two agree on."""
    accepted = server.accept(client.offers())
    assert accepted is not None
    assert isinstance(accepted.transform, MessageTransform)
    return client.agree(accepted.parameters), accepted.transform


@pytest.mark.parametrize(
    ("client_of_client", "client_of_server", "server_of_client", "server_of_server"),
    list(product([True, False], repeat=4)),
)
def test_either_side_can_forbid_either_takeover(
    client_of_client: bool, client_of_server: bool, server_of_client: bool, server_of_server: bool
) -> None:
    """The second of two equal messages is tiny where both allow it, and as long as the first
    elsewhere; where takeover is forbidden neither side keeps anything."""
    client, server = pair(
        PermessageDeflate(client_takeover=client_of_client, server_takeover=server_of_client),
        PermessageDeflate(client_takeover=client_of_server, server_takeover=server_of_server),
    )
    for writer, reader, takeover in (
        (client, server, client_of_client and client_of_server),
        (server, client, server_of_client and server_of_server),
    ):
        first, second = says(writer, JSON), says(writer, JSON)
        assert (len(second) < len(first) / 2) == takeover
        assert [hears(reader, message) for message in (first, second)] == [JSON, JSON]
        # A client that allowed it is not told that the server makes no use of it.
        keeps = takeover or (reader is client and server_of_client)
        assert zlib_streams(reader)[1] == keeps
        assert zlib_streams(writer)[0] == takeover


# Which messages are compressed.


@pytest.mark.parametrize("threshold", [0, 1, 256, 2000])
def test_messages_below_the_threshold_are_sent_plain(threshold: int) -> None:
    """Unless their sender says otherwise; so are those above it."""
    transform, _ = pair(PermessageDeflate(threshold=threshold), PermessageDeflate())
    for size in {max(threshold - 1, 0), threshold, threshold + 1}:
        payload = b"a" * size
        shrinks = size > 10
        assert transform.encode(payload, None)[1] == (RSV1 if size >= threshold and shrinks else 0)
        assert transform.encode(payload, compress=True)[1] == (RSV1 if shrinks else 0)
        assert transform.encode(payload, compress=False) == (payload, 0)


def test_what_does_not_shrink_is_sent_plain() -> None:
    """Where the compressor has nothing to remember."""
    noise = zlib.compress(JSON, 9)
    transform, _ = pair(PermessageDeflate(), PermessageDeflate())
    assert transform.encode(noise, compress=True) == (noise, 0)
    keeping, _ = pair(KEEPS, KEEPS)
    assert keeping.encode(noise, compress=True)[1] == RSV1


def test_plain_messages_do_not_disturb_the_context() -> None:
    """Neither side's."""
    client, server = pair(KEEPS, KEEPS)
    for compress in (True, False, True, None, False, True):
        payload, bits = client.encode(JSON, compress)
        assert hears(server, payload, bits) == JSON


# Reading.


def test_the_first_frame_says_whether_a_message_is_compressed() -> None:
    """Its pieces and fragments follow it (section 6.2), plain ones as they are."""
    transform, _ = pair(KEEPS, KEEPS)
    parts = [b"\xf2H", b"\xcd", b"\xc9", b"\xc9\x07\x00"]
    kinds = [
        (Opcode.TEXT, False, RSV1, False),
        (Opcode.CONTINUATION, False, 0, True),
        (Opcode.CONTINUATION, True, 0, False),
        (Opcode.CONTINUATION, True, 0, True),
    ]
    for _ in range(2):
        found = b"".join(
            transform.decode(opcode, part, final, reserved, whole, ROOM)
            for part, (opcode, final, reserved, whole) in zip(parts, kinds, strict=True)
        )
        assert found == b"Hello"
        plain = [
            transform.decode(opcode, part, final, 0, whole, ROOM)
            for part, (opcode, final, _, whole) in zip(parts, kinds, strict=True)
        ]
        assert plain == parts


@pytest.mark.parametrize("first", [RSV1, 0])
def test_a_continuation_has_no_reserved_bit(first: int) -> None:
    """Whether its message is compressed or not."""
    transform, _ = pair(KEEPS, KEEPS)
    transform.decode(Opcode.TEXT, b"\xf2H", False, first, True, ROOM)
    assert_raises(
        FrameError,
        transform.decode,
        *(Opcode.CONTINUATION, b"x", True, RSV1, True, ROOM),
        match="^RSV1 must be 0 in a continuation frame$",
    )


def test_garbage_and_bombs_are_named_errors() -> None:
    """The one can be no text, the other is too big for the room that is left."""
    transform, _ = pair(KEEPS, KEEPS)
    assert_raises(BadCompression, hears, transform, b"\xff\xff")
    transform, _ = pair(KEEPS, KEEPS)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = compressor.compress(bytes(1 << 20)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 1100
    assert_raises(MessageTooBig, hears, transform, bomb[:-4], RSV1, 1 << 19)
    transform, _ = pair(KEEPS, KEEPS)
    takes_the_tail = b"\x00\x09\x00\xf6\xffHello"
    assert_raises(MessageTooBig, hears, transform, takes_the_tail, RSV1, 8)


# Properties.


preferences = st.builds(
    PermessageDeflate,
    st.booleans(),
    st.booleans(),
    st.integers(9, 15),
    st.integers(8, 15),
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
    ours: PermessageDeflate, theirs: PermessageDeflate, said: list[tuple[bytes, bool | None]]
) -> None:
    """In both directions, with compressed and uncompressed messages."""
    client, server = pair(ours, theirs)
    for writer, reader in ((client, server), (server, client)):
        for payload, compress in said:
            sent, bits = writer.encode(payload, compress)
            assert hears(reader, sent, bits) == payload
            assert compress is not False or not bits


words = st.sampled_from([SERVER_FRESH, CLIENT_FRESH, SERVER_BITS, CLIENT_BITS, "unknown"])
values: Any = st.none() | st.sampled_from(["8", "9", "12", "15", "16", "09", "x", ""])


@given(preferences, st.lists(st.tuples(words, values), max_size=4).map(tuple))
def test_any_offer_is_declined_or_answered_with_what_a_client_of_it_takes(
    ours: PermessageDeflate, offer: Parameters
) -> None:
    """The client that made an offer can read every response to it."""
    accepted = ours.accept(offer)
    if accepted is None:
        return
    asked, said = dict(offer), dict(accepted.parameters)
    assert len(said) == len(accepted.parameters)
    assert not (SERVER_FRESH in asked and SERVER_FRESH not in said)
    assert int(said.get(SERVER_BITS) or 15) <= int(asked.get(SERVER_BITS) or 15)
    assert CLIENT_BITS in asked or CLIENT_BITS not in said
    assert KEEPS.agree(accepted.parameters).reserved == RSV1
