"""All clients of one backend: how each begins, and when the last of its connections has ended."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from ..handshake.offer import Refusal
from ..interfaces import Decision
from ..limits import Limits
from .crossing import Backend, Crossing
from .outage import Outages


class Crossings:
    """What a service has on its way to its backend."""

    def __init__(
        self, backend: str, clock: IReactorTime, connectTimeout: float, limits: Limits
    ) -> None:
        """
        :param backend: what the operator calls it, without credentials.
        :param connectTimeout: seconds until a backend that does not answer is given up.
        :param limits: how long the end of a connection may take.
        """
        self._clock = clock
        self._connectTimeout = connectTimeout
        self._drainTimeout = limits.close_timeout + limits.drain_timeout
        self._outages = Outages(backend, clock)
        self._standing: set[Crossing] = set()
        self._waiting: list[Deferred[None]] = []

    def begin(self, backend: Backend) -> Deferred[Decision]:
        """
        One more client.

        :param backend: the other side of its crossing.
        :return: fires with what it is to be answered; cancelling it cancels the connecting.
        """
        return Crossing(
            backend, self, self._clock, self._connectTimeout, self._drainTimeout
        ).begin()

    def drained(self) -> Deferred[None]:
        """
        :return: fires with ``None`` when no backend is connected: when the last has read what was
            sent to it, or its time was up. It never fails.
        """
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        self._tellIfNone()
        return done

    def abortAll(self) -> None:
        """End every connection to the backend at once."""
        for crossing in tuple(self._standing):
            crossing.abort()

    # What crossings tell.

    def reached(self, crossing: Crossing) -> None:
        """Its backend stands."""
        self._outages.served()
        self._standing.add(crossing)

    def refused(self) -> None:
        """The backend has answered a client, with a no."""
        self._outages.served()

    def failed(self, error: Exception) -> Refusal:
        """There was no reaching the backend; what its client is to be answered."""
        return self._outages.failed(error)

    def left(self, crossing: Crossing) -> None:
        """Its backend has gone."""
        self._standing.discard(crossing)
        self._tellIfNone()

    def _tellIfNone(self) -> None:
        if not self._standing:
            waiting, self._waiting = self._waiting, []
            for deferred in waiting:
                deferred.callback(None)
