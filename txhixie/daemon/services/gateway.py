"""The gateway between dialects: a client in any of them, a backend in another.

Where it goes is the operator's URL; a client has no say in it, but for the path where that URL has
none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred

from ...client.endpoint import WebSocketClientEndpoint
from ...dialing.pem import certificateFromPaths, trustRootFromPath
from ...dialing.proxy import parse_proxy
from ...dialing.tls import alpnNames, clientTLS
from ...gateway.headers import CARRIED, fields_of, is_token, read_names
from ...gateway.session import Sessions
from ...gateway.websocket_backend import BINARY_RULES, REFUSE, WebSocketBackend
from ...interfaces import Decision
from ...sansio.dialects import DIALECTS, Version, named
from ...sansio.errors import UnsupportedByDialect
from ...sansio.extensions import CLIENT_EXTENSIONS
from ...sansio.handshake.offer import Offer, Refusal
from ...sansio.http.forwarded import write_forwarded
from ...sansio.http.url import parse_url
from ...sansio.limits import Limits
from ...sansio.types import Headers
from ..setting import FLAG, TEXT, Kind, Setting, one_of
from .service import CONNECT_TIMEOUT, Context


class GatewayService:
    """
    Relays everybody to one backend, each client by a connection of its own.

    :ivar crossings: those connections.
    """

    def __init__(
        self,
        reactor: Any,
        url: str,
        *,
        dialect: str = "rfc6455",
        proxy: str | None = None,
        trustRoot: Any = None,
        clientCertificate: Any = None,
        origin: str | None = None,
        headers: Sequence[str] = CARRIED,
        binary: str = REFUSE,
        relaysPings: bool = False,
        compresses: bool = False,
        lenient: bool = False,
        alpn: Sequence[str] = (),
        proxyBasic: bool = True,
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
        :param trustRoot: whose word is taken for who the backend is; by default the platform's
            authorities.
        :param clientCertificate: who we are, for backends that ask.
        :param origin: the page on whose behalf we come; by default the client's own.
        :param headers: names of further fields of the client's request that are carried over.
        :param binary: what becomes of binary towards a dialect without it, one of
            :data:`txhixie.gateway.websocket_backend.BINARY_RULES`.
        :param relaysPings: pass pings and pongs on, where both dialects have them, instead of
            answering them.
        :param compresses: offer compression to the backend: for one that is far.
        :param lenient: take answers that are known to be nearly right (Netty's, in hixie-76).
        :param proxyBasic: ``False`` to send a password by Basic only to a proxy of ``https:``.
        :param alpn: protocols to offer the backend by ALPN (RFC 7301); by default none.
        :param connectTimeout: seconds until a backend that does not answer is given up, with a 504.
        :param route: what leads here, for the log.
        :raises ValueError: "expected ..." for what cannot be meant.
        """
        self._reactor = reactor
        self._url = url
        self._dialect = named(dialect)
        self._origin = origin
        names = read_names(",".join(headers)) if headers else ()
        self._names = {b"cookie", *(name.lower().encode("ascii") for name in names)}
        self._binary = binary
        self._relaysPings = relaysPings
        parsed = parse_url(url)
        tls: dict[str, Any] = {
            "trustRoot": trustRoot,
            "clientCertificate": clientCertificate,
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
            "extensions": CLIENT_EXTENSIONS if compresses else (),
            "lenient": lenient,
            "limits": limits.patient(connectTimeout),
        }
        self._hasPath = re.search("://[^/?]*[/?]", url) is not None
        self._hasQuery = "?" in parsed.resource
        self._hasCredentials = parsed.credentials is not None
        WebSocketClientEndpoint.new(reactor, url, origin=origin, **self._options)  # or say why not
        backend = parsed.location.removesuffix(parsed.resource)
        self.crossings = Sessions(backend, reactor, connectTimeout, limits, route)

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
        relay = WebSocketBackend(endpoint, self._dialect, self._binary, pings)
        return self.crossings.begin(relay)

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


