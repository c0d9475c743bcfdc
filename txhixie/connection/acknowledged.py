"""What became of the bytes that were written to a transport: how many wait, how far the peer is.

A socket that is not writable says little. The kernel of a peer that reads 1 KiB/s acknowledged data
after 65, 192, 285 and 378 s, while our socket was not writable once in 420 s.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any, Final, NamedTuple

try:
    from fcntl import ioctl
    from termios import TIOCOUTQ as _SIOCOUTQ  # the same number, in all of Linux
except ImportError:  # no UNIX
    _ASKS = False
else:
    _ASKS = sys.platform == "linux"

_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)

_ACKNOWLEDGED: Final = struct.Struct("=Q")
_ACKNOWLEDGED_AT: Final = 120
"""Where ``tcpi_bytes_acked`` stands in Linux's ``struct tcp_info`` (linux/tcp.h, since 4.1)."""

_INFO_SIZE: Final = _ACKNOWLEDGED_AT + _ACKNOWLEDGED.size

_MOST_LAYERS: Final = 8
"""Transports upon transports that are looked through: TLS, and wrappers of other people's."""


class Sent(NamedTuple):
    """
    The state of what was written to a transport, at one moment.

    :ivar waiting: bytes that wait in the transport, or in the kernel for an acknowledgement of the
        peer's.
    :ivar acknowledged: grows when the peer makes progress; only differences mean anything.
    :ivar position: where the transport's buffer is read from; ``None`` where the kernel counts
        acknowledged bytes, so that the buffer proves nothing.
    """

    waiting: int
    acknowledged: int
    position: tuple[int, int] | None

    def is_beyond(self, before: Sent) -> bool:
        """Whether the peer has made progress since an earlier moment."""
        return self.acknowledged > before.acknowledged or self.position != before.position


NOTHING: Final = Sent(0, 0, None)
"""Nothing waits."""


def sent_to(transport: Any) -> Sent | None:
    """
    Ask the kernel, and the buffer of Twisted's transport above it.

    In Linux, TCP's acknowledged bytes are counted. On a UNIX socket the kernel tells how much the
    peer has not read. Elsewhere there is the transport's buffer alone.

    :param transport: of a protocol; TLS and other wrappers are looked through.
    :return: ``None`` for a transport that has no socket and no buffer that could be asked.
    """
    below = lowest(transport)
    buffer = getattr(below, "dataBuffer", None)
    if buffer is None:
        return None
    offset: int = below.offset
    unsent: int = len(buffer) - offset + below._tempDataLen  # noqa: SLF001 (see Sender.waiting)
    position = offset, len(buffer)
    handle = getattr(below, "socket", None)  # which a lost connection has no more
    if not _ASKS or handle is None:
        return Sent(unsent, -unsent, position)
    try:
        return _asked(handle, unsent, position)
    except OSError:  # closed under the transport, or of a kind that is not known here
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
    """The transport below TLS and other wrappers."""
    for _ in range(_MOST_LAYERS):
        below = getattr(transport, "transport", None)
        if below is None:
            break
        transport = below
    return transport
