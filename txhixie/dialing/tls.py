"""TLS as a stage of connecting: the Deferred fires when the peer's certificate is verified."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from OpenSSL import SSL
from OpenSSL._util import ffi, lib  # pyOpenSSL's public API has no verify result
from service_identity import CertificateError, VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionClosed, ConnectionDone, NoProtocol
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import PrivateCertificate, optionsForClientTLS
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from ..sansio.arguments import strings
from .errors import (
    CertificateExpired,
    CertificateForAnotherHost,
    ConnectionFailed,
    PeerLeft,
    TLSFailed,
    UnknownIssuer,
)
from .identity import OF_ANOTHER, CheckedTLS, checkName
from .stage import abandonable, bounded
from .tls_arguments import checkContext
from .unverified import UnverifiedTLS

_VERDICTS: Final[dict[int, type[TLSFailed]]] = {
    2: UnknownIssuer,  # the issuer's certificate is missing
    9: CertificateExpired,  # not yet valid
    10: CertificateExpired,
    18: UnknownIssuer,  # self-signed
    19: UnknownIssuer,  # a self-signed CA that is not trusted
    20: UnknownIssuer,  # no trusted issuer
    21: UnknownIssuer,  # one certificate without an issuer
    62: CertificateForAnotherHost,  # a caller's own context in which OpenSSL compares names
    64: CertificateForAnotherHost,
}
"""The error for each of OpenSSL's ``X509_V_ERR_`` numbers (openssl-verification-options(1))."""


def clientTLS(
    host: str,
    trustRoot: Any = None,
    certificate: PrivateCertificate | None = None,
    alpn: Iterable[str] = (),
    verify: bool = True,
) -> IOpenSSLClientConnectionCreator:
    """
    Make the TLS options for connections to a host: Twisted's ``optionsForClientTLS``, with our own
    check of the name in the certificate.

    :param host: a name in ASCII, or an address without brackets. A dot at the end of a name only
        concerns resolvers: it is neither in a certificate nor in the server name indication
        (RFC 6066 section 3), and is removed.
    :param trustRoot: the trusted CA certificates; by default the platform's.
    :param certificate: the client certificate with its private key, for servers that request one.
    :param alpn: protocols to offer by ALPN (RFC 7301), in order of preference; none by default,
        since a server on Twisted 26.10 may refuse every client that offers a protocol.
    :param verify: ``False`` to skip the verification of the server's certificate.
    :raises ValueError: for a name that IDNA does not allow, such as one with an underscore, and for
        a protocol that cannot be offered.
    :raises TypeError: for one string instead of several protocols.
    """
    name, protocols = host.removesuffix("."), alpnNames(alpn)
    if not verify:
        return UnverifiedTLS(name, certificate, protocols)
    try:
        options = optionsForClientTLS(
            name,
            trustRoot=trustRoot,
            clientCertificate=certificate,
            acceptableProtocols=protocols or None,
        )
    except UnicodeError:
        raise ValueError("host: a name of letters, digits and hyphens is needed for TLS") from None
    return CheckedTLS(options, name)


def alpnNames(alpn: Iterable[str]) -> list[bytes]:
    """
    Encode the protocols to offer by ALPN.

    :raises TypeError: for one string instead of several.
    :raises ValueError: for a name that is not 1 to 255 ASCII characters long, and for ``h2``.
    """
    names = strings("alpn", alpn, '["http/1.1"]')
    for name in names:
        if not (name.isascii() and name.isprintable() and 0 < len(name) < 256):
            raise ValueError(f"alpn: expected 1 to 255 ASCII characters, not {name[:40]!r}")
        if name in ("h2", "h3"):
            raise ValueError(f"alpn: {name} cannot be offered: we speak HTTP/1.1 only")
    return [name.encode("ascii") for name in names]


@implementer(IStreamClientEndpoint)
class TLSEndpoint:
    """
    TLS over another endpoint.

    Unlike Twisted's ``wrapClientTLS``, this endpoint builds the protocol after the TLS handshake: a
    handshake that fails or takes too long fails the Deferred, and no protocol sees the connection.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        contextFactory: Any,
        *,
        host: str | None,
        seconds: float,
        clock: IReactorTime,
    ) -> None:
        """
        :param contextFactory: the result of :func:`clientTLS`, or another provider of
            ``IOpenSSLClientConnectionCreator``.
        :param host: the name or address that the peer's certificate has to contain, in addition to
            the checks of ``contextFactory``; ``None`` to check nothing.
        :param seconds: the timeout of the handshake.
        :raises TypeError: for a ``contextFactory`` of another type.
        """
        checkContext(contextFactory)
        self._endpoint = endpoint
        self._host = host
        self._contextFactory = contextFactory
        self._seconds = seconds
        self._clock = clock

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect, and complete the TLS handshake.

        :return: fires with the connected protocol. Fails as the endpoint below does, or with
            :class:`txhixie.errors.TLSFailed` or a subclass of it,
            :class:`txhixie.errors.PeerLeft` or :class:`txhixie.errors.ConnectTimeout`. When the
            Deferred is cancelled, it fails with
            ``twisted.internet.error.ConnectingCancelledError``.
        """
        return abandonable(Deferred.fromCoroutine(self._connect(protocolFactory)), None)

    async def _connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        connections = cast(IProtocolFactory, _Connections(protocolFactory))
        below = cast(_Connection, await self._endpoint.connect(connections))
        try:
            handshake = self._begin(below)
            await bounded(handshake.complete, "tls", self._seconds, self._clock, below.address)
            if self._host is not None:
                checkPeer(handshake.transport.getHandle(), self._host)
            protocol = protocolFactory.buildProtocol(below.address)
            if protocol is None:
                raise NoProtocol
        except BaseException:
            below.transport.abortConnection()
            raise
        handshake.handOver(protocol)
        return protocol

    def _begin(self, below: _Connection) -> _Handshake:
        """Start TLS. Done here, since the endpoint below would swallow what a context raises."""
        handshake = _Handshake()
        handshakes: Any = Factory.forProtocol(cast("type[Protocol]", lambda: handshake))
        tls = TLSMemoryBIOFactory(self._contextFactory, True, handshakes, clock=self._clock)
        above = tls.buildProtocol(below.address)
        above.makeConnection(below.transport)
        below.above = above
        return handshake


