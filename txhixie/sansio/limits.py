"""Every bound on what a peer may make us keep or wait for, each with its reason.

Sizes are bytes, times are seconds. A limit is checked before anything is kept.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields, replace
from math import inf
from typing import Any, Final

MOST: Final = sys.maxsize >> 1
"""More bytes than there is memory for, and few enough for whoever counts them in C to add some."""

_OPTIONS: Final = {
    "head_size": "--max-head-size",
    "message_size": "--max-message-size",
    "frame_size": "--max-frame-size",
    "fragments": "--max-fragments",
    "ping_interval": "--ping-interval",
    "ping_timeout": "--ping-timeout",
    "stall_timeout": "--stall-timeout",
    "stop_timeout": "--stop-timeout",
}
"""The daemon's options for some of the limits."""


def called(name: str) -> str:
    """What a limit is called where it can be set: ``Limits.fragments, --max-fragments``."""
    option = _OPTIONS.get(name)
    return f"Limits.{name}, {option}" if option else f"Limits.{name}"


def exceeds(what: str, limit: int, name: str) -> str:
    """
    Say whose limit was reached, and which: for the log and for our own side. The peer is told no
    names of ours.

    :param what: with its size, such as ``message of 1,048,577 bytes``; without it, where the log
        counts lines that are the same.
    :param name: of the limit, a field of :class:`Limits`.
    """
    return f"{what} exceeds our limit of {limit:,} ({called(name)})"


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What one connection may cost.

    :ivar head_size: bytes of a request's or an answer's head. Apache takes 8 KiB a line, nginx
        8 KiB a line and 32 KiB in all, Node 16 KiB in all: browsers with many cookies are
        served by 16 KiB.
    :ivar head_fields: fields in a head. Apache's 100; a browser of today sends about 20, so that
        more are somebody trying what counting costs.
    :ivar message_size: bytes of one message, as sent by the peer and (where an extension
        compresses) as inflated. 1 MiB is what most servers take by default, and a thousand
        connections that fill it are 1 GiB and no more.
    :ivar frame_size: bytes of one frame as it is on the wire; ``None``: as many as a message.
    :ivar fragments: fragments of one message. Browsers send a dozen to the megabyte; each costs us
        what a small message costs, and a peer that sends empty ones never reaches the size.
    :ivar early_size: bytes kept while the application decides, in the dialects whose clients may
        send before they are answered. One full read of Twisted's is 64 KiB.
    :ivar unsent_size: bytes that may be sent to a connection after it has said that it is full,
        until it has emptied. An application that looks at ``full``, or attaches a producer, never
        comes near it; one that does not must not fill our memory for a peer that does not read, and
        that connection is aborted.
    :ivar turn_size: bytes of messages, as inflated, that one turn of the reactor inflates or
        delivers on one connection, or one message if that is larger; the next turn goes on. 256 KiB
        of compressed zeros are 250 messages of 1 MiB: inflating and answering them in one turn kept
        all other connections waiting for 1 to 5 seconds, and 1 MiB is 4 to 20 ms. A frame counts
        128 bytes besides its payload, control frames too: 1 MiB is 8,192 pings.
    :ivar refusal_size: bytes of a refusal's body that a client keeps to show.
    :ivar body_size: bytes of the body of a page request. A form of ``a=1&a=1&...`` costs
        ``twisted.web`` 0.2 us and 17 bytes of memory for each of its bytes, in one go, and a
        multipart form with a header of ``;a;a;a`` ten times as much: 64 KiB block the reactor for
        8 and for 110 ms. Forms that people fill in are shorter. Uploads need more.
    :ivar lookup_timeout: seconds for the addresses of a host's name. Two servers, each asked twice
        for five seconds, as resolvers do by themselves (resolv.conf(5)).
    :ivar connect_timeout: seconds for a TCP connection to any of these. Linux repeats what was
        lost after 1, 3, 7 and 15: four times within 30.
    :ivar proxy_timeout: seconds for each answer of a proxy, which first looks up and connects
        itself: squid tries for 60.
    :ivar tls_timeout: seconds for a TLS handshake: two round trips, as the one that follows it.
    :ivar open_timeout: seconds for a peer's half of the handshake. Firefox 4 waited 20; a page
        behind a satellite needs 3, and whoever holds a connection without a word is not one.
    :ivar request_timeout: seconds from the first byte of a page request to the last of its body.
        64 KiB within 30 are 17 kbit/s, which GPRS reaches.
    :ivar decide_timeout: seconds for our own application to answer an offer.
    :ivar close_timeout: seconds for the peer's part of a close, and for reading on after the last
        byte was written. Three, since many hixie-76 peers (eventlet, gevent, txWS) never
        answer ``FF 00`` at all and each of their closes lasts this long.
    :ivar stall_timeout: seconds in which a peer acknowledges nothing of what was sent to it, while
        something is unacknowledged or unsent, until the connection is aborted with 1006. The kernel
        of a peer that reads 1 KiB/s was seen to acknowledge nothing for 127 seconds; peers that
        stop reading cost up to 1.4 MiB each here and 10 MB in the kernel.
    :ivar stop_timeout: seconds for all connections to close when the factory stops; after these,
        what is left is aborted. Docker sends SIGKILL 10 seconds after SIGTERM.
    :ivar ping_interval: seconds between pings, or, where the dialect has none, between those of
        TCP; ``None``: no pings. Proxies forget idle connections after 60 (nginx) or 50 (HAProxy's
        examples).
    :ivar ping_timeout: seconds without a byte from the peer, after a ping, until it is taken for
        gone. Any traffic counts as life, since a pong may have to wait behind a long message.
    :ivar drain_timeout: further seconds for a close while the peer is still reading what was sent
        before it: a megabyte over a telephone line takes that long. Also seconds for our own
        application, after the connection was lost, to take what came before; then it is dropped.
    """

    head_size: int = 16 * 1024
    head_fields: int = 100
    message_size: int = 1024 * 1024
    frame_size: int | None = None
    fragments: int = 4096
    early_size: int = 64 * 1024
    unsent_size: int = 16 * 1024 * 1024
    turn_size: int = 1024 * 1024
    refusal_size: int = 64 * 1024
    body_size: int = 64 * 1024
    lookup_timeout: float = 20.0
    connect_timeout: float = 30.0
    proxy_timeout: float = 60.0
    tls_timeout: float = 10.0
    open_timeout: float = 10.0
    request_timeout: float = 30.0
    decide_timeout: float = 30.0
    close_timeout: float = 3.0
    drain_timeout: float = 60.0
    stall_timeout: float = 300.0
    stop_timeout: float = 8.0
    ping_interval: float | None = 20.0
    ping_timeout: float = 20.0

    def __post_init__(self) -> None:
        """
        :raises ValueError: for a size below 0 or beyond all memory, for a time below 0 or without
            an end, and for no time between pings, to answer one or to make progress.
        :raises TypeError: for what is no number.
        """
        for field in fields(self):
            value: Any = getattr(self, field.name)
            if value is None and "None" in str(field.type):
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{field.name}: expected a number, not {type(value).__name__}")
            if field.name.startswith("ping_") or field.name == "stall_timeout":
                right, what = 0 < value < inf, "more than 0 seconds"
            elif field.name.endswith("_timeout"):
                right, what = 0 <= value < inf, "a number of seconds"
            else:
                right, what = 0 <= value <= MOST, f"a number from 0 to {MOST}"
            if not right:
                raise ValueError(f"{field.name}: expected {what}, not {value}")

    def patient(self, seconds: float) -> Limits:
        """The same, with this time for each stage of the way to a server."""
        return replace(
            self,
            lookup_timeout=seconds,
            connect_timeout=seconds,
            proxy_timeout=seconds,
            tls_timeout=seconds,
            open_timeout=seconds,
        )

    def unread(self, size: int) -> str:
        """
        Say that too much waits to be sent.

        :param size: bytes.
        """
        queue = exceeds(f"send queue of {size:,} bytes", self.unsent_size, "unsent_size")
        return f"{queue}: the peer does not read"

    @property
    def largest_frame(self) -> int:
        """Bytes of one frame; a message in one frame is a message still."""
        most = self.message_size
        return most if self.frame_size is None else min(self.frame_size, most)

    @property
    def largest_frame_name(self) -> str:
        """The limit that :attr:`largest_frame` is."""
        most = self.frame_size
        return "message_size" if most is None or most >= self.message_size else "frame_size"

    @property
    def largest_transformed_frame(self) -> int:
        """
        Bytes of one that is compressed: what cannot be compressed grows by it, up to 1/25 with the
        least memory a zlib can be given.
        """
        if self.frame_size is not None:
            return self.largest_frame
        return self.message_size + (self.message_size >> 4) + 64


MOST_SEGMENTS: Final = 100
"""Segments of a path that is looked for. Nobody nests pages deeper, and each segment costs a child
of a resource: a path of 16,000 slashes took 34 ms."""
