"""Several backends of one route: a client gets the first one that can be reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from ..interfaces import Decision
from ..sansio.handshake.offer import Offer, Refusal
from .relay_service import RelayService
from .session import Sessions


class Failover:
    """
    Server factory that relays each client to the first of several backends that can be reached.

    A backend has failed when the connect, TLS or the handshake failed, when the handshake was not
    over in time, and when the backend refused the handshake with a status of 500 and above. It is
    then left alone for :data:`txhixie.gateway.outage.REST_SECONDS`, unless all others have failed,
    too. After that one client tries it again, while the others go to the next backend.
    """

    def __init__(
        self, relays: Sequence[RelayService], clock: IReactorTime, connectTimeout: float
    ) -> None:
        """
        :param relays: a relay for each backend, the preferred one first.
        :param clock: measures the timeout.
        :param connectTimeout: seconds for the connects to all backends together.
        """
        self._relays = relays
        self.sessions = relays[0].sessions
        self._clock = clock
        self._connectTimeout = connectTimeout

    @property
    def sessions(self) -> Sessions:
        """The sessions between the clients and all backends."""
        return self._sessions

    @sessions.setter
    def sessions(self, sessions: Sessions) -> None:
        """Add the sessions of all backends to others."""
        self._sessions = sessions
        for relay in self._relays:
            relay.sessions = sessions

    def buildProtocol(self, offer: Offer) -> Deferred[Decision]:
        """
        Connect to the backends for a client, one after the other, until one accepts the client.

        The time for one backend is the rest of the timeout, divided by the number of backends that
        are left: a backend that does not answer leaves time for the others.

        :param offer: the client's offer.
        :return: fires with the decision of the first backend that did not fail, or else with the
            refusal of the last one. To cancel the Deferred cancels the connect.
        """
        return Deferred.fromCoroutine(self._decide(offer))

    async def _decide(self, offer: Offer) -> Decision:
        latest = self._clock.seconds() + self._connectTimeout
        relays = self._ordered()
        decision: Decision = None
        for left, relay in zip(range(len(relays), 0, -1), relays, strict=True):
            relay.outages.tried()
            seconds = max(0.0, latest - self._clock.seconds()) / left
            reached = relay.reach(offer, seconds)
            decision = await reached if isinstance(reached, Deferred) else reached
            if not _hasFailed(decision):
                break
            if not decision.logged:
                relay.outages.note(f"{decision.why} (status {decision.status})")
        return decision

    def _ordered(self) -> list[RelayService]:
        """The relays in the order in which to try them: those that failed a short time ago last."""
        return sorted(self._relays, key=lambda relay: relay.outages.rests)


def _hasFailed(decision: Decision) -> TypeGuard[Refusal]:
    """Whether a backend failed, so that the next one has to be tried."""
    return isinstance(decision, Refusal) and decision.cause == "backend" and decision.status >= 500
