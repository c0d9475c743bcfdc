"""
A room over two machines with two workers each, and a Redis on a third one: what arrives is compared
with what was sent, while members stall, leave, flood and come back, a worker is killed, and the
Redis is killed and started again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from daemon import test_room_daemon
from daemon.test_room_daemon import (
    KINDS,
    LARGEST,
    OVERHEAD,
    SIZES,
    WRITE_BUFFER,
    Room,
    storm,
)
from peers.bus_servers import RedisMachine
from peers.machines import Machine, machines
from support.crowd import Crowd, Peer
from support.daemon import Daemon, started
from support.page_requests import ask
from support.workers import Workers
from txhixie.bus.bus import MOST_MESSAGES, MOST_TOPIC_BYTES

descriptors = test_room_daemon.descriptors

WORKERS: Final = 2
"""Workers of a machine."""

BURST: Final = SIZES[:4]
"""Characters of the messages that a publisher sends while a process is killed."""

AWAY: Final = 8
"""Members that are not connected during an outage."""

REDIS_GROWTH: Final = 16 * 1024 * 1024
"""Bytes by which the Redis may grow: about 1,000 messages of a stream, and its connections."""


class Place(NamedTuple):
    """A process that serves members."""

    daemon: Daemon
    worker: int


class Setting:
    """
    The processes on the machines.

    :ivar redis: the Redis.
    :ivar workers: the workers of the daemons.
    :ivar crowd: the members, which connect to the daemons in turns.
    """

    def __init__(self, redis: RedisMachine, workers: list[Workers], crowd: Crowd) -> None:
        self.redis = redis
        self.workers = workers
        self.crowd = crowd

    @property
    def daemons(self) -> list[Daemon]:
        """The daemons."""
        return [each.daemon for each in self.workers]

    def places(self, members: list[Peer]) -> dict[Peer, Place]:
        """The members with the processes that serve them, as the logs of the daemons have them."""
        found = {}
        for workers in self.workers:
            of = {
                "{}:{}".format(*peer.socket.getsockname()): peer
                for peer in members
                if peer.daemon is workers.daemon
            }
            for address, worker in workers.of(of).items():
                found[of[address]] = Place(workers.daemon, worker)
        return found

    def lines(self, words: str) -> dict[Place, int]:
        """How many lines with these words each worker has written, and those before it."""
        return {
            Place(each.daemon, worker): len(each.lines(worker, words))
            for each in self.workers
            for worker in range(1, WORKERS + 1)
        }

    def logged(self, words: str, after: Mapping[Place, int] | None = None) -> None:
        """Wait until each worker has written a line, after those that it had written."""
        for (daemon, worker), number in (after or dict.fromkeys(self.lines(words), 0)).items():
            daemon.logged_times(words, number + 1, f"[worker {worker}, ")

    def memory(self) -> dict[str, int]:
        """The largest resident bytes of a parent and of a worker, and the bytes of the Redis."""
        parents = [resident(daemon.process.pid) for daemon in self.daemons]
        workers = [
            resident(each.process(worker))
            for each in self.workers
            for worker in range(1, WORKERS + 1)
        ]
        redis = self.redis.number("used_memory")
        return {"parents": max(parents), "workers": max(workers), "redis": redis}

    def status(self, name: str, part: str) -> int:
        """The sum of a number of the status of both daemons."""
        pages = [ask(each, "/status?format=json").body for each in self.daemons]
        return sum(json.loads(page)[name][part] for page in pages)


def resident(process: int) -> int:
    """The resident bytes of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def run_daemon(stack: ExitStack, directory: Path, machine: Machine, url: str) -> Workers:
    """Start a daemon on a machine."""
    directory.mkdir()
    options = (
        *("--port", f"tcp:8080:interface={machine.address}", "--workers", str(WORKERS)),
        *("--bus", url, "--serve", f"/room=hub history={MOST_MESSAGES}", "--status", "/status"),
        *("--ping-interval", "0", "--max-held-bytes", "1000000000"),
        *("--status-allow", "198.18.0.0/15"),
    )
    run = started(directory, 8080, *options, before=machine.before, host=machine.address)
    return Workers(stack.enter_context(run), WORKERS)


