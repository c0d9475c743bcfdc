"""Certificates and private keys of a server, read from PEM files with ``cryptography``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from ..port_check import pem_files
from .errors import KeyMismatch

_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_KEY: Final = re.compile(
    rb"-----BEGIN ((?:[A-Z0-9]+ )*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL
)


class FiledCertificate(NamedTuple):
    """A certificate, and the file that it was read from."""

    file: Path
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """
    A certificate that a server can use, with its private key.

    :ivar file: the file of the certificate.
    :ivar certificate: the certificate.
    :ivar key: its private key.
    :ivar chain: certificates of intermediate CAs that are sent with the certificate.
    """

    file: Path
    certificate: x509.Certificate
    key: Any
    chain: tuple[FiledCertificate, ...]

    @property
    def all(self) -> tuple[FiledCertificate, ...]:
        """The certificate and its chain."""
        return (FiledCertificate(self.file, self.certificate), *self.chain)


def hosts_of(certificate: x509.Certificate) -> list[str]:
    """The host names of a certificate, in lower case; ``*.example.com`` may be among them."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)]


def read_certificates(file: Path) -> list[x509.Certificate]:
    """
    Read all certificates of a file.

    :raises OSError: for a file that cannot be read.
    :raises ValueError: "expected ..." for a malformed certificate.
    """
    data = file.read_bytes()
    if _CERTIFICATE not in data:
        return []
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise ValueError(f"{file}: expected certificates in PEM: {error}") from None


def read_keys(file: Path) -> list[Any]:
    """
    Read all private keys of a file.

    :raises OSError: for a file that cannot be read.
    :raises ValueError: "expected ..." for a malformed key, and for a key with a passphrase.
    """
    keys = []
    for found in _KEY.finditer(file.read_bytes()):
        try:
            keys.append(load_pem_private_key(found[0], None))
        except TypeError:
            raise ValueError(f"{file}: expected a private key without a passphrase") from None
        except Exception as error:  # UnsupportedAlgorithm is no ValueError
            raise ValueError(f"{file}: expected a private key in PEM: {error}") from None
    return keys


def read_pair(key_file: Path, file: Path, chain_file: Path | None = None) -> ServerCertificate:
    """
    Read one certificate and its private key.

    :param key_file: the file of the private key.
    :param file: the file of the certificate, with or without the certificates of its chain.
    :param chain_file: a file with further certificates of the chain.
    :raises OSError: for a file that cannot be read.
    :raises KeyMismatch: for a certificate of another key.
    :raises ValueError: "expected ..." for another mistake in a file.
    """
    certificates, keys = read_certificates(file), read_keys(key_file)
    if not certificates:
        raise ValueError(f"expected a certificate and its key, in PEM: {file} has no certificate")
    if not keys:
        raise ValueError(f"expected a certificate and its key, in PEM: {key_file} has no key")
    if _public(certificates[0]) != _public(keys[0]):
        raise KeyMismatch(
            f"expected a certificate and its key: the certificate in {file} is not for the key in"
            f" {key_file}"
        )
    chain = [FiledCertificate(file, each) for each in certificates[1:]]
    if chain_file is not None:
        more = read_certificates(chain_file)
        if not more:
            raise ValueError(f"{chain_file}: expected certificates in PEM")
        chain += [FiledCertificate(chain_file, each) for each in more if each not in certificates]
    return ServerCertificate(file, certificates[0], keys[0], tuple(chain))


def read_directory(directory: Path, now: datetime | None = None) -> list[ServerCertificate]:
    """
    Read all certificates that have a private key in a directory.

    A certificate and its key may be in one file or in two. Certificates without a key are those of
    intermediate CAs: each chain is made of them.

    :param directory: is searched for ``.pem`` files, with the directories in it.
    :param now: the time; of two certificates for one key, one that is valid already is used.
    :return: the certificates, in the alphabetical order of their files: the first is the default.
    :raises OSError: for a file that cannot be read.
    :raises KeyMismatch: for a key without its certificate.
    :raises ValueError: "expected ..." for another mistake in a file, and for no certificate.
    """
    now = datetime.now(UTC) if now is None else now
    certificates: dict[bytes, list[FiledCertificate]] = {}
    keys: dict[bytes, tuple[Path, Any]] = {}
    for file in pem_files(directory):
        for certificate in read_certificates(file):
            filed = FiledCertificate(file, certificate)
            certificates.setdefault(_public(certificate), []).append(filed)
        for key in read_keys(file):
            keys.setdefault(_public(key), (file, key))
    issuers: dict[x509.Name, list[FiledCertificate]] = {}
    for public in certificates.keys() - keys.keys():
        for each in certificates[public]:
            issuers.setdefault(each.certificate.subject, []).append(each)
    found = []
    for public, (file, key) in keys.items():
        if public not in certificates:
            raise KeyMismatch(f"{file}: expected the certificate of this key in {directory}")
        best = max(certificates[public], key=lambda each: _preference(each.certificate, now))
        chain = tuple(_chain(best.certificate, issuers))
        found.append(ServerCertificate(best.file, best.certificate, key, chain))
    if not found:
        raise ValueError(f"expected a certificate and its key in a .pem file in {directory}")
    return sorted(found, key=lambda each: each.file)


def _preference(certificate: x509.Certificate, now: datetime) -> tuple[bool, datetime]:
    return certificate.not_valid_before_utc <= now, certificate.not_valid_after_utc


def _chain(
    certificate: x509.Certificate, issuers: Mapping[x509.Name, Sequence[FiledCertificate]]
) -> Iterator[FiledCertificate]:
    """The certificates above one, up to a root, which a client has already."""
    seen: list[x509.Certificate] = []
    while certificate.issuer != certificate.subject:
        known = issuers.get(certificate.issuer, ())
        above = next((each for each in known if _has_signed(each, certificate)), None)
        if above is None or above.certificate in seen:
            return
        certificate = above.certificate
        seen.append(certificate)
        if certificate.issuer != certificate.subject:
            yield above


def _has_signed(issuer: FiledCertificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer.certificate)
    except Exception:  # InvalidSignature, and what cryptography raises for a kind of key
        return False
    return True


def _public(holder: Any) -> bytes:
    """The public key of a certificate or of a private key."""
    key = holder.public_key()
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
