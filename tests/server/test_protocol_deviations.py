"""Deviations that no known device has: each is let in, or refused with a reason that says why."""

from __future__ import annotations

from typing import Final

import pytest

from support.applications import Applications, echo
from support.chunks import Chunks, same_every_way
from support.deviations import WORDS
from support.log_recorder import Log
from support.memory_connection import ServerEnd
from support.own_deviations import IN, OF_FRAMES, OF_REQUESTS, OwnDeviation

ALL: Final = (*OF_REQUESTS, *OF_FRAMES)


def written_for(sends: bytes, *quirks: str) -> bytes:
    """The bytes that a server writes, which are the same in every cutting."""

    def read(chunks: Chunks) -> bytes:
        server = ServerEnd(Applications(echo), quirks=quirks)
        for chunk in chunks:
            server.receive(chunk)
        return bytes(server.wire.written)

    return same_every_way(read, sends)


def is_in(written: bytes) -> bool:
    """Whether a client was let in, and its conversation has not failed."""
    head, _, frames = written.partition(b"\r\n\r\n")
    return head.startswith(b"HTTP/1.1 101 ") and (
        not frames.startswith(b"\x88") or frames == b"\x88\x00"
    )


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)
def test_a_deviation_is_let_in_or_has_a_reason_in_the_log(each: OwnDeviation, log: Log) -> None:
    assert is_in(written_for(each.sends)) == (each.expected == IN)
    log.events.clear()
    server = ServerEnd(Applications(echo))
    server.receive(each.sends)
    server.lose()
    lines = [line for line in log.lines() if not line.startswith("noticed")]
    if each.expected == IN:
        assert lines == []
        return
    (line,) = lines
    reason = line.partition("reason=")[2].lstrip('"')
    assert reason.startswith(each.expected)
    assert ("quirks=" in reason) == bool(each.word or each.name == "two faults")


@pytest.mark.parametrize("each", [each for each in ALL if each.word], ids=lambda each: each.name)
def test_the_word_of_the_reason_lets_a_deviation_in(each: OwnDeviation) -> None:
    assert is_in(written_for(each.sends, each.word))
    assert not is_in(written_for(each.sends, *(WORDS - {each.word})))


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)
def test_what_has_no_word_is_refused_with_every_quirk(each: OwnDeviation) -> None:
    lets = each.expected == IN or each.word or each.name == "two faults"
    assert is_in(written_for(each.sends, *WORDS)) == bool(lets)
