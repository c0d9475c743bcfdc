"""Heads: only CR LF ends a line, nothing is read twice, nothing is kept beyond the limit."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import Chunks, every_way, same_every_way
from support.held_bytes import kept
from support.http_heads import HEAD_76, REQUEST_75, head_of, request
from support.peer_errors import assert_raises
from txhixie.errors import HeadTooLarge, MalformedHead, PeerError, UnsupportedVersion
from txhixie.sansio.http.head import END, TOKEN, Head, HeadReader, Request, read_request

LIMIT = 16 * 1024


def read(chunks: Chunks, most: int = LIMIT) -> tuple[bytes, bytes] | None:
    """The head of a delivery and the bytes behind it; ``None`` if the head is incomplete."""
    reader = HeadReader(most)
    for index, chunk in enumerate(chunks):
        if (found := reader.read(chunk)) is not None:
            head, rest = found
            return head.raw, rest + b"".join(chunks[index + 1 :])
    return None


def fields_of(*lines: bytes) -> list[tuple[bytes, bytes]]:
    """The fields of a head with these lines after its first."""
    return head_of(b"GET / HTTP/1.1", *lines).fields().pairs


@pytest.mark.parametrize("raw", [REQUEST_75, HEAD_76, b"GET / HTTP/1.1\r\n\r\n"])
@pytest.mark.parametrize("rest", [b"", b"\x00Hi\xff", b"\r\n\r\n", b"\n", REQUEST_75])
def test_a_head_ends_at_the_blank_line_and_the_rest_is_handed_over(raw: bytes, rest: bytes) -> None:
    """The bytes behind a head reach the next reader, for any cuts of the reads."""
    assert same_every_way(read, raw, rest) == (raw, rest)


@pytest.mark.parametrize("count", range(len(HEAD_76)))
def test_an_incomplete_head_waits_for_more(count: int) -> None:
    """No prefix of a valid request is refused."""
    assert same_every_way(read, HEAD_76[:count]) is None


def filled_head(size: int) -> bytes:
    """A request of exactly so many bytes."""
    bare = len(request(b"X: "))
    return request(b"X: " + b"x" * (size - bare))


def test_a_head_of_exactly_the_limit_is_read() -> None:
    """The limit is that of the head alone; bytes behind it do not count."""
    raw = filled_head(LIMIT)
    assert same_every_way(read, raw, b"\x00tail\xff") == (raw, b"\x00tail\xff")


def test_a_head_of_one_byte_more_is_refused() -> None:
    """A head that exceeds the limit by a byte is refused, whole or in pieces."""
    for chunks in every_way(filled_head(LIMIT + 1), b"tail"):
        assert_raises(HeadTooLarge, read, chunks, LIMIT, match="exceeds our limit of 16,384 ")


def test_a_head_that_never_ends_is_refused_as_soon_as_it_is_too_long() -> None:
    """One endless line cannot fill the memory: not a byte over the limit is kept."""
    reader = HeadReader(LIMIT)
    assert reader.read(b"GET /" + b"x" * (LIMIT - 5)) is None
    assert kept(reader) <= LIMIT
    assert_raises(HeadTooLarge, reader.read, b"x", match="size of the head exceeds our limit")


def test_a_reader_that_is_done_holds_nothing() -> None:
    """While an application decides, the bytes of the request are not held twice."""
    reader = HeadReader(LIMIT)
    assert reader.read(HEAD_76 + b"x" * 5000) is not None
    assert kept(reader) == 0


def cost(size: int) -> float:
    """CPU seconds for a head of this size that arrives byte by byte; the best of three."""
    raw = filled_head(size)
    chunks = [raw[index : index + 1] for index in range(size - 1)]
    times = []
    for _ in range(3):
        reader = HeadReader(size)
        start = process_time()
        for chunk in chunks:
            reader.read(chunk)
        times.append(process_time() - start)
    return min(times)


def test_a_head_that_comes_byte_by_byte_costs_in_proportion_to_its_length() -> None:
    """A slow sender does not cause bytes to be read again and again."""
    assert cost(160_000) < 10 * cost(20_000) + 0.05  # with squares it would be 64 times


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\nOrigin: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\n\r\n\r\n",
        b"\nGET / HTTP/1.1\r\n\r\n",
        b"\r\nGET / HTTP/1.1\r\n\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ],
)
def test_nothing_but_cr_lf_ends_a_line(raw: bytes) -> None:
    """A head that another reader would split elsewhere is refused, for any cuts of the reads."""

    def parse(chunks: Chunks) -> None:
        found = read(chunks)
        assert found is not None
        read_request(Head(found[0]))

    for chunks in every_way(raw):
        assert_raises(MalformedHead, parse, chunks)


def test_a_head_that_ends_its_lines_in_bare_lf_is_refused_at_once() -> None:
    """A client that never sends CR LF gets an error at once, and no timeout is awaited."""
    assert_raises(MalformedHead, HeadReader(LIMIT).read, b"GET / HTTP/1.1\n\n", match="bare LF")


def test_a_bare_lf_is_found_where_two_reads_meet() -> None:
    """CR LF that comes in two reads is no bare LF; an LF alone is one, also first in its read."""
    whole, bare = HeadReader(LIMIT), HeadReader(LIMIT)
    assert whole.read(b"GET / HTTP/1.1\r") is None
    assert whole.read(b"\nHost: x") is None
    assert bare.read(b"GET / HTTP/1.1") is None
    assert_raises(MalformedHead, bare.read, b"\nHost: x", match="bare LF")


@pytest.mark.parametrize("first", [b"\x16\x03\x01\x02\x00\x01", b"<policy", b"\x00", b"\xff", b" "])
def test_data_that_cannot_be_http_is_refused_by_its_first_byte(first: bytes) -> None:
    """Otherwise the sender of a TLS hello and the server would wait for each other."""
    assert_raises(MalformedHead, HeadReader(LIMIT).read, first, match="not HTTP")


@pytest.mark.parametrize("control", [*range(0x09), *range(0x0A, 0x20), 0x7F])
def test_no_control_byte_is_part_of_a_field(control: int) -> None:
    """Other readers end a line at 0x0B, 0x0C and 0x1C to 0x1E; none of them is accepted here."""
    line = b"X: a" + bytes([control]) + b"Y: b"
    why = {0x0A: "bare LF", 0x0D: "bare CR"}.get(control, "control character")
    assert_raises(MalformedHead, fields_of, line, match=why)


@pytest.mark.parametrize("byte", [0x09, 0x20, 0x80, 0x85, 0xA0, 0xFF])
def test_a_tab_and_bytes_beyond_ascii_are_data(byte: int) -> None:
    """0x85 is a letter in some encodings, and not a line end."""
    value = b"a" + bytes([byte]) + b"Y: b"
    assert fields_of(b"X: " + value) == [(b"x", value)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b" folded", "folded header field"),
        (b"\tfolded", "folded header field"),
        (b"no colon", "header line without a colon"),
        (b"Upgrade : WebSocket", "space before the colon"),
        (b"Upgrade\t: WebSocket", "space before the colon"),
        (b" Upgrade: WebSocket", "folded header field"),
        (b"Up grade: WebSocket", "invalid header field"),
        (b"Upgr\xe4de: WebSocket", "invalid header field"),
        (b"(x): y", "invalid header field"),
        (b"", "invalid header field"),
    ],
)
def test_a_line_that_is_not_a_field_is_refused(line: bytes, why: str) -> None:
    """Folds, blanks before a colon, names that are not tokens: proxies read such lines
    differently."""
    assert_raises(MalformedHead, fields_of, b"Host: x", line, b"Y: z", match=f"^{why}")


def test_names_are_in_lower_case_and_values_lose_one_blank() -> None:
    """The drafts take away one blank after the colon; any other belongs to the value."""
    assert fields_of(b"A:1", b"B: 2", b"C:  3", b"d:\t4", b"E: 5 ", b"F:", b"G: ") == [
        (b"a", b"1"),
        (b"b", b"2"),
        (b"c", b" 3"),
        (b"d", b"\t4"),
        (b"e", b"5 "),
        (b"f", b""),
        (b"g", b""),
    ]


def test_a_name_may_be_empty_here() -> None:
    """The drafts' clients give an empty name a check of its own."""
    assert fields_of(b": x") == [(b"", b"x")]


