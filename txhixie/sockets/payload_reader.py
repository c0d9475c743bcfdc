"""Reads of a connection with large messages, directly into the incomplete message.

In the usual way a message of 1 MiB is received in pieces, each piece is unmasked into a second
object, and the pieces are joined in a third. Here the kernel writes into the object that the
application receives, and the bytes are unmasked there.

A read takes at most 768 KiB: a message of 1 MiB takes one usual read, of 257 KiB, and one read into
its payload. Both are made for one event of the reactor, which then receives 1,025 KiB at most. A
smaller ``Limits.turn_size`` makes no read smaller: it bounds the messages that are delivered for
the event. With four events for each message, an echo of 1 MiB takes a tenth more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST

from ..sansio.assembly import PayloadTarget
from .socket_calls import receive_payload


class PayloadReader:
    """
    Reads of one transport, in place of its own ``doRead``.

    A read that does not continue a long payload is the transport's own, and so is each read after
    ``startTLS``, and after another protocol has taken the transport over.
    """

    def __init__(
        self,
        transport: Any,
        target: Callable[[], PayloadTarget | None],
        received: Callable[[bytes, int, bool], None],
    ) -> None:
        """
        Read from the transport, until :func:`stopReadingPayloads`.

        :param transport: a ``tcp.Server`` or ``tcp.Client`` of Twisted.
        :param target: returns where the next bytes belong; ``None`` where they continue no payload.
            A pause within a read comes before the beginning of a payload in it is processed.
        :param received: is called with the payload, with the number of bytes that were received
            into it, and with whether this was the first read of an event of the reactor.
        """
        self._transport = transport
        self._protocol = transport.protocol
        self._target = target
        self._received = received
        self._readUsually = transport.doRead
        transport.doRead = self.doRead

    def doRead(self) -> ConnectionDone | ConnectionLost | None:
        """See ``IReadDescriptor``."""
        isFirst = (target := self._next()) is not None
        if target is None:
            why: ConnectionDone | ConnectionLost | None = self._readUsually()
            if why is not None or (target := self._next()) is None:
                return why
        assert receive_payload is not None  # readPayloads() has made no reader without it
        got = receive_payload(self._transport.socket, *target)
        if isinstance(got, tuple):
            self._received(*got, isFirst)
            return None
        return None if got is None else CONNECTION_LOST if got is False else CONNECTION_DONE

    def _next(self) -> PayloadTarget | None:
        """Return where the next bytes belong; ``None`` if the transport's own read takes them."""
        transport = self._transport
        if (
            not transport.connected  # it may have ended in the usual read
            or transport.TLS
            or transport.protocol is not self._protocol
        ):
            return None
        return self._target()


def readPayloads(
    transport: Any,
    target: Callable[[], PayloadTarget | None],
    received: Callable[[bytes, int, bool], None],
) -> None:
    """Have a transport read as a :class:`PayloadReader` does, where this is possible."""
    if receive_payload is not None:
        PayloadReader(transport, target, received)


def stopReadingPayloads(transport: Any) -> None:
    """Have a transport read as it did before, without a reference to its connection."""
    doRead = getattr(transport, "doRead", None)  # abortConnection of Twisted replaces it, too
    if isinstance(getattr(doRead, "__self__", None), PayloadReader):
        del transport.doRead
