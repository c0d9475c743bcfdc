"""The base of the factories of a server's and a client's connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory

from ..sansio.arguments import close_arguments, scalars
from ..sansio.errors import UsageError
from ..sansio.extensions.extension import Extension
from ..sansio.limits import Limits
from ..sansio.types import RandomBytes
from ..sansio.wire.frame import CloseCode
from ..sansio.wire.hybi import sendable
from .awaiting import Awaited
from .group import ConnectionGroup, TimerCalls
from .protocol import HixieProtocol
from .staggered import Staggered

_CALLS: Final[TimerCalls[HixieProtocol]] = TimerCalls(
    stalled=HixieProtocol.stalled,
    look=HixieProtocol.look,
    activity=HixieProtocol.activity.fget,  # type: ignore[attr-defined]  # mypy reads a property of the class as the value of the property
    over=HixieProtocol.tenureOver,
    expired=HixieProtocol.expired,
)


class HixieFactory(ConnectionGroup[HixieProtocol], Factory):
    """
    Base of the server's and the client's factories of connections.

    :ivar limits: limits of each connection.
    :ivar sendsBinary: whether binary messages are sent also in hixie-75 and hixie-76, where
        browsers lose them.
    :ivar extensions: the extensions that may be agreed, the preferred one first.
    :ivar entropy: takes a number and returns that many random bytes, for masking keys.
    :ivar connections: the connections that have not ended.
    :ivar log: writes log lines about the connections.
    :ivar heldBytes: ceiling for the bytes that all connections hold; ``None``: no ceiling.
    """

    noisy = False

    def __init__(
        self,
        limits: Limits,
        clock: IReactorTime | None,
        binary: str,
        logConnections: bool,
        extensions: Iterable[Extension],
        entropy: RandomBytes,
    ) -> None:
        super().__init__(limits, clock, binary, logConnections, extensions, entropy, _CALLS)
        self._waiting: list[Deferred[None]] = []
        self._closing: Staggered[HixieProtocol] | None = None

    def stopFactory(self) -> None:
        """Log the counted repeats of lines: the last port has stopped listening."""
        self.log.close()

    def emptied(self) -> None:
        """Stop the timers: the last connection has ended."""
        super().emptied()
        self._stopSpread()
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(None)

    def closeAll(
        self,
        code: int = CloseCode.GOING_AWAY,
        reason: str = "",
        timeout: float | None = None,
        spread: float | None = None,
    ) -> Deferred[None]:
        """
        Close every connection, with the close handshake of its dialect where there is one.

        Connections that have not ended when the timeout passes are aborted. With a spread,
        conversations are closed one after the other, evenly over that time, and requests for pages
        last; incomplete handshakes end at once. A response to a request for a page is
        completed. A second call replaces the closes of the first one that are still to come.

        :param code: close code that is sent (RFC 6455 section 7.4), by default 1001.
        :param reason: close reason that is sent, at most 123 bytes in UTF-8.
        :param timeout: seconds until connections are aborted; by default ``Limits.stop_timeout``.
        :param spread: seconds over which the closes are spread, at most the timeout; by default
            ``Limits.stop_spread``, which is 0.
        :return: a Deferred that fires with ``None`` when the last connection has ended, and never
            fails.
        :raises txhixie.errors.UsageError: for a close code that must not be sent; no connection is
            closed then.
        :raises TypeError: for a code, a reason, a timeout or a spread of another type.
        """
        close_arguments(code, reason)
        if timeout is not None:
            scalars(float, timeout=timeout)
        if spread is not None:
            scalars(float, spread=spread)
        if code != CloseCode.NO_STATUS_RCVD and not sendable(code):
            raise UsageError(f"close code {code} cannot be sent; send 1000 or 3000 to 4999")
        seconds = self.limits.stop_timeout if timeout is None else timeout
        over = min(self.limits.stop_spread if spread is None else spread, seconds)
        self._stopSpread()
        waiting = [each for each in self.connections if over > 0 and not each.isOpening]
        for connection in self.connections - set(waiting):
            connection.loseConnection(code, reason)
        if waiting:
            waiting.sort(key=lambda each: not each.isOpen)  # requests for pages are the last ones

            def close(connection: HixieProtocol) -> None:
                if connection in self.connections:
                    connection.loseConnection(code, reason)

            self._closing = Staggered(self.clock, close, waiting, over)
        return self._allEnded(seconds)

    @property
    def isClosing(self) -> bool:
        """Whether :meth:`closeAll` was called and some of its closes are still to come."""
        return self._closing is not None

    def closeOthers(self) -> Deferred[None]:
        """
        Close every connection that :meth:`closeAll` is not going to close: the reactor stops.

        :return: as for :meth:`closeAll`, which is called if no close is still to come.
        """
        if self._closing is None:
            return self.closeAll()
        seconds = self.limits.stop_timeout
        for connection in self.connections - set(self._closing.left):
            connection.loseConnection(CloseCode.GOING_AWAY)
        self._closing.hasten(seconds)
        return self._allEnded(seconds)

    def _allEnded(self, seconds: float) -> Deferred[None]:
        """Wait until no connection is left; abort those that are left after some seconds."""
        done: Deferred[None] = Awaited()
        self._waiting.append(done)
        if self.connections:
            done.addBoth(_cancelling(self.clock.callLater(seconds, self.abortAll)))
        else:
            self.emptied()
        return done

    def _stopSpread(self) -> None:
        closing, self._closing = self._closing, None
        if closing is not None:
            closing.stop()

    def abortAll(self) -> None:
        """Abort every connection, without a close handshake."""
        for connection in tuple(self.connections):
            connection.abortConnection()


def _cancelling(timer: IDelayedCall) -> Callable[[None], None]:
    def cancel(result: None) -> None:
        if timer.active():
            timer.cancel()

    return cancel
