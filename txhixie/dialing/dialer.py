"""The usual way to a URL: by name, by TCP, through a proxy, by TLS; each an endpoint around the one
before."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import PrivateCertificate

from ..sansio.http.url import WebSocketURL
from ..sansio.limits import Limits
from .hostname import NamedHostEndpoint
from .proxy import Proxy, parse_proxy, proxy_from_environment
from .proxy_endpoint import proxyEndpoint
from .tls import TLSEndpoint, clientTLS
from .tunnel import HTTPConnectEndpoint


@dataclass(frozen=True)
class Dialer:
    """
    How to reach hosts.

    :ivar reactor: resolves names, connects by TCP and has a clock.
    :ivar limits: the seconds of each stage.
    :ivar proxy: a :class:`txhixie.Proxy`, the URL of one, ``"environment"`` for the
        one that the environment names as curl reads it, or ``None``.
    :ivar trustRoot: whose word is taken for who a server or a proxy is: a certificate, or what
        ``twisted.internet.ssl.trustRootFromCertificates`` answers; ``None``: the platform's
        authorities.
    :ivar certificate: the client certificate with its private key.
    :ivar contextFactory: instead of these two, something ready: a provider of
        ``IOpenSSLClientConnectionCreator``. The certificate's name is checked all the same.
    :ivar bindAddress: our own end's address, or address and port.
    :ivar verify: ``False`` to check nothing of a server's certificate. A proxy's is still checked.
    :ivar serverName: the name or address that a server's certificate has to be for, and that the
        server is told (SNI); ``None``: the URL's host.
    :ivar alpn: protocols to offer a server by ALPN, the better first.
    :ivar proxyBasic: ``False`` to send a password to a proxy by Basic only where the proxy is
        reached by TLS (``https:``).
    :ivar connectTo: host and port to connect to instead of the URL's; ``None``: the URL's. The name
        in the certificate and in SNI stays that of the URL.
    """

    reactor: Any
    limits: Limits
    proxy: Proxy | str | None = field(default=None, repr=False)  # a URL may hold a password
    trustRoot: Any = None
    certificate: PrivateCertificate | None = None
    contextFactory: Any = None
    bindAddress: str | tuple[str, int] | None = None
    verify: bool = True
    serverName: str | None = None
    alpn: Sequence[str] = ()
    proxyBasic: bool = True
    connectTo: tuple[str, int] | None = None

    def to(self, url: WebSocketURL) -> IStreamClientEndpoint:
        """
        The endpoint of a URL's server, with TLS if it says so.

        :raises ValueError: for a proxy that is none.
        """
        endpoint = self.below(url)
        return self._secured(endpoint, url.name) if url.secure else endpoint

    def below(self, url: WebSocketURL) -> IStreamClientEndpoint:
        """
        The endpoint of its port, before any TLS.

        :raises ValueError: for a proxy that is none, or a host that TLS cannot be spoken to.
        """
        proxy = chosenProxy(self.proxy, url)
        host, port = self.connectTo or (url.name, url.port)
        return self._tcp(host, port) if proxy is None else self._tunnel(proxy, host, port)

    def _tcp(self, host: str, port: int) -> IStreamClientEndpoint:
        return NamedHostEndpoint(
            self.reactor, host, port, limits=self.limits, bindAddress=self.bindAddress
        )

    def _tunnel(self, proxy: Proxy, host: str, port: int) -> IStreamClientEndpoint:
        return HTTPConnectEndpoint(
            self.toProxy(proxy),
            host,
            port,
            proxy.credentials,
            proxyBasic=self.proxyBasic or proxy.secure,
            limits=self.limits,
            clock=self.reactor,
        )

    def toProxy(self, proxy: Proxy) -> IStreamClientEndpoint:
        """The endpoint of a proxy itself, with TLS where its URL is ``https:``."""
        return proxyEndpoint(
            self.reactor,
            proxy,
            limits=self.limits,
            trustRoot=self.trustRoot,
            bindAddress=self.bindAddress,
        )

    def _secured(self, endpoint: IStreamClientEndpoint, host: str) -> IStreamClientEndpoint:
        name = self.serverName or host
        contextFactory = self.contextFactory
        if contextFactory is None:
            contextFactory = clientTLS(
                name, self.trustRoot, self.certificate, self.alpn, self.verify
            )
        return TLSEndpoint(
            endpoint,
            contextFactory,
            host=name if self.verify else None,
            seconds=self.limits.tls_timeout,
            clock=self.reactor,
        )


def chosenProxy(proxy: Proxy | str | None, url: WebSocketURL) -> Proxy | None:
    """
    Which one is meant, for this URL.

    :raises ValueError: for what is no proxy, or none of a kind that is spoken to.
    """
    if proxy == "environment":
        return proxy_from_environment(url.secure, url.name, url.port, os.environ)
    return proxy if proxy is None or isinstance(proxy, Proxy) else parse_proxy(proxy)
