"""One word for one thing on every surface where a user meets an option: Python, endpoint strings,
the daemon with its file, its services and routes, the command ``txhixie``, and the guide.

Each option of each surface stands in exactly one row below. An option that is not in a row, or a
second word for a row on one surface, fails here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import fields
from inspect import Parameter, signature
from typing import Any, Final

import pytest

from support.guide_pages import ROOT
from txhixie import (
    Accepted,
    Admission,
    EndpointOptions,
    HixieClientFactory,
    HixieServerFactory,
    HTTPConnectEndpoint,
    Limits,
    StreamApplications,
    StreamClientEndpoint,
    WebSocketClientEndpoint,
    connect,
    serve,
)
from txhixie.byte_streams.descriptions import makeClient, makeServer, parseWSS
from txhixie.byte_streams.endpoint import StreamServerEndpoint
from txhixie.cli.main import parser
from txhixie.connection.group import BINARY_CHOICES
from txhixie.daemon.adaptations import ADAPTATIONS
from txhixie.daemon.conditions import CONDITIONS
from txhixie.daemon.options import COMMAND_LINE_ONLY, OPTIONS
from txhixie.daemon.route_option import ROUTE
from txhixie.daemon.services import SERVICES
from txhixie.daemon.services.tcp import StreamService
from txhixie.dialing.proxy_endpoint import parseHTTPConnect
from txhixie.gateway import GatewayService
from txhixie.gateway.websocket_backend import BINARY_RULES as GATEWAY_RULES
from txhixie.running import RunOptions

PYTHON: Final = "Python"
CLIENT: Final = "endpoint string of a client"
SERVER: Final = "endpoint string of a server"
DAEMON: Final = "daemon"
SERVICE: Final = "service"
COMMAND: Final = "command"

Row = dict[str, str]


def everywhere(word: str, *surfaces: str) -> Row:
    """A row with the same word on each surface, in the surface's spelling."""
    return {surface: spelled(word, surface) for surface in surfaces}


def spelled(word: str, surface: str) -> str:
    """A name of several words, written with hyphens, in the spelling of a surface."""
    if surface in (PYTHON, CLIENT, SERVER):
        first, *others = word.split("-")
        return first + "".join(map(str.capitalize, others))
    return word


