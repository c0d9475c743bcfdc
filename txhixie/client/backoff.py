"""How long whoever comes back waits before it does. It knows no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom

from ..sansio.arguments import scalars

_SYSTEM = SystemRandom()


def _random() -> float:
    """A function, since a bound method of the system's generator cannot be pickled."""
    return _SYSTEM.random()


@dataclass(frozen=True, slots=True)
class Backoff:
    """
    How long to wait: at random up to ``first`` after the first end, so that the thousand clients of
    a server that has fallen do not all come back at once (RFC 6455 section 7.2.3), and then from
    half of to twice what it was, up to ``longest``.

    :ivar first: seconds at most before the first attempt.
    :ivar longest: seconds at most before any.
    :ivar steady: a conversation that has lasted for so many seconds makes the next end a first one
        again; one that ends sooner may do so each time.
    :ivar random: answers a number from 0 to 1.
    """

    first: float = 5.0
    longest: float = 60.0
    steady: float = 60.0
    random: Callable[[], float] = _random

    def __post_init__(self) -> None:
        """:raises TypeError: for what is no number."""
        scalars(float, first=self.first, longest=self.longest, steady=self.steady)

    def delay(self, attempt: int) -> float:
        """:return: seconds before the attempt of this number, which counts from 1."""
        most = min(self.longest, self.first * 2 ** min(attempt - 1, 30))
        least = most / 2 if attempt > 1 else 0.0
        return self.between(least, most)

    def between(self, least: float, most: float) -> float:
        """:return: seconds, at random."""
        return least + self.random() * (most - least)
