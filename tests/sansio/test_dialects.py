"""The table of dialects: each row differs from every other, and both sides of our own speak
it from handshake to close."""

from __future__ import annotations

from dataclasses import replace
from secrets import token_bytes

import pytest

from support.chunks import byte_by_byte
from support.handshakes import LIMITS, client_opening, drawn, offers, request_of, serve
from support.http_heads import FIELDS_76, HEAD_76, REQUEST_75, request
from support.peer_errors import assert_raises
from support.recording_port import RecordingPort
from txhixie.errors import EarlyBytes, MalformedHead, UnknownDialect, UnsupportedByDialect
from txhixie.sansio.conversation import Conversation
from txhixie.sansio.dialects import (
    DIALECTS,
    Dialect,
    RequestLines,
    Version,
    named,
    recognise,
    refusal,
)
from txhixie.sansio.handshake.offer import Offer
from txhixie.sansio.http.head import Head
from txhixie.sansio.wire.frame import Opcode, Side

every_row = pytest.mark.parametrize("row", DIALECTS, ids=lambda row: row.name)
MODERN = (
    b"Host: a",
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


def recognised(data: bytes, *spoken: str) -> str | None:
    """The name of the dialect that a request is in; ``None`` for ordinary HTTP."""
    rows = [named(name) for name in spoken] if spoken else DIALECTS
    row = recognise(request_of(data), rows)
    return None if row is None else row.name


def asked(row: Dialect) -> bytes:
    """The head of the request that our own client writes."""
    written = row.handshake.write_offer(offers(row), drawn(row))
    return written[: written.index(b"\r\n\r\n") + 4]


# The rows.


def test_every_dialect_has_one_name() -> None:
    """All dialects that shipped in a browser are in the table, the oldest first."""
    names = [row.name for row in DIALECTS]
    assert len(set(names)) == len(names)
    assert names == ["hixie-54", "hixie-75", "hixie-76", "hybi-07", "hybi-08", "rfc6455"]


@every_row
def test_a_dialect_is_found_by_its_name(row: Dialect) -> None:
    """The handshake of the dialect makes offers of that name."""
    assert named(row.name) is row
    assert recognise(request_of(asked(row))) is row
    assert serve([asked(row)]).found == offers(row)


@pytest.mark.parametrize("name", ["", "hixie", "HIXIE-76", "hixie-76 ", "seed"])
def test_an_unknown_name_is_an_error_that_lists_the_known_names(name: str) -> None:
    """An operator who mistypes a name finds the right one in the error."""
    with pytest.raises(ValueError, match="hixie-54, hixie-75, hixie-76") as caught:
        named(name)
    assert repr(name) in str(caught.value)


@every_row
def test_the_capabilities_of_a_dialect_are_consistent(row: Dialect) -> None:
    """Close codes need close frames to carry them, and pings are younger than close codes."""
    assert row.has_close or not row.has_codes
    assert row.has_codes or not row.has_pings
    framing = row.framing(Side.SERVER, LIMITS, False, 0, token_bytes)
    assert row.framing(Side.SERVER, LIMITS, True, 0, token_bytes).has_binary
    if not framing.has_binary:
        with pytest.raises(UnsupportedByDialect):
            framing.encode(Opcode.BINARY, b"")


@every_row
def test_both_sides_of_a_dialect_understand_each_other(row: Dialect) -> None:
    """From the handshake to the end of the connection: both sides send text and binary, the
    client closes, and both closes are clean."""
    sides = {side: RecordingPort() for side in (Side.CLIENT, Side.SERVER)}
    talks = {
        side: Conversation(row, side, LIMITS, effects, binary=True)
        for side, effects in sides.items()
    }
    heard: dict[str, list[tuple[int, str | bytes]]] = {side: [] for side in sides}

    def carry() -> None:
        """Deliver to each side the bytes that the other has written, one by one."""
        for one, other in ((Side.CLIENT, Side.SERVER), (Side.SERVER, Side.CLIENT)):
            for byte in byte_by_byte(sides[one].written):
                talks[other].feed(byte)
                heard[other] += talks[other].events()
            sides[one].taken()

    for side, talk in talks.items():
        talk.send_text(f"héllo from the {side}")
        talk.send_bytes(b"\xff\x00\x80")
    carry()
    for one, other in ((Side.CLIENT, Side.SERVER), (Side.SERVER, Side.CLIENT)):
        said = [(Opcode.TEXT, f"héllo from the {one}"), (Opcode.BINARY, b"\xff\x00\x80")]
        assert heard[other] == said
    talks[Side.CLIENT].close()
    carry()
    carry()
    ends = [talk.lost() for talk in talks.values()]
    assert [(ended.clean, ended.who) for ended in ends] == [(True, "us"), (True, "peer")]


@every_row
def test_bytes_before_the_answer_are_refused_or_bounded(row: Dialect) -> None:
    """A client cannot make the server buffer data that may not be sent before the answer."""
    written = row.handshake.write_offer(offers(row), drawn(row))
    limits = replace(LIMITS, early_size=100)
    early = 100 if row.handshake.early_bytes() else 0
    assert isinstance(serve([written + b"x" * early], limits=limits).found, Offer)
    assert serve([written + b"x" * (early + 1)], limits=limits).found is EarlyBytes


@every_row
def test_a_disabled_dialect_is_unknown(row: Dialect) -> None:
    """Neither a server of all other dialects nor one of no dialects knows it."""
    others = [other for other in DIALECTS if other is not row]
    for spoken in (others, []):
        assert_raises(UnknownDialect, recognise, request_of(asked(row)), spoken)


# Recognising.


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (REQUEST_75, "hixie-75"),
        (REQUEST_75.replace(b"Origin", b"WebSocket-Origin"), "hixie-54"),
        (REQUEST_75.replace(b"Origin", b"X-Origin"), "hixie-75"),
        (HEAD_76, "hixie-76"),
        (request(*FIELDS_76, b"Sec-WebSocket-Draft: 0"), "hixie-76"),
        (request(*FIELDS_76, b"WebSocket-Origin: x"), "hixie-76"),
        (request(*MODERN, b"Sec-WebSocket-Version: 7"), "hybi-07"),
        (request(*MODERN, b"Sec-WebSocket-Version: 8"), "hybi-08"),
        (request(*MODERN, b"Sec-WebSocket-Version: 13"), "rfc6455"),
        (request(*MODERN, b"sec-websocket-version:  13 "), "rfc6455"),
        (request(*MODERN, b"Sec-WebSocket-Version: 13", b"Origin: x"), "rfc6455"),
        (request(*MODERN, b"Sec-WebSocket-Version: 13", b"Content-Length: 0"), "rfc6455"),
        (request(*MODERN, b"Sec-WebSocket-Version: 13", line=b"POST / HTTP/1.1"), None),
        (request(*MODERN, b"Sec-WebSocket-Version: 13", line=b"GET / HTTP/1.0"), None),
        (request(b"Host: a"), None),
        (request(b"Host: a", b"Upgrade: h2c", b"Connection: Upgrade"), None),
        (request(*FIELDS_76, line=b"POST / HTTP/1.1"), None),
        (request(*FIELDS_76, line=b"GET / HTTP/1.0"), None),
    ],
)
def test_a_request_shows_its_dialect(data: bytes, name: str | None) -> None:
    """Keys come before header lines; a request without a WebSocket upgrade is ordinary HTTP."""
    assert recognised(data) == name


