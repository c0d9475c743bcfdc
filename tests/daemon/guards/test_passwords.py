"""Checks of passwords by a file: what takes a thread or is remembered, and which requests wait."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from txhixie.daemon.guards.basic import BasicCredentials
from txhixie.daemon.guards.failures import MOST_FAILURES, Failures
from txhixie.daemon.guards.password_checks import MOST_OF_ONE, PasswordChecks
from txhixie.daemon.guards.passwords import Passwords
from txhixie.sansio.handshake.offer import Refusal

SHA1 = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="
"""The hash of ``password``."""

OTHER = "{SHA}GpHWL3ymc5liWkNopqtdSjuqYHM="
"""The hash of ``pw``."""

ALICE = BasicCredentials(b"alice", b"password")
BOB = BasicCredentials(b"bob", b"password")
OFFICE, HOME = "192.0.2.1", "198.51.100.7"


class Setup:
    """Users of a file, with threads that the test ends."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.file = directory / "users"
        self.file.write_text(f"alice:{SHA1}\nbob:{SHA1}\n")
        self.threads: list[tuple[Callable[[], bool], Deferred[bool]]] = []
        self.started = 0
        self.passwords = Passwords(
            self.clock, self.file, PasswordChecks(), Failures(), self._inThread, bytes
        )

    def _inThread(self, work: Callable[[], bool]) -> Deferred[bool]:
        thread: Deferred[bool] = Deferred()
        self.threads.append((work, thread))
        self.started += 1
        return thread

    def asks(self, credentials: BasicCredentials, client: str | None = OFFICE) -> list[Any]:
        """Ask for a verdict; it is added to the list when there is one."""
        verdicts: list[Any] = []
        verdict = self.passwords.check(client, credentials)
        if isinstance(verdict, Deferred):
            verdict.addCallback(verdicts.append)
        else:
            verdicts.append(verdict)
        return verdicts

    def work(self) -> None:
        """Let all threads do their work, and those that begin meanwhile."""
        while self.threads:
            check, thread = self.threads.pop(0)
            thread.callback(check())

    def verdict(self, credentials: BasicCredentials, client: str | None = OFFICE) -> Any:
        verdicts = self.asks(credentials, client)
        self.work()
        (verdict,) = verdicts
        return verdict.status if isinstance(verdict, Refusal) else verdict

    def guess(self, times: int, client: str | None = OFFICE, name: bytes = b"alice") -> list[Any]:
        return [
            self.verdict(BasicCredentials(name, b"guess %d" % number), client)
            for number in range(times)
        ]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def test_a_password_is_checked_in_a_thread(setup: Setup) -> None:
    verdicts = setup.asks(ALICE)
    assert verdicts == []
    setup.work()
    assert verdicts == [True]
    assert setup.verdict(BasicCredentials(b"alice", b"wrong")) is False
    assert setup.verdict(BasicCredentials(b"carol", b"password")) is False
    assert setup.started == 3


def test_a_right_password_takes_one_thread_a_minute_from_any_address(setup: Setup) -> None:
    assert [setup.verdict(ALICE, client) for client in (OFFICE, HOME, None)] == [True] * 3
    assert setup.started == 1
    setup.clock.advance(60)
    assert setup.verdict(ALICE)
    assert setup.started == 2


def test_a_wrong_password_is_not_remembered(setup: Setup) -> None:
    wrong = BasicCredentials(b"alice", b"wrong")
    assert [setup.verdict(wrong) for _ in range(3)] == [False] * 3
    assert setup.started == 3


def test_requests_that_wait_for_a_check_of_the_same_password_take_no_thread(setup: Setup) -> None:
    """A browser requests the images of a page at once."""
    asked = [setup.asks(ALICE) for _ in range(20)]
    setup.work()
    assert asked == [[True]] * 20
    assert setup.started == 2


def test_many_wrong_passwords_of_an_address_are_refused_without_a_check(setup: Setup) -> None:
    assert setup.guess(MOST_FAILURES + 3) == [False] * MOST_FAILURES + [429] * 3
    assert setup.started == MOST_FAILURES
    assert setup.verdict(ALICE, HOME) is True


