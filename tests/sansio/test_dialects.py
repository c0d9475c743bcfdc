"""THE TABLE: every row can be told from every other, and speaks with itself from end to end."""

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
    """The head of a request that our own client writes."""
    written = row.handshake.write_offer(offers(row), drawn(row))
    return written[: written.index(b"\r\n\r\n") + 4]


# The rows.


def test_every_dialect_has_one_name() -> None:
    """And all that shipped in a browser are there, the oldest first."""
    names = [row.name for row in DIALECTS]
    assert len(set(names)) == len(names)
    assert names == ["hixie-54", "hixie-75", "hixie-76", "hybi-07", "hybi-08", "rfc6455"]


@every_row
def test_a_dialect_is_found_by_its_name(row: Dialect) -> None:
    """And its handshake makes offers of that name."""
    assert named(row.name) is row
    assert recognise(request_of(asked(row))) is row
    assert serve([asked(row)]).found == offers(row)


@pytest.mark.parametrize("name", ["", "hixie", "HIXIE-76", "hixie-76 ", "seed"])
def test_a_name_that_no_row_has_is_answered_with_those_there_are(name: str) -> None:
    """An operator who mistypes one reads the right one."""
    with pytest.raises(ValueError, match="hixie-54, hixie-75, hixie-76") as caught:
        named(name)
    assert repr(name) in str(caught.value)


@every_row
def test_what_a_dialect_carries_fits_together(row: Dialect) -> None:
    """Codes need a close to carry them, and pings came later than codes."""
    assert row.has_close or not row.has_codes
    assert row.has_codes or not row.has_pings
    framing = row.framing(Side.SERVER, LIMITS, False, 0, token_bytes)
    assert row.framing(Side.SERVER, LIMITS, True, 0, token_bytes).has_binary
    if not framing.has_binary:
        with pytest.raises(UnsupportedByDialect):
            framing.encode(Opcode.BINARY, b"")


@every_row
def test_a_dialect_speaks_with_itself(row: Dialect) -> None:
    """From the request to the end of the connection: both sides say and hear text and binary, the
    client closes, and both call it clean."""
    sides = {side: RecordingPort() for side in (Side.CLIENT, Side.SERVER)}
    talks = {
        side: Conversation(row, side, LIMITS, effects, binary=True)
        for side, effects in sides.items()
    }
    heard: dict[str, list[tuple[int, str | bytes]]] = {side: [] for side in sides}

    def carry() -> None:
        """Bring each side what the other has written, byte by byte."""
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
    """No client makes us keep what it may not have sent yet."""
    written = row.handshake.write_offer(offers(row), drawn(row))
    limits = replace(LIMITS, early_size=100)
    early = 100 if row.handshake.early_bytes() else 0
    assert isinstance(serve([written + b"x" * early], limits=limits).found, Offer)
    assert serve([written + b"x" * (early + 1)], limits=limits).found is EarlyBytes


@every_row
def test_a_row_that_is_not_spoken_is_unknown(row: Dialect) -> None:
    """To a server of all the others, and to one of none."""
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
    """Keys before lines; and what asks for no WebSocket is ordinary HTTP."""
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
    """Whoever stands between us may have read the other one."""
    assert_raises(MalformedHead, recognised, request(*lines))


@pytest.mark.parametrize(
    "version",
    [b"0", b"4", b"5", b"6", b"9", b"12", b"14", b"x", b"", b"013", b"13, 8", b"+13", b"1_3"],
)
def test_an_unknown_version_is_unknown(version: bytes) -> None:
    """However it is written; a key without a version too."""
    data = request(*MODERN, b"Sec-WebSocket-Version: " + version)
    assert_raises(UnknownDialect, recognised, data)
    assert_raises(UnknownDialect, recognised, request(*MODERN))
    with pytest.raises(UnknownDialect, match=r"^missing Sec-WebSocket-Version$"):
        recognise(request_of(request(*MODERN)))


def test_a_version_shows_its_dialect() -> None:
    """By its number alone, among those that are spoken."""
    rows = [replace(DIALECTS[0], name=str(number), marker=Version(number)) for number in (8, 13)]
    data = request(*MODERN, b"Sec-WebSocket-Version: 13")
    assert recognise(request_of(data), rows) is rows[1]
    assert_raises(UnknownDialect, recognise, request_of(data), rows[:1])


# Refusing.


def test_a_broken_handshake_is_refused_with_its_status() -> None:
    """And a sentence, for whoever reads the answer."""
    answer = refusal(MalformedHead("one key of two"), DIALECTS)
    assert (answer.status, answer.body, answer.headers) == (400, "one key of two\n", ())


def test_an_unknown_dialect_is_told_which_there_are() -> None:
    """426 names the versions, the newest first (RFC 6455 section 4.4), and dialects in words."""
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


def test_where_no_versions_are_spoken_none_are_named() -> None:
    """An empty list would be a lie of another kind."""
    lines = [row for row in DIALECTS if isinstance(row.marker, RequestLines)]
    names = [name for name, _ in refusal(UnknownDialect("x"), lines).headers]
    assert b"Sec-WebSocket-Version" not in names


def test_a_request_is_written_once_for_all() -> None:
    """A client's opening writes what its handshake does."""
    row = named("hixie-75")
    assert client_opening(offers(row), ()).request() == asked(row)
