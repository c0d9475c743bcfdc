"""The share of a worker in topics, limits and the status of all workers."""

from __future__ import annotations

from typing import Any

from ...bus.workers import WorkersBus
from ...server.admission import Admission, part_of
from ..dispatch import RoutedServerFactory
from ..guards.failures import FAILURES
from ..guards.password_checks import CHECKS
from .bus_link import bus_over, node_of
from .ledger import shareLedger, shareTopics
from .link import WorkerLink
from .shared_failures import share_failures
from .surveys import WholeSurveyor, surveyWhole


class Share:
    """
    The share of one worker.

    :ivar bus: the bus of the workers.
    :ivar node: name of the worker on this bus.
    :ivar topics: the topics of all workers.
    """

    def __init__(self, link: WorkerLink, reactor: Any, worker: int, workers: int) -> None:
        """
        :param link: the worker's end of the link to the parent.
        :param reactor: the reactor.
        :param worker: number of the worker, from 1.
        :param workers: number of all workers.
        """
        self.bus: WorkersBus = bus_over(link, reactor, worker)
        self.node = node_of(worker)
        self._link = link
        self._worker = worker
        self._workers = workers
        self._ledger = shareLedger(link, reactor, workers)
        self.topics = shareTopics(link, reactor, workers)
        share_failures(link, reactor, FAILURES)
        CHECKS.processes = workers

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
