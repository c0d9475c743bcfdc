"""The server endpoints ``ssl:`` and ``tls:``: Twisted's descriptions, with ``client-ca=FILE``.

They differ from Twisted's own in what a server needs that is not started anew for a certificate:
``tls:`` has a default certificate that does not depend on the order of files in the file system,
reads the directory once and not for each unknown name of a client, and also exists in Twisted 25.5.
``ssl:`` also sends the certificates that follow the first one in its file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import SSL4ServerEndpoint

from ..port_check import parts_of
from .certificates import FiledCertificate, ServerCertificate, read_directory, read_pair


class TLSServerEndpoint(SSL4ServerEndpoint):
    """
    A TCP port with TLS.

    :ivar certificates: the certificates that the port uses, with their chains and the CA of client
        certificates.
    """

    certificates: Sequence[FiledCertificate]


def tlsEndpoint(reactor: Any, description: str) -> TLSServerEndpoint:
    """
    Return the endpoint of a description ``ssl:`` or ``tls:``, with its certificates.

    :param reactor: the reactor that listens.
    :param description: the description.
    :raises OSError: for a file that cannot be read.
    :raises ValueError: "expected ..." for a mistake in a file.
    :raises txhixie.server.tls.errors.KeyMismatch: for a certificate and a key that do not belong to
        each other.
    :raises TypeError: for an unknown option.
    """
    scheme, values, named = parts_of(description)
    options = dict(named)
    clientCA = options.pop("client-ca", None)
    parse = _ssl if scheme == "ssl" else _tls
    return parse(reactor, clientCA, *values, **options)


def _ssl(
    reactor: Any,
    clientCA: str | None,
    port: str,
    privateKey: str = "server.pem",
    certKey: str | None = None,
    sslmethod: str | None = None,
    interface: str = "",
    backlog: str = "50",
    extraCertChain: str | None = None,
    dhParameters: str | None = None,
) -> TLSServerEndpoint:
    from OpenSSL import SSL
    from twisted.internet.ssl import DiffieHellmanParameters
    from twisted.python.filepath import FilePath

    chain = None if extraCertChain is None else Path(extraCertChain)
    served = read_pair(Path(privateKey), Path(certKey or privateKey), chain)
    options: dict[str, Any] = {}
    if sslmethod is not None:
        options["method"] = getattr(SSL, sslmethod)
    if dhParameters is not None:
        options["dhParameters"] = DiffieHellmanParameters.fromFile(FilePath(dhParameters))
    return _endpoint(reactor, port, backlog, interface, [served], clientCA, options)


def _tls(
    reactor: Any,
    clientCA: str | None,
    path: str,
    port: str = "443",
    backlog: str = "50",
    interface: str = "::",
) -> TLSServerEndpoint:
    served = read_directory(Path(path))
    return _endpoint(reactor, port, backlog, interface, served, clientCA, {})


def _endpoint(
    reactor: Any,
    port: str,
    backlog: str,
    interface: str,
    served: Sequence[ServerCertificate],
    clientCA: str | None,
    options: dict[str, Any],
) -> TLSServerEndpoint:
    from .client_authority import ClientAuthority
    from .contexts import CertificateContexts

    authority = None if clientCA is None else ClientAuthority(Path(clientCA))
    contexts = CertificateContexts(served, authority, **options)
    endpoint = TLSServerEndpoint(reactor, int(port), contexts, int(backlog), interface)  # type: ignore[no-untyped-call]  # Twisted has no annotations here
    endpoint.certificates = [certificate for each in served for certificate in each.all]
    if authority is not None:
        endpoint.certificates += authority.certificates
    return endpoint
