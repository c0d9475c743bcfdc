"""Errors of connecting; each is also Twisted's ``ConnectError``.

Our endpoints can be used wherever Twisted takes an endpoint, and code written for Twisted's own
endpoints catches ``twisted.internet.error.ConnectError``. Programs import these errors from
:mod:`txhixie.errors`.
"""

from __future__ import annotations

from typing import Final, Self

from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeoutError

from ..sansio.errors import HixieError

STAGES: Final = {
    "lookup": "address for the name",
    "tcp": "TCP connection",
    "proxy": "answer from the proxy",
    "tls": "answer to the TLS handshake",
    "handshake": "answer to the handshake",
}
"""The stages of connecting to a server, in order, and what the client waits for in each stage."""


class _TwistedConnectError(ConnectError):
    """
    A ``ConnectError`` of Twisted, with the given detail as its whole text.

    The constructor of Twisted's class takes a number and a string, and its ``str()`` puts a
    sentence before the string. ``osError`` is kept: the ``errno`` of the system, or ``None``.
    """

    osError: int | None

    def __init__(self, detail: str, osError: int | None = None) -> None:
        Exception.__init__(self, detail)
        self.osError = osError

    def __str__(self) -> str:
        return Exception.__str__(self)


class ConnectionFailed(HixieError, _TwistedConnectError):
    """
    No connection to the server was made. The ``__cause__`` is Twisted's or OpenSSL's error, if
    one was raised.

    :ivar stage: the stage that failed, a key of :data:`STAGES`.
    :ivar osError: the ``errno`` of the operating system, or ``None``.
    """

    stage: str

    def __init__(self, detail: str, stage: str, osError: int | None = None) -> None:
        _TwistedConnectError.__init__(self, detail, osError)
        self.stage = stage


class LookupFailed(ConnectionFailed, DNSLookupError):
    """The name lookup found no address of the host."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, "lookup")


class ConnectFailed(ConnectionFailed):
    """The TCP connection failed: it was refused, there is no route, or the host does not answer."""

    def __init__(self, detail: str, osError: int | None = None) -> None:
        super().__init__(detail, "tcp", osError)

    @classmethod
    def of(cls, detail: str, cause: ConnectError) -> Self:
        """
        Convert an error of Twisted, with its ``errno``.

        :param cause: Twisted's error, which becomes the ``__cause__``.
        """
        made = cls(detail, cause.osError)
        made.__cause__ = cause
        return made


class TLSFailed(ConnectionFailed):
    """The TLS handshake failed. The subclasses are for failures of a certificate."""

    def __init__(self, detail: str, osError: int | None = None) -> None:
        super().__init__(detail, "tls", osError)


class CertificateExpired(TLSFailed):
    """A certificate of the peer's chain is expired or not yet valid."""


class CertificateForAnotherHost(TLSFailed):
    """The peer's certificate is for other names than the host's."""


class UnknownIssuer(TLSFailed):
    """The peer's certificate is not signed by a trusted CA: self-signed, or of a private CA."""


class PeerLeft(ConnectionFailed):
    """The peer closed the connection before it sent the answer of a stage."""

    def __init__(self, stage: str) -> None:
        super().__init__(f"the peer closed the connection: no {STAGES[stage]}", stage)


class ConnectTimeout(HixieError, _TwistedConnectError, ConnectTimeoutError):
    """
    A stage of connecting took longer than its timeout; also Twisted's ``TimeoutError``.

    :ivar stage: the stage that took too long, a key of :data:`STAGES`.
    :ivar seconds: the timeout.
    """

    def __init__(self, stage: str, seconds: float) -> None:
        _TwistedConnectError.__init__(
            self, f"no {STAGES[stage]} within {round(seconds, 3):g} seconds"
        )
        self.stage = stage
        self.seconds = seconds
