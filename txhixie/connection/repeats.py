"""Lines that a log has already said, counted instead of written again."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_SECONDS: Final = 60.0
"""How long a line stands for its repeats: at most 60 lines an hour of each kind, and an operator
who watches the log sees within a minute that something goes on."""

_MOST: Final = 1024
"""Kinds that are remembered, of about 200 bytes each: whoever comes from more addresses than this
gets a line each time again, and no memory of ours."""


class Repeats(Generic[K]):
    """
    Counts repeats of lines by a key. What it remembers is bounded.

    It has no clock: each method takes the time, in seconds.
    """

    def __init__(self, seconds: float = _SECONDS, most: int = _MOST) -> None:
        """
        :param seconds: how long the repeats of a line are counted and not written.
        :param most: keys to remember.
        """
        self._seconds = seconds
        self._most = most
        self._kinds: dict[K, tuple[float, int]] = {}  # oldest line first: when, and how many since

    def again(self, key: K, now: float) -> bool:
        """Whether a line is a repeat, which is counted now; if not, it is to be written."""
        known = self._kinds.get(key)
        if known is not None:
            self._kinds[key] = known[0], known[1] + 1
            return True
        self._kinds[key] = now, 0
        return False

    def over(self, now: float) -> list[tuple[K, int]]:
        """
        Forget the lines whose time is over, and the oldest where there are too many.

        :return: those that had repeats, and how many: to be written.
        """
        told = []
        while self._kinds:
            key, (began, count) = next(iter(self._kinds.items()))
            if now - began < self._seconds and len(self._kinds) <= self._most:
                break
            del self._kinds[key]
            if count:
                told.append((key, count))
        return told

    def all(self) -> list[tuple[K, int]]:
        """Forget every line, and return those that had repeats, and how many."""
        told = [(key, count) for key, (_, count) in self._kinds.items() if count]
        self._kinds.clear()
        return told
