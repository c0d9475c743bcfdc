"""Wrong passwords at all workers: each worker counts those of the others, too."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from ..guards.failures import Failures
from .link import Kind, WorkerLink

SendFailure: TypeAlias = Callable[[bytes], bool]
"""Function that sends a packet to the other process; returns whether there was room."""


class FailureRelay:
    """The parent's part: passes the address of each wrong password on to the other workers."""

    def __init__(self) -> None:
        self._workers: dict[SendFailure, None] = {}

    def join(self, send: SendFailure) -> None:
        """
        Add a worker.

        :param send: sends a packet to the worker.
        """
        self._workers[send] = None

    def received(self, data: bytes, sender: SendFailure) -> None:
        """Pass a packet of a worker on."""
        for send in self._workers:
            if send is not sender:
                send(data)

    def left(self, send: SendFailure) -> None:
        """Remove a worker that has ended."""
        del self._workers[send]


def relay_failures(link: WorkerLink, relay: FailureRelay) -> None:
    """Add a worker to the relay of the parent process."""
    send = partial(link.send, Kind.FAILURES)
    relay.join(send)
    link.handle(Kind.FAILURES, lambda data: relay.received(data, send))
    link.whenLost(lambda: relay.left(send))


def share_failures(link: WorkerLink, reactor: Any, failures: Failures) -> None:
    """
    Have the counts of a worker process be those of all workers.

    :param link: the worker's end of the link to the parent.
    :param reactor: the reactor.
    :param failures: the counts.
    """
    failures.tell = lambda network: link.send(Kind.FAILURES, network.encode())
    link.handle(
        Kind.FAILURES, lambda data: failures.add_of_network(reactor.seconds(), data.decode())
    )
