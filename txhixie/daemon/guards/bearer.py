"""Bearer tokens of HTTP (RFC 6750): the token of a request, and the guard that asks for one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from twisted.internet.defer import Deferred

from ...sansio.handshake.offer import Refusal
from .guard import Answer, Guard, Permit
from .visitor import Visitor

_BEARER: Final = re.compile(r"bearer(?:[ \t]+(.*))?", re.IGNORECASE)

Verify: TypeAlias = Callable[[str], "Permit | str"]
"""Checks a token: returns a permit, or why the token is not accepted, without the token itself."""


class Bearer(Guard):
    """
    Guard that asks for a bearer token, in ``Authorization`` or in the query.

    A page cannot set a header field of its WebSocket, and writes the token into the URL.
    """

    def __init__(
        self,
        verify: Verify,
        realm: str,
        parameter: str,
        options: str,
        namesUsers: bool = False,
    ) -> None:
        """
        :param verify: checks a token.
        :param realm: the realm, in printable ASCII.
        :param parameter: name of the parameter of the query.
        :param options: name of the option of a route, and of all routes, for the log.
        :param namesUsers: whether a token may have the name of a user.
        """
        self.namesUsers = namesUsers
        self._verify = verify
        self._options = options
        quoted = re.sub(r'(["\\])', r"\\\1", realm)
        self._challenge = f'Bearer realm="{quoted}"'
        self._parameter = parameter
        self.challenges = self._field()
        self.usedHeaders = frozenset({b"authorization"})
        self.usedParameters = frozenset({parameter})

    def hasCredentials(self, visitor: Visitor) -> bool:
        """Whether the request has a token, right or wrong."""
        return bool(tokensOf(visitor, self._parameter))

    def check(self, visitor: Visitor) -> Answer | Deferred[Answer]:
        """
        Check the token of a request.

        :return: 401 without a token and for a wrong one, 400 for more than one token (RFC 6750
            section 3.1).
        """
        tokens = tokensOf(visitor, self._parameter)
        if not tokens:
            return self._refusal(401, "a token is required", "no token", "")
        if len(tokens) > 1:
            why = "more than one token"
            return self._refusal(400, "one token is expected", why, ', error="invalid_request"')
        found = self._verify(tokens[0])
        if isinstance(found, Permit):
            return found
        return self._refusal(401, "invalid token", found, ', error="invalid_token"')

    def _refusal(self, status: int, body: str, why: str, error: str) -> Refusal:
        why = f"{why} ({self._options})"
        return Refusal(status, f"{body}\n", self._field(error), why=why, cause="token")

    def _field(self, error: str = "") -> tuple[tuple[bytes, bytes], ...]:
        return ((b"WWW-Authenticate", f"{self._challenge}{error}".encode("ascii")),)


def tokensOf(visitor: Visitor, parameter: str) -> list[str]:
    """
    Return the tokens of a request: of ``Authorization``, and of a parameter of the query.

    A plus sign in a query means a blank, and base64 has plus signs. A token has no blanks, so a
    blank of the query is read as the plus sign that the page forgot to escape.
    """
    tokens = [each.replace(" ", "+") for each in visitor.parameter(parameter)]
    found = _BEARER.fullmatch((visitor.header("authorization") or "").strip(" \t"))
    return tokens if found is None else [found[1] or "", *tokens]
