"""Lines that a log has already said, counted instead of written again."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_SECONDS: Final = 60.0
"""How long a line stands for its repeats: at most 60 lines an hour of each kind, and an operator
who watches the log sees within a minute that something goes on."""

_MOST: Final = 1024
"""Kinds that are remembered, of about 500 bytes each: whoever comes from more addresses than this
gets a line each time again, and no memory of ours."""


MOST_LINES: Final = (20, 40)
"""Lines that one peer gets within a minute: 20 that differ in anything, then up to 40 in all that
differ in their coarser keys. Whatever it does besides is counted in one line. A page that is
refused sends a few targets and one origin; whoever invents new ones could fill a disk."""


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
        # Oldest line first: when, how many since, and the group whose lines it is one of.
        self._kinds: dict[K, tuple[float, int, K | None]] = {}
        self._lines: dict[K, int] = {}  # of each group that has any

    def again(self, now: float, *keys: K) -> bool:
        """
        Whether a line is a repeat, which is counted now; if not, it is to be written.

        :param keys: by what the line is known, the finest first. The last is that of its group, the
            lines of one peer say: beyond :data:`MOST_LINES` of a group a line is a repeat of what
            its next key says, and in the end of the group.
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
        Forget the lines whose time is over, and the oldest where there are too many.

        :return: those that had repeats, and how many: to be written.
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
        """Forget every line, and return those that had repeats, and how many."""
        told = [(key, count) for key, (_, count, _) in self._kinds.items() if count]
        self._kinds.clear()
        self._lines.clear()
        return told
