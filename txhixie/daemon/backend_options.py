"""Options of every service that passes requests on to an HTTP or WebSocket backend."""

from __future__ import annotations

from typing import Final

from ..gateway.backend_url import KEEP
from ..gateway.headers import checked_fields
from ..sansio.errors import MalformedHead
from ..sansio.http.head import read_authority, read_header
from ..sansio.types import Headers
from .setting import FLAG, Setting, ValueKind


def _host(text: str) -> str:
    try:
        return text if text == KEEP else read_authority(text.encode("ascii", "replace"))
    except MalformedHead:
        raise ValueError from None


def _header(text: str) -> Headers:
    return checked_fields((read_header(text),))


BACKEND_OPTIONS: Final = (
    Setting(
        "backend-host",
        ValueKind("keep, HOST or HOST:PORT", _host),
        "Host field of the requests to the backend: keep for the client's, or a host.",
        "the host of the backend's URL",
    ),
    Setting(
        "header",
        ValueKind("a header field, NAME: VALUE", _header),
        "Header field to add to each request to the backend, in place of a field of the same name "
        "in the client's request. May be repeated.",
        "none",
        repeated=True,
    ),
    Setting(
        "strip-prefix",
        FLAG,
        "Whether to remove the path of the route from the path of the request to the backend.",
        "false",
    ),
)
