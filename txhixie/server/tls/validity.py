"""Warnings about certificates that are not valid now, or soon will not be."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from .certificates import FiledCertificate, hosts_of
from .subject import subject_of

DAYS: Final = 21
"""Days before its end from which a certificate has a warning. ACME clients renew a certificate of
90 days 30 days before its end, so that a renewal has failed for a week by then."""


class ValidityWarning(NamedTuple):
    """
    A certificate that is not valid now, or ends soon.

    :ivar fingerprint: of the certificate (SHA-256), the same for each file that has it.
    :ivar file: the first file that has it.
    :ivar subject: its subject (RFC 4514).
    :ivar names: its host names.
    :ivar ends: its end, in UTC.
    :ivar reason: what is wrong with the certificate.
    """

    fingerprint: bytes
    file: Path
    subject: str
    names: str
    ends: str
    reason: str

    def __str__(self) -> str:
        names = f" for {self.names}" if self.names else ""
        return f"{self.file}: the certificate {self.subject}{names} {self.reason}: {self.ends}"


def warnings_of(certificates: Iterable[FiledCertificate], now: datetime) -> list[ValidityWarning]:
    """
    Return a warning for each certificate that ends within :data:`DAYS`, or is not valid at a time.

    :param certificates: the certificates; one that is in several files has one warning.
    :param now: the time.
    """
    found: dict[bytes, ValidityWarning] = {}
    for file, certificate in certificates:
        reason = _fault(certificate, now)
        fingerprint = certificate.fingerprint(SHA256())
        if reason is not None and fingerprint not in found:
            found[fingerprint] = ValidityWarning(
                fingerprint,
                file,
                _subject(certificate),
                ", ".join(hosts_of(certificate)),
                f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
                reason,
            )
    return list(found.values())


def _fault(certificate: x509.Certificate, now: datetime) -> str | None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > ends:
        return "has expired"
    if now < begins:
        return f"is not valid before {begins:%Y-%m-%dT%H:%M:%SZ}"
    return f"expires within {DAYS} days" if ends - now <= timedelta(DAYS) else None


def _subject(certificate: x509.Certificate) -> str:
    try:
        return subject_of(certificate)
    except ValueError:
        return "with a malformed subject"
