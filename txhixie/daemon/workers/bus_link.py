"""The bus of workers over the links between the parent and its workers."""

from __future__ import annotations

from functools import partial
from time import time
from typing import Any

from ...bus.bus import Bus, BusMessage
from ...bus.relay import TopicRelay
from ...bus.workers import WorkersBus
from ...hub.presence_report import PRESENCE_TOPIC, PresenceReport
from .link import Kind, WorkerLink


def _send(link: WorkerLink, packet: bytes, is_message: bool) -> bool:
    return link.send(Kind.BUS if is_message else Kind.SUBSCRIPTION, packet)


def relay_over(link: WorkerLink, relay: TopicRelay, node: str = "") -> None:
    """
    Add a worker to the relay of the parent process.

    :param link: the parent's end of the link to the worker.
    :param relay: the relay, one for all workers.
    :param node: name of the worker for the numbers of members (``hub/presence.py``).
    """
    worker = relay.join(partial(_send, link))

    def left() -> None:
        """Tell the other workers at once that a worker, which may be killed, has no members."""
        worker.left()
        relay.publish(PRESENCE_TOPIC, worker, True, PresenceReport(node, None).encode())

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


def pass_on_ends(relayed: WorkersBus, bus: Bus) -> None:
    """
    Tell other machines at once that another worker, which may be killed, has no members.

    :param relayed: the bus of the workers, on which the parent reports the end.
    :param bus: the bus of all machines.
    """

    def pass_on(message: BusMessage, _: object) -> None:
        if bus.up:
            bus.publish(PRESENCE_TOPIC, message.payload, message.is_text)

    relayed.subscribe(PRESENCE_TOPIC, pass_on, False)
