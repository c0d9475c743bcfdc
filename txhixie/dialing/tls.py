"""TLS as a stage of its own: a connection is there when the peer has proved who it is."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import Any, Final, cast

from OpenSSL import SSL
from OpenSSL._util import ffi, lib  # pyOpenSSL's public part does not tell the verdict
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

from ..sansio.arguments import strings, whole_text
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
from .unverified import UnverifiedTLS

_VERDICTS: Final[dict[int, type[TLSFailed]]] = {
    2: UnknownIssuer,  # the issuer's certificate is not there
    9: CertificateExpired,  # not yet valid
    10: CertificateExpired,
    18: UnknownIssuer,  # signed by itself
    19: UnknownIssuer,  # an authority that we do not trust, signed by itself
    20: UnknownIssuer,  # no issuer among those we trust
    21: UnknownIssuer,  # one certificate alone, and no issuer
    62: CertificateForAnotherHost,  # where OpenSSL compares names: a context of the caller's
    64: CertificateForAnotherHost,
}
"""OpenSSL's ``X509_V_ERR_`` numbers (openssl-verification-options(1)) and what they mean to us."""


def clientTLS(
    host: str,
    trustRoot: Any = None,
    certificate: PrivateCertificate | None = None,
    alpn: Iterable[str] = (),
    verify: bool = True,
) -> IOpenSSLClientConnectionCreator:
    """
    TLS to a host, whose certificate has to be for it: Twisted's ``optionsForClientTLS``, for a host
    as it stands in a URL, with our own check of the name.

    :param host: a name in ASCII, or an address without brackets. A dot at a name's end is a
        resolver's affair: it is in no certificate, and not in what the server is told of the name
        (RFC 6066 section 3).
    :param trustRoot: whose word is taken for who the host is; by default the platform's
        authorities.
    :param certificate: the client certificate with its private key.
    :param alpn: protocols to offer by ALPN (RFC 7301), the better first; none by default, since a
        server on Twisted 26.10 may refuse every client that offers any.
    :param verify: ``False`` to check nothing of the server's certificate.
    :raises ValueError: for a name that IDNA does not know, with an underscore say, and for a
        protocol that cannot be offered.
    :raises TypeError: for protocols that are one string.
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

    :raises TypeError: for one string.
    :raises ValueError: for a name that is not 1 to 255 ASCII characters long, and for ``h2``.
    """
    names = strings("alpn", alpn, '["http/1.1"]')
    for name in names:
        if not (name.isascii() and name.isprintable() and 0 < len(name) < 256):
            raise ValueError(f"alpn: expected 1 to 255 ASCII characters, not {name[:40]!r}")
        if name in ("h2", "h3"):
            raise ValueError(f"alpn: {name} cannot be offered: we speak HTTP/1.1 only")
    return [name.encode("ascii") for name in names]


def checkContext(contextFactory: object) -> None:
    """
    :raises TypeError: for what makes no client connections of TLS.
    """
    if not IOpenSSLClientConnectionCreator.providedBy(contextFactory):
        raise TypeError(
            "contextFactory: expected an IOpenSSLClientConnectionCreator, such as"
            f" optionsForClientTLS(...) returns, not {contextFactory!r}"
        )


def checkWho(trustRoot: object, certificate: object, serverName: object) -> None:
    """
    Look at what a program says of certificates, before anything is connected.

    :raises TypeError: for a file's name or contents where a certificate belongs, and for a server's
        name that is not ``str``.
    """
    if isinstance(trustRoot, str | bytes | PathLike | list | tuple):
        raise TypeError(
            f"trustRoot: expected a certificate, not {type(trustRoot).__name__}; write "
            "Certificate.loadPEM(data), or trustRootFromCertificates([...]) for several"
        )
    if certificate is not None and not isinstance(certificate, PrivateCertificate):
        raise TypeError(
            f"certificate: expected a PrivateCertificate, not "
            f"{type(certificate).__name__}; write PrivateCertificate.loadPEM(data)"
        )
    if serverName is not None:
        whole_text("serverName", serverName)


