"""The extension ``permessage-deflate``, which compresses each message as a whole (RFC 7692).

Memory for each connection: with context takeover, an inflater keeps 44 KiB at 15 window bits and 12
KiB at 12; a deflater keeps 91 KiB at 15 bits and memory level 8, and 29 KiB at 12 bits and level 5.
Without context takeover, the default of this class, nothing is kept between messages. The row in
``EXTENSIONS`` requires less of clients.

A server's response has only parameters that the client offered, where possible: Netty's client
closes the connection after other parameters. A server need not announce that its own window is
smaller, or that it does not use context takeover.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..arguments import scalars
from ..errors import FrameError, InvalidHandshake
from ..http.parameters import Parameters
from ..wire.frame import CONTINUATION
from .deflate import LEAST_BITS, MOST_BITS, Deflater, DeflatingTransform, Inflater
from .extension import Agreed

NAME: Final = "permessage-deflate"
RSV1: Final = 0x40

_SERVER_TAKEOVER: Final = "server_no_context_takeover"
_CLIENT_TAKEOVER: Final = "client_no_context_takeover"
_SERVER_BITS: Final = "server_max_window_bits"
_CLIENT_BITS: Final = "client_max_window_bits"


@dataclass(frozen=True, slots=True)
class PermessageDeflate:
    """
    Settings of one side for ``permessage-deflate``.

    :ivar server_takeover: whether the server's messages may refer to earlier messages (context
        takeover).
    :ivar client_takeover: whether the client's messages may refer to earlier messages.
    :ivar server_bits: most window bits of the server, 9 to 15: a window of 2**bits bytes.
    :ivar client_bits: most window bits of the client, 8 to 15. With 8, a client of txhixie sends
        uncompressed messages, since zlib does not support this window.
    :ivar level: compression level of zlib, 1 to 9. For 4 KiB of JSON, level 1 takes 43 us and level
        6 takes 203 us.
    :ivar memory: memory level of zlib, 1 to 9.
    :ivar threshold: messages of fewer bytes are sent uncompressed, since they hardly shrink.
    """

    server_takeover: bool = False
    client_takeover: bool = False
    server_bits: int = MOST_BITS
    client_bits: int = MOST_BITS
    level: int = 1
    memory: int = 8
    threshold: int = 256

    name = NAME

    def __post_init__(self) -> None:
        scalars(bool, server_takeover=self.server_takeover, client_takeover=self.client_takeover)
        scalars(int, server_bits=self.server_bits, client_bits=self.client_bits)
        scalars(int, level=self.level, memory=self.memory, threshold=self.threshold)
        if not LEAST_BITS <= self.server_bits <= MOST_BITS:
            raise ValueError(f"server_bits: expected 9 to 15, not {self.server_bits}")
        if not 8 <= self.client_bits <= MOST_BITS:
            raise ValueError(f"client_bits: expected 8 to 15, not {self.client_bits}")
        if not (1 <= self.level <= 9 and 1 <= self.memory <= 9):
            raise ValueError("level, memory: expected 1 to 9")

    def offers(self) -> Parameters:
        """Return the parameters that a client offers."""
        asked: list[tuple[str, str | None]] = []
        if not self.server_takeover:
            asked.append((_SERVER_TAKEOVER, None))
        if not self.client_takeover:
            asked.append((_CLIENT_TAKEOVER, None))
        if self.server_bits < MOST_BITS:
            asked.append((_SERVER_BITS, str(self.server_bits)))
        limited = self.client_bits < MOST_BITS
        asked.append((_CLIENT_BITS, str(self.client_bits) if limited else None))
        return tuple(asked)

    def accept(self, parameters: Parameters) -> Agreed | None:
        """Accept a client's offer on a server, or return ``None`` to decline it (section 7.1)."""
        asked = _read(parameters, in_offer=True)
        if asked is None:
            return None
        server_bits = min(asked.server_bits or MOST_BITS, self.server_bits)
        if server_bits < LEAST_BITS:
            return None
        server_takeover = self.server_takeover and asked.server_takeover
        client_takeover = self.client_takeover and asked.client_takeover
        answer: list[tuple[str, str | None]] = []
        if not asked.server_takeover:
            answer.append((_SERVER_TAKEOVER, None))
        if not client_takeover:
            answer.append((_CLIENT_TAKEOVER, None))
        if asked.server_bits is not None:
            answer.append((_SERVER_BITS, str(server_bits)))
        client_bits = MOST_BITS
        if asked.client_bits is not None:  # otherwise the client does not support the parameter
            client_bits = min(asked.client_bits, self.client_bits)
            if client_bits < MOST_BITS:
                answer.append((_CLIENT_BITS, str(client_bits)))
        deflater = Deflater(server_bits, self.level, self.memory, server_takeover)
        transform = MessageTransform(
            deflater, Inflater(client_bits, client_takeover), self.threshold
        )
        return Agreed(tuple(answer), transform)

    def agree(self, parameters: Parameters) -> MessageTransform:
        """Check the parameters of a server's response on a client (section 7.1)."""
        granted = _read(parameters, in_offer=False)
        if granted is None:
            raise InvalidHandshake("extension", f"{NAME} with invalid parameters")
        if granted.server_takeover and not self.server_takeover:
            raise InvalidHandshake("extension", f"{NAME} without the requested {_SERVER_TAKEOVER}")
        server_bits = granted.server_bits or MOST_BITS
        if server_bits > self.server_bits:
            raise InvalidHandshake("extension", f"{NAME} with {_SERVER_BITS} larger than requested")
        client_bits = min(granted.client_bits or MOST_BITS, self.client_bits)
        takeover = self.client_takeover and granted.client_takeover
        deflater = None
        if client_bits >= LEAST_BITS:
            deflater = Deflater(client_bits, self.level, self.memory, takeover)
        return MessageTransform(
            deflater, Inflater(server_bits, granted.server_takeover), self.threshold
        )


