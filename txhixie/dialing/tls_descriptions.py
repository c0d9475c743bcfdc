"""Client endpoint descriptions ``tls:`` and ``ssl:`` with our own check of the server's name.

In Twisted 26.10, ``tls:`` accepts malformed certificates (``dialing/identity.py``), and ``ssl:``
without ``hostname=`` verifies nothing. Twisted parses the description; only the prefix is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.interfaces import IStreamClientEndpoint

from ..sansio.http.tunnel_answer import bare_host
from ..sansio.limits import Limits
from .hostname import NamedHostEndpoint

_OURS: Final = {"tls": "hixietls", "ssl": "hixiessl"}
"""Twisted's prefixes that this module replaces, and the prefixes by which Twisted finds it."""


def clientEndpoint(reactor: Any, description: str) -> IStreamClientEndpoint:
    """
    Read the description of a client endpoint as ``clientFromString`` does, with checked TLS.

    :raises Exception: each error that the parser of the description raises.
    """
    from twisted.internet.endpoints import clientFromString  # imports twisted.internet.ssl

    prefix, _, rest = description.partition(":")
    ours = _OURS.get(prefix.lower())
    endpoint: IStreamClientEndpoint = clientFromString(
        reactor, description if ours is None else f"{ours}:{rest}"
    )
    return endpoint


def parseTLS(
    reactor: Any,
    host: str,
    port: str,
    timeout: str = "30",
    bindAddress: str | None = None,
    certificate: str | None = None,
    privateKey: str | None = None,
    trustRoots: str | None = None,
    endpoint: str | None = None,
    alpn: str = "",
) -> IStreamClientEndpoint:
    """
    Read the arguments of ``tls:``, in Twisted's order and with Twisted's names.

    :param host: the name or address to connect to, which the certificate has to contain.
    :param timeout: seconds for each stage: lookup, TCP, TLS.
    :param bindAddress: the local address.
    :param certificate: a PEM file with a client certificate, for servers that request one.
    :param privateKey: a PEM file with the key, if the key is not in the same file.
    :param trustRoots: a PEM file of CA certificates, or a directory of such files, trusted instead
        of the platform's CA certificates.
    :param endpoint: the description of the endpoint to connect with, instead of TCP to ``host``.
    :param alpn: protocols to offer by ALPN (RFC 7301), separated by commas.
    :raises ValueError: naming the argument that is wrong.
    :raises OSError: for a file that cannot be read.
    """
    limits, host = Limits().with_stage_timeout(float(timeout)), bare_host(host)
    below: IStreamClientEndpoint = (
        NamedHostEndpoint(reactor, host, int(port), limits=limits, bindAddress=bindAddress)
        if endpoint is None
        else clientEndpoint(reactor, endpoint)
    )
    files = trustRoots, certificate, privateKey
    names = [name.strip() for name in alpn.split(",") if name.strip()]
    return _secured(reactor, below, host, limits, files, names)


def parseSSL(
    reactor: Any,
    host: str,
    port: str,
    timeout: str = "30",
    bindAddress: str | None = None,
    certKey: str | None = None,
    privateKey: str | None = None,
    caCertsDir: str | None = None,
    hostname: str | None = None,
) -> IStreamClientEndpoint:
    """
    Read the arguments of ``ssl:``, with Twisted's names; they are otherwise those of
    :func:`parseTLS`.

    :param hostname: the name or address that the certificate has to contain, and that is sent by
        SNI; by default ``host``, where Twisted verifies nothing.
    :raises ValueError: as :func:`parseTLS`.
    """
    limits, host = Limits().with_stage_timeout(float(timeout)), bare_host(host)
    below = NamedHostEndpoint(reactor, host, int(port), limits=limits, bindAddress=bindAddress)
    name = host if hostname is None else bare_host(hostname)
    return _secured(reactor, below, name, limits, (caCertsDir, certKey, privateKey))


def _secured(
    reactor: Any,
    below: IStreamClientEndpoint,
    host: str,
    limits: Limits,
    files: tuple[str | None, str | None, str | None],
    alpn: Sequence[str] = (),
) -> IStreamClientEndpoint:
    from .pem import certificateFromPaths, trustRootFromPath
    from .tls import TLSEndpoint, clientTLS  # imports OpenSSL, which plain TCP does not need

    trustRoots, certificate, privateKey = files
    options = clientTLS(
        host,
        None if trustRoots is None else trustRootFromPath(trustRoots),
        None if certificate is None else certificateFromPaths(certificate, privateKey),
        alpn,
    )
    return TLSEndpoint(below, options, host=host, seconds=limits.tls_timeout, clock=reactor)