ROWS: Final[dict[str, Row]] = {
    "the dialect that a client speaks": everywhere("dialect", PYTHON, CLIENT, SERVICE, COMMAND),
    "the dialects that a server speaks": everywhere("dialects", PYTHON, SERVER, DAEMON, SERVICE),
    "subprotocols to offer or to choose from": {
        **everywhere("subprotocols", PYTHON, CLIENT, SERVER, SERVICE),
        COMMAND: "subprotocol",
    },
    "the subprotocol that a route is for": {SERVICE: "required-subprotocol"},
    "origins that are let in": everywhere("origins", PYTHON, SERVER, DAEMON, SERVICE),
    "the origin that a client sends": everywhere("origin", PYTHON, CLIENT, SERVICE, COMMAND),
    "deviations that are let in": everywhere("quirks", PYTHON, SERVER, DAEMON, SERVICE),
    "names of the server": everywhere("hosts", PYTHON, SERVER, DAEMON, SERVICE),
    "users that are let in": everywhere("users", DAEMON, SERVICE),
    "the realm of passwords": everywhere("realm", DAEMON, SERVICE),
    "tokens that are let in": everywhere("tokens", DAEMON, SERVICE),
    "the parameter of the query with a token": everywhere("token-parameter", DAEMON, SERVICE),
    "JSON Web Tokens: the issuer's keys": everywhere("jwt-key", DAEMON, SERVICE),
    "JSON Web Tokens: algorithms": everywhere("jwt-algorithms", DAEMON, SERVICE),
    "JSON Web Tokens: audiences": everywhere("jwt-audience", DAEMON, SERVICE),
    "JSON Web Tokens: the issuer": everywhere("jwt-issuer", DAEMON, SERVICE),
    "certificates of clients that are let in": everywhere("client-certificate", DAEMON, SERVICE),
    "the name that a route is for": {SERVICE: "host"},
    "the path that is served or asked for": everywhere("path", PYTHON, CLIENT, SERVER, SERVICE),
    "header fields to send": {
        **everywhere("header", CLIENT, SERVICE, COMMAND),
        PYTHON: "headers",
    },
    "the Host that a backend gets": everywhere("backend-host", PYTHON, SERVICE),
    "the time of a backend for a response": everywhere("response-timeout", SERVICE),
    "connections to a backend of pages": everywhere("connections", SERVICE),
    "the part of a path that a backend does not get": everywhere("strip-prefix", PYTHON, SERVICE),
    "header fields to pass on": everywhere("pass-headers", PYTHON, SERVICE),
    "user name of Basic authorization": everywhere("user", CLIENT),
    "password of Basic authorization": everywhere("password", CLIENT),
    "user name and password for a proxy": everywhere("credentials", PYTHON),
    "answers that are nearly right": everywhere("lenient", PYTHON, SERVICE, COMMAND),
    "TLS: trusted certificates": everywhere("trust-root", PYTHON, CLIENT, SERVICE, COMMAND),
    "TLS: own certificate": everywhere("certificate", PYTHON, CLIENT, SERVICE, COMMAND),
    "TLS: own private key": everywhere("private-key", CLIENT, SERVICE, COMMAND),
    "TLS: protocols to offer": everywhere("alpn", PYTHON, CLIENT, SERVICE, COMMAND),
    "TLS: whether to verify the server": {PYTHON: "verify", COMMAND: "no-verify"},
    "TLS: the name to verify": everywhere("server-name", PYTHON),
    "TLS: a ready context": everywhere("context-factory", PYTHON),
    "TLS to a proxy": {CLIENT: "tls"},
    "TLS is terminated by a reverse proxy": everywhere("secure", PYTHON, SERVER, DAEMON),
    "a proxy to connect through": everywhere("proxy", PYTHON, CLIENT, SERVICE, COMMAND),
    "the port of that proxy": everywhere("proxy-port", CLIENT),
    "Basic authentication at a proxy without TLS": {
        PYTHON: "proxyBasic",
        SERVICE: "proxy-basic",
        COMMAND: "no-proxy-basic",
    },
    "reverse proxies that forward": everywhere("trust-forwarded", PYTHON, DAEMON),
    "reverse proxies that send a PROXY header": everywhere("proxy-protocol", DAEMON),
    "ports of other protocols": everywhere("any-port", PYTHON, COMMAND),
    "the local address": everywhere("bind-address", PYTHON, CLIENT),
    "seconds for each stage": {
        **everywhere("timeout", PYTHON, CLIENT, COMMAND),
        SERVICE: "stage-timeout",
    },
    "seconds for a backend in all": everywhere("connect-timeout", PYTHON, DAEMON),
    "binary messages": everywhere("binary", PYTHON, SERVICE, COMMAND),
    "pings to clients, and pings through a gateway": everywhere("pings", PYTHON, SERVICE),
    "compression": {
        PYTHON: "extensions",
        CLIENT: "compression",
        SERVER: "compression",
        DAEMON: "compression",
        SERVICE: "compression",
        COMMAND: "no-compression",
    },
    "compression to a backend": {SERVICE: "backend-compression"},
    "the subprotocol of a client that offers none": {SERVICE: "assume"},
    "the time before the first frame": everywhere("first-frame-delay", PYTHON, SERVICE),
    "bytes of a sent frame": everywhere("max-sent-frame", PYTHON, SERVICE),
    "a response without further fields": everywhere("plain-answer", PYTHON, SERVICE),
    "pages with Flash": everywhere("flash-policy", PYTHON, DAEMON),
    "bytes in messages": everywhere("coding", PYTHON, CLIENT, SERVER, SERVICE),
    "earlier messages for who joins a topic": everywhere("history", SERVICE),
    "clients that may publish": everywhere("publish", SERVICE),
    "programs that publish": everywhere("publish-tokens", SERVICE),
    "members that do not read": everywhere("slow", SERVICE),
    "most topics": everywhere("max-topics", SERVICE),
    "seconds of a topic without members": everywhere("topic-age", SERVICE),
    "limits": everywhere("limits", PYTHON),
    "bytes of a message": {
        PYTHON: "Limits.message_size",
        CLIENT: "messageSize",
        SERVER: "messageSize",
        DAEMON: "max-message-size",
        COMMAND: "max-message-size",
    },
    "bytes of a head": {PYTHON: "Limits.head_size", DAEMON: "max-head-size"},
    "bytes of a frame": {PYTHON: "Limits.frame_size", DAEMON: "max-frame-size"},
    "fragments of a message": {PYTHON: "Limits.fragments", DAEMON: "max-fragments"},
    "messages a second": {
        PYTHON: "Limits.messages_per_second",
        DAEMON: "max-messages-per-second",
    },
    "bytes a second": {PYTHON: "Limits.bytes_per_second", DAEMON: "max-bytes-per-second"},
    "connections": {PYTHON: "Admission.connections", DAEMON: "max-connections"},
    "connections of an address": {
        PYTHON: "Admission.connections_per_address",
        DAEMON: "max-connections-per-address",
    },
    "new connections a second": {
        PYTHON: "Admission.new_connections",
        DAEMON: "max-new-connections",
    },
    "new connections of an address a second": {
        PYTHON: "Admission.new_connections_per_address",
        DAEMON: "max-new-connections-per-address",
    },
    "bytes of all connections": {PYTHON: "heldBytes", DAEMON: "max-held-bytes"},
    "heads and frames in the log": everywhere("trace", PYTHON, DAEMON),
    "last events of a connection": {PYTHON: "flightRecorder", DAEMON: "flight-recorder"},
    "one epoll for open connections": everywhere("connection-poller", PYTHON, DAEMON),
    "seconds between pings": {
        PYTHON: "Limits.ping_interval",
        DAEMON: "ping-interval",
        COMMAND: "ping-interval",
    },
    "seconds for a pong": {PYTHON: "Limits.ping_timeout", DAEMON: "ping-timeout"},
    "seconds of a stalled peer": {PYTHON: "Limits.stall_timeout", DAEMON: "stall-timeout"},
    "seconds without a message": {PYTHON: "Limits.idle_timeout", DAEMON: "idle-timeout"},
    "seconds of a connection in all": {PYTHON: "Limits.lifetime", DAEMON: "max-lifetime"},
    "seconds to stop": {PYTHON: "Limits.stop_timeout", DAEMON: "stop-timeout"},
    "seconds of spread closes": {PYTHON: "Limits.stop_spread", DAEMON: "drain"},
    "where to listen": {SERVER: "endpoint", DAEMON: "port", COMMAND: "listen"},
    "what a connection goes through": {PYTHON: "endpoint", CLIENT: "endpoint"},
    "where to connect: host": everywhere("host", PYTHON, CLIENT),
    "where to connect: port": everywhere("port", PYTHON, CLIENT),
    "where to connect: URL": everywhere("url", PYTHON),
    "what is served": {DAEMON: "serve", SERVICE: "service"},
    "a file of targets": everywhere("targets", SERVICE),
    "where the token of a target is": everywhere("target-from", SERVICE),
    "parameter with the token of a target": everywhere("target-parameter", SERVICE),
}
"""Each concept, and its word on each surface that has it."""

