"""The chunked transfer coding, for any cuts of the reads; anything that only resembles it is
refused."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import same_every_way
from support.peer_errors import assert_raises
from txhixie.errors import MalformedHead
from txhixie.sansio.http.chunked import ChunkedReader


def read(chunks: list[bytes]) -> tuple[bytes, bytes | None]:
    """The body of a delivery, and the bytes behind it; ``None`` if the body has not ended."""
    reader, rest = ChunkedReader(), None
    for chunk in chunks:
        rest = reader.read(chunk) if rest is None else rest + chunk
    return bytes(reader.body), rest


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello"),
        (
            b"00000A ;name=value\r\n0123456789\r\n000\r\nTrailer: ignored\r\nX: y\r\n\r\n",
            b"0123456789",
        ),
        (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
    ],
)
@pytest.mark.parametrize("tail", [b"", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_body_is_read_to_its_end_and_no_further(sent: bytes, body: bytes, tail: bytes) -> None:
    """The next reader of the connection gets every byte behind the body."""
    assert same_every_way(read, sent, tail) == (body, tail)


@pytest.mark.parametrize("sent", [b"5\r\nhel", b"5\r\nhello\r\n", b"5\r\nhello\r\n0\r\n", b"5"])
def test_an_incomplete_body_waits_for_more(sent: bytes) -> None:
    assert read([sent])[1] is None


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"+5\r\n",
        b"0x5\r\n",
        b"5 5\r\n",
        b"fffffffffffffffff\r\n",
        b"5\r\nhello!\r\n",
        b"5\nhello\r\n",
        b"0\r\n" + b"X" * 1100,
        b"5;" + b"x" * 1100,
    ],
)
def test_a_malformed_chunk_is_an_error_at_once(sent: bytes) -> None:
    """Lenient readers of this coding made request smuggling possible."""
    assert_raises(MalformedHead, read, [sent])


@given(st.lists(st.binary(min_size=1)), st.binary())
def test_any_body_is_read_as_it_was_written(chunks: list[bytes], tail: bytes) -> None:
    sent = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    assert read([sent + tail]) == (b"".join(chunks), tail)


def test_many_small_chunks_take_time_in_proportion_to_their_bytes() -> None:
    """A read full of chunks is not copied again for each of them: that took four seconds."""
    start = process_time()
    reader = ChunkedReader()
    reader.read(b"1\r\na\r\n" * (512 * 1024 // 6))
    assert process_time() - start < 1
    assert len(reader.body) == 512 * 1024 // 6


@given(st.binary())
def test_any_bytes_are_a_body_or_a_named_error(data: bytes) -> None:
    try:
        read([data])
    except MalformedHead as error:
        assert str(error).isprintable()
