"""The table of the daemon's options: one row for each option, on the command line and in the file.

The table only names and reads the options; ``daemon/daemon.py`` uses their values.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Final

from ..bus.rows import BUSES, check_scheme
from ..connection.tracer import TracePatterns
from ..sansio.http.trusted import TrustedNetworks
from ..sansio.limits import Limits
from ..server.flash_policy import read_domain
from .conditions import CONDITIONS
from .route_option import read_description
from .setting import (
    ANY_TEXT,
    FLAG,
    RATE,
    SECONDS,
    SOME_SECONDS,
    Setting,
    ValueKind,
    limit,
    number,
)
from .workers.connection_counts import MOST_WORKERS


@dataclass(frozen=True, slots=True)
class Said:
    """
    The value of an option, and its place on the command line or in the file.

    :ivar where: ``--port 8080``, or ``hixie.toml: port 8080``: the start of an error about the
        value.
    :ivar text: the value as the operator wrote it, without credentials.
    :ivar value: the value as the option's :class:`ValueKind` reads it.
    """

    where: str
    text: str
    value: Any


_SEVERAL_PORTS: Final = re.compile(r"[0-9]{1,5}(?:, *[0-9]{1,5})+")


def _port(text: str) -> str:
    if _SEVERAL_PORTS.fullmatch(text):
        numbers = text.split(",")
        repeated = " ".join(f"--port {number.strip()}" for number in numbers)
        raise ValueError(f"expected one port; repeat the option for each port: {repeated}")
    if text.isdecimal() and int(text) > 65535:
        raise ValueError("expected a number from 0 to 65535")
    return text


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError
    return text


def _network(text: str) -> str:
    TrustedNetworks([text])
    return text


def _pattern(text: str) -> str:
    TracePatterns([text])
    return text


USERS: Final = "users="
"""Beginning of a value of ``status-allow`` that is a password file."""


def _workers(text: str) -> int:
    count = len(os.sched_getaffinity(0)) if text == "auto" else int(text)
    if not 0 < count <= MOST_WORKERS or not (text == "auto" or text.isdecimal()):
        raise ValueError
    return count


def _viewer(text: str) -> str:
    if text.startswith(USERS):
        if len(text) == len(USERS):
            raise ValueError
        return text
    return _network(text)


def _domains(text: str) -> list[str]:
    return [read_domain(part.strip()) for part in text.split(",")]


PATH: Final = ValueKind("a path, beginning with /", _path)
VIEWERS: Final = ValueKind("an address, a network such as 10.0.0.0/8, unix, or users=FILE", _viewer)


WORKERS: Final = ValueKind(
    f"a number of processes from 1 to {MOST_WORKERS}, or auto", _workers, (str, int)
)
BUS: Final = ValueKind("the URL of a bus", check_scheme)
NETWORK: Final = ValueKind("an address, a network such as 10.0.0.0/8, or unix", _network)

_LIMITS: Final = Limits()

OPTIONS: Final = (
    Setting(
        "port",
        ValueKind("a port number or an endpoint description", _port, (str, int)),
        "Port to listen on: a TCP port number, or a Twisted server endpoint description, such as "
        "tcp:8080:interface=127.0.0.1, ssl:8443:privateKey=key.pem:certKey=cert.pem, "
        "unix:/run/hixie.sock or systemd:domain=INET:index=0. May be repeated.",
        default="8080",
        repeated=True,
    ),
    Setting(
        "serve",
        ValueKind("[HOST]/PATH=SERVICE, or a table of these", read_description, (str, dict)),
        "Route: [HOST]/PATH=SERVICE, then options of the service as key=value. The service answers "
        "requests for PATH and all paths below it. HOST is a name, or *.example.com for all names "
        "below example.com. May be repeated; the longest path wins.",
        default="/=echo",
        repeated=True,
    ),
    Setting(
        "console",
        PATH,
        "Path of the console page.",
        default="/, or no console page with --serve",
    ),
    Setting(
        "health",
        PATH,
        "Path of a page for load balancers, which says ok (200), or draining (503) while the "
        "daemon stops. With this option the ports stay open until all connections are closed.",
    ),
    Setting(
        "status",
        PATH,
        "Path of the status page: connections, the busiest addresses, the last refusals and ends. "
        "With ?format=json it is JSON. Only for clients of this machine; see status-allow.",
    ),
    Setting(
        "metrics",
        PATH,
        "Path of the metrics for Prometheus. Only for clients of this machine; see status-allow. "
        "Needs the package prometheus-client (pip install 'txhixie[metrics]').",
    ),
    Setting(
        "status-allow",
        VIEWERS,
        "Viewers of the status and the metrics: an address or a network (without a password), "
        "unix, or users=FILE with a password file as for users. Replaces the default. May be "
        "repeated.",
        default="127.0.0.0/8 and ::1",
        repeated=True,
    ),
    Setting(
        "bus",
        BUS,
        "How the hubs of several daemons share their topics: local (each daemon has its "
        f"own), or a server: {', '.join(row.form for row in BUSES[1:])}. Read at the start only: "
        "a reload does not change it.",
        default="local",
    ),
    Setting(
        "workers",
        WORKERS,
        "Number of processes that accept the connections; auto: one for each core that the daemon "
        "may use. They share the ports, topics, limits and the status. Read at the start only: a "
        "reload does not change it.",
        default="1",
    ),
    *CONDITIONS,
    Setting(
        "proxy-protocol",
        NETWORK,
        "Address or network of a reverse proxy that sends a PROXY protocol header (v1 or v2), or "
        "unix for a reverse proxy that connects by a UNIX socket. May be repeated.",
        repeated=True,
    ),
    Setting(
        "trust-forwarded",
        NETWORK,
        "Address or network of a trusted reverse proxy, or unix for a reverse proxy that connects "
        "by a UNIX socket. Its header fields Forwarded and X-Forwarded-For, -Proto and -Host are "
        "used. May be repeated.",
        repeated=True,
    ),
    Setting(
        "flash-policy",
        ValueKind("hosts of pages with Flash", _domains),
        "Hosts of pages with Flash that may connect, separated by commas, such as example.com or "
        "*.example.com: Flash's request for a policy file is answered on each port without TLS. "
        "May be repeated.",
        default="none",
        repeated=True,
    ),
    Setting(
        "secure",
        FLAG,
        "A reverse proxy terminates TLS: treat every connection as wss.",
    ),
    Setting(
        "max-connections",
        limit("connections"),
        "Most connections at a time, pages and unfinished handshakes included. Others are refused "
        "with 503. 0 for no limit.",
        default="0",
    ),
    Setting(
        "max-connections-per-address",
        limit("connections"),
        "Most connections at a time from one IPv4 address, or from one IPv6 network of 64 bits; "
        "behind a trusted reverse proxy, of one client. Others are refused with 429. 0 for no "
        "limit.",
        default="0",
    ),
    Setting(
        "max-new-connections",
        limit("connections a second"),
        "Most new connections within a second. Others are refused with 503. 0 for no limit.",
        default="0",
    ),
    Setting(
        "max-new-connections-per-address",
        limit("connections a second"),
        "Most new connections within a second from one IPv4 address, or from one IPv6 network of "
        "64 bits; behind a trusted reverse proxy, of one client. Others are refused with 429. 0 "
        "for no limit.",
        default="0",
    ),
    Setting(
        "max-head-size",
        number("bytes"),
        "Most bytes of the head of a request.",
        default=f"{_LIMITS.head_size}",
    ),
    Setting(
        "max-message-size",
        number("bytes"),
        "Most bytes of a message, after decompression.",
        default=f"{_LIMITS.message_size}",
    ),
    Setting(
        "max-frame-size",
        number("bytes"),
        "Most bytes of one frame.",
        default="same as max-message-size",
    ),
    Setting(
        "max-fragments",
        number("fragments"),
        "Most fragments of one message.",
        default=f"{_LIMITS.fragments}",
    ),
    Setting(
        "max-messages-per-second",
        RATE,
        "Most messages a second that are taken from one client; fragments and control frames count "
        "like messages. A faster client is slowed down by back-pressure. 0 for no limit.",
        default="0",
    ),
    Setting(
        "max-bytes-per-second",
        RATE,
        "Most bytes a second that are taken from one client, as received and, for compressed "
        "messages, as decompressed. A faster client is slowed down by back-pressure. 0 for no "
        "limit.",
        default="0",
    ),
    Setting(
        "max-held-bytes",
        limit("bytes"),
        "Most bytes that all connections hold together: unfinished messages and unsent data. Then "
        "new connections are refused with 503, and those with the largest unfinished messages end "
        "with 1013. 0 for no limit.",
        default="0",
    ),
    Setting(
        "ping-interval",
        SECONDS,
        "Seconds without data from the client until a ping is sent, in dialects with pings; 0 for "
        "no pings.",
        default=f"{_LIMITS.ping_interval:g}",
    ),
    Setting(
        "ping-timeout",
        SOME_SECONDS,
        "Seconds without a byte from the client after a ping until the connection is aborted.",
        default=f"{_LIMITS.ping_timeout:g}",
    ),
    Setting(
        "stall-timeout",
        SOME_SECONDS,
        "Seconds in which a client acknowledges none of the data that waits to be sent, until the "
        "connection is aborted.",
        default=f"{_LIMITS.stall_timeout:g}",
    ),
    Setting(
        "idle-timeout",
        SECONDS,
        "Seconds without a message in either direction until the connection is closed with 1001; "
        "pings do not count. 0 for no limit.",
        default="0",
    ),
    Setting(
        "max-lifetime",
        SECONDS,
        "Seconds until a connection is closed with 1001; the lives of connections differ by a "
        "tenth of it. 0 for no limit.",
        default="0",
    ),
    Setting(
        "stop-timeout",
        SECONDS,
        "Seconds for all connections to close when the daemon stops; the others are then aborted.",
        default=f"{_LIMITS.stop_timeout:g}",
    ),
    Setting(
        "drain",
        SECONDS,
        "Seconds over which the connections are closed, one after the other, when the daemon "
        "stops; 0 closes all at once. They are a part of --stop-timeout.",
        default=f"{_LIMITS.stop_spread:g}",
    ),
    Setting(
        "connect-timeout",
        SOME_SECONDS,
        "Seconds for the connection of a service to its backend; then the client is refused with "
        "504.",
        default="10",
    ),
    Setting(
        "compression",
        FLAG,
        "Do not compress messages, even if the client offers compression. In a file: "
        "compression = false.",
        default="true",
    ),
    Setting(
        "trace",
        ValueKind("an address, a network such as 10.0.0.0/8, a path or a dialect", _pattern),
        "Write each head and each frame of matching connections to the log, with credentials "
        "masked: those of an address or network, of a path and all paths below it, or of a "
        "dialect. SIGUSR2 turns the trace off and on again; without this option it turns on a "
        "trace of all connections. May be repeated.",
        repeated=True,
    ),
    Setting(
        "flight-recorder",
        FLAG,
        "Keep the last 32 events of each connection, and write them to the log behind the line of "
        "an abnormal end.",
    ),
    Setting(
        "connection-poller",
        FLAG,
        "Leave all open connections in the reactor. By default one epoll of the package receives "
        "the events of those over TCP without TLS, which costs less CPU time for small messages, "
        "and responses to handshakes are sent together at the end of a turn of the reactor. "
        "Only on Linux. In a file: connection-poller = false.",
        default="true",
    ),
    Setting(
        "keep-freed-memory",
        FLAG,
        "Let glibc return freed memory to the kernel. By default the daemon keeps up to 48 MiB of "
        "freed memory, which saves page faults with large messages. Read at the start only: a "
        "reload does not change it. In a file: keep-freed-memory = false.",
        default="true",
    ),
    Setting(
        "log-json",
        FLAG,
        "Write the log as JSON, one object a line. Read at the start only: a reload does not "
        "change it.",
    ),
)
"""The options of the command line and of the file."""

COMMAND_LINE_ONLY: Final = (
    Setting(
        "config",
        ANY_TEXT,
        "Read options from a TOML file, by the same names without dashes. An option on the command "
        "line replaces all values of that option in the file.",
    ),
    Setting(
        "check",
        FLAG,
        "Validate the configuration, print it, and exit.",
    ),
)
"""The options of the command line only."""
