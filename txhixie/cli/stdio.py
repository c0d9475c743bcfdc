"""Standard input and output, read and written only when they are ready.

The descriptors stay blocking: a terminal or a pipe is shared with other processes, and so is the
flag ``O_NONBLOCK`` (``cat`` in the same shell then ends with "Resource temporarily unavailable").
Data is read only when the reactor reports that there is data, and at most as much is written as
the pipe has room for.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import sys
import termios
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor, IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from .status import CommandFailed, Status

_READ: Final = 64 * 1024
_HIGH_WATER: Final = 64 * 1024
"""Bytes of output that may wait to be written before the writer has to wait."""

_PIECE: Final = select.PIPE_BUF
"""Bytes that a pipe which is ready takes at once; a longer write may block (pipe(7))."""

_CANONICAL: Final = 4095 if sys.platform == "linux" else 1023
"""Bytes of a line that a terminal keeps, without the line's end: Linux keeps 4,096 with it
(``N_TTY_BUF_SIZE``), and macOS and the BSDs 1,024 (``MAX_CANON``)."""

_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters that control a terminal, without tabs and new lines."""


def openAll() -> None:
    """
    Open those of the descriptors 0, 1 and 2 that are closed. A program may be started with a closed
    descriptor (``<&-``), and the next socket or file would get its number.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Read only: input is at its end, and writing to an output is an error.
            os.open(os.devnull, os.O_RDONLY)


def say(line: str) -> None:
    """Write a line to standard error. A standard error that cannot be written is no error."""
    with suppress(OSError):
        os.write(2, f"{line}\n".encode("utf-8", "backslashreplace"))


def printable(text: str) -> str:
    """Escape control characters: a server could send commands to the terminal by them."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


