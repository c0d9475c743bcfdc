"""Who may come in: which pages (Origin), and under which names (Host).

Only browsers are bound by this, and only they need to be: a program can claim any origin, but a
browser cannot be made to lie by a page, which would otherwise use its visitor's cookies and his
place in the network (RFC 6455 section 10.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .arguments import strings
from .handshake.offer import Offer, Refusal


class Policy:
    """
    The rules of one server.

    :ivar origins: exact origins that may come, in lower case; ``None`` for the default, which is
        the host the request itself names.
    :ivar hosts: names that are served, in lower case; ``None`` for any.
    """

    def __init__(
        self, origins: Iterable[str] | None = None, hosts: Iterable[str] | None = None
    ) -> None:
        """
        :param origins: such as ``http://example.com:8080``, or ``null`` for local pages and
            sandboxed frames, or ``*`` for all.
        :param hosts: names under which this server is known, each with or without a port. A
            foreign one is what DNS rebinding looks like.
        :raises TypeError: for one string where several belong, and for what is not ``str``.
        """
        self.origins = _lower("origins", origins, '["https://example.com"]')
        self.hosts = _lower("hosts", hosts, '["example.com"]')

    def refuses(self, offer: Offer) -> Refusal | None:
        """A 403 that says why, or ``None`` for whom nothing is said against."""
        host = offer.host.lower()
        if self.hosts is not None and self.hosts.isdisjoint((host, _without_port(host))):
            return Refusal(403, "this server is not known under the Host of the request\n")
        if offer.origin is None or self._welcomes(offer.origin.lower(), offer):
            return None
        return Refusal(403, "pages of this Origin may not connect here\n")

    def _welcomes(self, origin: str, offer: Offer) -> bool:
        if self.origins is None:
            return same_host(origin, offer.host)
        return "*" in self.origins or origin in self.origins


def _lower(option: str, values: Iterable[str] | None, example: str) -> frozenset[str] | None:
    if values is None:
        return None
    return frozenset(value.lower() for value in strings(option, values, example))


def same_host(origin: str, host: str) -> bool:
    """
    Whether a page of ``origin`` was served by what the request calls ``host``.

    The scheme may differ, since TLS may end before us; a port that a scheme implies counts as none.
    ``null`` and ``file://`` name no host and are foreign.
    """
    if origin == f"http://{host}":
        return True
    scheme, separator, authority = origin.lower().partition("://")
    if not separator or not authority:
        return False
    usual = {"http": ":80", "https": ":443"}.get(scheme)
    if usual is not None:
        authority = authority.removesuffix(usual)
    return authority == re.sub(r":(80|443)$", "", host.lower())


def _without_port(host: str) -> str:
    return re.sub(r":[0-9]*$", "", host)
