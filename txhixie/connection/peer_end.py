"""Whether the peer of a connection that is not read has disconnected."""

from __future__ import annotations

import socket
from typing import Any

from .acknowledged import lowest


def has_disconnected(transport: Any) -> bool:
    """
    Whether the kernel reports the end of a connection: the next read finds no data, but the end.

    A transport that is paused does not notice the end. While unread data of the peer is in the
    receive buffer of the kernel, the end behind that data cannot be seen.

    :param transport: the transport of a protocol; TLS and other wrappers are unwrapped.
    :return: whether the peer has closed or reset the connection; ``False`` for a transport without
        a socket.
    """
    handle = getattr(lowest(transport), "socket", None)  # a lost connection has none
    if handle is None:
        return False
    try:
        return not handle.recv(1, socket.MSG_PEEK)
    except (BlockingIOError, ValueError):
        return False
    except OSError:
        return True
