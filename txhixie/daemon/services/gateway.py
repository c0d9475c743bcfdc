"""The service ``gateway`` of the daemon: its options, and the function that makes a gateway."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ...dialing.proxy import parse_proxy
from ...dialing.tls import alpnNames
from ...gateway.backend_url import BackendURL
from ...gateway.headers import PASSED_HEADERS, read_names
from ...gateway.service import ANSWER, PING_RULES, GatewayService
from ...gateway.websocket_backend import BINARY_RULES, REFUSE
from ...sansio.dialects import DIALECTS
from ...sansio.extensions import CLIENT_EXTENSIONS
from ..adaptations import OFF
from ..backend_options import BACKEND_OPTIONS, TLS_OPTIONS, certificate_of
from ..guards.backend_fields import PERMIT_FIELDS
from ..setting import FLAG, Setting, ValueKind, one_of
from .service import Context, Service


def _proxy(text: str) -> str:
    try:
        parse_proxy(text)
    except ValueError as error:
        raise ValueError(f"expected the URL of an HTTP proxy: {error}") from None
    return text


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
        "Dialect of the backend.",
        "rfc6455",
    ),
    Setting(
        "proxy",
        ValueKind("the URL of an HTTP proxy", _proxy),
        "URL of an HTTP proxy to connect through.",
        "none",
    ),
    Setting(
        "proxy-basic",
        FLAG,
        "Whether to send a proxy's password by Basic also to a proxy without TLS.",
        "true",
    ),
    Setting(
        "alpn",
        ValueKind("names of protocols, such as http/1.1, with commas", _alpn),
        "Protocols to offer to the backend by ALPN in the TLS handshake, separated by commas.",
        "none",
    ),
    Setting(
        "origin",
        ValueKind("scheme://host, scheme://host:port or null", _origin),
        "Origin to send to the backend.",
        "the client's origin",
    ),
    Setting(
        "pass-headers",
        ValueKind("names of header fields, with commas", read_names),
        "Header fields of the client's request that are passed on to the backend besides its "
        "cookies, separated by commas.",
        ",".join(PASSED_HEADERS),
    ),
    Setting(
        "binary",
        one_of(BINARY_RULES),
        "What to do with a binary message if the other side's dialect has no binary messages: "
        "close both conversations (refuse), or send the message as text (base64).",
        REFUSE,
    ),
    Setting(
        "pings",
        one_of((*PING_RULES, OFF)),
        "Whether the gateway answers pings itself, or relays pings and pongs if both dialects have "
        "them. off: as answer, and no automatic pings are sent to the client; TCP keep-alive finds "
        "out whether the client has vanished.",
        ANSWER,
    ),
    Setting("backend-compression", FLAG, "Offer compression to the backend.", "false"),
    Setting("lenient", FLAG, "Accept responses with known faults (of Netty, in hixie-76)."),
    *TLS_OPTIONS,
    *BACKEND_OPTIONS,
)


_PERMIT_FIELDS: Final = tuple(name.decode("ascii") for name in sorted(PERMIT_FIELDS))


def check_url(url: str) -> None:
    """
    Check the URL of a backend.

    :raises ValueError: "expected ..." for a bad URL.
    """
    try:
        BackendURL.read(url)
    except ValueError as error:
        raise ValueError(f"expected ws://HOST:PORT or wss://HOST:PORT: {error}") from None


def build_gateway(
    reactor: Any, description: str, options: Mapping[str, Any], context: Context
) -> GatewayService:
    """
    Make a gateway service.

    :raises ValueError: for a bad URL, and for a certificate or a key that cannot be read.
    """
    check_url(description)
    return GatewayService(
        reactor,
        description,
        dialect=options.get("dialect", "rfc6455"),
        proxy=options.get("proxy"),
        trustRoot=options.get("trust-root"),
        certificate=certificate_of(options),
        origin=options.get("origin"),
        passHeaders=(*options.get("pass-headers", PASSED_HEADERS), *_PERMIT_FIELDS),
        headers=options.get("header", ()),
        backendHost=options.get("backend-host"),
        stripPrefix=context.route.path if options.get("strip-prefix") else None,
        binary=options.get("binary", REFUSE),
        pings=ANSWER if (pings := options.get("pings", ANSWER)) == OFF else pings,
        extensions=CLIENT_EXTENSIONS if options.get("backend-compression", False) else (),
        lenient=options.get("lenient", False),
        alpn=options.get("alpn", ()),
        proxyBasic=options.get("proxy-basic", True),
        timeout=options.get("stage-timeout"),
        connectTimeout=context.connectTimeout,
        limits=context.limits,
        connectionPoller=context.connectionPoller,
        route=str(context.route),
    )


GATEWAY: Final = Service("gateway", ("ws", "wss"), GATEWAY_OPTIONS, build_gateway)
"""Row of the table of services."""
