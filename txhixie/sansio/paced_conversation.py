"""A conversation with rate limits: messages and bytes of the peer a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .allowance import Allowance, PacedFraming, PacedTransform
from .conversation import OPEN, Conversation, ConversationEvent
from .dialects import Dialect
from .extensions.extension import Transform
from .limits import Limits
from .port import Port
from .types import RandomBytes
from .wire.mask_keys import random_bytes


class PacedConversation(Conversation):
    """
    Conversation that stops in the middle of a read when the allowance of the peer is spent.

    The bytes that were received already stay in the buffer. Once our close frame was sent, the
    allowance is lifted: the close handshake does not wait for it.

    :ivar wait: seconds until :meth:`events` yields more; 0 if it waits for bytes of the peer.
    """

    __slots__ = ("_allowance", "wait")

    def __init__(
        self,
        dialect: Dialect,
        side: str,
        limits: Limits,
        port: Port,
        *,
        seconds: Callable[[], float],
        binary: bool = False,
        transform: Transform | None = None,
        entropy: RandomBytes = random_bytes,
    ) -> None:
        """
        Begin a conversation. The other parameters are those of :class:`Conversation`.

        :param seconds: returns the time of a clock.
        """
        self._allowance = allowance = Allowance(limits, seconds)
        self.wait = 0.0
        if transform is not None:
            transform = PacedTransform(transform, allowance)
        super().__init__(
            dialect, side, limits, port, binary=binary, transform=transform, entropy=entropy
        )
        self.framing = PacedFraming(self.framing, allowance)
        self.short_read = -1  # each frame is counted by events()

    def target(self) -> None:
        """Return no target: each frame is counted by :meth:`events`."""

    def closed_by(self, data: bytes) -> bool:
        """Return ``False``: each frame is counted by :meth:`events`."""
        return False

    def events(self) -> Iterator[ConversationEvent]:
        """Yield the events of the buffered bytes, until the allowance is spent."""
        self.wait = 0.0
        self._allowance.refill()
        try:
            while not self._is_spent():
                yield from super().events()
                if not self._allowance.is_spent:
                    return
        finally:
            if self._is_spent():
                self.wait = self._allowance.wait

    def _is_spent(self) -> bool:
        """Whether the allowance is spent; it is lifted where no message can be delivered."""
        if self.ended is not None or (self.stage != OPEN and not self.holds_messages):
            self._allowance.lift()
        return self._allowance.is_spent
