"""The number of members of a topic of a daemon with workers, one of which is killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.members_told import told
from support.waiting import asynchronous
from support.workers import Workers, working
from txhixie import Channel, connect
from txhixie.hub.objects import SUBPROTOCOL


async def joined(workers: Workers, topic: str) -> tuple[list[Channel], dict[str, int]]:
    """Join until each of two workers has members; the numbers of the workers by addresses."""
    members: list[Channel] = []
    numbers: dict[str, int] = {}
    while {*numbers.values()} != {1, 2}:
        url = f"ws://127.0.0.1:{workers.daemon.port}/{topic}?presence"
        members.append(await connect(url, subprotocols=[SUBPROTOCOL]))
        numbers = workers.of([address(each) for each in members])
    return members, numbers


def address(member: Channel) -> str:
    """The address of a client."""
    host: Any = member.getHost()
    return f"{host.host}:{host.port}"


@asynchronous
async def test_the_members_of_all_workers_are_counted_until_a_worker_is_killed(
    tmp_path: Path,
) -> None:
    with working(tmp_path, "--serve", "/=hub:topic={path}") as workers:
        members, numbers = await joined(workers, "room")
        for each in members:
            await told(each, len(members))
        kept = [each for each in members if numbers[address(each)] == 2]
        workers.kill(1)
        for each in kept:
            await told(each, len(kept))
        for each in members:
            await each.close()
    assert "Traceback" not in workers.daemon.log
