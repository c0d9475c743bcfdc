"""The usual way to a URL: by name, by TCP, by TLS; each an endpoint around the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import PrivateCertificate, optionsForClientTLS

from .hostname import NamedHostEndpoint
from .limits import Limits
from .tls import TLSEndpoint
from .wire.url import WebSocketURL


@dataclass(frozen=True)
class Way:
    """
    How to reach hosts.

    :ivar reactor: resolves names, connects by TCP and has a clock.
    :ivar limits: the seconds of each stage.
    :ivar trustRoot: whose word is taken for who a server is: a certificate, or what
        ``twisted.internet.ssl.trustRootFromCertificates`` answers; ``None``: the platform's
        authorities.
    :ivar clientCertificate: who we are, for servers that ask.
    :ivar contextFactory: instead of these two, something ready: a provider of
        ``IOpenSSLClientConnectionCreator``, which sees to everything itself, the host's name
        included.
    :ivar bindAddress: our own end's address, or address and port.
    """

    reactor: Any
    limits: Limits
    trustRoot: Any = None
    clientCertificate: PrivateCertificate | None = None
    contextFactory: Any = None
    bindAddress: str | tuple[str, int] | None = None

    def to(self, url: WebSocketURL) -> IStreamClientEndpoint:
        """The endpoint of a URL's server."""
        endpoint = self._tcp(url.name, url.port)
        return self._secured(endpoint, url.name) if url.secure else endpoint

    def _tcp(self, host: str, port: int) -> IStreamClientEndpoint:
        return NamedHostEndpoint(
            self.reactor, host, port, limits=self.limits, bindAddress=self.bindAddress
        )

    def _secured(self, endpoint: IStreamClientEndpoint, host: str) -> IStreamClientEndpoint:
        contextFactory = self.contextFactory or optionsForClientTLS(
            host, trustRoot=self.trustRoot, clientCertificate=self.clientCertificate
        )
        seconds = self.limits.tls_timeout
        return TLSEndpoint(endpoint, contextFactory, seconds=seconds, clock=self.reactor)