def _proxy(text: str) -> str:
    try:
        parse_proxy(text)
    except ValueError as error:
        raise ValueError(f"expected the URL of an HTTP proxy: {error}") from None
    return text


def _trustRoots(path: str) -> Any:
    try:
        return trustRootFromPath(path)
    except OSError as error:
        raise ValueError(f"expected certificates in PEM: {error.strerror}") from None
    except ValueError:
        raise ValueError from None  # whose words name the file, as does whoever asks


def _alpn(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    alpnNames(names)
    return names


def _origin(text: str) -> str:
    if text != "null" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[!-~]*", text):
        raise ValueError
    return text


GATEWAY_OPTIONS: Final = (
    Setting(
        "dialect",
        one_of(dialect.name for dialect in DIALECTS),
        "What the backend speaks.",
        "rfc6455",
    ),
    Setting(
        "proxy",
        Kind("the URL of an HTTP proxy", _proxy),
        "The URL of an HTTP proxy to go through.",
        "none",
    ),
    Setting(
        "trust-roots",
        Kind("certificates in PEM", _trustRoots),
        "A file or directory of certificates, whose word is taken for who the backend is.",
        "the platform's authorities",
    ),
    Setting(
        "proxy-basic",
        FLAG,
        "Whether a proxy's password is sent by Basic also where the proxy is reached without TLS.",
        "true",
    ),
    Setting(
        "alpn",
        Kind("names of protocols, such as http/1.1, with commas", _alpn),
        "Protocols to offer the backend by ALPN in the TLS handshake, with commas.",
        "none",
    ),
    Setting("certificate", TEXT, "A file that says who we are, for backends that ask."),
    Setting("private-key", TEXT, "The file of its key, if that is another."),
    Setting(
        "origin",
        Kind("scheme://host, scheme://host:port or null", _origin),
        "The origin told to the backend.",
        "the client's",
    ),
    Setting(
        "headers",
        Kind("names of fields, with commas", read_names),
        "Fields of the client's request that the backend gets besides its cookies, with commas.",
        ",".join(CARRIED),
    ),
    Setting(
        "binary",
        one_of(BINARY_RULES),
        "What becomes of a binary message towards a side whose dialect has none.",
        REFUSE,
    ),
    Setting(
        "pings",
        one_of(("answer", "relay")),
        "Whether pings are answered here, or passed on where both sides have them.",
        "answer",
    ),
    Setting("compress", FLAG, "Offer compression to the backend."),
    Setting("lenient", FLAG, "Take answers that are known to be nearly right (Netty's hixie-76)."),
)


def buildGateway(
    reactor: Any, description: str, options: Mapping[str, Any], context: Context
) -> GatewayService:
    """
    The row's builder.

    :raises ValueError: for what is no URL, and for files that do not hold what they should.
    """
    try:
        parse_url(description)
    except ValueError as error:
        raise ValueError(f"expected ws://HOST:PORT or wss://HOST:PORT: {error}") from None
    return GatewayService(
        reactor,
        description,
        dialect=options.get("dialect", "rfc6455"),
        proxy=options.get("proxy"),
        trustRoot=options.get("trust-roots"),
        clientCertificate=_certificate(options),
        origin=options.get("origin"),
        headers=options.get("headers", CARRIED),
        binary=options.get("binary", REFUSE),
        relaysPings=options.get("pings") == "relay",
        compresses=options.get("compress", False),
        lenient=options.get("lenient", False),
        alpn=options.get("alpn", ()),
        proxyBasic=options.get("proxy-basic", True),
        connectTimeout=context.connectTimeout,
        limits=context.limits,
        route=str(context.route),
    )


def _certificate(options: Mapping[str, Any]) -> Any:
    path = options.get("certificate")
    if path is None:
        if "private-key" in options:
            raise ValueError("private-key: expected a certificate as well")
        return None
    try:
        return certificateFromPaths(path, options.get("private-key"))
    except OSError as error:
        name, why = error.filename, error.strerror
        raise ValueError(f"certificate {path}: expected a file in PEM: {name}: {why}") from None
    except ValueError as error:
        raise ValueError(f"certificate {error}") from None
