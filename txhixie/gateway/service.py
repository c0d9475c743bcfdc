"""The gateway between dialects: a client in any dialect, a backend in another.

The program sets the URL of the backend. A client can only choose the path, and only if the URL of
the backend has no path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred

from ..client.endpoint import WebSocketClientEndpoint
from ..connection.option_names import with_names
from ..dialing.tls import clientTLS
from ..dialing.tls_arguments import checkWho
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
"""Default connect timeout in seconds. Linux sends the first packet of a connection again after 1, 3
and 7 seconds: a backend is still reached when three of these packets are lost, and no client has
timed out yet."""

ANSWER: Final = "answer"
RELAY: Final = "relay"
PING_RULES: Final = (ANSWER, RELAY)
"""Values of the option ``pings``, the default first."""


class GatewayService:
    """
    Server factory that relays each client to one backend, with a connection for each client.

    :ivar sessions: the sessions between the clients and the backend.
    """

    @with_names
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
        :param reactor: its resolver, sockets and clock are used.
        :param url: ``ws:`` or ``wss:`` URL of the backend. A URL with a path is used for all
            clients, with the query of the client's request if the URL has no query. A URL without a
            path gets the path and the query of the client's request.
        :param dialect: dialect of the backend.
        :param proxy: URL of an HTTP proxy to connect through; the proxies of the environment are
            never used.
        :param trustRoot: trusted certificates; by default the platform's CA certificates.
        :param certificate: client certificate with its private key.
        :param origin: origin to send to the backend; by default the client's origin.
        :param passHeaders: names of the header fields of the client's request that are passed on
            to the backend, besides ``Cookie``.
        :param binary: what to do with a binary message for a side whose dialect has no binary
            messages: ``"base64"`` sends the message as text in base64, ``"refuse"`` closes the
            conversation with 1003.
        :param pings: ``"answer"``: the gateway answers pings itself; ``"relay"``: pings and pongs
            are passed on, if both dialects have them.
        :param extensions: extensions to offer to the backend, such as
            :data:`txhixie.extensions.CLIENT_EXTENSIONS` for a distant backend; none by default.
        :param lenient: accept responses with known faults (of Netty, in hixie-76).
        :param alpn: protocols to offer to the backend by ALPN (RFC 7301); by default none.
        :param proxyBasic: ``False`` to send a password by Basic (RFC 7617) only to a proxy with an
            ``https:`` URL.
        :param timeout: timeout of each stage of the connect to the backend in seconds: lookup, TCP,
            proxy, TLS, handshake; by default ``connectTimeout``.
        :param connectTimeout: timeout of all these stages together, in seconds; after this time the
            client is refused with 504.
        :param limits: limits of each connection to the backend; sizes in bytes, times in seconds.
        :param route: route that leads to the gateway, for the log.
        :raises ValueError: "expected ..." for an invalid value.
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
            # Once for all clients: to read the platform's CA certificates takes longer than all
            # other steps of a connect.
            tls = {"contextFactory": clientTLS(parsed.name, **tls)}
        self._options: dict[str, Any] = {
            **tls,
            "proxy": proxy,
            "proxyBasic": proxyBasic,
            "anyPort": True,  # the URL is the operator's, not a page's
            "dialect": dialect,
            "extensions": extensions,
            "lenient": lenient,
            "limits": instance("limits", limits, Limits).with_stage_timeout(stage),
        }
        self._hasPath = re.search("://[^/?]*[/?]", url) is not None
        self._hasQuery = "?" in parsed.resource
        self._hasCredentials = parsed.credentials is not None
        # Raise errors of the options here, not for each client.
        WebSocketClientEndpoint.new(reactor, url, origin=origin, **self._options)
        backend = parsed.location.removesuffix(parsed.resource)
        self.sessions = Sessions(backend, reactor, connectTimeout, limits, route)

    def buildProtocol(self, offer: Offer) -> Deferred[Decision] | Refusal:
        """
        Connect to the backend for a client.

        :param offer: the client's offer.
        :return: fires with the decision about the client's handshake when the backend has accepted
            or refused; or, at once, a refusal of an offer that cannot be written for the backend.
        """
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
            return Refusal(400, f"the request cannot be written in {self._dialect.name}\n")
        pings = self._relaysPings and self._dialect.has_pings and named(offer.dialect).has_pings
        backend = WebSocketBackend(endpoint, self._dialect, self._binary, pings)
        return self.sessions.begin(backend)

    def _urlFor(self, offer: Offer) -> str:
        if not self._hasPath:
            return self._url + offer.target
        query = offer.target.partition("?")[1:]
        return self._url if self._hasQuery else self._url + "".join(query)

    def _subprotocols(self, offer: Offer) -> tuple[str, ...]:
        """Return the subprotocols to offer: tokens; in the Hixie drafts the client's first one."""
        if not isinstance(self._dialect.marker, Version):
            return offer.subprotocols[:1]
        return tuple(filter(is_token, offer.subprotocols))

    def _headers(self, offer: Offer) -> Headers:
        """Return the client's header fields to pass on, and the ``Forwarded`` fields about it."""
        names = self._names - ({b"authorization"} if self._hasCredentials else set())
        return (
            *fields_of(offer, names),
            *write_forwarded(offer.client, offer.secure, offer.host),
        )
