"""Which proxy: one given as a URL, or the one that the environment names by curl's rules.

Nothing here connects to one. A name and a password stay in their
:class:`txhixie.Credentials`: errors say which part of a URL is wrong, and
never repeat it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from ..sansio.arguments import whole_text
from ..sansio.http.tunnel_answer import authority, bare_host
from ..sansio.http.url import Credentials, unquoted_credentials

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_USUAL_PORTS: Final = {"http": 1080, "https": 443}
"""curl's, where a URL gives none."""


class Proxy(NamedTuple):
    """
    An HTTP proxy.

    :ivar secure: whether TLS is spoken to the proxy itself (``https:``).
    :ivar host: a name or an address, without brackets.
    :ivar port: the number.
    :ivar credentials: what answers it if it asks.
    """

    secure: bool
    host: str
    port: int
    credentials: Credentials | None = None

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{authority(self.host, self.port)}"


def parse_proxy(url: str) -> Proxy:
    """
    Read ``[http[s]://][user[:password]@]host[:port]``; name and password percent-encoded.

    :raises ValueError: saying which part is wrong: a scheme of another kind of proxy, no host, a
        bad port, credentials that cannot be sent.
    :raises TypeError: for what is not ``str``.
    """
    match = _SCHEME.match(whole_text("proxy", url))
    scheme = match[1].lower() if match else "http"
    if scheme.startswith("socks"):
        raise ValueError("scheme: SOCKS proxies are not spoken to, only http: and https: ones")
    if scheme not in _USUAL_PORTS:
        raise ValueError("scheme: a proxy's URL begins with http: or https:")
    try:
        split = urlsplit(url if match else f"http://{url}")
        host, port = bare_host(split.hostname or ""), split.port
    except ValueError:
        # Their text may repeat what was taken for a host or a port, and was half a password.
        raise ValueError(
            "host or port: missing, or not to be read; name and password are percent-encoded"
        ) from None
    if port == 0:
        raise ValueError("port: expected a number from 1 to 65535")
    return Proxy(scheme == "https", host, port or _USUAL_PORTS[scheme], _credentials(split))


def _credentials(split: SplitResult) -> Credentials | None:
    if split.username is None:
        return None
    return unquoted_credentials(split.username, split.password or "")


def proxy_from_environment(
    secure: bool, host: str, port: int, environ: Mapping[str, str]
) -> Proxy | None:
    """
    The proxy to a host, by curl's rules: ``https_proxy`` for TLS and ``http_proxy`` for the rest,
    else ``all_proxy``, unless ``no_proxy`` names the host. Capitals count as well, but for
    ``HTTP_PROXY``: under CGI, that is a field of somebody's request.

    :param secure: whether it is for ``wss:``, which goes by ``https_proxy``; ``ws:`` by
        ``http_proxy``.
    :param host: an address with or without brackets.
    :raises ValueError: naming the variable, when it holds no proxy of a kind that is spoken to.
    """
    chosen = proxy_variable(secure, host, port, environ)
    if chosen is None:
        return None
    try:
        return parse_proxy(environ[chosen])
    except ValueError as error:
        raise ValueError(f"{chosen}: {error}") from None


def proxy_variable(secure: bool, host: str, port: int, environ: Mapping[str, str]) -> str | None:
    """
    The variable that names the proxy to a host, by the rules of :func:`proxy_from_environment`;
    ``None`` if none does, or if ``no_proxy`` names the host.
    """
    names = ["https_proxy", "HTTPS_PROXY"] if secure else ["http_proxy"]
    names += ["all_proxy", "ALL_PROXY"]
    chosen = next((name for name in names if environ.get(name)), None)
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    return None if chosen is None or is_exempt(host, port, exempt) else chosen


def is_exempt(host: str, port: int, exempt: str) -> bool:
    """
    Whether a ``no_proxy`` names a host. ``*`` alone is everyone; else it is a list, by commas or
    blanks, of names (each for all that end in it, with or without a dot before), of addresses and
    networks (``10.0.0.0/8``), each with a port or for all ports.
    """
    if exempt.strip() == "*":
        return True
    name = bare_host(host).rstrip(".").lower()
    return any(_names(entry, name, port) for entry in re.split(r"[\s,]+", exempt) if entry)


_ENTRY: Final = re.compile(r"\[([^\]]*)\](?::([0-9]{1,5}))?|([^:]*):([0-9]{1,5})")
"""An address in brackets or a name, and a port; an IPv6 address without brackets has none. Five
digits: of some thousands, Python's ``int`` makes a ``ValueError``."""


def _names(entry: str, name: str, port: int) -> bool:
    if (match := _ENTRY.fullmatch(entry)) is not None:
        bracketed, port_there, plain, port_here = match.groups()
        entry = bracketed if plain is None else plain
        wanted = port_there or port_here
        if wanted is not None and int(wanted) != port:
            return False
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        suffix = entry.strip(".").lower()
        return bool(suffix) and f".{name}".endswith(f".{suffix}")
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
