"""Write coalescing: all that one reactor read causes is sent in one ``send``.

While a read is processed, its connection is *corked* (as with ``TCP_CORK`` and Node's ``cork()``).
Bytes that are written meanwhile to this connection, or to any other, are joined, and sent when the
read was processed. Bytes that are written at other times are sent at once. A gateway or a chat
receives a message on one connection and sends it on another: a ``send`` for each message is half of
the cost of passing on a small message.
"""

from __future__ import annotations

from typing import Any, Final, Self

from twisted.internet.abstract import FileDescriptor
from twisted.logger import Logger

from ..sansio.wire.joined_texts import Joiner, take_joined
from ..sockets.connection_poller import moveFromPoller
from ..sockets.socket_calls import WIDE_READ, send_last, send_parts
from ..sockets.turn_end import turnEndOf
from .log import writeFailure
from .shutdown import Shutdown
from .tap import Tap

try:
    from twisted.internet.tcp import Client, Server
except ImportError:  # a reactor that does not use these has transports of its own
    _DIRECT: set[type] = set()
else:
    _DIRECT = {Client, Server}

_log = Logger()

FULL_READ: Final = 64 * 1024
"""Bytes of the largest read: ``bufferSize`` of Twisted's transports. More bytes may be waiting."""

_WIDE_SEND: Final = 1024 * 1024


MOST_JOINED: Final = 64 * 1024
"""Most bytes that are joined. With the replies of one read joined, 1.3 times as many messages are
sent in a second, and 2 to 3 times as many as with a ``send`` for each. More bytes than this are
sent at once, so that a full transport can pause the application before each of the tiny requests in
a read of 64 KiB has a long response."""


def addDirect(transport: type) -> None:
    """
    Write to a class of transports as to Twisted's own TCP connections.

    :param transport: a subclass of ``tcp.Server`` or ``tcp.Client`` that overrides nothing that
        reads or sends.
    """
    _DIRECT.add(transport)


class Reads:
    """
    The reads that are being processed, and the writers that hold bytes until these end.

    A broadcast counts as a read, so that its messages are sent in the loop of :meth:`flush`.

    :ivar depth: number of reads. A reactor calls for one read at a time; a delivery of messages
        that an application resumes meanwhile counts as another.
    :ivar joined: writers of other connections that hold bytes until the last read ends.
    """

    __slots__ = ("depth", "joined")

    def __init__(self) -> None:
        self.depth = 0
        self.joined: list[Writer] = []

    def __enter__(self) -> Self:
        self.depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        self.flush()

    def flush(self) -> None:
        """Send the joined bytes of other connections, and of further writes that this causes."""
        while self.joined and not self.depth:
            # The list is replaced first: a producer that is paused may cause another write.
            writers, self.joined = self.joined, []
            for index, writer in enumerate(writers):
                try:
                    # The usual case of flushJoined(), without its calls: they would take 0.3 us for
                    # each receiver of a broadcast.
                    socket, parts = writer.socket, writer.parts
                    if socket is None or not parts or writer.transport.TLS:
                        writer.flushJoined()
                        continue
                    data = parts if isinstance(parts, bytes) else b"".join(parts)
                    writer.parts = None
                    sent = send_parts(socket, data)
                    if sent != len(data):
                        writer.queue(data[sent:])
                except Exception:
                    # A transport that is not Twisted's may raise.
                    what = "unhandled error while flushing a WebSocket connection"
                    writeFailure(_log, what, getattr(writer, "owner", None))
                except BaseException:
                    # A KeyboardInterrupt, or a SystemExit of the producer. The others send later.
                    self.joined[:0] = writers[index + 1 :]
                    raise


READS: Final = Reads()
"""The reads of this process, which has one reactor, and processes one read at a time."""


def unsent(parts: bytes | list[bytes], sent: int) -> list[bytes]:
    """Return what is left of parts when their first ``sent`` bytes were sent."""
    if isinstance(parts, bytes):
        parts = [parts]
    for index, part in enumerate(parts):
        if sent < len(part):
            return [part[sent:], *parts[index + 1 :]]
        sent -= len(part)
    return []