class _Connections(Factory):
    """Builds the connections below TLS; starts and stops together with the caller's factory."""

    noisy = False

    def __init__(self, wrapped: IProtocolFactory) -> None:
        self._wrapped = wrapped

    def doStart(self) -> None:
        self._wrapped.doStart()

    def doStop(self) -> None:
        self._wrapped.doStop()

    def buildProtocol(self, addr: IAddress) -> _Connection:  # type: ignore[override]  # an address is required here, where Twisted allows None
        return _Connection(addr)


class _Connection(Protocol):
    """
    The connection below TLS.

    :ivar above: the TLS protocol, which gets the received bytes.
    """

    transport: Any
    above: IProtocol | None = None

    def __init__(self, address: IAddress) -> None:
        self.address = address

    def dataReceived(self, data: bytes) -> None:
        """Pass bytes to TLS."""
        if self.above is not None:
            self.above.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Pass the reason to TLS."""
        if self.above is not None:
            self.above.connectionLost(reason)


@implementer(IHandshakeListener)
class _Handshake(Protocol):
    """
    Waits for the TLS handshake, as the protocol above TLS.

    :ivar complete: fires when the handshake is complete.
    """

    transport: Any

    def __init__(self) -> None:
        self.complete: Deferred[None] = Deferred()

    def handshakeCompleted(self) -> None:
        """
        Fire, unless TLS is disconnecting: before 26.10, Twisted compares names in OpenSSL's last
        callback, and calls this method after it has aborted the handshake.
        """
        if not self.transport.disconnecting and not self.complete.called:
            self.complete.callback(None)

    def handOver(self, protocol: IProtocol) -> None:
        """Connect the caller's protocol in the place of this one."""
        self.transport.wrappedProtocol = protocol
        protocol.makeConnection(self.transport)
        if IHandshakeListener.providedBy(protocol):
            protocol.handshakeCompleted()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fail with the reason why there is no TLS connection."""
        if not self.complete.called:
            error = tlsError(reason.value, self.transport.getHandle())
            if error is None and reason.check(ConnectionClosed) is None:
                # The caller's context has raised it: Twisted 25.5 passes any exception on.
                error = TLSFailed(f"the peer's certificate: {type(reason.value).__name__}")
            if error is None:
                error = PeerLeft("tls")
            if error is not reason.value and not isinstance(reason.value, ConnectionDone):
                error.__cause__ = reason.value
            self.complete.errback(error)


def checkPeer(connection: SSL.Connection, host: str) -> None:
    """
    Check, after the handshake, that the peer's certificate was verified and is for a host.

    :param connection: OpenSSL's connection. With ``VERIFY_NONE`` in its context, OpenSSL continues
        after the verification of the certificate chain has failed; this function raises.
    :raises txhixie.errors.TLSFailed: or a subclass of it.
    """
    isVerified = connection.get_verify_mode() & SSL.VERIFY_PEER
    if not isVerified and (verdict := _verdict(connection)):
        raise _judged(verdict, " (contextFactory does not verify it; verify=False connects anyway)")
    checkName(connection.get_peer_certificate(), host)


def _judged(verdict: int, more: str = "") -> TLSFailed:
    kind = _VERDICTS.get(verdict, TLSFailed)
    return kind(f"the peer's certificate: {_words(verdict)}{more}")


def tlsError(
    reason: BaseException | None, connection: SSL.Connection | None
) -> ConnectionFailed | None:
    """
    Convert the reason of a lost connection to an error of TLS; ``None`` if it is another reason.

    :param reason: the reason of ``connectionLost``.
    :param connection: the OpenSSL connection, which has the verify result of the peer's
        certificate.
    """
    if isinstance(reason, CertificateForAnotherHost):
        return reason
    if isinstance(reason, VerificationError | CertificateError):
        return CertificateForAnotherHost(OF_ANOTHER)
    if not isinstance(reason, SSL.Error):
        return None
    verdict = 0 if connection is None else _verdict(connection)
    if verdict:
        return _judged(verdict)
    number = reason.args[0] if isinstance(reason, SSL.SysCallError) and reason.args[0] > 0 else None
    return TLSFailed(f"no TLS with the peer: {_said(reason) or 'no reason'}", number)


def _said(error: SSL.Error) -> str:
    """The text of an OpenSSL error: its error queue, or the name of an ``errno``."""
    if isinstance(error, SSL.SysCallError):
        return str(error.args[-1])
    return ", ".join(str(each[-1]) for queue in error.args for each in queue)


def _verdict(connection: SSL.Connection) -> int:
    return int(lib.SSL_get_verify_result(connection._ssl))  # noqa: SLF001  (see the import)


def _words(verdict: int) -> str:
    return bytes(ffi.string(lib.X509_verify_cert_error_string(verdict))).decode()
