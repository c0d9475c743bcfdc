"""A file of the operator that is read again when it changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from ...connection.log import Uncut, writeLine

T = TypeVar("T")

LOOK_INTERVAL: Final = 1.0
"""Least seconds between two looks at a file. A look is one call of the system; a program that
writes the file is usually done within a second."""


class ChangingFile(Generic[T]):
    """
    The content of a file, which is read again when the file has changed.

    The file is looked at when its content is used, so there is no timer that has to be ended. After
    a mistake in the file, the log has one line, and the content before the change stays.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, path: Path, read: Callable[[Path], T]) -> None:
        """
        Read the file.

        :param clock: measures the time.
        :param path: the file.
        :param read: reads the file; raises ``ValueError`` with the path for a mistake in it.
        :raises ValueError: as ``read`` does.
        """
        self._clock = clock
        self._path = path.absolute()  # twistd --rundir changes the working directory later
        self._read = read
        self._seen = self._look()
        self._content = read(path)
        self._next = clock.seconds() + LOOK_INTERVAL

    def current(self) -> T:
        """Return the content, which is another object after a change of the file."""
        now = self._clock.seconds()
        if now >= self._next:
            self._next = now + LOOK_INTERVAL
            seen = self._look()
            if seen != self._seen:
                self._seen = seen
                self._readAgain()
        return self._content

    def _look(self) -> object:
        try:
            status = self._path.stat()
        except OSError as error:
            return error.errno
        return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size

    def _readAgain(self) -> None:
        file = Uncut(self._path)
        try:
            self._content = self._read(self._path)
        except ValueError as error:
            reason = Uncut(error)
            writeLine(self._log, "file-not-reread", LogLevel.error, file=file, reason=reason)
        else:
            writeLine(self._log, "file-reread", file=file)