def test_fields_are_counted_before_they_are_taken_apart() -> None:
    """The allowed number of fields is read, and one more is refused."""
    head = head_of(b"GET / HTTP/1.1", *[b"X: y"] * 100)
    assert len(head.fields(100).pairs) == 100
    assert_raises(
        HeadTooLarge, head.fields, 99, match="fields in the head exceeds our limit of 99 "
    )


def test_a_field_that_may_come_once_says_one_thing() -> None:
    """Absent, once without the blanks around it, or refused."""
    fields = head_of(b"GET / HTTP/1.1", b"A:  1\t", b"B: 2", b"B: 2").fields()
    assert fields.only(b"c") is None
    assert fields.only(b"a") == b"1"
    assert_raises(MalformedHead, fields.only, b"b", match="duplicate b")


def test_exact_values_keep_their_blanks_and_others_lose_them() -> None:
    """The drafts' client checks compare to the byte, HTTP's do not."""
    fields = head_of(b"GET / HTTP/1.1", b"A:  1 ", b"a: 2").fields()
    assert fields.exact(b"a") == [b" 1 ", b"2"]
    assert fields.stripped(b"a") == [b"1", b"2"]
    assert fields.exact(b"b") == fields.stripped(b"b") == []


def test_tokens_are_members_of_all_the_values_in_any_case() -> None:
    """``Connection: keep-alive, Upgrade`` names the upgrade, as does a second field."""
    fields = head_of(b"GET / HTTP/1.1", b"C: keep-alive, Up\t,,", b"C: TE", b"D: x y").fields()
    for token in (b"keep-alive", b"up", b"te"):
        assert fields.has_token(b"c", token)
    for name, token in ((b"c", b"keep"), (b"d", b"x"), (b"e", b"x")):
        assert not fields.has_token(name, token)
    assert head_of(b"GET / HTTP/1.1", b"C: Up").fields().has_token(b"c", b"up")
    assert b"c" in fields
    assert b"e" not in fields


