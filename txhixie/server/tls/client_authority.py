"""The CA of client certificates: each client is asked for a certificate, and may have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from OpenSSL.crypto import X509, X509StoreFlags
from OpenSSL.SSL import VERIFY_CLIENT_ONCE, VERIFY_PEER, Connection, Context

from ...display import shown
from .certificates import FiledCertificate, read_certificates
from .subject import subject_of

ASK: Final = VERIFY_PEER | VERIFY_CLIENT_ONCE
"""Ask for a certificate; a client without one goes on, for routes that need none."""

_FAULTS: Final = {
    2: "not signed by a CA of client-ca",
    7: "wrong signature",
    9: "not yet valid",
    10: "expired",
    18: "self-signed, and not in client-ca",
    19: "is not in client-ca",
    20: "not signed by a CA of client-ca",
    21: "not signed by a CA of client-ca",
    22: "chain too long",
    24: "signed by a certificate that is no CA",
    26: "not for clients: its extendedKeyUsage has no clientAuth",
    79: "signed by a certificate that is no CA",
}
"""OpenSSL's errors of a verification (``X509_V_ERR_...``), in words for an operator."""


class ClientAuthority:
    """
    The CA certificates of a file, which alone sign certificates of clients.

    :ivar certificates: the certificates.
    """

    def __init__(self, file: Path) -> None:
        """
        Read the file.

        :raises OSError: for a file that cannot be read.
        :raises ValueError: "expected ..." for a file without certificates.
        """
        self.certificates = [FiledCertificate(file, each) for each in read_certificates(file)]
        if not self.certificates:
            raise ValueError(f"client-ca: {file}: expected CA certificates, in PEM")

    def add_to(self, context: Context) -> None:
        """
        Have a context verify certificates by this CA and no other, and send its name to clients.

        A browser offers its user the certificates of the names that the server sends. An
        intermediate CA in the file counts without its root.
        """
        store = context.get_cert_store()
        assert store is not None
        store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
        for each in self.certificates:
            certificate: Any = X509.from_cryptography(each.certificate)
            store.add_cert(certificate)
            context.add_client_ca(certificate)


class AskingContext(Context):
    """A TLS context that asks each client for a certificate, and refuses one that is not valid."""

    def set_verify(self, mode: int, callback: Any = None) -> None:
        """
        Ask for a certificate; the arguments are not used.

        Twisted's ``CertificateOptions`` call this method before the first connection; a context
        that has had a connection cannot be changed in pyOpenSSL 26.
        """
        super().set_verify(ASK, _verified)


def _verified(connection: Connection, certificate: X509, error: int, depth: int, ok: int) -> bool:
    """
    Called by OpenSSL for each certificate of a chain, and for each error.

    The result of OpenSSL stays. An error is written down for the log line, since OpenSSL's own text
    is ``certificate verify failed`` for all of them. An exception would be kept by pyOpenSSL for
    another connection of the context.
    """
    if not ok:
        holder = "client certificate" if depth == 0 else "issuer of the client certificate"
        why = _FAULTS.get(error, f"refused with OpenSSL's verification error {error}")
        try:
            subject = subject_of(certificate.to_cryptography())
        except ValueError:
            subject = "its subject cannot be read"
        connection.get_app_data().certificateFault = f"{holder} {why}: {shown(subject)}"
    return bool(ok)
