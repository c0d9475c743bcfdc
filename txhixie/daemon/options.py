"""THE TABLE of what can be said to the daemon: one row an option, for command line and file alike.

Nothing here knows what is done with it: that is ``daemon/daemon.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ..sansio.dialects import named
from ..sansio.http.trusted import TrustedNetworks
from ..sansio.limits import Limits
from ..server.access import read_origin
from .route_option import read_description
from .setting import ANY_TEXT, FLAG, SECONDS, SOME_SECONDS, Setting, ValueKind, number


@dataclass(frozen=True, slots=True)
class Said:
    """
    A value, and where it was said.

    :ivar where: ``--port 8080``, or ``hixie.toml: port 8080``: how a mistake in it is reported.
    :ivar text: the value alone, as it is shown.
    """

    where: str
    text: str
    value: Any


_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^][*:/?#\s]+)(?::[0-9]+)?")


def _port(text: str) -> str:
    if text.isdecimal() and int(text) > 65535:
        raise ValueError("expected a number from 0 to 65535")
    return text


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError
    return text


def _origin(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError
    read_origin(text)
    return text


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError
    return text


def _dialect(text: str) -> str:
    try:
        return named(text).name
    except ValueError as error:
        raise ValueError(f"expected names of dialects: {error}") from None


def _list(read: Callable[[str], str]) -> Callable[[str], list[str]]:
    return lambda text: [read(part.strip()) for part in text.split(",")]


def _network(text: str) -> str:
    TrustedNetworks([text])
    return text


NETWORK: Final = ValueKind("an address, a network such as 10.0.0.0/8, or unix", _network)

_LIMITS: Final = Limits()

OPTIONS: Final = (
    Setting(
        "port",
        ValueKind("a port number or an endpoint description", _port, (str, int)),
        "Where to listen: a TCP port number, or any Twisted server endpoint description, such as "
        "tcp:8080:interface=127.0.0.1, ssl:8443:privateKey=key.pem:certKey=cert.pem, "
        "unix:/run/hixie.sock or systemd:domain=INET:index=0. May be repeated.",
        default="8080",
        repeated=True,
    ),
    Setting(
        "serve",
        ValueKind("[HOST]/PATH=SERVICE, or a table of these", read_description, (str, dict)),
        "[HOST]/PATH=SERVICE, and options of the service as key=value after it: what is served "
        "there and below. HOST is a name, or *.example.com for all below it. May be repeated; the "
        "longest path wins.",
        default="/=echo",
        repeated=True,
    ),
    Setting(
        "console",
        ValueKind("a path, beginning with /", _path),
        "Where the console page is.",
        default="/, or nowhere once there is a --serve",
    ),
    Setting(
        "origins",
        ValueKind(
            "scheme://host without a path, https://*.example.com, null, * or a device's word",
            _list(_origin),
        ),
        "Origins whose pages may connect, separated by commas: https://example.com, or "
        "https://*.example.com for all names below it, null for local files, a device's word, or * "
        "for all. May be repeated.",
        default="pages of the host they connect to",
        repeated=True,
    ),
    Setting(
        "hosts",
        ValueKind("a name such as example.com, with or without a port", _list(_host)),
        "Names this server is known under, with or without a port, separated by commas. May be "
        "repeated.",
        default="any",
        repeated=True,
    ),
    Setting(
        "dialects",
        ValueKind("names of dialects", _list(_dialect)),
        "Which dialects to speak, separated by commas.",
        default="all",
        repeated=True,
    ),
    Setting(
        "proxy-protocol",
        NETWORK,
        "An address, a network or unix: who stands before us there and begins each connection with "
        "a header of the PROXY protocol, version 1 or 2. May be repeated.",
        repeated=True,
    ),
    Setting(
        "trust-forwarded",
        NETWORK,
        "An address, a network or unix: who stands before us there and is believed what it says of "
        "the client in Forwarded, X-Forwarded-For, -Proto and -Host. May be repeated.",
        repeated=True,
    ),
    Setting(
        "secure",
        FLAG,
        "A reverse proxy terminates TLS: treat every connection as wss.",
    ),
    Setting(
        "max-head-size",
        number("bytes"),
        "Bytes the head of a request may have.",
        default=f"{_LIMITS.head_size}",
    ),
    Setting(
        "max-message-size",
        number("bytes"),
        "Bytes a message may have, also when inflated.",
        default=f"{_LIMITS.message_size}",
    ),
    Setting(
        "max-frame-size",
        number("bytes"),
        "Bytes one frame may have.",
        default="as a message",
    ),
    Setting(
        "max-fragments",
        number("fragments"),
        "Fragments one message may come in.",
        default=f"{_LIMITS.fragments}",
    ),
    Setting(
        "ping-interval",
        SECONDS,
        "Seconds between pings, where the dialect has them; 0 for none.",
        default=f"{_LIMITS.ping_interval:g}",
    ),
    Setting(
        "ping-timeout",
        SOME_SECONDS,
        "Seconds without a byte after a ping until the peer is taken for gone.",
        default=f"{_LIMITS.ping_timeout:g}",
    ),
    Setting(
        "stall-timeout",
        SOME_SECONDS,
        "Seconds without an acknowledgement of sent data, while some waits, until a connection is "
        "aborted.",
        default=f"{_LIMITS.stall_timeout:g}",
    ),
    Setting(
        "stop-timeout",
        SECONDS,
        "Seconds for all connections to close when the daemon stops; then they are aborted.",
        default=f"{_LIMITS.stop_timeout:g}",
    ),
    Setting(
        "connect-timeout",
        SOME_SECONDS,
        "Seconds for a connection that a service makes, until its client is refused with 504.",
        default="10",
    ),
    Setting(
        "compression",
        FLAG,
        "Agree on no compression, also where a client offers it. In a file: compression = false.",
        default="true",
    ),
)
"""What can be said on the command line and in a file."""

COMMAND_LINE_ONLY: Final = (
    Setting(
        "config",
        ANY_TEXT,
        "A file of options in TOML, by the same names. An option on the command line replaces all "
        "that the file says of it.",
    ),
    Setting(
        "check",
        FLAG,
        "Look at everything that was said, print what would run, and end.",
    ),
)
"""What can be said on the command line only."""
