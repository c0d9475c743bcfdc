"""Where to, and how: the options that both commands have, and the endpoint they ask for."""

from __future__ import annotations

import math
import os
import shlex
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from twisted.internet.ssl import PrivateCertificate

from ..client.endpoint import WebSocketClientEndpoint
from ..client.protocol import ClientOptions
from ..dialing.dialer import Dialer, chosenProxy
from ..dialing.errors import ConnectFailed, LookupFailed
from ..dialing.pem import certificateFromPaths, trustRootFromPath
from ..dialing.proxy import Proxy, proxy_variable
from ..sansio.dialects import DIALECTS
from ..sansio.errors import HandshakeRefused, UnsupportedByDialect
from ..sansio.extensions import CLIENT_EXTENSIONS
from ..sansio.http.head import TOKEN
from ..sansio.http.url import BAD_PORTS, parse_url, without_credentials
from ..sansio.limits import Limits
from .status import CommandFailed, Status, line_of, status_of

_LIMITS: Final = Limits()


def addOptions(parser: ArgumentParser) -> None:
    """Those of the way, and of what is asked of a server."""
    parser.add_argument("url", metavar="URL", help="ws: or wss:, as pages have it")
    add = parser.add_argument_group("what is asked for").add_argument
    names = [dialect.name for dialect in DIALECTS]
    add("--dialect", choices=names, metavar="NAME", help="one of %(choices)s; by default rfc6455")
    add("--subprotocol", action="append", default=[], metavar="NAME", help="a subprotocol to"
        " offer; may be repeated, the preferred one first")  # fmt: skip
    add("--origin", metavar="ORIGIN", help="of the page on whose behalf this is")
    add("-H", "--header", action="append", default=[], type=header, metavar="'NAME: VALUE'",
        help="a further field of the request; again for another")  # fmt: skip
    add("--lenient", action="store_true", help="take answers that are known to be nearly right")
    add = parser.add_argument_group("the way there").add_argument
    add("-x", "--proxy", metavar="URL", help="http[s]://[NAME:PASSWORD@]HOST[:PORT]; by default the"
        " one that the environment names, as curl reads it; '' for none")  # fmt: skip
    add("--no-proxy-basic", action="store_true", help="send a password by Basic only to a proxy"
        " that is reached by TLS")  # fmt: skip
    add("--trust-root", "--cacert", metavar="FILE", help="trusted certificates in PEM, a file or a"
        " directory; by default the platform's CA certificates")  # fmt: skip
    add("-E", "--certificate", metavar="FILE", help="client certificate, a PEM file")
    add("--private-key", metavar="FILE", help="private key of the client certificate, a PEM file;"
        " by default it is read from the file of the certificate")  # fmt: skip
    add("--alpn", action="append", default=[], metavar="NAME", help="a protocol to offer by ALPN in"
        " the TLS handshake, such as http/1.1; again for another; by default none")  # fmt: skip
    add("-k", "--no-verify", action="store_true", help="do not verify the server's certificate")
    add("--any-port", action="store_true", help="connect also to other protocols' ports")
    add("--timeout", type=seconds, metavar="SECONDS", help="for each stage of the way, for the"
        " answer to the handshake, and for the one to --once")  # fmt: skip
    add("--max-message-size", type=size, metavar="BYTES", default=_LIMITS.message_size,
        help="of one message, in and out; by default %(default)s")  # fmt: skip
    add("--no-compression", action="store_true", help="offer no compression")


