"""A program on a terminal: a pty with the test at its other end."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from support.command_line import environment
from support.daemon import PATIENCE, program

PASTE = (b"\x1b[200~", b"\x1b[201~")
"""The bytes that a terminal sends before and after a paste (bracketed paste, xterm)."""


class Terminal:
    """
    The test's end of a pty.

    :ivar process: the program on its other end.
    :ivar shown: all that the program has written so far.
    """

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self._descriptor: int | None = descriptor
        self.process = process
        self.shown = b""

    def type(self, data: bytes) -> None:
        """Type, in a thread: a pty takes no more than 4 KiB before the program reads."""
        threading.Thread(target=self._write, args=(data,), daemon=True).start()

    def _write(self, data: bytes) -> None:
        with suppress(OSError):
            while data and self._descriptor is not None:
                data = data[os.write(self._descriptor, data) :]

    def paste(self, data: bytes) -> None:
        """Paste, and press Enter."""
        self.type(PASTE[0] + data + PASTE[1] + b"\r")

    def until(self, words: bytes, since: int = 0) -> bytes:
        """Read until the program has written these words, at or behind a position."""
        deadline = time.monotonic() + PATIENCE
        while words not in self.shown[since:]:
            assert time.monotonic() < deadline, self.shown[-2000:]
            if not self._read():
                raise AssertionError(self.shown[-2000:])
        return self.shown

    def _read(self) -> bool:
        assert self._descriptor is not None
        if select.select([self._descriptor], [], [], 0.5)[0]:
            try:
                data = os.read(self._descriptor, 65536)
            except OSError:  # EIO: the program has ended
                return False
            self.shown += data
        return True

    def close(self) -> None:
        """Close the terminal, as when its window is closed."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def ended(self) -> int:
        """Read to the end; the status of the program."""
        deadline = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < deadline, self.shown[-2000:]
        return self.process.wait(PATIENCE)


@contextmanager
def terminal(*words: str, term: str = "xterm", size: int = 80, **more: str) -> Iterator[Terminal]:
    """
    Start ``txhixie`` on a terminal.

    :param term: the type of the terminal.
    :param size: its columns.
    :param more: further variables of the environment.
    """
    with on_terminal([program("txhixie"), *words], {"TERM": term, **more}, size) as typed:
        yield typed


@contextmanager
def on_terminal(
    command: Sequence[str], more: Mapping[str, str], size: int = 80
) -> Iterator[Terminal]:
    """
    Start a program on a terminal.

    :param more: further variables of the environment.
    :param size: the columns of the terminal.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, size, 0, 0))
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(**more),
        start_new_session=True,
    )
    os.close(theirs)
    typed = Terminal(ours, process)
    try:
        yield typed
    finally:
        process.kill()
        process.wait()
        typed.close()
