"""The gateway between dialects: a client in any dialect, a backend in another.

The program sets the URL of the backend. A client can only choose the path, and only if the URL of
the backend has no path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred

from ..client.endpoint import WebSocketClientEndpoint
from ..connection.option_names import with_names
from ..dialing.dialer import Dialer
from ..dialing.tls_arguments import checkWho
from ..interfaces import Decision
from ..sansio.arguments import instance, scalars, strings, whole_text, word
from ..sansio.dialects import Version, named
from ..sansio.errors import MalformedHead, UnsupportedByDialect
from ..sansio.extensions.extension import Extension
from ..sansio.handshake.offer import Offer, Refusal
from ..sansio.http.forwarded import write_forwarded
from ..sansio.http.head import header_pairs, read_authority
from ..sansio.limits import Limits
from ..sansio.types import Headers, HeadersLike
from .backend_url import KEEP, BackendURL, withoutPrefix
from .headers import PASSED_HEADERS, checked_fields, fields_of, is_token, read_names
from .relay_service import RelayService
from .websocket_backend import BINARY_RULES, REFUSE, WebSocketBackend

CONNECT_TIMEOUT: Final = 10.0
"""Default connect timeout in seconds. Linux sends the first packet of a connection again after 1, 3
and 7 seconds: a backend is still reached when three of these packets are lost, and no client has
timed out yet."""

ANSWER: Final = "answer"
RELAY: Final = "relay"
PING_RULES: Final = (ANSWER, RELAY)
"""Values of the option ``pings``, the default first."""


class GatewayService(RelayService):
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
        headers: HeadersLike = (),
        backendHost: str | None = None,
        stripPrefix: str | None = None,
        binary: str = REFUSE,
        pings: str = ANSWER,
        extensions: Iterable[Extension] = (),
        lenient: bool = False,
        alpn: Sequence[str] = (),
        proxyBasic: bool = True,
        timeout: float | None = None,
        connectTimeout: float = CONNECT_TIMEOUT,
        limits: Limits = Limits(),
        connectionPoller: bool = True,
        route: str | None = None,
    ) -> None:
        """
        :param reactor: its resolver, sockets and clock are used.
        :param url: ``ws:`` or ``wss:`` URL of the backend; ``ws://unix:/SOCKET`` or
            ``ws://unix:/SOCKET:/PATH`` for a UNIX socket. A URL with a path is used for all
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
        :param headers: header fields to add to each request to the backend, pairs of a name and a
            value or a mapping. They replace fields of the client's request with the same name.
        :param backendHost: the ``Host`` of the request to the backend: a host, or ``"keep"`` for
            the ``Host`` of the client's request; by default the host of the URL. TLS verifies the
            name of the URL all the same.
        :param stripPrefix: path of the route, which is removed from the path of the client's
            request. The backend finds the removed part in ``X-Forwarded-Prefix``.
        :param binary: what to do with a binary message for a side with a dialect without
            binary messages: ``"base64"`` sends the message as text in base64, ``"refuse"`` closes
            the conversation with 1003.
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
        :param connectionPoller: as for :class:`txhixie.HixieClientFactory`.
        :param route: route that leads to the gateway, for the log.
        :raises ValueError: "expected ..." for an invalid value.
        :raises TypeError: for a value of another type.
        """
        scalars(float, connectTimeout=connectTimeout)
        scalars(bool, proxyBasic=proxyBasic)
        if timeout is not None:
            scalars(float, timeout=timeout)
        stage = connectTimeout if timeout is None else timeout
        if route is not None:
            scalars(str, route=route)
        checkWho(trustRoot, certificate, None)
        self._dialect = named(dialect)
        self._origin = origin
        passed = strings("passHeaders", passHeaders, '["authorization"]')
        names = read_names(",".join(passed)) if passed else ()
        self._names = {b"cookie", *(name.lower().encode("ascii") for name in names)}
        self._fixed = checked_fields(header_pairs(headers))
        self._backendHost = _checkedHost(backendHost)
        self._stripPrefix = "" if stripPrefix is None else whole_text("stripPrefix", stripPrefix)
        self._binary = word("binary", binary, BINARY_RULES)
        self._relaysPings = word("pings", pings, PING_RULES) == RELAY
        self._backend = backend = BackendURL.read(url)
        if self._stripPrefix and backend.resource:
            raise ValueError(
                "stripPrefix: expected a URL without a path: every client gets the path of the URL"
            )
        limits = instance("limits", limits, Limits)
        dialer = Dialer(
            reactor,
            limits.with_stage_timeout(stage),
            proxy,
            trustRoot,
            certificate,
            alpn=strings("alpn", alpn, '["http/1.1"]'),
            proxyBasic=proxyBasic,
        )
        # Once for all clients: to read the platform's CA certificates takes longer than all other
        # steps of a connect.
        self._endpoint = backend.endpoint(reactor, dialer)
        self._options: dict[str, Any] = {
            "dialect": dialect,
            "extensions": extensions,
            "lenient": lenient,
            "limits": dialer.limits,
            "connectionPoller": connectionPoller,
            "clock": reactor,
        }
        # Raise errors of the options here, not for each client.
        WebSocketClientEndpoint(
            self._endpoint, self._urlAt("/"), origin=origin, headers=self._fixed, **self._options
        )
        self._connectTimeout = connectTimeout
        super().__init__(reactor, backend.shown, limits, route)

    def buildProtocol(self, offer: Offer) -> Deferred[Decision] | Refusal:
        """
        Connect to the backend for a client.

        :param offer: the client's offer.
        :return: fires with the decision about the client's handshake when the backend has accepted
            or refused; or, at once, a refusal of an offer that cannot be written for the backend.
        """
        return self.reach(offer, self._connectTimeout)

    def backendFor(self, offer: Offer) -> WebSocketBackend | Refusal:
        """
        Make the backend side of a session.

        :param offer: the client's offer.
        :return: the backend side; or a refusal of an offer that cannot be written in the dialect of
            the backend.
        """
        try:
            endpoint = WebSocketClientEndpoint(
                self._endpoint,
                self._urlFor(offer),
                origin=self._origin or offer.origin,
                subprotocols=self._subprotocols(offer),
                headers=self._headers(offer),
                **self._options,
            )
        except (ValueError, UnsupportedByDialect):
            return Refusal(400, f"the request cannot be written in {self._dialect.name}\n")
        pings = self._relaysPings and self._dialect.has_pings and named(offer.dialect).has_pings
        return WebSocketBackend(endpoint, self._dialect, self._binary, pings)

    def _urlFor(self, offer: Offer) -> str:
        """Return the URL of a client's request, with the ``Host`` for the backend as its host."""
        resource = self._backend.resource
        if not resource:
            resource = withoutPrefix(offer.target, self._stripPrefix)
        elif "?" not in resource:
            resource += "".join(offer.target.partition("?")[1:])
        return self._urlAt(resource, offer.host)

    def _urlAt(self, resource: str, asked: str = "") -> str:
        backend = self._backend
        userinfo = f"{backend.userinfo}@" if backend.userinfo else ""
        host = backend.host(self._backendHost, asked)
        return f"{backend.scheme}://{userinfo}{host}{resource}"

    def _subprotocols(self, offer: Offer) -> tuple[str, ...]:
        """Return the subprotocols to offer: tokens; in the Hixie drafts the client's first one."""
        if not isinstance(self._dialect.marker, Version):
            return offer.subprotocols[:1]
        return tuple(filter(is_token, offer.subprotocols))

    def _headers(self, offer: Offer) -> Headers:
        """Return the fields of the request to the backend: passed on, forwarded and fixed ones."""
        names = self._names - {name.lower() for name, _ in self._fixed}
        if self._backend.parsed.credentials is not None:
            names = names - {b"authorization"}
        return (
            *fields_of(offer, names),
            *write_forwarded(offer.client, offer.secure, offer.host, self._prefix),
            *self._fixed,
        )

    @property
    def _prefix(self) -> str:
        """The part of the client's path that the backend does not get; empty for none."""
        return self._stripPrefix.removesuffix("/")


def _checkedHost(host: str | None) -> str | None:
    if host is not None and host != KEEP:
        try:
            read_authority(whole_text("backendHost", host).encode("ascii", "replace"))
        except MalformedHead:
            raise ValueError(f"backendHost {host}: expected keep, HOST or HOST:PORT") from None
    return host
