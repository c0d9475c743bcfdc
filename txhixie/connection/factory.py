"""What one factory's connections share: limits, clock, journal, and the way to end them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from ..interfaces import WebSocketTransport
from ..sansio.arguments import close_arguments, instance
from ..sansio.errors import UsageError
from ..sansio.extensions.extension import Extension, chosen_extensions
from ..sansio.limits import Limits
from ..sansio.types import RandomBytes
from ..sansio.wire.frame import CloseCode
from ..sansio.wire.hybi import sendable
from .awaiting import Awaited
from .keepalive import Keepalive, Looked
from .log import ConnectionLog
from .progress import unwatch, watch
from .timeouts import TimeoutQueue


class Connection(Looked, WebSocketTransport, Protocol):
    """One of them: a :class:`txhixie.HixieProtocol`."""

    transport: Any

    def stalled(self, waiting: int) -> None:
        """
        The peer has made no progress for the limits' ``stall_timeout``.

        :param waiting: bytes that the peer has not acknowledged.
        """


class HixieFactory(Factory):
    """
    Either side's factory.

    :ivar limits: what a connection may cost.
    :ivar binary: whether binary is sent even in dialects whose peers are known to lose it.
    :ivar extensions: what may be agreed besides the dialect, the better first.
    :ivar entropy: takes a number, answers that many random bytes.
    :ivar journal: writes the log's lines.
    :ivar connections: those that stand.
    """

    noisy = False
    log = Logger()

    def __init__(
        self,
        limits: Limits,
        clock: IReactorTime | None,
        binary: bool,
        logConnections: bool,
        extensions: Iterable[Extension],
        entropy: RandomBytes,
    ) -> None:
        self.limits = instance("limits", limits, Limits)
        self.binary = binary
        self.extensions = chosen_extensions(extensions)
        self.entropy = entropy
        self.journal = ConnectionLog(self.log, logConnections, self)
        self.connections: set[Connection] = set()
        self.keepalive = Keepalive(self)
        self._deadlines: dict[float, TimeoutQueue] = {}
        self._clock = clock
        self._waiting: list[Deferred[None]] = []

    def stopFactory(self) -> None:
        """The last port has stopped listening."""
        self.journal.close()

    @property
    def clock(self) -> IReactorTime:
        """The clock it was given, or else the reactor that runs."""
        if self._clock is None:
            from twisted.internet import reactor

            self._clock = cast(IReactorTime, reactor)
        return self._clock

    def deadline(self, seconds: float) -> TimeoutQueue:
        """Those of this factory's connections that wait for so long. The limits name a few."""
        deadline = self._deadlines.get(seconds)
        if deadline is None:
            deadline = self._deadlines[seconds] = TimeoutQueue(self.clock, seconds)
        return deadline

    def joined(self, connection: Connection) -> None:
        """A connection stands."""
        if not self.connections:
            watch(self)
        self.connections.add(connection)

    def left(self, connection: Connection) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        self._tellIfNone()

    def stalled(self, connection: Connection, waiting: int) -> None:
        """
        End a connection whose peer has made no progress for ``limits.stall_timeout`` seconds.

        :param waiting: bytes that the peer has not taken.
        """
        connection.stalled(waiting)

    def _tellIfNone(self) -> None:
        if not self.connections:
            self.keepalive.stop()
            unwatch(self)
            waiting, self._waiting = self._waiting, []
            for deferred in waiting:
                deferred.callback(None)

    def closeAll(
        self,
        code: int = CloseCode.GOING_AWAY,
        reason: str = "",
        timeout: float | None = None,
    ) -> Deferred[None]:
        """
        Close every connection its dialect's way, and abort what is left after a time.

        :param timeout: seconds until then; by default the limits' ``stop_timeout``.
        :return: fires with ``None`` when the last has ended. It never fails.
        :raises txhixie.errors.UsageError: for a code that is never sent; then none is closed.
        :raises TypeError: for a code or a reason of another type.
        """
        close_arguments(code, reason)
        if code != CloseCode.NO_STATUS_RCVD and not sendable(code):
            raise UsageError(f"{code} is no code that can be sent")
        done: Deferred[None] = Awaited()
        self._waiting.append(done)
        for connection in tuple(self.connections):
            connection.loseConnection(code, reason)
        if self.connections:
            seconds = self.limits.stop_timeout if timeout is None else timeout
            done.addBoth(_cancelling(self.clock.callLater(seconds, self.abortAll)))
        self._tellIfNone()
        return done

    def abortAll(self) -> None:
        """End every connection at once."""
        for connection in tuple(self.connections):
            connection.abortConnection()


def _cancelling(timer: IDelayedCall) -> Callable[[None], None]:
    def cancel(result: None) -> None:
        if timer.active():
            timer.cancel()

    return cancel
