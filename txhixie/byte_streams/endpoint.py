"""A port whose connections carry an ordinary byte protocol inside messages: for whoever listens
with an endpoint, and knows nothing of WebSocket."""

from __future__ import annotations

from typing import Any, Unpack

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import implementer

from ..interfaces import Accepted, WebSocketProtocol
from ..sansio.arguments import without_iterators
from ..sansio.dialects import Dialect, named
from ..sansio.handshake.offer import Offer
from ..server.protocol import HixieServerFactory, ServerOptions
from .stream import CodingChoice, StreamApplications


def usualCoding(dialect: Dialect) -> str:
    """Bytes as they are, or as base64 where only text arrives."""
    return "binary" if dialect.has_binary else "base64"


@implementer(IStreamServerEndpoint)
class StreamServerEndpoint:
    """Listens on another endpoint, for WebSocket."""

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        *,
        path: str | None = None,
        coding: CodingChoice | None = None,
        **options: Unpack[ServerOptions],
    ) -> None:
        """
        :param endpoint: listens: for TLS, an ``ssl:`` one.
        :param path: the one that is served, every other a 404; ``None``: any.
        :param coding: how bytes stand in messages; ``None``: as suits each client's dialect.
        :param options: those of :class:`txhixie.HixieServerFactory`.
        :raises ValueError: for a dialect or a coding there is not.
        """
        self._endpoint = endpoint
        self._path = path
        self._coding = coding
        self._options: ServerOptions = without_iterators(options)
        self._factoryFor(_Unheard())

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen; ``protocolFactory`` makes a protocol for each conversation that opens.

        :return: fires with the port, or fails as the endpoint below does.
        """
        return self._endpoint.listen(self._factoryFor(protocolFactory))

    def _factoryFor(self, factory: Any) -> Any:
        applications = _Carried(factory, self._path, self._coding)
        return HixieServerFactory(applications, **self._options)


class _Carried:
    """Carries one factory's protocols at one path."""

    def __init__(
        self,
        factory: IProtocolFactory,
        path: str | None,
        coding: CodingChoice | None,
    ) -> None:
        self._path = path
        self._factory = factory
        codings = ("base64", "binary") if coding is None else (coding, coding)
        self._streams = [StreamApplications(factory, coding=each) for each in codings]

    def doStart(self) -> None:
        self._factory.doStart()

    def doStop(self) -> None:
        self._factory.doStop()

    def buildProtocol(self, offer: Offer) -> WebSocketProtocol | Accepted | None:
        """One more, if it is asked for at the right place."""
        if self._path not in (None, offer.path):
            return None
        return self._streams[named(offer.dialect).has_binary].buildProtocol(offer)


class _Unheard:
    """No factory yet: what is checked is the rest."""
