"""Options of the services that pass requests on to a WebSocket or HTTP backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..dialing.pem import certificateFromPaths, trustRootFromPath
from ..gateway.backend_url import KEEP
from ..gateway.headers import checked_fields
from ..sansio.errors import MalformedHead
from ..sansio.http.head import read_authority, read_header
from ..sansio.types import Headers
from .setting import ANY_TEXT, FLAG, SOME_SECONDS, Setting, ValueKind


def _host(text: str) -> str:
    try:
        return text if text == KEEP else read_authority(text.encode("ascii", "replace"))
    except MalformedHead:
        raise ValueError from None


def _header(text: str) -> Headers:
    return checked_fields((read_header(text),))


def _trust_root(path: str) -> Any:
    try:
        return trustRootFromPath(path)
    except OSError as error:
        raise ValueError(f"expected certificates in PEM: {error.strerror}") from None
    except ValueError:
        raise ValueError from None  # the caller's error names the file already


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
    Setting(
        "stage-timeout",
        SOME_SECONDS,
        "Timeout in seconds of each stage of the connect to the backend: lookup, TCP, proxy, TLS, "
        "handshake.",
        "--connect-timeout, which is for all stages together",
    ),
)

TLS_OPTIONS: Final = (
    Setting(
        "trust-root",
        ValueKind("certificates in PEM", _trust_root),
        "Trusted certificates in PEM, a file or a directory.",
        "the platform's CA certificates",
    ),
    Setting("certificate", ANY_TEXT, "Client certificate, a PEM file."),
    Setting(
        "private-key",
        ANY_TEXT,
        "Private key of the client certificate, a PEM file.",
        "the file of the certificate",
    ),
)


def certificate_of(options: Mapping[str, Any]) -> Any:
    """
    Return the client certificate of the options, with its private key; ``None`` without one.

    :raises ValueError: "expected ..." for a file that is not in PEM, and for a key alone.
    """
    path = options.get("certificate")
    if path is None:
        if "private-key" in options:
            raise ValueError("private-key: expected the option certificate as well")
        return None
    try:
        return certificateFromPaths(path, options.get("private-key"))
    except OSError as error:
        name, why = error.filename, error.strerror
        raise ValueError(f"certificate {path}: expected a file in PEM: {name}: {why}") from None
    except ValueError as error:
        raise ValueError(f"certificate {error}") from None