def request_line(line: bytes) -> Request:
    """A request with this first line, taken apart."""
    return read_request(head_of(line, b"Host: a"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET /demo HTTP/1.1", (b"GET", "/demo", 1)),
        (b"OPTIONS * HTTP/1.0", (b"OPTIONS", "*", 0)),
        (b"M-SEARCH http://x/y?z HTTP/1.9", (b"M-SEARCH", "http://x/y?z", 9)),
    ],
)
def test_a_request_line_has_three_parts(line: bytes, expected: tuple[bytes, str, int]) -> None:
    """Method, target, and the version after HTTP/1."""
    request = request_line(line)
    assert (request.method, request.target, request.minor) == expected
    assert request.fields.pairs == [(b"host", b"a")]


@pytest.mark.parametrize(
    "line",
    [
        b"GET /demo",
        b"GET  /demo HTTP/1.1",
        b"GET /de mo HTTP/1.1",
        b"GET /d\xc3\xa9mo HTTP/1.1",
        b"GET /demo HTTP/1.1 ",
        b" GET /demo HTTP/1.1",
        b"GET\t/demo\tHTTP/1.1",
        b"GET /demo http/1.1",
        b"GET /demo HTTP/1.10",
        b"GET /demo HTTP/1",
        b"GET /demo HTTP/11.1",
        b"GET /demo HTTP/1.\xb2",
        b"G@T /demo HTTP/1.1",
        b"GET /de\x00mo HTTP/1.1",
        b"GET /demo\x0bHTTP/1.1",
        b"",
    ],
)
def test_a_malformed_request_line_is_refused(line: bytes) -> None:
    """One blank between three parts, and nothing else: no reader can split it otherwise."""
    assert_raises(MalformedHead, request_line, line, match="^invalid request line")