@pytest.mark.parametrize(
    "lines",
    [
        (b"Upgrade: websocket",),
        (b"Upgrade: websocket", b"Connection: close"),
        (b"Upgrade: websocket", b"Connection: Upgrade", b"Upgrade: websocket"),
        (b"Upgrade: websocket", b"Connection: Upgrade", b"Transfer-Encoding: chunked"),
        (b"Upgrade: websocket", b"Connection: Upgrade", b": x"),
        (b"Upgrade: websocket", b"Connection: Upgrade", b"Content-Length: 1"),
        (*MODERN, b"Sec-WebSocket-Key1: 1 1"),
        (*MODERN, b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key2: 1 1"),
        (*MODERN, b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 13"),
        (*MODERN, b"Sec-WebSocket-Version: 13", b"Content-Length: 8"),
        (*MODERN, MODERN[-1]),
        (*FIELDS_76, b"Sec-WebSocket-Draft: 1"),
        (*FIELDS_76, b"Sec-WebSocket-Draft: 0", b"Sec-WebSocket-Draft: 0"),
    ],
)
def test_half_a_handshake_and_two_at_once_are_refused(lines: tuple[bytes, ...]) -> None:
    """A proxy on the way may have read the other handshake."""
    assert_raises(MalformedHead, recognised, request(*lines))


@pytest.mark.parametrize(
    "version",
    [b"0", b"4", b"5", b"6", b"9", b"12", b"14", b"x", b"", b"013", b"13, 8", b"+13", b"1_3"],
)
def test_an_unknown_version_is_unknown(version: bytes) -> None:
    """However the version is written; a key without a version is an unknown version too."""
    data = request(*MODERN, b"Sec-WebSocket-Version: " + version)
    assert_raises(UnknownDialect, recognised, data)
    assert_raises(UnknownDialect, recognised, request(*MODERN))
    with pytest.raises(UnknownDialect, match=r"^missing Sec-WebSocket-Version$"):
        recognise(request_of(request(*MODERN)))


def test_a_version_shows_its_dialect() -> None:
    """The number alone decides, among the versions that are enabled."""
    rows = [replace(DIALECTS[0], name=str(number), marker=Version(number)) for number in (8, 13)]
    data = request(*MODERN, b"Sec-WebSocket-Version: 13")
    assert recognise(request_of(data), rows) is rows[1]
    assert_raises(UnknownDialect, recognise, request_of(data), rows[:1])


# Refusing.


def test_a_broken_handshake_is_refused_with_its_status() -> None:
    """The body has a sentence for the person that reads the response."""
    answer = refusal(MalformedHead("one key of two"), DIALECTS)
    assert (answer.status, answer.body, answer.headers) == (400, "one key of two\n", ())


def test_an_unknown_dialect_is_answered_with_the_known_ones() -> None:
    """Status 426 names the versions, the newest first (RFC 6455 section 4.4), and the body names
    the dialects."""
    modern = replace(DIALECTS[0], name="modern", marker=Version(13))
    older = replace(DIALECTS[0], name="older", marker=Version(8))
    answer = refusal(UnknownDialect("no such version"), [DIALECTS[1], older, modern])
    assert answer.status == 426
    assert dict(answer.headers)[b"Sec-WebSocket-Version"] == b"13, 8"
    assert answer.body == "no such version; supported dialects: hixie-75, older, modern\n"
    fields = Head(answer.write().partition(b"\r\n\r\n")[0] + b"\r\n\r\n").fields()
    assert fields.has_token(b"connection", b"upgrade")
    assert fields.has_token(b"connection", b"close")
    assert fields.exact(b"upgrade") == [b"WebSocket"]


def test_where_no_versions_are_enabled_no_version_header_is_sent() -> None:
    """An empty list would be wrong as well."""
    lines = [row for row in DIALECTS if isinstance(row.marker, RequestLines)]
    names = [name for name, _ in refusal(UnknownDialect("x"), lines).headers]
    assert b"Sec-WebSocket-Version" not in names


def test_a_request_is_written_by_the_opening_as_by_the_handshake() -> None:
    row = named("hixie-75")
    assert client_opening(offers(row), ()).request() == asked(row)
