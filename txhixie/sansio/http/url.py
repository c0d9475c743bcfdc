"""``ws:`` and ``wss:`` URLs, taken apart and put together as the drafts do (RFC 6455 section 3)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from ..arguments import whole_text

_HOST: Final = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9._~%!$&'()*+,;=-]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_KEPT: Final = "!$%&'()*+,-./:;=?@_~[]|^`{}\"<>\\"
"""Characters of a resource that stay as they are; what is not ASCII is percent-encoded."""

# fmt: off
BAD_PORTS: Final = frozenset((
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389,
    427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636,
    989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665,
    6666, 6667, 6668, 6669, 6679, 6697, 10080,
))
# fmt: on
"""Where other protocols listen, which might take a handshake for words of theirs: no browser
connects there (the Fetch standard, "port blocking")."""


class Credentials(NamedTuple):
    """
    A name and a password, which never print themselves.

    :ivar name: of the user.
    :ivar password: in clear.
    """

    name: str
    password: str

    def __repr__(self) -> str:
        return "<Credentials>"


class WebSocketURL(NamedTuple):
    """
    :ivar secure: ``wss``.
    :ivar host: in lower case; an IPv6 address in brackets.
    :ivar port: the number, the scheme's own if none was given.
    :ivar resource: path and query, beginning with ``/``.
    :ivar credentials: the URL's user and password, percent-decoded; ``None`` if it had none.
    """

    secure: bool
    host: str
    port: int
    resource: str
    credentials: Credentials | None = None

    @property
    def authority(self) -> str:
        """``host``, with the port where the scheme does not imply it."""
        usual = 443 if self.secure else 80
        return self.host if self.port == usual else f"{self.host}:{self.port}"

    @property
    def location(self) -> str:
        """The URL again, in the one form the drafts compare; never with its credentials."""
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.resource}"

    @property
    def name(self) -> str:
        """The host as resolvers and certificates know it: without brackets."""
        return self.host.strip("[]")


def parse_url(url: str) -> WebSocketURL:
    """
    :raises ValueError: saying what is wrong: another scheme, no host, a bad port, a fragment (it
        never reaches a server), or control characters (``urlsplit`` drops some, so that what it
        reads would not be what was given). It repeats nothing of the URL, which may hold a
        password.
    :raises TypeError: for what is not ``str``.
    """
    if _CONTROL.search(whole_text("url", url).strip()):
        raise ValueError("url: control character in the URL")
    try:
        split = urlsplit(url.strip())
    except ValueError:
        # Its text repeats what it took for a host, and that may be a password.
        raise ValueError("host: missing or invalid host name") from None
    if "\\" in split.netloc:
        # Browsers read a slash, and so another host: ws://one\\@other/ is the first to them.
        raise ValueError("host: backslash before or in the host name")
    if split.scheme not in ("ws", "wss"):
        raise ValueError("scheme: expected ws: or wss:")
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
    """The same URL, as it was given but for its user and password: what may be shown."""
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
    A name and a password out of a URL, percent-decoded.

    :raises ValueError: for bytes that are no UTF-8. To put another character in the place of one
        would be to send a wrong password, and perhaps to be locked out for it.
    """
    try:
        return Credentials(unquote(name, errors="strict"), unquote(password, errors="strict"))
    except UnicodeDecodeError:
        raise ValueError("userinfo: percent-encoded bytes are not UTF-8") from None


def ascii_host(host: str) -> str:
    """
    A host's name as resolvers know it.

    IDNA 2008 with the mapping that browsers apply first (UTS 46). Not Python's own codec: that is
    IDNA 2003, in which ``faß.de`` is ``fass.de``, somebody else's host.

    :raises ValueError: for what is no host's name.
    """
    import idna  # only for the few hosts that need its tables

    try:
        name = idna.encode(host, uts46=True).decode("ascii")
    except UnicodeError:
        name = ""
    if _HOST.fullmatch(name) is None:
        raise ValueError("host: missing or invalid host name")
    return name
