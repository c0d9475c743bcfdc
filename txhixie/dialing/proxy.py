"""The choice of a proxy: from a URL, or from the environment variables by curl's rules.

This module connects to nothing. A user name and a password stay in their
:class:`txhixie.Credentials`: errors name the part of a URL that is wrong, and never repeat it.
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
"""curl's default ports, for a URL without a port."""


class Proxy(NamedTuple):
    """
    An HTTP proxy.

    :ivar secure: whether the connection to the proxy uses TLS (``https:``).
    :ivar host: a name or an address, without brackets.
    :ivar port: the port number.
    :ivar credentials: the user name and password, for a proxy that requires them.
    """

    secure: bool
    host: str
    port: int
    credentials: Credentials | None = None

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{authority(self.host, self.port)}"


def parse_proxy(url: str) -> Proxy:
    """
    Read ``[http[s]://][user[:password]@]host[:port]``, with a percent-encoded name and password.

    :raises ValueError: naming the part that is wrong: the scheme of another kind of proxy, no host,
        an invalid port, credentials that cannot be sent.
    :raises TypeError: for a URL that is not ``str``.
    """
    match = _SCHEME.match(whole_text("proxy", url))
    scheme = match[1].lower() if match else "http"
    if scheme.startswith("socks"):
        raise ValueError("scheme: SOCKS proxies are not supported; expected http: or https:")
    if scheme not in _USUAL_PORTS:
        raise ValueError("scheme: expected http: or https: for a proxy")
    try:
        split = urlsplit(url if match else f"http://{url}")
        host, port = bare_host(split.hostname or ""), split.port
    except ValueError:
        # The error's text may repeat a part of the password that was read as a host or port.
        raise ValueError(
            "host or port: missing or invalid; percent-encode the user name and the password"
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
    Find the proxy for a host by curl's rules: ``https_proxy`` for TLS and ``http_proxy`` otherwise,
    else ``all_proxy``, unless ``no_proxy`` names the host. Upper-case names are read too, except
    ``HTTP_PROXY``: under CGI, this variable is a header field of a client's request.

    :param secure: ``True`` for ``wss:``, which uses ``https_proxy``; ``False`` for ``ws:``, which
        uses ``http_proxy``.
    :param host: a name, or an address with or without brackets.
    :raises ValueError: naming the variable, when its value is not the URL of an HTTP proxy.
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
    Find the variable that names the proxy for a host, by the rules of
    :func:`proxy_from_environment`; ``None`` if no variable does, or if ``no_proxy`` names the host.
    """
    names = ["https_proxy", "HTTPS_PROXY"] if secure else ["http_proxy"]
    names += ["all_proxy", "ALL_PROXY"]
    chosen = next((name for name in names if environ.get(name)), None)
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    return None if chosen is None or is_exempt(host, port, exempt) else chosen


def is_exempt(host: str, port: int, exempt: str) -> bool:
    """
    Whether a value of ``no_proxy`` names a host. ``*`` alone names every host. Any other value is a
    list, separated by commas or blanks, of names (each names every host below it too, with or
    without a leading dot), of addresses and of networks (``10.0.0.0/8``), each with or without a
    port.
    """
    if exempt.strip() == "*":
        return True
    name = bare_host(host).rstrip(".").lower()
    return any(_names(entry, name, port) for entry in re.split(r"[\s,]+", exempt) if entry)


_ENTRY: Final = re.compile(r"\[([^\]]*)\](?::([0-9]{1,5}))?|([^:]*):([0-9]{1,5})")
"""An address in brackets or a name, and a port. An IPv6 address without brackets has no port.
At most five digits, since Python's ``int`` raises ``ValueError`` for thousands of digits."""


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
