"""Delays between the attempts of a client that reconnects. The module uses no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom

from ..sansio.arguments import scalars

_SYSTEM = SystemRandom()


def _random() -> float:
    """
    Return a random number from 0 to 1.

    This is a function, since a bound method of ``SystemRandom`` cannot be pickled.
    """
    return _SYSTEM.random()


@dataclass(frozen=True, slots=True)
class Backoff:
    """
    Random delays before the attempts to reconnect, which grow with the number of failures.

    The delay before the first attempt is a random number of seconds up to ``first``, so that the
    thousand clients of a server that failed do not all reconnect at once (RFC 6455 section 7.2.3).
    The longest delay doubles with each further attempt, up to ``longest``; the delay is at random
    between half of the longest one and all of it.

    :ivar first: longest delay before the first attempt, in seconds.
    :ivar longest: longest delay before any attempt, in seconds.
    :ivar steady: seconds after which a conversation counts as steady: when a steady conversation
        ends, the next attempt is a first one again. When a shorter conversation ends, the delays
        continue to grow.
    :ivar random: returns a number from 0 to 1.
    """

    first: float = 5.0
    longest: float = 60.0
    steady: float = 60.0
    random: Callable[[], float] = _random

    def __post_init__(self) -> None:
        """
        Check the types of the delays.

        :raises TypeError: if one of the delays is not a number.
        """
        scalars(float, first=self.first, longest=self.longest, steady=self.steady)

    def delay(self, attempt: int) -> float:
        """
        Return the delay before an attempt, in seconds.

        :param attempt: number of the attempt, which counts from 1.
        """
        most = min(self.longest, self.first * 2 ** min(attempt - 1, 30))
        least = most / 2 if attempt > 1 else 0.0
        return self.between(least, most)

    def between(self, least: float, most: float) -> float:
        """
        Return a random number of seconds between two bounds.

        :param least: lower bound, in seconds.
        :param most: upper bound, in seconds.
        """
        return least + self.random() * (most - least)
