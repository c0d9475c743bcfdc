"""The check that a server's certificate is for the host: used by every TLS client of this package.

Twisted 26.10 compares names too, but accepts a certificate that service-identity calls malformed:
Twisted catches ``VerificationError`` and not ``CertificateError``. service-identity before 23.1
uses the common name of a certificate without subjectAltName. This check does neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, Final
from weakref import ref

from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.python.failure import Failure
from zope.interface import implementer

from .errors import CertificateForAnotherHost

OF_ANOTHER: Final = "the peer's certificate is not for this host"
_MOST_REASON: Final = 200
"""Characters of a reason, which may repeat a name of the certificate, of any length."""


def checkName(certificate: X509 | None, host: str) -> None:
    """
    Check that a certificate is for a host (RFC 9525): one of its DNS names for a name, one of its
    IP addresses for an address. The subject's common name does not count.

    :param certificate: the peer's certificate; ``None`` if the peer sent no certificate.
    :param host: a name, or an address without brackets. A dot at the end of a name and the zone of
        an address are removed, since no certificate contains them.
    :raises CertificateForAnotherHost: for a certificate of another host, and for a certificate with
        a malformed name beside its other names.
    """
    try:
        _compare(certificate, host.removesuffix("."))
    except VerificationError as error:
        raise CertificateForAnotherHost(OF_ANOTHER) from error
    except Exception as error:
        # CertificateError, or any error of a parser: the certificate was not verified.
        reason = (str(error) or type(error).__name__)[:_MOST_REASON]
        raise CertificateForAnotherHost(f"{OF_ANOTHER}: {reason}") from error


def _compare(certificate: X509 | None, host: str) -> None:
    if certificate is None:
        raise CertificateError("there is no certificate")
    isAddress = isIPAddress(host) or isIPv6Address(host)
    names = _namesOf(certificate.to_cryptography(), isAddress)
    if not names:
        raise VerificationError(errors=[])
    # The one method of a connection that service-identity calls.
    shown: Any = SimpleNamespace(get_peer_certificate=lambda: certificate)
    if isAddress:
        verify_ip_address(shown, host.partition("%")[0])
    else:
        verify_hostname(shown, host)


def _namesOf(certificate: x509.Certificate, areAddresses: bool) -> Sequence[Any]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        raise CertificateError("the certificate has no subjectAltName") from None
    kind: Any = x509.IPAddress if areAddresses else x509.DNSName
    names: Sequence[Any] = extension.value.get_values_for_type(kind)
    return names


@implementer(IOpenSSLClientConnectionCreator)
class CheckedTLS:
    """
    TLS options with our check of the name in the place of Twisted's, during the handshake: so the
    client certificate is not sent to another host, and Twisted 26.10 logs no traceback.
    """

    def __init__(self, options: IOpenSSLClientConnectionCreator, host: str) -> None:
        """
        :param options: the result of ``optionsForClientTLS``.
        :param host: as for :func:`checkName`.
        """
        self._options = options
        self._host = host

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """Make the OpenSSL connection of one client."""
        connection: SSL.Connection = self._options.clientConnectionForTLS(tlsProtocol)
        verify = partial(self._verify, ref(tlsProtocol))
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify)
        return connection

    def _verify(
        self,
        protocol: ref[Any],
        connection: SSL.Connection,
        certificate: X509,
        error: int,
        depth: int,
        good: int,
    ) -> bool:
        """
        OpenSSL's verify callback, called for each certificate of the chain. It raises nothing:
        pyOpenSSL prints an exception of a callback and loses it.
        """
        if not good or depth != 0:
            return bool(good)
        try:
            checkName(certificate, self._host)
        except CertificateForAnotherHost:
            if (tls := protocol()) is not None:
                tls.failVerification(Failure())
            return False
        return True
