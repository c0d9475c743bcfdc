"""Hypothesis strategies: what peers say, and how a network delivers it. This file alone needs
Hypothesis."""

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
    Whatever a text message may be: anything that UTF-8 can say, so that no lone surrogates.

    :param max_size: in characters.
    """
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=max_size)


def messages(dialect: str = "rfc6455", max_size: int = 100) -> st.SearchStrategy[str | bytes]:
    """
    What may be sent in a dialect: text, and binary where peers do not lose it.

    :param max_size: in characters, or bytes.
    :raises ValueError: for a dialect there is not.
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
    One whole frame that does not close, as it is on the wire: a message, a ping or a pong.

    :param side: who says it, ``"client"`` or ``"server"``; clients mask, where there are masks.
    :param max_size: of the payload of a message, in characters or bytes.
    :raises ValueError: for a dialect there is not.
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
    What one side has said.

    :ivar messages: as the other side's application has to hear them.
    :ivar data: the same on the wire.
    """

    messages: list[str | bytes]
    data: bytes


@st.composite
def spoken(
    draw: st.DrawFn, dialect: str = "rfc6455", side: str = Side.CLIENT, max_size: int = 100
) -> Spoken:
    """
    Up to five messages: where the dialect has fragments, in some, cut anywhere (also within a
    character), and with pongs between them that nobody has asked for.

    :param side: who says it, ``"client"`` or ``"server"``.
    :param max_size: of one message, in characters or bytes.
    :raises ValueError: for a dialect there is not.
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
    """
    These bytes in the order they are in, cut anywhere, in up to nine reads; some may be empty.
    """
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=8).map(sorted))
    edges = [0, *cuts, len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]
