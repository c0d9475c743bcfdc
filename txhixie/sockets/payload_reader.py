"""Reads of a connection with large messages, directly into the incomplete message.

In the usual way a message of 1 MiB is received in pieces, each piece is unmasked into a second
object, and the pieces are joined in a third. Here the kernel writes into the object that the
application receives, and the bytes are unmasked there.
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
        received: Callable[[bytes, int], None],
    ) -> None:
        """
        Read from the transport, until :func:`stopReadingPayloads`.

        :param transport: a ``tcp.Server`` or ``tcp.Client`` of Twisted.
        :param target: returns where the next bytes belong; ``None`` where they begin no payload.
        :param received: is called with the payload, and with the number of bytes that were received
            into it.
        """
        self._transport = transport
        self._protocol = transport.protocol
        self._target = target
        self._received = received
        self._readUsually = transport.doRead
        transport.doRead = self.doRead

    def doRead(self) -> ConnectionDone | ConnectionLost | None:
        """See ``IReadDescriptor``."""
        transport = self._transport
        if (
            receive_payload is None
            or transport.TLS
            or transport.protocol is not self._protocol
            or (target := self._target()) is None
        ):
            return self._readUsually()  # type: ignore[no-any-return]  # the transport has the type Any
        got = receive_payload(transport.socket, *target)
        if got:
            self._received(*got)
            return None
        return None if got is None else CONNECTION_LOST if got is False else CONNECTION_DONE


def readPayloads(
    transport: Any,
    target: Callable[[], PayloadTarget | None],
    received: Callable[[bytes, int], None],
) -> None:
    """Have a transport read as a :class:`PayloadReader` does, where this is possible."""
    if receive_payload is not None:
        PayloadReader(transport, target, received)


def stopReadingPayloads(transport: Any) -> None:
    """Have a transport read as it did before, without a reference to its connection."""
    doRead = getattr(transport, "doRead", None)  # abortConnection of Twisted replaces it, too
    if isinstance(getattr(doRead, "__self__", None), PayloadReader):
        del transport.doRead
