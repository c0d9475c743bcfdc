"""The frames of one side, as bytes, in every dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from support.dialect_names import MODERN, OLDEST
from support.frames import modern_frame
from txhixie.sansio.wire.frame import Opcode


def text(message: str) -> bytes:
    """A text frame of the Hixie drafts."""
    return b"\x00" + message.encode() + b"\xff"


CLOSE = b"\xff\x00"


@dataclass(frozen=True)
class FrameWriter:
    """
    Writes the frames of one side, in one dialect.

    :ivar key: the masking key of a client; zeros in memory, so that a test can predict the bytes.
    """

    dialect: str
    key: bytes | None = None

    @property
    def modern(self) -> bool:
        return self.dialect in MODERN

    def frame(self, opcode: int, payload: bytes = b"", **how: Any) -> bytes:
        """A frame, in a dialect with opcodes."""
        assert self.modern
        return modern_frame(opcode, payload, key=self.key, **how)

    def text(self, *messages: str) -> bytes:
        if self.modern:
            return b"".join(self.frame(Opcode.TEXT, message.encode()) for message in messages)
        return b"".join(map(text, messages))

    def binary(self, data: bytes) -> bytes:
        """A ping frame, with a payload of up to 125 bytes."""
        if self.modern:
            return self.frame(Opcode.BINARY, data)
        return b"\x80" + bytes([len(data)]) + data

    def close(self, code: int | None = 1000, reason: str = "") -> bytes:
        """A close frame; no bytes in a dialect without close frames."""
        if not self.modern:
            return b"" if self.dialect in OLDEST else CLOSE
        said = b"" if code is None else code.to_bytes(2, "big") + reason.encode()
        return self.frame(Opcode.CLOSE, said)

    def broken(self) -> bytes:
        """Bytes that break the protocol of the dialect."""
        return self.frame(3) if self.modern else b"\x01"
