"""Checks of a client's arguments about TLS.

``twisted.internet.ssl`` would take a tenth of the time in which txhixie is imported. It is imported
where a program uses TLS, and not before.
"""

from __future__ import annotations

from os import PathLike

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator

from ..sansio.arguments import whole_text


def checkContext(contextFactory: object) -> None:
    """
    Check the type of a ``contextFactory``.

    :raises TypeError: for an object that does not provide ``IOpenSSLClientConnectionCreator``.
    """
    if not IOpenSSLClientConnectionCreator.providedBy(contextFactory):
        raise TypeError(
            "contextFactory: expected an IOpenSSLClientConnectionCreator, such as"
            f" optionsForClientTLS(...) returns, not {contextFactory!r}"
        )


def checkWho(trustRoot: object, certificate: object, serverName: object) -> None:
    """
    Check the types of the arguments about certificates, before connecting.

    :raises TypeError: for a file's name or contents where a certificate belongs, and for a server's
        name that is not ``str``.
    """
    if isinstance(trustRoot, str | bytes | PathLike | list | tuple):
        raise TypeError(
            f"trustRoot: expected a certificate, not {type(trustRoot).__name__}; write "
            "Certificate.loadPEM(data), or trustRootFromCertificates([...]) for several"
        )
    if certificate is not None:
        from twisted.internet.ssl import PrivateCertificate

        if not isinstance(certificate, PrivateCertificate):
            raise TypeError(
                f"certificate: expected a PrivateCertificate, not "
                f"{type(certificate).__name__}; write PrivateCertificate.loadPEM(data)"
            )
    if serverName is not None:
        whole_text("serverName", serverName)
