"""
Rooms of a hub in a daemon's process: what arrives is compared with what was sent.

Members of the rooms stall, leave, flood and come back, in several dialects at once.
"""

from __future__ import annotations

import json
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from support.counted_twistd import needs_count
from support.crowd import Crowd, Peer
from support.daemon import COUNTED, Daemon, running
from support.page_requests import ask
from txhixie.bus.bus import MOST_HISTORY_BYTES, MOST_MESSAGES, MOST_TOPIC_BYTES

WRITE_BUFFER: Final = 64 * 1024
"""Bytes in the write buffer of a transport of Twisted at which the transport is full."""

SIZES: Final = (100, 500, 1900, 128, 100, 500, 1900, 128)
"""Characters of the messages that a publisher sends in one burst."""

LARGEST: Final = 2000
"""Bytes of the largest frame, with the JSON object around a message."""

PUBLISHERS: Final = 8
BURSTS: Final = 6
assert PUBLISHERS * (sum(SIZES) + 50 * len(SIZES)) < WRITE_BUFFER
"""A burst fits into a write buffer: no member that reads is slow, however busy the machine is."""

OVERHEAD: Final = 24 * 1024 * 1024
"""Bytes by which the memory of a daemon may grow for other reasons: the objects of connections that
come back, the log."""

pytestmark = needs_count

