"""Hypothesis strategies for messages, frames, and their delivery by a network.

Only this module needs Hypothesis.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

from hypothesis import strategies as st

from ..sansio.dialects import Dialect, named
from ..sansio.limits import Limits
from ..sansio.wire.frame import BINARY, CONTINUATION, MOST_CONTROL, PING, PONG, TEXT, Framing, Side


def texts(max_size: int = 100) -> st.SearchStrategy[str]:
    """
    Generate text messages: any text that UTF-8 can encode, without lone surrogates.

    :param max_size: most characters of a message.
    """
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=max_size)


def messages(dialect: str = "rfc6455", max_size: int = 100) -> st.SearchStrategy[str | bytes]:
    """
    Generate messages of a dialect: text, and binary where its peers receive binary messages.

    :param max_size: most characters or bytes of a message.
    :raises ValueError: for an unknown dialect.
    """
    row = named(dialect)
    return _messages(_has_binary(row), max_size)


def _messages(binary: bool, max_size: int) -> st.SearchStrategy[str | bytes]:
    return texts(max_size) | st.binary(max_size=max_size) if binary else texts(max_size)


def _has_binary(row: Dialect) -> bool:
    return _framing(row, Side.CLIENT, bytes).has_binary


def _framing(row: Dialect, side: str, entropy: Callable[[int], bytes]) -> Framing:
    return row.framing(side, Limits(), False, 0, entropy)


@st.composite
def frames(
    draw: st.DrawFn, dialect: str = "rfc6455", side: str = Side.CLIENT, max_size: int = 100
) -> bytes:
    """
    Generate the bytes of one complete frame: a message, a ping or a pong.

    :param side: the sender, ``"client"`` or ``"server"``; clients mask in dialects with masking.
    :param max_size: most characters or bytes of a message.
    :raises ValueError: for an unknown dialect.
    """
    row = named(dialect)
    framing = _framing(row, side, draw(st.randoms()).randbytes)
    if row.has_pings and draw(st.booleans()):
        opcode = draw(st.sampled_from([PING, PONG]))
        return framing.encode(opcode, draw(st.binary(max_size=MOST_CONTROL)))
    opcode, payload = _encoded(draw(_messages(framing.has_binary, max_size)))
    return framing.encode(opcode, payload)


class Spoken(NamedTuple):
    """
    Messages of one side, and their bytes.

    :ivar messages: the messages that the application of the other side has to receive.
    :ivar data: the bytes of the messages' frames.
    """

    messages: list[str | bytes]
    data: bytes


@st.composite
def spoken(
    draw: st.DrawFn, dialect: str = "rfc6455", side: str = Side.CLIENT, max_size: int = 100
) -> Spoken:
    """
    Generate up to five messages of one side, and their bytes.

    In a dialect with fragments, messages are cut into fragments at any byte, also within a
    character, with unsolicited pongs between the fragments.

    :param side: the sender, ``"client"`` or ``"server"``.
    :param max_size: most characters or bytes of a message.
    :raises ValueError: for an unknown dialect.
    """
    row = named(dialect)
    framing = _framing(row, side, draw(st.randoms()).randbytes)
    said = draw(st.lists(_messages(framing.has_binary, max_size), max_size=5))
    data = b""
    for message in said:
        opcode, payload = _encoded(message)
        parts = draw(deliveries(payload)) if row.has_codes else [payload]
        for index, part in enumerate(parts):
            data += framing.encode(opcode, part, index == len(parts) - 1)
            opcode = CONTINUATION
            if row.has_pings and draw(st.booleans()):
                data += framing.encode(PONG, draw(st.binary(max_size=9)))
    return Spoken(said, data)


def _encoded(message: str | bytes) -> tuple[int, bytes]:
    return (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)


@st.composite
def deliveries(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Generate a delivery of bytes: up to nine reads, cut anywhere; some may be empty."""
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=8).map(sorted))
    edges = [0, *cuts, len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]
