"""All clients of one backend: how each begins, and when the last of its connections has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from ..handshake.offer import Refusal
from ..interfaces import Decision, WebSocketTransport
from ..journal import Subject, of, shownAddress, whyStalled, writeLine
from ..limits import Limits
from ..progress import unwatch, watch
from ..wire.masked import masked_url
from .crossing import Backend, Crossing
from .outage import Outages

if TYPE_CHECKING:
    from .stream import Stream


class Crossings:
    """
    What a service has on its way to its backend.

    :ivar limits: how long the end of a connection may take, and a peer may make no progress.
    :ivar clock: measures these times.
    :ivar connections: those to a backend that is a stream of bytes. A backend that speaks WebSocket
        is watched by its own factory.
    """

    _log = Logger()

    def __init__(
        self,
        backend: str,
        clock: IReactorTime,
        connectTimeout: float,
        limits: Limits,
        route: str | None = None,
    ) -> None:
        """
        :param backend: what the operator calls it, without credentials.
        :param connectTimeout: seconds until a backend that does not answer is given up.
        :param limits: how long the end of a connection may take.
        :param route: what leads to the service, for the log.
        """
        self.limits = limits
        self.clock = clock
        self.connections: set[Stream] = set()
        self._connectTimeout = connectTimeout
        self._drainTimeout = limits.close_timeout + limits.drain_timeout
        self._named: dict[str, str | None] = {"route": route, "backend": masked_url(backend)}
        self._outages = Outages(backend, clock)
        self._standing: set[Crossing] = set()
        self._waiting: list[Deferred[None]] = []

    def begin(self, backend: Backend) -> Deferred[Decision]:
        """
        One more client.

        :param backend: the other side of its crossing.
        :return: fires with what it is to be answered; cancelling it cancels the connecting.
        """
        return Crossing(backend, self, self.clock, self._connectTimeout, self._drainTimeout).begin()

    def drained(self) -> Deferred[None]:
        """
        :return: fires with ``None`` when no backend is connected: when the last has read what was
            sent to it, or its time was up. It never fails.
        """
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        self._tellIfNone()
        return done

    def abortAll(self) -> None:
        """End every connection to the backend at once."""
        for crossing in tuple(self._standing):
            crossing.abort()

    # Progress.

    def connected(self, stream: Stream) -> None:
        """A stream to a backend stands."""
        if not self.connections:
            watch(self)
        self.connections.add(stream)

    def disconnected(self, stream: Stream) -> None:
        """It has ended."""
        self.connections.discard(stream)
        if not self.connections:
            unwatch(self)

    def stalled(self, connection: Stream, waiting: int) -> None:
        """See :class:`txhixie.progress.Group`."""
        reason = whyStalled(self.limits.stall_timeout)
        peer = shownAddress(connection.transport.getPeer())
        writeLine(self._log, "stalled", **self._named, peer=peer, reason=reason, waiting=waiting)
        connection.abort()

    # What crossings tell.

    def reached(self, crossing: Crossing) -> None:
        """Its backend stands."""
        self._outages.served()
        self._standing.add(crossing)

    def refused(self) -> None:
        """The backend has answered a client, with a no."""
        self._outages.served()

    def failed(self, error: Exception) -> Refusal:
        """There was no reaching the backend; what its client is to be answered."""
        return self._outages.failed(error)

    def left(self, crossing: Crossing) -> None:
        """Its backend has gone."""
        self._standing.discard(crossing)
        self._tellIfNone()

    def log(self, client: WebSocketTransport | None, why: str, code: int | None) -> None:
        """
        Write a line about one client and the backend.

        :param client: its connection, once it is let in.
        :param code: what its conversation is closed with; ``None`` if it goes on.
        """
        # Under HTTP/2, say, whose connection is no HixieProtocol, a client has no number.
        known = {} if client is None else of(cast(Subject, client))
        writeLine(
            self._log, "gateway", LogLevel.warn, **known, **self._named, code=code, reason=why
        )

    def _tellIfNone(self) -> None:
        if not self._standing:
            waiting, self._waiting = self._waiting, []
            for deferred in waiting:
                deferred.callback(None)