@pytest.fixture
def setting(tmp_path: Path, keeps: bool) -> Iterator[Setting]:
    """Two daemons that have reached the Redis, which may keep its streams on a disk."""
    with machines(3) as (one, two, third), ExitStack() as stack:
        redis = RedisMachine(tmp_path, third, keeps=keeps)
        redis.start()
        stack.callback(redis.kill)
        workers = [
            run_daemon(stack, tmp_path / name, machine, redis.url)
            for name, machine in (("one", one), ("two", two))
        ]
        crowd = stack.enter_context(Crowd(*[each.daemon for each in workers]))
        made = Setting(redis, workers, crowd)
        made.logged("] bus-up ")
        yield made
        for each in made.daemons:
            each.terminate()
        for each in made.daemons:
            each.ended()
        for each in made.daemons:
            assert "Traceback" not in each.log


class Hall:
    """
    The members of the room, by what they have to get.

    :ivar whole: members that have to get each message.
    :ivar late: members that have to get each message after their first one of each publisher.
    :ivar stalled: members that do not read.
    :ivar publishers: members that publish.
    :ivar ended: publishers that have ended; they have sent what arrived.
    """

    def __init__(self, setting: Setting, room: Room) -> None:
        self._setting = setting
        self._crowd = setting.crowd
        self._kinds = room.kinds
        self._lacking: dict[Peer, Counter[str]] = {}  # what the outage has cost a member
        self.whole = [*room.readers, *room.returning]
        self.late = [*room.late, *room.flooding]
        self.stalled = list(room.stalled)
        self.publishers = room.publishers
        self.ended: list[Peer] = []

    @property
    def reading(self) -> list[Peer]:
        """The members that read."""
        return [*self.whole, *self.late]

    @property
    def members(self) -> list[Peer]:
        """All members."""
        return [*self.reading, *self.stalled]

    @property
    def sent(self) -> Counter[str]:
        """The numbers of messages of the publishers."""
        return Counter({each.name: each.sent for each in (*self.publishers, *self.ended)})

    def until(self, publishers: list[Peer], members: list[Peer]) -> None:
        """Wait until members have the last message of each of these publishers."""
        waiting = list(members)

        def done() -> bool:
            while waiting and waiting[-1].hasLastOf(publishers):
                waiting.pop()
            return not waiting

        self._crowd.until(done)

    def flood(self, publishers: list[Peer]) -> None:
        """Let members publish a burst, some of which is on its way in the end."""
        self._crowd.flood(publishers, *BURST)
        self._crowd.once()
        self._crowd.once()

    def comeBack(self, gone: list[Peer]) -> list[Peer]:
        """Let members connect again, with their positions; the members, in the same order."""
        back = [
            Peer(each.name, f"/room?since={each.position}", **kind, asObjects=True).goOnAs(each)
            for each, kind in zip(gone, cycle(self._kinds), strict=False)
        ]
        self._crowd.join(back)
        return back

    def verify(self) -> None:
        """Compare what the members have got with what was sent."""
        sent = self.sent
        for each in self.reading:
            assert each.faults == [], each.name
            lacking = self._lacking.get(each, Counter())
            assert (each.gaps, each.skipped, each.missed) == (lacking, 0, 0), each.name
        for each in self.whole:
            assert each.last == sent, each.name
            assert {*each.first.values()} == {1}, each.name
            assert each.count == (sent - self._lacking.get(each, Counter())).total(), each.name

    # A worker is killed.

    def killWorker(self) -> None:
        """
        Kill a worker in the middle of a flood.

        What its publishers had sent arrives up to some message, the same one for all members; the
        members of other workers, and those that come back with their positions, miss nothing.
        """
        of = self._setting.places(self.members)
        killed = of[self.publishers[0]]
        lost = {each for each in self.members if of[each] == killed}
        ending = [each for each in self.publishers if each in lost]
        living = [each for each in self.publishers if each not in lost]
        kept = [each for each in self.reading if each not in lost]
        assert living
        self.flood(self.publishers)
        workers = next(each for each in self._setting.workers if each.daemon is killed.daemon)
        workers.kill(killed.worker)
        self._crowd.until(lambda: all(each.isEnded or each.isStalled for each in lost))
        assert all(each.code is None for each in lost)  # 1006
        self._crowd.flood(living[:1], 100)  # the last message of the topic
        self.until(living, [each for each in kept if each is not living[0]])
        for each in ending:
            (arrived,) = {member.last[each.name] for member in kept if member is not living[0]}
            assert arrived <= each.sent
            each.sent = arrived
        self.ended, self.publishers = ending, living
        workers.serves(killed.worker, times=2)
        self._crowd.leave(lost)
        self._returnFrom(lost)

    def _returnFrom(self, lost: set[Peer]) -> None:
        """Let the members of a killed worker come back to any worker, in the middle of a flood."""
        objects = [each for each in self.whole if each in lost and each.position]
        others = [each for each in self.whole if each in lost and not each.position]
        self.stalled = [each for each in self.stalled if each not in lost]
        self.late = [each for each in self.late if each not in lost]
        self.whole = [each for each in self.whole if each not in lost]
        self._crowd.flood(self.publishers, *BURST[:3])  # within what a history has
        self._crowd.once()
        self.whole += self.comeBack(objects)
        back = [
            Peer(f"{each.name}-again", "/room", **kind)
            for each, kind in zip(others, cycle(self._kinds), strict=False)
        ]
        self._crowd.join(back)
        self.late += back
        self.publishers = [*self.publishers, *back[: len(self.ended)]]
        self._crowd.flood(self.publishers, 100)
        self.until(self.publishers, self.reading)
        self.verify()

    # The Redis is killed.

    def killRedis(self, keeps: bool) -> None:
        """
        Kill the Redis in the middle of a flood, and start it again.

        Members of one process get everything of each other. Those of other processes lack what was
        sent without the Redis, and so do members that come back, if the Redis has kept its stream.
        """
        before = self.sent
        away = [each for each in self.whole if each.position][:AWAY]
        for each in away:
            self.whole.remove(each)
        self._crowd.leave(away)
        of = self._setting.places(self.members)
        self.flood(self.publishers)
        self._setting.redis.kill()
        self.flood(self.publishers)
        for place in {*of.values()}:
            publishers = [each for each in self.publishers if of[each] == place]
            self.until(publishers, [each for each in self.reading if of[each] == place])
        self._setting.logged("] bus-down ")
        self._askWithoutRedis()
        ups = self._setting.lines("] bus-up ")
        self._setting.redis.start()
        self._setting.logged("] bus-up ", ups)
        back = self.comeBack(away)
        self.flood(self.publishers)
        self.until(self.publishers, [*self.reading, *back])
        lost = self._setLacking(of, before, keeps)
        self._verifyBack(back, before, lost if keeps else None)
        self.verify()

    def _askWithoutRedis(self) -> None:
        """Members that come back meanwhile are told that they have missed messages."""
        told = [each for each in self.whole if each.position][:AWAY]
        self._crowd.leave(told)
        for each in told:
            self.whole.remove(each)
        back = self.comeBack(told)
        self._crowd.until(lambda: all(each.missed for each in back))
        assert {each.missed for each in back} == {1}
        self._crowd.leave(back)

    def _setLacking(
        self, of: Mapping[Peer, Place], before: Counter[str], keeps: bool
    ) -> Counter[str]:
        """
        Take what the members of each process lack from one of its members, within what was sent.

        :return: the messages that only members of the publishers' own processes have got.
        """
        places = {*of.values()}
        lacking = {of[each]: each.gaps for each in self.whole}
        assert lacking.keys() == places
        sent = self.sent
        for place, gaps in lacking.items():
            for each in self.publishers:
                if of[each] == place:
                    assert gaps[each.name] == 0
                else:
                    # What was sent after the kill, and what was on its way.
                    during = sent[each.name] - before[each.name] - len(BURST)
                    assert len(BURST) <= gaps[each.name] <= during
        for each in self.members:
            own = lacking[of[each]].copy()
            own.pop(each.name, None)
            self._lacking[each] = own
        lost = Counter(
            {each.name: max(g[each.name] for g in lacking.values()) for each in self.publishers}
        )
        if keeps:  # another server loses what it has acknowledged, and what cannot be counted
            assert lost.total() <= self._setting.status("bus", "lost")
        return lost

    def _verifyBack(
        self, back: list[Peer], before: Counter[str], lost: Counter[str] | None
    ) -> None:
        """
        Compare what members got that left before the outage, and came back with their positions.

        :param lost: what they lack; ``None`` if the Redis has lost its stream, which they are told.
        """
        for each in back:
            assert each.faults == [], each.name
            if lost is None:
                assert each.missed == 1, each.name
            else:
                assert (each.missed, each.gaps) == (0, lost), each.name

    # The members that do not read.

    def recover(self) -> None:
        """Let the stalled members read, until they have the last message of each publisher."""
        self._crowd.resume(self.stalled)
        last = self.publishers[0]
        while not all(each.hasLastOf([last]) for each in self.stalled):
            self._crowd.flood([last], 100)
            self.until([last], self.reading)
        self._crowd.flood(self.publishers, 100)
        self.until(self.publishers, self.members)
        self.verify()
        sent = self.sent.total()
        for each in self.stalled:
            assert each.faults == [], each.name
            if each.name.startswith("told"):
                got = each.count + each.skipped + self._lacking[each].total()
                assert got == sent - each.sent, each.name
        assert any(each.skipped for each in self.stalled)  # the kernel may take all for some


