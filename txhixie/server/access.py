"""Access rules of a server: ``Origin`` of pages that may connect, its own ``Host``, and dialects.

The first two protect users of browsers. A program can send any ``Origin``, but a page cannot make a
browser send a wrong one. Without them a foreign page could use the cookies of its visitor and
the visitor's place in the network (RFC 6455 section 10.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address
from typing import Final

from ..sansio.arguments import strings
from ..sansio.dialects import DIALECTS, Dialect, named, not_spoken, refusal
from ..sansio.handshake.offer import Offer, Refusal
from ..sansio.http.url import ascii_host
from ..sansio.quirks import NO_QUIRKS, read_quirks

EVERYBODY: Final = "*"
"""Wildcard among the allowed origins or hosts: all of them."""

_PATTERN: Final = re.compile(r"([a-z][a-z0-9+.-]*://)\*(\.[^/?#*\s]+)")
"""A pattern of origins: ``https://*.example.com``, with or without a port."""

_WEB: Final = re.compile(r"(https?)://([^\s/?#@\[\]:]+|\[[0-9a-f:.]+\])(?::0*([0-9]{1,5}))?")
_WITH_MORE: Final = re.compile(r"(https?://)(?:[^/?#@]*@)?([^/?#@]+)[/?#]?.*")
"""The URL of a page instead of its origin, or a URL with a user name: browsers write neither."""

_OF_A_SOCKET: Final = re.compile(r"ws(s?)://([^/?#@]+)(?:[/?#].*)?")
_NAME_OR_ADDRESS: Final = re.compile(r"localhost(?::.*)?|.*[.:/].*|\[.*")
"""A host or an address without a scheme. A single word does not match: some devices send a word as
their origin, and such a word may be allowed."""

_DEFAULT_PORT: Final = re.compile(r"(http://.*):80|(https://.*):443")
"""An origin with the default port, which browsers leave out (RFC 6454 section 6.2)."""

_BELOW: Final = r"(?:[a-z0-9_-]+\.)*[a-z0-9_-]+"
"""Regular expression for the ``*`` of a pattern: one label of a host's name, or several."""

_OF_A_BROWSER: Final = re.compile(
    r"(?:^|[\s,])(?:null|file:.*|(?:[a-z][a-z0-9+.-]*)?://[^\s,/?#]*)(?=$|[\s,])"
)
"""An origin as browsers write it (RFC 6454 section 6.2), alone or in a list of origins (section
7.1). WebKit wrote ``file://`` where other browsers write ``null``."""


