"""Client endpoint descriptions ``tls:`` and ``ssl:`` with our own check of the server's name.

Twisted's lets malformed certificates pass in 26.10 (``dialing/identity.py``), and its ``ssl:``
without ``hostname=`` checks nothing. Twisted reads the description; only the prefix is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IStreamClientEndpoint

from ..sansio.http.tunnel_answer import bare_host
from ..sansio.limits import Limits
from .hostname import NamedHostEndpoint

_OURS: Final = {"tls": "hixietls", "ssl": "hixiessl"}
"""The prefixes of Twisted's that are read here, and those by which Twisted finds this module."""


def clientEndpoint(reactor: Any, description: str) -> IStreamClientEndpoint:
    """
    Read the description of a client endpoint as ``clientFromString`` does, with checked TLS.

    :raises Exception: whatever the description's parser raises.
    """
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
    Read what follows ``tls:``, in Twisted's order and by Twisted's words.

    :param host: where to connect to, and the name or address the certificate has to be for.
    :param timeout: seconds for each stage: lookup, TCP, TLS.
    :param bindAddress: our own end's address.
    :param certificate: a PEM file with a client certificate, for servers that ask for one.
    :param privateKey: a PEM file with its key, if that is not in the same file.
    :param trustRoots: a PEM file of certificates, or a directory of such, which are trusted
        instead of the platform's authorities.
    :param endpoint: the description of an endpoint to connect by, instead of TCP to ``host``.
    :param alpn: protocols to offer by ALPN (RFC 7301), with commas between them.
    :raises ValueError: saying which of them is wrong.
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
    Read what follows ``ssl:``, by Twisted's words.

    :param hostname: the name or address that the certificate has to be for, and that the server is
        told; by default ``host``, where Twisted checks nothing.
    :raises ValueError: as :func:`parseTLS`, like the rest.
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
    from .tls import TLSEndpoint, clientTLS  # OpenSSL, only for who wants TLS

    trustRoots, certificate, privateKey = files
    options = clientTLS(
        host,
        None if trustRoots is None else trustRootFromPath(trustRoots),
        None if certificate is None else certificateFromPaths(certificate, privateKey),
        alpn,
    )
    return TLSEndpoint(below, options, host=host, seconds=limits.tls_timeout, clock=reactor)