def bounded(setting: Setting, hall: Hall, before: Mapping[str, int]) -> None:
    """Compare the memory of all processes with its bound."""
    bound = len(hall.stalled) * (WRITE_BUFFER + LARGEST) + MOST_TOPIC_BYTES
    now = setting.memory()
    print({name: f"{now[name] - bytes_:,}" for name, bytes_ in before.items()}, f"of {bound:,}")
    assert setting.status("held", "bytes") <= bound
    assert now["parents"] - before["parents"] <= OVERHEAD
    assert now["workers"] - before["workers"] <= bound + OVERHEAD
    assert now["redis"] - before["redis"] <= REDIS_GROWTH


@pytest.mark.parametrize(
    ("size", "keeps"), [(200, False), (5000, True)], ids=["200", "5000, with a Redis that keeps"]
)
def test_a_room_over_two_machines(
    setting: Setting, descriptors: int, size: int, keeps: bool
) -> None:
    """Each member gets what it has to get, once and in order, also when a process is killed."""
    if descriptors < 2 * size:
        pytest.skip(f"{descriptors} file descriptors are allowed (ulimit -n), {2 * size} needed")
    room = Room(size, list(KINDS.values()))
    setting.crowd.join(room.members)
    counts = Counter(setting.places(room.members).values())
    assert len(counts) == len(setting.daemons) * WORKERS
    assert max(counts.values()) <= 2 * min(counts.values()), counts
    before = setting.memory()
    storm(setting.daemons[0], setting.crowd, room, 3)
    hall = Hall(setting, room)
    bounded(setting, hall, before)
    hall.killWorker()
    hall.killRedis(keeps)
    bounded(setting, hall, before)
    hall.recover()
    assert setting.status("bus", "strange") == setting.status("bus", "gaps") == 0
