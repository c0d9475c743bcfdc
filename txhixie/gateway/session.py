"""One client of a backend: its application, and the decision that waits for the backend.

It carries out what the session's machine asks of the client's side; the messages themselves go past
it, to the backend's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from zope.interface import implementer

from ..connection.log import fieldsOf, loggedOf, whyStalled, writeLine
from ..connection.progress import Watched
from ..display import shown_address
from ..interfaces import AbruptClose, Accepted, CleanClose, Decision, WebSocketTransport
from ..sansio.dialects import named
from ..sansio.errors import HandshakeRefused, ProxyRefused
from ..sansio.handshake.offer import NOTHING_MORE, Agreement, Refusal
from ..sansio.http.redaction import masked_url
from ..sansio.limits import Limits
from ..sansio.wire.frame import Close, CloseCode
from .close_codes import CLIENT_GONE, passed_on
from .headers import handed_on
from .machine import SESSION, BackendSide, SessionCore
from .outage import UNREACHED, Outages


class Backend(BackendSide, Protocol):
    """A backend's side, as a session meets it."""

    def reach(self, session: Session) -> Deferred[Agreement]:
        """
        Begin to connect. Fires, before anything is read, with what the backend has agreed to.

        :param session: whose ``machine`` is told of the backend's end, and whose ``transport`` gets
            its messages once ``resume`` was called.
        """
        ...

    @property
    def ping(self) -> Callable[[bytes], None] | None:
        """Takes a client's ping, to be answered by the backend; ``None``: it is answered here."""

    def pong(self, payload: bytes) -> None:
        """The client has answered a ping that was not ours."""

    def sendTextMessage(self, message: str) -> None:
        """The client has said this. It never fails."""

    def sendBytesMessage(self, data: bytes) -> None:
        """The client has said this. It never fails."""

    def pauseReading(self) -> None:
        """The way to the client is full."""

    def resumeReading(self) -> None:
        """The way to the client is free."""


@implementer(IPushProducer)
class Session:
    """
    From a client's offer to the end of its conversation.

    :ivar sessions: those of the same backend's, who are told how it is.
    :ivar machine: the machine; the backend's side tells it what the backend does.
    :ivar transport: the client's, once there is one.
    """

    transport: WebSocketTransport
    textMessageReceived: Callable[[str], None]
    bytesMessageReceived: Callable[[bytes], None]
    pongReceived: Callable[[bytes], None]
    pingReceived: Callable[[bytes], None]

    def __init__(
        self,
        backend: Backend,
        sessions: Sessions,
        clock: IReactorTime,
        connectTimeout: float,
        drainTimeout: float,
    ) -> None:
        """
        :param sessions: those of the same backend's, who are told how it is.
        :param connectTimeout: seconds until a backend that does not answer is given up.
        :param drainTimeout: seconds for it to read what was sent to it, and to go.
        """
        self._backend = backend
        self.sessions = sessions
        self._clock = clock
        self._connectTimeout = connectTimeout
        self._timer: IDelayedCall | None = None
        self._agreement = NOTHING_MORE
        self.machine = SESSION(
            SessionCore(self, backend, self._setTimeout, connectTimeout, drainTimeout)
        )

    def begin(self) -> Deferred[Decision]:
        """
        Reach the backend.

        :return: fires with what the client is to be answered; cancelling it, when the client has
            left, cancels the connecting.
        """
        self._decision: Deferred[Decision] = Deferred(self._cancelled)
        self._setTimeout(self._connectTimeout)
        self._backend.reach(self).addCallbacks(self._reached, self._unreached)
        return self._decision

    def _cancelled(self, decision: Deferred[Decision]) -> None:
        self.machine.client_left(Close(CloseCode.GOING_AWAY))

    def _reached(self, agreement: Agreement) -> None:
        self._agreement = agreement
        self.machine.reached()

    def _unreached(self, failure: Failure) -> None:
        self.machine.unreached(cast(Exception, failure.value))

    def _setTimeout(self, seconds: float | None) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if seconds is not None:
            self._timer = self._clock.callLater(seconds, self._late)

    def _late(self) -> None:
        self._timer = None
        self.machine.late()

    def log(self, why: str, code: int | None = None) -> None:
        """
        Write a line about this client and its backend.

        :param code: what the conversation is closed with for that; ``None`` if it goes on.
        """
        self.sessions.log(getattr(self, "transport", None), why, code)

    def abort(self) -> None:
        """End the connection to the backend at once."""
        self._backend.abort()

    def backendLost(self, close: Close) -> None:
        """It has ended. ``close`` is what the client is told."""
        self.sessions.left(self)
        self.machine.backend_lost(close)

    # What the machine asks of the client's side.

    def admit(self) -> None:
        """Let it in, on the backend's conditions."""
        self.sessions.reached(self)
        backend = self._backend
        # Straight to the backend's side: each message would pay for the way through here.
        self.textMessageReceived = backend.sendTextMessage
        self.bytesMessageReceived = backend.sendBytesMessage
        self.pongReceived = backend.pong
        if backend.ping is not None:
            self.pingReceived = backend.ping
        agreed = self._agreement
        self._decision.callback(Accepted(self, agreed.subprotocol, agreed.headers))

    def refuse(self, error: Exception) -> None:
        """Say why not; what is no backend's fault is a 500, and a traceback."""
        if isinstance(error, HandshakeRefused) and not isinstance(error, ProxyRefused):
            self.sessions.refused()
            self._decision.callback(handed_on(error))
        elif isinstance(error, UNREACHED):
            self._decision.callback(self.sessions.failed(error))
        else:
            self._decision.errback(error)

    def close(self, close: Close) -> None:
        """After all that was sent."""
        self.transport.loseConnection(close.code, close.reason)

    # What the client does.

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """It has been let in."""
        self.transport = transport
        transport.attachProducer(self)

    def negotiationFinished(self) -> None:
        """Its conversation is open."""
        self.machine.opened()

    def connectionLost(self, reason: Failure) -> None:
        """It has gone."""
        error = cast("CleanClose | AbruptClose", reason.value)
        hasCodes = named(self.transport.offer.dialect).has_codes
        self.machine.client_left(passed_on(error.ended, hasCodes, CLIENT_GONE))

    def pauseProducing(self) -> None:
        """It does not read: neither do we, of what would have to wait for it."""
        self._backend.pauseReading()

    def resumeProducing(self) -> None:
        """It reads."""
        self._backend.resumeReading()

    def stopProducing(self) -> None:
        """It has gone, of which ``connectionLost`` tells more."""


