"""Certificates and keys from PEM files that a configuration names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from OpenSSL.crypto import Error as CryptoError
from twisted.internet.error import VerifyError
from twisted.internet.ssl import Certificate, KeyPair, PrivateCertificate, trustRootFromCertificates

_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")
"""A dash is no character of base64. With ``.*?``, every ``BEGIN`` line without an ``END`` line
would be searched to the end of the file: quadratic time."""

_PEM: Final = 1  # OpenSSL's number for the format


def trustRootFromPath(path: str) -> Any:
    """
    Load trusted CA certificates: every certificate of a file, or of the ``.pem`` files of a
    directory.

    :raises OSError: for a file that cannot be read.
    :raises ValueError: for a file or directory without a certificate.
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
    Load our own certificate and its private key.

    :param privateKey: the file with the key, if the key is not in the file of the certificate.
    :raises OSError: for a file that cannot be read.
    :raises ValueError: for a file without a certificate or without a key, and for a key that does
        not belong to the certificate.
    """
    key = Path(privateKey or certificate).read_bytes()
    try:
        made: PrivateCertificate = PrivateCertificate.fromCertificateAndKeyPair(
            Certificate.loadPEM(Path(certificate).read_bytes()), KeyPair.load(key, _PEM)
        )
    except (CryptoError, VerifyError):
        other = "" if privateKey else "; name the key's own file by privateKey= or --private-key"
        raise ValueError(
            f"{certificate}: expected a certificate and its key in PEM{other}"
        ) from None
    return made
