"""Parsing and writing of ``ws:`` and ``wss:`` URLs (RFC 6455 section 3)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from ..arguments import whole_text

_HOST: Final = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9._~%!$&'()*+,;=-]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_KEPT: Final = "!$%&'()*+,-./:;=?@_~[]|^`{}\"<>\\"
"""Characters of a resource that are kept; characters outside ASCII are percent-encoded."""

# fmt: off
BAD_PORTS: Final = frozenset((
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389,
    427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636,
    989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665,
    6666, 6667, 6668, 6669, 6679, 6697, 10080,
))
# fmt: on
"""Ports of other protocols: their servers might execute a handshake as commands.

No browser connects to these ports (the Fetch standard, "port blocking")."""


class Credentials(NamedTuple):
    """
    A user name and a password, which ``repr()`` does not show.

    :ivar name: the user name.
    :ivar password: the password in plain text.
    """

    name: str
    password: str

    def __repr__(self) -> str:
        return "<Credentials>"


class WebSocketURL(NamedTuple):
    """
    A parsed ``ws:`` or ``wss:`` URL.

    :ivar secure: whether the scheme is ``wss``.
    :ivar host: the host in lower case; an IPv6 address in brackets.
    :ivar port: the port; the default port of the scheme for a URL without a port.
    :ivar resource: path and query, beginning with ``/``.
    :ivar credentials: the user and password of the URL, percent-decoded; ``None`` without these.
    """

    secure: bool
    host: str
    port: int
    resource: str
    credentials: Credentials | None = None

    @property
    def authority(self) -> str:
        """The host, with the port if it is not the default port of the scheme."""
        usual = 443 if self.secure else 80
        return self.host if self.port == usual else f"{self.host}:{self.port}"

    @property
    def location(self) -> str:
        """The URL in the normal form that handshakes compare, without credentials."""
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.resource}"

    @property
    def name(self) -> str:
        """The host without brackets, as resolvers and certificates use it."""
        return self.host.strip("[]")


def parse_url(url: str) -> WebSocketURL:
    """
    Parse a ``ws:`` or ``wss:`` URL.

    :raises ValueError: for another scheme, a missing host, an invalid port, a fragment (which is
        never sent to a server), or a control character (``urlsplit`` drops some, and would parse
        another URL). The text repeats no part of the URL, which may contain a password.
    :raises TypeError: for a URL that is not ``str``.
    """
    if _CONTROL.search(whole_text("url", url).strip()):
        raise ValueError("url: control character in the URL")
    try:
        split = urlsplit(url.strip())
    except ValueError:
        # The text of urlsplit's error repeats the host, which may be a part of a password.
        raise ValueError("host: missing or invalid host name") from None
    if "\\" in split.netloc:
        # Browsers treat a backslash as a slash, and so connect to another host: for them the host
        # of ws://one\\@other/ is "one".
        raise ValueError("host: backslash before or in the host name")
    if split.scheme not in ("ws", "wss"):
        raise ValueError("scheme: expected ws: or wss:; write ws://HOST:PORT/PATH")
    if split.fragment or url.rstrip().endswith("#"):
        raise ValueError("fragment: a WebSocket URL cannot have a fragment (#...)")
    host = split.netloc.rpartition("@")[2].lower()
    try:
        port = split.port
    except ValueError:
        raise ValueError("port: expected a number from 1 to 65535") from None
    if port == 0:
        raise ValueError("port: expected a number from 1 to 65535")
    host = re.sub(r":[0-9]*$", "", host)
    if _HOST.fullmatch(host) is None:
        host = ascii_host(host)
    secure = split.scheme == "wss"
    query = f"?{split.query}" if split.query or "?" in url else ""
    resource = quote((split.path or "/") + query, safe=_KEPT)
    credentials = _credentials(split.username, split.password)
    return WebSocketURL(secure, host, port or (443 if secure else 80), resource, credentials)


def without_credentials(url: str) -> str:
    """Return a URL without its user and password, so that it may be logged."""
    return re.sub(r"^(\s*[A-Za-z]+://)[^/?#]*@", r"\1", whole_text("url", url))


def _credentials(name: str | None, password: str | None) -> Credentials | None:
    if not name and not password:
        return None
    credentials = unquoted_credentials(name or "", password or "")
    # RFC 7617 section 2: the first colon ends the name, and neither has control characters.
    if ":" in credentials.name or _CONTROL.search("".join(tuple(credentials))):
        raise ValueError("userinfo: colon in the user name, or control character")
    return credentials


def unquoted_credentials(name: str, password: str) -> Credentials:
    """
    Percent-decode the user name and the password of a URL.

    :raises ValueError: for bytes that are not UTF-8. A replacement character would make a wrong
        password, which may lock the account.
    """
    try:
        return Credentials(unquote(name, errors="strict"), unquote(password, errors="strict"))
    except UnicodeDecodeError:
        raise ValueError("userinfo: percent-encoded bytes are not UTF-8") from None


def ascii_host(host: str) -> str:
    """
    Return a host name in ASCII, for DNS.

    The name is encoded by IDNA 2008, after the mapping of UTS 46, as in browsers. Python's codec is
    IDNA 2003, which encodes ``faß.de`` as ``fass.de``: a host of another owner.

    :raises ValueError: for an invalid host name.
    """
    import idna  # here, since few hosts need its tables

    try:
        name = idna.encode(host, uts46=True).decode("ascii")
    except UnicodeError:
        name = ""
    if _HOST.fullmatch(name) is None:
        raise ValueError("host: missing or invalid host name")
    return name
