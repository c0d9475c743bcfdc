"""Random bytes, each of them once."""

from __future__ import annotations

import os
from itertools import count

import pytest

from txhixie.sansio.wire.mask_keys import MaskKeys, random_bytes


def numbered() -> MaskKeys:
    """One whose pages are numbered, and say so in each byte."""
    pages = count(1)
    return MaskKeys(lambda size: bytes([next(pages)]) * size)


@pytest.mark.parametrize("size", [0, 1, 4, 16, 4096, 5000])
def test_there_are_as_many_as_are_asked_for(size: int) -> None:
    entropy = MaskKeys()
    assert [len(entropy(size)) for _ in range(5)] == [size] * 5


def test_no_byte_is_given_twice() -> None:
    taken = []

    def source(size: int) -> bytes:
        taken.append(os.urandom(size))
        return taken[-1]

    entropy = MaskKeys(source)
    given = [entropy(4) for _ in range(2000)]
    assert b"".join(given) == b"".join(taken)[:8000]
    assert len(taken) == 2


def test_what_a_page_has_not_whole_comes_from_the_next() -> None:
    entropy = numbered()
    entropy(4000)
    assert entropy(97) == b"\2" * 97
    assert entropy(4) == b"\2" * 4


def test_what_is_forgotten_is_not_given() -> None:
    entropy = numbered()
    entropy(4)
    entropy.forget()
    assert entropy(4) == b"\2" * 4


def test_a_child_does_not_use_its_parents() -> None:
    random_bytes(4)
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, random_bytes(16))
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    assert os.read(reading, 16) != random_bytes(16)
    os.close(reading)
