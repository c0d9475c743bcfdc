"""Surveys of all workers, for the status and the metrics: each worker answers with the sums.

A worker counts its own connections, and asks the others through the parent. The parent keeps what
each worker has counted, so that the counters do not decrease when a worker has ended: a counter
that decreases would be a restart for Prometheus.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import Any, Final, TypeAlias

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from ...connection.counters import Counters
from ..dispatch import RoutedServerFactory
from ..status.survey import Survey, Surveyor
from .link import Kind, WorkerLink

SURVEY_TIMEOUT: Final = 1.0
"""Seconds for the answers of the other workers. A worker with 10,000 connections counts for a tenth
of a second."""

_COUNTED: Final = ("counters", "received", "sent", "bus")
"""Parts of a survey that count since the start of a worker."""

SendSurvey: TypeAlias = Callable[[bytes], bool]
"""Function that sends a packet to the other process; returns whether there was room."""

_numbers: Final = count(1)
"""Numbers of questions, of all surveyors of a process: a reload makes another surveyor, and answers
to the one before may still come."""


class _Gathered:
    """A survey of all workers that is not complete yet."""

    def __init__(self, survey: Survey, done: Deferred[Survey]) -> None:
        self.survey = survey
        self.done = done
        self.timer: IDelayedCall | None = None

    def complete(self) -> None:
        """Pass the survey on, with the workers that did not answer."""
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        self.survey.answered.sort()
        self.done.callback(self.survey)


class WholeSurveyor(Surveyor):
    """Makes surveys of all workers, in one of them."""

    def __init__(self, factory: RoutedServerFactory, send: SendSurvey, index: int) -> None:
        """
        :param factory: the factory of this worker.
        :param send: sends a packet to the parent.
        :param index: number of this worker.
        """
        super().__init__(factory)
        self._clock = factory.clock
        self._send = send
        self._index = index
        self._gathering: dict[int, _Gathered] = {}

    def survey(self, address: str = "") -> Deferred[Survey]:
        """Count the connections of all workers, as :meth:`Surveyor.survey` does for one."""
        return super().survey(address).addCallback(self._ask, address)

    def _ask(self, own: Survey, address: str) -> Deferred[Survey]:
        survey = own.copy()
        survey.answered = [self._index]
        number = next(_numbers)
        if not self._send(_encode("ask", number, address, own.toData())):
            return succeed(survey)  # the parent does not read, or has ended
        gathered = self._gathering[number] = _Gathered(survey, Deferred())
        gathered.timer = self._clock.callLater(SURVEY_TIMEOUT, self._late, number)
        return gathered.done

    def _late(self, number: int) -> None:
        self._gathering.pop(number).complete()

    def received(self, data: bytes) -> None:
        """Handle a question of another worker, or an answer."""
        verb, number, *values = json.loads(data)
        if verb == "survey":
            (address,) = values
            own: Deferred[Survey] = super().survey(address)
            own.addCallback(lambda survey: self._send(_encode("answer", number, survey.toData())))
            return
        gathered = self._gathering.get(number)
        if gathered is None:
            return
        survey = gathered.survey
        if verb == "asked":
            survey.silent, ended = values
            survey.addCounts(ended)
            survey.hub.update(ended["hub"])
        else:
            worker, answer = values
            if worker not in survey.silent:  # the list of the workers that are asked was lost
                return
            survey.add(answer, worker)
            survey.answered.append(worker)
            survey.silent.remove(worker)
        if not survey.silent:
            del self._gathering[number]
            gathered.complete()


class SurveyRelay:
    """The parent's part: passes questions and answers on between the workers."""

    def __init__(self, historySize: Callable[[], int] = int) -> None:
        """
        :param historySize: returns the bytes of the earlier messages of topics, which the parent
            process keeps for all workers.
        """
        self._historySize = historySize
        self._workers: dict[int, SurveyedWorker] = {}
        self._ended = Survey(Counters())

    def join(self, index: int, send: SendSurvey) -> SurveyedWorker:
        """
        Add a worker.

        :param index: number of the worker, which is that of one that has ended, if it was replaced.
        :param send: sends a packet to the worker; returns whether there was room.
        """
        worker = self._workers[index] = SurveyedWorker(self, index, send)
        return worker

    def ask(self, number: int, address: str, asking: SurveyedWorker) -> None:
        """Ask all other workers, and tell a worker which ones are asked."""
        others = [each for each in self._workers.values() if each is not asking]
        ended = {**self._ended.toData(), "hub": {"history_bytes": self._historySize()}}
        asking.send(_encode("asked", number, sorted(each.index for each in others), ended))
        for each in others:
            each.send(_encode("survey", [asking.index, number], address))

    def answer(self, index: int, number: int, worker: int, data: Mapping[str, Any]) -> None:
        """Pass an answer on to the worker that has asked."""
        if (asking := self._workers.get(index)) is not None:
            asking.send(_encode("answer", number, worker, data))

    def left(self, worker: SurveyedWorker, counted: Mapping[str, Any] | None) -> None:
        """Remove a worker that has ended, and keep what it had counted when it was last asked."""
        if self._workers.get(worker.index) is worker:
            del self._workers[worker.index]
        if counted is not None:
            self._ended.addCounts(counted)


class SurveyedWorker:
    """
    One worker of a :class:`SurveyRelay`.

    :ivar index: number of the worker.
    :ivar send: sends a packet to the worker.
    """

    def __init__(self, relay: SurveyRelay, index: int, send: SendSurvey) -> None:
        self.index = index
        self.send = send
        self._relay = relay
        self._counted: dict[str, Any] | None = None

    def received(self, data: bytes) -> None:
        """Handle a question or an answer of the worker."""
        verb, number, *values = json.loads(data)
        counted = values[-1]
        self._counted = {name: counted[name] for name in _COUNTED}
        if verb == "ask":
            self._relay.ask(number, values[0], self)
        else:
            index, number = number
            self._relay.answer(index, number, self.index, counted)

    def left(self) -> None:
        """Remove the worker, which has ended."""
        counted, self._counted = self._counted, None
        self._relay.left(self, counted)


def _encode(*values: object) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode()


def relaySurveys(link: WorkerLink, relay: SurveyRelay, index: int) -> None:
    """Add a worker to the surveys of the parent process."""
    worker = relay.join(index, partial(link.send, Kind.SURVEY))
    link.handle(Kind.SURVEY, worker.received)
    link.whenLost(worker.left)


def surveyWhole(link: WorkerLink, factory: RoutedServerFactory, index: int) -> WholeSurveyor:
    """Return the surveyor of a worker process; the last one of a link answers the others."""
    surveyor = WholeSurveyor(factory, partial(link.send, Kind.SURVEY), index)
    link.handle(Kind.SURVEY, surveyor.received)
    return surveyor
