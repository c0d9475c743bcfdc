"""Framing that sends long messages in fragments, for peers that cannot receive long frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .frame import CLOSE, CONTINUATION, TEXT, Framing
from .wrapping import WrappingFraming

LEAST_FRAGMENT: Final = 125
"""Fewest bytes of a fragment: those of a control frame, which every peer receives (RFC 6455
section 5.5)."""


class FragmentedFraming(WrappingFraming):
    """
    A codec of hybi-07 to RFC 6455 with a greatest size of data frames.

    A longer message is sent in fragments (RFC 6455 section 5.4). The reserved bits of a message are
    those of its first fragment (section 5.2; RFC 7692 section 6.1).
    """

    __slots__ = ("_most", "frames")

    def __init__(self, framing: Framing, most: int) -> None:
        """
        :param framing: the codec of the connection.
        :param most: most bytes of the payload of a data frame.
        """
        super().__init__(framing)
        self._most = most
        self.frames = framing.frames

    def encoding(self, opcode: int) -> str:
        """See :meth:`txhixie.sansio.wire.frame.Framing.encoding`."""
        name = self._framing.encoding(opcode)
        return name and f"{name} in {self._most}"

    def encode(self, opcode: int, payload: bytes, final: bool = True, reserved: int = 0) -> bytes:
        """Return the bytes of one frame, or of all fragments of a long message."""
        if len(payload) <= self._most or opcode >= CLOSE:
            return self._framing.encode(opcode, payload, final, reserved)
        encode = self._framing.encode
        return b"".join(encode(*part) for part in self._parts(opcode, payload, final, reserved))

    def encode_text(self, text: str) -> bytes:
        """Return the bytes of one frame, or of all fragments of a long text message."""
        return self.encode(TEXT, text.encode())

    def encode_parts(
        self, opcode: int, payload: bytes, final: bool = True, reserved: int = 0
    ) -> tuple[bytes, ...]:
        """Return the bytes of the fragments in parts."""
        encode = self._framing.encode_parts
        parts = self._parts(opcode, bytes(payload), final, reserved)
        return tuple(piece for part in parts for piece in encode(*part))

    def _parts(
        self, opcode: int, payload: bytes, final: bool, reserved: int
    ) -> Iterator[tuple[int, bytes, bool, int]]:
        most, size = self._most, len(payload)
        yield opcode, payload[:most], final and size <= most, reserved
        for start in range(most, size, most):
            yield CONTINUATION, payload[start : start + most], final and start + most >= size, 0
