"""Bytes towards one transport: what one read causes leaves joined, and nothing waits needlessly."""

from __future__ import annotations

from typing import Any, Final

from .turn import TURN

try:
    from twisted.internet.tcp import Client, Server
except ImportError:  # a reactor without these has transports of its own
    _DIRECT: tuple[type, ...] = ()
else:
    _DIRECT = (Client, Server)

FULL_READ: Final = 64 * 1024
"""Bytes of a read that has taken all it could: ``bufferSize`` of Twisted's transports."""

_WIDE_READ: Final = 256 * 1024
_WIDE_SEND: Final = 1024 * 1024

_MOST_HELD: Final = 64 * 1024
"""Replies of one read leave in one write (1.3 times as many messages a second, and 2 to 3 times
as many as with a send each); beyond this many bytes they leave at once, so that a transport that
is full can say so before a peer's 64 KiB of tiny questions have all been answered at length."""


class Sender:
    """
    One connection's.

    :ivar direct: whether the transport is TCP of Twisted's own, which also reads once a turn.
    """

    __slots__ = ("_held", "_size", "_transport", "direct")

    def __init__(self, transport: Any) -> None:
        """:param transport: an ``ITransport``."""
        self._transport = transport
        self.direct = type(transport) in _DIRECT
        self._held: list[bytes] | None = None
        self._size = 0

    def widen(self) -> None:
        """
        Big messages pass: have Twisted's TCP take 256 KiB a read instead of 64, and give the
        kernel 1 MiB a send instead of 128 KiB. What was many events is one: 1 MiB messages go
        through half as fast again. Not done for everybody, since a read allocates what it may take.
        """
        if self.direct and self._transport.bufferSize < _WIDE_READ:
            self._transport.bufferSize = _WIDE_READ
            self._transport.SEND_LIMIT = _WIDE_SEND

    def settle(self) -> None:
        """The read has been worked off: send what was joined."""
        try:
            self.flush()
        finally:
            self._held = None

    def forget(self) -> None:
        """Send none of what was joined."""
        if self._held:
            self._held.clear()
            self._size = 0

    @property
    def holds(self) -> bool:
        """Whether what is written is joined to something."""
        return self._held is not None

    def write(self, data: bytes, *more: bytes) -> None:
        """
        Send, or, while a read is being worked off, join with what is held. Whatever comes in parts
        is too long to be joined.
        """
        held = self._held
        if more or (held is None and not TURN.depth):
            self.flush()
            self._send(data, *more)
            return
        if held is None:
            held = self._held = []
            TURN.join(self)
        held.append(data)
        self._size += len(data)
        if self._size > _MOST_HELD:
            self.flush()

    def flush(self) -> None:
        """Send what was joined so far."""
        while held := self._held:
            # Emptied first: inside write the application may hear that it is full, and say so.
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
        transport = self._transport
        if self.isFree():
            sent = transport.writeSomeData(data)
            if sent == len(data):
                if more:
                    self._send(*more)
                return
            if isinstance(sent, int) and sent > 0:
                data = data[sent:]
        self._queue(data, *more)

    def _queue(self, data: bytes, *more: bytes) -> None:
        """To be sent when the transport gets to it."""
        transport = self._transport
        if more:
            transport.writeSequence((data, *more))
        else:
            transport.write(data)

    def isFree(self) -> bool:
        """Whether this is TCP of Twisted's own, open, for which nothing waits to be sent."""
        transport = self._transport
        return (
            self.direct
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
        below: Any = self._transport
        if not self.direct:
            below = getattr(below, "transport", None)  # under TLS
        if type(below) not in _DIRECT:
            return None
        waiting: int = len(below.dataBuffer) - below.offset + below._tempDataLen  # noqa: SLF001
        return self._size + waiting
