"""Certificates and keys in files and directories, which are read again when a file changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from ..server.port_check import TLS_SCHEMES, parts_of, pem_files

INTERVAL: Final = 5.0
"""Seconds between two looks at the files."""

RETRY_SECONDS: Final = 60.0
"""Seconds for a program that renews a certificate to write all files: the certificate and the key
are two files, and do not belong to each other until both are written."""

_POSITIONS: Final = {"privateKey": 1, "certKey": 2, "extraCertChain": 6, "dhParameters": 7}
"""Where the files of ``ssl:`` are in a description that does not name them."""


def certificateFiles(port: str) -> list[Path]:
    """The files and directories that a TLS port reads, with absolute paths; empty for others."""
    scheme, values, named = parts_of(port)
    if scheme not in TLS_SCHEMES:
        return []
    positions, default = (
        (_POSITIONS, {"privateKey": "server.pem"}) if scheme == "ssl" else ({"path": 0}, {})
    )
    found = {name: values[at] for name, at in positions.items() if len(values) > at}
    files = {**default, **found, **named}
    names = (*positions, "client-ca")
    return [Path(files[name]).absolute() for name in names if name in files]


class CertificateWatch:
    """
    Looks at files every :data:`INTERVAL` seconds, and has the certificates read again.

    A directory has changed if one of its certificates was changed, added or removed.
    """

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
        """Look at these files and directories, which have just been read, instead of others."""
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

    def retry(self) -> None:
        """
        Have the certificates read again until they can be used, for at most :data:`RETRY_SECONDS`.

        Asked for again meanwhile, the time does not begin anew, so that a mistake is in the log.
        """
        if self._retryUntil is None:
            self._retryUntil = self._clock.seconds() + RETRY_SECONDS
        if self._timer is None:
            self._timer = self._clock.callLater(INTERVAL, self._check)

    def _look(self) -> list[object]:
        found: list[object] = []
        for path in self._files:
            files = pem_files(path) if path.is_dir() else [path]
            found += [(file, _state(file)) for file in files]
        return found

    def _check(self) -> None:
        self._timer = self._clock.callLater(INTERVAL, self._check)
        found, now = self._look(), self._clock.seconds()
        if found != self._seen:
            self.retry()
        self._seen = found
        if self._retryUntil is not None:
            isLast = now >= self._retryUntil
            files = self._files
            if self._renew(isLast) or isLast:
                self._retryUntil = None
            if self._files == files:
                self._seen = found  # what changed while the files were read is read again
        if self._retryUntil is None and not self._files:
            self.stop()


def _state(file: Path) -> tuple[int, ...] | None:
    """Return the time of a file's last change, its inode and its size; ``None`` without a file."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
