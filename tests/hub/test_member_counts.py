"""Numbers of members at other processes: sums, what expires, the bound."""

from __future__ import annotations

from txhixie.hub.member_counts import KEPT_SECONDS, MemberCounts
from txhixie.hub.presence_report import Count, PresenceReport, topic_key

ROOM = topic_key("room")
OTHER = topic_key("other")


def report(node: str, members: int, is_watched: bool = False, key: str = ROOM) -> PresenceReport:
    """A report with one count."""
    return PresenceReport(node, (Count(key, members, is_watched),))


def test_the_last_counts_of_all_processes_are_added() -> None:
    counts = MemberCounts()
    assert counts.take(report("a", 3), 0.0) == ([ROOM], [])
    assert counts.take(report("b", 4, True), 0.0) == ([ROOM], [ROOM])
    assert counts.take(report("b", 4, True), 0.0) == ([], [])
    assert counts.take(report("b", 5), 0.0) == ([ROOM], [])
    counts.take(report("b", 7, key=OTHER), 0.0)
    assert (counts.members_of(ROOM), counts.members_of(OTHER)) == (8, 7)
    assert (len(counts), counts.nodes) == (3, 2)


def test_a_topic_is_watched_while_a_process_asks() -> None:
    counts = MemberCounts()
    counts.take(report("a", 1, True), 0.0)
    counts.take(report("b", 1, True), 0.0)
    counts.take(report("a", 1), 0.0)
    assert counts.is_watched(ROOM)
    counts.take(report("b", 0), 0.0)
    assert not counts.is_watched(ROOM)
    assert counts.members_of(ROOM) == 1


def test_a_count_that_is_not_repeated_expires() -> None:
    counts = MemberCounts()
    counts.take(report("a", 3), 0.0)
    counts.take(report("b", 4), 10.0)
    assert counts.expire(KEPT_SECONDS - 1) == []
    assert counts.expire(KEPT_SECONDS) == [ROOM]
    assert counts.members_of(ROOM) == 4
    counts.take(report("b", 4), 20.0)
    assert counts.expire(KEPT_SECONDS + 10.0) == []
    assert counts.expire(KEPT_SECONDS + 20.0) == [ROOM]
    assert (len(counts), counts.nodes, counts.members_of(ROOM)) == (0, 0, 0)


def test_a_process_that_has_ended_has_no_members() -> None:
    counts = MemberCounts()
    counts.take(report("a", 3, True), 0.0)
    counts.take(report("b", 4), 0.0)
    assert counts.take(PresenceReport("a", None), 0.0) == ([ROOM], [])
    assert counts.take(PresenceReport("unknown", None), 0.0) == ([], [])
    assert (counts.members_of(ROOM), counts.is_watched(ROOM)) == (4, False)
    assert counts.clear() == [ROOM]
    assert len(counts) == 0


def test_counts_beyond_the_bound_are_ignored() -> None:
    counts = MemberCounts(most=2)
    counts.take(report("a", 1), 0.0)
    counts.take(report("b", 1), 0.0)
    assert counts.take(report("c", 1, True), 0.0) == ([], [])
    assert (len(counts), counts.members_of(ROOM), counts.is_watched(ROOM)) == (2, 2, False)
    counts.take(report("a", 0), 0.0)
    counts.take(report("c", 1), 0.0)
    assert counts.members_of(ROOM) == 2