@pytest.mark.parametrize("version", [b"0.9", b"2.0", b"3.1", b"9.9"])
def test_another_http_is_said_to_be_one(version: bytes) -> None:
    """HTTP/2's preface is answered with 505, which its sender understands."""
    assert_raises(UnsupportedVersion, request_line, b"PRI * HTTP/" + version)


def test_a_head_is_written_the_way_it_is_read() -> None:
    """``name: value`` with one blank, and a second head's fields after the first's."""
    head = Head.of(b"GET / HTTP/1.1", ((b"A", b"1"),)).extended(Head.of(b"", ((b"B", b"2"),)))
    assert head.raw == b"GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\n\r\n"
    assert head.extended(Head.of(b"")).raw == head.raw
    assert repr(head) == f"Head({head.raw!r})"


names = st.text(st.sampled_from(TOKEN.decode()), min_size=1, max_size=12).map(str.encode)
values = st.binary(max_size=20).map(
    lambda raw: raw.translate(None, bytes({*range(0x20)} - {9}) + b"\x7f")
)


@given(st.lists(st.tuples(names, values), max_size=8))
def test_any_head_can_be_read_as_it_was_written(pairs: list[tuple[bytes, bytes]]) -> None:
    """Any tokens for names, any bytes but controls for values."""
    head = Head.of(b"GET / HTTP/1.1", tuple(pairs))
    assert head.fields().pairs == [(name.lower(), value) for name, value in pairs]


pieces_of_heads = st.sampled_from(
    [b"GET / HTTP/1.1\r\n", b"A: b\r\n", b"\r\n", b"\r", b"\n", b":", b" ", b"\0", b"\x85", END]
)


@given(st.lists(pieces_of_heads | st.binary(max_size=9), max_size=12).map(b"".join))
def test_any_bytes_are_a_head_or_a_named_error(data: bytes) -> None:
    """Whole or byte by byte: the same answer, never another exception, and nothing lost."""

    def judge(chunks: Chunks) -> object:
        try:
            if (found := read(chunks, 64)) is None:
                return None
            raw, rest = found
            assert raw + rest == data
            request = read_request(Head(raw), 5)
        except PeerError as error:
            return type(error)
        return request.method, request.target, request.minor, request.fields.pairs, rest

    if data and b"\n" not in data.replace(b"\r\n", b""):
        same_every_way(judge, data)
    else:
        for chunks in every_way(data):
            judge(chunks)


def test_a_head_loses_fields_by_their_names_in_any_case() -> None:
    """Also with ``_`` for ``-``, which CGI programs take for the same name."""
    pairs = ((b"A-b", b"1"), (b"Kept", b"a-b: 2"), (b"a_B", b"3"), (b"A-bc", b"4"), (b"xa-b", b"5"))
    head = Head.of(b"GET /a-b:x HTTP/1.1", pairs)
    left = ((b"Kept", b"a-b: 2"), (b"A-bc", b"4"), (b"xa-b", b"5"))
    assert head.without({b"a-b"}) == Head.of(b"GET /a-b:x HTTP/1.1", left)


@pytest.mark.parametrize("names", [set(), {b"x"}, {b"get /a"}])
def test_a_head_without_such_fields_stays_the_same_object(names: set[bytes]) -> None:
    head = Head.of(b"GET /a HTTP/1.1", ((b"A", b"1"),))
    assert head.without(names) is head
