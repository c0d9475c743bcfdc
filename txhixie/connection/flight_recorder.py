"""The last events of each connection, which stand in the log behind its abnormal end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from ..sansio.closing import Ended
from ..sansio.wire.frame import CloseCode
from .line_rate import LineRate
from .log import fieldsOf, loggedOf, writeLine
from .log_fields import LogFields
from .tap import Entry, Reader, Tap
from .tracer import fieldsOfEntry

MOST_EVENTS: Final = 32
"""Events of a connection that are kept, of at most about 400 bytes each."""

_NORMAL: Final = (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY)
_LEFT_OUT: Final = "more than {} lines of the flight recorder within a second"
_MOST_LINES: Final = 20 * MOST_EVENTS
"""Lines of all connections in a second: a peer that ends its connections abnormally, again and
again, must not fill the disk."""


class FlightRecorder:
    """
    Recorder of the last events of the connections of one or several factories.

    An event is a head or a frame, with its time since the connection was made.
    """

    _log = Logger()

    def __init__(self, clock: Callable[[], IReactorTime]) -> None:
        """:param clock: returns the clock."""
        self._clock = clock
        self._rate = LineRate(clock, self._leftOut, _MOST_LINES)

    def follow(self, tap: Tap) -> None:
        """Record the events of a connection."""
        tap.readers.append(_Recording(self._clock()))

    def write(self, tap: Tap, connection: Any, ended: Ended) -> None:
        """
        Write the events of a connection, unless it has ended normally.

        A normal end has the close code 1000 or 1001, or no code after a complete close handshake.

        :param tap: the tap of the connection.
        :param connection: the connection, after the line of its end was written.
        :param ended: how the conversation ended.
        """
        if ended.code in _NORMAL or (ended.clean and ended.code == CloseCode.NO_STATUS_RCVD):
            return
        named = fieldsOf(loggedOf(connection))
        for each in tap.readers:
            for seconds, entry in each.events if isinstance(each, _Recording) else ():
                if self._rate.allows():
                    fields = {**named, "seconds": round(seconds, 3), **fieldsOfEntry(entry)[0]}
                    writeLine(self._log, "recorded", **cast(LogFields, fields))

    def _leftOut(self, count: int) -> None:
        writeLine(self._log, "recorded", reason=_LEFT_OUT.format(_MOST_LINES), repeated=count)


class _Recording(Reader):
    """The last events of one connection."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._began = clock.seconds()
        self.events: deque[tuple[float, Entry]] = deque(maxlen=MOST_EVENTS)

    def tell(self, entry: Entry) -> None:
        """Keep an event; of a head only the first line."""
        if entry.head:
            entry = entry._replace(head=(entry.head[0][:200],))
        self.events.append((self._clock.seconds() - self._began, entry))
