"""Who may come in: which pages (Origin), and under which names (Host).

Only browsers are bound by this, and only they need to be: a program can claim any origin, but a
browser cannot be made to lie by a page, which would otherwise use its visitor's cookies and his
place in the network (RFC 6455 section 10.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv6Address
from typing import Final

from ..sansio.arguments import strings
from ..sansio.handshake.offer import Offer, Refusal
from ..sansio.http.url import ascii_host

EVERYBODY: Final = "*"
"""Among the origins that may come: all of them."""

_PATTERN: Final = re.compile(r"([a-z][a-z0-9+.-]*://)\*(\.[^/?#*\s]+)")
"""``https://*.example.com``, with a port or without."""

_WEB: Final = re.compile(r"(https?)://([^\s/?#@\[\]:]+|\[[0-9a-f:.]+\])(?::0*([0-9]{1,5}))?")
_WITH_MORE: Final = re.compile(r"(https?://)(?:[^/?#@]*@)?([^/?#@]+)[/?#]?.*")
"""A page's URL in the place of its origin, or one with a user: browsers write neither."""

_OF_A_SOCKET: Final = re.compile(r"ws(s?)://([^/?#@]+)(?:[/?#].*)?")
_NAME_OR_ADDRESS: Final = re.compile(r"localhost(?::.*)?|.*[.:/].*|\[.*")
"""What lacks a scheme. A word is none of these: a device's origin, which may be listed."""

_DEFAULT_PORT: Final = re.compile(r"(http://.*):80|(https://.*):443")
"""Browsers leave it out (RFC 6454 section 6.2)."""

_BELOW: Final = r"(?:[a-z0-9_-]+\.)*[a-z0-9_-]+"
"""What the star stands for: one label of a name, or several."""

_OF_A_BROWSER: Final = re.compile(
    r"(?:^|[\s,])(?:null|file:.*|(?:[a-z][a-z0-9+.-]*)?://[^\s,/?#]*)(?=$|[\s,])"
)
"""An origin as browsers write it (RFC 6454 section 6.2), alone or in a list of them (section 7.1);
WebKit wrote ``file://`` where others write ``null``."""


class Policy:
    """
    The rules of one server.

    :ivar origins: exact origins that may come, as browsers write them and in lower case; ``None``
        for the default, which is the host the request itself names.
    :ivar hosts: names that are served, in lower case; ``None`` for any.
    """

    def __init__(
        self, origins: Iterable[str] | None = None, hosts: Iterable[str] | None = None
    ) -> None:
        """
        :param origins: such as ``http://example.com:8080``, or ``https://*.example.com`` for all
            names below that one, or ``null`` for local pages and sandboxed frames, or that of
            another scheme or a device's word to the letter but for case, or ``*`` for all. See
            :func:`read_origin`.
        :param hosts: names under which this server is known, each with or without a port. A
            foreign one is what DNS rebinding looks like.
        :raises TypeError: for one string where several belong, and for what is not ``str``.
        :raises ValueError: for an origin that no browser writes so, and for a host that is a URL.
        """
        self.origins = None if origins is None else _origins(origins)
        self._patterns = tuple(map(_pattern_of, sorted(_of_many(self.origins or ()))))
        self.hosts = _lower("hosts", hosts, '["example.com"]')
        for host in self.hosts or ():
            if "/" in host:
                raise ValueError(
                    f"expected a name such as example.com, with or without a port: {host}"
                )

    def refuses(self, offer: Offer) -> Refusal | None:
        """A 403 that says why, or ``None`` for whom nothing is said against."""
        host = offer.host.lower()
        if self.hosts is not None and self.hosts.isdisjoint((host, _without_port(host))):
            return Refusal(403, "this server is not known under the Host of the request\n")
        if offer.origin is None or self._welcomes(offer) or not of_a_browser(offer.origin):
            return None
        return Refusal(403, "pages of this Origin may not connect here\n")

    def disregards(self, offer: Offer) -> bool:
        """Whether an offer was let in although no rule lets its Origin in: no browser wrote it."""
        return offer.origin is not None and not self._welcomes(offer)

    def _welcomes(self, offer: Offer) -> bool:
        assert offer.origin is not None
        if self.origins is None:
            return same_host(offer.origin, offer.host, offer.secure)
        origin = _without_default_port(offer.origin.lower())
        return (
            origin in self.origins
            or EVERYBODY in self.origins
            or any(pattern.fullmatch(origin) for pattern in self._patterns)
        )


