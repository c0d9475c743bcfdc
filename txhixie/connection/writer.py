"""Write coalescing: all that one reactor read causes is sent in one ``send``.

While a read is processed, its connection is *corked* (as with ``TCP_CORK`` and Node's ``cork()``).
Bytes that are written meanwhile to this connection, or to any other, are joined, and sent when the
read was processed. Bytes that are written at other times are sent at once. A gateway or a chat
receives a message on one connection and sends it on another: a ``send`` for each message is half of
the cost of passing on a small message.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.logger import Logger

from .log import writeFailure
from .shutdown import Shutdown
from .tap import Tap

try:
    from twisted.internet.tcp import Client, Server
except ImportError:  # a reactor that does not use these has transports of its own
    _DIRECT: tuple[type, ...] = ()
else:
    _DIRECT = (Client, Server)

_log = Logger()

FULL_READ: Final = 64 * 1024
"""Bytes of the largest read: ``bufferSize`` of Twisted's transports. More bytes may be waiting."""

_WIDE_READ: Final = 256 * 1024
_WIDE_SEND: Final = 1024 * 1024

_MOST_HELD: Final = 64 * 1024
"""Most bytes that are joined. With the replies of one read joined, 1.3 times as many messages are
sent in a second, and 2 to 3 times as many as with a ``send`` for each. More bytes than this are
sent at once, so that a full transport can pause the application before each of the tiny requests in
a read of 64 KiB has a long response."""


class Reads:
    """
    The reads that are being processed, and the writers that hold bytes until these end.

    :ivar depth: number of reads. A reactor calls for one read at a time; a delivery of messages
        that an application resumes meanwhile counts as another.
    :ivar joined: writers of other connections that hold bytes until the last read ends.
    """

    __slots__ = ("depth", "joined")

    def __init__(self) -> None:
        self.depth = 0
        self.joined: list[Writer] = []

    def flush(self) -> None:
        """Send the joined bytes of other connections, and of further writes that this causes."""
        while self.joined and not self.depth:
            # The list is replaced first: a producer that is paused may cause another write.
            writers, self.joined = self.joined, []
            for writer in writers:
                try:
                    writer.flushJoined()
                except Exception:
                    # A write may pause the application's producer, which may raise.
                    what = "unhandled error while flushing a WebSocket connection"
                    writeFailure(_log, what, getattr(writer, "owner", None))


READS: Final = Reads()
"""The reads of this process, which has one reactor, and processes one read at a time."""