SPELLINGS: Final = {
    "compression": "In Python an extension has parameters; elsewhere it is a yes or no.",
    "bytes of a message": "Limits are one object in Python; elsewhere max- says what they are.",
    "bytes of a head": "As bytes of a message.",
    "bytes of a frame": "As bytes of a message.",
    "fragments of a message": "As bytes of a message.",
    "messages a second": "As bytes of a message.",
    "bytes a second": "As bytes of a message.",
    "bytes of all connections": "In Python an object that several factories may share.",
    "seconds of a connection in all": "As bytes of a message.",
    "connections": "As bytes of a message.",
    "connections of an address": "As bytes of a message.",
    "new connections a second": "As bytes of a message.",
    "new connections of an address a second": "As bytes of a message.",
    "seconds for each stage": "In a service connect-timeout stands beside it, for all stages.",
    "seconds of spread closes": "Operators say drain; Limits.drain_timeout is another limit.",
    "where to listen": "A port number alone is enough for the daemon; doctor also connects.",
    "what is served": "Each --serve has one service.",
}
"""Rows with different words on different surfaces, each with the reason."""

OF_PAGES: Final = ("health", "status", "status-allow", "metrics")
"""Options of the daemon's pages about itself."""

ALONE: Final = {
    PYTHON: {
        *("applications", "clock", "entropy", "logConnections", "admission"),
        *("application", "subprotocol", "expiresIn", "compression"),  # of one decision
        *("elsewhere", "highWater", "factory", "connector", "conversation", "description", "route"),
    },
    CLIENT: set(),
    SERVER: set(),
    DAEMON: {
        *("console", "config", "check", "log-json", "bus", "workers", "keep-freed-memory"),
        *OF_PAGES,
    },
    SERVICE: set(),
    COMMAND: {
        "connect-to",
        "connections",
        "echo",
        "help",
        "json",
        "ping",
        "reconnect",
        "timestamps",
        "once",
        "record",
        "show-handshake",
        "wait",
    },
}
"""Options that one surface has, and no other could have."""

CURL: Final = {"cacert"}
"""Options of ``txhixie`` by curl's word, beside our own."""


# The surfaces.


