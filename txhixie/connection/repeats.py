"""Counting of repeated log lines, so that each is not written again."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_SECONDS: Final = 60.0
"""How long repeats of a line are counted, in seconds. There are at most 60 lines an hour with the
same key, and an operator sees within a minute that repeats continue."""

_MOST: Final = 1024
"""Most keys that are kept, of about 500 bytes each. A peer with more addresses than that gets a new
line each time, and takes no more memory."""


MOST_LINES: Final = (20, 40)
"""Most lines about one peer within a minute: 20 that differ in anything, then up to 40 in all that
differ in their coarser keys. All further lines about the peer are counted in one line. A page that
is refused sends a few targets and one origin; a client that invents new ones could fill a disk."""


class Repeats(Generic[K]):
    """
    Counter of repeated lines, by a key; the number of keys is bounded.

    There is no clock here: each method takes the time, in seconds.
    """

    def __init__(self, seconds: float = _SECONDS, most: int = _MOST) -> None:
        """
        :param seconds: how long the repeats of a line are counted and not written.
        :param most: most keys that are kept.
        """
        self._seconds = seconds
        self._most = most
        # Oldest line first: its time, the number of its repeats, and its group.
        self._kinds: dict[K, tuple[float, int, K | None]] = {}
        self._lines: dict[K, int] = {}  # number of lines of each group

    def again(self, now: float, *keys: K) -> bool:
        """
        Count a line if it is a repeat.

        :param now: the time in seconds.
        :param keys: keys of the line, the finest first. The last is the key of its group, such as
            the lines about one peer. Beyond :data:`MOST_LINES` of a group, a line counts as a
            repeat of its next coarser key, and at last of the group.
        :return: whether the line was counted; if not, the caller writes the line.
        """
        group = keys[-1]
        lines = self._lines.get(group, 0)
        for key, most in zip(keys, MOST_LINES, strict=False):
            if self._counts(key):
                return True
            if lines < most:
                self._kinds[key] = now, 0, group
                self._lines[group] = lines + 1
                return False
        if not self._counts(group):
            self._kinds[group] = now, 1, None
        return True

    def _counts(self, key: K) -> bool:
        known = self._kinds.get(key)
        if known is None:
            return False
        began, count, group = known
        self._kinds[key] = began, count + 1, group
        return True

    def over(self, now: float) -> list[tuple[K, int]]:
        """
        Remove lines that are older than ``seconds``, and the oldest beyond ``most`` keys.

        :param now: the time in seconds.
        :return: keys of removed lines that had repeats, and their numbers of repeats, for the log.
        """
        told = []
        while self._kinds:
            key, (began, count, group) = next(iter(self._kinds.items()))
            if now - began < self._seconds and len(self._kinds) <= self._most:
                break
            del self._kinds[key]
            self._forget(group)
            if count:
                told.append((key, count))
        return told

    def _forget(self, group: K | None) -> None:
        if group is None:
            return
        self._lines[group] -= 1
        if not self._lines[group]:
            del self._lines[group]

    def all(self) -> list[tuple[K, int]]:
        """Remove every line; return those that had repeats, and their numbers of repeats."""
        told = [(key, count) for key, (_, count, _) in self._kinds.items() if count]
        self._kinds.clear()
        self._lines.clear()
        return told
