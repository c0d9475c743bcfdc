"""The bus of workers over the links between the parent and its workers."""

from __future__ import annotations

from functools import partial
from time import time
from typing import Any

from ...bus.relay import TopicRelay
from ...bus.workers import WorkersBus
from ...hub.presence_report import PRESENCE_TOPIC, PresenceReport
from .link import Kind, WorkerLink


def _send(link: WorkerLink, packet: bytes, is_message: bool) -> bool:
    return link.send(Kind.BUS if is_message else Kind.SUBSCRIPTION, packet)


def node_of(number: int) -> str:
    """Return the name of a worker for the numbers of members (``hub/presence.py``)."""
    return f"worker-{number}"


def relay_over(link: WorkerLink, relay: TopicRelay, number: int = 0) -> None:
    """
    Add a worker to the relay of the parent process.

    :param link: the parent's end of the link to the worker.
    :param relay: the relay, one for all workers.
    :param number: number of the worker.
    """
    worker = relay.join(partial(_send, link))

    def left() -> None:
        """Tell the other workers at once that a worker, which may be killed, has no members."""
        worker.left()
        relay.publish(PRESENCE_TOPIC, worker, True, PresenceReport(node_of(number), None).encode())

    link.handle(Kind.BUS, worker.received)
    link.handle(Kind.SUBSCRIPTION, worker.received)
    link.whenLost(left)


def bus_over(link: WorkerLink, reactor: Any, index: int = 0) -> WorkersBus:
    """
    Return the bus of a worker process.

    :param link: the worker's end of the link to the parent.
    :param reactor: the reactor.
    :param index: number of the worker.
    """
    bus = WorkersBus(partial(_send, link), reactor, time, f"w{index}")
    link.handle(Kind.BUS, bus.received)
    link.handle(Kind.SUBSCRIPTION, bus.received)
    link.whenLost(bus.lost)
    return bus