@implementer(IReadDescriptor)
class StandardInput:
    """Reads from a descriptor when it is asked to, and not ahead."""

    name = "standard input"

    def __init__(self, reactor: Any, descriptor: int = 0) -> None:
        self._reactor = cast(IReactorFDSet, reactor)
        self._descriptor = descriptor
        self._asked: Deferred[bytes] | None = None

    @property
    def isTerminal(self) -> bool:
        """Whether standard input is a terminal."""
        return os.isatty(self._descriptor)

    @property
    def isAtEnd(self) -> bool:
        """Whether a read would return at once, and probably without data: at the end."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        if not poll.poll(0):
            return False
        try:
            size = fcntl.ioctl(self._descriptor, termios.FIONREAD, bytes(4))
        except OSError:
            return True  # a device that reports no size, such as /dev/null
        return not any(size)

    def read(self) -> Deferred[bytes]:
        """
        Read the data that is there, or wait for data.

        :return: fires with the data, which is empty at the end. Fails with a ``CommandFailed`` when
            the descriptor cannot be read.
        """
        asked: Deferred[bytes] = Deferred(self._forget)
        self._asked = asked
        self._reactor.addReader(self)
        return asked

    async def everything(self, most: int) -> bytes:
        """
        Read all data, to the end of the input.

        :param most: most bytes of the input.
        :raises CommandFailed: for a longer input.
        """
        pieces, size = [], 0
        while data := await self.read():
            pieces.append(data)
            size += len(data)
            _check(size, most, self.name)
        return b"".join(pieces)

    def _isCut(self, data: bytes) -> bool:
        """
        Whether the terminal may have cut the line that was read. In canonical mode a terminal keeps
        ``_CANONICAL`` bytes of a line and drops the rest of the line (termios(3)). A line of that
        length may be a longer line that was cut.
        """
        return (
            self.isTerminal
            and bool(termios.tcgetattr(self._descriptor)[3] & termios.ICANON)
            and len(data.removesuffix(b"\n")) >= _CANONICAL
        )

    def _forget(self, asked: Deferred[bytes]) -> None:
        self._asked = None
        self._reactor.removeReader(self)

    # Methods that the reactor calls.

    def fileno(self) -> int:
        """The number of the descriptor."""
        return self._descriptor

    def logPrefix(self) -> str:
        """The name of the stream, for the log."""
        return self.name

    def doRead(self) -> None:
        """Read data: the reactor reports that there is data."""
        try:
            data = os.read(self._descriptor, _READ)
        except BlockingIOError:
            return  # another process read first, and has set O_NONBLOCK, which processes share
        except OSError as error:
            # EIO: the terminal was closed.
            self._answer(b"" if error.errno == errno.EIO else _failed(self.name, error))
        else:
            self._answer(_cut(self.name) if self._isCut(data) else data)

    def connectionLost(self, reason: Failure) -> None:
        """Report the end: the other end of the pipe is closed, and all its data was read."""
        self._answer(b"")

    def _answer(self, result: bytes | CommandFailed) -> None:
        self._reactor.removeReader(self)
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.callback(result) if isinstance(result, bytes) else asked.errback(result)


class InputLines:
    """
    The lines of standard input, read when they are asked for.

    :ivar waiting: how many lines have been read and not been taken. Always 0: nothing is read
        ahead while there is a connection to wait for.
    :ivar isOver: whether the input is at its end.
    :ivar accepted: not called: nothing is read ahead.
    :ivar over: not called: nothing is read while there is no connection.
    """

    waiting = 0
    isOver = False
    accepted: Callable[[int], object] | None = None
    over: Callable[[], object] | None = None

    def __init__(self, source: StandardInput, most: int) -> None:
        """:param most: bytes of one line."""
        self.name = source.name
        self._source = source
        self._most = most
        self._begun: list[bytes] = []  # the pieces of a line that has no end yet
        self._size = 0
        self._ready: deque[bytes] = deque()
        self._number = 1
        self._mistake: CommandFailed | None = None

    async def hasMore(self) -> bool:
        """
        Whether a line waits, or the input has not ended. Data that waits in a pipe is not read.

        :raises CommandFailed: as :meth:`nextLine` does.
        """
        if not (self._ready or self.isOver or self._mistake) and self._source.isAtEnd:
            await self._read()
        if not self._ready and self._mistake is not None:
            raise self._mistake
        return bool(self._ready) or not self.isOver

    async def nextLine(self) -> bytes | None:
        """
        Read the next line. Cancelling the read loses nothing.

        :return: the line without its end; the last line may have none. ``None`` at the end.
        :raises CommandFailed: for a line that is too long, and for an input that cannot be read.
        """
        while not self._ready:
            if self._mistake is not None:
                raise self._mistake
            if self.isOver:
                return None
            await self._read()
        return self._ready.popleft()

    async def _read(self) -> None:
        try:
            self._take(await self._source.read())
        except CommandFailed as mistake:
            self._mistake = mistake  # after the lines before it

    def _take(self, data: bytes) -> None:
        if not data:
            self.isOver = True
            if last := b"".join(self._begun):
                self._ready.append(last)
            return
        self._begun.append(data)
        self._size += len(data)
        if b"\n" in data:
            *lines, rest = b"".join(self._begun).split(b"\n")
            self._begun, self._size = [rest], len(rest)
            for line in lines:
                self._check(len(line))
                self._ready.append(line)
                self._number += 1
        self._check(self._size)

    def _check(self, size: int) -> None:
        _check(size, self._most, f"line {self._number} of {self.name}")


@implementer(IWriteDescriptor)
class StandardOutput:
    """
    Writes to a descriptor, as fast as the reader at its other end reads.

    :ivar error: why nothing can be written any more; ``None`` while something can.
    :ivar broken: called when nothing can be written any more, also while nothing is written.
    """

    name = "standard output"

    def __init__(self, reactor: Any, descriptor: int = 1) -> None:
        self._reactor = cast(IReactorFDSet, reactor)
        self._descriptor = descriptor
        self._buffer = bytearray()
        self.error: CommandFailed | None = None
        self._waiting: list[tuple[int, Deferred[None]]] = []
        self.broken: Callable[[], object] = lambda: None

    @property
    def isTerminal(self) -> bool:
        """Whether standard output is a terminal."""
        return os.isatty(self._descriptor)

    def writeLine(self, message: str | bytes) -> Deferred[None]:
        """
        Write a message and a new line; on a terminal, control characters are escaped.

        :return: as for :meth:`write`.
        """
        if self.isTerminal:
            if isinstance(message, bytes):
                message = message.decode("utf-8", "backslashreplace")
            message = printable(message)
        return self.write((message.encode() if isinstance(message, str) else message) + b"\n")

    def write(self, data: bytes) -> Deferred[None]:
        """
        Write data.

        :return: fires with ``None`` when there is room for more. Fails with a ``CommandFailed``
            when nothing can be written.
        """
        self._buffer += data
        return self._whenBelow(_HIGH_WATER)

    def flush(self) -> Deferred[None]:
        """
        Wait until all data is written.

        :return: fires with ``None`` then, and fails as :meth:`write` does.
        """
        return self._whenBelow(0)

    def _whenBelow(self, mark: int) -> Deferred[None]:
        waits: Deferred[None] = Deferred(self._forget)
        self._waiting.append((mark, waits))
        if self._buffer and self.error is None:
            self._reactor.addWriter(self)
        self._tell()
        return waits

    def _forget(self, waits: Deferred[None]) -> None:
        self._waiting = [entry for entry in self._waiting if entry[1] is not waits]

    def _tell(self) -> None:
        """Fire the Deferreds of writes for which there is room now."""
        size, error = len(self._buffer), self.error
        ready = [waits for mark, waits in self._waiting if size <= mark or error is not None]
        self._waiting = [entry for entry in self._waiting if entry[1] not in ready]
        for waits in ready:
            waits.callback(None) if error is None else waits.errback(error)

    # Methods that the reactor calls.

    def fileno(self) -> int:
        """The number of the descriptor."""
        return self._descriptor

    def logPrefix(self) -> str:
        """The name of the stream, for the log."""
        return self.name

    def doWrite(self) -> None:
        """Write data: the reactor reports that there is room."""
        try:
            sent = os.write(self._descriptor, bytes(self._buffer[:_PIECE]))
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(_failed(self.name, error))
            return
        del self._buffer[:sent]
        if not self._buffer:
            self._reactor.removeWriter(self)
        self._tell()

    def connectionLost(self, reason: Failure) -> None:
        """Report that the reader has closed the other end of the pipe."""
        self._fail(_failed(self.name, BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))))

    def _fail(self, error: CommandFailed) -> None:
        self._reactor.removeWriter(self)
        self.error = error
        self._buffer.clear()
        self._tell()
        self.broken()


def _check(size: int, most: int, what: str) -> None:
    if size > most:
        raise CommandFailed(
            Status.FAILED, f"{what} is longer than {most} bytes (--max-message-size)"
        )


def _cut(name: str) -> CommandFailed:
    line = (
        f"{name}: the terminal cuts lines of {_CANONICAL} bytes or more; the line was not sent:"
        " send it from a file or a pipe"
    )
    return CommandFailed(Status.FAILED, line)


def _failed(name: str, error: OSError) -> CommandFailed:
    return CommandFailed(Status.FAILED, f"{name}: {error.strerror}")
