"""Writes to one transport: those that one read causes leave in one ``send``, the others at once.

While a read is worked off, its connection is *corked* (as with ``TCP_CORK`` and Node's ``cork()``):
what is written to it meanwhile, and to any other connection, is joined, and leaves when the read
has been worked off. A gateway's messages come in on one connection and leave by another, and so do
those of a chat: a ``send`` for each message is half of what passing on a small message costs.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.logger import Logger

from .shutdown import Shutdown

try:
    from twisted.internet.tcp import Client, Server
except ImportError:  # a reactor without these has transports of its own
    _DIRECT: tuple[type, ...] = ()
else:
    _DIRECT = (Client, Server)

_log = Logger()

FULL_READ: Final = 64 * 1024
"""Bytes of a read that has taken all it could: ``bufferSize`` of Twisted's transports."""

_WIDE_READ: Final = 256 * 1024
_WIDE_SEND: Final = 1024 * 1024

_MOST_HELD: Final = 64 * 1024
"""Bytes that are joined at most. Replies of one read in one write are 1.3 times as many messages a
second, and 2 to 3 times as many as with a ``send`` for each. Beyond this size they leave at once,
so that a full transport can say so before each of 64 KiB of tiny questions has a long answer."""


class Reads:
    """
    The reads that are being worked off, and whom they have made write.

    :ivar depth: how many reads. A reactor gives one at a time; the delivery that an application
        resumes meanwhile counts as another.
    :ivar joined: the writers of other connections that hold bytes until the last read ends.
    """

    __slots__ = ("depth", "joined")

    def __init__(self) -> None:
        self.depth = 0
        self.joined: list[Writer] = []

    def flush(self) -> None:
        """Write what other connections hold; what that causes too."""
        while self.joined and not self.depth:
            # Emptied first: a producer that pauses may cause another write.
            writers, self.joined = self.joined, []
            for writer in writers:
                try:
                    writer.flushJoined()
                except Exception:
                    # A write may pause the application's producer, which may raise.
                    _log.failure("unhandled error while flushing a WebSocket connection")


READS: Final = Reads()
"""A process has one reactor, which works off one read at a time."""


class Writer:
    """
    Writes to a transport.

    :ivar direct: whether the transport is TCP of Twisted's own, which also reads once a turn.
    :ivar sendsAtOnce: whether bytes may be sent without the reactor: the transport is direct, and
        its end has not begun.
    :ivar shutdown: the end of the connection, once it has begun.
    """

    __slots__ = ("_held", "_size", "direct", "sendsAtOnce", "shutdown", "transport")

    def __init__(self, transport: Any) -> None:
        """:param transport: an ``ITransport``."""
        self.transport = transport
        self.direct = self.sendsAtOnce = type(transport) in _DIRECT
        self.shutdown: Shutdown | None = None
        self._held: list[bytes] | None = None
        self._size = 0

    def widen(self) -> None:
        """
        Big messages pass: have Twisted's TCP take 256 KiB a read instead of 64, and give the
        kernel 1 MiB a send instead of 128 KiB. What was many events is one: 1 MiB messages go
        through half as fast again. Not done for everybody, since a read allocates what it may take.
        """
        if self.direct and self.transport.bufferSize < _WIDE_READ:
            self.transport.bufferSize = _WIDE_READ
            self.transport.SEND_LIMIT = _WIDE_SEND

    def cork(self) -> bool:
        """
        A read of this connection has come: join what is written, here and to every other
        connection, until :meth:`uncork`.

        :return: whether the connection was not corked before; only then call :meth:`uncork`.
        """
        if self._held is not None:
            return False
        self._held = []
        READS.depth += 1
        return True

    def uncork(self, read: bool = False) -> None:
        """
        The read has been worked off: write what was joined.

        :param read: whether the reactor itself has called, so that the connection may end within.
        """
        try:
            if self._held:
                self.flush()
            self._held = None
            if self.shutdown is not None:
                self.shutdown.uncorked(read)
        finally:
            self._held = None
            READS.depth -= 1
            if READS.joined and not READS.depth:
                READS.flush()

    def flushJoined(self) -> None:
        """Another connection's read, which has written here, has been worked off."""
        try:
            self.flush()
        finally:
            self._held = None
        if self.shutdown is not None:
            self.shutdown.uncorked()

    @property
    def isCorked(self) -> bool:
        """Whether what is written is joined to something."""
        return self._held is not None

    def forget(self) -> None:
        """Send none of what was joined."""
        if self._held:
            self._held.clear()
            self._size = 0

    def write(self, data: bytes, *more: bytes) -> None:
        """
        Send, or join with what is held while a read is being worked off. What comes in parts is too
        long to be joined.
        """
        held = self._held
        if more or (held is None and not READS.depth):
            self.flush()
            self._send(data, *more)
            return
        if held is None:
            held = self._held = []
            READS.joined.append(self)
        held.append(data)
        self._size += len(data)
        if self._size > _MOST_HELD:
            self.flush()

    def flush(self) -> None:
        """Send what was joined so far."""
        while held := self._held:
            # Emptied first: inside write the application may hear that it is full, and send more.
            data = held[0] if len(held) == 1 else b"".join(held)
            held.clear()
            self._size = 0
            self._send(data)

    def _send(self, data: bytes, *more: bytes) -> None:
        """
        Send at once if nothing waits before it; nothing else comes between the parts.

        ``transport.write`` only queues: what is written waits for the reactor to say that the
        socket is writable, which costs two ``epoll_ctl`` and a second dispatch, a quarter of the
        CPU time of a small message. When both of a TCP connection's queues are empty the same
        ``writeSomeData`` is called here that would be called then. Whatever it does not take,
        errors included, goes the ordinary way.
        """
        if self.isFree():
            sent = self.transport.writeSomeData(data)
            if sent == len(data):
                if more:
                    self._send(*more)
                return
            if isinstance(sent, int) and sent > 0:
                data = data[sent:]
        self.queue(data, *more)

    def queue(self, data: bytes, *more: bytes) -> None:
        """Have the transport send it when what waits before it has gone."""
        if more:
            self.transport.writeSequence((data, *more))
        else:
            self.transport.write(data)

    def isFree(self) -> bool:
        """Whether this is TCP of Twisted's own, open, for which nothing waits to be sent."""
        transport = self.transport
        return (
            self.sendsAtOnce
            and not transport.dataBuffer
            and not transport._tempDataBuffer  # noqa: SLF001 (the one thing that is not public)
            and transport.connected
            and not transport.TLS
            and not transport.disconnecting
        )

    @property
    def joined(self) -> int:
        """Bytes that were joined, and not sent yet."""
        return self._size

    @property
    def waiting(self) -> int | None:
        """The same and those that wait in a TCP connection of Twisted's own, if it is one."""
        below: Any = self.transport
        if not self.direct:
            below = getattr(below, "transport", None)  # under TLS
        if type(below) not in _DIRECT:
            return None
        waiting: int = len(below.dataBuffer) - below.offset + below._tempDataLen  # noqa: SLF001
        return self._size + waiting
