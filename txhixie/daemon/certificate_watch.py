"""Certificates and keys in files, which are read again when a file changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from ..server.port_check import parts_of

INTERVAL: Final = 5.0
"""Seconds between two looks at the files."""

RETRY_SECONDS: Final = 60.0
"""Seconds for a program that renews a certificate to write all files: the certificate and the key
are two files, and do not belong to each other until both are written."""

_POSITIONS: Final = {"privateKey": 1, "certKey": 2, "extraCertChain": 6, "dhParameters": 7}
"""Where the files of ``ssl:`` are in a description that does not name them."""


def certificateFiles(port: str) -> list[Path]:
    """The files that an ``ssl:`` port reads, with absolute paths; empty for every other port."""
    scheme, values, named = parts_of(port)
    if scheme != "ssl":
        return []
    found = {name: values[at] for name, at in _POSITIONS.items() if len(values) > at}
    files = {"privateKey": "server.pem", **found, **named}
    return [Path(files[name]).absolute() for name in _POSITIONS if name in files]


class CertificateWatch:
    """Looks at files every :data:`INTERVAL` seconds, and has the certificates read again."""

    def __init__(self, clock: IReactorTime, renew: Callable[[bool], bool]) -> None:
        """
        :param clock: measures the time.
        :param renew: reads the certificates; returns whether they can be used. The argument says
            whether a mistake has to be in the log.
        """
        self._clock = clock
        self._renew = renew
        self._files: Sequence[Path] = ()
        self._seen: list[object] = []
        self._retryUntil: float | None = None
        self._timer: IDelayedCall | None = None

    def watch(self, files: Sequence[Path]) -> None:
        """Look at these files, which have just been read, instead of others."""
        self.stop()
        self._files = files
        self._seen = self._look()
        self._retryUntil = None
        if files:
            self._timer = self._clock.callLater(INTERVAL, self._check)

    def stop(self) -> None:
        """Look at no file any more."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _look(self) -> list[object]:
        found: list[object] = []
        for file in self._files:
            try:
                status = file.stat()
            except OSError:
                found.append(None)
            else:
                found.append((status.st_mtime_ns, status.st_ino, status.st_size))
        return found

    def _check(self) -> None:
        self._timer = self._clock.callLater(INTERVAL, self._check)
        found, now = self._look(), self._clock.seconds()
        if found != self._seen and self._retryUntil is None:
            self._retryUntil = now + RETRY_SECONDS
        self._seen = found
        if self._retryUntil is not None:
            isLast = now >= self._retryUntil
            if self._renew(isLast) or isLast:
                self._retryUntil = None
            self._seen = found  # what changed while the files were read is read again
