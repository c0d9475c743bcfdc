"""``ws:`` and ``wss:`` URLs, taken apart and put together as the drafts do (RFC 6455 section 3)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

_HOST: Final = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9._~%!$&'()*+,;=-]+")
_KEPT: Final = "!$%&'()*+,-./:;=?@_~[]|^`{}\"<>\\"
"""Characters of a resource that stay as they are; what is not ASCII is percent-encoded."""


class WebSocketURL(NamedTuple):
    """
    :ivar secure: ``wss``.
    :ivar host: in lower case; an IPv6 address in brackets.
    :ivar port: the number, the scheme's own if none was given.
    :ivar resource: path and query, beginning with ``/``.
    """

    secure: bool
    host: str
    port: int
    resource: str

    @property
    def authority(self) -> str:
        """``host``, with the port where the scheme does not imply it."""
        usual = 443 if self.secure else 80
        return self.host if self.port == usual else f"{self.host}:{self.port}"

    @property
    def location(self) -> str:
        """The URL again, in the one form the drafts compare."""
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.resource}"


def parse_url(url: str) -> WebSocketURL:
    """
    :raises ValueError: saying what is wrong: another scheme, no host, a bad port, a fragment (it
        never reaches a server), or user and password where no one would send them.
    """
    split = urlsplit(url.strip())
    if split.scheme not in ("ws", "wss"):
        raise ValueError("scheme: a WebSocket URL begins with ws: or wss:")
    if split.fragment or url.rstrip().endswith("#"):
        raise ValueError("fragment: a WebSocket URL has none")
    if split.username is not None or split.password is not None:
        raise ValueError("userinfo: give credentials as a header")
    host = split.netloc.lower()
    try:
        port = split.port
    except ValueError:
        raise ValueError("port: not a number from 1 to 65535") from None
    if port == 0:
        raise ValueError("port: not a number from 1 to 65535")
    host = re.sub(r":[0-9]*$", "", host)
    if _HOST.fullmatch(host) is None:
        host = _ascii_host(host)
    secure = split.scheme == "wss"
    query = f"?{split.query}" if split.query or "?" in url else ""
    resource = quote((split.path or "/") + query, safe=_KEPT)
    return WebSocketURL(secure, host, port or (443 if secure else 80), resource)


def _ascii_host(host: str) -> str:
    try:
        ascii_host = host.encode("idna").decode("ascii")
    except UnicodeError:
        ascii_host = ""
    if _HOST.fullmatch(ascii_host) is None:
        raise ValueError("host: missing, or no host name")
    return ascii_host
