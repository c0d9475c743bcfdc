"""URLs of Redis and Valkey servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.interfaces import IStreamClientEndpoint

from ..dialing.hostname import NamedHostEndpoint
from ..sansio.limits import Limits
from .server_url import ServerURL

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
    A server, the credentials for it, and a database.

    :ivar url: URL of the server.
    :ivar database: number of the database.
    :ivar secure: whether the server is reached by TLS.
    """

    url: ServerURL
    database: int
    secure: bool

    def __str__(self) -> str:
        return f"redis{'s' * self.secure}://{self.url.netloc}/{self.database}"

    @classmethod
    def of(cls, text: str) -> RedisAddress:
        """
        Read a URL.

        :raises ValueError: "expected ..." for a URL with a mistake.
        """
        try:
            url = ServerURL.of(text, _PORT)
            if not (url.path or "0").isdecimal():
                raise ValueError
        except ValueError:
            raise ValueError(_EXPECTED) from None
        return cls(url, int(url.path or 0), url.scheme in _SECURE)

    def endpoint(self, reactor: Any) -> IStreamClientEndpoint:
        """
        Return the endpoint of the server, with our own check of the name in its certificate.

        txredisapi's ``ssl_context_factory=True`` verifies neither the certificate nor the name.

        :raises ValueError: "expected ..." for CA certificates that cannot be read.
        """
        limits = Limits().with_stage_timeout(_STAGE_SECONDS)
        below = NamedHostEndpoint(reactor, self.url.host, self.url.port, limits=limits)
        if not self.secure:
            return below
        from ..dialing.pem import trustRootFromPath
        from ..dialing.tls import TLSEndpoint, clientTLS  # imports OpenSSL

        try:
            trusted = None if self.url.ca is None else trustRootFromPath(self.url.ca)
        except (OSError, ValueError) as error:
            raise ValueError(f"expected a file of CA certificates: {error}") from None
        options = clientTLS(self.url.host, trusted)
        return TLSEndpoint(
            below, options, host=self.url.host, seconds=limits.tls_timeout, clock=reactor
        )
