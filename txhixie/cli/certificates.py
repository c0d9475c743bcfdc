"""The certificates that a server shows, and what is to be said of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from OpenSSL import SSL

from ..display import shown

SOON: Final = timedelta(days=14)
"""An authority that gives certificates for 90 days has them renewed a month before their end."""

_TIME: Final = "%Y%m%d%H%M%SZ"


@dataclass(frozen=True)
class Link:
    """
    One certificate.

    :ivar subject: whose it is, escaped.
    :ivar issuer: who says so, escaped.
    :ivar names: the hosts it is for, escaped.
    :ivar since: when it begins to be valid.
    :ivar until: when it ends.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    since: datetime
    until: datetime

    @property
    def is_its_own_issuer(self) -> bool:
        """Whether it rests on nobody else."""
        return self.subject == self.issuer

    def lines(self, now: datetime) -> tuple[str, ...]:
        """In words."""
        names = f", for {', '.join(self.names)}" if self.names else ""
        issuer = "itself" if self.is_its_own_issuer else self.issuer
        return (f"{self.subject}{names}", f"  by {issuer}, {self.validity(now)}")

    def validity(self, now: datetime) -> str:
        """From when or until when, in words."""
        if now < self.since:
            return f"not valid before {self.since:%Y-%m-%d %H:%M} UTC"
        if now > self.until:
            return f"expired on {self.until:%Y-%m-%d %H:%M} UTC"
        days = (self.until - now).days
        return f"until {self.until:%Y-%m-%d} ({days} day{'s' * (days != 1)} left)"


def chain_of(connection: SSL.Connection) -> tuple[Link, ...]:
    """The server's own first, then those that it sent along."""
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
    """Its most particular part."""
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
    """A time as certificates have it."""
    assert text is not None
    return datetime.strptime(text.decode("ascii"), _TIME).replace(tzinfo=UTC)
