"""The server to connect to: the options that connect and doctor share, and the endpoint."""

from __future__ import annotations

import math
import os
import re
import shlex
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from twisted.internet.ssl import PrivateCertificate

from ..client.endpoint import WebSocketClientEndpoint
from ..client.factory import ClientOptions
from ..dialing.dialer import Dialer, chosenProxy
from ..dialing.errors import ConnectFailed, LookupFailed
from ..dialing.pem import certificateFromPaths, trustRootFromPath
from ..dialing.proxy import Proxy, proxy_variable
from ..sansio.dialects import DIALECTS
from ..sansio.errors import HandshakeRefused, UnsupportedByDialect
from ..sansio.extensions import CLIENT_EXTENSIONS
from ..sansio.http.head import read_header
from ..sansio.http.url import BAD_PORTS, parse_url, without_credentials
from ..sansio.limits import Limits
from .status import CommandFailed, Status, line_of, status_of

_LIMITS: Final = Limits()
_AUTHORITY: Final = re.compile(r"[^@/?#\\\s\ufffd]+")
_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^][:/@?#\s]*):([0-9]*)")


def addOptions(parser: ArgumentParser, needsURL: bool = True) -> None:
    """
    Add the options of the handshake and of the connection, which both commands have.

    :param needsURL: whether the command cannot do without the URL.
    """
    parser.add_argument("url", metavar="URL", nargs=None if needsURL else "?", help="URL of the"
        " server: ws://HOST[:PORT]/PATH, or wss:// for TLS. Without a scheme it is ws://, or"
        " wss:// for port 443.")  # fmt: skip
    add = parser.add_argument_group("handshake options").add_argument
    names = [dialect.name for dialect in DIALECTS]
    add("--dialect", choices=names, metavar="NAME", help="Dialect: one of %(choices)s. Default:"
        " rfc6455.")  # fmt: skip
    add("--subprotocol", action="append", default=[], metavar="NAME", help="Subprotocol to offer."
        " May be repeated; the preferred one first.")  # fmt: skip
    add("--origin", metavar="ORIGIN", help="Origin header field, such as https://example.com.")
    add("-H", "--header", action="append", default=[], type=header, metavar="'NAME: VALUE'",
        help="Further header field of the request. May be repeated. 'Host: NAME[:PORT]' replaces"
        " the host of the URL in the request, to try a virtual host.")  # fmt: skip
    add("--lenient", action="store_true", help="Accept handshake responses of servers that are"
        " known to deviate from their dialect.")  # fmt: skip
    add("--no-compression", action="store_true", help="Offer no compression.")
    add = parser.add_argument_group("connection options").add_argument
    add("--connect-to", type=connectTo, metavar="HOST:PORT", help="Connect to this host and port"
        " instead of the URL's. The Host header field, SNI and the name in the certificate stay"
        " those of the URL. HOST or PORT may be empty, for that of the URL.")  # fmt: skip
    add("-x", "--proxy", metavar="URL", help="HTTP proxy: http[s]://[NAME:PASSWORD@]HOST[:PORT]."
        " Default: the proxy that the environment names, as for curl; '' for none.")  # fmt: skip
    add("--no-proxy-basic", action="store_true", help="Do not send the proxy's password by Basic"
        " authentication unless the proxy is reached by TLS.")  # fmt: skip
    add("--trust-root", "--cacert", metavar="FILE", help="Trusted certificates in PEM, a file or a"
        " directory. Default: the platform's CA certificates.")  # fmt: skip
    add("-E", "--certificate", metavar="FILE", help="Client certificate, a PEM file.")
    add("--private-key", metavar="FILE", help="Private key of the client certificate, a PEM file."
        " Default: the file of the certificate.")  # fmt: skip
    add("--alpn", action="append", default=[], metavar="NAME", help="Protocol to offer by ALPN in"
        " the TLS handshake, such as http/1.1. May be repeated. Default: none.")  # fmt: skip
    add("-k", "--no-verify", action="store_true", help="Do not verify the server's certificate.")
    add("--any-port", action="store_true", help="Connect also to ports that the Fetch standard"
        " blocks: those of other protocols.")  # fmt: skip
    add("--timeout", type=seconds, metavar="SECONDS", help="Timeout of each stage of the"
        " connection: lookup, TCP, proxy, TLS, handshake; and of the answer to --once.",
    )  # fmt: skip
    add("--max-message-size", type=size, metavar="BYTES", default=_LIMITS.message_size,
        help="Largest message that is sent or received. Default: %(default)s.")  # fmt: skip


class Target:
    """
    The server to connect to, read from the options. Nothing is connected yet.

    :ivar url: the URL, with a scheme, and with its credentials.
    :ivar shown: the URL without credentials.
    :ivar note: a line for the user about the URL; empty for none.
    :ivar parsed: the parts of the URL.
    :ivar address: host and port of the TCP connection: the URL's, or those of ``--connect-to``.
    :ivar limits: with the timeout of each stage in seconds, and the most bytes of a message.
    :ivar dialect: the name of the dialect; ``None`` if no option gave one.
    :ivar proxy: the HTTP proxy; ``None`` for a direct connection.
    :ivar proxyNamedBy: the option or the environment variable that names the proxy.
    :ivar trustRoot: the trusted certificates; ``None`` for the platform's CA certificates.
    :ivar isVerified: whether the server's certificate is verified.
    :ivar alpn: protocols to offer by ALPN.
    :ivar proxyBasic: whether a proxy without TLS may be sent a password by Basic.
    """

    def __init__(self, said: Namespace) -> None:
        """
        :param said: the options of :func:`addOptions`.
        :raises ValueError: for an option with a value that cannot be used.
        :raises OSError: for a file that cannot be read.
        """
        self._said = said
        self.url = withScheme(said.url)
        self.shown = without_credentials(self.url)
        self.note = "" if self.url == said.url else f"no scheme in the URL: using {self.shown}"
        self.parsed = parse_url(self.url)
        self.address = self._readAddress()
        self._headers, self._requested = self._readHost()
        self.limits = Limits(message_size=said.max_message_size)
        if said.timeout is not None:
            self.limits = self.limits.with_stage_timeout(said.timeout)
        self.dialect: str | None = said.dialect
        self.proxy = self._readProxy()
        self.proxyNamedBy = self._readNamer()
        self.trustRoot = trustRootFromPath(said.trust_root) if said.trust_root else None
        self.isVerified = not said.no_verify
        self.alpn: tuple[str, ...] = tuple(said.alpn)
        self.proxyBasic = not said.no_proxy_basic
        self._certificate = self._readCertificate()

    def _readAddress(self) -> tuple[str, int]:
        host, port = self._said.connect_to or ("", 0)
        return host or self.parsed.name, port or self.parsed.port

    def _readHost(self) -> tuple[list[tuple[bytes, bytes]], str]:
        """The header fields without ``Host``, and the URL that the request is made of."""
        fields: list[tuple[bytes, bytes]] = self._said.header
        others = [pair for pair in fields if pair[0].lower() != b"host"]
        hosts = [value for name, value in fields if name.lower() == b"host"]
        if not hosts:
            return others, self.url
        text = hosts[0].decode("ascii", "replace")
        if len(hosts) > 1 or not _AUTHORITY.fullmatch(text):
            raise ValueError("--header: Host: expected one host name, with or without a port")
        split = urlsplit(self.url.strip())
        user, at, _ = split.netloc.rpartition("@")
        return others, urlunsplit(split._replace(netloc=f"{user}{at}{text}"))

    def _readProxy(self) -> Proxy | None:
        said = self._said.proxy
        try:
            return chosenProxy("environment" if said is None else said or None, self.parsed)
        except ValueError as error:
            # With the variable's name, where the environment is to blame.
            raise ValueError(str(error) if said is None else f"--proxy: {error}") from None

    def _readNamer(self) -> str:
        if self._said.proxy is not None:
            return "--proxy"
        url = self.parsed
        return proxy_variable(url.secure, url.name, url.port, os.environ) or ""

    def _readCertificate(self) -> PrivateCertificate | None:
        if self._said.certificate is None:
            if self._said.private_key is not None:
                raise ValueError("--private-key: expected a --certificate as well")
            return None
        return certificateFromPaths(self._said.certificate, self._said.private_key)

    def dialer(self, reactor: Any, kind: type[Dialer] = Dialer, **more: Any) -> Dialer:
        """
        Make the dialer.

        :param kind: its class.
        :param more: further arguments of that class.
        """
        return kind(
            reactor,
            self.limits,
            self.proxy,
            self.trustRoot,
            self._certificate,
            verify=self.isVerified,
            alpn=self.alpn,
            proxyBasic=self.proxyBasic,
            connectTo=self.address if self._said.connect_to else None,
            **more,
        )

    @contextmanager
    def reached(self) -> Iterator[None]:
        """
        Report errors of lookup and TCP as errors of the proxy, where there is one: then the proxy
        is the only host that this program connects to.

        :raises CommandFailed: for such an error, and for a server that refuses credentials.
        """
        try:
            yield
        except (LookupFailed, ConnectFailed) as error:
            if self.proxy is None:
                raise
            line = (
                f"cannot connect to the proxy {self.proxy} ({self.proxyNamedBy}): {line_of(error)}"
            )
            raise CommandFailed(Status.PROXY, line) from error
        except HandshakeRefused as refused:
            if refused.status != 401 or not self.hasCredentials:
                raise
            raise CommandFailed(status_of(refused), self.lineOf(refused)) from refused

    @property
    def hasCredentials(self) -> bool:
        """Whether the request has credentials, in the URL or in a header field."""
        fields = [name.lower() for name, _ in self._said.header]
        return self.parsed.credentials is not None or b"authorization" in fields

    def lineOf(self, error: Exception) -> str:
        """Describe an error in one line, as :func:`line_of` does, with regard to credentials."""
        if isinstance(error, HandshakeRefused) and error.status == 401 and self.hasCredentials:
            return line_of(error, "the server did not accept these credentials")
        return line_of(error)

    @property
    def options(self) -> str:
        """The options besides dialect and URL, as words of a command line with a blank before each.
        Values that may be credentials are shown as three dots."""
        said = self._said
        words = [("--origin", said.origin), ("--trust-root", said.trust_root)]
        words += [("--certificate", said.certificate), ("--private-key", said.private_key)]
        words += [("--proxy", said.proxy and "...")]
        words += [("--subprotocol", "...") for _ in said.subprotocol]
        words += [("--header", "...") for _ in said.header]
        words += [("--alpn", name) for name in said.alpn]
        words += [("--connect-to", said.connect_to and self._shownAddress())]
        flags = {
            "--lenient": said.lenient,
            "--no-verify": said.no_verify,
            "--any-port": said.any_port,
            "--no-proxy-basic": said.no_proxy_basic,
            "--no-compression": said.no_compression,
        }
        values = [f" {name} {shlex.quote(value)}" for name, value in words if value is not None]
        return "".join([*values, *(f" {flag}" for flag, is_said in flags.items() if is_said)])

    def _shownAddress(self) -> str:
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def endpoint(
        self, dialer: Dialer, dialect: str | None = None, **more: Any
    ) -> WebSocketClientEndpoint:
        """
        Make the endpoint.

        :param dialect: instead of the dialect of the options.
        :param more: further options of a client.
        :raises ValueError: for a value that cannot be sent in a request.
        :raises txhixie.errors.UnsupportedByDialect: for more subprotocols than the dialect has room
            for.
        """
        said = self._said
        options: ClientOptions = {
            "dialect": dialect or said.dialect or "rfc6455",
            "origin": said.origin,
            "subprotocols": said.subprotocol,
            "headers": self._headers,
            "clock": dialer.reactor,
            "limits": self.limits,
            "extensions": () if said.no_compression else CLIENT_EXTENSIONS,
            "lenient": said.lenient,
            **more,  # type: ignore[typeddict-item]  # mypy does not know the keys of the dictionary
        }
        port = self.address[1]
        if port in BAD_PORTS and not said.any_port:
            raise ValueError(
                f"port {port} is blocked by the Fetch standard; use --any-port to connect anyway"
            )
        return WebSocketClientEndpoint(dialer.to(self.parsed), self._requested, **options)


@contextmanager
def usageErrors() -> Iterator[None]:
    """
    Report wrong values of options as usage errors.

    :raises CommandFailed: for ``ValueError``, ``OSError`` and ``UnsupportedByDialect``.
    """
    try:
        yield
    except OSError as error:
        raise CommandFailed(Status.USAGE, f"{error.filename}: {error.strerror}") from None
    except (ValueError, UnsupportedByDialect) as error:
        raise CommandFailed(Status.USAGE, str(error)) from None


# Types of options' values. An error never repeats the value: it may be a credential.


def withScheme(url: str) -> str:
    """
    Add the scheme to a URL that has none, as curl does for HTTP.

    Port 443 is that of TLS: ``wss``. No server answers a handshake without TLS there.

    :raises ValueError: for an ``http:`` or ``https:`` URL; the text has the URL to write instead.
    """
    text = url.strip()
    if web := re.match(r"http(s?)://", text, re.IGNORECASE):
        meant = f"ws{web[1].lower()}://{text[web.end() :]}"
        parse_url(meant)  # its errors are of more use than a corrected scheme
        raise ValueError(
            f"scheme: expected ws: or wss:; did you mean {without_credentials(meant)}?"
        )
    if re.match(r"[a-z][a-z0-9+.-]*://|wss?:", text, re.IGNORECASE):
        return url
    authority = re.split(r"[/?#]", text, maxsplit=1)[0]
    return f"{'wss' if authority.endswith(':443') else 'ws'}://{text}"


def connectTo(text: str) -> tuple[str, int]:
    """Read a host and a port, of which either may be empty: an empty string, or 0."""
    found = _ADDRESS.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        parsed = parse_url(f"ws://{found[1] or 'localhost'}:{found[2] or '1'}/")
    except ValueError:
        raise ArgumentTypeError("expected HOST:PORT") from None
    return parsed.name if found[1] else "", parsed.port if found[2] else 0


def header(text: str) -> tuple[bytes, bytes]:
    """Read a header field: its name and its value."""
    try:
        return read_header(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def seconds(text: str) -> float:
    """Read a time in seconds."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise ArgumentTypeError("expected seconds, more than 0")
    return value


def idleSeconds(text: str) -> float:
    """Read a time in seconds that may be 0 or infinite."""
    value = _number(text)
    if not value >= 0:
        raise ArgumentTypeError("expected seconds, 0 or more, or inf")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def size(text: str) -> int:
    """Read a number of bytes."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ArgumentTypeError("expected a number of bytes, 1 or more")
    return int(text)
