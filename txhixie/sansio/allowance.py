"""Rate limits of one connection: the messages and bytes of the peer that it may take a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from .extensions.extension import SHARING, Transform
from .limits import Limits
from .wire.frame import Frame, Framing
from .wire.wrapping import WrappingFraming

_WAITS: Final = 10
"""Most waits of one connection in a second. A wait for each message would wake the reactor 10,000
times a second for a peer that sends 10,000 messages a second."""

_HEADER: Final = 2
"""Bytes that each frame counts in addition to its payload: the shortest header of every dialect.
Otherwise empty frames would not count."""


_ROUNDING: Final = 1e-9
"""Part of a unit that may be missing after a wait, since times are rounded."""


class Bucket:
    """
    Token bucket of one rate: it holds the units of one second, and one unit at least.

    More units may be taken than the bucket holds, since a message is not divided: the debt is paid
    before more is taken.
    """

    __slots__ = ("_least", "_most", "_rate", "left")

    def __init__(self, rate: float) -> None:
        """:param rate: units a second, more than 0."""
        self._rate = rate
        self._most = max(1.0, rate)
        self._least = max(1.0, rate / _WAITS)
        self.left = self._most

    def refill(self, seconds: float) -> None:
        """Add the units of a time that has passed."""
        self.left = min(self._most, self.left + seconds * self._rate)

    @property
    def wait(self) -> float:
        """Seconds until there are units for a tenth of a second, and one unit at least."""
        missing = self._least - self.left
        return missing / self._rate if missing > _ROUNDING * self._least else 0.0


class Allowance:
    """
    Allowance of the peer of one connection: the messages and bytes that it may still send.

    :ivar is_spent: whether nothing more may be taken from the peer before :meth:`refill`.
    """

    __slots__ = ("_at", "_bytes", "_messages", "_seconds", "is_spent")

    def __init__(self, limits: Limits, seconds: Callable[[], float]) -> None:
        """
        :param limits: the limits of the connection, with one of its rates or both.
        :param seconds: returns the time of a clock.
        """
        messages, octets = limits.messages_per_second, limits.bytes_per_second
        self._messages = None if messages is None else Bucket(messages)
        self._bytes = None if octets is None else Bucket(octets)
        self._seconds = seconds
        self._at = seconds()
        self.is_spent = False

    def refill(self) -> None:
        """Add what the time since the last call allows."""
        before, self._at = self._at, self._seconds()
        for bucket in (self._messages, self._bytes):
            if bucket is not None:
                bucket.refill(max(0.0, self._at - before))
        self.is_spent = self.is_spent and self.wait > 0

    @property
    def wait(self) -> float:
        """Seconds until more may be taken from the peer, once the allowance is spent."""
        buckets = (self._messages, self._bytes)
        return max((bucket.wait for bucket in buckets if bucket is not None), default=0.0)

    def spend(self, messages: int, octets: int) -> None:
        """Take messages and bytes of the peer."""
        if (bucket := self._messages) is not None:
            bucket.left -= messages
            self.is_spent |= bucket.left <= 0
        if (bucket := self._bytes) is not None:
            bucket.left -= octets
            self.is_spent |= bucket.left <= 0

    def lift(self) -> None:
        """Take everything from now on: messages are discarded, and only the close counts."""
        self._messages = self._bytes = None
        self.is_spent = False


class PacedFraming(WrappingFraming):
    """A codec that yields frames while the allowance of its connection is not spent."""

    __slots__ = ("_allowance", "encode", "encode_parts", "encode_text", "encoding")

    def __init__(self, framing: Framing, allowance: Allowance) -> None:
        super().__init__(framing)
        self._allowance = allowance
        self.encode = framing.encode
        self.encoding = framing.encoding
        self.encode_parts = framing.encode_parts
        self.encode_text = framing.encode_text

    def frames(self) -> Iterator[Frame]:
        """Yield the frames of the buffered bytes, until the allowance is spent."""
        allowance = self._allowance
        for frame in self._framing.frames():
            # A caller may stop at this frame: the frame counts before it is yielded.
            allowance.spend(frame[4], len(frame[1]) + _HEADER)
            yield frame
            if allowance.is_spent:
                return


class PacedTransform:
    """
    Transform that counts the bytes of its output as bytes of the peer, like those of its input.

    Compressed zeros inflate to a thousand times their size.
    """

    __slots__ = ("_allowance", "_transform", "encode", "reserved", *SHARING)

    def __init__(self, transform: Transform, allowance: Allowance) -> None:
        self._transform = transform
        self._allowance = allowance
        self.reserved = transform.reserved
        self.encode = transform.encode
        for name in SHARING:
            if hasattr(transform, name):
                setattr(self, name, getattr(transform, name))

    def decode(
        self, opcode: int, payload: bytes, final: bool, reserved: int, whole: bool, room: int
    ) -> bytes:
        """See :meth:`txhixie.extensions.Transform.decode`."""
        data = self._transform.decode(opcode, payload, final, reserved, whole, room)
        if data is not payload:
            self._allowance.spend(0, len(data))
        return data
