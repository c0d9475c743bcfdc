"""Thousands of members of a hub on raw sockets, driven by one epoll, and a check of what they get.

Each message of a publisher begins with its name and its number, so that a member knows without any
help of the hub whether it has got every message once, in order.
"""

from __future__ import annotations

import json
import random
import select
import socket
import string
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import cycle
from typing import Any, Final, Self

from support.daemon import Daemon
from support.frame_writer import FrameWriter
from support.handshake_bytes import subprotocol_field, whole_request
from txhixie.hub.objects import SUBPROTOCOL
from txhixie.sansio.wire.frame import Opcode

PATIENCE: Final = 60.0
"""Seconds that the crowd waits at most: 5,000 members and a busy machine."""

AT_ONCE: Final = 200
"""Handshakes in flight, fewer than the queue of a listening socket has room for."""

_PADDING: Final = "".join(random.Random(0).choices(string.ascii_letters, k=10_000))
"""Letters that permessage-deflate makes a quarter shorter, and not a hundred times."""

_MASK: Final = bytes(4)  # any masking key is valid, and this one leaves the payload as it is
_PIECE: Final = 1 << 18
_SMALL_SEGMENT: Final = 536
"""Bytes. On the loopback interface a socket without this holds 2.5 MB for a peer that does not
read, and 50 kB with it."""


class Peer:
    """
    One member: its socket, what it has sent, and what it has got.

    :ivar name: name of the member as a publisher.
    :ivar daemon: the daemon to which the member is connected.
    :ivar isStalled: whether the member does not read.
    :ivar isOpen: whether the handshake has been answered.
    :ivar isEnded: whether the server has closed the connection.
    :ivar code: close code that the server sent; ``None`` without one.
    :ivar status: HTTP status of the response.
    :ivar sent: number of messages that the member has published.
    :ivar last: number of the last message of each publisher.
    :ivar first: number of the first message of each publisher.
    :ivar count: number of messages that the member has got.
    :ivar gaps: number of messages of each publisher, between the first and the last that the member
        has got, that the member has not got.
    :ivar skipped: number of messages that the hub has told it was not sent.
    :ivar missed: number of times that the hub did not know the position of the member.
    :ivar position: position of the last message.
    :ivar texts: the texts, of a member that keeps them.
    :ivar faults: messages that the member got twice, or out of order.
    """

    def __init__(
        self,
        name: str,
        target: str,
        dialect: str = "rfc6455",
        *,
        asObjects: bool = False,
        compressed: bool = False,
        isStalled: bool = False,
        keeps: bool = False,
    ) -> None:
        self.name = name
        self.isStalled = isStalled
        self.isOpen = self.isEnded = False
        self.code: int | None = None
        self.status = 0
        self.sent = 0
        self.last: dict[str, int] = {}
        self.first: dict[str, int] = {}
        self.gaps: Counter[str] = Counter()
        self.count = self.skipped = self.missed = 0
        self.position = ""
        self.texts: list[str] | None = [] if keeps else None
        self.faults: list[str] = []
        self._dialect = dialect
        self._asObjects = asObjects
        self._writer = FrameWriter(dialect, _MASK)
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if compressed else None
        self._received = bytearray()
        self._unsent = memoryview(b"")
        fields = ["Sec-WebSocket-Extensions: permessage-deflate"] if compressed else []
        if asObjects:
            fields.append(f"{subprotocol_field(dialect)}: {SUBPROTOCOL}")
        self._request = whole_request(dialect, *fields, target=target)

    @property
    def gap(self) -> int:
        """The sum of the gaps."""
        return self.gaps.total()

    # The socket.

    def connect(self, daemon: Daemon) -> None:
        """Connect, and send the request."""
        self.daemon = daemon
        self.socket = socket.socket()
        if self.isStalled:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SMALL_SEGMENT)
        self.socket.connect((daemon.host, daemon.port))
        self.socket.setblocking(False)
        self.socket.send(self._request)

    def leave(self, abort: bool = False) -> None:
        """Close the connection, or abort it with a reset."""
        if abort:
            linger = struct.pack("ii", 1, 0)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()

    def publish(self, *sizes: int) -> None:
        """Publish messages of these numbers of characters, as fast as the socket takes them."""
        frames = []
        for size in sizes:
            self.sent += 1
            frames.append(self._writer.text(written(self.name, self.sent, size)))
        self._unsent = memoryview(bytes(self._unsent) + b"".join(frames))

    @property
    def hasUnsent(self) -> bool:
        """Whether messages wait for the socket."""
        return bool(self._unsent)

    def flush(self) -> None:
        """Send as much as the socket takes; forget the rest when the connection has ended."""
        try:
            self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        except ConnectionError:
            self._unsent = memoryview(b"")

    def read(self) -> None:
        """Read what has come."""
        try:
            data = self.socket.recv(_PIECE)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self.isEnded = True
            return
        self._received += data
        if not self.isOpen and not self._readHead():
            return
        if self._writer.modern:
            self._readFrames()
        else:
            self._readTexts()

    # Frames.

    def _readHead(self) -> bool:
        proof = 16 if self._dialect == "hixie-76" else 0
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or len(self._received) < end + 4 + proof:
            return False
        self.status = int(self._received[9:12])
        del self._received[: end + 4 + proof]
        self.isOpen = self.status == 101
        return self.isOpen

    def _readTexts(self) -> None:
        *frames, rest = bytes(self._received).split(b"\xff")
        self._received = bytearray(rest)
        for frame in filter(None, frames):  # a close frame has no byte before its 0xFF
            assert frame[:1] == b"\x00", frame
            self._hear(frame[1:].decode())

    def _readFrames(self) -> None:
        data, start, end = bytes(self._received), 0, len(self._received)
        while end - start >= 2:
            size, head = data[start + 1], 2
            if size >= 126:
                head = 4 if size == 126 else 10
                size = int.from_bytes(data[start + 2 : start + head])
            if end < start + head + size or end < start + head:
                break
            payload = data[start + head : start + head + size]
            self._readFrame(data[start], payload)
            start += head + size
        self._received = bytearray(data[start:])

    def _readFrame(self, first: int, payload: bytes) -> None:
        assert first & 0x80, "expected messages of one frame"
        if first & 0x40:
            assert self._inflate is not None
            payload = self._inflate.decompress(payload + b"\x00\x00\xff\xff")
        if first & 0x0F == Opcode.TEXT:
            self._hear(payload.decode())
        elif first & 0x0F == Opcode.CLOSE:
            self.code = int.from_bytes(payload[:2])
        else:
            assert first & 0x0F == Opcode.PING, first

    # Messages.

    def _hear(self, message: str) -> None:
        if self._asObjects:
            found: dict[str, Any] = json.loads(message)
            self.skipped += found.get("skipped", 0)
            self.missed += found.get("missed", False)
            if "text" not in found:
                return
            self.position, message = found["position"], found["text"]
        if self.texts is not None:
            self.texts.append(message)
        self.count += 1
        publisher, number, _ = message.split(" ", 2)
        self._check(publisher, int(number))

    def _check(self, publisher: str, number: int) -> None:
        if publisher == self.name:
            self.faults.append(f"own {number}")
        if (last := self.last.get(publisher)) is None:
            self.first[publisher] = number
        elif number <= last:
            self.faults.append(f"{publisher} {number} after {last}")
        else:
            self.gaps[publisher] += number - last - 1
        self.last[publisher] = number

    def hasLastOf(self, publishers: Iterable[Peer]) -> bool:
        """Whether the member has got the last message of each of these publishers but itself."""
        last = self.last
        return all(last.get(each.name) == each.sent or each is self for each in publishers)

    def goOnAs(self, earlier: Peer) -> Peer:
        """Check the messages as those of a member that comes back. Return this member."""
        self.last, self.first = dict(earlier.last), dict(earlier.first)
        self.gaps = Counter(earlier.gaps)
        self.skipped, self.faults = earlier.skipped, earlier.faults
        self.position, self.count = earlier.position, earlier.count
        return self


