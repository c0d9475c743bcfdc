"""The gateway between dialects: a client in any of them, a backend in another.

Where it goes is the program's URL; a client has no say in it, but for the path where that URL has
none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred

from ..client.endpoint import WebSocketClientEndpoint
from ..dialing.tls import checkWho, clientTLS
from ..interfaces import Decision
from ..sansio.arguments import instance, scalars, strings, word
from ..sansio.dialects import Version, named
from ..sansio.errors import UnsupportedByDialect
from ..sansio.extensions.extension import Extension
from ..sansio.handshake.offer import Offer, Refusal
from ..sansio.http.forwarded import write_forwarded
from ..sansio.http.url import parse_url
from ..sansio.limits import Limits
from ..sansio.types import Headers
from .headers import PASSED_HEADERS, fields_of, is_token, read_names
from .session import Sessions
from .websocket_backend import BINARY_RULES, REFUSE, WebSocketBackend

CONNECT_TIMEOUT: Final = 10.0
"""Seconds. Linux sends the first packet of a connection again after 1, 3 and 7: a backend behind a
line that loses three of them is still reached, and no client has given up yet."""

ANSWER: Final = "answer"
RELAY: Final = "relay"
PING_RULES: Final = (ANSWER, RELAY)
"""Values of the option ``pings``, the default first."""


class GatewayService:
    """
    Relays everybody to one backend, each client by a connection of its own.

    :ivar sessions: those connections.
    """

    def __init__(
        self,
        reactor: Any,
        url: str,
        *,
        dialect: str = "rfc6455",
        proxy: str | None = None,
        trustRoot: Any = None,
        certificate: Any = None,
        origin: str | None = None,
        passHeaders: Sequence[str] = PASSED_HEADERS,
        binary: str = REFUSE,
        pings: str = ANSWER,
        extensions: Iterable[Extension] = (),
        lenient: bool = False,
        alpn: Sequence[str] = (),
        proxyBasic: bool = True,
        timeout: float | None = None,
        connectTimeout: float = CONNECT_TIMEOUT,
        limits: Limits = Limits(),
        route: str | None = None,
    ) -> None:
        """
        :param reactor: whose resolver, sockets and clock are used.
        :param url: ``ws:`` or ``wss:``. If it has a path, everybody gets there, with the query of
            his own request where the URL has none; if not, to the path that he asked for.
        :param dialect: what the backend speaks.
        :param proxy: the URL of a proxy to go through; never by what the environment says.
        :param trustRoot: the trusted certificates; by default the platform's CA certificates.
        :param certificate: the client certificate with its private key.
        :param origin: the page on whose behalf we come; by default the client's own.
        :param passHeaders: names of the header fields of the client's request that are passed on
            to the backend, besides ``Cookie``.
        :param binary: what becomes of a binary message towards a dialect without them: ``"base64"``
            sends it as text, ``"refuse"`` closes the conversation with 1003.
        :param pings: ``"answer"`` answers a ping here; ``"relay"`` passes pings and pongs on, where
            both dialects have them.
        :param extensions: extensions to offer to the backend, such as
            :data:`txhixie.extensions.CLIENT_EXTENSIONS` for one that is far; none by default.
        :param lenient: take answers that are known to be nearly right (Netty's, in hixie-76).
        :param proxyBasic: ``False`` to send a password by Basic only to a proxy of ``https:``.
        :param alpn: protocols to offer the backend by ALPN (RFC 7301); by default none.
        :param timeout: seconds for each stage of connecting to the backend: lookup, TCP, proxy,
            TLS, handshake; by default ``connectTimeout``.
        :param connectTimeout: seconds for all these stages together; then the client is refused
            with 504.
        :param route: what leads here, for the log.
        :raises ValueError: "expected ..." for what cannot be meant.
        :raises TypeError: for a value of another type.
        """
        scalars(float, connectTimeout=connectTimeout)
        if timeout is not None:
            scalars(float, timeout=timeout)
        stage = connectTimeout if timeout is None else timeout
        if route is not None:
            scalars(str, route=route)
        checkWho(trustRoot, certificate, None)
        self._reactor = reactor
        self._url = url
        self._dialect = named(dialect)
        self._origin = origin
        passed = strings("passHeaders", passHeaders, '["authorization"]')
        names = read_names(",".join(passed)) if passed else ()
        self._names = {b"cookie", *(name.lower().encode("ascii") for name in names)}
        self._binary = word("binary", binary, BINARY_RULES)
        self._relaysPings = word("pings", pings, PING_RULES) == RELAY
        parsed = parse_url(url)
        tls: dict[str, Any] = {
            "trustRoot": trustRoot,
            "certificate": certificate,
            "alpn": alpn,
        }
        if parsed.secure and proxy is None:
            # Once: reading the platform's authorities takes longer than all the rest.
            tls = {"contextFactory": clientTLS(parsed.name, **tls)}
        self._options: dict[str, Any] = {
            **tls,
            "proxy": proxy,
            "proxyBasic": proxyBasic,
            "anyPort": True,  # the operator knows his backends
            "dialect": dialect,
            "extensions": extensions,
            "lenient": lenient,
            "limits": instance("limits", limits, Limits).with_stage_timeout(stage),
        }
        self._hasPath = re.search("://[^/?]*[/?]", url) is not None
        self._hasQuery = "?" in parsed.resource
        self._hasCredentials = parsed.credentials is not None
        WebSocketClientEndpoint.new(reactor, url, origin=origin, **self._options)  # or say why not
        backend = parsed.location.removesuffix(parsed.resource)
        self.sessions = Sessions(backend, reactor, connectTimeout, limits, route)

    def buildProtocol(self, offer: Offer) -> Deferred[Decision] | Refusal:
        """Connect; the client is answered when the backend has agreed."""
        try:
            endpoint = WebSocketClientEndpoint.new(
                self._reactor,
                self._urlFor(offer),
                origin=self._origin or offer.origin,
                subprotocols=self._subprotocols(offer),
                headers=self._headers(offer),
                **self._options,
            )
        except (ValueError, UnsupportedByDialect):
            return Refusal(400, f"this cannot be said in {self._dialect.name}\n")
        pings = self._relaysPings and self._dialect.has_pings and named(offer.dialect).has_pings
        backend = WebSocketBackend(endpoint, self._dialect, self._binary, pings)
        return self.sessions.begin(backend)

    def _urlFor(self, offer: Offer) -> str:
        if not self._hasPath:
            return self._url + offer.target
        query = offer.target.partition("?")[1:]
        return self._url if self._hasQuery else self._url + "".join(query)

    def _subprotocols(self, offer: Offer) -> tuple[str, ...]:
        """What can be asked for: tokens, or in the Hixie drafts one string, the client's first."""
        if not isinstance(self._dialect.marker, Version):
            return offer.subprotocols[:1]
        return tuple(filter(is_token, offer.subprotocols))

    def _headers(self, offer: Offer) -> Headers:
        """What the client says of itself, and what we say of it."""
        names = self._names - ({b"authorization"} if self._hasCredentials else set())
        return (
            *fields_of(offer, names),
            *write_forwarded(offer.client, offer.secure, offer.host),
        )
