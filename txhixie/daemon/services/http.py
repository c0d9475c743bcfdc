"""The service ``pages`` of the daemon: the pages of an HTTP backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ...dialing.dialer import Dialer
from ...gateway.backend_url import BackendURL
from ...gateway.headers import read_names
from ...gateway.pages import CONNECTIONS, RESPONSE_TIMEOUT, BackendPages
from ..backend_options import BACKEND_OPTIONS, TLS_OPTIONS, certificate_of
from ..setting import SOME_SECONDS, Setting, ValueKind, number
from .service import Context

SCHEMES: Final = ("http", "https")

PAGE_OPTIONS: Final = (
    Setting(
        "pass-headers",
        ValueKind("names of header fields, with commas", read_names),
        "Header fields with credentials, such as authorization, that the backend gets although a "
        "condition of the route has used them, separated by commas.",
        "none",
    ),
    Setting(
        "response-timeout",
        SOME_SECONDS,
        "Seconds for the head of a response of the backend, and then between two parts of its "
        "body. A client that reads slowly does not count.",
        f"{RESPONSE_TIMEOUT:g}",
    ),
    Setting(
        "connections",
        number("connections"),
        "Most connections to the backend at a time, one for each request. Further requests wait, "
        "and are refused with 503 after --connect-timeout.",
        f"{CONNECTIONS}",
    ),
    *TLS_OPTIONS,
    *BACKEND_OPTIONS,
)


def build_pages(
    reactor: Any, description: str, options: Mapping[str, Any], context: Context
) -> BackendPages:
    """
    Make the pages of an HTTP backend.

    :raises ValueError: for a bad URL, and for a certificate or a key that cannot be read.
    """
    try:
        backend = BackendURL.read(description, SCHEMES)
    except ValueError as error:
        raise ValueError(f"expected http://HOST:PORT or https://HOST:PORT: {error}") from None
    stage = options.get("stage-timeout", context.connectTimeout)
    dialer = Dialer(
        reactor,
        context.limits.with_stage_timeout(stage),
        trustRoot=options.get("trust-root"),
        certificate=certificate_of(options),
    )
    return BackendPages(
        reactor,
        backend,
        dialer,
        headers=tuple(options.get("header", ())),
        backendHost=options.get("backend-host"),
        stripPrefix=context.route.path if options.get("strip-prefix") else "",
        connectTimeout=context.connectTimeout,
        responseTimeout=options.get("response-timeout", RESPONSE_TIMEOUT),
        connections=context.partOf(options.get("connections", CONNECTIONS)),
        limits=context.limits,
        route=str(context.route),
    )
