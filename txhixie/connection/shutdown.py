"""Shutdown of one connection's transport, from the first call that closes it.

A shutdown is made when a connection begins to close: an idle connection has none. Its states are:

``DRAINING``
    The transport still has a write buffer, since the peer reads slowly. The transport is closed
    once its write buffer was sent.
``CLOSING``
    All bytes were sent, and no more data of the peer is read. When the current read was processed,
    the socket is closed at the end of the turn of the reactor.
``DROPPED``
    The transport was closed, or its sending half, and will call ``connectionLost``.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from twisted.internet.interfaces import ISSLTransport

from ..sockets.turn_end import turnEndOf


class Stage(Enum):
    """Stage of a transport's shutdown; ``WANTED`` is the first."""

    WANTED = auto()
    DRAINING = auto()
    CLOSING = auto()
    DROPPED = auto()


class Shutdown:
    """
    Shutdown of one transport, which gives the peer time to read the last bytes.

    The kernel resets a socket that is closed while received bytes are unread, and our last bytes
    are lost with it (RFC 9112 section 9.6). Therefore only our sending half is closed, and data of
    the peer is read and discarded until the peer has closed too or a timeout has passed.

    :ivar stage: stage of the shutdown.
    """

    __slots__ = ("_patient", "_transport", "stage")

    def __init__(self, transport: Any) -> None:
        """:param transport: an ``ITransport``."""
        self._transport = transport
        self._patient = True
        self.stage = Stage.WANTED

    def extend(self) -> bool:
        """
        Extend the peer's time to read, once.

        :return: whether the time was extended: ``True`` for the first call only.
        """
        patient, self._patient = self._patient, False
        return patient

    def drain(self) -> None:
        """Close the transport once its write buffer was sent."""
        self.stage = Stage.DRAINING

    def drained(self) -> bool:
        """
        Close the transport after its write buffer was sent, if the shutdown waits for that.

        :return: whether the transport was closed.
        """
        if self.stage is not Stage.DRAINING:
            return False
        self.close(linger=True)
        return True

    def close(self, linger: bool) -> None:
        """
        Close the transport, or only its sending half.

        :param linger: whether data of the peer is still read, until the peer has closed too.
        """
        self.stage = Stage.DROPPED
        transport = self._transport
        # Over TLS, loseConnection waits for ever for a registered producer to finish.
        transport.unregisterProducer()
        closeHalf = getattr(transport, "loseWriteConnection", None) if linger else None
        if closeHalf is None or ISSLTransport.providedBy(transport):
            transport.loseConnection()
        else:
            closeHalf()

    def closeNow(self, corked: bool) -> None:
        """
        Close a TCP transport that has nothing to send, without waiting for the peer.

        ``loseConnection`` would wait until the reactor reports the socket as writable, and then
        write nothing: 12 us of the 115 us that a conversation takes to open and close. The
        transport ends here at the end of the turn of the reactor, with others of this turn.

        :param corked: whether a read is being processed.
        """
        self._transport.disconnecting = True
        self.stage = Stage.CLOSING
        if not corked:
            self._end()

    def uncorked(self) -> None:
        """Close a transport in ``CLOSING``: the current read was processed."""
        if self.stage is Stage.CLOSING:
            self._end()

    def _end(self) -> None:
        self.stage = Stage.DROPPED
        transport = self._transport
        transport.stopReading()
        transport.stopWriting()
        turnEndOf(transport).ends.append(transport)

    def giveUp(self) -> None:
        """
        Close the transport at once: the peer's time has passed.

        The kernel may still hold sent bytes for a peer that reads slowly. An abort would discard
        these bytes; a close leaves them to the kernel, and costs this process nothing.
        """
        transport = self._transport
        transport.unregisterProducer()
        transport.loseConnection()
        # TLS has sent its close_notify, and the peer had the time to send its own.
        below = getattr(transport, "transport", None)
        if below is not None:
            below.loseConnection()

    def ended(self) -> None:
        """Record that the transport has ended."""
        self.stage = Stage.DROPPED
