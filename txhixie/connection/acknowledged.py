"""Progress of a peer: how many bytes of a transport are sent, and how many are acknowledged.

Whether a socket is writable says little about the progress of the peer. The kernel of a peer that
reads 1 KiB/s acknowledged data after 65, 192, 285 and 378 s, while our socket was not writable once
in 420 s.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any, Final, NamedTuple

try:
    from fcntl import ioctl
    from termios import TIOCOUTQ as _SIOCOUTQ  # SIOCOUTQ has the same number on every Linux
except ImportError:  # not a UNIX system
    _ASKS = False
else:
    _ASKS = sys.platform == "linux"

_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)

_ACKNOWLEDGED: Final = struct.Struct("=Q")
_ACKNOWLEDGED_AT: Final = 120
"""Offset of ``tcpi_bytes_acked`` in Linux's ``struct tcp_info`` (linux/tcp.h, since 4.1)."""

_INFO_SIZE: Final = _ACKNOWLEDGED_AT + _ACKNOWLEDGED.size

_MOST_LAYERS: Final = 8
"""Most nested transports that are unwrapped: TLS, and wrappers of other packages."""


class Sent(NamedTuple):
    """
    State of the bytes that were written to a transport, at one moment.

    :ivar waiting: number of bytes in the write buffer of the transport, and in that of the kernel
        until the peer acknowledges them.
    :ivar acknowledged: a number that grows when the peer makes progress; only differences between
        two of these numbers have a meaning.
    :ivar position: offset and length of the transport's write buffer; ``None`` where the kernel
        counts acknowledged bytes, since the write buffer then proves nothing about the peer.
    """

    waiting: int
    acknowledged: int
    position: tuple[int, int] | None

    def is_beyond(self, before: Sent) -> bool:
        """Whether the peer has made progress since an earlier moment."""
        return self.acknowledged > before.acknowledged or self.position != before.position


NOTHING: Final = Sent(0, 0, None)
"""State of a transport without unacknowledged bytes."""


def sent_to(transport: Any) -> Sent | None:
    """
    Read the state of the written bytes from the kernel and from Twisted's write buffer.

    For TCP, Linux counts the acknowledged bytes. For a UNIX socket, Linux reports how many bytes
    the peer has not read. On other systems only the write buffer of the transport is known.

    :param transport: the transport of a protocol; TLS and other wrappers are unwrapped.
    :return: the state; ``None`` for a transport that has neither a socket nor a write buffer.
    """
    below = lowest(transport)
    buffer = getattr(below, "dataBuffer", None)
    if buffer is None:
        return None
    offset: int = below.offset
    unsent: int = len(buffer) - offset + below._tempDataLen  # noqa: SLF001 (see Writer.waiting)
    position = offset, len(buffer)
    handle = getattr(below, "socket", None)  # a lost connection has no socket
    if not _ASKS or handle is None:
        return Sent(unsent, -unsent, position)
    try:
        return _asked(handle, unsent, position)
    except OSError:  # the socket was closed, or is of an unknown kind
        return Sent(unsent, -unsent, position)


def _asked(handle: socket.socket, unsent: int, position: tuple[int, int]) -> Sent:
    (queued,) = struct.unpack("=i", ioctl(handle.fileno(), _SIOCOUTQ, bytes(4)))
    if not queued and not unsent:
        return NOTHING
    if handle.family in _INTERNET:
        info = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
        if len(info) == _INFO_SIZE:
            (acknowledged,) = _ACKNOWLEDGED.unpack_from(info, _ACKNOWLEDGED_AT)
            return Sent(queued + unsent, acknowledged, None)
    return Sent(queued + unsent, -queued, position)


def lowest(transport: Any) -> Any:
    """Return the transport below TLS and other wrappers."""
    for _ in range(_MOST_LAYERS):
        below = getattr(transport, "transport", None)
        if below is None:
            break
        transport = below
    return transport
