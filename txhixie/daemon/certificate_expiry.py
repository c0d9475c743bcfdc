"""Warnings of the log about certificates that end soon, at the start and each day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel

from ..connection.log import Uncut, writeLine

if TYPE_CHECKING:  # cryptography is not loaded for a daemon without TLS
    from ..server.tls.certificates import FiledCertificate

DAY: Final = 86_400.0
"""Seconds between two warnings about a certificate."""


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


class CertificateExpiry:
    """Looks at the dates of certificates once a day, and writes a line for each that ends soon."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, now: Callable[[], datetime] = now) -> None:
        """
        :param clock: measures the days.
        :param now: returns the time, with which dates are compared.
        """
        self._clock = clock
        self._now = now
        self._certificates: Sequence[FiledCertificate] = ()
        self._told: set[bytes] = set()
        self._timer: IDelayedCall | None = None

    def watch(self, certificates: Sequence[FiledCertificate]) -> None:
        """
        Look at these certificates instead of others.

        A certificate that had its line already has the next one a day after that: a reload does not
        repeat it.
        """
        self._certificates = certificates
        self._warn()
        if self._timer is None and certificates:
            self._timer = self._clock.callLater(DAY, self._daily)

    def stop(self) -> None:
        """Look at no certificate any more."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _daily(self) -> None:
        self._timer = None
        self._told.clear()
        self.watch(self._certificates)

    def _warn(self) -> None:
        if not self._certificates:
            return
        from ..server.tls.validity import warnings_of

        for each in warnings_of(self._certificates, self._now()):
            if each.fingerprint not in self._told:
                self._told.add(each.fingerprint)
                writeLine(
                    self._log,
                    "certificate-warning",
                    LogLevel.warn,
                    file=Uncut(each.file),
                    subject=each.subject,
                    names=each.names or None,
                    ends=each.ends,
                    reason=f"the certificate {each.reason}",
                )