class Destination:
    """
    What was asked for, with nothing begun.

    :ivar shown: the URL, without credentials.
    :ivar parsed: the URL, taken apart.
    :ivar limits: with the seconds of each stage, and the most bytes of a message.
    :ivar dialect: the name of the one asked for; ``None`` if none was.
    :ivar proxy: through which to go; ``None`` for none.
    :ivar proxyNamedBy: the option or the variable that says so, for people.
    :ivar trustRoot: whose word is taken for who a server is; ``None``: the platform's authorities.
    :ivar isVerified: whether a server has to prove who it is.
    :ivar alpn: protocols to offer by ALPN.
    :ivar proxyBasic: whether a proxy without TLS may be sent a password by Basic.
    """

    def __init__(self, said: Namespace) -> None:
        """
        :param said: what :func:`addOptions` has read.
        :raises ValueError: for what cannot be meant.
        :raises OSError: for a file that cannot be read.
        """
        self._said = said
        self.parsed = parse_url(said.url)
        self.shown = without_credentials(said.url)
        self.limits = Limits(message_size=said.max_message_size)
        if said.timeout is not None:
            self.limits = self.limits.patient(said.timeout)
        self.dialect: str | None = said.dialect
        self.proxy = self._readProxy()
        self.proxyNamedBy = self._readNamer()
        self.trustRoot = trustRootFromPath(said.trust_root) if said.trust_root else None
        self.isVerified = not said.no_verify
        self.alpn: tuple[str, ...] = tuple(said.alpn)
        self.proxyBasic = not said.no_proxy_basic
        self._certificate = self._readCertificate()

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

    def way(self, reactor: Any, kind: type[Dialer] = Dialer, **more: Any) -> Dialer:
        """
        How to get there.

        :param kind: the class of it.
        :param more: what that class wants to know besides.
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
            **more,
        )

    @contextmanager
    def reached(self) -> Iterator[None]:
        """
        Where there is a proxy, that is all we look up and connect to ourselves.

        :raises CommandFailed: instead of an error that names the proxy and not the server, and of a
            refusal of credentials that were sent.
        """
        try:
            yield
        except (LookupFailed, ConnectFailed) as error:
            if self.proxy is None:
                raise
            line = f"no way to the proxy {self.proxy} ({self.proxyNamedBy}): {line_of(error)}"
            raise CommandFailed(Status.PROXY, line) from error
        except HandshakeRefused as refused:
            if refused.status != 401 or not self.hasCredentials:
                raise
            raise CommandFailed(status_of(refused), self.lineOf(refused)) from refused

    @property
    def hasCredentials(self) -> bool:
        """Whether the server is sent credentials, by the URL or a field of the request."""
        fields = [name.lower() for name, _ in self._said.header]
        return self.parsed.credentials is not None or b"authorization" in fields

    def lineOf(self, error: Exception) -> str:
        """An error in one line, as :func:`line_of`: whether credentials were sent is known here."""
        if isinstance(error, HandshakeRefused) and error.status == 401 and self.hasCredentials:
            return line_of(error, "it did not accept these credentials")
        return line_of(error)

    @property
    def options(self) -> str:
        """What was said besides dialect and URL, as it can be said again, with a blank before each
        word. What may be a credential is three dots."""
        said = self._said
        words = [("--origin", said.origin), ("--trust-root", said.trust_root)]
        words += [("--certificate", said.certificate), ("--private-key", said.private_key)]
        words += [("--proxy", said.proxy and "...")]
        words += [("--subprotocol", "...") for _ in said.subprotocol]
        words += [("--header", "...") for _ in said.header]
        words += [("--alpn", name) for name in said.alpn]
        flags = {
            "--lenient": said.lenient,
            "--no-verify": said.no_verify,
            "--any-port": said.any_port,
            "--no-proxy-basic": said.no_proxy_basic,
            "--no-compression": said.no_compression,
        }
        values = [f" {name} {shlex.quote(value)}" for name, value in words if value is not None]
        return "".join([*values, *(f" {flag}" for flag, is_said in flags.items() if is_said)])

    def endpoint(
        self, way: Dialer, dialect: str | None = None, **more: Any
    ) -> WebSocketClientEndpoint:
        """
        The endpoint.

        :param dialect: instead of the one that was asked for.
        :param more: further options of a client.
        :raises ValueError: for what no request can say.
        :raises txhixie.errors.UnsupportedByDialect: for more subprotocols than the dialect has room
            for.
        """
        said = self._said
        options: ClientOptions = {
            "dialect": dialect or said.dialect or "rfc6455",
            "origin": said.origin,
            "subprotocols": said.subprotocol,
            "headers": said.header,
            "limits": self.limits,
            "extensions": () if said.no_compression else CLIENT_EXTENSIONS,
            "lenient": said.lenient,
            **more,  # type: ignore[typeddict-item]
        }
        if self.parsed.port in BAD_PORTS and not said.any_port:
            port = self.parsed.port
            raise ValueError(f"port: {port} is another protocol's; --any-port if it is meant")
        return WebSocketClientEndpoint.by(way, said.url, anyPort=True, **options)


@contextmanager
def meant() -> Iterator[None]:
    """
    What cannot be meant is a mistake of whoever has typed it.

    :raises CommandFailed: instead of what says so.
    """
    try:
        yield
    except OSError as error:
        raise CommandFailed(Status.USAGE, f"{error.filename}: {error.strerror}") from None
    except (ValueError, UnsupportedByDialect) as error:
        raise CommandFailed(Status.USAGE, str(error)) from None


# What an option's value can be. An error never repeats it: it may be a credential.


def header(text: str) -> tuple[bytes, bytes]:
    """A field of a request, name and value."""
    name, colon, value = text.partition(":")
    raw = value.strip().encode("utf-8", "surrogateescape")
    token = name.encode("utf-8", "surrogateescape")
    if not colon or not token or token.translate(None, TOKEN):
        raise ArgumentTypeError("expected 'NAME: VALUE'")
    if any(byte < 32 and byte != 9 for byte in raw):
        raise ArgumentTypeError(f"control characters in the value of {name}")
    return token, raw


def seconds(text: str) -> float:
    """A time, which may be a fraction."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise ArgumentTypeError("expected seconds, more than 0")
    return value


def patience(text: str) -> float:
    """A time, which may be none or have no end."""
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
    """A number of bytes."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ArgumentTypeError("expected a number of bytes, 1 or more")
    return int(text)
