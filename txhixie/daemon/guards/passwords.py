"""Checks of user names and passwords by a password file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from ...sansio.handshake.offer import Refusal
from ...sansio.http.trusted import network_of
from ...sansio.types import RandomBytes
from .basic import BasicCredentials
from .changing_file import ChangingFile
from .failures import Failures
from .htpasswd import PasswordFile, read_password_file
from .password_checks import PasswordChecks
from .remembered import MOST_MISSES, Remembered

InThread: TypeAlias = Callable[[Callable[[], bool]], Deferred[bool]]
"""Calls a function in a thread, and returns a Deferred of its result."""

Verdict: TypeAlias = "bool | Refusal"
"""Whether a password was right, or the refusal of a client without a check of the password."""


def inThreadOf(reactor: Any) -> InThread:
    """
    Return a function that runs others, each in a thread of its own.

    The threads are not those of the reactor's pool, for which a stop waits: two checks at a cost of
    17 take 24 s on a busy machine, and ``--stop-timeout`` may be shorter. A new thread takes 0.1
    ms, a check at least 2 ms.
    """

    def inThread(work: Callable[[], bool]) -> Deferred[bool]:
        done: Deferred[bool] = Deferred()

        def run() -> None:
            try:
                result: Any = work()
            except Exception:
                result = Failure()
            reactor.callFromThread(done.callback, result)

        # A process does not wait for a daemon thread when it ends.
        Thread(target=run, name="password check", daemon=True).start()
        return done

    return inThread


class Passwords:
    """
    Users of one password file, for all routes with this file.

    A right password is remembered for a minute, so that a page with its images, its WebSocket and
    its reconnections takes one check in a thread. An address with many wrong passwords is refused
    without a check. A client of this address is still let in with a password that was right within
    the last minute: behind one address there may be an office or a reverse proxy.
    """

    def __init__(
        self,
        clock: IReactorTime,
        path: Path,
        checks: PasswordChecks,
        failures: Failures,
        inThread: InThread,
        randomBytes: RandomBytes,
    ) -> None:
        """
        Read the password file.

        :param clock: measures the time.
        :param path: the password file.
        :param checks: the queue of all password files.
        :param failures: the counts of all password files.
        :param inThread: runs a check.
        :param randomBytes: source of the key by which a right password is remembered.
        :raises ValueError: as :func:`txhixie.daemon.guards.htpasswd.read_password_file` does.
        """
        self._clock = clock
        self._file = ChangingFile(clock, path, read_password_file)
        self._checks = checks
        self._failures = failures
        self._inThread = inThread
        self._remembered = Remembered(randomBytes(32), checks.part(MOST_MISSES))
        self._users = self._file.current()

    def check(
        self, client: str | None, credentials: BasicCredentials
    ) -> Verdict | Deferred[Verdict]:
        """
        Check a password.

        :param client: address of the client; ``None`` without an address.
        :param credentials: the user name and the password.
        :return: at once for a remembered password and for a client that has to wait; otherwise when
            the password was checked in a thread.
        """
        self._readUsers()
        if self._remembered.has(self._clock.seconds(), credentials):
            return True
        if (refused := self._tooManyFailures(client)) is not None:
            return refused
        network = network_of(client)
        if not self._checks.hasRoom(network):
            why = "too many password checks are waiting (users, --users)"
            return _refusal(503, "too many logins at once\n", 5, why, "password-checks")
        return self._checks.run(network, lambda: self._begin(client, credentials))

    def _readUsers(self) -> PasswordFile:
        users = self._file.current()
        if users is not self._users:
            self._users = users
            self._remembered.clear()
        return users

    def _tooManyFailures(self, client: str | None) -> Refusal | None:
        seconds = self._failures.wait(self._clock.seconds(), client)
        if not seconds:
            return None
        why = "too many wrong passwords of this address (users, --users)"
        return _refusal(429, "too many wrong passwords\n", seconds, why, "too-many-failures")

    def _begin(
        self, client: str | None, credentials: BasicCredentials
    ) -> Verdict | Deferred[Verdict]:
        """Check a password now; others of this address or user may have been checked meanwhile."""
        users = self._readUsers()
        if self._remembered.has(self._clock.seconds(), credentials):
            return True
        if (refused := self._tooManyFailures(client)) is not None:
            return refused
        number = self._remembered.number(credentials.name)
        name, password = credentials
        checked = self._inThread(lambda: users.matches(name, password, number))
        return checked.addCallback(self._checked, users, client, credentials)

    def _checked(
        self, isRight: bool, users: PasswordFile, client: str | None, credentials: BasicCredentials
    ) -> bool:
        now = self._clock.seconds()
        if not isRight:
            self._failures.add(now, client)
        elif users is self._users:  # otherwise the file has changed during the check
            self._remembered.add(now, credentials)
        return isRight


def _refusal(status: int, body: str, seconds: int, why: str, cause: str) -> Refusal:
    """:param seconds: after which the client may try again."""
    return Refusal(status, body, [("Retry-After", str(seconds))], why=why, cause=cause)
