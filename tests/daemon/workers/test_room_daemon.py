"""Rooms of a daemon with two workers: what arrives is compared with what was sent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import pytest

from daemon import test_room_daemon
from daemon.test_room_daemon import KINDS, Room, storm
from support.crowd import Crowd, Peer
from support.page_requests import ask
from support.workers import Workers, working
from txhixie.bus.bus import MOST_MESSAGES

descriptors = test_room_daemon.descriptors


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    """A daemon with a hub, which sends no pings."""
    options = ("--serve", f"/room=hub history={MOST_MESSAGES}", "--ping-interval", "0")
    with working(tmp_path, *options, "--status", "/status") as found:
        yield found


def of_workers(workers: Workers, members: list[Peer]) -> dict[int, list[Peer]]:
    """The members by the numbers of their workers, when the log has the lines of all of them."""
    addresses = {"{}:{}".format(*peer.socket.getsockname()): peer for peer in members}
    found: dict[int, list[Peer]] = {1: [], 2: []}
    for address, number in workers.of(addresses).items():
        found[number].append(addresses[address])
    return found


def returned(earlier: Peer) -> Peer:
    """A member that comes back with its position, as objects."""
    again = Peer(earlier.name, f"/room?since={earlier.position}", asObjects=True)
    return again.goOnAs(earlier)


@pytest.mark.parametrize("size", [200, 5000])
def test_a_room_over_two_workers(workers: Workers, descriptors: int, size: int) -> None:
    """Members stall, leave, flood and come back, to any of the workers."""
    if descriptors < 2 * size:
        pytest.skip(f"{descriptors} file descriptors are allowed (ulimit -n), {2 * size} needed")
    room = Room(size, list(KINDS.values()))
    with Crowd(workers.daemon) as crowd:
        crowd.join(room.members)
        counts = {number: len(each) for number, each in of_workers(workers, room.members).items()}
        assert max(counts.values()) <= 2 * min(counts.values()), counts
        storm(workers.daemon, crowd, room)
        room.recover(crowd)
        room.verify()
        assert ask(workers.daemon, "/status").status == 200
    assert "Traceback" not in workers.daemon.log


def test_a_killed_worker_costs_its_members_no_message_that_they_ask_for(workers: Workers) -> None:
    """They come back to any worker with their position; the members of the other miss nothing."""
    with Crowd(workers.daemon) as crowd:
        readers = [
            Peer(f"reader{number}", "/room", **kind, asObjects=True)
            for number, kind in enumerate([*KINDS.values()] * 8)
        ]
        publishers = [Peer(f"publisher{number}", "/room") for number in range(6)]
        crowd.join([*readers, *publishers])
        crowd.flood(publishers, *[200] * 4)
        crowd.until(lambda: all(each.count == 24 for each in readers))
        of = of_workers(workers, [*readers, *publishers])
        # A few connections may all be at one worker: the other one is killed then.
        killed, other = (1, 2) if any(each in of[2] for each in publishers) else (2, 1)
        lost, kept = (
            [each for each in readers if each in of[number]] for number in (killed, other)
        )
        publishing = [each for each in publishers if each in of[other]]
        assert lost
        assert kept
        assert publishing
        workers.kill(killed)
        crowd.flood(publishing, *[200] * 4)
        crowd.until(lambda: all(each.isEnded for each in lost))
        assert all(each.code is None for each in lost)  # 1006
        sent = 24 + 4 * len(publishing)
        crowd.until(lambda: all(each.count == sent for each in kept))
        workers.serves(killed, times=2)
        back = [returned(each) for each in lost]
        crowd.join(back)
        # The worker that was started again has the fewest members, and may get all of these.
        for each in islice(cycle(lost), 200):
            if all(of_workers(workers, back).values()):
                break
            back.append(returned(each))
            crowd.join(back[-1:])
        crowd.until(lambda: all(each.count == sent for each in back))
        crowd.flood(publishing, *[200] * 2)
        sent += 2 * len(publishing)
        crowd.until(lambda: all(each.count == sent for each in (*back, *kept)))
        for each in (*back, *kept):
            assert (each.faults, each.gap, each.missed) == ([], 0, 0), each.name
        assert all(of_workers(workers, back).values())
