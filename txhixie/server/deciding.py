"""The part of a server's factory that its connections use: the decisions about requests."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory

from ..connection.counters import Counters
from ..connection.factory import HixieFactory
from ..connection.protocol import HixieProtocol
from ..interfaces import Decision, WebSocketServerFactory
from ..sansio.dialects import Dialect
from ..sansio.handshake.offer import Offer
from ..sansio.http.head import Asked
from ..sansio.http.trusted import TrustedNetworks
from .access import Policy
from .admission import Admission
from .flash_policy import FlashPolicy
from .stopping import StopTrigger
from .subprotocols import SubprotocolChoice, chosen_subprotocol


class DecidingFactory(HixieFactory):
    """
    The part of a server's factory that its connections use: the decisions about requests.

    :class:`txhixie.HixieServerFactory` sets the attributes, and describes them.
    """

    applications: WebSocketServerFactory
    dialects: tuple[Dialect, ...]
    policy: Policy
    secure: bool | None
    trustedProxies: TrustedNetworks | None
    elsewhere: IProtocolFactory | None
    flashPolicy: FlashPolicy | None
    counters: Counters
    stopTrigger: StopTrigger
    admission: Admission
    _subprotocols: SubprotocolChoice

    @property
    def elsewhereUpgrades(self) -> bool:
        """
        Whether the factory ``elsewhere`` is a Site with a root resource for WebSocket requests.

        A connection of such a Site need not end after its first response, since later requests on
        the connection may ask for WebSocket.
        """
        return bool(getattr(getattr(self.elsewhere, "resource", None), "upgrades", False))

    def policyFor(self, host: str, target: str, subprotocols: Sequence[str] = ()) -> Policy:
        """
        Return the access rules for a request: :attr:`policy`, the same for all requests.

        :param host: the ``Host`` of the request; empty if it cannot be read.
        :param target: path and query of the request; empty if they cannot be read.
        :param subprotocols: the subprotocols of an offer.
        """
        return self.policy

    def decide(
        self, offer: Offer, connection: HixieProtocol
    ) -> Decision | Deferred[Any] | Coroutine[Any, Any, Decision]:
        """See :meth:`txhixie.HixieServerFactory.decide`."""
        raise NotImplementedError

    def masked(self, asked: Asked) -> Asked:
        """See :meth:`txhixie.HixieServerFactory.masked`."""
        raise NotImplementedError

    def chooseSubprotocol(self, offer: Offer) -> str | None:
        """Return the subprotocol for an offer, where the application chooses none."""
        choice = self._subprotocols
        if offer.subprotocols or callable(choice):
            return chosen_subprotocol(choice, offer)
        return None
