"""TLS with whoever answers: for ``--insecure``, and for looking at a certificate that is wrong."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from zope.interface import implementer


@implementer(IOpenSSLClientConnectionCreator)
class UnverifiedTLS:
    """What ``optionsForClientTLS`` answers, but for the question who is there."""

    def __init__(self, host: str, clientCertificate: PrivateCertificate | None = None) -> None:
        """
        :param host: a name, which the server is told (Server Name Indication), or an address.
        :param clientCertificate: who we are, for servers that ask.
        """
        options = clientCertificate.options() if clientCertificate else CertificateOptions()
        self._context = options.getContext()
        self._name = host.encode("ascii")
        self._isAddress = ":" in host or host.replace(".", "").isdigit()

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """One connection's."""
        connection = SSL.Connection(self._context, None)
        if not self._isAddress:
            connection.set_tlsext_host_name(self._name)
        return connection
