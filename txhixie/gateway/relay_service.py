"""Server factories that relay each client to one backend."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from ..interfaces import Decision
from ..sansio.handshake.offer import Offer, Refusal
from ..sansio.limits import Limits
from .outage import Outages
from .session import Backend, Sessions


class RelayService:
    """
    Server factory that relays each client to one backend, with a connection for each client.

    Each kind of backend is a subclass.

    :ivar sessions: the sessions between the clients and the backend; the services of one route have
        the same object.
    :ivar outages: outages of the backend.
    """

    def __init__(
        self,
        reactor: Any,
        backend: str,
        limits: Limits,
        route: str | None,
    ) -> None:
        """
        :param reactor: its clock is used.
        :param backend: URL or endpoint of the backend, for the log.
        :param limits: limits of the connections to the backend.
        :param route: route that leads to the service, for the log.
        """
        self.sessions = Sessions(reactor, limits, route)
        self.outages = Outages(backend, reactor)

    def backendFor(self, offer: Offer) -> Backend | Refusal:
        """
        Make the backend side of a session.

        :param offer: the client's offer.
        :return: the backend side, which does not connect yet; or a refusal of an offer that this
            backend cannot serve.
        """
        raise NotImplementedError

    def reach(self, offer: Offer, seconds: float) -> Deferred[Decision] | Refusal:
        """
        Connect to the backend for a client, within some time.

        :param offer: the client's offer.
        :param seconds: timeout of the connect, in seconds; after this time the client is refused
            with 504.
        :return: fires with the decision about the client's handshake when the backend has accepted
            or refused; or, at once, a refusal of an offer that this backend cannot serve. To cancel
            the Deferred cancels the connect.
        """
        backend = self.backendFor(offer)
        if isinstance(backend, Refusal):
            return backend
        return self.sessions.begin(backend, self.outages, seconds)
