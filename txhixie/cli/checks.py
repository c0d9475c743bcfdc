"""Checks of the stages of a connection: each stage is tried alone, and reported in order.

A check sends nothing but what ``txhixie connect`` with the same options would send. A server
with a certificate that could not be verified is sent no header field of the request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ISSLTransport, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from ..channel.channel import Channel
from ..channel.dial import ConnectionAttempt
from ..dialing.errors import (
    CertificateExpired,
    CertificateForAnotherHost,
    ConnectTimeout,
    LookupFailed,
    PeerLeft,
    TLSFailed,
    UnknownIssuer,
)
from ..dialing.hostname import NamedHostEndpoint, lookUp
from ..dialing.proxy_endpoint import proxyEndpoint
from ..dialing.stage import bounded
from ..sansio.dialects import DIALECTS, named
from ..sansio.errors import HixieError, UnsupportedByDialect
from .certificates import Link, chain_of
from .status import line_of
from .target import Target

_MOST_ADDRESSES: Final = 4
"""Addresses of one host that are tried, one after another."""

ALPN: Final = ("http/1.1",)
"""The protocols that browsers offer by ALPN for ``wss:``."""

CERTIFICATE_ERRORS: Final = (CertificateExpired, CertificateForAnotherHost, UnknownIssuer)
"""Errors that other protocols in ALPN cannot mend."""


class Finding(NamedTuple):
    """
    Result of the check of one stage.

    :ivar stage: ``lookup``, ``tcp``, ``proxy``, ``tls``, the name of a dialect, ``alpn``, or
        ``round trip``.
    :ivar works: whether the stage succeeded; ``None`` for a stage that was not tried.
    :ivar lines: the report of the stage, one line or more.
    :ivar error: the error of a stage that failed.
    :ivar certificates: the certificates that the server sent.
    """

    stage: str
    works: bool | None
    lines: tuple[str, ...]
    error: Exception | None = None
    certificates: tuple[Link, ...] = ()


class Checks:
    """
    The checks of one server.

    :ivar target: the server, and the options of the connection.
    :ivar now: the time at which certificates have to be valid.
    """

    def __init__(self, reactor: Any, target: Target, now: datetime) -> None:
        self.target = target
        self.now = now
        self._reactor = reactor
        self._dialer = target.dialer(reactor)
        self._addresses: list[str] = []
        self._certificates: tuple[Link, ...] = ()
        self._roundTrip: Finding | None = None

    @property
    def dialect(self) -> str:
        """The dialect of the options; RFC 6455 by default."""
        return self.target.dialect or "rfc6455"

    async def findings(self) -> AsyncIterator[Finding]:
        """Check stage after stage, up to the first stage before the handshake that fails."""
        stages = [self._lookup, self._tcp, self._proxy, self._tls]
        for stage in stages:
            finding = await stage()
            if finding is not None:
                yield finding
                if not finding.works:
                    async for another in self._otherwise(finding):
                        yield another
                    return
        asked = None
        for row in DIALECTS:
            finding = await self._converse(row.name)
            asked = finding if row.name == self.dialect else asked
            yield finding
        async for another in self._otherwise(asked):
            yield another
        if self._roundTrip is not None:
            yield self._roundTrip

    # The stages before the handshake.

    @property
    def _first(self) -> tuple[str, int]:
        """Host and port of the TCP connection: those of the proxy, or of the server."""
        proxy = self.target.proxy
        return self.target.address if proxy is None else (proxy.host, proxy.port)

    async def _lookup(self) -> Finding:
        host, port = self._first
        watch = self._watch()
        looking = lookUp(self._reactor, host, port)
        try:
            found = await bounded(
                looking, "lookup", self.target.limits.lookup_timeout, self._reactor
            )
            if not found:
                raise LookupFailed(f"no address is known for {host}")
        except HixieError as error:
            return Finding("lookup", False, (line_of(error), *self._through()), error)
        self._addresses = list(dict.fromkeys(address.host for address in found))
        line = f"{host}: {', '.join(self._addresses)}{watch()}"
        if self._addresses == [host]:
            line = f"{host} is an address"
        return Finding("lookup", True, (line, *self._through()))

    def _through(self) -> tuple[str, ...]:
        """The line that names the proxy, and the option or environment variable that sets the
        proxy: users forget a variable that was set elsewhere."""
        target = self.target
        if target.proxy is None:
            return ()
        return (f"through the proxy {target.proxy} ({target.proxyNamedBy})",)

    async def _tcp(self) -> Finding:
        """Connect to every address: a client uses the first that answers, and hides the others."""
        _, port = self._first
        lines, errors = [], []
        for address in self._addresses[:_MOST_ADDRESSES]:
            watch = self._watch()
            endpoint = NamedHostEndpoint(self._reactor, address, port, limits=self.target.limits)
            try:
                await self._looked(endpoint)
            except HixieError as error:
                errors.append(error)
                lines.append(line_of(error))
            else:
                lines.append(f"{address}, port {port}{watch()}")
        works = len(errors) < len(lines)
        return Finding("tcp", works, tuple(lines), errors[0] if errors else None)

    async def _proxy(self) -> Finding | None:
        proxy, parsed = self.target.proxy, self.target.parsed
        if proxy is None:
            return None
        watch = self._watch()
        try:
            if proxy.secure:
                trust = self.target.trustRoot
                limits = self.target.limits
                await self._looked(
                    proxyEndpoint(self._reactor, proxy, limits=limits, trustRoot=trust)
                )
            await self._looked(self._dialer.below(parsed))
        except HixieError as error:
            return _failed("proxy", error)
        host, port = self.target.address
        said = f"{proxy} connects to {host}, port {port}{watch()}"
        return Finding("proxy", True, (said,))

    async def _tls(self) -> Finding | None:
        """Make the TLS handshake as a client does. When it fails, make it once more without
        verification, to show the certificate."""
        if not self.target.parsed.secure:
            return None
        watch = self._watch()
        try:
            look = await self._looked(self._dialer.to(self.target.parsed))
        except TLSFailed as error:
            return Finding(
                "tls", False, (line_of(error), *await self._shown()), error, self._certificates
            )
        except HixieError as error:
            return _failed("tls", error)
        self._certificates = look.certificates
        trust = "trusted" if self.target.isVerified else "not verified"
        said = f"{look.version}, {trust}{watch()}"
        return Finding(
            "tls", True, (said, *self._certificateLines()), certificates=self._certificates
        )

    async def _shown(self) -> tuple[str, ...]:
        anybody = replace(self._dialer, verify=False, certificate=None)
        try:
            self._certificates = (await self._looked(anybody.to(self.target.parsed))).certificates
        except HixieError:
            return ()
        return self._certificateLines()

    def _certificateLines(self) -> tuple[str, ...]:
        return tuple(line for link in self._certificates for line in link.lines(self.now))

    async def _looked(self, endpoint: IStreamClientEndpoint) -> _Look:
        """Connect, and close the connection."""
        connecting = endpoint.connect(cast(Any, Factory.forProtocol(_Look)))
        return cast(_Look, await cast("Deferred[Any]", connecting))

    async def _otherwise(self, asked: Finding | None) -> AsyncIterator[Finding]:
        """
        Connect again with the other choice of ALPN: with ALPN, or without it where the options
        have ``--alpn``. Browsers and curl offer ALPN, ``txhixie connect`` does not by default, and
        a server may refuse either kind of client.

        :param asked: the finding with the ALPN of the options.
        """
        if asked is None or asked.stage not in ("tls", self.dialect):
            return
        if not self.target.parsed.secure or isinstance(asked.error, CERTIFICATE_ERRORS):
            return
        what = "no ALPN" if self.target.alpn else f"ALPN {ALPN[0]}"
        dialer = replace(self._dialer, alpn=() if self.target.alpn else ALPN)
        watch = self._watch()
        try:
            channel = await ConnectionAttempt(self.target.endpoint(dialer, self.dialect))
        except (TLSFailed, PeerLeft, ConnectTimeout) as error:
            if asked.works:
                line = f"a client that offers {what} is refused: {line_of(error)}"
                yield Finding("alpn", False, (line,), error)
            return
        except (UnsupportedByDialect, ValueError):
            return
        except HixieError:
            pass  # after the TLS handshake: the server has answered
        else:
            await channel.close()
        yield Finding("alpn", True, (f"a client that offers {what} is answered{watch()}",))

    # The handshake, and a ping.

    async def _converse(self, dialect: str) -> Finding:
        watch = self._watch()
        try:
            endpoint = self.target.endpoint(self._dialer, dialect)
        except (UnsupportedByDialect, ValueError) as error:
            return Finding(dialect, None, (str(error),))
        try:
            channel = await ConnectionAttempt(endpoint)
        except HixieError as error:
            return Finding(dialect, False, (self.target.lineOf(error),), error)
        said = f"answers{_agreed(channel)}{watch()}"
        if dialect == self.dialect:
            self._roundTrip = await self._ping(channel)
        await channel.close()
        return Finding(dialect, True, (said,))

    async def _ping(self, channel: Channel) -> Finding:
        stage = "round trip"
        if not named(self.dialect).has_pings:
            return Finding(stage, None, (f"{self.dialect} has no pings",))
        watch = self._watch()
        seconds = self.target.limits.open_timeout
        pinging = channel.ping()
        late = ConnectTimeout("handshake", seconds)
        try:
            await pinging.addTimeout(seconds, self._reactor, lambda *_: _raise(late))
        except ConnectTimeout:
            line = f"no answer to a ping within {seconds:g} seconds"
            return Finding(stage, False, (line,), late)
        except HixieError as error:
            return _failed(stage, error)
        return Finding(stage, True, (f"a ping is answered{watch()}",))

    def _watch(self) -> Callable[[], str]:
        began = self._reactor.seconds()
        return lambda: f", {1000 * (self._reactor.seconds() - began):.1f} ms"


class _Look(Protocol):
    """
    Protocol of a connection that reads the TLS parameters and is then closed.

    :ivar version: the version of TLS, and the cipher.
    :ivar certificates: the certificates that the server sent.
    """

    transport: Any
    version = ""
    certificates: tuple[Link, ...] = ()

    def connectionMade(self) -> None:
        """Read the TLS parameters, and close the connection."""
        if ISSLTransport.providedBy(self.transport):
            connection: Any = cast(Any, self.transport).getHandle()
            self.certificates = chain_of(connection)
            version = connection.get_protocol_version_name()
            self.version = f"{version}, {connection.get_cipher_name()}"
        self.transport.loseConnection()


def _agreed(channel: Channel) -> str:
    """The agreement of a handshake in words: extensions and subprotocol."""
    names = [name for name, _ in channel.agreement.extensions]
    words = [f"with {', '.join(names)}"] if names else []
    if channel.subprotocol is not None:
        words.append(f"subprotocol {channel.subprotocol}")
    return "".join(f", {word}" for word in words)


def _failed(stage: str, error: Exception) -> Finding:
    return Finding(stage, False, (line_of(error),), error)


def _raise(error: Exception) -> Any:
    raise error