@dataclass(slots=True)
class _Parameters:
    """Parameters of an offer or a response; missing parameters have their default values."""

    server_takeover: bool = True
    client_takeover: bool = True
    server_bits: int | None = None
    client_bits: int | None = None


def _read(parameters: Parameters, in_offer: bool) -> _Parameters | None:
    """
    Read parameters; return ``None`` for an unknown, duplicate or invalid parameter.

    A server declines such an offer, and a client fails such a response (section 7.1).
    """
    said = _Parameters()
    if len({name for name, _ in parameters}) < len(parameters):
        return None
    for name, value in parameters:
        if name == _SERVER_TAKEOVER and value is None:
            said.server_takeover = False
        elif name == _CLIENT_TAKEOVER and value is None:
            said.client_takeover = False
        elif name == _CLIENT_BITS and value is None and in_offer:
            said.client_bits = MOST_BITS
        elif name == _SERVER_BITS and _is_bits(value):
            said.server_bits = int(value or 0)
        elif name == _CLIENT_BITS and _is_bits(value):
            said.client_bits = int(value or 0)
        else:
            return None
    return said


def _is_bits(value: str | None) -> bool:
    """Whether a value is 8 to 15, without leading zeros (section 7.1.2)."""
    return value in {str(bits) for bits in range(8, MOST_BITS + 1)}


class MessageTransform(DeflatingTransform):
    """
    Transform of one connection: compressed messages.

    See :class:`txhixie.extensions.Transform`.
    """

    __slots__ = ("_inflater", "_inflating")

    reserved = RSV1

    def __init__(self, deflater: Deflater | None, inflater: Inflater, threshold: int) -> None:
        """
        Create a transform.

        :param deflater: ``None`` where the agreed window is too small for zlib.
        """
        super().__init__(deflater, threshold)
        self._inflater = inflater
        self._inflating = False

    def decode(
        self, opcode: int, payload: bytes, final: bool, reserved: int, whole: bool, room: int
    ) -> bytes:
        """Inflate a message if the reserved bit of its first frame is set (section 6.2)."""
        if opcode != CONTINUATION:
            self._inflating = bool(reserved)
        elif reserved:
            raise FrameError("RSV1 must be 0 in a continuation frame")
        if not self._inflating:
            return payload
        inflated = self._inflater.inflate(payload, room)
        if final and whole:
            inflated += self._inflater.finish(room - len(inflated))
        return inflated
