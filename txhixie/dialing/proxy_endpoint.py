"""Tunnel endpoints from text: from a proxy's URL, or from an endpoint description
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
    Make the endpoint of a proxy: name lookup, TCP, and TLS for an ``https:`` proxy.

    :param limits: the timeout of each stage.
    :param trustRoot: the trusted CA certificates; by default the platform's.
    :param bindAddress: the local address, or address and port.
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
    Make the endpoint of a host and port behind a proxy.

    :param proxy: a proxy, or its URL, ``[http[s]://][name[:password]@]host[:port]``.
    :param limits: the timeout of each stage, and the sizes of the proxy's answer.
    :param trustRoot: for an ``https:`` proxy, as for :func:`proxyEndpoint`.
    :param bindAddress: the local address, or address and port.
    :raises ValueError: for a URL that is not the URL of an HTTP proxy, and for an invalid host or
        port.
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
    Read the arguments of ``httpconnect:``, by position or by name as in every endpoint description.

    :param proxy: the proxy's name or address, with its port in ``proxyPort``.
    :param host: the name or address that the proxy connects to, with its port in ``port``.
    :param user: the user name for the proxy, with ``password``.
    :param tls: ``yes`` for TLS to the proxy, with a certificate for ``proxy``.
    :param endpoint: the description of the endpoint that connects to the proxy, instead of TCP.
        Another ``httpconnect:`` makes a chain of proxies.
    :param timeout: seconds for each stage: connecting to the proxy, and each of its answers.
    :raises ValueError: naming the argument that is wrong.
    """
    if user is None and password:
        raise ValueError("httpconnect: password without user")
    if tls not in ("yes", "no"):
        raise ValueError("httpconnect: tls: expected yes or no")
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
    from .tls import TLSEndpoint, clientTLS  # imports OpenSSL, which plain TCP does not need

    options = clientTLS(host, trustRoot)
    return TLSEndpoint(endpoint, options, host=host, seconds=limits.tls_timeout, clock=reactor)
