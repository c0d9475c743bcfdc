"""Guards: conditions of a route that a client has to meet, such as a password or a token.

A guard is asked about each WebSocket handshake of its route and about each request for a page of
its route. Two guards of a route can be alternatives (:class:`OneOf`); otherwise a client needs the
permit of each guard of the route.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from twisted.internet.defer import Deferred

from ...sansio.handshake.offer import Refusal
from ...sansio.types import Headers
from .visitor import Visitor


@dataclass(frozen=True, slots=True)
class Permit:
    """
    Answer of a guard that lets a client in.

    :ivar fields: header fields that tell a backend about the client, such as the subject of its
        certificate. Their names have to be in
        :data:`txhixie.daemon.guards.backend_fields.PERMIT_FIELDS`.
    :ivar expiresIn: seconds from now after which the conversation is closed with 1008; ``None``
        for no end.
    :ivar holds: callables that return whether the permit still holds, such as whether a file still
        has the token. When one returns ``False``, the conversation is closed with 1008.
    :ivar user: name under which the guard has identified the client; ``None`` for a client without
        a name, such as one with a token of a file.
    """

    fields: Headers = ()
    expiresIn: float | None = None
    holds: tuple[Callable[[], bool], ...] = ()
    user: str | None = None

    def joined(self, other: Permit) -> Permit:
        """
        Return the permit of two guards: it expires when the first of both does.

        Of two names the permit has the second: a certificate, which is checked first, may be that
        of a device, and the password that of a person.
        """
        ends = [each.expiresIn for each in (self, other) if each.expiresIn is not None]
        holds = (*self.holds, *other.holds)
        user = self.user if other.user is None else other.user
        return Permit((*self.fields, *other.fields), min(ends, default=None), holds, user)


PERMITTED: Final = Permit()
"""Permit of a route without guards."""

Answer: TypeAlias = "Permit | Refusal"


class Guard:
    """
    A condition of a route. Each kind of condition is a subclass.

    A guard has no method that ends its life: routes are made anew at a reload, and a guard goes
    when its last connection does. So a guard starts no timer. A guard that uses a file looks for a
    change of the file when a client is checked, at most once a second.

    :ivar challenges: the fields ``WWW-Authenticate`` of a 401 (RFC 9110 section 11.6.1); empty for
        a guard that asks for no credentials in a header field.
    :ivar usedHeaders: names, in lower case, of the header fields in which a client sends its
        credentials to this guard. They are removed from each request of the route before a backend
        gets it, unless the option ``pass-headers`` of the route names them.
    :ivar usedParameters: names of the parameters of the query in which a client sends its
        credentials to this guard. They are removed from each request of the route before a backend
        gets it.
    :ivar namesUsers: whether a permit of this guard may have a name, :attr:`Permit.user`.
    """

    challenges: Headers = ()
    usedHeaders: frozenset[bytes] = frozenset()
    usedParameters: frozenset[str] = frozenset()
    namesUsers = False

    def hasCredentials(self, visitor: Visitor) -> bool:
        """
        Whether a client sends credentials of this guard's kind, right or wrong.

        Only called for guards of a :class:`OneOf`.
        """
        return True

    def check(self, visitor: Visitor) -> Answer | Deferred[Answer]:
        """
        Check a client.

        The answer should come at once where this is possible. A Deferred is cancelled when the
        client disconnects or the timeout of the handshake passes. An exception is a 500 with a
        traceback in the log, so a wrong request has to become a refusal.

        :return: a permit, or the response that refuses the client: 401 with :attr:`challenges` for
            missing and for wrong credentials, 403 where other credentials would not help.
        """
        raise NotImplementedError


class OneOf(Guard):
    """Guards of which one permit is enough, such as a password or a token."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        """:param guards: the guards, in the order in which they are asked."""
        self._guards = guards
        self.challenges = tuple(pair for guard in guards for pair in guard.challenges)
        # Of all guards: a client that sends a password and a token has sent both to this route.
        self.usedHeaders = frozenset().union(*(guard.usedHeaders for guard in guards))
        self.usedParameters = frozenset().union(*(guard.usedParameters for guard in guards))
        self.namesUsers = any(guard.namesUsers for guard in guards)

    def hasCredentials(self, visitor: Visitor) -> bool:
        """Whether a client sends credentials for one of the guards."""
        return any(guard.hasCredentials(visitor) for guard in self._guards)

    def check(self, visitor: Visitor) -> Answer | Deferred[Answer]:
        """
        Ask the guards for the credentials that the client sends; without credentials the first one.

        :return: the first permit; otherwise the last refusal, with the challenges of all guards.
        """
        asked = [guard for guard in self._guards if guard.hasCredentials(visitor)]
        return self._ask(visitor, asked or [self._guards[0]])

    def _ask(self, visitor: Visitor, guards: Sequence[Guard]) -> Answer | Deferred[Answer]:
        guard, *others = guards
        answer = guard.check(visitor)
        if isinstance(answer, Deferred):
            return answer.addCallback(self._answered, visitor, guard, others)
        return self._answered(answer, visitor, guard, others)

    def _answered(
        self, answer: Answer, visitor: Visitor, guard: Guard, others: Sequence[Guard]
    ) -> Answer | Deferred[Answer]:
        if isinstance(answer, Permit):
            return answer
        if others:
            return self._ask(visitor, others)
        if answer.status != 401:
            return answer
        more = tuple(pair for pair in self.challenges if pair not in guard.challenges)
        return replace(answer, headers=(*answer.headers, *more))


def ask(
    guards: Sequence[Guard], visitor: Visitor, permit: Permit = PERMITTED
) -> Answer | Deferred[Answer]:
    """
    Ask all guards of a route, in their order, until one refuses.

    :param permit: the permit of the guards that were asked before.
    :return: the joined permit of all guards, or the first refusal. Cancelling the Deferred cancels
        the check of the guard that is asked.
    """
    for number, guard in enumerate(guards, 1):
        answer = guard.check(visitor)
        if isinstance(answer, Deferred):
            return answer.addCallback(_goOn, guards[number:], visitor, permit)
        if isinstance(answer, Refusal):
            return answer
        permit = permit.joined(answer)
    return permit


def _goOn(
    answer: Answer, guards: Sequence[Guard], visitor: Visitor, permit: Permit
) -> Answer | Deferred[Answer]:
    if isinstance(answer, Refusal):
        return answer
    return ask(guards, visitor, permit.joined(answer))
