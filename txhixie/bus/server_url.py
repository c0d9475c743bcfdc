"""URLs of the servers of buses."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class ServerURL:
    """
    A server, and the credentials for it.

    :ivar scheme: scheme of the URL.
    :ivar host: name or address.
    :ivar port: number of the TCP port.
    :ivar path: path without its slashes.
    :ivar user: name of the user; ``None`` without one.
    :ivar password: the password; ``None`` without one.
    :ivar ca: file or directory of the CA certificates that are trusted; ``None`` for those of the
        platform.
    """

    scheme: str
    host: str
    port: int
    path: str = ""
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    ca: str | None = None

    @property
    def netloc(self) -> str:
        """Host and port, with brackets around an IPv6 address, without credentials."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def of(cls, url: str, port: int) -> ServerURL:
        """
        Read a URL.

        :param port: number of the port of a URL without one.
        :raises ValueError: for a URL with a mistake, with a text that does not have the URL.
        """
        try:
            parts = urlsplit(url)
            query = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
            if not parts.hostname or query.keys() - {"ca"}:
                raise ValueError
            return cls(
                parts.scheme,
                parts.hostname,
                parts.port or port,
                parts.path.strip("/"),
                unquote(parts.username) if parts.username else None,
                unquote(parts.password) if parts.password else None,
                query["ca"][-1] if query else None,
            )
        except ValueError:
            raise ValueError("expected the URL of a server") from None


def trusting(ca: str | None) -> ssl.SSLContext:
    """
    Return the settings of TLS, which verify the certificate and the name in it.

    :param ca: file or directory of CA certificates; ``None`` for those of the platform.
    :raises ValueError: "expected ..." for a file that cannot be read.
    """
    if ca is None:
        return ssl.create_default_context()
    try:
        if Path(ca).is_dir():
            return ssl.create_default_context(capath=ca)
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ValueError(f"expected a file of CA certificates: {error}") from None
