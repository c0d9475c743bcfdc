"""Certificates and keys out of files, for whoever names them in a configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from OpenSSL.crypto import Error as CryptoError
from twisted.internet.error import VerifyError
from twisted.internet.ssl import Certificate, KeyPair, PrivateCertificate, trustRootFromCertificates

_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")
"""No dash is base64. With ``.*?`` each beginning without an end is read to the end of the file."""

_PEM: Final = 1  # OpenSSL's number for the format


def trustRootFromPath(path: str) -> Any:
    """
    Those whose word is taken: every certificate of a file, or of the ``.pem`` files of a directory.

    :raises OSError: for what cannot be read.
    :raises ValueError: for what holds no certificate.
    """
    place = Path(path)
    files = sorted(place.glob("*.pem")) if place.is_dir() else [place]
    blocks = [block for file in files for block in _CERTIFICATE.findall(file.read_bytes())]
    try:
        certificates = [Certificate.loadPEM(block) for block in blocks]
    except CryptoError:
        certificates = []
    if not certificates:
        raise ValueError(f"{path}: expected certificates in PEM")
    return trustRootFromCertificates(certificates)


def certificateFromPaths(certificate: str, privateKey: str | None = None) -> PrivateCertificate:
    """
    Who we are.

    :param privateKey: the file with the key, if it is not in the certificate's.
    :raises OSError: for what cannot be read.
    :raises ValueError: for what holds no certificate or no key, or a key of another certificate.
    """
    key = Path(privateKey or certificate).read_bytes()
    try:
        made: PrivateCertificate = PrivateCertificate.fromCertificateAndKeyPair(
            Certificate.loadPEM(Path(certificate).read_bytes()), KeyPair.load(key, _PEM)
        )
    except (CryptoError, VerifyError):
        raise ValueError(f"{certificate}: expected a certificate and its key in PEM") from None
    return made
