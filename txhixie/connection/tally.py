"""Numbers of messages that a connection has counted."""

from __future__ import annotations

from typing import Any, NamedTuple


class Tally(NamedTuple):
    """
    Numbers of messages of a conversation, and its duration.

    :ivar received: number of messages received.
    :ivar sent: number of messages sent.
    :ivar seconds: duration of the conversation; ``None`` where it is not known.
    """

    received: int = 0
    sent: int = 0
    seconds: float | None = None

    def to_data(self) -> dict[str, Any]:
        """Return the values as ``json`` can write them."""
        seconds = None if self.seconds is None else round(self.seconds, 1)
        return {"received": self.received, "sent": self.sent, "seconds": seconds}
