"""A tap on one connection: what is received and sent, as entries for a trace or a recorder.

A connection has a tap only while its factory has a tracer that is on, or a flight recorder.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ..sansio.dialects import Dialect, HybiFrames
from ..sansio.http.redaction import masked_lines
from ..sansio.wire.frame import Side
from ..sansio.wire.summary import FrameSummary, HixieSummaries, HybiSummaries

_MOST_HEAD: Final = 64 * 1024
"""Most bytes of a head, and of what follows a request before its response, that a tap keeps."""

_END: Final = re.compile(rb"\r?\n\r?\n")
_LONGEST_END: Final = 4
_WHOLE_LINES: Final = re.compile(rb".*[\r\n]", re.DOTALL)

RECEIVED, SENT = "received", "sent"


class Entry(NamedTuple):
    """
    Entry of a tap: a head, a frame or other bytes that were received or sent.

    :ivar direction: ``received`` or ``sent``.
    :ivar head: the masked lines of a head; empty for anything else.
    :ivar frame: a frame; ``None`` for anything else.
    :ivar size: number of bytes that are not shown, such as those of a page.
    """

    direction: str
    head: tuple[str, ...] = ()
    frame: FrameSummary | None = None
    size: int = 0


class _DirectionReader:
    """One direction of a connection: a head, bytes of the handshake, and then frames or bytes."""

    def __init__(
        self, name: str, tell: Callable[[Entry], None], masked_target: Callable[[str], str]
    ) -> None:
        self.name = name
        self._masked_target = masked_target
        self._tell = tell
        self._held = bytearray()  # an incomplete head, or what waits for the response
        self.has_head = False
        self._frames: HybiSummaries | HixieSummaries | None = None
        self._proof = 0  # bytes of the handshake before the frames
        self._is_shown = True  # False: bytes are counted only

    def read(self, data: bytes) -> bytes | None:
        """
        Receive bytes.

        :return: the status line or the request line of a head that is complete now, else ``None``.
        """
        if self._frames is not None:
            self._read_frames(data)
        elif not self._is_shown:
            self._tell(Entry(self.name, size=len(data)))
        else:
            seen = len(self._held)
            self._held += data
            if not self.has_head:
                return self._read_head(max(0, seen - _LONGEST_END))
            if len(self._held) > _MOST_HEAD:
                self.count_only()
        return None

    def _read_head(self, seen: int) -> bytes | None:
        begin = len(self._held) - len(self._held.lstrip(b"\r\n"))
        found = _END.search(self._held, max(begin, seen))
        if found is None:
            if len(self._held) > _MOST_HEAD:
                self.count_only()
            return None
        head = bytes(self._held[begin : found.end()])
        del self._held[: found.end()]
        self.has_head = True
        self._tell(Entry(self.name, (*masked_lines(head, self._masked_target),)[:-1]))
        return head[: head.index(b"\n")]

    def _read_frames(self, data: bytes) -> None:
        if self._proof and data:
            proof, data = data[: self._proof], data[self._proof :]
            self._proof -= len(proof)
            self._tell(Entry(self.name, frame=FrameSummary("proof", len(proof), proof)))
        assert self._frames is not None
        for frame in self._frames.read(data):
            self._tell(Entry(self.name, frame=frame))

    def count_only(self) -> None:
        """Show no further bytes: they are no frames, and may be the credentials of a request."""
        held, self._held, self._is_shown = self._held, bytearray(), False
        if not self.has_head and (whole := _WHOLE_LINES.match(held)) is not None:
            # The end of a line may be missing, and with it the name of a field with a credential.
            lines = tuple(masked_lines(whole[0] + b"\r\n", self._masked_target))
            self._tell(Entry(self.name, lines[:-1]))
            del held[: whole.end()]
        if held:
            self._tell(Entry(self.name, size=len(held)))

    def begin(self, dialect: Dialect, proof: int) -> None:
        """Read frames from now on, after some bytes of the handshake."""
        is_hybi = isinstance(dialect.framing, HybiFrames)
        self._frames, self._proof = HybiSummaries() if is_hybi else HixieSummaries(), proof
        self.has_head = True
        held, self._held = bytes(self._held), bytearray()
        self._read_frames(held)

    @property
    def is_reading(self) -> bool:
        """Whether frames are read."""
        return self._frames is not None


class Tap:
    """The tap of one connection: the output and ``dataReceived`` tell it what passes."""

    def __init__(self, connection: Any, masked_target: Callable[[str], str] = str) -> None:
        """
        :param connection: a :class:`txhixie.HixieProtocol` with an open conversation, or with a
            handshake that has just begun.
        :param masked_target: returns a request target without the tokens that are in its path.
        """
        self._connection = connection
        self.readers: list[Reader] = []
        is_server = connection.side == Side.SERVER
        self._received = _DirectionReader(RECEIVED, self._tell, masked_target)
        self._sent = _DirectionReader(SENT, self._tell, masked_target)
        both = self._received, self._sent
        self._request, self._response = both if is_server else both[::-1]
        if connection.isOpen:
            self._sent.begin(connection.dialect, 0)

    @property
    def has_response(self) -> bool:
        """Whether the response of the handshake was seen, or the conversation is open."""
        return self._response.has_head

    def _tell(self, entry: Entry) -> None:
        for reader in tuple(self.readers):
            reader.tell(entry)

    def received(self, data: bytes) -> None:
        """Take received bytes, before the connection processes them."""
        connection = self._connection
        if self._sent.is_reading and not self._received.is_reading:
            # The tap has come in the middle of the conversation, perhaps of a frame.
            if not connection.isBetweenFrames:
                return
            self._received.begin(connection.dialect, 0)
        self._take(self._received, data)

    def sent(self, data: bytes, *more: bytes) -> None:
        """Take bytes that are sent, in the order in which they are sent."""
        for part in (data, *more):
            self._take(self._sent, part)

    def _take(self, direction: _DirectionReader, data: bytes) -> None:
        is_response = direction is self._response
        if is_response and not self._request.has_head:
            self._request.count_only()  # the response to a request that is not complete
        line = direction.read(data)
        if is_response and line is not None:
            self._answered(line)

    def _answered(self, line: bytes) -> None:
        """Read frames after a response with 101, and count bytes after any other."""
        dialect: Dialect | None = getattr(self._connection, "dialect", None)
        if dialect is None or line.split(b" ")[1:2] != [b"101"]:
            self._request.count_only()
            self._response.count_only()
        else:
            self._request.begin(dialect, dialect.handshake.offer_body())
            self._response.begin(dialect, dialect.handshake.agreement_body())

    def opened(self) -> None:
        """Read frames from now on: the conversation is open."""
        for direction in (self._received, self._sent):
            if not direction.is_reading:  # no handshake was seen, as on a stream of HTTP/2
                direction.begin(self._connection.dialect, 0)

    def ended(self) -> None:
        """Show what is held: the connection has ended."""
        for direction in (self._request, self._response):
            if not direction.is_reading:
                direction.count_only()
        for reader in tuple(self.readers):
            reader.ended()


class Reader:
    """Reader of the entries of a tap: a trace or a flight recorder."""

    def tell(self, entry: Entry) -> None:
        """Take an entry."""
        raise NotImplementedError

    def ended(self) -> None:
        """Do nothing: the connection has ended."""
