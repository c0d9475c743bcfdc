"""The way out of one connection: bytes, the clock, the end, and who must be told that it is full.

This is the :class:`txhixie.sansio.port.Port` that the pure half writes to, and the one producer a
transport has: what the transport says to it, it says on to the application's producer, each thing
once.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol

from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from ..sansio.limits import Limits
from .shutdown import Shutdown
from .timeouts import TimeoutQueue, Timeouts
from .writer import Writer

_log = Logger()


class Owner(Protocol):
    """The connection that an output belongs to: a :class:`txhixie.HixieProtocol`."""

    @property
    def limits(self) -> Limits:
        """What the connection may cost."""
        ...

    @property
    def timeouts(self) -> Timeouts:
        """The queues in which its factory's connections wait."""
        ...

    def late(self) -> None:
        """The timeout that was set has passed."""

    def drained(self) -> None:
        """The transport has sent what it held."""

    def overflowed(self, size: int) -> None:
        """So many bytes wait to be sent, more than the limit."""


@implementer(IPushProducer)
class Output(Writer):
    """
    One connection's.

    :ivar full: whether the transport has asked to be spared.
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
        :param owner: whose ``late`` is called when a timeout has passed.
        :param transport: an ``ITransport`` and ``IConsumer``; its producer is this now.
        """
        super().__init__(transport)
        self.owner: Owner | None = owner
        self._timeout: TimeoutQueue | None = None
        self._producer: IPushProducer | None = None
        self._unsent = 0  # bytes since the transport was full
        self.full = False
        transport.registerProducer(self, True)

    # Bytes.

    def queue(self, data: bytes, *more: bytes) -> None:
        """See :meth:`Writer.queue`; within :attr:`txhixie.Limits.unsent_size`."""
        if not (self.full and self._overflows(len(data) + sum(map(len, more)))):
            super().queue(data, *more)

    def _overflows(self, size: int) -> bool:
        """
        Whether too much waits for a peer that does not read, and an application that does not
        mind. What was sent before the close is the peer's to read at its leisure.
        """
        self._unsent += size
        owner = self.owner
        if owner is None or self._unsent <= owner.limits.unsent_size:
            return False
        owner.overflowed(self._unsent)
        self.abort()
        return True

    @property
    def unsent(self) -> int:
        """See :meth:`txhixie.WebSocketTransport.unsent`."""
        waiting = self.waiting
        return waiting if waiting is not None else sys.maxsize if self.full else self.joined

    # The clock.

    def timeout(self, seconds: float | None) -> None:
        """Say so when this many seconds have passed; ``None``: say nothing."""
        waited, self._timeout = self._timeout, None
        if waited is not None:
            waited.leave(self)
        if seconds is not None and self.owner is not None:
            self._timeout = self.owner.timeouts.queue(seconds)
            self._timeout.join(self)

    def expired(self) -> None:
        """The timeout has passed."""
        self._timeout = None
        if self.owner is None:
            return
        if self.full and self._end.extend():
            # The peer is still reading what it was promised.
            self.timeout(self.owner.limits.drain_timeout)
        else:
            self.owner.late()

    # The end.

    def drop(self, abort: bool = False, linger: bool = True) -> None:
        """
        End the connection after all that was written, leaving the peer time to read it.

        :param abort: the time of the peer is over.
        :param linger: whether the peer is to be read, and forgotten, until it has closed as well.
        """
        if self.owner is None:
            return
        self.flush()
        isFree = self.isFree()
        self.sendsAtOnce = False  # from now on the transport's queue keeps the order
        if abort:
            self._giveUp(self.owner)
        elif self.full:
            self._end.drain()
        elif linger or not isFree:
            self._end.close(linger)
        else:
            self.owner = None  # an end of its own is on its way
            self._end.closeNow(self.isCorked)

    def _giveUp(self, owner: Owner) -> None:
        """Only what the kernel would not take yet is given further time, once."""
        if self._end.extend():
            self.timeout(owner.limits.drain_timeout)
            self._end.giveUp()
        else:
            self.transport.abortConnection()

    @property
    def _end(self) -> Shutdown:
        if self.shutdown is None:
            self.shutdown = Shutdown(self.transport)
        return self.shutdown

    def abort(self) -> None:
        """End the connection at once; what was not sent yet is lost."""
        self.forget()
        if self.owner is not None:
            self.transport.abortConnection()

    # The application's producer, and what the transport tells it through us.

    def attach(self, producer: IPushProducer) -> None:
        """
        Tell ``producer`` from now on, beginning with how things stand.

        :raises RuntimeError: when there is one already, as transports do.
        """
        if self.owner is None:
            producer.stopProducing()  # it is over; as transports do
            return
        if self._producer is not None:
            raise RuntimeError("another producer is attached")
        self._producer = producer
        if self.full:
            producer.pauseProducing()

    def detach(self) -> None:
        """Tell nobody."""
        self._producer = None

    def pauseProducing(self) -> None:
        """The transport holds more than it likes. It says so at every write while it does."""
        if not self.full:
            self.full = True
            if self._producer is not None:
                self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """The transport has sent what it held."""
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
            if self._producer is not None:
                self._producer.resumeProducing()

    def _isEndedBelow(self) -> bool:
        """
        Whether a close that was not ours waits for us to stop producing, for ever, now that all is
        sent: the peer has ended TLS, and TLS closes the socket below without asking us; or it has
        closed its half, which a tunnel is told, and closes once our words are out.
        """
        transport = self.transport
        below = getattr(transport, "transport", None)
        return any(getattr(each, "disconnecting", False) for each in (transport, below))

    def stopProducing(self) -> None:
        """The connection has ended: there is nobody left to send to, or to tell of it."""
        self.timeout(None)
        self.owner = None
        self.sendsAtOnce = False
        if self.shutdown is not None:
            self.shutdown.ended()
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                producer.stopProducing()
            except Exception:
                # What it raises would keep the transport from telling its protocol of the end.
                _log.failure("the producer of a WebSocket connection raised at its end")
