"""The end of one connection's transport, from the moment that somebody wants it to end.

An idle connection has none of this: it is made at the first wish to end. In its states is true:

``DRAINING``
    What was written has not all left the transport, whose peer reads slowly. It is closed when the
    transport says that it is empty.
``CLOSING``
    All has been sent and nobody is to be heard: the socket is closed as soon as the read that is
    being worked off has ended.
``DROPPED``
    The transport was told to close, or to close its half; it tells the rest.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import connectionDone


class Stage(Enum):
    """How far the end of a transport is."""

    WANTED = auto()
    DRAINING = auto()
    CLOSING = auto()
    DROPPED = auto()


class Shutdown:
    """
    Ends one transport, and gives its peer time to read what was sent before.

    A socket closed with bytes unread is reset, and what we wrote last is lost with it (RFC 9112
    section 9.6). So, unless nobody is to be heard any more, only our half is closed, and the peer's
    is read and forgotten until the peer has closed as well or a timeout comes.

    :ivar stage: how far it is.
    """

    __slots__ = ("_patient", "_transport", "stage")

    def __init__(self, transport: Any) -> None:
        """:param transport: an ``ITransport``."""
        self._transport = transport
        self._patient = True
        self.stage = Stage.WANTED

    def extend(self) -> bool:
        """
        The time of the peer is over, for the first time or again.

        :return: whether the peer has more time, which it has once.
        """
        patient, self._patient = self._patient, False
        return patient

    def drain(self) -> None:
        """Close the transport when it is empty."""
        self.stage = Stage.DRAINING

    def drained(self) -> bool:
        """
        The transport is empty.

        :return: whether that was awaited, and the transport is closed now.
        """
        if self.stage is not Stage.DRAINING:
            return False
        self.close(linger=True)
        return True

    def close(self, linger: bool) -> None:
        """
        Close the transport, or our half of it.

        :param linger: whether the peer is to be read until it has closed as well.
        """
        self.stage = Stage.DROPPED
        transport = self._transport
        # Over TLS, loseConnection waits for ever for a producer to finish.
        transport.unregisterProducer()
        closeHalf = getattr(transport, "loseWriteConnection", None) if linger else None
        if closeHalf is None or ISSLTransport.providedBy(transport):
            transport.loseConnection()
        else:
            closeHalf()

    def closeNow(self, corked: bool) -> None:
        """
        Nothing waits to be sent and nobody to be heard. ``loseConnection`` would have the reactor
        tell that the socket is writable, to write nothing: 12 us of the 115 that a conversation
        takes to open and close. This is what it does itself once its half is closed: as soon as
        what was read has been worked off, or in the next turn if nothing is being read.

        :param corked: whether a read is being worked off.
        """
        self._transport.disconnecting = True
        self.stage = Stage.CLOSING
        if not corked:
            self._end()

    def uncorked(self, read: bool = False) -> None:
        """
        The read that was being worked off has ended.

        :param read: whether the reactor itself has called for it.
        """
        if self.stage is Stage.CLOSING:
            self._end(read)

    def _end(self, read: bool = False) -> None:
        self.stage = Stage.DROPPED
        transport = self._transport
        if read:
            transport.connectionLost(connectionDone)
        else:
            transport.stopReading()
            transport.stopWriting()
            transport.reactor.callLater(0, transport.connectionLost, connectionDone)

    def giveUp(self) -> None:
        """
        The peer has had its time. What we wrote may still lie with the kernel, for one that reads
        slowly: an abort would take it back, a close leaves it there and costs us nothing more.
        """
        transport = self._transport
        transport.unregisterProducer()
        transport.loseConnection()
        # TLS has sent its close_notify; there was time for the peer's.
        below = getattr(transport, "transport", None)
        if below is not None:
            below.loseConnection()

    def ended(self) -> None:
        """The transport has ended, whoever wanted it."""
        self.stage = Stage.DROPPED