class Sessions:
    """
    What a service has on its way to its backend.

    :ivar limits: how long the end of a connection may take, and a peer may make no progress.
    :ivar clock: measures these times.
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
        self._watched: Watched[Any] = Watched(limits.stall_timeout, lambda: clock, self._stalled)
        self._connectTimeout = connectTimeout
        self._drainTimeout = limits.close_timeout + limits.drain_timeout
        self._named: dict[str, str | None] = {"route": route, "backend": masked_url(backend)}
        self._outages = Outages(backend, clock)
        self._standing: set[Session] = set()
        self._waiting: list[Deferred[None]] = []

    def begin(self, backend: Backend) -> Deferred[Decision]:
        """
        One more client.

        :param backend: the other side of its session.
        :return: fires with what it is to be answered; cancelling it cancels the connecting.
        """
        return Session(backend, self, self.clock, self._connectTimeout, self._drainTimeout).begin()

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
        for session in tuple(self._standing):
            session.abort()

    # Progress.

    def connected(self, stream: Any) -> None:
        """A stream to a backend stands."""
        self._watched.add(stream)

    def disconnected(self, stream: Any) -> None:
        """It has ended."""
        self._watched.discard(stream)

    def _stalled(self, connection: Any, waiting: int) -> None:
        reason = whyStalled(self.limits.stall_timeout)
        peer = shown_address(connection.transport.getPeer())
        writeLine(self._log, "stalled", **self._named, peer=peer, reason=reason, waiting=waiting)
        connection.abort()

    # What sessions tell.

    def reached(self, session: Session) -> None:
        """Its backend stands."""
        self._outages.served()
        self._standing.add(session)

    def refused(self) -> None:
        """The backend has answered a client, with a no."""
        self._outages.served()

    def failed(self, error: Exception) -> Refusal:
        """There was no reaching the backend; what its client is to be answered."""
        return self._outages.failed(error)

    def left(self, session: Session) -> None:
        """Its backend has gone."""
        self._standing.discard(session)
        self._tellIfNone()

    def log(self, client: WebSocketTransport | None, why: str, code: int | None) -> None:
        """
        Write a line about one client and the backend.

        :param client: its connection, once it is let in.
        :param code: what its conversation is closed with; ``None`` if it goes on.
        """
        known = {} if client is None else fieldsOf(loggedOf(client))
        writeLine(
            self._log, "gateway", LogLevel.warn, **known, **self._named, code=code, reason=why
        )

    def _tellIfNone(self) -> None:
        if not self._standing:
            waiting, self._waiting = self._waiting, []
            for deferred in waiting:
                deferred.callback(None)
