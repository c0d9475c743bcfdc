"""Surveys of all workers: sums, workers that do not answer, and workers that have ended."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from support.frames import MASK, modern_frame
from support.handshake_bytes import whole_request
from support.waiting import asynchronous, reactor, within
from txhixie import testing
from txhixie.bus.local import LocalBus
from txhixie.bus.reach import Reach
from txhixie.daemon.dispatch import Guarded, RoutedApplications, RoutedServerFactory
from txhixie.daemon.routes import Route, Routes
from txhixie.daemon.status.status_page import StatusPage
from txhixie.daemon.status.survey import Survey
from txhixie.daemon.workers.link import adoptLink, linkPair
from txhixie.daemon.workers.surveys import (
    SURVEY_TIMEOUT,
    SurveyRelay,
    WholeSurveyor,
    relaySurveys,
    surveyWhole,
)
from txhixie.hub.hub import Hub
from txhixie.sansio.wire.frame import Opcode
from txhixie.testing.end import End


def factoryAt(clock: Any) -> RoutedServerFactory:
    """A factory of a worker."""
    routes: Routes[Any] = Routes()
    routes.add(Route(None, "/"), Guarded(testing.Applications(testing.echo)))
    return RoutedServerFactory(RoutedApplications(routes), clock=clock, logConnections=False)


class Worker:
    """
    A worker with connections in memory, and with a link that the test carries.

    :ivar hears: whether the worker gets the packets of the parent.
    """

    def __init__(self, relay: SurveyRelay, clock: Clock, index: int) -> None:
        self.clock = clock
        self.hears = True
        self.factory = factoryAt(clock)
        self.surveyor = WholeSurveyor(self.factory, self._toParent, index)
        self.relayed = relay.join(index, self._toWorker)

    def _toParent(self, packet: bytes) -> bool:
        self.clock.callLater(0, self.relayed.received, packet)
        return True

    def _toWorker(self, packet: bytes) -> bool:
        if self.hears:
            self.clock.callLater(0, self.surveyor.received, packet)
        return self.hears

    def open(self, messages: int = 1) -> End[Any]:
        """Open a conversation with some messages."""
        end = End(self.factory.buildProtocol(None), self.clock)
        end.receive(whole_request("rfc6455", target="/"))
        for _ in range(messages):
            end.receive(modern_frame(Opcode.TEXT, b"hello", key=MASK))
        return end

    def survey(self, seconds: float = 0.0) -> Survey:
        """Return the survey of all workers, which comes in this time."""
        self.clock.advance(2)
        found: list[Survey] = []
        self.surveyor.survey().addCallback(found.append)
        for _ in range(50):
            self.clock.advance(0)
        self.clock.advance(seconds)
        (survey,) = found
        return survey


def workers(number: int) -> tuple[SurveyRelay, list[Worker]]:
    """Some workers of one parent, which keeps 7 bytes of earlier messages of topics."""
    relay, clock = SurveyRelay(lambda: 7), Clock()
    return relay, [Worker(relay, clock, index) for index in range(number)]


def test_each_worker_has_the_sums_of_all() -> None:
    _, every = workers(3)
    for index, worker in enumerate(every):
        for _ in range(index + 1):
            worker.open(messages=2)
    for worker in every:
        survey = worker.survey()
        assert survey.states == {"open": 6}
        assert survey.open == {("rfc6455", "/"): 6}
        assert survey.counters.opened == {"rfc6455": 6}
        assert survey.counters.accepted == 6
        assert (survey.received, survey.sent) == (12, 12)
        assert (survey.answered, survey.silent) == ([0, 1, 2], [])
        assert len(survey.listed()) == 6
        assert [tally.connections for tally in survey.addresses.values()] == [6]


def test_topics_and_members_are_sums_and_the_history_is_that_of_the_parent() -> None:
    _, every = workers(3)
    for index, worker in enumerate(every):
        worker.factory.hub = hub = Hub(LocalBus(lambda: 1.0), worker.clock)
        hub.topic("shared", 60, history=False)
        hub.topic(f"of {index}", 60, history=False)
    for worker in every:
        for _ in range(2):  # the second time from the surveys of before
            found = worker.survey().hub
            assert found == {"topics": 6, "members": 0, "history_bytes": 7}


def test_the_bus_is_up_if_all_workers_reach_it_and_its_counters_are_sums() -> None:
    _, every = workers(2)
    for worker in every:
        worker.factory.reach = reach = Reach("redis://host")
        reach.reached()
        reach.lost = 3
        survey = worker.survey()
    assert (survey.unreached, survey.bus["lost"], survey.bus["downs"]) == (0, 6, 0)
    reach.gone("refused")
    first, second = every
    for worker in every:
        data = StatusPage(worker.factory, worker.surveyor).toData(worker.survey(1.0))
        assert data["bus"] == {"up": False, "downs": 1, "lost": 6, "strange": 0, "gaps": 0}
    second.relayed.left()
    survey = first.survey(1.0)
    assert (survey.unreached, survey.bus["lost"], survey.bus["downs"]) == (0, 6, 1)


def test_surveys_of_the_same_second_are_not_added_twice() -> None:
    _, (first, second) = workers(2)
    first.open()
    second.open()
    found: list[Survey] = []
    for _ in range(3):
        first.surveyor.survey().addCallback(found.append)
    second.surveyor.survey().addCallback(found.append)
    for _ in range(50):
        first.clock.advance(0)
    assert [survey.states for survey in found] == [{"open": 2}] * 4


def test_a_worker_that_does_not_answer_in_time_is_named() -> None:
    _, (first, second, third) = workers(3)
    for worker in (first, second, third):
        worker.open()
    third.hears = False
    survey = first.survey(SURVEY_TIMEOUT)
    assert survey.states == {"open": 2}
    assert (survey.answered, survey.silent) == ([0, 1], [2])
    data = StatusPage(first.factory, first.surveyor).toData(survey)
    assert data["workers"] == {"answered": [0, 1], "silent": [2]}
    assert [row.get("worker") for row in data["newest"]] == [None, 1]


def test_a_worker_answers_alone_when_the_parent_does_not() -> None:
    _, (first, second) = workers(2)
    first.open()
    second.open()
    first.hears = False
    survey = first.survey(SURVEY_TIMEOUT)
    assert (survey.states, survey.answered) == ({"open": 1}, [0])


def test_counters_do_not_decrease_when_a_worker_has_ended() -> None:
    relay, (first, second) = workers(2)
    first.open()
    second.open(messages=5)
    assert first.survey().received == 6
    second.relayed.left()
    survey = first.survey()
    assert (survey.received, survey.counters.accepted) == (6, 2)
    assert survey.states == {"open": 1}
    again = Worker(relay, first.clock, 1)
    again.open()
    survey = again.survey()
    assert (survey.received, survey.states, survey.answered) == (7, {"open": 2}, [0, 1])


@asynchronous
async def test_surveys_work_over_links() -> None:
    relay = SurveyRelay()
    surveyors, links = [], []
    for index in range(2):
        here, other = linkPair(reactor)
        there = adoptLink(reactor, other.detach())
        relaySurveys(here, relay, index)
        surveyors.append(surveyWhole(there, factoryAt(reactor), index))
        links += [here, there]
    survey = await within(surveyors[0].survey())
    assert (survey.answered, survey.silent, survey.received) == ([0, 1], [], 0)
    for link in links:
        link.close()