def written(name: str, number: int, size: int) -> str:
    """Return a message of a publisher with a number of characters."""
    begin = f"{name} {number} "
    return begin + _PADDING[: size - len(begin)]


class Crowd:
    """Members that read, except for those that are stalled; they connect to daemons in turns."""

    def __init__(self, *daemons: Daemon) -> None:
        self._daemons = cycle(daemons)
        self._poll = select.epoll()
        self.peers: dict[int, Peer] = {}
        self._flooding: list[Peer] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for peer in self.peers.values():
            peer.leave()
        self._poll.close()

    def join(self, peers: Iterable[Peer]) -> None:
        """Connect members, and wait until all of them have an answer."""
        opening: list[Peer] = []
        for peer in peers:
            peer.connect(next(self._daemons))
            self.peers[peer.socket.fileno()] = peer
            self._poll.register(peer.socket, select.EPOLLIN)
            opening.append(peer)
            if len(opening) == AT_ONCE:
                self._untilAnswered(opening)
        self._untilAnswered(opening)

    def _untilAnswered(self, opening: list[Peer]) -> None:
        self.until(lambda: all(peer.status for peer in opening))
        for peer in opening:
            if peer.isStalled:
                self._poll.unregister(peer.socket)
        opening.clear()

    def leave(self, peers: Iterable[Peer], abort: bool = False) -> None:
        """Close or abort the connections of members."""
        for peer in peers:
            del self.peers[peer.socket.fileno()]
            peer.leave(abort)

    def resume(self, peers: Iterable[Peer]) -> None:
        """Let stalled members read."""
        for peer in peers:
            if not peer.isStalled:
                continue
            peer.isStalled = False
            self._poll.register(peer.socket, select.EPOLLIN)

    def flood(self, publishers: Iterable[Peer], *sizes: int) -> None:
        """Let members publish as fast as they can; the messages are sent by :meth:`until`."""
        for peer in publishers:
            peer.publish(*sizes)
            self._flooding.append(peer)

    def until(self, done: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Read and write until a condition holds."""
        deadline = time.monotonic() + patience
        while not done():
            assert time.monotonic() < deadline, "the members did not get what they wait for"
            self.once()

    def once(self, seconds: float = 0.05) -> None:
        """Read what has come, and write what the sockets take."""
        for peer in self._flooding:
            peer.flush()
        self._flooding = [peer for peer in self._flooding if peer.hasUnsent]
        for number, _ in self._poll.poll(0.0 if self._flooding else seconds):
            peer = self.peers[number]
            peer.read()
            if peer.isEnded:
                self._poll.unregister(number)
