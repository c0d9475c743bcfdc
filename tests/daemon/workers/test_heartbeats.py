"""Heartbeats of workers: a worker without them hangs, unless the parent itself did not run."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.task import Clock

from txhixie.daemon.workers.heartbeats import (
    HANG_SECONDS,
    HEARTBEAT_INTERVAL,
    HangWatch,
    Heartbeats,
)
from txhixie.daemon.workers.link import Kind, TakePacket


class Link:
    """
    Both ends of a link, without a socket.

    :ivar sent: number of heartbeats.
    :ivar isStopped: whether the worker is stopped.
    """

    def __init__(self) -> None:
        self.connected = 1
        self.isStopped = False
        self.sent = 0
        self._take: TakePacket = print
        self._lost: Any = None

    def handle(self, kind: Kind, take: TakePacket) -> None:
        assert kind is Kind.HEARTBEAT
        self._take = take

    def whenLost(self, call: Any) -> None:
        self._lost = call

    def send(self, kind: Kind, payload: bytes) -> bool:
        if not self.isStopped:
            self.sent += 1
            self._take(payload)
        return True

    def end(self) -> None:
        """End the worker."""
        self.connected = 0
        self._lost()


def watched(clock: Clock, count: int) -> tuple[list[Any], list[int], HangWatch]:
    """The links of some workers that send heartbeats, and the numbers of those that hang."""
    watch, hanging = HangWatch(clock), list[int]()
    made: list[Any] = [Link() for _ in range(count)]
    for number, link in enumerate(made):
        watch.join(link, partial(hanging.append, number))
        Heartbeats(link, clock)
    return made, hanging, watch


def run(clock: Clock, seconds: float) -> None:
    """Let the time pass, with a turn of the reactor each second."""
    clock.pump([1.0] * round(seconds))


def test_a_worker_without_heartbeats_for_30_seconds_hangs_once() -> None:
    clock = Clock()
    (first, second), hanging, _ = watched(clock, 2)
    run(clock, 60)
    assert (hanging, first.sent) == ([], 13)
    second.isStopped = True
    run(clock, HANG_SECONDS - HEARTBEAT_INTERVAL)
    assert hanging == []
    run(clock, 2 * HEARTBEAT_INTERVAL)
    assert hanging == [1]
    run(clock, 300)
    assert hanging == [1]


def test_a_worker_that_goes_on_in_time_does_not_hang() -> None:
    clock = Clock()
    (link,), hanging, _ = watched(clock, 1)
    for _ in range(3):
        link.isStopped = True
        run(clock, HANG_SECONDS - HEARTBEAT_INTERVAL)
        link.isStopped = False
        run(clock, HEARTBEAT_INTERVAL)
    assert hanging == []


def test_time_in_which_the_parent_does_not_run_does_not_count() -> None:
    clock = Clock()
    (link,), hanging, _ = watched(clock, 1)
    link.isStopped = True
    run(clock, HANG_SECONDS - HEARTBEAT_INTERVAL)
    clock.advance(3600)
    run(clock, HANG_SECONDS - HEARTBEAT_INTERVAL)
    assert hanging == []
    run(clock, 2 * HEARTBEAT_INTERVAL)
    assert hanging == [0]


def test_a_worker_that_starts_has_two_minutes() -> None:
    clock, hanging, link = Clock(), [], Link()
    started: Any = link
    HangWatch(clock).join(started, lambda: hanging.append(0))
    run(clock, 120)
    assert hanging == []
    run(clock, 2 * HEARTBEAT_INTERVAL)
    assert hanging == [0]


def test_a_worker_that_has_ended_does_not_hang() -> None:
    clock = Clock()
    (link,), hanging, watch = watched(clock, 1)
    link.end()
    run(clock, 300)
    assert (hanging, link.sent) == ([], 1)
    watch.stop()
    assert clock.getDelayedCalls() == []
