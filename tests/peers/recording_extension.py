"""An extension that records the sizes of the messages of a conversation."""

from __future__ import annotations

from dataclasses import dataclass, field

from txhixie.sansio.extensions.extension import Agreed, Extension, Transform
from txhixie.sansio.http.parameters import Parameters


@dataclass
class RecordingExtension:
    """
    An extension that works as `inner` does.

    :ivar sent: for each message that we sent compressed, its bytes on the wire.
    :ivar received: the same for each frame (or piece of one) that came.
    """

    inner: Extension
    sent: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.inner.name

    @name.setter
    def name(self, name: str) -> None:
        raise AttributeError(name)

    def offers(self) -> Parameters:
        return self.inner.offers()

    def accept(self, parameters: Parameters) -> Agreed | None:
        taken = self.inner.accept(parameters)
        if taken is None:
            return None
        return Agreed(taken.parameters, RecordingTransform(taken.transform, self))

    def agree(self, parameters: Parameters) -> Transform:
        return RecordingTransform(self.inner.agree(parameters), self)


class RecordingTransform:
    def __init__(self, inner: Transform, noting: RecordingExtension) -> None:
        self.inner = inner
        self.noting = noting
        self.reserved = inner.reserved

    def encode(self, payload: bytes, compress: bool | None) -> tuple[bytes, int]:
        encoded, reserved = self.inner.encode(payload, compress)
        if reserved:
            self.noting.sent.append(len(encoded))
        return encoded, reserved

    def decode(
        self, opcode: int, payload: bytes, final: bool, reserved: int, whole: bool, room: int
    ) -> bytes:
        if reserved:
            self.noting.received.append(len(payload))
        return self.inner.decode(opcode, payload, final, reserved, whole, room)
