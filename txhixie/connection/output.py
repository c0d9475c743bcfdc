"""Output of one connection: its write buffer, its timeout and its shutdown.

An output is the :class:`txhixie.sansio.port.Port` to which the pure half writes. An output is also
the one producer that is registered with the transport, and passes each pause and each resume of the
transport once to the application's producer.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol

from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from ..sansio.limits import Limits
from ..sockets.payload_reader import stopReadingPayloads
from ..sockets.socket_calls import WIDE_READ
from .log import writeFailure
from .shutdown import Shutdown
from .timeouts import TimeoutQueue
from .writer import Writer

_log = Logger()


class Owner(Protocol):
    """The connection to which an output belongs: a :class:`txhixie.HixieProtocol`."""

    @property
    def limits(self) -> Limits:
        """Limits of the connection."""
        ...

    factory: Any

    def late(self) -> None:
        """Called when the timeout of the connection has passed."""

    def drained(self) -> None:
        """Called when the transport has sent its write buffer."""

    def overflowed(self, size: int) -> None:
        """Called when the write buffer exceeds ``Limits.unsent_size``, with its size in bytes."""


@implementer(IPushProducer)
class Output(Writer):
    """
    Write buffer, timeout and shutdown of one connection.

    :ivar full: whether the transport has paused its producer, since its write buffer is full.
    :ivar owner: the connection; ``None`` once the transport has ended.
    """

    __slots__ = (
        "_producer",
        "_timeout",
        "_unsent",
        "full",
        "owner",
    )

    def __init__(self, owner: Owner, transport: Any) -> None:
        """
        :param owner: the connection.
        :param transport: an ``ITransport`` and ``IConsumer``, which gets this output as its
            producer.
        """
        super().__init__(transport)
        self.owner: Owner | None = owner
        self._timeout: TimeoutQueue | None = None
        self._producer: IPushProducer | None = None
        self._unsent = 0  # bytes written since the transport was full, or was looked at since
        self.full = False
        transport.registerProducer(self, True)

    # The write buffer.

    def queue(self, data: bytes, *more: bytes) -> None:
        """Add bytes to the write buffer, or abort beyond :attr:`txhixie.Limits.unsent_size`."""
        if not (self.full and self._overflows(len(data) + sum(map(len, more)))):
            super().queue(data, *more)
            owner = self.owner
            if owner is not None and (heldBytes := owner.factory.heldBytes) is not None:
                heldBytes.grew(owner.factory, owner)

    def flushJoined(self) -> None:
        """Send the joined bytes, which the connection holds no more."""
        super().flushJoined()
        owner = self.owner
        if owner is not None and (heldBytes := owner.factory.heldBytes) is not None:
            heldBytes.count(owner)

    def _overflows(self, size: int) -> bool:
        """
        Whether the write buffer exceeds ``Limits.unsent_size``; the connection is then aborted.

        This happens where the peer does not read and the application ignores back-pressure. Once
        the transport has ended, nothing is counted.
        """
        self._unsent += size
        owner = self.owner
        if owner is None or self._unsent <= owner.limits.unsent_size:
            return False
        # The peer may have read most of these bytes, and the write buffer was never quite empty. An
        # echo of large messages would be aborted after its first 16 MiB.
        if (waiting := self.waiting) is not None:
            self._unsent = waiting + size
            if self._unsent <= owner.limits.unsent_size:
                return False
        owner.overflowed(self._unsent)
        self.abort()
        return True

    @property
    def unsent(self) -> int:
        """See :meth:`txhixie.WebSocketTransport.unsent`."""
        waiting = self.waiting
        return waiting if waiting is not None else sys.maxsize if self.full else self.joined

    @property
    def held(self) -> int:
        """Number of bytes that wait to be sent; those of an unknown transport as far as known."""
        waiting = self.waiting
        return waiting if waiting is not None else self.joined + (self._unsent if self.full else 0)

    # The timeout.

    def timeout(self, seconds: float | None) -> None:
        """Set the timeout of the connection, in seconds; ``None`` cancels the timeout."""
        if (waited := self._timeout) is not None:
            self._timeout = None
            waited.leave(self)
        if seconds is not None and self.owner is not None:
            self._timeout = self.owner.factory.timeouts[seconds]
            self._timeout.join(self)

    def expired(self) -> None:
        """Pass an elapsed timeout on to the connection, or extend it while the peer reads."""
        self._timeout = None
        if self.owner is None:
            return
        if self.full and self._end.extend():
            # The peer is still reading the bytes that were written before the close.
            self.timeout(self.owner.limits.drain_timeout)
        else:
            self.owner.late()

    # The shutdown.

    def drop(self, abort: bool = False, linger: bool = True) -> None:
        """
        Close the connection once the write buffer was sent and the peer had time to read it.

        :param abort: whether the peer's time has passed: close now.
        :param linger: whether data of the peer is still read, and discarded, until the peer has
            closed too.
        """
        if self.owner is None:
            return
        self.flush(last=not (linger or abort))
        isFree = (self.socket is not None and not self.transport.TLS) or self.isFree()
        if abort:
            self._giveUp(self.owner)
        elif self.full:
            self._end.drain()
        elif linger or not isFree:
            self._end.close(linger)
        else:
            self.owner = None  # closeNow leads to connectionLost
            self._end.closeNow(self.isCorked)

    def _giveUp(self, owner: Owner) -> None:
        """Close a connection after its timeout; a write buffer extends the time once."""
        if self._end.extend():
            self.timeout(owner.limits.drain_timeout)
            self._end.giveUp()
        else:
            self.transport.abortConnection()

    @property
    def _end(self) -> Shutdown:
        if self.shutdown is None:
            self.socket = None  # from now on all bytes pass the write buffer, in order
            self.shutdown = Shutdown(self.transport)
        return self.shutdown

    def abort(self) -> None:
        """Abort the connection; the write buffer is discarded."""
        self.forget()
        self.socket = None
        if self.owner is not None:
            self.transport.abortConnection()

    # The application's producer, to which the transport's calls are passed on.

    def attach(self, producer: IPushProducer) -> None:
        """
        Set the application's producer, which is paused at once if the transport is full.

        :raises RuntimeError: if another producer is attached, as Twisted's transports do.
        """
        if self.owner is None:
            producer.stopProducing()  # the connection has ended; Twisted's transports do the same
            return
        if self._producer is not None:
            raise RuntimeError("another producer is attached")
        self._producer = producer
        if self.full:
            producer.pauseProducing()

    def detach(self) -> None:
        """Remove the application's producer."""
        self._producer = None

    def pauseProducing(self) -> None:
        """Pause the application's producer: the transport is full."""
        if not self.full:  # a full transport calls this at every write
            self.full = True
            if self._producer is not None:
                try:
                    self._producer.pauseProducing()
                except Exception:
                    # An exception here would keep the transport from sending its write buffer.
                    what = "unhandled error in pauseProducing of a WebSocket application"
                    writeFailure(_log, what, self.owner)

    def resumeProducing(self) -> None:
        """Resume the application's producer: the transport has sent its write buffer."""
        if self.full:
            self.full = False
            self._unsent = 0
            if self.shutdown is not None and self.shutdown.drained():
                return
            if self._isEndedBelow():
                self.transport.unregisterProducer()
                return
            if self.owner is not None:
                self.owner.drained()
            if self._producer is not None and not self.full:  # the owner may have filled it again
                self._producer.resumeProducing()

    def _isEndedBelow(self) -> bool:
        """
        Whether the transport is closing without our call, and waits for its producer to stop.

        The transport would wait for ever, since a producer that is not unregistered keeps it open.
        Either the peer has ended TLS, and Twisted's TLS closes the socket below it without a call
        to us. Or the peer has closed its half of a tunnel, and the tunnel closes once its write
        buffer was sent.
        """
        transport = self.transport
        below = getattr(transport, "transport", None)
        return any(getattr(each, "disconnecting", False) for each in (transport, below))

    def stopProducing(self) -> None:
        """Release the connection and stop the application's producer: the transport has ended."""
        if self._timeout is not None:
            self.timeout(None)
        owner, self.owner, self.socket = self.owner, None, None
        if self.direct and self.transport.bufferSize == WIDE_READ:
            stopReadingPayloads(self.transport)
        if self.tap is not None:
            self.tap.ended()
        if self.shutdown is not None:
            self.shutdown.ended()
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                producer.stopProducing()
            except Exception:
                # An exception here would keep the transport from calling connectionLost.
                what = "unhandled error in stopProducing of a WebSocket application"
                writeFailure(_log, what, owner)
