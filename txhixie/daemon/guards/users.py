"""The condition ``users``: a user name and a password, by Basic authentication (RFC 7617)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from ...sansio.handshake.offer import Refusal
from .basic import DEFAULT_REALM, is_basic, read_basic, write_basic_challenge
from .failures import FAILURES
from .guard import Answer, Guard, Permit
from .password_checks import CHECKS
from .passwords import Passwords, Verdict, inThreadOf
from .visitor import Visitor


class Users(Guard):
    """
    Guard that lets in the users of a password file.

    The log does not have the user name of a refused client: some people type the password there.
    """

    usedHeaders = frozenset({b"authorization"})
    namesUsers = True

    def __init__(self, passwords: Passwords, realm: str = DEFAULT_REALM) -> None:
        """
        :param passwords: the users.
        :param realm: the realm, in printable ASCII.
        """
        self._passwords = passwords
        self.challenges = ((b"WWW-Authenticate", write_basic_challenge(realm)),)

    def hasCredentials(self, visitor: Visitor) -> bool:
        """Whether the request has Basic credentials."""
        return is_basic(visitor.header("authorization") or "")

    def check(self, visitor: Visitor) -> Answer | Deferred[Answer]:
        """
        Check the user name and the password of a request.

        :return: 401 for missing and for wrong ones, 429 after many wrong ones of the address, 503
            when many checks are waiting.
        """
        field = visitor.header("authorization")
        credentials = None if field is None else read_basic(field)
        if credentials is None:
            return self._unauthorized(
                "user name and password required" if field is None else "no Basic credentials"
            )
        verdict = self._passwords.check(visitor.client, credentials)
        if isinstance(verdict, Deferred):
            return verdict.addCallback(self._answer, credentials.name)
        return self._answer(verdict, credentials.name)

    def _answer(self, verdict: Verdict, name: bytes) -> Answer:
        if isinstance(verdict, Refusal):
            return verdict
        if not verdict:
            return self._unauthorized("wrong user name or password")
        return Permit(user=name.decode())

    def _unauthorized(self, reason: str) -> Refusal:
        why = f"{reason} (users, --users)"
        return Refusal(401, f"{reason}\n", self.challenges, why=why, cause="password")


def buildUsers(reactor: Any, values: Mapping[str, Any]) -> Users:
    """
    Make the guard of a password file.

    :raises ValueError: for a mistake in the file, with the file and the number of the line.
    """
    file = Path(values["users"])
    try:
        passwords = Passwords(
            reactor, file, CHECKS, FAILURES, inThreadOf(reactor), secrets.token_bytes
        )
    except ValueError as error:
        raise ValueError(f"users {error}") from None
    return Users(passwords, values.get("realm", DEFAULT_REALM))
