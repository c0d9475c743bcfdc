"""The number of members at all processes on a bus: reports, their times, processes that end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.task import Clock

from support.counted_member import CountedMember
from support.log_recorder import Log
from support.shared_bus import SharedBus
from txhixie.hub.hub import Hub
from txhixie.hub.member_counts import KEPT_SECONDS
from txhixie.hub.presence import REPEAT_SECONDS
from txhixie.hub.presence_report import PRESENCE_TOPIC, Count, PresenceReport, topic_key

ROOM = topic_key("room")


class Process:
    """
    A process with a hub.

    :ivar bus: its place on the bus.
    """

    def __init__(self, processes: Processes, node: str, mostBytes: int) -> None:
        self.bus = SharedBus(processes.buses)
        self.hub = Hub(self.bus, processes.clock, node, mostBytes)

    def join(self, topic: str = "room", asks: bool = False) -> CountedMember:
        """A new member."""
        return CountedMember(self.hub.topic(topic, 60.0, False), asks)

    @property
    def reports(self) -> list[Any]:
        """What this process has reported, without the first report, which has no counts."""
        found = [json.loads(data) for topic, data in self.bus.published if topic == PRESENCE_TOPIC]
        return [each for each in found if each[1] != []]


class Processes:
    """Processes on a bus, with a clock of the test."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.buses: list[SharedBus] = []

    def add(self, node: str, mostBytes: int = 10_000) -> Process:
        """A new process."""
        return Process(self, node, mostBytes)

    def addTwo(self) -> tuple[Process, Process, CountedMember]:
        """Two new processes with a member each, and the second one's, which asks."""
        one, two = self.add("one"), self.add("two")
        one.join()
        asking = two.join(asks=True)
        self.wait(5)
        return one, two, asking

    def wait(self, seconds: float) -> None:
        """Let time pass, in steps in which each timer is called in time."""
        self.clock.pump([0.1] * round(seconds * 10))


@pytest.fixture
def processes() -> Processes:
    """A bus without processes."""
    return Processes()


def test_a_member_that_asks_is_told_the_number_at_all_processes(processes: Processes) -> None:
    one, two, three = (processes.add(name) for name in ("one", "two", "three"))
    for process, number in ((one, 2), (two, 3), (three, 4)):
        for _ in range(number):
            process.join()
    asking = one.join(asks=True)
    processes.wait(1.2)
    assert asking.told[-1] == 10
    left = two.join()
    processes.wait(2.2)
    assert asking.told[-1] == 11
    left.leave()
    three.join("another")
    processes.wait(2.2)
    assert asking.told[-1] == 10
    also = three.join(asks=True)
    processes.wait(2.2)
    assert also.told[-1] == asking.told[-1] == 11


def test_without_a_member_that_asks_nothing_is_reported(processes: Processes) -> None:
    one, two = processes.add("one"), processes.add("two")
    one.join()
    two.join().leave()
    two.join("other", asks=True)
    two.join()
    processes.wait(60)
    assert one.reports == []
    assert {key for _, counts in two.reports for key, *_ in counts} == {topic_key("other")}
    assert len(two.reports) <= 1 + 60 / REPEAT_SECONDS


def test_nothing_is_reported_any_more_when_the_members_that_ask_have_left(
    processes: Processes,
) -> None:
    one, two = processes.add("one"), processes.add("two")
    one.join()
    asking = two.join(asks=True)
    two.join()
    processes.wait(30)
    asking.leave()
    processes.wait(KEPT_SECONDS + 15)
    reported = len(one.reports), len(two.reports)
    one.join()
    two.join()
    processes.wait(60)
    assert (len(one.reports), len(two.reports)) == reported
    assert processes.clock.getDelayedCalls() == []


def test_a_storm_of_members_is_one_report_a_second(processes: Processes) -> None:
    one, two = processes.add("one"), processes.add("two")
    asking = two.join(asks=True)
    processes.wait(2)
    for _ in range(30):
        for _ in range(50):
            one.join()
        processes.wait(0.1)
    processes.wait(2.2)
    assert asking.told[-1] == 1501
    assert len(one.reports) <= 6
    assert len(asking.told) <= 7


