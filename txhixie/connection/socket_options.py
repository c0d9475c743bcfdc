"""Options of the socket of a connection: TCP_NODELAY, and TCP keep-alive."""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import Any, Final

from ..sansio.limits import Limits
from ..sockets.inherited_options import SocketOption, set_options

_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
_PROBES: Final = 4
"""Number of TCP keep-alive probes that the kernel sends before it resets the connection."""

_MOST_SECONDS: Final = 32767
"""Greatest value that Linux accepts for the times of TCP keep-alive."""

_NO_DELAY: Final[SocketOption] = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
_KEEP_ALIVE: Final[SocketOption] = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def send_at_once(transport: Any) -> None:
    """
    Turn off the delay of small packets of a connection.

    Without TCP_NODELAY a server that sends small messages in separate turns of the reactor stalls
    for 44 ms at a time, waiting for acknowledgements. Only TCP has the option.

    :param transport: the transport of the connection; TLS passes the option on to TCP. A transport
        without TCP is left unchanged.
    """
    if (setNoDelay := getattr(transport, "setTcpNoDelay", None)) is not None:
        setNoDelay(True)


def leave_to_kernel(
    transport: Any, limits: Limits, is_tcp: bool = False, has_times: bool = False
) -> None:
    """
    Turn on TCP keep-alive, for a dialect that has no pings.

    If the peer vanishes without closing the connection, as a television does that loses its power,
    the connection would be kept for ever. The kernel probes at ``ping_interval`` and
    ``ping_timeout`` where the system has options for the times, and after two hours or more where
    it has none.

    :param transport: the transport of the connection; TLS passes the options on to TCP. A transport
        without TCP is left unchanged.
    :param limits: the limits of the connection.
    :param is_tcp: whether the transport is known to be Twisted's own TCP. Otherwise its socket is
        asked, which takes 2 us of a handshake.
    :param has_times: whether the socket has the options of :func:`inheritable`.
    """
    below: Any = getattr(transport, "socket", None)
    if limits.ping_interval is None or below is None:
        return
    if is_tcp or getattr(below, "family", None) in _INTERNET:
        if not has_times:
            set_options(below, _times(limits.ping_interval, limits.ping_timeout))
        below.setsockopt(*_KEEP_ALIVE)


def inheritable(limits: Limits) -> tuple[SocketOption, ...]:
    """
    Return the options that all connections of a factory may have: TCP_NODELAY, and the times.

    The times of TCP keep-alive have no effect on a connection that does not turn it on.
    """
    interval = limits.ping_interval
    return (_NO_DELAY, *(() if interval is None else _times(interval, limits.ping_timeout)))


@lru_cache(maxsize=8)
def _times(interval: float, timeout: float) -> tuple[SocketOption, ...]:
    """Return the options for the times of TCP keep-alive that the system has."""
    times = ("TCP_KEEPIDLE", interval), ("TCP_KEEPINTVL", timeout / _PROBES)
    return tuple(
        (socket.IPPROTO_TCP, getattr(socket, name), min(max(1, round(value)), _MOST_SECONDS))
        for name, value in (*times, ("TCP_KEEPCNT", _PROBES))
        if hasattr(socket, name)
    )
