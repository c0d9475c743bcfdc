"""Limits of one connection: sizes in bytes, timeouts in seconds and rates, each with its reason.

A size is checked before the data is kept in memory.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields, replace
from math import inf
from typing import Any, Final

from .arguments import scalars

MOST: Final = sys.maxsize >> 1
"""Largest size: more than any memory, and small enough that C code can add to it."""

_OPTIONS: Final = {
    "head_size": "--max-head-size",
    "message_size": "--max-message-size",
    "frame_size": "--max-frame-size",
    "fragments": "--max-fragments",
    "messages_per_second": "--max-messages-per-second",
    "bytes_per_second": "--max-bytes-per-second",
    "ping_interval": "--ping-interval",
    "ping_timeout": "--ping-timeout",
    "stall_timeout": "--stall-timeout",
    "idle_timeout": "--idle-timeout",
    "lifetime": "--max-lifetime",
    "stop_timeout": "--stop-timeout",
    "stop_spread": "--drain",
}
"""Options of the daemon for limits, by the name of the limit."""


_SOME_SECONDS: Final = ("stall_timeout", "idle_timeout", "lifetime")
"""Times of which 0 seconds would close every connection."""


def called(name: str) -> str:
    """Return the names under which a limit can be set: ``Limits.fragments, --max-fragments``."""
    option = _OPTIONS.get(name)
    return f"Limits.{name}, {option}" if option else f"Limits.{name}"


def exceeds(what: str, limit: int, name: str) -> str:
    """
    Return the text of an error about an exceeded limit, for the log and the local application.

    The peer gets a text without the names of our limits.

    :param what: the thing with its size, such as ``message of 1,048,577 bytes``; without the size
        where the log counts equal lines.
    :param limit: value of the limit.
    :param name: name of the limit, a field of :class:`Limits`.
    """
    return f"{what} exceeds our limit of {limit:,} ({called(name)})"


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Limits of one connection: sizes in bytes, timeouts in seconds.

    :ivar head_size: most bytes of the head of a request or a response. Apache accepts 8 KiB a line,
        nginx 8 KiB a line and 32 KiB in all, Node 16 KiB in all: 16 KiB are enough for browsers
        with many cookies.
    :ivar head_fields: most fields of a head. Apache accepts 100. A browser of today sends about 20;
        many more fields are an attack that makes the server count.
    :ivar message_size: most bytes of one message, as the peer sends it and, with a compressing
        extension, as inflated. Most servers accept 1 MiB by default, and 1,000 connections that
        fill it need 1 GiB.
    :ivar frame_size: most bytes of one frame as sent; ``None``: the same as ``message_size``.
    :ivar fragments: most fragments of one message. Browsers send about a dozen for a megabyte. Each
        fragment costs as much CPU time as a small message, and empty fragments never reach
        ``message_size``.
    :ivar early_size: most bytes that are kept while the application decides, in dialects in
        which clients may send before the response. One full read of a Twisted transport is 64 KiB.
    :ivar unsent_size: most bytes that may wait in the write buffer of a connection when more are
        sent. On a transport of which this number is not known, such as a tunnel: most bytes that
        may be sent from the moment when the transport is full until it has drained. An application
        that checks ``full`` or registers a producer never comes near this limit. An application
        that does not must not fill the memory for a peer that does not read: the connection is
        aborted.
    :ivar turn_size: most bytes of inflated messages that one turn of the reactor inflates or
        delivers on one connection, or one message if it is larger; the next turn continues. 256 KiB
        of compressed zeros are 250 messages of 1 MiB: inflating and answering them in one turn kept
        all other connections waiting for 1 to 5 seconds, and 1 MiB takes 4 to 20 ms. Each frame
        counts 128 bytes in addition to its payload, also a control frame: 1 MiB is 8,192 pings.
    :ivar messages_per_second: most messages that are taken from the peer in a second; ``None``: no
        limit. Faster peers are slowed down: reading pauses, and the messages of one second at most
        are taken at once. Fragments and control frames count like messages. A chat client sends
        about one message a second, a game 20 to 60.
    :ivar bytes_per_second: most bytes of frames that are taken from the peer in a second; ``None``:
        no limit. The bytes of a compressed message count as received and again as inflated. A
        message of more bytes than a second allows is received over several seconds.
    :ivar refusal_size: most bytes of the body of a refusal that a client keeps for its error.
    :ivar body_size: most bytes of the body of a page request. A form of ``a=1&a=1&...`` costs
        ``twisted.web`` 0.2 us and 17 bytes of memory for each byte, in one call, and a multipart
        form with a header of ``;a;a;a`` ten times as much: 64 KiB block the reactor for 8 ms and
        for 110 ms. Forms that people fill in are shorter. Uploads need more.
    :ivar lookup_timeout: seconds for the DNS lookup of a host name: two name servers, each asked
        twice for five seconds, the default of resolvers (resolv.conf(5)).
    :ivar tcp_timeout: seconds for a TCP connection to one of the addresses. Linux repeats a
        lost SYN after 1, 3, 7 and 15 seconds: four times within 30.
    :ivar proxy_timeout: seconds for each response of a proxy, which looks up the host and connects
        to it first: squid tries for 60 seconds.
    :ivar tls_timeout: seconds for a TLS handshake: two round trips, like the WebSocket handshake.
    :ivar open_timeout: seconds for the peer's part of the handshake. Firefox 4 waited 20 seconds. A
        page over a satellite link needs 3. Clients that send no request should not hold a
        connection for longer.
    :ivar request_timeout: seconds from the first byte of a page request to the last byte of its
        body. 64 KiB within 30 seconds are 17 kbit/s, which GPRS reaches.
    :ivar decide_timeout: seconds for the application to decide about an offer.
    :ivar close_timeout: seconds for the peer's part of the closing handshake, and for reading after
        the last byte was written. Three, since many hixie-76 peers (eventlet, gevent, txWS) never
        answer ``FF 00``, and each of their closes takes this long.
    :ivar stall_timeout: seconds without any acknowledgement from the peer, while sent or unsent
        data is not acknowledged, until the connection is aborted with 1006. The kernel of a peer
        that reads 1 KiB/s was seen to acknowledge nothing for 127 seconds. A peer that stops
        reading costs up to 1.4 MiB in this process and 10 MB in the kernel.
    :ivar idle_timeout: seconds without a message in either direction until the connection is closed
        with 1001; ``None``: no limit, since a connection may wait for an event all day. Pings and
        pongs are no messages. Parts of a long message count, and so do pauses by our side.
    :ivar lifetime: seconds until the connection is closed with 1001; ``None``: no limit. The lives
        of connections differ by a tenth of it, so that not all clients come back at once. A limit
        of an hour has clients move to another server after a change of the load balancer.
    :ivar stop_timeout: seconds for all connections to close when the factory stops; then the
        remaining connections are aborted. Docker sends SIGKILL 10 seconds after SIGTERM.
    :ivar stop_spread: seconds over which the closes are spread evenly when the factory stops, a
        part of ``stop_timeout``; 0: all connections are closed at once. 10,000 clients that are
        closed at once connect at once again, to the server that is left or has started anew.
    :ivar ping_interval: seconds between pings; in a dialect without ping frames, seconds between
        TCP keepalive probes; ``None``: no pings. Reverse proxies close idle connections after 60
        seconds (nginx) or 50 (the examples of HAProxy).
    :ivar ping_timeout: seconds without a byte from the peer, after a ping, until the connection is
        aborted. Any data counts as an answer, since a pong may have to wait behind a long message.
    :ivar drain_timeout: further seconds for a close while the peer is still reading the data sent
        before: a megabyte over a telephone line takes that long. Also seconds for the application,
        after the connection was lost, to receive the messages that came before; then these messages
        are dropped.
    """

    head_size: int = 16 * 1024
    head_fields: int = 100
    message_size: int = 1024 * 1024
    frame_size: int | None = None
    fragments: int = 4096
    early_size: int = 64 * 1024
    unsent_size: int = 16 * 1024 * 1024
    turn_size: int = 1024 * 1024
    messages_per_second: float | None = None
    bytes_per_second: float | None = None
    refusal_size: int = 64 * 1024
    body_size: int = 64 * 1024
    lookup_timeout: float = 20.0
    tcp_timeout: float = 30.0
    proxy_timeout: float = 60.0
    tls_timeout: float = 10.0
    open_timeout: float = 10.0
    request_timeout: float = 30.0
    decide_timeout: float = 30.0
    close_timeout: float = 3.0
    drain_timeout: float = 60.0
    stall_timeout: float = 300.0
    idle_timeout: float | None = None
    lifetime: float | None = None
    stop_timeout: float = 8.0
    stop_spread: float = 0.0
    ping_interval: float | None = 20.0
    ping_timeout: float = 20.0

    def __post_init__(self) -> None:
        """
        Check all values.

        :raises ValueError: for a negative or too large size, for a negative or infinite timeout,
            for a ``ping_interval``, ``ping_timeout``, ``stall_timeout``, ``idle_timeout``,
            ``lifetime`` or rate of 0, and for a
            ``stop_spread`` that exceeds ``stop_timeout``.
        :raises TypeError: for a size, or a number of fields or fragments, that is not an ``int``,
            and for a timeout or rate that is not a number.
        """
        for field in fields(self):
            value: Any = getattr(self, field.name)
            is_optional = "None" in str(field.type)
            if value is None and is_optional:
                continue
            # The C code counts with sizes, and takes no float.
            scalars(int if str(field.type).startswith("int") else float, **{field.name: value})
            if field.name.startswith("ping_") or field.name in _SOME_SECONDS:
                right, what = 0 < value < inf, "more than 0 seconds"
            elif field.name.endswith("_per_second"):
                right, what = 0 < value < inf, "more than 0 a second"
            elif field.name.endswith(("_timeout", "_spread")):
                right, what = 0 <= value < inf, "a number of seconds"
            else:
                right, what = 0 <= value <= MOST, f"a number from 0 to {MOST}"
            if not right:
                # The options of the daemon have 0 where Limits has None.
                off = "; None turns it off" if is_optional and value == 0 else ""
                raise ValueError(f"{field.name}: expected {what}, not {value}{off}")
        if self.stop_spread > self.stop_timeout:
            most = f"at most stop_timeout ({self.stop_timeout:g})"
            raise ValueError(f"stop_spread: expected {most}, not {self.stop_spread:g}")

    def with_stage_timeout(self, seconds: float) -> Limits:
        """Return a copy with the same timeout for each stage of connecting to a server."""
        return replace(
            self,
            lookup_timeout=seconds,
            tcp_timeout=seconds,
            proxy_timeout=seconds,
            tls_timeout=seconds,
            open_timeout=seconds,
        )

    def of_backends(self) -> Limits:
        """Return a copy without the limits that are for clients, for connections to a backend."""
        return replace(
            self,
            messages_per_second=None,
            bytes_per_second=None,
            idle_timeout=None,
            lifetime=None,
        )

    def unsent_error(self, size: int) -> str:
        """
        Return the text of the error for a connection that exceeds ``unsent_size``.

        :param size: bytes in the send queue.
        """
        queue = exceeds(f"send queue of {size:,} bytes", self.unsent_size, "unsent_size")
        return f"{queue}: the peer does not read"

    @property
    def largest_frame(self) -> int:
        """Most bytes of one frame: the smaller of ``frame_size`` and ``message_size``."""
        most = self.message_size
        return most if self.frame_size is None else min(self.frame_size, most)

    @property
    def largest_frame_name(self) -> str:
        """Name of the limit that :attr:`largest_frame` comes from."""
        most = self.frame_size
        return "message_size" if most is None or most >= self.message_size else "frame_size"

    @property
    def largest_transformed_frame(self) -> int:
        """
        Most bytes of one compressed frame.

        Incompressible data grows when it is compressed, by up to 1/25 with the smallest memory
        level of zlib.
        """
        if self.frame_size is not None:
            return self.largest_frame
        return self.message_size + (self.message_size >> 4) + 64


MOST_SEGMENTS: Final = 100
"""Most segments of the path of a page request. Pages are not nested deeper, and each segment costs
a lookup of a child resource: a path of 16,000 slashes took 34 ms."""
