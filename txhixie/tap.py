"""``twistd hixie``: the options, and the service they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from twisted.application.service import IService
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorFromThreads, IStreamServerEndpoint
from twisted.python import usage
from twisted.web.server import Site

from .console import consoleRoot
from .dialects import DIALECTS, named
from .extensions import DEFAULT_EXTENSIONS
from .limits import Limits
from .listening import CannotStart, ListeningService, showMistakes
from .server import HixieServerFactory
from .services.echo import EchoApplications


class Options(usage.Options):
    """What can be said on the command line."""

    synopsis = "Usage: twistd [twistd's options] hixie [options]"
    longdesc = (
        "A WebSocket server for every dialect that shipped. Every path echoes: text as text, "
        "binary as binary. GET / shows a console page to try it with, /2009 its twin for "
        "browsers of that time."
    )

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self["ports"] = []
        self["origins"] = []
        self["hosts"] = []
        self["dialects"] = [dialect.name for dialect in DIALECTS]
        self["limits"] = {}
        self["extensions"] = DEFAULT_EXTENSIONS

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Read the command line.

        :raises SystemExit: with one line for standard error and status 1, for what cannot be
            meant. Left alone, ``twistd`` would print it on standard output below all of the usage.
        """
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except usage.UsageError as error:
            raise SystemExit(f"hixie: {error}") from None

    def parseArgs(self, *words: str) -> None:
        """Nothing stands alone."""
        if words:
            raise usage.UsageError(f"{words[0]}: expected options only")

    def opt_port(self, value: str) -> None:
        """
        Where to listen: a TCP port number, or any Twisted server endpoint description, such as
        tcp:8080:interface=127.0.0.1, ssl:8443:privateKey=key.pem:certKey=cert.pem,
        unix:/run/hixie.sock or systemd:domain=INET:index=0. May be repeated. [default: 8080]
        """
        if value.isdecimal() and int(value) > 65535:
            raise usage.UsageError(f"--port {value}: expected a number from 0 to 65535")
        self["ports"].append(value)

    def opt_origin(self, value: str) -> None:
        """
        An origin whose pages may connect, such as https://example.com, or null for local files,
        or * for all. May be repeated. [default: pages of the host they connect to]
        """
        if value not in ("*", "null", "file://") and "://" not in value:
            raise usage.UsageError(
                f"--origin {value}: expected scheme://host, scheme://host:port, null or *"
            )
        self["origins"].append(value)

    def opt_host(self, value: str) -> None:
        """
        A name this server is known under, with or without a port. May be repeated. [default: any]
        """
        self["hosts"].append(value)

    def opt_dialects(self, value: str) -> None:
        """Which dialects to speak, separated by commas. [default: all]"""
        try:
            self["dialects"] = [named(name.strip()).name for name in value.split(",")]
        except ValueError as error:
            raise usage.UsageError(f"--dialects {value}: {error}") from None

    def opt_max_message_size(self, value: str) -> None:
        """Bytes a message may have, also when inflated. [default: 1048576]"""
        self["limits"]["message_size"] = _number("--max-message-size", value, "bytes")

    def opt_max_frame_size(self, value: str) -> None:
        """Bytes one frame may have. [default: as a message]"""
        self["limits"]["frame_size"] = _number("--max-frame-size", value, "bytes")

    def opt_max_fragments(self, value: str) -> None:
        """Fragments one message may come in. [default: 4096]"""
        self["limits"]["fragments"] = _number("--max-fragments", value, "fragments")

    def opt_ping_interval(self, value: str) -> None:
        """Seconds between pings, where the dialect has them; 0 for none. [default: 20]"""
        self["limits"]["ping_interval"] = _seconds("--ping-interval", value) or None

    def opt_ping_timeout(self, value: str) -> None:
        """Seconds without a byte after a ping until the peer is taken for gone. [default: 20]"""
        seconds = _seconds("--ping-timeout", value)
        if not seconds:
            raise usage.UsageError(f"--ping-timeout {value}: expected more than 0 seconds")
        self["limits"]["ping_timeout"] = seconds

    def opt_no_compression(self) -> None:
        """Agree on no compression, also where a client offers it."""
        self["extensions"] = ()

    opt_p = opt_port


def makeService(options: Options) -> IService:
    """
    The service that the options ask for.

    :raises CannotStart: for an endpoint description that cannot be read, or whose certificate
        cannot.
    """
    from twisted.internet import reactor as installed

    reactor = cast(IReactorFromThreads, installed)
    showMistakes()
    console = Site(consoleRoot())
    console.noisy = False
    console.displayTracebacks = False
    factory = HixieServerFactory(
        EchoApplications(),
        dialects=options["dialects"],
        origins=options["origins"] or None,
        hosts=options["hosts"] or None,
        extensions=options["extensions"],
        limits=Limits(**options["limits"]),
        elsewhere=console,
        logConnections=True,
    )
    endpoints = [(port, _endpoint(reactor, port)) for port in options["ports"] or ["8080"]]
    return ListeningService(reactor, endpoints, factory)


def _number(option: str, value: str, unit: str) -> int:
    if not value.isdecimal() or int(value) == 0:
        raise usage.UsageError(f"{option} {value}: expected a number of {unit}")
    return int(value)


def _seconds(option: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise usage.UsageError(f"{option} {value}: expected a number of seconds")
    return seconds


def _endpoint(reactor: object, port: str) -> IStreamServerEndpoint:
    try:
        description = f"tcp:{port}" if port.isdecimal() else port
        return cast(IStreamServerEndpoint, serverFromString(reactor, description))
    except Exception as error:
        # Parsers of endpoint strings raise what they like: ValueError, KeyError, TypeError, and
        # whatever OpenSSL says of a certificate.
        what = getattr(error, "strerror", None) or str(error) or type(error).__name__
        name = getattr(error, "filename", None)
        raise CannotStart(
            f"hixie: --port {port}: expected a port number or an endpoint description: "
            f"{what}{f': {name}' if name else ''}"
        ) from None
