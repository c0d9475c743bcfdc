"""Server endpoint for ordinary Twisted protocols over WebSocket."""

from __future__ import annotations

from typing import Any, Unpack

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import implementer

from ..interfaces import Accepted, WebSocketProtocol
from ..sansio.arguments import without_iterators
from ..sansio.dialects import Dialect, named
from ..sansio.handshake.offer import Offer
from ..server.factory import HixieServerFactory, ServerOptions
from .stream import CodingChoice, StreamApplications


def usualCoding(dialect: Dialect) -> str:
    """Return the default coding: binary, or base64 in a dialect without binary messages."""
    return "binary" if dialect.has_binary else "base64"


@implementer(IStreamServerEndpoint)
class StreamServerEndpoint:
    """Server endpoint that listens for WebSocket connections on another endpoint."""

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        *,
        path: str | None = None,
        coding: CodingChoice | None = None,
        **options: Unpack[ServerOptions],
    ) -> None:
        """
        Create an endpoint.

        :param endpoint: the endpoint that listens; an ``ssl:`` endpoint for TLS.
        :param path: the path that is served, a request for another path is answered by a 404;
            ``None``: any path.
        :param coding: coding of the messages; ``None``: the default of each client's dialect.
        :param options: options of :class:`txhixie.HixieServerFactory`.
        :raises ValueError: for an unknown dialect or coding.
        """
        self._endpoint = endpoint
        self._path = path
        self._coding = coding
        self._options: ServerOptions = without_iterators(options)
        self._factoryFor(_Unheard())

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Listen, and build a protocol for each connection.

        :return: fires with the port, or fails as the ``listen`` of the other endpoint.
        """
        return self._endpoint.listen(self._factoryFor(protocolFactory))

    def _factoryFor(self, factory: Any) -> Any:
        applications = _Carried(factory, self._path, self._coding)
        return HixieServerFactory(applications, **self._options)


class _Carried:
    """Applications that carry the protocols of one factory at one path."""

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
        """Accept an offer for the path; ``None`` for another path."""
        if self._path not in (None, offer.path):
            return None
        return self._streams[named(offer.dialect).has_binary].buildProtocol(offer)


class _Unheard:
    """Placeholder of a factory, with which the other options are checked."""