class Policy:
    """
    Access rules of one server, or of one route of the daemon.

    :ivar origins: allowed origins as browsers write them, in lower case; ``None`` for the default,
        which allows the origin with the host of the request.
    :ivar hosts: allowed names of the server, in lower case; ``None`` for any name.
    :ivar dialects: accepted dialects, the oldest first.
    :ivar quirks: deviations of clients that are let in, by their words in
        :data:`txhixie.sansio.quirks.QUIRKS`.
    """

    def __init__(
        self,
        origins: Iterable[str] | None = None,
        hosts: Iterable[str] | None = None,
        dialects: Sequence[Dialect] = DIALECTS,
        quirks: Iterable[str] = (),
    ) -> None:
        """
        :param origins: allowed origins: such as ``http://example.com:8080``,
            ``https://*.example.com`` for all names below ``example.com``, ``null`` for local pages
            and sandboxed frames, an origin of another scheme, a word that a device sends (case is
            ignored), or ``*`` for all origins. See :func:`read_origin`.
        :param hosts: allowed names of this server, each with or without a port. A request with a
            foreign name may be a DNS rebinding attack. ``*`` for any name.
        :param dialects: accepted dialects.
        :param quirks: deviations of clients to let in, by their words.
        :raises TypeError: for one string instead of several, and for values that are not ``str``.
        :raises ValueError: for an origin that no browser writes so, for a host that is a URL, and
            for an unknown quirk.
        """
        self.quirks = read_quirks(quirks) if quirks else NO_QUIRKS
        self.origins = None if origins is None else _origins(origins)
        self._patterns = tuple(map(_pattern_of, sorted(_of_many(self.origins or ()))))
        self.hosts = _hosts(hosts)
        self.dialects = tuple(dialects)
        self._names = frozenset(dialect.name for dialect in self.dialects)

    def allows(self, offer: Offer) -> bool:
        """Whether the rules allow the dialect, the ``Host`` and the ``Origin`` of an offer."""
        return (
            offer.dialect in self._names
            and (self.hosts is None or self._has_allowed_host(offer.host))
            and (offer.origin is None or self._has_allowed_origin(offer))
        )

    def refuses(self, offer: Offer) -> Refusal | None:
        """
        Return the refusal of an offer: 426 for a dialect, 403 for a foreign host or origin.

        :return: ``None`` for an allowed offer, and for an offer with an ``Origin`` that no rule
            allows and that no browser writes.
        """
        if offer.dialect not in self._names:
            return refusal(not_spoken(named(offer.dialect)), self.dialects)
        if (foreign := self.refuses_host(offer.host)) is not None:
            return foreign
        if self._has_allowed_origin(offer) or not of_a_browser(offer.origin or ""):
            return None
        why = "Origin not allowed (origins, --origins)"
        return Refusal(403, "Origin not allowed\n", why=why, cause="origin")

    def refuses_host(self, host: str) -> Refusal | None:
        """
        Return a refusal with status 403 for a foreign name of this server; otherwise ``None``.

        :param host: the ``Host`` of a handshake, or of a request for a page.
        """
        if self._has_allowed_host(host):
            return None
        why = "Host not allowed (hosts, --hosts)"
        return Refusal(403, "Host not allowed\n", why=why, cause="host")

    def _has_allowed_host(self, host: str) -> bool:
        if self.hosts is None:
            return True
        host = host.lower()
        return host in self.hosts or _without_port(host) in self.hosts

    def _has_allowed_origin(self, offer: Offer) -> bool:
        if offer.origin is None:
            return True
        if self.origins is None:
            return same_host(offer.origin, offer.host, offer.secure)
        origin = _without_default_port(offer.origin.lower())
        return (
            origin in self.origins
            or EVERYBODY in self.origins
            or any(pattern.fullmatch(origin) for pattern in self._patterns)
        )


def _hosts(values: Iterable[str] | None) -> frozenset[str] | None:
    if values is None:
        return None
    hosts = frozenset(value.lower() for value in strings("hosts", values, '["example.com"]'))
    for host in hosts:
        if "/" in host:
            raise ValueError(f"expected a name such as example.com, with or without a port: {host}")
    return None if EVERYBODY in hosts else hosts


def _origins(values: Iterable[str]) -> frozenset[str]:
    return frozenset(map(read_origin, strings("origins", values, '["https://example.com"]')))


def _of_many(origins: Iterable[str]) -> list[str]:
    return [origin for origin in origins if "*." in origin]


def read_origin(text: str) -> str:
    """
    Return an allowed origin in the form in which origins are compared.

    This is the form that browsers write: in lower case, without a default port, with its host in
    ASCII. Origins of other schemes than ``http`` and ``https``, and words of devices, are only
    changed to lower case.

    :raises ValueError: for an origin that would never match: with a ``*`` in a wrong place, without
        a scheme, with a path, a query or a user name, with the scheme ``ws`` or ``wss``, and for
        several origins in one string.
    """
    origin = text.lower()
    if origin in ("null", EVERYBODY) or origin.startswith("file:"):
        return origin
    if not origin or re.search(r"[\s,]", origin):
        raise ValueError(f"expected one Origin, such as https://example.com: {text!r}")
    if "*" in origin and not _PATTERN.fullmatch(origin):
        raise ValueError(
            f"expected * alone or as the first label of the host, https://*.example.com: {text}"
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
    """Return an ``http`` or ``https`` origin as browsers write it."""
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

    Devices and libraries send other values: a word, ``*``, a host and port, a URL with a path, an
    empty value. A page cannot make a browser send one of these.
    """
    return _OF_A_BROWSER.search(origin.lower()) is not None


def same_host(origin: str, host: str, secure: bool = False) -> bool:
    """
    Whether an origin has the host of the request.

    The default port of a scheme is ignored. ``null`` and ``file://`` have no host and never match.

    :param origin: the origin of the page.
    :param host: the ``Host`` of the request.
    :param secure: whether the client is known to use TLS. An origin with ``http`` does not match
        then, since an attacker in the network can change such a page. If ``False``, either scheme
        matches, since a reverse proxy may terminate TLS.
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
