"""What can go wrong while connecting; each of these errors is Twisted's ``ConnectError`` too.

Our endpoints stand wherever Twisted takes one, and code written for Twisted's own endpoints catches
``twisted.internet.error.ConnectError``. Programs import these errors from :mod:`txhixie.errors`.
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
"""The stages of a way to a server, in their order, and what is waited for in each."""


class _Connecting(ConnectError):
    """
    Twisted's ``ConnectError`` with our own words.

    Twisted's constructor takes a number and a string, and its ``str()`` puts a sentence before
    them. Its ``osError`` stays: the number that the operating system gave, or ``None``.
    """

    osError: int | None

    def __init__(self, detail: str, osError: int | None = None) -> None:
        Exception.__init__(self, detail)
        self.osError = osError

    def __str__(self) -> str:
        return Exception.__str__(self)


class ConnectionFailed(HixieError, _Connecting):
    """
    The way to the server ended early; the ``__cause__``, where there is one, is Twisted's own
    error or OpenSSL's.

    :ivar stage: where on the way, a key of :data:`STAGES`.
    :ivar osError: the operating system's number of the error (``errno``), or ``None``.
    """

    stage: str

    def __init__(self, detail: str, stage: str, osError: int | None = None) -> None:
        _Connecting.__init__(self, detail, osError)
        self.stage = stage


class LookupFailed(ConnectionFailed, DNSLookupError):
    """No address is known for the host's name."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, "lookup")


class ConnectFailed(ConnectionFailed):
    """There is no TCP connection: refused, no route, or no answer to be had."""

    def __init__(self, detail: str, osError: int | None = None) -> None:
        super().__init__(detail, "tcp", osError)

    @classmethod
    def of(cls, detail: str, cause: ConnectError) -> Self:
        """
        Make one of Twisted's error, whose number it keeps.

        :param cause: becomes the ``__cause__``.
        """
        made = cls(detail, cause.osError)
        made.__cause__ = cause
        return made


class TLSFailed(ConnectionFailed):
    """The TLS handshake did not come about. Its branches say what was wrong with a certificate."""

    def __init__(self, detail: str, osError: int | None = None) -> None:
        super().__init__(detail, "tls", osError)


class CertificateExpired(TLSFailed):
    """The peer's certificate, or one it rests on, is past its day, or has not come to it yet."""


class CertificateForAnotherHost(TLSFailed):
    """The peer's certificate names others, not the host that was asked for."""


class UnknownIssuer(TLSFailed):
    """The peer's certificate rests on nobody whom we trust: self-signed, or a private authority."""


class PeerLeft(ConnectionFailed):
    """The other side closed the connection where it was its turn to answer."""

    def __init__(self, stage: str) -> None:
        super().__init__(f"the peer closed the connection: no {STAGES[stage]}", stage)


class ConnectTimeout(HixieError, _Connecting, ConnectTimeoutError):
    """
    The other side did not answer within a timeout; Twisted's ``TimeoutError`` too.

    :ivar stage: where on the way, a key of :data:`STAGES`.
    :ivar seconds: how long it was waited for.
    """

    def __init__(self, stage: str, seconds: float) -> None:
        _Connecting.__init__(self, f"no {STAGES[stage]} within {seconds:g} seconds")
        self.stage = stage
        self.seconds = seconds
