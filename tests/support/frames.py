"""Frames of RFC 6455 as bytes, written and read without the package."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from txhixie.sansio.wire.frame import SKIPPED, CloseCode, Frame, Framing, Opcode, Side

MASK: Final = b"\x37\xfa\x21\x3d"
"""The mask of the examples in RFC 6455 section 5.7."""


NO_CODE: Final = CloseCode.NO_STATUS_RCVD


def modern_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    final: bool = True,
    reserved: int = 0,
    key: bytes | None = None,
    size: int | None = None,
    form: int | None = None,
) -> bytes:
    """
    A frame of RFC 6455 section 5.2, as its picture shows it and however wrong it is asked for.

    :param key: its mask; ``None`` for none.
    :param size: the length it claims, if not its payload's.
    :param form: write the length in this many further bytes (0, 2 or 8), if not in the fewest.
    """
    size = len(payload) if size is None else size
    form = (0 if size < 126 else 2 if size < 1 << 16 else 8) if form is None else form
    seven = {0: size, 2: 126, 8: 127}[form]
    first = (0x80 if final else 0) | reserved | opcode
    head = (
        bytes([first, (0 if key is None else 0x80) | seven]) + size.to_bytes(8, "big")[8 - form :]
    )
    if key is None:
        return head + payload
    return head + key + masked(payload, key)


def masked(payload: bytes, key: bytes) -> bytes:
    """RFC 6455 section 5.3, either way. As one number: byte by byte takes most of a test."""
    keys = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(keys)).to_bytes(len(payload))


def whole_frames(frames: Iterable[Frame]) -> list[tuple[int, bytes]]:
    """
    Frames as opcode and payload, their pieces put together; each piece must fit the last. Those
    that are read over are left out.
    """
    found: list[tuple[int, bytes]] = []
    inside = False
    for opcode, payload, final, reserved, whole in frames:
        assert type(payload) is bytes
        assert (final, reserved) == (whole, 0)
        if opcode == SKIPPED:
            assert (payload, inside) == (b"", False)
            continue
        if inside:
            assert opcode == Opcode.CONTINUATION
            found[-1] = (found[-1][0], found[-1][1] + payload)
        else:
            assert opcode != Opcode.CONTINUATION
            found.append((opcode, payload))
        inside = not whole
    return found[:-1] if inside else found


def read_frames(framing: Framing, chunks: Iterable[bytes]) -> list[tuple[int, bytes]]:
    """All the frames of a delivery."""
    frames: list[Frame] = []
    for chunk in chunks:
        framing.feed(chunk)
        frames.extend(framing.frames())
    return whole_frames(frames)


def unframed(data: bytes) -> list[tuple[int, bytes, bool, int]]:
    """Whole frames of RFC 6455 taken apart: opcode, payload, whether final, reserved bits."""
    found = []
    while data:
        first, second = data[:2]
        form = {126: 2, 127: 8}.get(second & 0x7F, 0)
        size = int.from_bytes(data[2 : 2 + form], "big") if form else second & 0x7F
        start = 2 + form + (4 if second & 0x80 else 0)
        key = data[start - 4 : start] if second & 0x80 else bytes(4)
        assert len(data) >= start + size, "a frame that is not whole"
        payload = masked(data[start : start + size], key)
        found.append((first & 0x0F, payload, bool(first & 0x80), first & 0x70))
        data = data[start + size :]
    return found


def peer_key(side: str) -> bytes | None:
    """The mask that a peer of this side uses: clients do, servers do not."""
    return MASK if side == Side.SERVER else None


def peer_frame(
    side: str, opcode: int, payload: bytes = b"", *, final: bool = True, reserved: int = 0
) -> bytes:
    """A frame as a peer of this side writes it."""
    return modern_frame(opcode, payload, final=final, reserved=reserved, key=peer_key(side))


def peer_frames(side: str, parts: Iterable[bytes], opcode: int = Opcode.TEXT) -> bytes:
    """One message in these fragments, as a peer of this side writes it."""
    fragments = list(parts)
    return b"".join(
        peer_frame(
            side,
            Opcode.CONTINUATION if index else opcode,
            part,
            final=index == len(fragments) - 1,
        )
        for index, part in enumerate(fragments)
    )
