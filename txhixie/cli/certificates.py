"""The certificates that a server sends, and the lines that describe each certificate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from OpenSSL import SSL

from ..display import shown

SOON: Final = timedelta(days=14)
"""Certificates that expire within this time get a warning. A CA that issues certificates for 90
days expects their renewal 30 days before they expire."""

_TIME: Final = "%Y%m%d%H%M%SZ"


@dataclass(frozen=True)
class Link:
    """
    One certificate of a chain.

    :ivar subject: the name of the subject, escaped.
    :ivar issuer: the name of the issuer, escaped.
    :ivar names: the hosts that the certificate is for, escaped.
    :ivar since: the first time at which the certificate is valid.
    :ivar until: the last time at which the certificate is valid.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    since: datetime
    until: datetime

    @property
    def is_its_own_issuer(self) -> bool:
        """Whether the certificate is self-signed."""
        return self.subject == self.issuer

    def lines(self, now: datetime) -> tuple[str, ...]:
        """Describe the certificate in two lines."""
        names = f", for {', '.join(self.names)}" if self.names else ""
        issuer = "self-signed" if self.is_its_own_issuer else f"issued by {self.issuer}"
        return (f"{self.subject}{names}", f"  {issuer}, {self.validity(now)}")

    def validity(self, now: datetime) -> str:
        """Describe the certificate's period of validity."""
        if now < self.since:
            return f"not valid before {self.since:%Y-%m-%d %H:%M} UTC"
        if now > self.until:
            return f"expired on {self.until:%Y-%m-%d %H:%M} UTC"
        days = (self.until - now).days
        return f"valid until {self.until:%Y-%m-%d} ({days} day{'s' * (days != 1)} left)"


def chain_of(connection: SSL.Connection) -> tuple[Link, ...]:
    """The certificates that the server sent: its own first, then those of the CAs."""
    return tuple(_link(certificate) for certificate in connection.get_peer_cert_chain() or ())


def _link(certificate: Any) -> Link:
    parsed = certificate.to_cryptography()
    return Link(
        _name(parsed.subject),
        _name(parsed.issuer),
        _hosts(parsed),
        _time(certificate.get_notBefore()),
        _time(certificate.get_notAfter()),
    )


def _name(name: x509.Name) -> str:
    """The common name; the whole name where there is no common name."""
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return shown(str(found[0].value) if found else name.rfc4514_string())


def _hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    hosts = [*names.get_values_for_type(x509.DNSName)]
    hosts += map(str, names.get_values_for_type(x509.IPAddress))
    return tuple(map(shown, hosts))


def _time(text: bytes | None) -> datetime:
    """Read a time in the format of certificates."""
    assert text is not None
    return datetime.strptime(text.decode("ascii"), _TIME).replace(tzinfo=UTC)
