"""The dialer: connects to the server of a URL, by name lookup, TCP, a proxy and TLS.

Each of these is an endpoint around the endpoint before it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IStreamClientEndpoint

from ..sansio.http.url import WebSocketURL
from ..sansio.limits import Limits
from .hostname import NamedHostEndpoint
from .proxy import Proxy, parse_proxy, proxy_from_environment
from .proxy_endpoint import proxyEndpoint
from .tunnel import HTTPConnectEndpoint

if TYPE_CHECKING:
    from twisted.internet.ssl import PrivateCertificate


@dataclass(frozen=True)
class Dialer:
    """
    Connects to servers, with one set of options.

    :ivar reactor: resolves names, connects by TCP, and is the clock of the timeouts.
    :ivar limits: the timeout of each stage.
    :ivar proxy: a :class:`txhixie.Proxy`, the URL of one, ``"environment"`` for the
        one that the environment names as curl reads it, or ``None``.
    :ivar trustRoot: the CA certificates that are trusted, for servers and for proxies: a
        certificate, or the result of ``twisted.internet.ssl.trustRootFromCertificates``; ``None``:
        the platform's CA certificates.
    :ivar certificate: the client certificate with its private key, for servers that request one.
    :ivar contextFactory: a provider of ``IOpenSSLClientConnectionCreator``, which replaces
        ``trustRoot`` and ``certificate``. The name in the certificate is checked as well.
    :ivar bindAddress: the local address, or address and port.
    :ivar verify: ``False`` to skip the verification of the server's certificate. The certificate of
        a proxy is verified all the same.
    :ivar serverName: the name or address that the server's certificate has to contain, and that is
        sent by SNI; ``None``: the URL's host.
    :ivar alpn: protocols to offer to the server by ALPN, in order of preference.
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
        Make the endpoint of a URL's server, with TLS for ``wss:``.

        :raises ValueError: for a URL that is not the URL of an HTTP proxy.
        """
        endpoint = self.below(url)
        return self._secured(endpoint, url.name) if url.secure else endpoint

    def below(self, url: WebSocketURL) -> IStreamClientEndpoint:
        """
        Make the endpoint of the server's port, without TLS.

        :raises ValueError: for a URL that is not the URL of an HTTP proxy, or a host name that TLS
            cannot verify.
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
        """Make the endpoint of a proxy, with TLS where its URL is ``https:``."""
        return proxyEndpoint(
            self.reactor,
            proxy,
            limits=self.limits,
            trustRoot=self.trustRoot,
            bindAddress=self.bindAddress,
        )

    def _secured(self, endpoint: IStreamClientEndpoint, host: str) -> IStreamClientEndpoint:
        from .tls import TLSEndpoint, clientTLS  # imports OpenSSL, which plain TCP does not need

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
    Find the proxy for a URL; ``None`` for a direct connection.

    :raises ValueError: for a URL that is not the URL of an HTTP proxy.
    """
    if proxy == "environment":
        return proxy_from_environment(url.secure, url.name, url.port, os.environ)
    return proxy if proxy is None or isinstance(proxy, Proxy) else parse_proxy(proxy)