def _lower(option: str, values: Iterable[str] | None, example: str) -> frozenset[str] | None:
    if values is None:
        return None
    return frozenset(value.lower() for value in strings(option, values, example))


def _origins(values: Iterable[str]) -> frozenset[str]:
    return frozenset(map(read_origin, strings("origins", values, '["https://example.com"]')))


def _of_many(origins: Iterable[str]) -> list[str]:
    return [origin for origin in origins if "*." in origin]


def read_origin(text: str) -> str:
    """
    An origin that may come, as it is compared: as browsers write it, in lower case, without a
    default port, its host in ASCII. Origins of other schemes than ``http`` and ``https``, and words
    of devices, stay as they are.

    :raises ValueError: for one that would never match: with a ``*`` where it means nothing, without
        a scheme, with a path, a query or a user, that of a WebSocket, and several in one string.
    """
    origin = text.lower()
    if origin in ("null", EVERYBODY) or origin.startswith("file:"):
        return origin
    if not origin or re.search(r"[\s,]", origin):
        raise ValueError(f"expected one Origin, such as https://example.com: {text!r}")
    if "*" in origin and not _PATTERN.fullmatch(origin):
        raise ValueError(
            f"expected * alone or in the place of the first names, https://*.example.com: {text}"
        )
    if (socket := _OF_A_SOCKET.fullmatch(origin)) is not None:
        raise ValueError(f"expected the Origin of a page, http{socket[1]}://{socket[2]}: {text}")
    web = _WEB.fullmatch(origin)
    if web is not None:
        return _written(web, text)
    if (more := _WITH_MORE.fullmatch(origin)) is not None:
        raise ValueError(
            f"expected an Origin without a path or a user, such as {more[1]}{more[2]}: {text}"
        )
    if "://" not in origin and _NAME_OR_ADDRESS.fullmatch(origin):
        scheme = re.sub(r"^(?:https?:)?/*", "https://", origin)
        raise ValueError(f"expected an Origin with its scheme, such as {scheme}: {text}")
    return origin


def _written(web: re.Match[str], text: str) -> str:
    """An origin of the web as browsers write it."""
    scheme, host, port = web.groups()
    star = "*." if host.startswith("*.") else ""
    try:
        if host.startswith("["):
            host = f"[{IPv6Address(host[1:-1]).compressed}]"
        elif not host.isascii():
            host = star + ascii_host(host.removeprefix(star))
        if port is not None and int(port) > 65535:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"expected an Origin with a host and at most a port, https://example.com:8443: {text}"
        ) from None
    return _without_default_port(f"{scheme}://{host}" + (f":{port}" if port else ""))


def _without_default_port(origin: str) -> str:
    if not origin.endswith((":80", ":443")):
        return origin
    match = _DEFAULT_PORT.fullmatch(origin)
    return origin if match is None else match[1] or match[2]


def of_a_browser(origin: str) -> bool:
    """
    Whether a browser can have written an Origin: ``null``, or a scheme, ``://`` and a host.

    Devices and libraries write others: a word, ``*``, a host and port, a URL with a path, nothing
    at all. A page cannot make a browser do so.
    """
    return _OF_A_BROWSER.search(origin.lower()) is not None


def same_host(origin: str, host: str, secure: bool = False) -> bool:
    """
    Whether a page of ``origin`` was served by what the request calls ``host``.

    A port that a scheme implies counts as none. ``null`` and ``file://`` name no host and are
    foreign.

    :param secure: the client is known to have come by TLS; then a page that came by ``http`` is
        another's: whoever is in its way wrote it. Otherwise the scheme may be either, since TLS may
        end at a reverse proxy.
    """
    if origin == (f"https://{host}" if secure else f"http://{host}"):
        return True
    scheme, separator, authority = origin.lower().partition("://")
    if not separator or not authority or (secure and scheme != "https"):
        return False
    usual = {"http": ":80", "https": ":443"}.get(scheme)
    if usual is not None:
        authority = authority.removesuffix(usual)
    return authority == re.sub(r":443$" if secure else r":(80|443)$", "", host.lower())


def _pattern_of(origin: str) -> re.Pattern[str]:
    match = _PATTERN.fullmatch(origin)
    assert match is not None
    scheme, name = match.groups()
    return re.compile(re.escape(scheme) + _BELOW + re.escape(name))


def _without_port(host: str) -> str:
    return re.sub(r":[0-9]*$", "", host)
