"""Numbers of members of topics at other processes, as these have last reported them."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from .presence_report import Count, PresenceReport

KEPT_SECONDS: Final = 30.0
"""Seconds for which a count is valid that its process does not repeat: the process was killed, or
its machine is gone."""

MOST_COUNTS: Final = 100_000
"""Most counts of all processes, about 30 MiB; further ones are ignored."""


class Changes(NamedTuple):
    """
    Changes of a report.

    :ivar counted: keys of the topics with another number of members.
    :ivar asked: keys of the topics that the process begins to watch.
    """

    counted: list[str]
    asked: list[str]


class _TimedCount(NamedTuple):
    """A count, and the time until which it is valid."""

    told: Count
    until: float


class MemberCounts:
    """Numbers of members of topics at other processes."""

    def __init__(self, most: int = MOST_COUNTS) -> None:
        """:param most: most counts of all processes."""
        self._most = most
        self._kept: dict[tuple[str, str], _TimedCount] = {}  # by process and key; the latest last
        self._nodes: dict[str, set[str]] = {}  # the keys of each process
        self._members: Counter[str] = Counter()
        self._watchers: Counter[str] = Counter()  # numbers of processes

    def __len__(self) -> int:
        """Return the number of counts."""
        return len(self._kept)

    @property
    def nodes(self) -> int:
        """Number of processes with counts."""
        return len(self._nodes)

    def members_of(self, key: str) -> int:
        """Return the number of members of a topic at all other processes."""
        return self._members[key]

    def is_watched(self, key: str) -> bool:
        """Whether members of another process ask for the number of members of a topic."""
        return self._watchers[key] > 0

    def take(self, report: PresenceReport, now: float) -> Changes:
        """
        Take a report.

        :param now: the time in seconds.
        """
        if report.counts is None:
            return Changes(self._forget(report.node), [])
        changes = Changes([], [])
        for count in report.counts:
            before = self._replace(report.node, count, now)
            if before.members != count.members:
                changes.counted.append(count.key)
            if count.is_watched and not before.is_watched:
                changes.asked.append(count.key)
        return changes

    def expire(self, now: float) -> list[str]:
        """Drop the counts that were not repeated; return the keys of their topics."""
        keys = []
        while self._kept:
            (node, key), kept = next(iter(self._kept.items()))
            if kept.until > now:
                break
            self._drop(node, key)
            keys.append(key)
        return keys

    def clear(self) -> list[str]:
        """Drop all counts; return the keys of their topics."""
        return [key for node in tuple(self._nodes) for key in self._forget(node)]

    def _forget(self, node: str) -> list[str]:
        keys = list(self._nodes.get(node, ()))
        for key in keys:
            self._drop(node, key)
        return keys

    def _replace(self, node: str, count: Count, now: float) -> Count:
        """Replace a count of a process, and return the one before."""
        before = self._drop(node, count.key)
        if not count.members and not count.is_watched:
            return before
        if len(self._kept) >= self._most:
            return count
        self._kept[node, count.key] = _TimedCount(count, now + KEPT_SECONDS)
        self._nodes.setdefault(node, set()).add(count.key)
        self._members[count.key] += count.members
        self._watchers[count.key] += count.is_watched
        return before

    def _drop(self, node: str, key: str) -> Count:
        """Drop a count of a process, and return it."""
        kept = self._kept.pop((node, key), None)
        if kept is None:
            return Count(key, 0, False)
        keys = self._nodes[node]
        keys.remove(key)
        if not keys:
            del self._nodes[node]
        for counter, number in (
            (self._members, kept.told.members),
            (self._watchers, int(kept.told.is_watched)),
        ):
            counter[key] -= number
            if not counter[key]:
                del counter[key]
        return kept.told
