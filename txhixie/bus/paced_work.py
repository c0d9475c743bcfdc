"""Work with the messages of other processes, in turns of the reactor of a bounded time."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall

TURN_SECONDS: Final = 0.02
"""Seconds of one turn. One read has hundreds of short messages, and each of them is sent to all
members of its topic: 100 messages to 5,000 members took four seconds, in which no other connection
was read and no ping was sent."""


class PacedWork:
    """Work that goes on in the next turn of the reactor when it has taken the time of a turn."""

    def __init__(self, clock: Any, work: Callable[[float], bool], transport: Any = None) -> None:
        """
        :param clock: the reactor.
        :param work: works until the time that it gets, and at least on one message; returns whether
            work is left.
        :param transport: not read while work is left; ``None`` without one. It is aborted if
            ``work`` raises in a later turn.
        """
        self._clock = clock
        self._work = work
        self._transport = transport
        self._next: IDelayedCall | None = None

    @property
    def isLeft(self) -> bool:
        """Whether work is left for the next turn."""
        return self._next is not None

    def go(self) -> None:
        """Work now, unless work is left: then it goes on in the next turn."""
        # These lines are also in _goOn(): a function would be a further call for each message that
        # is alone in its read.
        if self._next is None and self._work(self._clock.seconds() + TURN_SECONDS):
            self._next = self._clock.callLater(0, self._goOn)
            if self._transport is not None:
                self._transport.pauseProducing()

    def finish(self) -> None:
        """Do now all the work that is left: there is no next turn."""
        if self._next is not None:
            self.drop()
            self._work(inf)

    def drop(self) -> None:
        """Do not go on."""
        waiting, self._next = self._next, None
        if waiting is not None and waiting.active():
            waiting.cancel()

    def _goOn(self) -> None:
        self._next = None
        transport = self._transport
        try:
            isLeft = self._work(self._clock.seconds() + TURN_SECONDS)
        except Exception:
            if transport is not None:
                transport.abortConnection()
            raise
        if isLeft:
            self._next = self._clock.callLater(0, self._goOn)
        elif transport is not None:
            transport.resumeProducing()
