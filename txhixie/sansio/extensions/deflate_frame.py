"""The extension ``x-webkit-deflate-frame``, which compresses each frame by itself.

Safari 6 and 7 offer this extension (draft-tyoshino-hybi-websocket-perframe-deflate). A server
accepts it by default, unless the client offers an acceptable permessage-deflate before it. A client
of txhixie does not offer it by default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..arguments import scalars
from ..errors import InvalidHandshake
from ..http.parameters import Parameters
from .deflate import LEAST_BITS, MOST_BITS, Deflater, DeflatingTransform, Inflater
from .extension import Agreed

NAME: Final = "x-webkit-deflate-frame"
RSV1: Final = 0x40


@dataclass(frozen=True, slots=True)
class DeflateFrame:
    """
    Settings of one side for ``x-webkit-deflate-frame``.

    The parameters that a side sends apply to the frames of the other side.

    :ivar takeover: whether frames may refer to earlier frames, in both directions.
    :ivar level: compression level of zlib, 1 to 9.
    :ivar memory: memory level of zlib, 1 to 9.
    :ivar threshold: messages of fewer bytes are sent uncompressed.
    """

    takeover: bool = False
    level: int = 1
    memory: int = 8
    threshold: int = 256

    name = NAME

    def __post_init__(self) -> None:
        scalars(bool, takeover=self.takeover)
        scalars(int, level=self.level, memory=self.memory, threshold=self.threshold)
        if not (1 <= self.level <= 9 and 1 <= self.memory <= 9):
            raise ValueError("level, memory: expected 1 to 9")

    def offers(self) -> Parameters:
        """Return the parameters that a client offers."""
        return () if self.takeover else (("no_context_takeover", None),)

    def accept(self, parameters: Parameters) -> Agreed | None:
        """Accept a client's offer on a server, or return ``None`` to decline it."""
        transform = self._transform(parameters)
        return None if transform is None else Agreed(self.offers(), transform)

    def agree(self, parameters: Parameters) -> FrameTransform:
        """Check the parameters of a server's response on a client."""
        transform = self._transform(parameters)
        if transform is None:
            raise InvalidHandshake("extension", f"{NAME} with invalid parameters")
        return transform

    def _transform(self, wished: Parameters) -> FrameTransform | None:
        """Return the transform for the parameters of the peer; ``None`` for invalid parameters."""
        bits, takeover = MOST_BITS, self.takeover
        if len({name for name, _ in wished}) < len(wished):
            return None
        for name, value in wished:
            if name == "no_context_takeover" and value is None:
                takeover = False
            elif name == "max_window_bits" and value in _BITS:
                bits = int(value or 0)
            else:
                return None
        deflater = Deflater(bits, self.level, self.memory, takeover)
        return FrameTransform(deflater, Inflater(MOST_BITS, self.takeover), self.threshold)


_BITS: Final = frozenset(str(bits) for bits in range(LEAST_BITS, MOST_BITS + 1))


class FrameTransform(DeflatingTransform):
    """
    Transform of one connection: compressed frames.

    See :class:`txhixie.extensions.Transform`.
    """

    __slots__ = ("_begins", "_inflater", "_inflating")

    reserved = RSV1

    def __init__(self, deflater: Deflater, inflater: Inflater, threshold: int) -> None:
        super().__init__(deflater, threshold)
        self._inflater = inflater
        self._inflating = False
        self._begins = True  # the next piece is the first of a frame

    def decode(
        self, opcode: int, payload: bytes, final: bool, reserved: int, whole: bool, room: int
    ) -> bytes:
        """Inflate a frame if its reserved bit is set; each continuation frame has its own bit."""
        if self._begins:
            self._inflating = bool(reserved)
        self._begins = whole
        if not self._inflating:
            return payload
        inflated = self._inflater.inflate(payload, room)
        if whole:
            inflated += self._inflater.finish(room - len(inflated))
        return inflated