def test_an_idle_topic_is_reported_every_ten_seconds(processes: Processes) -> None:
    one, two, asking = processes.addTwo()
    before = len(one.reports), len(two.reports), len(asking.told)
    processes.wait(100)
    after = len(one.reports), len(two.reports), len(asking.told)
    assert [new - old for new, old in zip(after, before, strict=True)] == [10, 10, 0]


def test_the_members_of_a_killed_process_are_counted_for_30_seconds(
    processes: Processes,
) -> None:
    one, _, asking = processes.addTwo()
    assert asking.told[-1] == 2
    one.bus.stop()  # its hub is not stopped
    processes.wait(KEPT_SECONDS - REPEAT_SECONDS - 1)
    assert asking.told[-1] == 2
    processes.wait(REPEAT_SECONDS + 3)
    assert asking.told[-1] == 1


def test_the_members_of_a_process_that_stops_are_counted_no_more(processes: Processes) -> None:
    one, two, asking = processes.addTwo()
    one.hub.stop()
    processes.wait(1.1)
    assert asking.told[-1] == 1
    asking.leave()
    two.hub.stop()
    processes.clock.advance(KEPT_SECONDS * 2)
    assert processes.clock.getDelayedCalls() == []


def test_while_the_bus_is_down_a_member_is_told_the_number_at_its_process(
    processes: Processes,
) -> None:
    one, two, asking = processes.addTwo()
    one.bus.up = two.bus.up = False
    one.join()
    processes.wait(2.2)
    assert asking.told[-1] == 1
    reported = len(one.reports), len(two.reports)
    processes.wait(60)
    assert (len(one.reports), len(two.reports)) == reported
    one.bus.up = two.bus.up = True
    processes.wait(3.3)
    assert asking.told[-1] == 3


def test_an_outage_of_one_process_ends_with_the_right_number(processes: Processes) -> None:
    _, two, asking = processes.addTwo()
    two.bus.up = False
    processes.wait(2.2)
    assert asking.told[-1] == 1
    two.bus.up = True
    processes.wait(REPEAT_SECONDS + 3)
    assert asking.told[-1] == 2


def test_a_lost_report_is_made_good_by_the_next(processes: Processes) -> None:
    one, two, asking = processes.addTwo()
    receive = two.bus.subscribers.pop(PRESENCE_TOPIC)
    one.join()
    processes.wait(1.2)
    two.bus.subscribers[PRESENCE_TOPIC] = receive
    assert asking.told[-1] == 2
    processes.wait(REPEAT_SECONDS + 1.2)
    assert asking.told[-1] == 3


@pytest.mark.parametrize("mostBytes", [1, 200, 10_000])
def test_reports_of_many_topics_are_within_the_longest_message(
    processes: Processes, mostBytes: int
) -> None:
    one, two = processes.add("one", mostBytes), processes.add("two")
    asking = [two.join(f"topic {number}", asks=True) for number in range(250)]
    for number in range(250):
        one.join(f"topic {number}")
    processes.wait(2.2)
    assert {each.told[-1] for each in asking} == {2}
    most = max(len(data) for _, data in one.bus.published)
    assert most <= max(mostBytes, 60)
    assert max(len(counts) for _, counts in one.reports) <= 100


def test_with_many_processes_each_reports_less_often(processes: Processes) -> None:
    one = processes.add("one")
    one.join(asks=True)
    two = processes.add("two")
    for number in range(200):
        count = (Count(ROOM, 1, False),)
        two.bus.publish(PRESENCE_TOPIC, PresenceReport(f"node {number}", count).encode(), True)
    before = len(one.reports)
    for _ in range(20):
        one.join()
        processes.wait(1)
    assert 4 <= len(one.reports) - before <= 6


def test_a_message_of_another_program_is_ignored_with_one_log_line(
    processes: Processes, log: Log
) -> None:
    one, two = processes.add("one"), processes.add("two")
    asking = one.join(asks=True)
    for data in (b"hello", b"\xff", b'["two", 12]'):
        two.bus.publish(PRESENCE_TOPIC, data, False)
    processes.wait(3)
    assert {*asking.told} == {1}
    assert len([line for line in log.lines() if "messages of another program" in line]) == 1