class Writer:
    """
    Writer to one transport, which joins small writes.

    :ivar direct: whether the transport is Twisted's own TCP, which also reads once in a turn of the
        reactor.
    :ivar shutdown: the shutdown of the transport; ``None`` before the shutdown begins.
    :ivar tap: the tap that is told what is sent; ``None`` without one.
    :ivar transport: the transport.
    """

    __slots__ = ("_held", "_size", "direct", "shutdown", "tap", "transport")

    def __init__(self, transport: Any) -> None:
        """:param transport: an ``ITransport``."""
        self.transport = transport
        self.direct = type(transport) in _DIRECT
        self.shutdown: Shutdown | None = None
        self.tap: Tap | None = None
        self._held: list[bytes] | None = None
        self._size = 0

    def widen(self) -> None:
        """
        Raise the sizes of Twisted's reads and sends, for a connection with large messages.

        Twisted's TCP then reads 256 KiB at a time instead of 64 KiB, and gives the kernel 1 MiB in
        a send instead of 128 KiB. With fewer events, messages of 1 MiB are echoed half as fast
        again. This is not done for each connection, since a read allocates its whole size.
        """
        if self.direct and self.transport.bufferSize < _WIDE_READ:
            self.transport.bufferSize = _WIDE_READ
            self.transport.SEND_LIMIT = _WIDE_SEND

    def cork(self) -> bool:
        """
        Begin to join writes, to this connection and to every other, until :meth:`uncork`.

        :return: whether the connection was not corked before; only then call :meth:`uncork`.
        """
        if self._held is not None:
            return False
        self._held = []
        READS.depth += 1
        return True

    def uncork(self, read: bool = False) -> None:
        """
        Send the joined bytes: the read was processed.

        :param read: whether the reactor itself has called ``dataReceived``, so that the transport
            may end within this call.
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
        """Send bytes that were joined during the read of another connection."""
        # The list is replaced first: the write may pause the application, which may send more.
        held, self._held = self._held, None
        if held:
            self._size = 0
            self._send(held[0] if len(held) == 1 else b"".join(held))
        if self.shutdown is not None:
            self.shutdown.uncorked()

    @property
    def isCorked(self) -> bool:
        """Whether written bytes are joined and not sent at once."""
        return self._held is not None

    def forget(self) -> None:
        """Discard the joined bytes."""
        if self._held:
            self._held.clear()
            self._size = 0

    def write(self, data: bytes, *more: bytes) -> None:
        """
        Send bytes, or join them while a read is processed.

        :param data: the bytes.
        :param more: further parts of a long message, which is sent at once and not joined.
        """
        if self.tap is not None:
            self.tap.sent(data, *more)
        held = self._held
        if held is None and not READS.depth:
            self._send(data, *more)
            return
        if more:
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
        """Send the bytes that were joined so far."""
        while held := self._held:
            # The list is emptied first: the write may pause the application, which may send more.
            data = held[0] if len(held) == 1 else b"".join(held)
            held.clear()
            self._size = 0
            self._send(data)

    def _send(self, data: bytes, *more: bytes) -> None:
        """
        Send bytes at once if the write buffer is empty; all parts are sent one after the other.

        ``transport.write`` only fills the write buffer, until the reactor reports the socket as
        writable. That costs two calls of ``epoll_ctl`` and a second event of the reactor, a quarter
        of the CPU time of a small message. If both buffers of a TCP transport are empty, the bytes
        are given to the socket here, as ``writeSomeData`` of the transport would do. Bytes that the
        socket does not take, because of an error too, are passed to ``transport.write``.
        """
        transport = self.transport
        # The condition of isFree(): a call would be a thirtieth of the time of a broadcast.
        if (
            self.direct
            and self.shutdown is None
            and not transport.dataBuffer
            and not transport._tempDataBuffer  # noqa: SLF001 (has no public name)
            and transport.connected
            and not transport.TLS
            and not transport.disconnecting
        ):
            if len(data) > FULL_READ:
                sent = transport.writeSomeData(data)
            else:
                try:
                    sent = transport.socket.send(data)  # 0.6 us less than writeSomeData takes
                except OSError:  # the socket is full, or transport.write meets the same error
                    sent = 0
            if sent == len(data):
                if more:
                    self._send(*more)
                return
            if isinstance(sent, int) and sent > 0:
                data = data[sent:]
        self.queue(data, *more)

    def queue(self, data: bytes, *more: bytes) -> None:
        """Add bytes to the write buffer of the transport."""
        if more:
            self.transport.writeSequence((data, *more))
        else:
            self.transport.write(data)

    def isFree(self) -> bool:
        """
        Whether bytes may be sent without waiting for the reactor.

        The transport is Twisted's own TCP and open, its write buffer is empty, and its shutdown has
        not begun: from then on all bytes pass the write buffer, in order.
        """
        transport = self.transport
        return (
            self.direct
            and self.shutdown is None
            and not transport.dataBuffer
            and not transport._tempDataBuffer  # noqa: SLF001 (has no public name)
            and transport.connected
            and not transport.TLS
            and not transport.disconnecting
        )

    @property
    def joined(self) -> int:
        """Number of joined bytes that are not sent yet."""
        return self._size

    @property
    def waiting(self) -> int | None:
        """
        Number of joined bytes and bytes in the write buffer of Twisted's own TCP.

        ``None`` for any other transport.
        """
        below: Any = self.transport
        if not self.direct:
            below = getattr(below, "transport", None)  # under TLS
        if type(below) not in _DIRECT:
            return None
        waiting: int = len(below.dataBuffer) - below.offset + below._tempDataLen  # noqa: SLF001
        return self._size + waiting
