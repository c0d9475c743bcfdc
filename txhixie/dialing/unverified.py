"""TLS that does not verify the server's certificate: for ``verify=False`` and ``--no-verify``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from zope.interface import implementer


@implementer(IOpenSSLClientConnectionCreator)
class UnverifiedTLS:
    """TLS options like ``optionsForClientTLS``, without verification of the certificate."""

    def __init__(
        self,
        host: str,
        certificate: PrivateCertificate | None = None,
        alpn: Sequence[bytes] = (),
    ) -> None:
        """
        :param host: a name, which is sent by Server Name Indication, or an address.
        :param certificate: the client certificate with its private key, for servers that request
            one.
        :param alpn: the protocols to offer by ALPN (RFC 7301).
        """
        options = certificate.options() if certificate else CertificateOptions()
        self._context = options.getContext()
        self._name = host.encode("ascii")
        self._isAddress = ":" in host or host.replace(".", "").isdigit()
        self._alpn = list(alpn)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """Make the OpenSSL connection of one client."""
        connection = SSL.Connection(self._context, None)
        if not self._isAddress:
            connection.set_tlsext_host_name(self._name)
        if self._alpn:
            connection.set_alpn_protos(self._alpn)
        return connection
