"""The part of a client's factory that its connections use: the request of each connection."""

from __future__ import annotations

from ..connection.factory import HixieFactory
from ..interfaces import WebSocketClientFactory, WebSocketProtocol
from ..sansio.dialects import Dialect
from ..sansio.handshake.offer import Offer


class RequestingFactory(HixieFactory):
    """
    The part of a client's factory that its connections use: the request of each connection.

    :class:`txhixie.HixieClientFactory` sets the attributes, and describes them.
    """

    begins = True
    url: str
    applications: WebSocketClientFactory[WebSocketProtocol]
    dialect: Dialect
    offer: Offer
    lenient: bool
