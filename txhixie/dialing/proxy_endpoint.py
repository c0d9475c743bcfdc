"""A tunnel as it is asked for in words: by a proxy's URL, or by an endpoint's description
``httpconnect:PROXY:3128:HOST:PORT``."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IStreamClientEndpoint

from ..sansio.http.url import Credentials
from ..sansio.limits import Limits
from .hostname import NamedHostEndpoint
from .proxy import Proxy, parse_proxy
from .tls_descriptions import clientEndpoint
from .tunnel import HTTPConnectEndpoint


def proxyEndpoint(
    reactor: Any,
    proxy: Proxy,
    *,
    limits: Limits = Limits(),
    trustRoot: Any = None,
    bindAddress: str | tuple[str, int] | None = None,
) -> IStreamClientEndpoint:
    """
    The endpoint of a proxy itself: by name and TCP, and by TLS if it is secure.

    :param limits: the seconds of each stage.
    :param trustRoot: whose word is taken for who the proxy is; by default the platform's
        authorities.
    :param bindAddress: our own end's address, or address and port.
    """
    endpoint = NamedHostEndpoint(
        reactor, proxy.host, proxy.port, limits=limits, bindAddress=bindAddress
    )
    if not proxy.secure:
        return endpoint
    return _secured(reactor, endpoint, proxy.host, limits, trustRoot)


def tunnelThrough(
    reactor: Any,
    proxy: Proxy | str,
    host: str,
    port: int,
    *,
    limits: Limits = Limits(),
    trustRoot: Any = None,
    bindAddress: str | tuple[str, int] | None = None,
) -> HTTPConnectEndpoint:
    """
    The usual tunnel.

    :param proxy: or its URL, ``[http[s]://][name[:password]@]host[:port]``.
    :param limits: the seconds of each stage, and the sizes of the proxy's answer.
    :param trustRoot: for a proxy that is reached by TLS, as for :func:`proxyEndpoint`.
    :param bindAddress: our own end's address, or address and port.
    :raises ValueError: for a URL that is no HTTP proxy's, or a host or port that is none.
    """
    proxy = proxy if isinstance(proxy, Proxy) else parse_proxy(proxy)
    through = proxyEndpoint(
        reactor, proxy, limits=limits, trustRoot=trustRoot, bindAddress=bindAddress
    )
    return HTTPConnectEndpoint(through, host, port, proxy.credentials, limits=limits, clock=reactor)


def parseHTTPConnect(
    reactor: Any,
    proxy: str,
    proxyPort: str,
    host: str,
    port: str,
    user: str | None = None,
    password: str = "",
    tls: str = "no",
    endpoint: str | None = None,
    timeout: str | None = None,
) -> IStreamClientEndpoint:
    """
    Read what follows ``httpconnect:``, in Twisted's style: in this order or by these names.

    :param proxy: the proxy's name or address, with its port in ``proxyPort``.
    :param host: the name or address the proxy is to connect to, with its port in ``port``.
    :param user: whom to be for a proxy that asks, with ``password``.
    :param tls: ``yes`` for TLS to the proxy, whose certificate is to be for ``proxy``.
    :param endpoint: the description of an endpoint by which to reach the proxy, instead of TCP.
        ``httpconnect:`` again makes a chain.
    :param timeout: seconds for each stage: to connect to the proxy, and for its answers.
    :raises ValueError: saying which of them is wrong.
    """
    if user is None and password:
        raise ValueError("httpconnect: a password and no user")
    if tls not in ("yes", "no"):
        raise ValueError("httpconnect: tls is yes or no")
    limits = Limits() if timeout is None else Limits().with_stage_timeout(float(timeout))
    there = Proxy(tls == "yes", proxy, int(proxyPort))
    if endpoint is None:
        through = proxyEndpoint(reactor, there, limits=limits)
    else:
        through = clientEndpoint(reactor, endpoint)
        if there.secure:
            through = _secured(reactor, through, proxy, limits, None)
    credentials = None if user is None else Credentials(user, password)
    return HTTPConnectEndpoint(through, host, int(port), credentials, limits=limits, clock=reactor)


def _secured(
    reactor: Any,
    endpoint: IStreamClientEndpoint,
    host: str,
    limits: Limits,
    trustRoot: Any,
) -> IStreamClientEndpoint:
    from .tls import TLSEndpoint, clientTLS  # OpenSSL, only for who wants TLS

    options = clientTLS(host, trustRoot)
    return TLSEndpoint(endpoint, options, host=host, seconds=limits.tls_timeout, clock=reactor)
