"""Bytes cut into the pieces in which a network may deliver them.

Each sample is delivered whole, byte by byte, and together with what follows it: the three ways in
which a reader forgets, doubles or loses bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias, TypeVar

T = TypeVar("T")


Chunks: TypeAlias = list[bytes]


_SINGLY: Final = 400
"""Of a long sample, the bytes at both ends that come one by one."""


def byte_by_byte(data: bytes) -> Chunks:
    """A delivery in the smallest pieces; the middle of something long comes in large ones."""
    if len(data) <= 64 * 1024:
        return [data[index : index + 1] for index in range(len(data))]
    middle = data[_SINGLY:-_SINGLY]
    large = [middle[index : index + 65536] for index in range(0, len(middle), 65536)]
    return [*byte_by_byte(data[:_SINGLY]), *large, *byte_by_byte(data[-_SINGLY:])]


def every_way(data: bytes, tail: bytes = b"") -> Iterator[Chunks]:
    """Every delivery of a sample and what comes after it; each one adds up to ``data + tail``."""
    yield [data, tail]
    yield [data + tail]
    yield byte_by_byte(data + tail)
    yield [*byte_by_byte(data[:-1]), data[-1:] + tail]
    yield [data[:1], data[1:] + tail]


def same_every_way(read: Callable[[Chunks], T], data: bytes, tail: bytes = b"") -> T:
    """The result of ``read``, after a check that every other cutting gives the same result."""
    results = [read(chunks) for chunks in every_way(data, tail)]
    for other in results[1:]:
        assert other == results[0]
    return results[0]