def parameters(call: Callable[..., Any]) -> Iterable[str]:
    """The names of a function's parameters, without ``*args`` and ``**kwargs``."""
    passing = (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
    for name, parameter in signature(call).parameters.items():
        if parameter.kind not in passing and name != "reactor":
            yield name


def python_words() -> set[str]:
    takers = (
        *(HixieClientFactory, HixieServerFactory, WebSocketClientEndpoint.new, connect, serve),
        *(Accepted, GatewayService, StreamService, StreamApplications, StreamClientEndpoint),
        *(StreamServerEndpoint, HTTPConnectEndpoint),
    )
    words = {word for taker in takers for word in parameters(taker)}
    words |= {*EndpointOptions.__annotations__, *RunOptions.__annotations__}
    words |= {f"Admission.{name}" for name in parameters(Admission)} - {"Admission.exempt"}
    return words | {f"Limits.{field.name}" for field in fields(Limits)}


def client_words() -> set[str]:
    inner = {"reactor", "secure"}  # what the prefix of the string says
    calls = (makeClient, parseWSS, parseHTTPConnect)
    return {word for call in calls for word in parameters(call)} - inner


def daemon_words() -> set[str]:
    return {setting.name for setting in (*OPTIONS, *COMMAND_LINE_ONLY)}


def service_words() -> set[str]:
    services = {setting.name for service in SERVICES for setting in service.options}
    return services | {setting.name for setting in (*ROUTE, *CONDITIONS, *ADAPTATIONS)}


def command_words() -> set[str]:
    text = "".join(
        parser().parse_args([name, "ws://example.com/"]).parser.format_help()
        for name in ("connect", "doctor")
    )
    return {*re.findall(r"(?<![\w-])--([a-z][a-z-]*)", text)} - CURL


SURFACES: Final[dict[str, set[str]]] = {
    PYTHON: python_words(),
    CLIENT: client_words(),
    SERVER: {*parameters(makeServer)},
    DAEMON: daemon_words(),
    SERVICE: service_words(),
    COMMAND: command_words(),
}


@pytest.mark.parametrize("surface", SURFACES)
def test_each_option_of_a_surface_is_in_one_row(surface: str) -> None:
    words = [row[surface] for row in ROWS.values() if surface in row]
    assert len(words) == len({*words}), "a word that stands in two rows"
    known = {*words} | ALONE[surface]
    unknown = {word for word in SURFACES[surface] - known if not word.startswith("Limits.")}
    assert unknown == set(), "an option needs the word of its row, or a row of its own"
    assert known - SURFACES[surface] == set(), "no option has this word"


def stem(word: str) -> str:
    """A word without what is grammar: the case of its parts, a plural, and the no of a flag."""
    parts = re.sub("[A-Z]", lambda capital: f"-{capital[0].lower()}", word.removeprefix("Limits."))
    return parts.replace("_", "-").removeprefix("no-").removesuffix("s")


@pytest.mark.parametrize("concept", ROWS)
def test_the_words_of_a_row_are_one_word(concept: str) -> None:
    stems = {stem(word) for word in ROWS[concept].values()}
    assert (len(stems) > 1) == (concept in SPELLINGS), stems


def test_the_largest_message_is_the_same_by_default_on_every_surface() -> None:
    size = Limits().message_size
    said: Any = parser().parse_args(["connect", "ws://example.com/"])
    option = next(option for option in OPTIONS if option.name == "max-message-size")
    assert said.max_message_size == int(option.default) == size == 1024 * 1024


def test_the_default_of_binary_is_refuse_on_every_surface() -> None:
    """Python sends or refuses binary messages; a gateway refuses them or encodes them in base64."""
    assert BINARY_CHOICES[0] == GATEWAY_RULES[0] == "refuse"


# The guide.

GUIDE: Final = "\n".join(
    path.read_text("utf-8")
    for path in (ROOT / "README.rst", *sorted((ROOT / "docs").rglob("*.rst")))
)


WEBSOCKIFY: Final = (
    *("auth-plugin", "auth-source", "cafile", "cert", "daemon", "file-only", "heartbeat"),
    *("host-token", "inetd", "key", "key-password", "legacy-syslog", "libserver"),
    *("log-file", "prefer-ipv", "run-once", "ssl-ciphers", "ssl-only", "ssl-target"),
    *("ssl-version", "syslog", "target-config", "token-plugin", "token-source", "traffic"),
    *("unix-listen", "unix-listen-mode", "unix-target", "verbose", "verify-client", "web"),
    *("web-auth", "wrap-mode"),
)

OTHER_PROGRAMS: Final = {
    "logfile": "twistd",
    "pidfile": "twistd",
    "uid": "twistd",
    "log-format": "twist",
    "log-level": "twist",
    **dict.fromkeys(WEBSOCKIFY, "websockify"),
}
"""Long options of other programs in the sentences of the guide."""


def test_the_guide_has_no_unknown_option() -> None:
    ours = (
        SURFACES[DAEMON]
        | SURFACES[COMMAND]
        | CURL
        | {"no-compression", "no-connection-poller", "no-keep-freed-memory"}
    )
    said = {*re.findall(r"``--([a-z][a-z-]*)", GUIDE)}
    assert said - ours == {*OTHER_PROGRAMS}
