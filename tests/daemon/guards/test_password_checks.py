"""The queue of password checks: two at once, a bound, and what a cancel does."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from txhixie.daemon.guards.password_checks import (
    AT_ONCE,
    MOST_OF_ONE,
    MOST_WAITING,
    PasswordChecks,
)


class Threads:
    """Checks that run in threads of a test: a test ends each of them."""

    def __init__(self) -> None:
        self.checks = PasswordChecks()
        self.running: list[Deferred[str]] = []
        self.answers: list[Any] = []

    def _begin(self) -> Deferred[str]:
        thread: Deferred[str] = Deferred()
        self.running.append(thread)
        return thread

    def ask(self, client: str = "192.0.2.1") -> Deferred[Any]:
        answer = self.checks.run(client, self._begin)
        answer.addBoth(self.answers.append)
        return answer

    def end(self, result: str = "done") -> None:
        self.running.pop(0).callback(result)


def test_two_checks_run_at_once_and_the_others_wait_in_their_order() -> None:
    threads = Threads()
    for _ in range(5):
        threads.ask()
    assert len(threads.running) == AT_ONCE == 2
    threads.end("first")
    assert threads.answers == ["first"]
    assert len(threads.running) == AT_ONCE
    for _ in range(4):
        threads.end()
    assert len(threads.answers) == 5
    assert not threads.running


def test_the_number_of_waiting_checks_is_bounded() -> None:
    threads = Threads()
    asked = 0
    while threads.checks.hasRoom(client := f"192.0.2.{asked % 256}"):
        threads.ask(client)
        asked += 1
    assert asked == AT_ONCE + MOST_WAITING
    threads.end()
    assert threads.checks.hasRoom("192.0.2.1")


def test_several_processes_have_the_limits_together() -> None:
    threads = Threads()
    threads.checks.processes = 4
    asked = 0
    while threads.checks.hasRoom(client := f"192.0.2.{asked % 256}"):
        threads.ask(client)
        asked += 1
    assert (len(threads.running), asked) == (1, 1 + MOST_WAITING // 4)
    while threads.running:
        threads.end()
        assert len(threads.running) <= 1
    asked = 0
    while threads.checks.hasRoom("192.0.2.1"):
        threads.ask("192.0.2.1")
        asked += 1
    assert asked == 1 + MOST_OF_ONE // 4


def test_one_address_does_not_fill_the_queue() -> None:
    threads = Threads()
    asked = 0
    while threads.checks.hasRoom("192.0.2.1"):
        threads.ask("192.0.2.1")
        asked += 1
    assert asked == AT_ONCE + MOST_OF_ONE
    assert threads.checks.hasRoom("192.0.2.2")


def test_a_check_that_waits_is_cancelled_and_never_begins() -> None:
    threads = Threads()
    threads.ask()
    threads.ask()
    threads.ask().cancel()
    assert threads.answers[0].check(CancelledError)
    threads.end()
    threads.end()
    assert not threads.running


def test_a_check_that_runs_is_cancelled_and_keeps_its_place_until_its_thread_ends() -> None:
    """A client that disconnects at once would otherwise start any number of threads."""
    threads = Threads()
    threads.ask().cancel()
    threads.ask()
    threads.ask()
    assert threads.answers[0].check(CancelledError)
    assert len(threads.running) == AT_ONCE
    threads.end()
    assert len(threads.answers) == 1
    assert len(threads.running) == AT_ONCE


def test_a_result_without_a_thread_takes_no_place() -> None:
    threads = Threads()
    threads.ask()
    threads.ask()
    at_once = [threads.checks.run("192.0.2.1", lambda: "known") for _ in range(1000)]
    assert not any(each.called for each in at_once)
    threads.end()
    assert [each.result for each in at_once] == ["known"] * 1000


def test_an_error_of_a_check_is_the_failure_of_its_Deferred_only() -> None:
    threads = Threads()

    def fail() -> None:
        raise RuntimeError("no thread")

    threads.checks.run("192.0.2.1", fail).addBoth(threads.answers.append)
    assert threads.answers.pop().check(RuntimeError)
    threads.ask()
    threads.running[0].errback(RuntimeError("the hash cannot be read"))
    assert threads.answers[0].check(RuntimeError)
    threads.running.clear()
    threads.ask()
    assert len(threads.running) == 1
