"""Bodies of answers: over when they say so, and never longer than they may be."""

from __future__ import annotations

import pytest

from txhixie.sansio.http.body import BodyReader

CHUNKED = ((b"transfer-encoding", b"gzip, Chunked "),)
CHUNKS = b"5\r\nhello\r\n5;a=b\r\nworld\r\n0\r\nTrailer: x\r\n\r\n"


def read(data: bytes, size: int, reader: BodyReader) -> tuple[bytes, int | None]:
    """The body, and after how many bytes it was over; ``None`` if it was not."""
    for start in range(0, len(data), size):
        if reader.read(data[start : start + size]):
            return reader.body, min(start + size, len(data))
    return reader.body, None


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_length_is_kept_to(size: int) -> None:
    """What comes after it is not of the body."""
    body, over = read(b"hello, world", size, BodyReader(404, ((b"content-length", b"5"),), 100))
    assert body == b"hello"
    assert over is not None
    assert over < 5 + size


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_chunks_are_put_together(size: int) -> None:
    """To the end of the trailer."""
    assert read(CHUNKS, size, BodyReader(404, CHUNKED, 100)) == (b"helloworld", len(CHUNKS))


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((b"content-length", b"5"), (b"content-length", b"6")),
        ((b"content-length", b"-5"),),
        ((b"content-length", b"5" * 16),),
        ((b"transfer-encoding", b"gzip"),),
        ((b"transfer-encoding", b"gzip"), (b"content-length", b"2")),
    ],
)
def test_without_a_length_it_ends_with_the_connection(
    headers: tuple[tuple[bytes, bytes], ...],
) -> None:
    """Or when no more is kept."""
    assert read(b"hello", 1, BodyReader(404, headers, 100)) == (b"hello", None)
    assert read(b"hello", 1, BodyReader(404, headers, 3)) == (b"hel", 3)


@pytest.mark.parametrize("status", [102, 204, 304])
def test_some_answers_have_no_body(status: int) -> None:
    """Whatever they say of its length."""
    reader = BodyReader(status, ((b"content-length", b"5"),), 100)
    assert (reader.read(b""), reader.body) == (True, b"")


def test_an_empty_body_is_over_at_once() -> None:
    assert BodyReader(404, ((b"content-length", b"0"),), 100).read(b"")
    assert not BodyReader(404, ((b"content-length", b"1"),), 100).read(b"")


def test_no_more_is_kept_than_may_be() -> None:
    """In one read or in many, however it is coded."""
    for headers in ((), ((b"content-length", b"10"),), CHUNKED):
        for size in (1, 1000):
            body, over = read(CHUNKS * 100, size, BodyReader(404, headers, 7))
            assert len(body) == 7
            assert over is not None


def test_chunks_that_are_none_end_it() -> None:
    """The status has been read, and stands."""
    bad = b"5\r\nhello\r\nnonsense\r\n"
    assert read(bad, 1000, BodyReader(404, CHUNKED, 100)) == (b"hello", len(bad))
