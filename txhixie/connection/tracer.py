"""Trace of the connections that match a pattern: each head and each frame is a log line."""

from __future__ import annotations

from codecs import utf_8_decode
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from ..sansio.arguments import strings
from ..sansio.dialects import DIALECTS
from ..sansio.http.redaction import masked_text
from ..sansio.http.trusted import TrustedNetworks
from .line_rate import MOST_A_SECOND, LineRate
from .log import fieldsOf, loggedOf, writeLine
from .log_fields import ConnectionFields, LogFields
from .tap import Entry, Reader, Tap

EXPECTED: Final = "expected an address, a network, a path that begins with /, or a dialect"
_NAMES: Final = {dialect.name for dialect in DIALECTS}
_MOST_HELD: Final = 256
"""Most entries that wait until it is known whether the connection matches."""

_LEFT_OUT: Final = "more than {} lines of the trace within a second"


class TracePatterns:
    """Patterns of connections: addresses, networks, paths and dialects."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        """
        :param patterns: an address or a network, such as ``192.0.2.0/24`` (``unix`` for UNIX
            sockets), a path with all paths below it, such as ``/chat``, or a dialect. Without
            patterns every connection matches.
        :raises ValueError: for another text.
        :raises TypeError: for a string instead of a list, and for a pattern that is not ``str``.
        """
        found = strings("patterns", patterns, '["/chat"]')
        self.areAll = not found
        self._dialects = _NAMES.intersection(found)
        self._paths = [each.rstrip("/") for each in found if each.startswith("/")]
        rest = [each for each in found if each not in _NAMES and not each.startswith("/")]
        try:
            self._networks = TrustedNetworks(rest)
        except ValueError:
            raise ValueError(EXPECTED) from None

    def match(self, connection: Any) -> bool:
        """Whether a connection matches one of the patterns."""
        if self.areAll or self._networks.has(getattr(connection.getPeer(), "host", None)):
            return True
        asked = connection.asked
        path = (asked.target or "").partition("?")[0]
        if asked.dialect in self._dialects:
            return True
        return any(path == each or path.startswith(f"{each}/") for each in self._paths)


class Tracer:
    """
    Trace of the connections of one or several factories, to the log.

    Credentials are masked, payloads are cut after 64 bytes, and the number of lines in a second is
    bounded.

    :ivar isOn: whether new connections are traced.
    :ivar patterns: the connections to trace.
    """

    _log = Logger()

    def __init__(
        self,
        patterns: TracePatterns,
        isOn: bool,
        clock: Callable[[], IReactorTime],
        most: int = MOST_A_SECOND,
    ) -> None:
        """
        :param patterns: the connections to trace.
        :param isOn: the attribute.
        :param clock: returns the clock.
        :param most: most lines in a second.
        """
        self.isOn = isOn
        self.patterns = patterns
        self._most = most
        self._rate = LineRate(clock, self._leftOut, most)

    def follow(self, tap: Tap, connection: Any) -> None:
        """Trace a connection, if it matches."""
        tap.readers.append(_Traced(self, tap, connection))

    def leave(self, tap: Tap) -> None:
        """Trace the connection of a tap no more."""
        tap.readers[:] = [each for each in tap.readers if not isinstance(each, _Traced)]

    def stop(self) -> None:
        """Write how many lines were left out: the trace is off."""
        self._rate.flush()

    def change(self, after: Tracer) -> None:
        """Have the patterns of another tracer, for connections from now on."""
        if after.patterns.areAll != self.patterns.areAll:
            self.isOn = after.isOn
        self.patterns = after.patterns

    def matches(self, connection: Any) -> bool:
        """Whether a connection is to be traced."""
        return self.patterns.match(connection)

    def write(self, named: ConnectionFields, entry: Entry) -> None:
        """Write the lines of an entry."""
        for fields in fieldsOfEntry(entry):
            if self._rate.allows():
                writeLine(self._log, "trace", **cast(LogFields, {**named, **fields}))

    def _leftOut(self, count: int) -> None:
        writeLine(self._log, "trace", reason=_LEFT_OUT.format(self._most), repeated=count)


class _Traced(Reader):
    """The trace of one connection; its entries wait for the response of the handshake."""

    def __init__(self, tracer: Tracer, tap: Tap, connection: Any) -> None:
        self._tracer = tracer
        self._tap = tap
        self._connection = connection
        self._waiting: list[Entry] | None = []
        self._named: ConnectionFields = {}
        self._begun = connection.isOpen

    def tell(self, entry: Entry) -> None:
        """Write an entry; until a response was seen, keep it."""
        if self._waiting is None:
            self._tracer.write(self._named, entry)
        else:
            self._waiting.append(entry)
            if self._begun or self._tap.has_response or len(self._waiting) >= _MOST_HELD:
                self._decide()

    def ended(self) -> None:
        """Write the entries of a connection without a response."""
        if self._waiting is not None:
            self._decide()

    def _decide(self) -> None:
        waiting, self._waiting = self._waiting or [], None
        if not self._tracer.matches(self._connection):
            if self in self._tap.readers:
                self._tap.readers.remove(self)
            if not self._tap.readers:
                self._connection.tap = None
            return
        self._named = fieldsOf(loggedOf(self._connection))
        for entry in waiting:
            self._tracer.write(self._named, entry)


def fieldsOfEntry(entry: Entry) -> list[LogFields]:
    """Return the fields of the lines of an entry: a line for each line of a head."""
    if (frame := entry.frame) is None:
        if entry.head:
            return [LogFields(direction=entry.direction, head=line) for line in entry.head]
        return [LogFields(direction=entry.direction, bytes=entry.size)]
    fields = LogFields(direction=entry.direction, frame=frame.name, length=frame.length)
    if frame.final is not None:
        final, masked, compressed = frame.final, frame.masked, frame.compressed
        fields |= LogFields(
            final=int(final), masked=int(bool(masked)), compressed=int(bool(compressed))
        )
    isText = frame.name == "text" and not frame.compressed
    isCut = len(frame.payload) < frame.length
    if frame.name == "close" and len(frame.payload) >= 2:
        reason = masked_text(_shown(frame.payload[2:], isCut)) or None
        fields |= LogFields(code=int.from_bytes(frame.payload[:2], "big"), reason=reason)
    elif frame.payload:
        shown = _shown(frame.payload, isCut) if isText else frame.payload.hex(" ")
        fields |= LogFields(payload=shown + ("..." if isCut else ""))
    return [fields]


def _shown(text: bytes, isCut: bool) -> str:
    """
    Return a text, or the hexadecimal digits of one that is not UTF-8.

    :param isCut: whether more bytes follow: those of a character may be incomplete at the end.
    """
    try:
        return utf_8_decode(text, "strict", not isCut)[0]
    except UnicodeDecodeError:
        return text.hex(" ")