def test_the_refusal_says_when_to_try_again(setup: Setup) -> None:
    setup.guess(MOST_FAILURES)
    setup.clock.advance(20)
    (refusal,) = setup.asks(ALICE)
    assert refusal.headers == ((b"Retry-After", b"40"),)
    setup.clock.advance(40)
    assert setup.verdict(ALICE) is True


def test_a_right_password_does_not_end_the_wait_of_its_address(setup: Setup) -> None:
    """Otherwise a client with one password could guess another user's."""
    setup.guess(MOST_FAILURES - 1)
    assert setup.verdict(BOB) is True
    assert setup.guess(2) == [False, 429]


def test_wrong_passwords_that_wait_are_counted_before_they_are_checked(setup: Setup) -> None:
    asked = [setup.asks(BasicCredentials(b"alice", b"guess %d" % number)) for number in range(30)]
    setup.work()
    wrong = sum(verdict is False for (verdict,) in asked)
    assert wrong <= MOST_FAILURES + 1  # two run at once
    assert setup.started == wrong


def test_a_remembered_user_of_a_refused_address_is_let_in(setup: Setup) -> None:
    """An office or a reverse proxy may have one address for many clients."""
    assert setup.verdict(BOB) is True
    setup.guess(MOST_FAILURES)
    assert setup.verdict(ALICE) == 429
    assert setup.verdict(BOB) is True


def test_a_refused_address_cannot_guess_the_password_of_a_remembered_user(setup: Setup) -> None:
    assert setup.verdict(BOB) is True
    setup.guess(MOST_FAILURES)
    assert setup.guess(10, name=b"bob") == [429] * 10
    assert setup.verdict(BOB) == 429
    assert setup.verdict(BOB, HOME) is True


def test_a_full_queue_is_a_503(setup: Setup) -> None:
    asked = [setup.asks(ALICE) for _ in range(2 + MOST_OF_ONE + 1)]
    (refusal,) = asked[-1]
    assert refusal.status == 503
    assert refusal.headers == ((b"Retry-After", b"5"),)
    assert setup.asks(ALICE, HOME) == []
    setup.work()
    assert setup.verdict(ALICE) is True


def test_a_changed_password_is_right_and_the_old_one_wrong(setup: Setup) -> None:
    assert setup.verdict(ALICE) is True
    setup.file.write_text(f"alice:{OTHER}\n")
    setup.clock.advance(1)
    assert setup.verdict(ALICE) is False
    assert setup.verdict(BasicCredentials(b"alice", b"pw")) is True
    assert setup.verdict(BOB) is False


def test_a_check_that_began_before_a_change_is_not_remembered(setup: Setup) -> None:
    verdicts = setup.asks(ALICE)
    setup.file.write_text(f"bob:{SHA1}\n")
    setup.clock.advance(1)
    assert setup.asks(BOB) == []  # reads the file
    setup.work()
    assert verdicts == [True]
    assert setup.verdict(ALICE) is False


def test_a_mistake_in_a_changed_file_leaves_the_users_as_they_were(setup: Setup) -> None:
    assert setup.verdict(ALICE) is True
    setup.file.write_text("alice:plain\n")
    setup.clock.advance(1)
    assert setup.verdict(ALICE) is True
    assert setup.verdict(BOB) is True


def test_a_client_that_leaves_while_it_waits_is_not_checked(setup: Setup) -> None:
    setup.asks(ALICE)
    setup.asks(ALICE)
    waiting = setup.passwords.check(OFFICE, BOB)
    assert isinstance(waiting, Deferred)
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    setup.work()
    assert setup.started == 2


def test_a_guess_of_a_client_that_leaves_is_counted(setup: Setup) -> None:
    for number in range(MOST_FAILURES):
        guess = setup.passwords.check(OFFICE, BasicCredentials(b"alice", b"%d" % number))
        assert isinstance(guess, Deferred)
        guess.addErrback(lambda _: None)
        guess.cancel()
        setup.work()
    assert setup.verdict(ALICE) == 429
