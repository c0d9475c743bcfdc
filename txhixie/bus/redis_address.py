"""URLs of Redis and Valkey servers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from twisted.internet.interfaces import IStreamClientEndpoint

from ..dialing.hostname import NamedHostEndpoint
from ..sansio.limits import Limits

_SECURE: Final = ("rediss", "valkeys")
_PORT: Final = 6379
_EXPECTED: Final = (
    "expected redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], or rediss: for TLS with ?ca=FILE for"
    " CA certificates of its own"
)
_STAGE_SECONDS: Final = 5.0
"""Seconds for each stage of connecting: a bus tries again soon."""


@dataclass(frozen=True)
class RedisAddress:
    """
    A server, and the credentials for it.

    :ivar host: name or address.
    :ivar port: number of the TCP port.
    :ivar database: number of the database.
    :ivar secure: whether the server is reached by TLS.
    :ivar user: name of the user; ``None`` for the default user.
    :ivar password: the password; ``None`` without one.
    :ivar ca: file or directory of the CA certificates that are trusted; ``None`` for those of the
        platform.
    """

    host: str
    port: int
    database: int
    secure: bool
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    ca: str | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"redis{'s' * self.secure}://{host}:{self.port}/{self.database}"

    @classmethod
    def of(cls, url: str) -> RedisAddress:
        """
        Read a URL.

        :raises ValueError: "expected ..." for a URL with a mistake.
        """
        try:
            parts = urlsplit(url)
            query = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
            database = parts.path.strip("/") or "0"
            if not parts.hostname or query.keys() - {"ca"} or not database.isdecimal():
                raise ValueError
            return cls(
                parts.hostname,
                parts.port or _PORT,
                int(database),
                parts.scheme in _SECURE,
                unquote(parts.username) if parts.username else None,
                unquote(parts.password) if parts.password else None,
                query["ca"][-1] if query else None,
            )
        except ValueError:
            raise ValueError(_EXPECTED) from None

    def endpoint(self, reactor: Any) -> IStreamClientEndpoint:
        """
        Return the endpoint of the server, with our own check of the name in its certificate.

        txredisapi's ``ssl_context_factory=True`` verifies neither the certificate nor the name.

        :raises ValueError: "expected ..." for CA certificates that cannot be read.
        """
        limits = Limits().with_stage_timeout(_STAGE_SECONDS)
        below = NamedHostEndpoint(reactor, self.host, self.port, limits=limits)
        if not self.secure:
            return below
        from ..dialing.pem import trustRootFromPath
        from ..dialing.tls import TLSEndpoint, clientTLS  # imports OpenSSL

        try:
            trusted = None if self.ca is None else trustRootFromPath(self.ca)
        except (OSError, ValueError) as error:
            raise ValueError(f"expected a file of CA certificates: {error}") from None
        options = clientTLS(self.host, trusted)
        return TLSEndpoint(
            below, options, host=self.host, seconds=limits.tls_timeout, clock=reactor
        )
