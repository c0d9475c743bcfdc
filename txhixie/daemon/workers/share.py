"""The share of a worker in topics, limits and the status of all workers."""

from __future__ import annotations

from typing import Any

from ...bus.bus import Bus
from ...bus.workers import WorkersBus
from ...server.admission import Admission, part_of
from ..dispatch import RoutedServerFactory
from ..guards.failures import FAILURES
from ..guards.password_checks import CHECKS
from .bus_link import bus_over, pass_on_ends
from .ledger import shareLedger, shareTopics
from .link import WorkerLink
from .shared_failures import share_failures
from .surveys import WholeSurveyor, surveyWhole


class Share:
    """
    The share of one worker.

    :ivar bus: the bus of the workers.
    :ivar node: name of the worker for the numbers of members, on this bus and on that of all
        machines.
    :ivar topics: the topics of all workers.
    """

    def __init__(
        self, link: WorkerLink, reactor: Any, worker: int, workers: int, node: str
    ) -> None:
        """
        :param link: the worker's end of the link to the parent.
        :param reactor: the reactor.
        :param worker: number of the worker, from 1.
        :param workers: number of all workers.
        :param node: the attribute.
        """
        self.bus: WorkersBus = bus_over(link, reactor, worker)
        self.node = node
        self._link = link
        self._worker = worker
        self._workers = workers
        self._ledger = shareLedger(link, reactor, workers)
        self.topics = shareTopics(link, reactor, workers)
        share_failures(link, reactor, FAILURES)
        CHECKS.processes = workers

    def tell_ends(self, bus: Bus) -> None:
        """Tell other machines at once that another worker has ended."""
        pass_on_ends(self.bus, bus)

    def limit(self, admission: Admission) -> None:
        """Have limits hold for all workers together; those of a second are divided."""
        admission.ledger = self._ledger
        admission.divide_rates(self._workers)

    def part(self, most: int) -> int:
        """Return the part of a limit that this worker has, at least 1."""
        return part_of(most, self._workers)

    def surveyor(self, factory: RoutedServerFactory) -> WholeSurveyor:
        """Return the surveyor of all workers."""
        return surveyWhole(self._link, factory, self._worker)