class Writer:
    """
    Writer to one transport, which joins small writes.

    :ivar direct: whether the transport is Twisted's own TCP, which also reads once in a turn of the
        reactor.
    :ivar join: the function that joins text messages in the memory of ``joined_texts.py``, within a
        read of this connection. ``parts`` is then empty bytes. :meth:`spill` ends it: before
        anything else is written, and before the joined bytes are counted, sent or discarded.
        Otherwise ``None``.
    :ivar parts: the joined bytes: ``None`` outside of a read; a list within a read of this
        connection, and for several writes within a read of another one; for one such write its
        bytes, since a broadcast has one write for each of its receivers.
    :ivar size: number of joined bytes, if ``parts`` is a list.
    :ivar socket: the socket of the transport while :meth:`isFree` was true and nothing has changed
        since: the writer makes each change, or gets it by a call of its producer. ``None`` if the
        transport has to be asked.
    :ivar shutdown: the shutdown of the transport; ``None`` before the shutdown begins.
    :ivar tap: the tap that gets all sent bytes; ``None`` without one.
    :ivar transport: the transport.
    """

    __slots__ = ("direct", "join", "parts", "shutdown", "size", "socket", "tap", "transport")

    def __init__(self, transport: Any) -> None:
        """:param transport: an ``ITransport``."""
        self.transport = transport
        self.direct = type(transport) in _DIRECT
        self.shutdown: Shutdown | None = None
        self.tap: Tap | None = None
        self.parts: bytes | list[bytes] | None = None
        self.socket: Any = None
        self.join: Joiner | None = None
        self.size = 0

    def widen(self) -> bool:
        """
        Raise the sizes of Twisted's reads and sends, for a connection with large messages.

        Twisted's TCP then reads 257 KiB at a time instead of 64 KiB, and gives the kernel 1 MiB in
        a send instead of 128 KiB. With fewer events, messages of 1 MiB are echoed half as fast
        again. This is not done for each connection, since a read allocates its whole size.

        :return: whether the sizes were raised.
        """
        if not self.direct or self.transport.bufferSize >= WIDE_READ:
            return False
        self.transport.bufferSize = WIDE_READ
        self.transport.SEND_LIMIT = _WIDE_SEND
        moveFromPoller(self.transport)
        return True

    def cork(self) -> bool:
        """
        Begin to join writes, to this connection and to every other, until :meth:`uncork`.

        :return: whether the connection was not corked before; only then call :meth:`uncork`.
        """
        if self.parts is not None:
            return False
        self.parts, self.size = [], 0
        READS.depth += 1
        return True

    def uncork(self) -> None:
        """Send the joined bytes: the read was processed."""
        try:
            if self.join is not None:
                self.spill()
            if self.parts:
                self.flush()
            self.parts = None
            if self.shutdown is not None:
                self.shutdown.uncorked()
        finally:
            if self.join is not None:
                self.join = None  # after a KeyboardInterrupt: no other connection may send them
                take_joined()
            self.parts = None
            READS.depth -= 1
            if READS.joined and not READS.depth:
                READS.flush()

    def uncorkLater(self) -> None:
        """
        Send the joined bytes at the end of the turn of the reactor: the read was processed.

        The transport is :attr:`direct`. Further bytes are joined until then. Without joined bytes,
        and while the transport closes, this is :meth:`uncork`.
        """
        if not self.parts or self.shutdown is not None or READS.joined:
            self.uncork()
            return
        READS.depth -= 1
        turnEndOf(self.transport).sends.append((self.transport, self.flushJoined))

    def spill(self) -> None:
        """Move the joined text messages to the other joined bytes; join no more of them."""
        texts = take_joined()
        self.parts, self.size = [texts] if texts else [], len(texts)
        self.join = None

    def flushJoined(self) -> None:
        """Send bytes that were joined during the read of another connection, or of this turn."""
        # Before the write, which may pause the application, and this may send more.
        parts, self.parts = self.parts, None
        if parts:
            self._send(parts)
        if self.shutdown is not None:
            self.shutdown.uncorked()

    @property
    def isCorked(self) -> bool:
        """Whether written bytes are joined and not sent at once."""
        return self.parts is not None

    def forget(self) -> None:
        """Discard the joined bytes."""
        if self.join is not None:
            self.spill()
        if self.parts:
            self.parts, self.size = [], 0

    def write(self, data: bytes, *more: bytes) -> None:
        """
        Send bytes, or join them while a read is processed.

        :param data: the bytes.
        :param more: further parts of a long message, which is sent at once and not joined.
        """
        if self.tap is not None:
            self.tap.sent(data, *more)
        if self.join is not None:
            self.spill()
        parts = self.parts
        if parts is None and not READS.depth:
            self._send([data, *more] if more else data)
            return
        if more:
            self.flush()
            self._send([data, *more])
            return
        if parts is None:
            READS.joined.append(self)
            self.parts = data
            self.size = len(data)
        elif isinstance(parts, list):
            parts.append(data)
            self.size += len(data)
        else:
            self.parts = [parts, data]
            self.size = len(parts) + len(data)
        if self.size > MOST_JOINED:
            self.flush()

    def flush(self, last: bool = False) -> None:
        """
        Send the bytes that were joined so far.

        :param last: whether the connection is closed at once afterwards; see :func:`send_last`.
        """
        send = send_last if last else send_parts
        if self.join is not None:
            self.spill()
        while parts := self.parts:
            socket, size = self.socket, self.size
            # Before the write, which may pause the application, and this may send more.
            self.parts, self.size = [], 0
            if isinstance(parts, bytes):
                size = len(parts)
            elif len(parts) == 1:
                (parts,) = parts
            if socket is None or self.transport.TLS:
                self._send(parts)
            elif (sent := send(socket, parts)) != size:  # the usual case of _send()
                self.queue(*unsent(parts, sent))

    def _send(self, parts: bytes | list[bytes]) -> None:
        """
        Send bytes at once if the write buffer is empty; all parts are sent one after the other.

        ``transport.write`` only fills the write buffer, until the reactor reports the socket as
        writable. That costs two calls of ``epoll_ctl`` and a second event of the reactor, a quarter
        of the CPU time of a small message. If both buffers of a TCP transport are empty, the bytes
        are given to the socket here, as ``writeSomeData`` of the transport would do. Bytes that the
        socket does not take, because it is full or by an error, are passed to ``transport.write``,
        which meets the same error.
        """
        socket = self.socket
        if socket is None:
            if self.isFree():
                socket = self.socket = self.transport.socket
        elif self.transport.TLS:  # startTLS was called meanwhile
            socket = self.socket = None
        if socket is not None:
            sent = send_parts(socket, parts)
            if isinstance(parts, bytes):
                if sent == len(parts):
                    return
                parts = parts[sent:]
            elif not (parts := unsent(parts, sent)):
                return
        if isinstance(parts, bytes):
            self.queue(parts)
        else:
            self.queue(*parts)

    def queue(self, data: bytes, *more: bytes) -> None:
        """Add bytes to the write buffer of the transport."""
        self.socket = None
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
        if self.join is not None:
            self.spill()
        parts = self.parts
        return self.size if isinstance(parts, list) else len(parts or b"")

    @property
    def waiting(self) -> int | None:
        """
        Number of joined bytes and bytes in the write buffer of a socket of Twisted's.

        Under TLS it is the socket below. ``None`` for any other transport.
        """
        below: Any = self.transport
        if not isinstance(below, FileDescriptor):
            below = getattr(below, "transport", None)  # under TLS
            if not isinstance(below, FileDescriptor):
                return None
        waiting: int = len(below.dataBuffer) - below.offset + below._tempDataLen  # noqa: SLF001 (pinned by tests/test_private_names.py)
        return self.joined + waiting