@implementer(IStreamClientEndpoint)
class TLSEndpoint:
    """
    Any endpoint, with TLS over it.

    As Twisted's ``wrapClientTLS``, but a protocol is only made when the handshake is through: what
    failed in it, or took too long, is told here, and not to a protocol that never was connected.
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
        :param contextFactory: what :func:`clientTLS` answers, or another provider of
            ``IOpenSSLClientConnectionCreator``.
        :param host: the name or address that the peer's certificate has to be for, whatever
            ``contextFactory`` checks itself; ``None`` to check nothing.
        :param seconds: how long the handshake may take.
        :raises TypeError: for a ``contextFactory`` that is something else.
        """
        checkContext(contextFactory)
        self._endpoint = endpoint
        self._host = host
        self._contextFactory = contextFactory
        self._seconds = seconds
        self._clock = clock

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        :return: fires with the connected protocol. Fails as the endpoint below does, or with
            :class:`txhixie.errors.TLSFailed` or a branch of it,
            :class:`txhixie.errors.PeerLeft` or :class:`txhixie.errors.ConnectTimeout`. When it is
            cancelled, it fails with ``twisted.internet.error.ConnectingCancelledError``.
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
        handshake.giveWay(protocol)
        return protocol

    def _begin(self, below: _Connection) -> _Handshake:
        """Here, and not in the endpoint below: it would not tell us of a context that breaks."""
        handshake = _Handshake()
        handshakes: Any = Factory.forProtocol(cast("type[Protocol]", lambda: handshake))
        tls = TLSMemoryBIOFactory(self._contextFactory, True, handshakes, clock=self._clock)
        above = tls.buildProtocol(below.address)
        above.makeConnection(below.transport)
        below.above = above
        return handshake


class _Connections(Factory):
    """Makes the connections below; starts and stops with the factory all this is for."""

    noisy = False

    def __init__(self, wrapped: IProtocolFactory) -> None:
        self._wrapped = wrapped

    def doStart(self) -> None:
        self._wrapped.doStart()

    def doStop(self) -> None:
        self._wrapped.doStop()

    def buildProtocol(self, addr: IAddress) -> _Connection:  # type: ignore[override]
        return _Connection(addr)


class _Connection(Protocol):
    """
    The connection below TLS.

    :ivar above: who gets what comes.
    """

    transport: Any
    above: IProtocol | None = None

    def __init__(self, address: IAddress) -> None:
        self.address = address

    def dataReceived(self, data: bytes) -> None:
        """For TLS to read."""
        if self.above is not None:
            self.above.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """For TLS to judge."""
        if self.above is not None:
            self.above.connectionLost(reason)


@implementer(IHandshakeListener)
class _Handshake(Protocol):
    """
    Waits for a handshake, above TLS.

    :ivar complete: fires when it is through.
    """

    transport: Any

    def __init__(self) -> None:
        self.complete: Deferred[None] = Deferred()

    def handshakeCompleted(self) -> None:
        """
        The peer is who it should be, unless TLS is ending already: before 26.10, Twisted compares
        names in OpenSSL's last callback, and tells of the handshake after it has aborted it.
        """
        if not self.transport.disconnecting and not self.complete.called:
            self.complete.callback(None)

    def giveWay(self, protocol: IProtocol) -> None:
        """To the protocol all this was for."""
        self.transport.wrappedProtocol = protocol
        protocol.makeConnection(self.transport)
        if IHandshakeListener.providedBy(protocol):
            protocol.handshakeCompleted()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """There will be none."""
        if not self.complete.called:
            error = tlsError(reason.value, self.transport.getHandle())
            if error is None and reason.check(ConnectionClosed) is None:
                # A context's own check has raised it: Twisted 25.5 hands on whatever that is.
                error = TLSFailed(f"the peer's certificate: {type(reason.value).__name__}")
            if error is None:
                error = PeerLeft("tls")
            if error is not reason.value and not isinstance(reason.value, ConnectionDone):
                error.__cause__ = reason.value
            self.complete.errback(error)


def checkPeer(connection: SSL.Connection, host: str) -> None:
    """
    Check, after the handshake, that the peer's certificate was verified and is for a host.

    :param connection: OpenSSL's. Where its context asks for no verification (``VERIFY_NONE``),
        OpenSSL goes on after a bad verdict on the chain of certificates; we do not.
    :raises txhixie.errors.TLSFailed: or a branch of it, saying what is wrong.
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
    What went wrong in TLS, if it was that.

    :param reason: why a connection was lost.
    :param connection: its OpenSSL connection, which has a verdict on the peer's certificate.
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
    """OpenSSL's own words: a queue of errors, or an ``errno`` and its name."""
    if isinstance(error, SSL.SysCallError):
        return str(error.args[-1])
    return ", ".join(str(each[-1]) for queue in error.args for each in queue)


def _verdict(connection: SSL.Connection) -> int:
    return int(lib.SSL_get_verify_result(connection._ssl))  # noqa: SLF001  (see the import)


def _words(verdict: int) -> str:
    return bytes(ffi.string(lib.X509_verify_cert_error_string(verdict))).decode()