Kind = dict[str, Any]
KINDS: Final[dict[str, Kind]] = {
    "hixie-75": {"dialect": "hixie-75"},
    "hixie-76": {"dialect": "hixie-76"},
    "hybi-08": {"dialect": "hybi-08"},
    "rfc6455": {},
    "rfc6455 with compression": {"compressed": True},
}


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[int]:
    """Allow as many file descriptors as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def hub(directory: Path, route: str) -> Iterator[tuple[Daemon, Crowd]]:
    """A daemon with a hub, and members that answer no pings."""
    options = ("--serve", route, "--status", "/status", "--ping-interval", "0")
    with (
        running(directory, *options, "--max-held-bytes", "1000000000", runner=COUNTED) as daemon,
        Crowd(daemon) as crowd,
    ):
        yield daemon, crowd


def held(daemon: Daemon) -> int:
    """The bytes that wait for all members, as the status page has them."""
    found: int = json.loads(ask(daemon, "/status?format=json").body)["held"]["bytes"]
    return found


@dataclass
class Room:
    """The members of a room, by what they do."""

    size: int
    kinds: list[Kind]
    readers: list[Peer] = field(default_factory=list)
    returning: list[Peer] = field(default_factory=list)
    leaving: list[Peer] = field(default_factory=list)
    stalled: list[Peer] = field(default_factory=list)
    flooding: list[Peer] = field(default_factory=list)
    blind: list[Peer] = field(default_factory=list)
    late: list[Peer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.readers += self._some("plain", self.size * 77 // 100)
        self.readers += self._some("object", self.size // 10, asObjects=True)
        self.returning += self._some("returning", self.size // 25, asObjects=True)
        self.leaving += self._some("leaving", self.size // 25)
        self.stalled += self._some("slow", self.size // 50, isStalled=True)
        self.stalled += self._some("told", self.size // 50, isStalled=True, asObjects=True)
        self.flooding += self._some("flood", PUBLISHERS - 1)
        # A publisher that does not read, and is slow itself.
        blind = self._some("told-publisher", 1, isStalled=True, asObjects=True)
        self.blind += blind
        self.stalled += blind

    def _some(self, name: str, count: int, **options: Any) -> list[Peer]:
        kinds = self.kinds
        return [
            Peer(f"{name}{each}", "/room", **{**kinds[each % len(kinds)], **options})
            for each in range(count)
        ]

    @property
    def members(self) -> list[Peer]:
        """All members."""
        return [
            *self.readers,
            *self.returning,
            *self.leaving,
            *self.stalled,
            *self.flooding,
        ]

    @property
    def publishers(self) -> list[Peer]:
        """The members that publish."""
        return [*self.flooding, *self.blind]

    @property
    def sent(self) -> int:
        """Number of messages that all publishers have sent."""
        return sum(each.sent for each in self.publishers)

    @property
    def isCaughtUp(self) -> bool:
        """Whether the members that read have all messages that were sent to them."""
        sent = self.sent
        return (
            all(each.count >= sent for each in (*self.readers, *self.returning))
            and all(each.count >= sent - each.sent for each in self.flooding)
            and all(
                each.last.get(publisher.name) == publisher.sent
                for each in self.late
                for publisher in self.publishers
            )
        )

    def comeBack(self, crowd: Crowd, number: int) -> None:
        """Let a part of the members lose their connections, and come back."""
        gone = self.returning[number::BURSTS]
        crowd.leave(gone, abort=number % 2 == 0)
        crowd.once()
        crowd.once()
        back = []
        for peer, kind in zip(gone, self.kinds * len(gone), strict=False):
            since = f"?since={peer.position}" if peer.position else ""
            back.append(Peer(peer.name, f"/room{since}", **kind, asObjects=True).goOnAs(peer))
        crowd.join(back)
        self.returning[number::BURSTS] = back

    def welcome(self, crowd: Crowd, number: int) -> None:
        """Let members join in the middle of a flood; half of them get JSON objects."""
        late = self._some(f"late{number}-", self.size // 100)
        late += self._some(f"late-object{number}-", self.size // 100, asObjects=True)
        crowd.join(late)
        self.late += late

    def verify(self) -> None:
        """Compare what the members have got with what was sent."""
        sent = {each.name: each.sent for each in self.publishers}
        for each in (*self.readers, *self.returning, *self.flooding):
            expected = {name: count for name, count in sent.items() if name != each.name}
            assert (each.faults, each.gap, each.skipped, each.missed) == ([], 0, 0, 0), each.name
            assert each.last == expected, each.name
            assert set(each.first.values()) == {1}, each.name
            assert each.count == sum(expected.values()), each.name
        for each in (*self.leaving, *self.stalled):
            assert each.faults == [], each.name
        for each in self.leaving:
            assert each.gap == 0, each.name
        for each in self.late:
            assert (each.faults, each.gap, each.skipped) == ([], 0, 0), each.name
            assert each.last == sent, each.name

    def recover(self, crowd: Crowd) -> None:
        """Let the stalled members read, and publish until all of them get a new message."""
        crowd.resume(self.stalled)
        last = self.flooding[0]
        while not all(
            each.isEnded or each.last.get(last.name) == last.sent for each in self.stalled
        ):
            crowd.flood([last], 100)
            crowd.until(lambda: self.isCaughtUp)
        # One of each, so that a gap of each publisher has an end.
        crowd.flood(self.publishers, 100)
        crowd.until(lambda: self.isCaughtUp)
        crowd.until(
            lambda: all(
                each.isEnded or each is peer or each.last.get(peer.name) == peer.sent
                for each in self.stalled
                for peer in self.publishers
            )
        )


def storm(daemon: Daemon, crowd: Crowd, room: Room, bursts: int = BURSTS) -> None:
    """Let publishers flood a room while others leave, come back, and the daemon reloads."""
    for number in range(bursts):
        crowd.flood(room.publishers, *SIZES)
        crowd.once()
        crowd.once()
        if number == 2:
            daemon.terminate(signal.SIGHUP)
        crowd.leave(room.leaving[number::BURSTS], abort=number % 2 == 0)
        room.comeBack(crowd, number)
        room.welcome(crowd, number)
        crowd.until(lambda: room.isCaughtUp)
    daemon.logged("] reloaded ")


def test_a_room_of_5000_members(tmp_path: Path, descriptors: int) -> None:
    """
    Members that read get each message of each publisher once and in order; the others cost no more
    than their write buffers.
    """
    size = 5000
    if descriptors < 2 * size:
        pytest.skip(f"{descriptors} file descriptors are allowed (ulimit -n), {2 * size} needed")
    room = Room(size, list(KINDS.values()))
    with hub(tmp_path, f"/room=hub history={MOST_MESSAGES}") as (daemon, crowd):
        crowd.join(room.members)
        before, most = daemon.allocated, 0
        storm(daemon, crowd, room)
        bound = len(room.stalled) * (WRITE_BUFFER + LARGEST) + MOST_TOPIC_BYTES
        most = held(daemon)
        grown = daemon.allocated - before
        print(f"{grown:,} bytes more are allocated, {most:,} held, of at most {bound:,}")
        assert most <= bound
        assert grown <= bound + OVERHEAD
        room.recover(crowd)
        room.verify()
        for each in room.stalled:
            assert each.count < room.sent
            if each.name.startswith("told"):
                assert each.count + each.skipped == room.sent - each.sent
                assert each.gap == each.skipped > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_room_of_one_dialect(tmp_path: Path, kind: str) -> None:
    room = Room(200, [KINDS[kind]])
    with hub(tmp_path, "/room=hub history=100") as (daemon, crowd):
        crowd.join(room.members)
        storm(daemon, crowd, room)
        room.recover(crowd)
        room.verify()
        told = [each for each in room.stalled if each.name.startswith("told")]
        assert all(each.gap == each.skipped for each in told)
        # Not each of them: the kernel may take all compressed messages for one.
        assert any(each.skipped for each in told)


def test_slow_members_that_get_the_newest_message(tmp_path: Path) -> None:
    room = Room(200, list(KINDS.values()))
    with hub(tmp_path, "/room=hub history=100 slow=newest") as (daemon, crowd):
        crowd.join(room.members)
        storm(daemon, crowd, room)
        newest = {each.name: each.sent for each in room.publishers}
        crowd.resume(room.stalled)
        # One publisher's last message was the newest, and each slow member gets it unasked.
        crowd.until(lambda: all(newest.items() & each.last.items() for each in room.stalled))
        assert all(each.count < room.sent for each in room.stalled)
        room.recover(crowd)
        room.verify()
        for each in room.stalled:
            if each.name.startswith("told"):
                assert each.gap == each.skipped > 0


def test_slow_members_that_are_closed_come_back_without_a_gap(tmp_path: Path) -> None:
    """They are closed after a message without a gap before it, and get those after it."""
    room = Room(200, list(KINDS.values()))
    room.stalled.remove(room.blind.pop())  # a publisher that is closed publishes no more
    with hub(tmp_path, "/room=hub history=100 slow=close") as (daemon, crowd):
        crowd.join(room.members)
        storm(daemon, crowd, room)
        crowd.resume(room.stalled)
        crowd.until(lambda: all(each.isEnded for each in room.stalled))
        room.verify()
        back = []
        for each in room.stalled:
            assert (each.gap, each.skipped) == (0, 0)
            assert 0 < each.count < room.sent
            if each.name.startswith("told"):
                again = Peer(each.name, f"/room?since={each.position}", asObjects=True)
                back.append(again.goOnAs(each))
        crowd.join(back)
        lasts = {each.name: each.sent for each in room.publishers}
        crowd.until(lambda: all(each.last == lasts for each in back))
        for each in back:
            assert each.faults == []
            assert (each.gap == 0) == (each.missed == 0)


def joined(crowd: Crowd, target: str, **options: Any) -> Peer:
    """A member that has joined a topic of its own name, and keeps the texts that it gets."""
    peer = Peer("member", target, keeps=True, **options)
    crowd.join([peer])
    return peer


def texts(crowd: Crowd, target: str, count: int) -> list[str]:
    """The texts of the history of a topic, which has this many."""
    peer = joined(crowd, target)
    assert peer.texts is not None
    found = peer.texts
    crowd.until(lambda: len(found) >= count)
    return found


def test_a_history_has_at_most_100_messages_and_256_KiB(tmp_path: Path) -> None:
    with hub(tmp_path, "/=hub:topic={path} history=100") as (_, crowd):
        for target, size, kept in (("/many", 100, MOST_MESSAGES), ("/large", 4096, 64)):
            assert kept == min(MOST_MESSAGES, MOST_TOPIC_BYTES // size)
            publisher, reader = Peer("publisher", target), joined(crowd, target)
            crowd.join([publisher])
            for _ in range(15):
                crowd.flood([publisher], *[size] * 10)
                crowd.until(lambda: reader.count == publisher.sent)  # noqa: B023
            assert (reader.gap, reader.faults) == (0, [])
            found = texts(crowd, target, kept)
            assert [int(text.split()[1]) for text in found] == list(range(151 - kept, 151))


def test_all_histories_have_at_most_64_MiB(tmp_path: Path) -> None:
    """Beyond the bound, the topic with the oldest last message loses its history."""
    full = MOST_HISTORY_BYTES // MOST_TOPIC_BYTES
    more = 20
    with hub(tmp_path, "/=hub:topic={path} history=100") as (daemon, crowd):
        before = daemon.allocated
        for number in range(full + more):
            publisher, reader = Peer("publisher", f"/{number}"), joined(crowd, f"/{number}")
            crowd.join([publisher])
            crowd.flood([publisher], *[4096] * 64)
            crowd.until(lambda: reader.count == 64)  # noqa: B023
        grown = daemon.allocated - before
        print(f"{grown:,} bytes more are allocated, with histories of {MOST_HISTORY_BYTES:,}")
        assert MOST_HISTORY_BYTES <= grown <= MOST_HISTORY_BYTES + OVERHEAD
        for number in (more, full + more - 1):
            assert len(texts(crowd, f"/{number}", 64)) == 64
        for number in (0, more - 1):
            peer = joined(crowd, f"/{number}?since=1-1", asObjects=True)
            crowd.until(lambda: peer.missed == 1)  # noqa: B023
            assert peer.count == 0


def test_beyond_max_topics_clients_are_refused(tmp_path: Path) -> None:
    with hub(tmp_path, "/=hub:topic={path} max-topics=1000") as (daemon, crowd):
        before = daemon.allocated
        members = [Peer("member", f"/{number}") for number in range(1010)]
        crowd.join(members)
        assert [each.status for each in members] == [101] * 1000 + [503] * 10
        print(f"{daemon.allocated - before:,} bytes more are allocated, with 1,000 topics")
        assert daemon.allocated - before < OVERHEAD
        assert joined(crowd, "/999").status == 101
