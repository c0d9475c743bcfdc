"""One read and all that it causes: what is written meanwhile, on any connection, is joined there
until the read has been worked off, and leaves in one write each.

A gateway's messages come in on one connection and leave by another, and so do those of a chat: a
write each would be a system call each, which is half of what passing a small message on costs.
"""

from __future__ import annotations

from typing import Protocol

from twisted.logger import Logger

_log = Logger()


class Joining(Protocol):
    """A connection's way out."""

    def settle(self) -> None:
        """The read has been worked off: send what was joined."""


class Turn:
    """
    The read that is being worked off, if there is one.

    :ivar depth: how many there are, one within the other; a reactor gives one at a time, and
        whoever resumes a delivery works off another.
    """

    __slots__ = ("_joining", "depth")

    def __init__(self) -> None:
        self.depth = 0
        self._joining: list[Joining] = []

    def begin(self) -> None:
        """A read has come."""
        self.depth += 1

    def join(self, outflow: Joining) -> None:
        """Tell this one, whose connection is not the one read from, at the end."""
        self._joining.append(outflow)

    def end(self) -> None:
        """The read has been worked off."""
        self.depth -= 1
        while self._joining and not self.depth:
            # Emptied first: whoever hears that he is full may cause another.
            joining, self._joining = self._joining, []
            for outflow in joining:
                try:
                    outflow.settle()
                except Exception:
                    # Inside a write an application's producer is told to pause, and may raise.
                    _log.failure("the way out of a WebSocket connection raised")


TURN = Turn()
"""A reactor works off one read at a time, and a process has one reactor."""
