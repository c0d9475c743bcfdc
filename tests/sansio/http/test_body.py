"""Bodies of responses: where they end, and the limit of their size."""

from __future__ import annotations

import pytest

from txhixie.sansio.http.body import BodyReader

CHUNKED = ((b"transfer-encoding", b"gzip, Chunked "),)
CHUNKS = b"5\r\nhello\r\n5;a=b\r\nworld\r\n0\r\nTrailer: x\r\n\r\n"


def read(data: bytes, size: int, reader: BodyReader) -> tuple[bytes, int | None]:
    """The body, and the number of bytes after which it ended, ``None`` if it did not."""
    for start in range(0, len(data), size):
        if reader.read(data[start : start + size]):
            return reader.body, min(start + size, len(data))
    return reader.body, None


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_body_ends_after_its_Content_Length(size: int) -> None:
    """Bytes behind it are not part of the body."""
    body, over = read(b"hello, world", size, BodyReader(404, ((b"content-length", b"5"),), 100))
    assert body == b"hello"
    assert over is not None
    assert over < 5 + size


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_chunks_are_joined(size: int) -> None:
    """The body ends with the trailer section."""
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
def test_without_a_length_a_body_ends_with_the_connection(
    headers: tuple[tuple[bytes, bytes], ...],
) -> None:
    """Or at the limit of the bytes that are kept."""
    assert read(b"hello", 1, BodyReader(404, headers, 100)) == (b"hello", None)
    assert read(b"hello", 1, BodyReader(404, headers, 3)) == (b"hel", 3)


@pytest.mark.parametrize("status", [102, 204, 304])
def test_some_responses_have_no_body(status: int) -> None:
    """Their header fields about a length are ignored."""
    reader = BodyReader(status, ((b"content-length", b"5"),), 100)
    assert (reader.read(b""), reader.body) == (True, b"")


def test_an_empty_body_is_over_at_once() -> None:
    assert BodyReader(404, ((b"content-length", b"0"),), 100).read(b"")
    assert not BodyReader(404, ((b"content-length", b"1"),), 100).read(b"")


def test_a_body_is_kept_within_the_limit() -> None:
    """In one read or in many, and in any transfer coding."""
    for headers in ((), ((b"content-length", b"10"),), CHUNKED):
        for size in (1, 1000):
            body, over = read(CHUNKS * 100, size, BodyReader(404, headers, 7))
            assert len(body) == 7
            assert over is not None


def test_invalid_chunks_end_the_body() -> None:
    """The status has been read, and stays valid."""
    bad = b"5\r\nhello\r\nnonsense\r\n"
    assert read(bad, 1000, BodyReader(404, CHUNKED, 100)) == (b"hello", len(bad))
