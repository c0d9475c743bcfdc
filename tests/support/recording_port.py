"""A Port that records what a conversation asks of its transport."""

from __future__ import annotations

from typing import TypeAlias

Event: TypeAlias = tuple[str, object]


class RecordingPort:
    """
    A Port that records each request made to it.

    :ivar events: all of it, in order: ``("write", bytes)``, ``("timeout", seconds)`` and
        ``("drop", abort)``, or ``("drop", "at once")`` for a peer that sends no more.
    :ivar full: what it says when it is asked whether the transport is full.
    """

    full = False

    def __init__(self) -> None:
        self.events: list[Event] = []

    def write(self, data: bytes, *more: bytes) -> None:
        """See :meth:`txhixie.sansio.port.Port.write`."""
        self.events.append(("write", b"".join((data, *more))))

    def timeout(self, seconds: float | None) -> None:
        """See :meth:`txhixie.sansio.port.Port.timeout`."""
        self.events.append(("timeout", seconds))

    def drop(self, abort: bool = False, linger: bool = True) -> None:
        """See :meth:`txhixie.sansio.port.Port.drop`."""
        self.events.append(("drop", abort if linger else "at once"))

    @property
    def written(self) -> bytes:
        """Every byte written so far."""
        return b"".join(what for name, what in self.events if isinstance(what, bytes))

    def taken(self) -> list[Event]:
        """The calls since the last use of this method."""
        events, self.events[:] = list(self.events), []
        return events
