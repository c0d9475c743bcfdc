"""The way out of one connection: bytes, the clock, the end, and who must be told that it is full.

This is the :class:`txhixie.port.Port` that the floors below write to, and the one producer a
transport has: what the transport says to it, it says on to the application's producer, each thing
once.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol

from twisted.internet.interfaces import IPushProducer, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from zope.interface import implementer

from .deadlines import Deadline
from .limits import Limits
from .sender import Sender
from .turn import TURN

_log = Logger()

_OPEN, _DRAINING, _CLOSING, _DROPPED = range(4)
"""How far its end is: not begun; once what was written has gone; once what was read has been worked
off; begun below."""


class Bounds(Protocol):
    """What bounds a connection: a :class:`txhixie.factory.HixieFactory`."""

    limits: Limits

    def deadline(self, seconds: float) -> Deadline:
        """Those that wait for so long."""
        ...


class Owner(Protocol):
    """Whose way out it is: a :class:`txhixie.protocol.HixieProtocol`."""

    @property
    def factory(self) -> Bounds:
        """What bounds it."""
        ...

    def late(self) -> None:
        """The deadline that was set has passed."""

    def drained(self) -> None:
        """The transport has sent what it held."""

    def overflowed(self, size: int) -> None:
        """So many bytes wait to be sent, more than the limit."""


@implementer(IPushProducer)
class Outflow(Sender):
    """
    One connection's.

    :ivar full: whether the transport has asked to be spared.
    """

    __slots__ = (
        "_deadline",
        "_owner",
        "_patient",
        "_producer",
        "_stage",
        "_unsent",
        "full",
    )

    def __init__(self, owner: Owner, transport: Any) -> None:
        """
        :param owner: whose ``late`` is called when a deadline has passed.
        :param transport: an ``ITransport`` and ``IConsumer``; its producer is this now.
        """
        super().__init__(transport)
        self._owner: Owner | None = owner
        self._deadline: Deadline | None = None
        self._producer: IPushProducer | None = None
        self._unsent = 0  # bytes since the transport was full
        self._stage = _OPEN
        self._patient = True
        self.full = False
        transport.registerProducer(self, True)

    # Bytes.

    def hold(self) -> bool:
        """
        A read of this connection has come: from now on join what is written, here and on all
        others, until :meth:`release`.

        :return: whether it had not been so already.
        """
        if self._held is None:
            self._held = []
            TURN.begin()
            return True
        return False

    def release(self, read: bool = False) -> None:
        """
        Write what was joined.

        :param read: by the reactor's own call, so that the connection may end within.
        """
        try:
            super().settle()
            self._endIfAwaited(read)
        finally:
            TURN.end()

    def settle(self) -> None:
        """Another's read, which has written here, has been worked off."""
        super().settle()
        self._endIfAwaited()

    def isFree(self) -> bool:
        """Whether it is open, and what is written now is sent now."""
        return self._stage == _OPEN and super().isFree()

    def _queue(self, data: bytes, *more: bytes) -> None:
        if not (self.full and self._overflows(len(data) + sum(map(len, more)))):
            super()._queue(data, *more)

    def _overflows(self, size: int) -> bool:
        """
        Whether too much waits for a peer that does not read, and an application that does not
        mind. What was sent before the close is the peer's to read at its leisure.
        """
        self._unsent += size
        owner = self._owner
        if owner is None or self._unsent <= owner.factory.limits.unsent_size:
            return False
        owner.overflowed(self._unsent)
        self.abort()
        return True

    @property
    def unsent(self) -> int:
        """See :meth:`txhixie.interfaces.WebSocketTransport.unsent`."""
        waiting = self.waiting
        return waiting if waiting is not None else sys.maxsize if self.full else self.joined

    # The clock.

    def deadline(self, seconds: float | None) -> None:
        """Say so when this many seconds have passed; ``None``: say nothing."""
        waited, self._deadline = self._deadline, None
        if waited is not None:
            waited.leave(self)
        if seconds is not None and self._owner is not None:
            self._deadline = self._owner.factory.deadline(seconds)
            self._deadline.join(self)

    def expired(self) -> None:
        """The deadline has passed."""
        self._deadline = None
        if self._owner is None:
            return
        if self.full and self._patient:
            # The peer is still reading what it was promised.
            self._patient = False
            self.deadline(self._owner.factory.limits.drain_timeout)
        else:
            self._owner.late()

    # The end.

    def drop(self, abort: bool = False, linger: bool = True) -> None:
        """
        End the connection after all that was written, leaving the peer time to read it; ``abort``
        when that time is over. A socket closed with bytes unread is reset, and what we wrote last
        is lost with it (RFC 9112 section 9.6); so, if it is to ``linger``, only our half is closed,
        and the other read and forgotten until the peer has gone or the deadline comes.
        """
        if self._owner is None:
            return
        self.flush()
        if abort:
            self._giveUp()
        elif self.full:
            self._stage = _DRAINING
        elif linger or not self.isFree():
            self._close(linger)
        else:
            self._closeNow()

    def _closeNow(self) -> None:
        """
        Nothing waits to be sent and nobody to be heard. ``loseConnection`` would have the reactor
        tell that the socket is writable, to write nothing: 12 us of the 115 that a conversation
        takes to open and close. This is what it does itself once its half is closed: as soon as
        what was read has been worked off, or in the next turn if nothing is being read.
        """
        self._owner = None  # an end of its own is on its way
        self._transport.disconnecting = True
        self._stage = _CLOSING
        if not self.holds:
            self._end()

    def _endIfAwaited(self, read: bool = False) -> None:
        if self._stage == _CLOSING:
            self._end(read)

    def _end(self, read: bool = False) -> None:
        self._stage = _DROPPED
        transport = self._transport
        if read:
            transport.connectionLost(connectionDone)
        else:
            transport.stopReading()
            transport.stopWriting()
            transport.reactor.callLater(0, transport.connectionLost, connectionDone)

    def abort(self) -> None:
        """End the connection at once; what was not sent yet is lost."""
        self.forget()
        if self._owner is not None:
            self._transport.abortConnection()

    def _giveUp(self) -> None:
        """
        The peer has had its time. What we wrote may still lie with the kernel, for one that reads
        slowly: an abort would take it back, a close leaves it there and costs us nothing more.
        Only what the kernel would not take yet needs further time.
        """
        transport = self._transport
        if not self._patient or self._owner is None:
            transport.abortConnection()
            return
        self._patient = False
        self.deadline(self._owner.factory.limits.drain_timeout)
        transport.unregisterProducer()
        transport.loseConnection()
        # TLS says so to its peer and waits for the answer, for which there was time.
        below = getattr(transport, "transport", None)
        if below is not None:
            below.loseConnection()

    def _close(self, linger: bool) -> None:
        transport = self._transport
        self._stage = _DROPPED
        # Over TLS, loseConnection waits for ever for a producer to finish.
        transport.unregisterProducer()
        closeHalf = getattr(transport, "loseWriteConnection", None) if linger else None
        if closeHalf is None or ISSLTransport.providedBy(transport):
            transport.loseConnection()
        else:
            closeHalf()

    # The application's producer, and what the transport tells it through us.

    def attach(self, producer: IPushProducer) -> None:
        """
        Tell ``producer`` from now on, beginning with how things stand.

        :raises RuntimeError: when there is one already, as transports do.
        """
        if self._owner is None:
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
            if self._stage == _DRAINING:
                self._close(linger=True)
                return
            if self._isEndedBelow():
                self._transport.unregisterProducer()
                return
            if self._owner is not None:
                self._owner.drained()
            if self._producer is not None:
                self._producer.resumeProducing()

    def _isEndedBelow(self) -> bool:
        """
        Whether a close that was not ours waits for us to stop producing, for ever, now that all is
        sent: the peer has ended TLS, and TLS closes the socket below without asking us; or it has
        closed its half, which a tunnel is told, and closes once our words are out.
        """
        transport = self._transport
        below = getattr(transport, "transport", None)
        return any(getattr(each, "disconnecting", False) for each in (transport, below))

    def stopProducing(self) -> None:
        """The connection has ended: there is nobody left to send to, or to tell of it."""
        self.deadline(None)
        self._owner = None
        self._stage = _DROPPED
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                producer.stopProducing()
            except Exception:
                # What it raises would keep the transport from telling its protocol of the end.
                _log.failure("the producer of a WebSocket connection raised at its end")
